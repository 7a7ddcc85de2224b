"""KServe: an InferenceService for Triton, and the model repository that it loads.

Source: KServe's documentation: ``serving.kserve.io/v1beta1``, the runtime
``kserve-tritonserver`` with ``modelFormat`` onnx and ``protocolVersion`` v2, whose ``storageUri``
is a model repository of Triton.  Names of Kubernetes' objects are DNS labels (RFC 1123).
"""

from __future__ import annotations

import re
from pathlib import Path

from tfaas_nb.export import folder, triton
from tfaas_nb.export.content import Content

_MOST_LETTERS = 63

_SERVICE = """\
# kubectl apply -f inferenceservice.yaml
#
# storageUri: where you copied the folder "models" to, with what is in it. This one is the
# directory {service}/models of a volume whose claim is called "models"; s3://, gs:// and
# https:// do as well.
apiVersion: "serving.kserve.io/v1beta1"
kind: "InferenceService"
metadata:
  name: "{service}"
spec:
  predictor:
    model:
      modelFormat:
        name: "onnx"
      runtime: "kserve-tritonserver"
      protocolVersion: "v2"
      storageUri: "pvc://models/{service}/models"
"""


def kserve(content: Content, directory: Path) -> Path:
    """Write ``directory/NAME``: ``inferenceservice.yaml`` and ``models/NAME/``.

    Raises
    ------
    GraphError
        If the model cannot be written as ONNX.
    MissingExtra
        If what writes it is not installed.
    BundleError
        If something else is in the way.
    """
    files = {f"models/{content.name}/{name}": d for name, d in triton.files(content).items()}
    service = _SERVICE.format(service=service_name(content.name))
    files["inferenceservice.yaml"] = service.encode()
    return folder.write(directory / content.name, files, "kserve")


def service_name(name: str) -> str:
    """Name of a model as Kubernetes allows it for a service: small letters, digits, ``-``."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    found = found if found[0].isalpha() else f"model-{found}"
    return found[:_MOST_LETTERS].rstrip("-")
