"""The Go TFaaS: a folder of the directory that its configuration calls ``modelDir``."""

from __future__ import annotations

from pathlib import Path

from tfaas_nb.export import folder
from tfaas_nb.export.content import Content


def tfaas(content: Content, directory: Path) -> Path:
    """Write ``directory/NAME``: ``params.json`` and the files that it names.

    Raises
    ------
    GraphError
        If the model is not TensorFlow's.
    BundleError
        If something else is in the way.
    """
    content.frozen("a model of TFaaS")
    return folder.write(directory / content.name, content.files, "tfaas")
