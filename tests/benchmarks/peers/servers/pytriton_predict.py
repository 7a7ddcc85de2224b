"""PyTriton as its quick start shows it, with a Keras model."""

from __future__ import annotations

import numpy as np
from given import PORT, keras_model
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

model = keras_model()


@batch
def predict(**inputs: np.ndarray) -> list[np.ndarray]:
    return [model.predict(inputs["input"], verbose=0)]


if __name__ == "__main__":
    with Triton(
        config=TritonConfig(http_port=PORT, allow_grpc=False, allow_metrics=False)
    ) as triton:
        triton.bind(
            model_name="mlp",
            infer_func=predict,
            inputs=[Tensor(name="input", dtype=np.float32, shape=(42,))],
            outputs=[Tensor(name="output", dtype=np.float32, shape=(1,))],
            config=ModelConfig(max_batch_size=128),
        )
        triton.serve()
