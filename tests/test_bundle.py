from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfaas_nb as tn
from tests.graphs import placeholder, serialized, weighted_sum
from tests.large_model import large_model, weights
from tests.onnx_models import logistic
from tests.test_archive import zipped as zipped_files
from tfaas_nb import reference_events
from tfaas_nb.bundle import CARD, LABELS, MODEL, PARAMS, TEXT, Bundle, check_name
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, GraphError, TfaasError, TooLarge
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet, Variable
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.serving.server import Server

#: A params.json as somebody writes it by hand for a graph of their own.
HAND_MADE = {"name": "sum", "model": "graph.pb", "labels": "names.txt"}


@pytest.fixture(scope="module")
def foreign() -> bytes:
    return serialized(weighted_sum)


def packed(files: dict[str, bytes], folder: str = "sum/", mode: str = "w:gz") -> bytes:
    """An archive of files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def hand_made(model: bytes, **changes: Any) -> dict[str, bytes]:
    params = json.dumps(HAND_MADE | changes).encode()
    return {PARAMS: params, "graph.pb": model, "names.txt": b"total\n"}


# --- names ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ttbar", "a", "_x", "9", "tt-bar.v2", "A" * 100])
def test_usual_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-rf", "a/b", "../x", "a\\b", "a b", "a\n", "tt\u0304", "A" * 101],
)
def test_names_that_could_be_a_path_are_refused(name: str) -> None:
    with pytest.raises(BundleError, match="cannot name a model"):
        check_name(name)


def test_a_bundle_cannot_be_made_or_renamed_to_such_a_name(bundle: Bundle) -> None:
    makes: list[Callable[[], Bundle]] = [
        lambda: Bundle.create("../x", bundle.graph, ["signal"]),
        lambda: bundle.renamed("../x"),
    ]
    for make in makes:
        with pytest.raises(BundleError, match=r"'\.\./x' cannot name a model"):
            make()


# --- directory and archive --------------------------------------------------------------


def test_a_directory_is_that_of_tfaas(bundle: Bundle, tmp_path: Path) -> None:
    saved = bundle.save(tmp_path)
    assert saved == tmp_path / "ttbar"
    assert {p.name for p in saved.iterdir()} == {
        *(PARAMS, MODEL, LABELS, TEXT, CARD),
        reference_events.FILE,
    }
    params = json.loads((saved / PARAMS).read_bytes())
    assert params["input_node"] == params["inputNode"] == "input"
    assert params["output_node"] == params["outputNode"] == "output"
    assert (saved / LABELS).read_text() == "signal\n"


def test_a_directory_comes_back_as_it_was(bundle: Bundle, tmp_path: Path) -> None:
    assert Bundle.load(bundle.save(tmp_path)).files() == bundle.files()


def test_an_archive_comes_back_as_it_was(bundle: Bundle, tmp_path: Path) -> None:
    assert Bundle.from_archive(bundle.archive()).files() == bundle.files()
    for path in (tmp_path, tmp_path / "other.tgz"):
        assert Bundle.load(bundle.save_archive(path)).files() == bundle.files()


@pytest.mark.slow
def test_the_same_bundle_gives_the_same_archive(bundle: Bundle) -> None:
    first = bundle.archive()
    time.sleep(1.1)  # a tar holds whole seconds
    assert bundle.archive() == first


def test_an_archive_is_understood_by_tar(bundle: Bundle, tmp_path: Path) -> None:
    with tarfile.open(bundle.save_archive(tmp_path)) as tar:
        names = (PARAMS, MODEL, LABELS, TEXT, CARD, reference_events.FILE)
        assert tar.getnames() == [f"ttbar/{name}" for name in names]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("folder", ["sum/", "./sum/", "./", ""])
def test_archives_of_others_are_read(foreign: bytes, folder: str, mode: str) -> None:
    found = Bundle.from_archive(packed(hand_made(foreign), folder, mode))
    assert (found.name, found.labels, found.graph.input_node) == ("sum", ("total",), "x")


def test_a_name_beside_the_archive_replaces_its_own(foreign: bytes) -> None:
    assert Bundle.from_archive(packed(hand_made(foreign)), "other").name == "other"


def test_an_unwritable_place_is_named(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match=r"file/ttbar cannot be written: Not a directory"):
        bundle.save(tmp_path / "file")
    with pytest.raises(BundleError, match=r"none/a\.tar\.gz cannot be written: No such file"):
        bundle.save_archive(tmp_path / "none" / "a.tar.gz")


def test_a_saved_bundle_has_nothing_of_the_one_before(bundle: Bundle, tmp_path: Path) -> None:
    folder = bundle.save(tmp_path)
    (folder / "notes.txt").write_text("a user's own")
    bare = replace(bundle, reference_events=None)
    bare.save(tmp_path)
    assert Bundle.load(folder).reference_events is None
    assert (folder / "notes.txt").read_text() == "a user's own"


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none: No such file"):
        Bundle.load(tmp_path / "none")


@pytest.mark.parametrize("missing", [PARAMS, MODEL])
def test_a_missing_part_of_a_directory_is_named(
    bundle: Bundle, tmp_path: Path, missing: str
) -> None:
    saved = bundle.save(tmp_path)
    (saved / missing).unlink()
    with pytest.raises(BundleError, match=f"ttbar/{missing}: No such file"):
        Bundle.load(saved)


def test_a_directory_that_points_elsewhere_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    saved = bundle.save(tmp_path)
    (saved / PARAMS).write_text(json.dumps(HAND_MADE | {"model": "../../etc/passwd"}))
    with pytest.raises(BundleError, match=r"'\.\./\.\./etc/passwd', which is not a plain file"):
        Bundle.load(saved)


# --- archives that are refused ----------------------------------------------------------


def with_member(kind: bytes, name: str, link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        tar.addfile(entry)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (
            with_member(tarfile.SYMTYPE, "m/model.pb", "/etc/passwd"),
            "'m/model.pb' is not a regular",
        ),
        (
            with_member(tarfile.LNKTYPE, "m/model.pb", "/etc/passwd"),
            "'m/model.pb' is not a regular",
        ),
        (with_member(tarfile.CHRTYPE, "m/zero"), "'m/zero' is not a regular"),
        (with_member(tarfile.BLKTYPE, "m/disk"), "'m/disk' is not a regular"),
        (with_member(tarfile.FIFOTYPE, "m/pipe"), "'m/pipe' is not a regular"),
        (with_member(tarfile.REGTYPE, "/etc/passwd"), "'/etc/passwd' points outside"),
        (with_member(tarfile.REGTYPE, "../passwd"), "'../passwd' points outside"),
        (with_member(tarfile.REGTYPE, "m/../../passwd"), "'m/../../passwd' points outside"),
        (with_member(tarfile.DIRTYPE, ".."), "'..' points outside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "archive",  # which holds the time
)
def test_members_that_are_no_plain_files_are_refused(archive: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.from_archive(archive)


def test_too_many_members_are_refused() -> None:
    with pytest.raises(TooLarge, match="more than 64 members"):
        Bundle.from_archive(packed({str(i): b"" for i in range(65)}))


def zeros(before: bytes, megabytes: int) -> bytes:
    """Make a gzip stream of some bytes and many zeros, a thousandth of their size."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [squeeze.compress(before)]
    parts += [squeeze.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*parts, squeeze.flush()])


