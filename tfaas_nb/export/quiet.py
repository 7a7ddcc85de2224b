"""No notes from TensorFlow and its kin on what they would rather have been called with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tfaas_nb import backend


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing be told while a model is converted."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx")]
    before = {logger: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), backend.without_notes():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
