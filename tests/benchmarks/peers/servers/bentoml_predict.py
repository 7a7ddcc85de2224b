"""BentoML as its quick start shows it, with a Keras model."""

from __future__ import annotations

import bentoml
import numpy as np
from given import keras_model


@bentoml.service
class Scores:
    def __init__(self) -> None:
        self.model = keras_model()

    @bentoml.api
    def predict(self, values: np.ndarray) -> np.ndarray:
        return self.model.predict(values.astype(np.float32), verbose=0)