def claiming(kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo("m/model.pb")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_what_unpacks_to_too_much_is_refused(kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long names and PAX headers are members that tarfile reads whole on its own."""
    monkeypatch.setattr("tfaas_nb.archive.content.MOST_BYTES", 8 << 20)
    monkeypatch.setattr("tfaas_nb.archive.bounds.MOST_BYTES", 8 << 20)
    bomb = zeros(claiming(kind, 32 << 20), 32)
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge, match="more than 64 members or 8 MB"):
        Bundle.from_archive(bomb)


def test_many_members_within_the_limit_are_too_large_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tfaas_nb.archive.content.MOST_BYTES", 4 << 20)
    monkeypatch.setattr("tfaas_nb.archive.bounds.MOST_BYTES", 4 << 20)
    with pytest.raises(TooLarge, match="4 MB"):
        Bundle.from_archive(packed({str(i): bytes(1 << 20) for i in range(5)}))


def test_a_gzip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zeros(claiming(tarfile.REGTYPE, 8 << 30), 64)
    start = time.perf_counter()
    with pytest.raises(TooLarge, match="512 MB"):
        Bundle.from_archive(bomb)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_an_archive_that_was_cut_is_refused(bundle: Bundle, share: float) -> None:
    whole = bundle.archive()
    with pytest.raises(BundleError):
        Bundle.from_archive(whole[: int(len(whole) * share)])


def test_the_checksum_of_an_archive_is_looked_at(foreign: bytes) -> None:
    """The parts of this one are whole; only gzip's last bytes are not."""
    archive = packed(hand_made(foreign))
    with pytest.raises(BundleError, match=r"not a whole \.tar or \.tar\.gz: CRC check failed"):
        Bundle.from_archive(archive[:-8] + bytes(4) + archive[-4:])


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 a zip file", b"\x1f\x8b", gzip.compress(b"no", mtime=0)]
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"not a whole \.tar or \.tar\.gz"):
        Bundle.from_archive(data)


@pytest.mark.slow
@given(st.binary() | st.binary().map(gzip.compress))
def test_no_bytes_get_past_the_error_tree(data: bytes) -> None:
    with pytest.raises(TfaasError):
        Bundle.from_archive(data)


def test_an_archive_without_params_is_refused(foreign: bytes) -> None:
    with pytest.raises(BundleError, match=r"holds \['graph.pb'\] and no params.json"):
        Bundle.from_archive(packed({"graph.pb": foreign}))


@pytest.mark.parametrize(
    "pack", [packed, lambda files, _: zipped_files(files)], ids=["tar.gz", "zip"]
)
def test_the_highest_version_in_an_archive_is_taken(pack: Any, foreign: bytes) -> None:
    files = {}
    for number in ("1", "9", "10"):
        params = HAND_MADE | {"description": number}
        files[f"ttbar/{number}/params.json"] = json.dumps(params).encode()
        files[f"ttbar/{number}/graph.pb"] = foreign
        files[f"ttbar/._{number}"] = b""
    for folder in ("", "export/"):
        inner = {f"{folder}{name}": content for name, content in files.items()}
        found = Bundle.from_upload(pack(inner, ""))
        assert (found.params.description, found.graph.serialized) == ("10", foreign)


def test_an_archive_of_several_models_is_refused(foreign: bytes) -> None:
    models = {f"{name}/model.onnx": foreign for name in ("ttbar", "qcd")}
    with pytest.raises(BundleError, match="several models, in the folders qcd, ttbar: upload each"):
        Bundle.from_archive(packed(models, ""))


def test_an_archive_without_its_model_is_refused(foreign: bytes) -> None:
    files = hand_made(foreign)
    del files["graph.pb"]
    with pytest.raises(BundleError, match=r"names the model 'graph.pb', but the archive has \['n"):
        Bundle.from_archive(packed(files))


# --- other formats ----------------------------------------------------------------------


def test_an_onnx_model_is_kept_as_it_is(tmp_path: Path) -> None:
    _, _, model = logistic(["qcd", "ttbar"], zipmap=True)
    found = Bundle.from_upload(model, "forest")
    assert (found.name, found.labels, found.features) == ("forest", ("qcd", "ttbar"), None)
    saved = found.save(tmp_path)
    assert {p.name for p in saved.iterdir()} == {PARAMS, "model.onnx", LABELS, CARD}
    assert (saved / "model.onnx").read_bytes() == model
    again = Bundle.load(saved)
    assert again.files() == found.files()
    assert Bundle.from_archive(found.archive()).files() == found.files()
    assert "ends" in found._repr_html_()
    assert found.params.input_node == "X"


def test_labels_beside_an_onnx_model_replace_its_own() -> None:
    _, _, model = logistic([0, 1], zipmap=False)
    assert Bundle.from_parts(b"", model, b"no\nyes\n", name="m").labels == ("no", "yes")


@pytest.mark.parametrize("start", [b"\x08\x08", b"\n", b"PK\x03\x04"])
def test_a_lone_file_needs_a_name(start: bytes, foreign: bytes) -> None:
    with pytest.raises(BundleError, match=r"without params.json and without a name: send its n"):
        Bundle.from_upload(start)
    assert Bundle.from_upload(foreign, "sum").name == "sum"


@pytest.mark.parametrize("name", [None, "m"])
def test_a_lone_file_that_is_no_model_needs_no_name(name: str | None) -> None:
    with pytest.raises((BundleError, GraphError), match=r"an \.h5 file, which Keras cannot load"):
        Bundle.from_upload(b"\x89HDF\r\n\x1a\n", name)


def with_ends(tf: Any) -> None:
    jets, count = placeholder(tf, "jets"), placeholder(tf, "count", 1)
    tf.concat([jets, count], 1, name="kind")
    tf.identity(jets, name="mass")


def test_several_tensors_are_named_in_params(tmp_path: Path) -> None:
    graph = FrozenGraph.from_bytes(serialized(with_ends))
    found = Bundle.create("m", graph, ())
    assert found.features == ("jets_0", "jets_1", "jets_2", "count")
    assert (found.params.input_node, found.params.input_name) == ("jets,count", "jets:0,count:0")
    again = Bundle.load(found.save(tmp_path))
    assert again.graph == graph
    named = Bundle.create("m", graph, (), [{"name": n} for n in "abcd"])
    assert named.features == tuple("abcd")


@pytest.mark.slow
def test_a_saved_model_is_read_from_its_folder_and_from_an_archive(
    bundle: Bundle, events: Dataset, tmp_path: Path
) -> None:
    folder = bundle.export("saved_model", tmp_path / "exported")
    assert bundle.features
    found = Bundle.from_saved_model(folder, "again", labels=["s"], features=bundle.features)
    assert (found.name, found.labels, found.features) == ("again", ("s",), bundle.features)
    origin = found.card["converted_from"]
    assert (origin["format"], origin["signature"]) == ("SavedModel", "serving_default")
    digest = hashlib.sha256((folder / "saved_model.pb").read_bytes()).hexdigest()
    assert origin["files"] == {"saved_model.pb": digest}
    scores = open_engine(bundle.graph)(events.X)
    np.testing.assert_allclose(open_engine(found.graph)(events.X), scores, atol=1e-6)
    assert Bundle.load(found.save(tmp_path)).card == found.card


def test_the_archive_of_a_saved_model_may_do_without_params(tmp_path: Path) -> None:
    """The reason shows that it was taken for one; the folder gives the name."""
    files = {"saved_model.pb": b"", "variables/variables.index": b""}
    for folder in ("m/", "./m/", "", "./"):
        with pytest.raises((GraphError, BundleError)) as caught:
            Bundle.from_archive(packed(files, folder))
        unnamed = "without a name" if folder in ("", "./") else "nothing tagged 'serve'"
        assert unnamed in str(caught.value)
    with_params = files | {PARAMS: json.dumps(HAND_MADE).encode()}
    with pytest.raises(GraphError, match="nothing tagged 'serve'"):
        Bundle.from_archive(packed(with_params))


def test_a_missing_saved_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"saved_model\.pb: No such file"):
        Bundle.from_saved_model(tmp_path, "m")


