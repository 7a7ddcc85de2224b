"""CMSSW: a package with the graph for TensorFlow, the same as ONNX, and plugins that use them.

``$CMSSW_BASE/src/SUBSYSTEM`` is the directory to write to; the package is called as the model.

Source: CMSSW's ``PhysicsTools/TensorFlow`` (``loadGraphDef``, ``createSession``, ``run``) and
``PhysicsTools/ONNXRuntime`` (``cms::Ort::ONNXRuntime::run``), and its ``edm::GlobalCache``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template

from tfaas_nb.errors import GraphError, MissingExtra
from tfaas_nb.export import folder
from tfaas_nb.export.cmssw_plugins import (
    BUILD_FILE,
    NO_PLUGINS,
    ONNX_CODE,
    ONNX_CONFIGURATION,
    ONNX_PLUGIN,
    PLUGINS,
    README,
    TENSORFLOW_CODE,
    TENSORFLOW_CONFIGURATION,
    TENSORFLOW_PLUGIN,
)
from tfaas_nb.export.content import Content
from tfaas_nb.export.older import for_older
from tfaas_nb.export.onnx import onnx_model
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.signature import Signature

_PROGRAM = "score_graph.c"
#: ONNX's newest format and operators that onnxruntime 1.10 knows.
_IR_VERSION, _OPSETS = 8, {"ai.onnx": 15, "ai.onnx.ml": 2}


def cmssw(content: Content, directory: Path) -> Path:
    """Write the package ``directory/NAME``.

    ``data/`` has ``NAME.pb``, ``NAME.pb.txt``, ``NAME.onnx`` and the bundle's reference events,
    ``plugins/`` a producer for TensorFlow, one for ONNXRuntime and ``BuildFile.xml``, and
    ``test/`` a program in C that scores an event without CMSSW.  An ONNX model has no graph, and
    a model of several tensors (a classifier's decision beside its probabilities does not count)
    neither plugins nor program.  What could not be written as ONNX is told in ``README.md``.

    Raises
    ------
    GraphError
        If the graph uses what TensorFlow 2.6 does not know.
    BundleError
        If something else is in the way.
    """
    frozen = for_older(content.graph) if isinstance(content.graph, FrozenGraph) else None
    as_onnx, why = _as_onnx(content)
    files = {f"data/{name}": data for name, data in _data(content, frozen, as_onnx).items()}
    package = f"{directory.resolve().name}/{content.name}"
    values = _values(content, package)
    plain = _is_plain(content.graph.signature)
    if plain:
        files |= {f"plugins/{name}": d for name, d in _plugins(values, frozen, as_onnx).items()}
        if frozen:
            files[f"test/{_PROGRAM}"] = Path(__file__).with_name(_PROGRAM).read_bytes()
    use = _use(values, frozen, as_onnx) if plain else NO_PLUGINS
    told = {"files": _told(files), "onnx": why, "use": use, "needs": _needs(frozen, as_onnx)}
    readme = Template(README).substitute(values, **told)
    return folder.write(directory / content.name, files | {"README.md": readme.encode()}, "cmssw")


def _is_plain(signature: Signature) -> bool:
    """Return True if the model takes one matrix of float32, and its scores are one, too."""
    scores = Signature(signature.inputs, signature.flat_outputs)
    return scores.is_matrix and bool(scores.width)


def _use(values: dict[str, str], frozen: FrozenGraph | None, as_onnx: OnnxGraph | None) -> str:
    """Instructions for the plugins and files of the model that were written."""
    configurations = [
        *([TENSORFLOW_CONFIGURATION] if frozen else []),
        *([ONNX_CONFIGURATION] if as_onnx else []),
    ]
    code = [*([TENSORFLOW_CODE] if frozen else []), *([ONNX_CODE] if as_onnx else [])]
    texts = {"configurations": "\nor\n\n".join(configurations), "code": "\n".join(code)}
    filled = {name: Template(text).substitute(values) for name, text in texts.items()}
    return Template(PLUGINS).substitute(filled)


def _needs(frozen: FrozenGraph | None, as_onnx: OnnxGraph | None) -> str:
    """Versions of TensorFlow and onnxruntime that can read the files."""
    lines = ["The graph needs TensorFlow 2.6 or later."] if frozen else []
    if as_onnx:
        opsets = as_onnx.opsets
        known = all(version <= _OPSETS[domain] for domain, version in opsets.items())
        old = known and as_onnx.ir_version <= _IR_VERSION
        told = ", ".join(f"{version} of {domain}" for domain, version in sorted(opsets.items()))
        which = "1.10 or later" if old else "of a version that knows them"
        lines.append(
            f"The ONNX model has IR version {as_onnx.ir_version} and opset {told}: it needs "
            f"onnxruntime {which}."
        )
    return "\n".join(lines)


def _as_onnx(content: Content) -> tuple[OnnxGraph | None, str]:
    """The model as ONNX, or why there is none."""
    try:
        return onnx_model(content.graph), ""
    except (GraphError, MissingExtra) as error:
        return None, f"\nThere is no ONNX model here: {error}.\n"


def _data(
    content: Content, frozen: FrozenGraph | None, as_onnx: OnnxGraph | None
) -> dict[str, bytes]:
    name = content.name
    files = {f"{name}.{part}": d for part, d in content.files.items() if part in _KEPT}
    if frozen:
        files |= {f"{name}.pb": frozen.serialized, f"{name}.pb.txt": frozen.text().encode()}
    if as_onnx:
        files[f"{name}.onnx"] = as_onnx.runnable()
    return files


#: Files of the bundle that go along.
_KEPT = ("reference_events.json", "labels.txt")


def _plugins(
    values: dict[str, str], frozen: FrozenGraph | None, as_onnx: OnnxGraph | None
) -> dict[str, bytes]:
    texts = {
        f"{values['cls']}TensorFlowProducer.cc": TENSORFLOW_PLUGIN if frozen else "",
        f"{values['cls']}ONNXProducer.cc": ONNX_PLUGIN if as_onnx else "",
    }
    uses = [
        *(["PhysicsTools/ONNXRuntime"] if as_onnx else []),
        *(["PhysicsTools/TensorFlow"] if frozen else []),
    ]
    lines = "\n".join(f'<use name="{use}"/>' for use in uses)
    texts["BuildFile.xml"] = BUILD_FILE
    return {
        name: Template(text).substitute(values, uses=lines).encode()
        for name, text in texts.items()
        if text
    }


def _values(content: Content, package: str) -> dict[str, str]:
    graph, signature = content.graph, content.graph.signature
    names = content.features or tuple(f"value_{i}" for i in range(signature.width or 0))
    # What our server answers with: a classifier's probabilities, not its decision.
    entered, scores = signature.inputs[0], signature.flat_outputs[0]
    fed, fetched = entered.name, scores.name
    if isinstance(graph, FrozenGraph):
        fed, fetched = graph.input_nodes[0], graph.output_nodes[signature.outputs.index(scores)]
    return {
        "name": content.name,
        "cls": _identifier(content.name),
        "package": package,
        "library": "".join(map(_identifier, package.split("/"))) + "Plugins",
        "width": str(signature.width or 0),
        "features": ",\n".join(f"      {json.dumps(name)}" for name in names),
        "fed": json.dumps(fed),
        "fetched": json.dumps(fetched),
        "input": json.dumps(entered.name),
        "output": json.dumps(scores.name),
        "tensors": _tensors(content, signature),
    }


def _tensors(content: Content, signature: Signature) -> str:
    """Names of inputs and outputs, as a table in Markdown."""
    graph, tensors = content.graph, (*signature.inputs, *signature.outputs)
    roles = ["input"] * len(signature.inputs) + ["output"] * len(signature.outputs)
    nodes, head = [""] * len(tensors), "| | name | type | shape |\n| --- | --- | --- | --- |"
    if isinstance(graph, FrozenGraph):
        nodes = [f" `{node}` |" for node in (*graph.input_nodes, *graph.output_nodes)]
        head = "| | node of the graph | name in ONNX | type | shape |\n" + "| --- " * 5 + "|"
    rows = [
        f"| {role} |{node} `{t.name}` | {t.dtype} | "
        f"(events{''.join(f', {n or chr(63)}' for n in t.shape)}) |"
        for role, node, t in zip(roles, nodes, tensors, strict=True)
    ]
    return "\n".join([head, *rows])


def _told(files: dict[str, bytes]) -> str:
    return "\n".join(f"- `{name}`" for name in sorted(files))


def _identifier(name: str) -> str:
    """Name of a model as a class of C++: ``TtbarV2`` for ``ttbar-v2``."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    return found if found[0].isalpha() else f"Model{found}"
