"""FastAPI tuned: an asynchronous endpoint, so no thread pool, and the fastest TensorFlow call."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from given import fastest_call
from pydantic import BaseModel

app = FastAPI()
call = fastest_call()


class Event(BaseModel):
    values: list[float]


class Score(BaseModel):
    score: float


@app.post("/predict")
async def predict(event: Event) -> Score:
    scores = call(np.array([event.values], np.float32))
    return Score(score=scores[0, 0])
