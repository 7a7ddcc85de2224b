"""FastAPI as tutorials show it with Keras: a pydantic body and ``model.predict``."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from given import keras_model
from pydantic import BaseModel

app = FastAPI()
model = keras_model()


class Event(BaseModel):
    values: list[float]


@app.post("/predict")
def predict(event: Event) -> dict[str, float]:
    scores = model.predict(np.array([event.values], np.float32), verbose=0)
    return {"score": float(scores[0, 0])}
