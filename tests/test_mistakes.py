"""Typical mistakes of users: told in our words, with what is wrong and the next step."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tfaas_nb import errors
from tfaas_nb.data.dataset import Dataset

#: Words of Python and of libraries, which no user should have to read.
FOREIGN = (
    "has no attribute",
    "object is not",
    "positional argument",
    "unexpected keyword",
    "Max retries",
    "HTTPConnectionPool",
    "Errno",
    "invalid syntax",
    "Traceback",
    "must be called with",
    "bytes-like",
    "object at 0x",
)
FILE, OTHER = (str(path) for path in tn.sample_files())
QUIET: Any = {"progress": False}


@dataclass(frozen=True)
class Desk:
    """Things at a user's hand: a classifier, datasets, a server and its client, a folder."""

    classifier: tn.Classifier
    train: Dataset
    test: Dataset
    bundle: tn.Bundle
    server: tn.Server
    client: tn.Client
    evaluation: tn.Evaluation
    folder: Path
    nowhere: str


@pytest.fixture(scope="module")
def desk(
    tmp_path_factory: pytest.TempPathFactory,
    classifier: tn.Classifier,
    bundle: tn.Bundle,
    events: Dataset,
    unseen: Dataset,
) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    bundle.save(folder)
    (folder / "ttbar.tar.gz").write_bytes(bundle.archive())
    (folder / "empty").mkdir()
    with closing(socket.socket()) as unused, tn.Server(folder / "models", port=0) as server:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = server.client()
        client.upload(bundle)
        judged = classifier.evaluate(unseen)
        yield Desk(
            classifier, events, unseen, bundle, server, client, judged, folder, nowhere
        )  # fmt: skip


Mistake = Callable[[Desk], Any]

