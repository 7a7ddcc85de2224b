"""PyTriton tuned: larger dynamic batches, no checks of the answer, the fastest TensorFlow call."""

from __future__ import annotations

import numpy as np
from given import PORT, fastest_call
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

call = fastest_call()


@batch
def predict(**inputs: np.ndarray) -> list[np.ndarray]:
    return [call(inputs["input"])]


if __name__ == "__main__":
    with Triton(
        config=TritonConfig(http_port=PORT, allow_grpc=False, allow_metrics=False)
    ) as triton:
        triton.bind(
            model_name="mlp",
            infer_func=predict,
            inputs=[Tensor(name="input", dtype=np.float32, shape=(42,))],
            outputs=[Tensor(name="output", dtype=np.float32, shape=(1,))],
            config=ModelConfig(
                max_batch_size=256, batcher=DynamicBatcher(max_queue_delay_microseconds=100)
            ),
            strict=False,
        )
        triton.serve()