# --- parts ------------------------------------------------------------------------------


def test_parts_in_the_old_spelling_are_read(foreign: bytes) -> None:
    old = json.dumps({"name": "sum", "inputNode": "x", "outputNode": "y"}).encode()
    found = Bundle.from_parts(old, foreign, b"total\n")
    assert (found.graph.input_node, found.graph.output_node) == ("x", "y")
    assert (found.params.input_node, found.params.output_node) == ("x", "y")


def test_a_wrong_node_name_in_params_is_named(foreign: bytes) -> None:
    old = json.dumps({"name": "sum", "inputNode": "x", "outputNode": "z"}).encode()
    with pytest.raises(GraphError, match="no output node 'z'"):
        Bundle.from_parts(old, foreign)


def test_a_foreign_graph_gets_its_features_from_params(foreign: bytes) -> None:
    params = json.dumps(HAND_MADE | {"features": ["a", "b", "c"]}).encode()
    assert Bundle.from_parts(params, foreign).features == ("a", "b", "c")
    assert Bundle.from_parts(json.dumps(HAND_MADE).encode(), foreign).features is None


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["a", "b"], "names 2 features, the graph takes 3"),
        (["a", "b", "a"], "names a feature twice"),
    ],
)
def test_features_must_fit_the_graph(foreign: bytes, features: list[str], message: str) -> None:
    params = json.dumps(HAND_MADE | {"features": features}).encode()
    with pytest.raises(BundleError, match=message):
        Bundle.from_parts(params, foreign)