#: Mistake → class of the error, and words that name the offending thing and the next step.
MISTAKES: dict[str, tuple[Mistake, type[Exception], tuple[str, ...]]] = {
    # --- reading
    "a file that is not there": (
        lambda d: tn.load("nix.root", OTHER, **QUIET), errors.DataError, ("nix.root",),
    ),
    "one class": (lambda d: tn.load(FILE), errors.DataError, ("background", "tn.read(files)")),
    "no signal": (lambda d: tn.load(None, OTHER), errors.DataError, ("by its path", "NoneType")),
    "a folder": (
        lambda d: tn.load(d.folder / "empty", OTHER), errors.DataError, ("folder", "*.root"),
    ),
    "an empty list": (lambda d: tn.load([], OTHER), errors.DataError, ("list", "empty")),
    "a glob of nothing": (
        lambda d: tn.load(f"{d.folder}/*.root", OTHER), errors.DataError, ("no file matches",),
    ),
    "features as text": (
        lambda d: tn.load(FILE, OTHER, features="jetPt"), errors.DataError, ("FeatureSet", "jetPt"),
    ),
    "features as a list": (
        lambda d: tn.load(FILE, OTHER, features=["jetPt"]), errors.DataError, ("FeatureSet",),
    ),
    "another tree": (
        lambda d: tn.read(FILE, tree="Events"), errors.DataError, ("'Events'", "'events'"),
    ),
    "a branch that is not there": (
        lambda d: tn.read(FILE, branches={"jetPt": "pt"}), errors.DataError, ("'pt'", "jetPt"),
    ),
    "a misspelt variable": (
        lambda d: tn.read(FILE, branches={"jetMassSoftdrop": "m"}),
        errors.DataError, ("jetMassSoftdrop", "jetMassSoftDrop"),
    ),
    "one = in a cut": (
        lambda d: tn.read(FILE, cut="nJets = 2"), errors.DataError, ("nJets", "equal is =="),
    ),
    "a misspelt cut": (
        lambda d: tn.read(FILE, cut="njets > 2"), errors.DataError, ("njets", "'nJets'"),
    ),
    "a cut that is a number": (
        lambda d: tn.read(FILE, cut=3), errors.DataError, ("selection", "text or a function"),
    ),
    "a cut that gives nothing": (
        lambda d: tn.read(FILE, cut=lambda events: None, **QUIET),
        errors.CutError, ("must return a mask",),
    ),
    "a weight that is not there": (
        lambda d: tn.read(FILE, weight="w"), errors.DataError, ("w is neither", "optional"),
    ),
    "a cross-section with its unit": (
        lambda d: tn.Sample(FILE, xsec="1 pb", lumi=1), errors.DataError, ("'1 pb'", "number"),
    ),
    "a negative cross-section": (
        lambda d: tn.Sample(FILE, xsec=-1.0, lumi=1), errors.DataError, ("xsec=-1.0", "positive"),
    ),
    "what to do with errors": (
        lambda d: tn.read(FILE, on_error="ignore"), errors.DataError, ("'ignore'", "'skip'"),
    ),
    "inspecting nothing": (lambda d: tn.inspect(None), errors.DataError, ("path", "NoneType")),
    "inspecting an archive": (
        lambda d: tn.inspect(d.folder / "ttbar.tar.gz"), errors.DataError, ("gzip", "unpack"),
    ),
    "another process": (
        lambda d: tn.simulate("wjets", 10, 1, "x.root"), errors.DataError, ("'wjets'", "ttbar"),
    ),
    # --- datasets
    "a column that is not there": (
        lambda d: d.test["jetPT_0"], errors.FeatureError, ("'jetPT_0'", "'jetPt_0'"),
    ),
    "an event by its number": (
        lambda d: d.test[0], errors.DataError, ("not by 0", "data.event(i)"),
    ),
    "a mask of another length": (
        lambda d: d.test[np.ones(3, bool)], errors.DataError, ("mask of 3", "400 events"),
    ),
    "a percentage": (lambda d: d.test.split(test=30), errors.DataError, ("test=30", "0 and 1")),
    "two fractions": (lambda d: d.test.split(0.7, 0.3), errors.DataError, ("seed", "0.3")),
    "overlap of arrays": (
        lambda d: tn.overlap(d.test.X, d.test.X), errors.DataError, ("overlap", "from_columns"),
    ),
    "no name for features": (
        lambda d: tn.FeatureSet(["a", "b"]), errors.FeatureError, ("name", "FeatureSet('two jets'"),
    ),
    "a quantity that is not known": (
        lambda d: tn.FeatureSet("x", ["nJets"], derived=["tau12_0"]),
        errors.FeatureError, ("'tau12_0'",),
    ),
    # --- the classifier
    "a number for a classifier": (
        lambda d: tn.Classifier(10), errors.TrainingError, ("Classifier(epochs=10)", "not 10"),
    ),
    "a misspelt option": (
        lambda d: tn.Classifier(epoch=3), errors.TrainingError, ("epoch", "did you mean 'epochs'"),
    ),
    "epochs as text": (
        lambda d: tn.Classifier(epochs="3"), errors.TrainingError, ("epochs", "'3'"),
    ),
    "a negative learning rate": (
        lambda d: tn.Classifier(learning_rate=-1), errors.TrainingError, ("learning_rate", "-1"),
    ),
    "fit without classes": (
        lambda d: tn.Classifier().fit(d.train.X), errors.DataError, ("fit(X, y)", "ndarray"),
    ),
    "fit of a file": (
        lambda d: tn.Classifier().fit(FILE), errors.DataError, (FILE, "tn.load(signal"),
    ),
    "fit with an option": (
        lambda d: tn.Classifier().fit(d.train, epochs=3),
        errors.TrainingError, ("'epochs'", "Classifier(epochs=3)"),
    ),
    "fit with progress by place": (
        lambda d: tn.Classifier().fit(d.train, False), errors.DataError, ("by their names",),
    ),
    "fit of one class": (
        lambda d: tn.Classifier().fit(d.train.signal, **QUIET),
        errors.TrainingError, ("background",),
    ),
    "fit of no event": (
        lambda d: tn.Classifier().fit(d.train[:0], **QUIET), errors.TrainingError, ("0 ",),
    ),
    "predict before fit": (
        lambda d: tn.Classifier().predict(d.test), errors.TrainingError, ("call fit(train)",),
    ),
    "evaluate without classes": (
        lambda d: d.classifier.evaluate(d.test.X), errors.DataError, ("evaluate(X, y)",),
    ),
    "evaluate what was trained on": (
        lambda d: d.classifier.evaluate(d.train), errors.DataError, ("were in the training",),
    ),
    "a name with a slash": (
        lambda d: d.classifier.bundle("a/b"), errors.BundleError, ("'a/b'", "letters, digits"),
    ),
    "a name that is a number": (
        lambda d: d.classifier.bundle(3), errors.BundleError, ("3 cannot name a model",),
    ),
    "two efficiencies": (
        lambda d: d.evaluation.working_point(eps_s=0.1, eps_b=0.1),
        errors.DataError, ("either eps_s or eps_b",),
    ),
    "a report as a folder": (
        lambda d: d.evaluation.report(d.folder), errors.DataError, ("is a folder", "report.html"),
    ),
    "comparing arrays": (
        lambda d: tn.compare(d.test.X, d.test.y), errors.DataError, ("compare", "from_columns"),
    ),
    "one fold": (
        lambda d: tn.cross_validate(d.train, 1), errors.TrainingError, ("folds", "not 1"),
    ),
    "folds of an array": (
        lambda d: tn.cross_validate(d.train.X, 3), errors.DataError, ("from_columns",),
    ),
    "a scan of a misspelt option": (
        lambda d: tn.scan({"epoch": [1]}, d.train), errors.TrainingError, ("'epochs'",),
    ),
    "a scan of numbers": (
        lambda d: tn.scan([1], d.train), errors.TrainingError, ("mapping of option to value",),
    ),
    "a curve of a number": (
        lambda d: tn.plots.roc(3), errors.DataError, ("no ROC curve", "evaluation.roc"),
    ),
    # --- arguments of other kinds, found when they are given
    "a variable that is a number": (
        lambda d: tn.FeatureSet("x", [3]), errors.FeatureError, ("event=", "'jetPt'", "3"),
    ),
    "variables that are a number": (
        lambda d: tn.FeatureSet("x", 3), errors.FeatureError, ("event=", "['jetPt']"),
    ),
    "a variable without a text for its name": (
        lambda d: tn.FeatureSet("x", [tn.Variable(["a"])]), errors.FeatureError, ("tn.Variable(",),
    ),
    "an order that is a list": (
        lambda d: tn.FeatureSet("x", [], ["jetPt"], order_by=["jetPt"]),
        errors.FeatureError, ("order_by",),
    ),
    "derived quantities that are numbers": (
        lambda d: tn.FeatureSet("x", derived=[1]), errors.FeatureError, ("derived=", "1"),
    ),
    "features of a dataset as names": (
        lambda d: Dataset(d.test.X, d.test.y, d.test.weight, ["a"]),
        errors.DataError, ("FeatureSet", "list"),
    ),
    "sources of a dataset as paths": (
        lambda d: Dataset(d.test.X, d.test.y, d.test.weight, d.test.features, (FILE,)),
        errors.DataError, ("sources", "Source"),
    ),
    "scaled as a single flag": (
        lambda d: Dataset(d.test.X, d.test.y, d.test.weight, d.test.features, scaled=True),
        errors.DataError, ("scaled", "signal"),
    ),
    "a sample of a number": (lambda d: tn.Sample(3), errors.DataError, ("files", "int")),
    "a sample's weight as a list": (
        lambda d: tn.Sample(FILE, weight=[1.0]), errors.DataError, ("weight", "expression"),
    ),
    "a limit that is an array": (
        lambda d: tn.Objects(jet_pt_min=np.arange(3)), errors.DataError, ("jet_pt_min", "number"),
    ),
    "an activation that is an array": (
        lambda d: tn.Classifier(activation=np.arange(3)), errors.TrainingError, ("activation",),
    ),
    "ways that are an array": (
        lambda d: tn.Classifier(negative_weights=np.arange(3)),
        errors.TrainingError, ("negative_weights", "absolute"),
    ),
    "progress as text": (
        lambda d: tn.Classifier().fit(d.train, progress="yes"),
        errors.TrainingError, ("progress", "True or False"),
    ),
    "reading with progress as text": (
        lambda d: tn.read(FILE, progress="yes"), errors.DataError, ("progress", "True or False"),
    ),
    "scoring with progress as text": (
        lambda d: tn.score(FILE, d.bundle, d.folder / "s.root", progress="no"),
        errors.DataError, ("progress", "True or False"),
    ),
    "a result for a function": (
        lambda d: tn.Classifier().fit(d.train, on_epoch=3, **QUIET),
        errors.TrainingError, ("on_epoch", "function"),
    ),
    "stopping by a flag": (
        lambda d: tn.Classifier().fit(d.train, should_stop=True, **QUIET),
        errors.TrainingError, ("should_stop", "function"),
    ),
    "allow_overlap as text": (
        lambda d: d.classifier.evaluate(d.test, allow_overlap="no"),
        errors.DataError, ("allow_overlap", "True or False"),
    ),
    "a description that is a number": (
        lambda d: d.classifier.bundle("m", 3), errors.BundleError, ("description", "text"),
    ),
    "cross-validation of settings": (
        lambda d: tn.cross_validate(d.train, 2, {"epochs": 3}, **QUIET),
        errors.TrainingError, ("classifier", "tn.Classifier(epochs=10)"),
    ),
    "cross-validation of a class": (
        lambda d: tn.cross_validate(d.train, 2, tn.Classifier, **QUIET),
        errors.TrainingError, ("classifier", "tn.Classifier(epochs=10)"),
    ),
    "a scan stopped by a flag": (
        lambda d: tn.scan({"epochs": [1]}, d.train, should_stop=True, **QUIET),
        errors.TrainingError, ("should_stop", "function"),
    ),
    "a scan of one number": (
        lambda d: tn.scan(3, d.train, **QUIET),
        errors.TrainingError, ("mapping of option to value",),
    ),
    "a comparison of an array": (
        lambda d: tn.compare(d.train, d.test, np.arange(3), **QUIET),
        errors.TrainingError, ("by name", "'mine'"),
    ),
    "a million seeds": (
        lambda d: tn.compare(d.train, d.test, {"a": d.classifier}, seeds=10**6, **QUIET),
        errors.TrainingError, ("seeds", "at most"),
    ),
    "an evaluation of an array": (
        lambda d: tn.Evaluation.of(d.test.X, d.test.y),
        errors.DataError, ("ndarray", "Evaluation.of(dataset, scores)"),
    ),
    "scores that are text": (
        lambda d: tn.Evaluation.of(d.test, "high"), errors.DataError, ("scores", "'high'"),
    ),
    "an evaluation of a path": (
        lambda d: tn.Evaluation.of(d.test, d.evaluation.scores, FILE),
        errors.DataError, ("trained", "tn.Classifier"),
    ),
    "an evaluation with an overlap of 3": (
        lambda d: tn.Evaluation.of(d.test, d.evaluation.scores, None, 3),
        errors.DataError, ("overlap", "tn.overlap(a, b)"),
    ),
    "a comparison to a curve": (
        lambda d: d.evaluation.compare(d.evaluation.roc), errors.DataError, ("other", "Evaluation"),
    ),
    "a comparison with one name": (
        lambda d: d.evaluation.compare(d.evaluation, ("mine",)),
        errors.DataError, ("names", "pair"),
    ),
    "a significance that is a list": (
        lambda d: d.evaluation.significance(["asimov"], 1, 1), errors.DataError, ("'asimov'",),
    ),
    "a report to a number": (
        lambda d: d.evaluation.report(3), errors.DataError, ("path", "3"),
    ),
    "a report's significance as a number": (
        lambda d: d.evaluation.report(d.folder / "r.html", significance=3.0),
        errors.DataError, ("significance", "evaluation.significance(...)"),
    ),
    "a report's features as text": (
        lambda d: d.evaluation.report(d.folder / "r.html", features="jetPt_0"),
        errors.DataError, ("features", "['jetPt_0']"),
    ),
    "importance of a misspelt group": (
        lambda d: d.evaluation.importance(groups=[["jetMas"]], **QUIET),
        errors.DataError, ("'jetMas'", "'jetMass'"),
    ),
    "importance of names in no group": (
        lambda d: d.evaluation.importance(groups=["jetMass", "jetPt"], **QUIET),
        errors.DataError, ("groups=", "[['jetMass'"),
    ),
    "importance refitted twice": (
        lambda d: d.evaluation.importance(refit=2, **QUIET),
        errors.DataError, ("refit", "True or False"),
    ),
    "an authority that is a number": (
        lambda d: tn.Client("https://127.0.0.1:1", ca=3), errors.ServerError, ("ca", "PEM"),
    ),
    "a certificate in bytes": (
        lambda d: tn.Client("https://127.0.0.1:1", cert=b"x"), errors.ServerError, ("cert", "PEM"),
    ),
    "a fingerprint that is none": (
        lambda d: tn.Client("https://127.0.0.1:1", fingerprint="12:34"),
        errors.ServerError, ("fingerprint", "SHA-256"),
    ),
    "workers that are an array": (
        lambda d: tn.Server(d.folder / "m", workers=np.arange(3)),
        errors.ServerError, ("workers", "auto"),
    ),
    # --- bundles and scores
    "a bundle that is not there": (lambda d: tn.Bundle.load("nix"), errors.BundleError, ("nix",)),
    "a ROOT file as a bundle": (
        lambda d: tn.Bundle.of(FILE), errors.TfaasError, (FILE,),
    ),
    "a path as bytes": (
        lambda d: tn.Bundle.from_upload("ttbar.tar.gz", "x"),
        errors.BundleError, ("bytes of a file", "Bundle.of(path)"),
    ),
    "a format that is not there": (
        lambda d: d.bundle.export("tflite", d.folder / "x"), errors.BundleError, ("onnx",),
    ),
    "scores in a text file": (
        lambda d: tn.score(FILE, d.bundle, d.folder / "s.txt"),
        errors.DataError, ("s.txt", ".root or .parquet"),
    ),
    "scores by a model that is not there": (
        lambda d: tn.score(FILE, "nix", d.folder / "s.root"), errors.BundleError, ("nix",),
    ),
    # --- the server
    "a port that is text": (
        lambda d: tn.Server(d.folder / "m", port="x"), errors.ServerError, ("0-65535",),
    ),
    "a port too large": (
        lambda d: tn.Server(d.folder / "m", port=99999), errors.ServerError, ("99999",),
    ),
    "memory in apples": (
        lambda d: tn.Server(d.folder / "m", memory="2 apples"),
        errors.ServerError, ("'2 apples'", "2GB"),
    ),
    "a port in use": (
        lambda d: tn.Server(d.folder / "m", port=d.server.port).start(),
        errors.ServerError, ("in use", "another port"),
    ),
    "a file for the models": (
        lambda d: tn.Server(FILE, port=0).start(), errors.RepositoryError, (FILE, "name a folder"),
    ),
    "a client of a stopped server": (
        lambda d: tn.Server(d.folder / "m").client(), errors.ServerError, ("call start()",),
    ),
    # --- the client
    "an address without http": (
        lambda d: tn.Client("127.0.0.1:8083"), errors.ServerError, ("'http://127.0.0.1:8083'",),
    ),
    "a port for an address": (
        lambda d: tn.Client(8083), errors.ServerError, ("8083", "http://127.0.0.1:8083"),
    ),
    "another protocol": (
        lambda d: tn.Client("ftp://127.0.0.1/"), errors.ServerError, ("ftp://127.0.0.1/", "http"),
    ),
    "a time-out as text": (
        lambda d: tn.Client("http://127.0.0.1:1", timeout="1 s"),
        errors.ServerError, ("timeout", "'1 s'"),
    ),
    "nothing listens": (
        lambda d: tn.Client(d.nowhere).models(),
        errors.ServerUnreachable, ("Connection refused", "is the server running"),
    ),
    "asking where nothing listens": (
        lambda d: tn.Client(d.nowhere).predict("ttbar", d.test),
        errors.ServerUnreachable, ("Connection refused", "is the server running"),
    ),
    "a host that is not known": (
        lambda d: tn.Client("http://nowhere.invalid").models(),
        errors.ServerUnreachable, ("nowhere.invalid", "not known"),
    ),
    "https of a server without": (
        lambda d: tn.Client(f"https://127.0.0.1:{d.server.port}", "t").models(),
        errors.ServerUnreachable, ("no TLS",),
    ),
    "a wrong token": (
        lambda d: tn.Client(d.server.url, "wrong").models(),
        errors.Unauthorized, ("token=", "shows another"),
    ),
    "no token": (
        lambda d: tn.Client(f"http://127.0.0.1:{d.server.port}").models(),
        errors.Unauthorized, ("token=", "shows none"),
    ),
    "a file that is no model": (
        lambda d: d.client.upload(d.folder / "nix.tar.gz"), errors.BundleError, ("nix.tar.gz",),
    ),
    "a folder that is no model": (
        lambda d: d.client.upload(d.folder / "empty"), errors.BundleError, ("params.json",),
    ),
    "name and model the other way": (
        lambda d: d.client.upload("ttbar", d.classifier),
        errors.BundleError, ("model first", "upload(model, 'ttbar')"),
    ),
    "nothing to upload": (
        lambda d: d.client.upload(None), errors.BundleError, ("NoneType", "Keras model"),
    ),
    "another library's model": (
        lambda d: d.client.upload(SimpleNamespace(), "x"), errors.BundleError, ("ONNX",),
    ),
    "a graph without a name": (
        lambda d: d.client.upload(d.bundle.graph), errors.BundleError, ("give name=",),
    ),
    "a misspelt model": (
        lambda d: d.client.predict("ttbra", d.test), errors.ModelNotFound, ("'ttbra'", "'ttbar'"),
    ),
    "model and events the other way": (
        lambda d: d.client.predict(d.test, "ttbar"),
        errors.ModelNotFound, ("by its name", "client.predict('ttbar', events)"),
    ),
    "too few columns": (
        lambda d: d.client.predict("ttbar", d.test.X[:, :41]), errors.FeatureError, ("41", "42"),
    ),
    "too few values": (
        lambda d: d.client.predict("ttbar", [1, 2, 3]), errors.FeatureError, ("(3,)", "42"),
    ),
    "events as a file": (
        lambda d: d.client.predict("ttbar", FILE), errors.FeatureError, (FILE, "tn.score(files"),
    ),
    "no events": (
        lambda d: d.client.predict("ttbar", None), errors.FeatureError, ("None",),
    ),
    "NaN": (
        lambda d: d.client.predict("ttbar", d.test.X * np.nan),
        errors.FeatureError, ("'nJets'", "nan"),
    ),
    "a version that is not there": (
        lambda d: d.client.label("ttbar", "prod", 99), errors.ModelNotFound, ("99", "[1]"),
    ),
    "a model to delete that is not there": (
        lambda d: d.client.delete("nix"), errors.ModelNotFound, ("'nix'",),
    ),
    "a picture that is not there": (
        lambda d: d.client.predict_image("ttbar", "nix.png"), errors.FeatureError, ("nix.png",),
    ),
    "promotion to an address": (
        lambda d: tn.promote("ttbar", d.client, "http://127.0.0.1:1"),
        errors.ServerError, ("target", "tn.Client(url"),
    ),
    # --- widgets
    "a dashboard of a number": (
        lambda d: tn.widgets.Dashboard(3), errors.ServerError, ("tn.Server", "int"),
    ),
    "a query of data": (
        lambda d: tn.widgets.Query(d.test), errors.ServerError, ("Query(server)", "Dataset"),
    ),
    "a query of an address": (
        lambda d: tn.widgets.Query("http://127.0.0.1:1"), errors.ServerError, ("tn.Client(url",),
    ),
    "an upload to nothing": (
        lambda d: tn.widgets.Upload(3), errors.ServerError, ("Upload(server)",),
    ),
    "a view of a list": (
        lambda d: tn.widgets.RocView([d.evaluation]), errors.DataError, ("{name: Evaluation}",),
    ),
    "training on an array": (
        lambda d: tn.widgets.TrainPanel(d.train.X), errors.DataError, ("from_columns",),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_what_is_wrong_and_the_next_step(name: str, desk: Desk) -> None:
    mistake, kind, words = MISTAKES[name]
    with pytest.raises(kind) as raised:
        mistake(desk)
    assert isinstance(raised.value, errors.TfaasError)
    message = str(raised.value)
    for word in words:
        assert word in message, message
    for foreign in FOREIGN:
        assert foreign not in message, message


def test_there_are_many_of_them() -> None:
    assert len(MISTAKES) >= 60


# --- what is meant is clear ---------------------------------------------------------------


@pytest.mark.slow
def test_events_as_mappings_are_scored(desk: Desk) -> None:
    names = desk.test.features.names
    dicts = [dict(zip(names, map(float, row), strict=True)) for row in desk.test.X[:3]]
    scores = desk.client.predict("ttbar", dicts)
    assert scores == pytest.approx(desk.classifier.predict(desk.test[:3]), abs=1e-6)


@pytest.mark.slow
def test_what_is_at_hand_is_uploaded(desk: Desk) -> None:
    expected = desk.classifier.predict(desk.test[:5])
    archive = desk.folder / "ttbar.tar.gz"
    (desk.folder / "lone.pb").write_bytes(desk.bundle.graph.serialized)
    for name, model in {
        "classifier": desk.classifier,
        "folder": desk.folder / "ttbar",
        "archive": str(archive),
        "bytes": archive.read_bytes(),
        "graph": desk.bundle.graph,
        "file": desk.folder / "lone.pb",
    }.items():
        assert desk.client.upload(model, name) == 1
        scores = desk.client.predict(name, desk.test.X[:5])
        assert scores == pytest.approx(expected, abs=1e-6), name


@pytest.mark.slow
def test_a_name_is_that_of_what_is_uploaded(desk: Desk) -> None:
    assert tn.Bundle.of(desk.classifier).name == desk.test.features.name
    assert tn.Bundle.of(desk.folder / "ttbar").name == "ttbar"
    (desk.folder / "my model (2).pb").write_bytes(desk.bundle.graph.serialized)
    assert tn.Bundle.of(desk.folder / "my model (2).pb").name == "my-model-2"


@pytest.mark.slow
def test_a_keras_model_is_uploaded(desk: Desk) -> None:
    names = desk.test.features.names
    assert desk.client.upload(desk.classifier.model, "keras", features=names) == 1
    scores = desk.client.predict("keras", desk.test[:5])
    assert scores == pytest.approx(desk.classifier.predict(desk.test[:5]), abs=1e-6)
