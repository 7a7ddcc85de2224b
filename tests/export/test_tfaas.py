from __future__ import annotations

import json
from pathlib import Path

from tfaas_nb.bundle import Bundle


def test_the_folder_is_a_model_of_tfaas(bundle: Bundle, tmp_path: Path) -> None:
    for _ in range(2):
        path = bundle.export("tfaas", tmp_path)
    assert path == tmp_path / "ttbar"
    params = json.loads((path / "params.json").read_bytes())
    assert params["name"] == path.name, "the Go server looks for a model's folder by its name"
    assert (path / params["model"]).read_bytes() == bundle.graph.serialized
    assert (path / params["labels"]).read_text() == "signal\n"
    assert (params["inputNode"], params["outputNode"]) == ("input", "output")
    assert Bundle.load(path).files() == bundle.files()
