"""LitServe tuned: batches as large as there are clients, quiet, the fastest TensorFlow call.

Its ``fast_queue`` has no effect in the versions there are (its issue 751).
"""

from typing import Any

import litserve as ls
import numpy as np
from given import PORT, fastest_call


class Scores(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.call = fastest_call()

    def decode_request(self, request: dict) -> Any:
        return request["input"]

    def batch(self, inputs: list[Any]) -> Any:
        return np.array(inputs, np.float32)

    def predict(self, x: Any) -> Any:
        return self.call(x)

    def unbatch(self, output: Any) -> list[float]:
        return output[:, 0].tolist()

    def encode_response(self, output: float) -> dict[str, float]:
        return {"output": output}


if __name__ == "__main__":
    api = Scores(max_batch_size=64, batch_timeout=0.0005)
    server = ls.LitServer(api, accelerator="cpu", fast_queue=True)
    server.run(
        port=PORT,
        generate_client_file=False,
        num_api_servers=1,
        log_level="error",
        access_log=False,
    )
