from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError


@pytest.mark.slow
def test_a_version_is_a_saved_model_that_agrees(
    bundle: Bundle, events: Dataset, tmp_path: Path
) -> None:
    tf = backend.tensorflow()
    for _ in range(2):
        path = bundle.export("tfserving", tmp_path)
    assert path == tmp_path / "ttbar"
    (version,) = (p for p in path.iterdir() if p.is_dir())
    assert version.name.isdecimal(), "versions are numbers"
    assert (version / "saved_model.pb").is_file()
    assert (version / "variables").is_dir()
    loaded = tf.saved_model.load(str(version), tags=["serve"])
    serving = loaded.signatures["serving_default"]
    assert list(serving.structured_input_signature[1]) == ["input"]
    found = serving(input=tf.constant(events.X))["output"]
    expected = open_engine(bundle.graph)(events.X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tfserving", "triton"])
def test_versions_are_kept_beside_each_other(bundle: Bundle, tmp_path: Path, form: str) -> None:
    bundle.export(form, tmp_path)
    path = bundle.export(form, tmp_path, version=2)
    bundle.export(form, tmp_path)
    found = [{p.name for p in (path / number).iterdir()} for number in ("1", "2")]
    assert found[0] == found[1]
    assert {p.name for p in path.iterdir() if p.is_dir()} == {"1", "2"}
    with pytest.raises(BundleError, match="version must be a whole number, 1 or more, not 0"):
        bundle.export(form, tmp_path, version=0)
    with pytest.raises(BundleError, match="'tfaas' has no versions; triton and tfserving have"):
        bundle.export("tfaas", tmp_path, version=2)