def test_features_must_be_those_that_the_graph_carries(bundle: Bundle) -> None:
    """Swapped names would mean wrong scores for every client."""
    first, second, *rest = bundle.params.features
    swapped = replace(bundle.params, features=(second, first, *rest))
    with pytest.raises(BundleError, match="not those that the graph carries"):
        Bundle.from_parts(swapped.to_json(), bundle.graph.serialized)


def test_it_tells_how_its_events_are_read(bundle: Bundle, foreign: bytes) -> None:
    assert bundle.feature_set == TTBAR_ALL_HADRONIC
    assert Bundle.from_archive(bundle.archive()).feature_set == TTBAR_ALL_HADRONIC
    stranger = Bundle.from_parts(b'{"name": "sum"}', foreign)
    assert stranger.feature_set is None
    named = replace(stranger, params=replace(stranger.params, features=({"name": "a"},)))
    assert named.feature_set == FeatureSet(stranger.name, (Variable("a"),), jet=())


def test_the_names_of_the_poster_are_known(bundle: Bundle) -> None:
    older = replace(bundle, params=replace(bundle.params, feature_set=None))
    assert older.feature_set == TTBAR_ALL_HADRONIC


def test_features_must_be_those_of_the_feature_set(bundle: Bundle) -> None:
    other = FeatureSet("other", (Variable("a"),), jet=())
    params = replace(bundle.params, feature_set=other).to_json()
    with pytest.raises(BundleError, match=r"the feature set in params.json is not that of"):
        Bundle.from_parts(params, bundle.graph.serialized)


