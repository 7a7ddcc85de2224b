"""CMSSW's package; its graph runs in C, its plugins compile against what CMSSW declares."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests.graphs import serialized
from tests.onnx_models import logistic, relu
from tests.test_graph import weighted
from tfaas_nb import backend
from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import open_engine
from tfaas_nb.export import Content, write
from tfaas_nb.export.cmssw import _identifier
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.reference_events import ReferenceEvents

CPP = Path(__file__).parent.parent / "cpp"


@pytest.fixture(scope="module")
def package(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("src") / "MyAnalysis"
    for _ in range(2):
        path = bundle.export("cmssw", directory)
    return path


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> float:
    """The score of the poster's event, in Python."""
    event = tn.poster_event()
    X = np.array([[event[name] for name in bundle.features or ()]], dtype=np.float32)
    return float(open_engine(bundle.graph)(X)[0, 0])


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


def _linker() -> list[str]:
    """The usual one takes a gigabyte for TensorFlow's library."""
    return ["-fuse-ld=gold"] if shutil.which("ld.gold") else []


@pytest.mark.slow
def test_a_package_has_the_model_and_what_uses_it(package: Path) -> None:
    found = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    assert found == {
        *(".tfaas_nb.json", "README.md", "plugins/BuildFile.xml", "test/score_graph.c"),
        *(f"plugins/Ttbar{kind}Producer.cc" for kind in ("TensorFlow", "ONNX")),
        *(f"data/ttbar.{end}" for end in ("pb", "pb.txt", "onnx", "labels.txt")),
        "data/ttbar.reference_events.json",
    }


def test_the_text_is_that_of_the_graph(package: Path) -> None:
    from google.protobuf import text_format

    backend.tensorflow()
    from tensorflow.core.framework.graph_pb2 import GraphDef

    text = text_format.Parse((package / "data" / "ttbar.pb.txt").read_text(), GraphDef())
    assert text == GraphDef.FromString((package / "data" / "ttbar.pb").read_bytes())


