"""Folders with the model in them, for as long as they are needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import model
from tfaas_nb.repository import Repository


@contextmanager
def models() -> Iterator[Path]:
    """A repository that holds the model."""
    with tempfile.TemporaryDirectory() as folder:
        Repository(folder).store(model.bundle())
        yield Path(folder)


@contextmanager
def files() -> Iterator[Path]:
    """A folder with ``model.keras`` and ``model.pb``."""
    with tempfile.TemporaryDirectory() as folder:
        yield model.save(Path(folder))
