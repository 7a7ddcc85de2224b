"""Freezing several SavedModels in one process."""

from __future__ import annotations

import json
from pathlib import Path

from tfaas_nb import saved_model


def work(folder: Path, *models: str) -> bytes:
    """``name:signature`` of each → its graph in hexadecimal, or why not, as JSON."""
    found = {}
    for name, signature in (model.split(":") for model in models):
        try:
            found[name] = saved_model._freeze(folder / name, signature).hex()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return json.dumps(found).encode()