def test_without_features_in_params_the_graphs_are_used(bundle: Bundle) -> None:
    bare = replace(bundle.params, features=())
    found = Bundle.from_parts(bare.to_json(), bundle.graph.serialized)
    assert found.features == tn.TTBAR_ALL_HADRONIC.names


def test_a_damaged_model_is_noticed(bundle: Bundle) -> None:
    content = bytearray(bundle.graph.serialized)
    weights = max(bundle.graph.graph_def().node, key=lambda n: n.ByteSize())
    at = content.find(weights.attr["value"].tensor.tensor_content)
    content[at] ^= 0x40
    with pytest.raises(BundleError, match=r"its sha256 is .* was it damaged on the way"):
        Bundle.from_parts(bundle.params.to_json(), bytes(content))


@pytest.mark.parametrize("labels", [(), ("signal", "background"), ("σ",)])
def test_labels_need_not_be_as_many_as_outputs(bundle: Bundle, labels: tuple[str, ...]) -> None:
    changed = replace(bundle, labels=labels)
    assert Bundle.from_archive(changed.archive()).labels == labels


def test_labels_end_lines_as_any_editor_does(foreign: bytes) -> None:
    params = json.dumps(HAND_MADE).encode()
    assert Bundle.from_parts(params, foreign, b" a \r\n\r\nb").labels == ("a", "b")


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("labels", b"\xff\xfe", "labels.txt is not UTF-8 text"),
        ("card", b"{", "model_card.json is not JSON"),
        ("card", b"[]", "model_card.json must be a JSON object"),
        ("card", b"[" * 100_000, "model_card.json is not JSON"),
        ("params", b"{", "params.json is not JSON"),
        ("model", b"\xff\xff", "not a TensorFlow GraphDef"),
        ("model", b"", "the graph has no nodes"),
    ],
)
def test_an_unreadable_part_is_named(
    foreign: bytes, part: str, content: bytes, message: str
) -> None:
    parts: dict[str, Any] = {"params": json.dumps(HAND_MADE).encode(), "model": foreign}
    parts[part] = content
    with pytest.raises((BundleError, GraphError), match=message):
        Bundle.from_parts(**parts)


