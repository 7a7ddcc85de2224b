"""TensorFlow Serving: a SavedModel below its version's number.

``tensorflow_model_server --model_name=NAME --model_base_path=.../NAME`` serves the folder.

Source: TensorFlow Serving's documentation (``serving_basic``): the base path has a directory
per version, whose name is a number and which holds ``saved_model.pb`` and ``variables/``.
"""

from __future__ import annotations

from pathlib import Path

from tfaas_nb.export import folder
from tfaas_nb.export.content import Content
from tfaas_nb.export.saved_model import FILE, serialized


def tfserving(content: Content, directory: Path) -> Path:
    """Write ``directory/NAME/VERSION``; other versions there stay.

    Raises
    ------
    GraphError
        If the model is not TensorFlow's.
    BundleError
        If something else is in the way.
    """
    model = serialized(content.frozen("a SavedModel"))
    version = content.version
    files = {f"{version}/{FILE}": model, f"{version}/variables/": b""}
    return folder.write(directory / content.name, files, "tfserving", version)
