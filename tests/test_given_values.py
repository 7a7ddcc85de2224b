"""Arguments of other kinds, sizes and ranges: refused when given, or taken as they are meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import placeholder, serialized
from tfaas_nb import errors
from tfaas_nb.bundle import Bundle
from tfaas_nb.data.simulation import Selection
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.metrics import Band, Calibration, Roc

FILE, OTHER = (str(path) for path in tn.sample_files())
QUIET: Any = {"progress": False}
GRAPH = FrozenGraph.from_bytes(serialized(lambda tf: tf.identity(placeholder(tf), name="y")))
BUNDLE = Bundle.create("m", GRAPH, ("y0", "y1"))
LONG = "x" * 5000
CLIENT = tn.Client("http://127.0.0.1:1")
Y, SCORES = np.arange(40) % 2, np.linspace(0.1, 0.9, 40)
CURVE = Roc.of(Y, SCORES)


def draw(ax: Any) -> None:
    tn.plots.roc(CURVE, ax)


#: Use of a value → class of the error, words of its message, and the values that are refused.
REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str, tuple[Any, ...]]] = {
    "a process": (
        lambda v: tn.simulate(v, 1, 1, "x.root", **QUIET),
        errors.DataError, "choose one of", (["qcd"], {}, None, np.arange(3)),
    ),
    "a number of events": (
        lambda v: tn.simulate("qcd", v, 1, "x.root", **QUIET),
        errors.DataError, "cannot simulate", (10**12, -1, 2.5, True),
    ),
    "a file of events": (
        lambda v: tn.simulate("qcd", 1, 1, v, **QUIET),
        errors.DataError, "output must be a path", (None, 3, b"x", LONG, "a\0b"),
    ),
    "a selection": (
        lambda v: tn.simulate("qcd", 1, 1, "x.root", v, **QUIET),
        errors.DataError, "selection must be a Selection", (True, "jets", {}, np.arange(3)),
    ),
    "the progress of a simulation": (
        lambda v: tn.simulate("qcd", 1, 1, "x.root", progress=v),
        errors.DataError, "progress must be True, False or a function", ("no", 1, None),
    ),
    "a limit of a simulation": (
        lambda v: Selection(jet_pt_min=v), errors.DataError, "jet_pt_min must be a number",
        ("200 GeV", None, True, float("nan")),
    ),
    "memory of a stream": (
        lambda v: tn.load(FILE, OTHER, stream=True, memory=v, **QUIET),
        errors.DataError, "memory must be a positive number of megabytes",
        ("2 apples", 0, -1, True, None, "0GB", [256]),
    ),
    "memory that no stream uses": (
        lambda v: tn.read(FILE, memory=v, **QUIET),
        errors.DataError, "memory must be", ("2 apples", -1),
    ),
    "a long path": (
        lambda v: tn.read(v, **QUIET), errors.DataError, "too long", (LONG, f"{LONG}.root"),
    ),
    "text of a variable": (
        tn.Variable, errors.FeatureError, "all text", (None, 3, ["met"], b"met"),
    ),
    "a unit": (
        lambda v: tn.Variable("met", v), errors.FeatureError, "all text", (None, 3, ["GeV"]),
    ),
    "padding": (
        lambda v: tn.FeatureSet("x", (), ("jetPt",), padding=v),
        errors.FeatureError, "not a number", (10**400, float("inf"), "0", True),
    ),
    "a column": (
        tn.TTBAR_ALL_HADRONIC.column, errors.FeatureError, "feature", (np.arange(3), None, 3),
    ),
    "a derivation": (
        tn.TTBAR_ALL_HADRONIC.derivation, errors.FeatureError, "feature", (None, 3, ["ht"]),
    ),
    "columns of the jets": (
        tn.TTBAR_ALL_HADRONIC.jet_columns, errors.FeatureError, "'jetPt'", ("jetPT", None, 3),
    ),
    "a file of a graph": (
        FrozenGraph.load, errors.GraphError, "path must be", (None, 3, b"x", "a\0b", LONG),
    ),
    "a graph to a file": (GRAPH.save, errors.GraphError, "path must be", (None, 3, "", LONG)),
    "a graph's text to a file": (
        GRAPH.save_text, errors.GraphError, "path must be", (None, 3, "", LONG),
    ),
    "bytes of a graph": (
        FrozenGraph.from_bytes, errors.GraphError, "bytes of a file", (None, 3, "a.pb", ["x"]),
    ),
    "a node": (
        lambda v: FrozenGraph.from_bytes(GRAPH.serialized, output_node=v),
        errors.GraphError, "output_node must be text", (3, ["y"], b"y"),
    ),
    "the model of a bundle": (
        lambda v: Bundle.create("m", v, ()), errors.BundleError, "graph must be a FrozenGraph",
        (None, "model.pb", b"x", {}),
    ),
    "labels": (
        lambda v: Bundle.create("m", GRAPH, v), errors.BundleError, "['signal']",
        (None, "signal", [1, 2], 3),
    ),
    "features of a bundle": (
        lambda v: Bundle.create("m", GRAPH, (), v), errors.BundleError, "features", (None, 3),
    ),
    "a card": (
        lambda v: Bundle.create("m", GRAPH, (), card=v), errors.BundleError, "card must be",
        ("text", 3, [1]),
    ),
    "a description": (
        lambda v: Bundle.create("m", GRAPH, (), description=v),
        errors.BundleError, "description must be text", (None, 3, ["x"]),
    ),
    "a definition of features": (
        lambda v: Bundle.create("m", GRAPH, (), feature_set=v),
        errors.BundleError, "feature_set must be a FeatureSet", ("jetPt", 3, {"a": 1}),
    ),
    "a format": (
        lambda v: BUNDLE.export(v, "x"), errors.BundleError, "there are onnx", (None, ["onnx"], {}),
    ),
    "a folder of an export": (
        lambda v: BUNDLE.export("tfaas", v), errors.BundleError, "path must be a path",
        (None, 3, "a\0b", LONG),
    ),
    "a version of an export": (
        lambda v: BUNDLE.export("triton", "x", v), errors.BundleError, "version must be a whole",
        (0, -1, 2.5, True, None, "1", float("nan")),
    ),
    "a folder of a bundle": (
        BUNDLE.save, errors.BundleError, "directory must be a path", (None, 3, "a\0b", LONG),
    ),
    "an archive of a bundle": (
        BUNDLE.save_archive, errors.BundleError, "path must be a path", (None, 3, "a\0b", LONG),
    ),
    "a bundle's file": (
        Bundle.load, errors.BundleError, "path must be a path", (None, 3, b"x", "a\0b", LONG),
    ),
    "a model's file": (
        Bundle.of, errors.BundleError, "model must be a path", ("a\0b", LONG, ""),
    ),
    "an archive's bytes": (
        Bundle.from_archive, errors.BundleError, "bytes of a file", (None, "x.tar", 3, [1]),
    ),
    "a part's bytes": (
        lambda v: Bundle.from_parts(b"", v, name="m"), errors.BundleError, "bytes of a file",
        (None, "model.pb", 3),
    ),
    "a SavedModel's folder": (
        lambda v: Bundle.from_saved_model(v, "m"), errors.BundleError, "path must be a path",
        (None, 3, "a\0b"),
    ),
    "an engine": (BUNDLE.check, errors.BundleError, "engine", (None, 3, "onnx")),
    "seconds": (
        lambda v: tn.Server(drain=v), errors.ServerError, "drain=", (10**400, -1, "x", True),
    ),
    "a rate": (lambda v: tn.Server(rate=v), errors.ServerError, "rate", (10**400, 0, -1, True)),
    "processes": (
        lambda v: tn.Server(workers=v), errors.ServerError, "worker", (10**12, 0, -1, 2.5, True),
    ),
    "a host": (
        lambda v: tn.Server().allow_host(v), errors.ServerError, "name must be text",
        (None, 3, ["a"]),
    ),
    "a model to delete": (
        CLIENT.delete, errors.ModelNotFound, "by its name", (None, 3, ["a"], 2.5),
    ),
    "a model of a width": (CLIENT.width, errors.ModelNotFound, "by its name", (None, 3, ["a"])),
    "a model of versions": (CLIENT.versions, errors.ModelNotFound, "no model", (None, 3, ["a"])),
    "a label": (
        lambda v: CLIENT.label("m", v), errors.ModelNotFound, "no model or label", (None, 3, [1]),
    ),
    "a version of a label": (
        lambda v: CLIENT.label("m", "prod", v), errors.ModelNotFound, "version must be a whole",
        (0, -1, 2.5, True, "1", b"1"),
    ),
    "a model of pictures": (
        lambda v: CLIENT.predict_image(v, b"x"), errors.ModelNotFound, "by its name", (None, 3),
    ),
    "a picture": (
        lambda v: CLIENT.predict_image("m", v), errors.FeatureError, "image must be a path",
        (None, 3, "a\0b", [1]),
    ),
    "the progress of a client": (
        lambda v: CLIENT.predict("m", [1.0], progress=v), errors.ServerError, "True or False",
        ("no", None, 3),
    ),
    # --- figures and numbers of a measurement
    "axes": (
        lambda v: tn.plots.roc(CURVE, v), errors.DataError, "plt.subplots()[1]",
        (3, "ax", draw, [1]),
    ),
    "axes of scores": (
        lambda v: tn.plots.scores(Y, SCORES, None, v), errors.DataError, "plt.subplots()[1]",
        (3, "ax"),
    ),
    "a threshold": (
        lambda v: tn.plots.scores(Y, SCORES, threshold=v), errors.DataError, "threshold must be",
        ("0.5", [0.5], 10**400),
    ),
    "a band": (
        lambda v: tn.plots.roc(CURVE, band=v), errors.DataError, "evaluation.band()",
        (True, 0.683, CURVE),
    ),
    "a calibration": (tn.plots.calibration, errors.DataError, "calibration()", (None, 3, CURVE)),
    "an importance": (tn.plots.importance, errors.DataError, "importance()", (None, 3, CURVE)),
    "a scan": (tn.plots.significance, errors.DataError, "significance()", (None, 3, Y)),
    "what is drawn": (tn.plots.png, errors.DataError, "evaluation.plot", (None, 3, "roc")),
    "a size": (
        lambda v: tn.plots.png(draw, v), errors.DataError, "inches",
        (3, (3,), "3x3", (0, 3), (10**12, 3), None),
    ),
    "dots": (
        lambda v: tn.plots.png(draw, dpi=v), errors.DataError, "dpi must be",
        (0, -1, 10**12, "72", None),
    ),
    "a figure's file": (
        lambda v: tn.plots.save(draw, v), errors.DataError, "path must be a path",
        (None, 3, "a\0b"),
    ),
    "a figure to save": (
        lambda v: tn.plots.save(v, "a.png"), errors.DataError, "evaluation.plot", (None, 3, "roc"),
    ),
    "replicas": (
        lambda v: Band.of(CURVE.events, replicas=v), errors.DataError, "replicas", (10**12,),
    ),
    "bins": (
        lambda v: Calibration.of(Y, SCORES, bins=v), errors.DataError, "bins must be", (10**12,),
    ),
    "a training on a cluster": (
        lambda v: tn.TrainingJob(None, v), errors.TrainingError, "tn.train_on(", (None, 3),
    ),
    "the files of a stream": (
        lambda v: tn.Stream(v, None), errors.DataError, "stream=True", (None, FILE, [FILE], ()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_of_another_kind_is_refused_when_it_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    use, kind, words, values = REFUSED[name]
    for value in values:
        with pytest.raises(kind) as raised:
            use(value)
        assert isinstance(raised.value, errors.TfaasError)
        message = str(raised.value)
        assert words in message, message
        for foreign in ("has no attribute", "object is not", "Errno", "bytes-like", "ambiguous"):
            assert foreign not in message, message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("memory", "megabytes"),
    [("64MB", 67.108864), ("0.5gb", 536.870912), (64, 64.0), (np.float32(64), 64.0)],
)
def test_memory_of_a_stream_is_given_as_that_of_a_server(memory: Any, megabytes: float) -> None:
    asked = tn.load(FILE, OTHER, stream=True, memory=memory, **QUIET)
    expected = tn.load(FILE, OTHER, stream=True, memory=megabytes, **QUIET)
    assert asked.block == expected.block


def test_empty_paths_are_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert BUNDLE.save("") == Path("m")
    assert BUNDLE.save_archive("") == Path("m.tar.gz")
    assert Bundle.load("m").labels == ("y0", "y1")
