from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.export.test_triton import checked, triton_messages
from tfaas_nb.bundle import Bundle
from tfaas_nb.export.kserve import service_name


@pytest.mark.slow
def test_a_service_and_the_repository_that_it_loads(bundle: Bundle, tmp_path: Path) -> None:
    for _ in range(2):
        path = bundle.renamed("ttbar_V2").export("kserve", tmp_path)
    assert path == tmp_path / "ttbar_V2"
    checked(path / "models" / "ttbar_V2", triton_messages())
    service = yaml.safe_load((path / "inferenceservice.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert service["metadata"] == {"name": "ttbar-v2"}
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"] == {"name": "onnx"}
    assert model["runtime"] == "kserve-tritonserver"
    assert model["protocolVersion"] == "v2", "the runtime speaks no other"
    assert re.fullmatch(r"(pvc|s3|gs|https)://\S+/models", model["storageUri"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ttbar", "ttbar"),
        ("ttbar_V2.1", "ttbar-v2-1"),
        ("1e5", "model-1e5"),
        ("_", "model"),
        ("a" * 62 + "-b", "a" * 62),
    ],
)
def test_services_are_called_as_kubernetes_lets_them(name: str, expected: str) -> None:
    found = service_name(name)
    assert found == expected
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", found), "RFC 1123, and a letter first"