def test_a_card_of_any_text_can_be_passed_on(foreign: bytes) -> None:
    card = b'{"note": "\\ud800 half a letter", "size": NaN}'
    found = Bundle.from_parts(json.dumps(HAND_MADE).encode(), foreign, card=card)
    assert Bundle.from_archive(found.archive()).card["note"] == "? half a letter"


# --- what it shows ----------------------------------------------------------------------


def test_a_bundle_tells_what_it_is(bundle: Bundle, foreign: bytes) -> None:
    assert repr(bundle).startswith("Bundle('ttbar', 42 features → signal, ")
    html = bundle._repr_html_()
    for text in ("jetPt_0", bundle.graph.sha256, "input → output", "ttbar.root"):
        assert text in html
    bare = Bundle.from_parts(json.dumps(HAND_MADE).encode(), foreign)
    assert repr(bare).startswith("Bundle('sum', unnamed inputs → unlabelled, ")
    assert "not evaluated" in bare._repr_html_()


def test_a_bundle_without_named_features_takes_those_of_the_graph(graph: FrozenGraph) -> None:
    made = Bundle.create("plain", graph, ["signal"])
    assert [feature["name"] for feature in made.params.features] == list(graph.features or ())


@pytest.mark.endurance
def test_a_model_of_200_mb_is_uploaded_and_answers(server: Server) -> None:
    large = Bundle.from_parts(b"", large_model(), name="large")
    assert len(large.graph.serialized) > 200_000_000
    assert "bytes of 'weights' are left out" in large.graph.text()
    assert len(large.graph.text()) < 10_000
    client = server.client()
    assert client.upload(large, features="a,b,c") == 1
    expected = weights()[:, 5] @ np.array([1.0, 2.0, 3.0], np.float32)
    assert client.predict("large", [1.0, 2.0, 3.0], keys=["a", "b", "c"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "card",
    [
        {"training": 3, "evaluation": "good", "converted_from": []},
        {"training": [1, {"file": None}, {}], "evaluation": {"auc": "high"}},
        {"training": {"file": "x"}, "evaluation": [0.9]},
        {"evaluation": {"auc": None}, "training": None},
    ],
)
def test_a_card_of_any_types_is_shown(foreign: bytes, card: dict[str, object]) -> None:
    made = Bundle.from_parts(b'{"name": "m"}', foreign, card=json.dumps(card).encode())
    assert "not evaluated" in made._repr_html_()


# --- reference events -------------------------------------------------------------------


def test_a_classifiers_bundle_has_events_of_both_classes(
    bundle: Bundle, classifier: Classifier, events: Dataset
) -> None:
    known = bundle.reference_events
    assert known
    assert known.keys == events.features.names
    expected = np.concatenate([events.signal.X[:4], events.background.X[:4]])
    np.testing.assert_array_equal(known.matrix, expected)
    assert known.check(classifier.predict(expected)[:, np.newaxis]) < 1e-6
    assert "reference events" in bundle._repr_html_()


def test_reference_events_travel_with_the_model(bundle: Bundle, tmp_path: Path) -> None:
    loaded = (Bundle.load(bundle.save(tmp_path)), Bundle.load(bundle.save_archive(tmp_path)))
    for found in (*loaded, bundle.renamed("other")):
        assert found.reference_events == bundle.reference_events
    assert bundle.with_reference_events() is bundle


def test_events_are_made_up_for_a_model_that_has_none(foreign: bytes) -> None:
    bare = Bundle.from_parts(json.dumps(HAND_MADE).encode(), foreign)
    assert bare.reference_events is None
    known = bare.with_reference_events().reference_events
    assert known
    assert known == bare.with_reference_events().reference_events, "always the same"
    assert known.keys == ("value_0", "value_1", "value_2")
    np.testing.assert_array_equal(known.matrix[:2], [[0, 0, 0], [1, 1, 1]])
    assert len(set(known.scores)) == len(known) == 6


def test_typical_values_make_events(foreign: bytes) -> None:
    ranges = [{"name": n, "low": 1.0, "median": 2.0, "high": 3.0} for n in "abc"]
    told = json.dumps(HAND_MADE | {"features": ranges}).encode()
    known = Bundle.from_parts(told, foreign).with_reference_events().reference_events
    assert known
    assert known.keys == ("a", "b", "c")
    np.testing.assert_array_equal(known.matrix, [[2, 2, 2], [1, 1, 1], [3, 3, 3]])


def test_events_may_be_given(foreign: bytes) -> None:
    bare = Bundle.from_parts(json.dumps(HAND_MADE).encode(), foreign)
    known = bare.with_reference_events([[1, 2, 3]]).reference_events
    assert known
    assert known.scores == ((14.0,),)
    with pytest.raises(GraphError, match="the graph failed"):
        bare.with_reference_events([[1, 2]])


def test_scores_that_are_not_finite_are_none_to_compare() -> None:
    def logarithm(tf: Any) -> None:
        tf.math.log(placeholder(tf), name="y")

    known = Bundle.from_parts(b'{"name": "log"}', serialized(logarithm)).with_reference_events()
    assert known.reference_events
    assert (known.reference_events.matrix > 0).all(), "of other values there is no logarithm"

    def never(tf: Any) -> None:
        tf.math.log(placeholder(tf) * 0 - 1, name="y")

    made = Bundle.from_parts(b'{"name": "log"}', serialized(never)).with_reference_events()
    assert made.reference_events is None


def test_a_model_of_any_width_has_none() -> None:
    def any_width(tf: Any) -> None:
        tf.nn.relu(placeholder(tf, width=None), name="y")

    made = Bundle.from_parts(b'{"name": "any"}', serialized(any_width))
    assert made.with_reference_events().reference_events is None


def test_other_scores_than_a_bundle_tells_are_noticed(bundle: Bundle, other_bundle: Bundle) -> None:
    engine = open_engine(other_bundle.graph)
    other_bundle.check(engine)
    with pytest.raises(BundleError, match="the scores differ from those of the reference events"):
        bundle.check(engine)
    engine.close()


@pytest.mark.parametrize(
    ("keys", "message"),
    [(["a", "b", "d"], "keys in reference_events.json are not the"), (["a"], "has 1 keys, the gr")],
)
def test_reference_events_of_another_model_are_refused(
    foreign: bytes, keys: list[str], message: str
) -> None:
    features = ["a", "b", "c"] if len(keys) == 3 else []
    params = json.dumps(HAND_MADE | {"features": features}).encode()
    events = {"keys": keys, "values": [[1.0] * len(keys)], "scores": [[1.0]]}
    with pytest.raises(BundleError, match=message):
        Bundle.from_parts(params, foreign, reference_events=json.dumps(events).encode())
