from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import serialized, weighted_sum
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import (
    BundleError,
    DataError,
    FeatureError,
    ModelNotFound,
    ServerError,
    ServerUnreachable,
    Unauthorized,
)
from tfaas_nb.features import TTBAR_ALL_HADRONIC
from tfaas_nb.scoring.scorer import Model, open_scorer
from tfaas_nb.serving.server import Server

PLAIN = Bundle.from_parts(b'{"name": "sum", "features": ["a", "b", "c"]}', serialized(weighted_sum))


@pytest.fixture(scope="module")
def expected(classifier: Classifier, events: Dataset) -> np.ndarray:
    return np.asarray(classifier.predict(events[:100]))


def check(model: Model, events: Dataset, expected: np.ndarray, token: str | None = None) -> None:
    scorer = open_scorer(model, token)
    assert scorer.features == TTBAR_ALL_HADRONIC
    found = scorer.scores(events[:100].X)
    assert found.shape == (100, 1)
    assert np.abs(found[:, 0] - expected).max() <= 1e-6
    assert scorer.scores(events[:0].X).shape == (0, 1)
    scorer.close()


@pytest.mark.slow
def test_a_model_in_hand_scores(
    bundle: Bundle, classifier: Classifier, events: Dataset, expected: np.ndarray
) -> None:
    check(bundle, events, expected)
    check(classifier, events, expected)


@pytest.mark.slow
def test_a_model_on_disk_scores(
    bundle: Bundle, events: Dataset, expected: np.ndarray, tmp_path: Path
) -> None:
    folder = bundle.save(tmp_path)
    for path in (folder, str(folder), tmp_path):
        check(path, events, expected)
    check(bundle.save_archive(tmp_path / "a.tar.gz"), events, expected)


@pytest.mark.slow
def test_a_model_on_a_server_scores(serving: Server, events: Dataset, expected: np.ndarray) -> None:
    serving.client().label("ttbar", "production")
    for name in ("ttbar", "ttbar/", "ttbar/versions/1", "ttbar/labels/production"):
        check(f"{serving.url}/models/{name}", events, expected, serving.token)
    check(f"{serving.url}/models/ttbar?token={serving.token}", events, expected)


def test_events_of_a_model_that_tells_only_names_are_read_by_them(server: Server) -> None:
    client = server.client()
    client.upload(PLAIN)
    for model in (PLAIN, f"{server.url}/models/sum"):
        scorer = open_scorer(model, server.token)
        assert scorer.features == tn.FeatureSet("sum", tuple(map(tn.Variable, "abc")), jet=())
        assert scorer.scores(np.ones((2, 3), np.float32)).tolist() == [[6.0], [6.0]]


def test_a_model_without_names_is_refused(server: Server) -> None:
    nameless = replace(PLAIN, params=replace(PLAIN.params, features=()))
    server.client().upload(nameless)
    for model in (nameless, f"{server.url}/models/sum"):
        with pytest.raises(FeatureError, match="model 'sum' does not tell the names of its feat"):
            open_scorer(model, server.token)


def test_what_is_wrong_with_an_address_is_told(serving: Server) -> None:
    with pytest.raises(ModelNotFound, match="other"):
        open_scorer(f"{serving.url}/models/other", serving.token)
    with pytest.raises(Unauthorized):
        open_scorer(f"{serving.url}/models/ttbar")
    with pytest.raises(ServerError, match=r"names no model: write http://HOST:PORT/models/NAME$"):
        open_scorer(f"{serving.url}/ttbar?token=secret")
    with pytest.raises(ServerUnreachable):
        open_scorer("http://127.0.0.1:1/models/ttbar")
    for asked in ("version=1", "label=", "token=secret&version=2"):
        with pytest.raises(
            ServerError, match="not understood: a version .* /models/NAME/versions/3"
        ):
            open_scorer(f"{serving.url}/models/ttbar?{asked}", serving.token)


def test_what_is_wrong_with_a_path_is_told(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not by an empty text"):
        open_scorer("")
    with pytest.raises(BundleError, match=r"it has no params\.json, and holds none"):
        open_scorer(tmp_path)
    bundle.save(tmp_path)
    bundle.renamed("other").save(tmp_path)
    with pytest.raises(BundleError, match=r"holds 2 models \(other, ttbar\)"):
        open_scorer(tmp_path)
    with pytest.raises(BundleError, match="No such file"):
        open_scorer(tmp_path / "none")


@pytest.mark.parametrize("model", [3, None, b"model", {"name": "sum"}])
def test_what_is_no_model_is_told_so(model: Any) -> None:
    with pytest.raises(BundleError, match="a model is a Bundle, a Classifier, .* not "):
        open_scorer(model)
    with pytest.raises(BundleError, match="a model is a Bundle, a Classifier, .* not "):
        tn.score(tn.sample_files()[0], model, "scores.root")


@pytest.mark.parametrize("output", [None, 3, b"scores.root"])
def test_scores_go_where_a_path_says(output: Any) -> None:
    with pytest.raises(DataError, match="output must be the path of the file to write, not "):
        tn.score(tn.sample_files()[0], PLAIN, output)
