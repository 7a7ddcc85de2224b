"""TensorFlow and Keras, imported when first needed, without their start-up notes.

TensorFlow tells of its processor and of graphics cards it did not find on the process's
error stream, which a kernel shows in the cell; since 2.20 no setting turns that off.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tfaas_nb.errors import TrainingError

_NOTE = re.compile(
    rb"WARNING: All log messages before absl|To enable the following instructions|[IWE]\d{4} \d\d:"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "  # before TensorFlow 2.19
)
_one_at_a_time = threading.RLock()
_is_telling = False


def tensorflow() -> Any:
    """The module ``tensorflow``; the first call takes seconds."""
    if "tensorflow" not in sys.modules:
        with without_notes():
            import tensorflow

            tensorflow.config.list_physical_devices()
    import tensorflow

    return tensorflow


def keras() -> Any:
    """The module ``keras``, running on TensorFlow.

    Raises
    ------
    TrainingError
        If this process runs Keras on something else.
    """
    tensorflow()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"Keras runs on {keras.backend.backend()} here, graphs need TensorFlow: "
            "restart with KERAS_BACKEND=tensorflow"
        )
    return keras


def tell_notes() -> None:
    """Leave the error stream as it is from now on: somebody listens for a crash's last words."""
    global _is_telling
    _is_telling = True


@contextmanager
def without_notes() -> Iterator[None]:
    """Drop TensorFlow's notes from the error stream; whatever else is written comes later."""
    if _is_telling:
        yield
        return
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # no error stream, so nothing to tidy
            yield
            return
        with tempfile.TemporaryFile() as written:
            os.dup2(written.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                _replay(written)


def _replay(written: IO[bytes]) -> None:
    written.seek(0)
    for line in written:
        if not _NOTE.match(line):
            os.write(2, line)
