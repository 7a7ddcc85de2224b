from __future__ import annotations

from pathlib import Path

import numpy as np

from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines import open_engine


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