@pytest.mark.slow
def test_the_poster_event_has_the_same_score_through_the_c_api(
    bundle: Bundle, package: Path, expected: float, tmp_path: Path
) -> None:
    home = Path(str(backend.tensorflow().__file__)).parent
    libraries = [f"libtensorflow_{part}.so.2" for part in ("cc", "framework")]
    if not all((home / library).is_file() for library in libraries):
        pytest.skip("this TensorFlow has no library to link with")
    build = [compiler("gcc"), *_linker(), "-std=c11", "-Wall", "-Wextra", "-Werror"]
    build += [f"-isystem{home / 'include'}", str(package / "test" / "score_graph.c"), f"-L{home}"]
    build += [f"-Wl,-rpath,{home}", *(f"-l:{library}" for library in libraries), "-o", "score"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=120)
    event = tn.poster_event()
    done = subprocess.run(
        [tmp_path / "score", package / "data" / "ttbar.pb", "input", "output"],
        input=" ".join(repr(float(event[name])) for name in bundle.features or ()),
        capture_output=True,
        text=True,
        timeout=120,
        env={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    print(f"C API {done.stdout.strip()}, Python {expected:.9g}")
    assert float(done.stdout) == pytest.approx(expected, abs=1e-6)


def test_the_poster_event_has_the_same_score_in_onnxruntime(
    bundle: Bundle, package: Path, expected: float
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        package / "data" / "ttbar.onnx", providers=["CPUExecutionProvider"]
    )
    event = tn.poster_event()
    X = np.array([[event[name] for name in bundle.features or ()]], dtype=np.float32)
    (scores,) = session.run(["output"], {"input": X})
    assert float(scores[0, 0]) == pytest.approx(expected, abs=1e-6)
    kept = (package / "data" / "ttbar.reference_events.json").read_bytes()
    events = ReferenceEvents.from_json(kept)
    assert events.check(session.run(["output"], {"input": events.matrix})[0]) < 1e-6


@pytest.mark.slow
def test_the_producers_use_what_cmssw_declares(package: Path, tmp_path: Path) -> None:
    gxx = compiler("g++")
    for path in sorted((package / "plugins").glob("*.cc")):
        for header in re.findall(r'#include "(.*)"', path.read_text()):
            (tmp_path / header).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / header).touch()
        line = [gxx, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}"]
        line += ["-include", str(CPP / "cmssw_declarations.h"), str(path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_the_producers_read_the_package_and_know_the_features(
    bundle: Bundle, package: Path
) -> None:
    for kind, end in (("TensorFlow", "pb"), ("ONNX", "onnx")):
        text = (package / "plugins" / f"Ttbar{kind}Producer.cc").read_text()
        assert f'edm::FileInPath("MyAnalysis/ttbar/data/ttbar.{end}")' in text
        assert re.findall(r'^      "(\w+)",$', text, re.MULTILINE) == list(bundle.features or ())


def test_the_build_file_is_one(package: Path) -> None:
    text = (package / "plugins" / "BuildFile.xml").read_text()
    root = ET.fromstring(f"<environment>{text}</environment>")
    uses = {use.attrib["name"] for use in root.findall("use")}
    assert {"PhysicsTools/TensorFlow", "PhysicsTools/ONNXRuntime", "FWCore/Framework"} <= uses
    (library,) = root.findall("library")
    assert library.attrib == {"file": "*.cc", "name": "MyAnalysisTtbarPlugins"}
    assert [flags.attrib for flags in library] == [{"EDM_PLUGIN": "1"}]


def test_several_tensors_have_their_names_and_no_plugin(tmp_path: Path) -> None:
    content = Content("m", FrozenGraph.from_bytes(serialized(weighted)))
    path = write(content, "cmssw", tmp_path)
    assert not (path / "plugins").exists()
    readme = (path / "README.md").read_text()
    for row in ("jets` | float32 | (events, 3)", "more` | bool | (events)"):
        assert row in readme


def test_an_onnx_model_has_no_graph(tmp_path: Path) -> None:
    graph = OnnxGraph.from_bytes(relu().SerializeToString())
    path = write(Content("m", graph), "cmssw", tmp_path)
    assert {p.name for p in (path / "data").iterdir()} == {"m.onnx"}
    assert "TensorFlow" not in (path / "plugins" / "BuildFile.xml").read_text()


@pytest.mark.parametrize("zipmap", [False, True])
def test_an_onnx_classifier_is_asked_for_what_the_server_answers(
    tmp_path: Path, zipmap: bool
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, X, data = logistic([0, 1], zipmap)
    graph = OnnxGraph.from_bytes(data)
    assert [t.is_floating for t in graph.signature.outputs] == [False, True]
    path = write(Content("m", graph), "cmssw", tmp_path)
    (plugin,) = (path / "plugins").glob("*.cc")
    assert plugin.name == "MONNXProducer.cc"
    run = r'run\(\{"(\w+)"\}, values, \{\{1, 3\}\}, \{"(\w+)"\}\)'
    asked = re.search(run, plugin.read_text())
    assert asked
    session = runtime.InferenceSession(path / "data" / "m.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run([asked[2]], {asked[1]: X})
    np.testing.assert_allclose(scores, model.predict_proba(X), rtol=0, atol=1e-6)
    readme = (path / "README.md").read_text()
    told = re.search(run, readme)
    assert told
    assert told.groups() == asked.groups()


def test_the_text_of_an_onnx_model_tells_of_what_is_there(tmp_path: Path) -> None:
    for opset, needs in ((13, "onnxruntime 1.10 or later"), (18, "of a version that knows them")):
        graph = OnnxGraph.from_bytes(relu(opset=opset).SerializeToString())
        path = write(Content("m", graph), "cmssw", tmp_path / str(opset))
        readme = (path / "README.md").read_text()
        for nothing in ("TensorFlow", "tensorflow", "m.pb", "node of the graph"):
            assert nothing not in readme
        for something in (
            "MONNXProducer",
            "data/m.onnx",
            "| input | `x` | float32 | (events, 2) |",
        ):
            assert something in readme
        assert f"IR version 8 and opset {opset} of ai.onnx: " in readme
        assert needs in readme


def test_the_text_of_a_graph_tells_of_both(package: Path) -> None:
    readme = (package / "README.md").read_text()
    for something in ("TtbarTensorFlowProducer", "TtbarONNXProducer", "loadGraphDef", "cms::Ort"):
        assert something in readme
    assert "opset 15 of ai.onnx" in readme
    assert "TensorFlow 2.6 or later" in readme
    assert "$" not in readme.replace("$CMSSW_BASE", "")


def test_several_tensors_have_no_code_that_would_not_do(tmp_path: Path) -> None:
    content = Content("m", FrozenGraph.from_bytes(serialized(weighted)))
    readme = (write(content, "cmssw", tmp_path) / "README.md").read_text()
    assert "there are no plugins" in readme
    for nothing in ("Producer", "BuildFile", "tensorflow::run", "model.run"):
        assert nothing not in readme


def test_why_there_is_no_onnx_is_told(tmp_path: Path) -> None:
    def build(tf: Any) -> None:
        tf.math.digamma(tf.compat.v1.placeholder("float32", (None, 3), name="x"), name="y")

    content = Content("m", FrozenGraph.from_bytes(serialized(build)))
    path = write(content, "cmssw", tmp_path)
    assert {p.name for p in (path / "data").iterdir()} == {"m.pb", "m.pb.txt"}
    assert "There is no ONNX model here: the graph cannot be" in (path / "README.md").read_text()
    assert [p.name for p in sorted((path / "plugins").iterdir())] == [
        "BuildFile.xml",
        "MTensorFlowProducer.cc",
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("ttbar-v2.x", "TtbarV2X"), ("2jets", "Model2jets"), ("_", "Model")]
)
def test_classes_have_names_of_cpp(name: str, expected: str) -> None:
    assert _identifier(name) == expected
