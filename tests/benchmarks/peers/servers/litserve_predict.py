"""LitServe as its README shows it, with a Keras model."""

from typing import Any

import litserve as ls
import numpy as np
from given import PORT, keras_model


class Scores(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.model = keras_model()

    def decode_request(self, request: dict) -> Any:
        return np.array([request["input"]], np.float32)

    def predict(self, x: Any) -> Any:
        return self.model.predict(x, verbose=0)

    def encode_response(self, output: Any) -> dict[str, float]:
        return {"output": float(output[0, 0])}


if __name__ == "__main__":
    server = ls.LitServer(Scores(), accelerator="cpu")
    server.run(port=PORT, generate_client_file=False)
