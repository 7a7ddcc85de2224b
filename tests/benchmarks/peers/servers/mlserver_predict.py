"""MLServer as its guide to custom runtimes shows it, with a Keras model."""

from __future__ import annotations

from given import keras_model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Scores(MLModel):
    async def load(self) -> bool:
        self._model = keras_model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        scores = self._model.predict(x, verbose=0)
        output = NumpyCodec.encode_output("output", scores)
        return InferenceResponse(model_name=self.name, outputs=[output])
