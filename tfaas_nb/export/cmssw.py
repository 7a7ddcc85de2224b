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
from tfaas_nb.export.cmssw_plugins import BUILD_FILE, ONNX_PLUGIN, README, TENSORFLOW_PLUGIN
from tfaas_nb.export.content import Content
from tfaas_nb.export.older import for_older
from tfaas_nb.export.onnx import onnx_model
from tfaas_nb.graph import FrozenGraph
from tfaas_nb.onnx_graph import OnnxGraph
from tfaas_nb.signature import Signature

_PROGRAM = "score_graph.c"


def cmssw(content: Content, directory: Path) -> Path:
    """Write the package ``directory/NAME``.

    ``data/`` has ``NAME.pb``, ``NAME.pb.txt``, ``NAME.onnx`` and the bundle's reference events,
    ``plugins/`` a producer for TensorFlow, one for ONNXRuntime and ``BuildFile.xml``, and
    ``test/`` a program in C that scores an event without CMSSW.  A model of several tensors has
    neither plugins nor program.  What could not be written as ONNX is told in
    ``README.md``.

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
    if content.graph.signature.is_matrix and content.graph.signature.width:
        files |= {f"plugins/{name}": d for name, d in _plugins(values, frozen, as_onnx).items()}
        if frozen:
            files[f"test/{_PROGRAM}"] = Path(__file__).with_name(_PROGRAM).read_bytes()
    readme = Template(README).substitute(values, files=_told(files), onnx=why)
    return folder.write(directory / content.name, files | {"README.md": readme.encode()}, "cmssw")


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
    inputs, outputs = signature.inputs, signature.outputs
    fetched = graph.output_nodes if isinstance(graph, FrozenGraph) else (outputs[0].name,)
    fed = graph.input_nodes if isinstance(graph, FrozenGraph) else (inputs[0].name,)
    return {
        "name": content.name,
        "cls": _identifier(content.name),
        "package": package,
        "library": "".join(map(_identifier, package.split("/"))) + "Plugins",
        "width": str(signature.width or 0),
        "features": ",\n".join(f"      {json.dumps(name)}" for name in names),
        "fed": json.dumps(fed[0]),
        "fetched": json.dumps(fetched[0]),
        "input": json.dumps(inputs[0].name),
        "output": json.dumps(outputs[0].name),
        "tensors": _tensors(content, signature),
    }


def _tensors(content: Content, signature: Signature) -> str:
    """Names of inputs and outputs, as a table in Markdown."""
    graph = content.graph
    own = [t.name for t in (*signature.inputs, *signature.outputs)]
    nodes = [*graph.input_nodes, *graph.output_nodes] if isinstance(graph, FrozenGraph) else own
    roles = ["input"] * len(signature.inputs) + ["output"] * len(signature.outputs)
    rows = [
        f"| {role} | `{node}` | `{t.name}` | {t.dtype} | "
        f"(events{''.join(f', {n or chr(63)}' for n in t.shape)}) |"
        for role, node, t in zip(roles, nodes, (*signature.inputs, *signature.outputs), strict=True)
    ]
    return "\n".join(rows)


def _told(files: dict[str, bytes]) -> str:
    return "\n".join(f"- `{name}`" for name in sorted(files))


def _identifier(name: str) -> str:
    """What a class of C++ may be called: ``TtbarV2`` for ``ttbar-v2``."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    return found if found[0].isalpha() else f"Model{found}"
