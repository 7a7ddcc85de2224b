"""ONNX models: parsed and vetted as data before anything runs them.

scikit-learn, XGBoost and PyTorch come in this way.  Only ONNX's own operations are served, which
compute and no more.  Weights in files beside the model are taken into it, and nodes are put in
order; what is served is one file.  Feature names travel in the model's metadata under
``feature_names``, a JSON list.

Source: ``onnx.proto3``, and the operators ``ai.onnx`` and ``ai.onnx.ml``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from tfaas_nb.errors import GraphError, MissingExtra
from tfaas_nb.foreign_words import reason
from tfaas_nb.onnx_parts import weights
from tfaas_nb.onnx_parts.order import sort_nodes
from tfaas_nb.onnx_parts.walk import all_attributes, all_nodes, all_tensors
from tfaas_nb.signature import NUMERIC, Signature, Tensor
from tfaas_nb.table import Table

#: Key of the metadata that holds the names of the flat view's columns, as a JSON list.
FEATURE_NAMES = "feature_names"
#: Key of the metadata of a model whose inputs stand in no order, and its value.
INPUT_ORDER, UNKNOWN = "input_order", "unknown"

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_OLDEST_OPSET = 7
_CLASS_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_ZIP_MAP = "ZipMap"
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_OUTSIDE = b"location"
#: Beginning of the names of nodes that were inside of a SavedModel's signature.
_CALL = re.compile(r"(Stateful)?PartitionedCall")
_LOOP = "Loop"
#: What converts XGBoost's and LightGBM's models, with where their missing values go.
_OF_BOOSTED_TREES = "OnnxMLTools"
_TREES, _TRACKS_MISSING = "TreeEnsemble", "nodes_missing_value_tracks_true"
#: Types FLOAT16 and BFLOAT16.
_HALF = frozenset({10, 16})


@dataclass(frozen=True, repr=False)
class OnnxGraph:
    """An ONNX model that was parsed, vetted, and whose ends are known.

    Attributes
    ----------
    serialized : bytes
        The model, as in an ``.onnx`` file.
    signature : Signature
        Its inputs and outputs; outputs that are text are left out.
    features : tuple of str or None
        Names of the flat view's columns in order, if the model carries them.
    labels : tuple of str
        Names of the classes, if the model tells those of its numbers.
    is_single : bool
        Whether the model was exported for one event at a time.
    """

    serialized: bytes
    signature: Signature
    features: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    is_single: bool = False

    #: Name of its file in a bundle, and what other servers call the format.
    file_name: ClassVar[str] = "model.onnx"
    platform: ClassVar[str] = "onnxruntime_onnx"

    @classmethod
    def from_bytes(cls, serialized: bytes, beside: Mapping[str, bytes] = _NOTHING) -> OnnxGraph:
        """Parse and vet a model and find its ends.

        Parameters
        ----------
        serialized : bytes
            The model.
        beside : mapping of str to bytes
            Files that came with it, by their path from its folder: its weights may be there.

        Raises
        ------
        GraphError
            If it is no ONNX model, uses operations that are not ONNX's own or weights that
            did not come with it, or takes or gives what is no numbers per event.
        TooLarge
            If it takes far more weights from its files than these hold.
        MissingExtra
            If ``onnx`` is not installed.
        """
        model = _parse(serialized)
        is_whole = not weights.take_in(model, beside)
        if sort_nodes(model) or not is_whole:
            serialized = model.SerializeToString()
        _vet(model)
        sources = _inputs(model)
        zipped = _zipped(model)
        signature = Signature(
            tuple(_input(source) for source in sources),
            tuple(_outputs(model, zipped)),
            len(sources) == 1 or _is_ordered(model, [source.name for source in sources]),
        )
        lengths = {_first_length(source) for source in sources}
        if not lengths <= {None, 1}:
            raise GraphError(
                f"the model was exported for {max(filter(None, lengths))} events at a time: "
                "export it with a first axis of any length (dynamic_axes)"
            )
        return cls(
            serialized,
            signature,
            _feature_names(model, signature),
            _labels(model, signature, zipped),
            1 in lengths,
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of the serialized model."""
        return hashlib.sha256(self.serialized).hexdigest()

    @property
    def has_loops(self) -> bool:
        """True if the graph has loops, so that an event's values may make it run without bound."""
        if _LOOP.encode() not in self.serialized:
            return False
        return any(node.op_type == _LOOP for node in all_nodes(_parse(self.serialized)))

    @property
    def has_half_precision(self) -> bool:
        """True if it computes with numbers of 16 bits, which have three digits."""
        model = _parse(self.serialized)
        kinds = {tensor.data_type for tensor in all_tensors(model)}
        kinds |= {attribute.i for attribute in all_attributes(model) if attribute.name == "to"}
        return not _HALF.isdisjoint(kinds)

    @property
    def takes_missing(self) -> bool:
        """True if it has trees that say where an event with a missing value (NaN) goes on.

        Those say so of which any goes on where its condition is true, and all of XGBoost's and
        LightGBM's.  Forests of scikit-learn that were trained without missing values send them
        elsewhere than their ONNX does.
        """
        if _TREES.encode() not in self.serialized:
            return False
        model = _parse(self.serialized)
        trees = [node for node in all_nodes(model) if node.op_type.startswith(_TREES)]
        return any(
            model.producer_name == _OF_BOOSTED_TREES or any(attribute.ints)
            for node in trees
            for attribute in node.attribute
            if attribute.name == _TRACKS_MISSING
        )

    @property
    def operations(self) -> set[str]:
        """Names of its operations."""
        return {node.op_type for node in all_nodes(_parse(self.serialized))}

    @property
    def input_node(self) -> str:
        """Names of the inputs, with commas between."""
        return ",".join(tensor.name for tensor in self.signature.inputs)

    @property
    def output_node(self) -> str:
        """Names of the outputs, with commas between."""
        return ",".join(tensor.name for tensor in self.signature.outputs)

    @property
    def input_name(self) -> str:
        """Names of the inputs, as `input_node`: ONNX has no nodes at its ends."""
        return self.input_node

    @property
    def output_name(self) -> str:
        """Names of the outputs, as `output_node`: ONNX has no nodes at its ends."""
        return self.output_node

    @property
    def outputs(self) -> int | None:
        """Numbers per event that the flat view answers, if the shapes tell."""
        return self.signature.height

    @property
    def ir_version(self) -> int:
        """Version of ONNX's format that the file has."""
        return int(_parse(self.serialized).ir_version)

    @property
    def opsets(self) -> dict[str, int]:
        """Domain of operators, ``ai.onnx`` for ONNX's own → their version, as in `runnable`."""
        imported = _parse(self.runnable()).opset_import
        return {opset.domain or "ai.onnx": opset.version for opset in imported}

    def to_values(self) -> dict[str, Any]:
        """All but the model itself, as JSON can hold it."""
        return {
            "signature": self.signature.to_values(),
            "features": self.features,
            "labels": self.labels,
            "is_single": self.is_single,
        }

    @classmethod
    def from_values(cls, serialized: bytes, values: Mapping[str, Any]) -> OnnxGraph:
        """Make a graph that was read and vetted before from the values of `to_values`."""
        features = values["features"]
        return cls(
            serialized,
            Signature.from_values(values["signature"]),
            None if features is None else tuple(features),
            tuple(values["labels"]),
            bool(values["is_single"]),
        )

    def runnable(self) -> bytes:
        """The model with plain matrices where it makes one dictionary per event."""
        model = _parse(self.serialized)
        zipped = _zipped(model)
        if not zipped:
            return self.serialized
        _unzip(model, zipped)
        data: bytes = model.SerializeToString()
        return data

    def inspect(self) -> Table:
        """The model's nodes as a table: outputs, operation, inputs."""
        rows = tuple(
            (", ".join(node.output), node.op_type, ", ".join(node.input))
            for node in _parse(self.serialized).graph.node
        )
        return Table(("outputs", "operation", "inputs"), rows, repr(self))

    def __repr__(self) -> str:
        return (
            f"OnnxGraph({self.input_node} → {self.output_node}, "
            f"{len(self.serialized) / 1e3:.0f} kB)"
        )


def onnx_module(name: str = "onnx") -> Any:
    """The module ``onnx``, or another one of the extra.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"ONNX models need {name.partition('.')[0]}: install it with "
            "pip install 'tfaas-nb[onnx]'"
        ) from error


def files_beside(serialized: bytes) -> tuple[str, ...]:
    """Plain names of files within the model's folder that an ONNX model takes weights from.

    Raises
    ------
    GraphError
        If it is no ONNX model.
    MissingExtra
        If ``onnx`` is not installed.
    """
    return weights.locations(_parse(serialized)) if _OUTSIDE in serialized else ()


def _parse(serialized: bytes) -> Any:
    from google.protobuf.message import DecodeError

    onnx = onnx_module()
    try:
        model = onnx.ModelProto.FromString(serialized)
    except DecodeError as error:
        raise GraphError("the file is not an ONNX model (.onnx)") from error
    if not model.graph.output:
        raise GraphError("the ONNX model has no outputs: is this file an ONNX model (.onnx)?")
    return model


# --- vetting ----------------------------------------------------------------------------


def _vet(model: Any) -> None:
    for name in _names(model):
        if isinstance(name, bytes):  # as protobuf gives what is no text
            raise GraphError(f"the ONNX model has a name that is no UTF-8 text: {name!r}")
    own = {(function.domain, function.name) for function in model.functions}
    for node in all_nodes(model):
        if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
            raise GraphError(
                f"node {node.name or next(iter(node.output), '')!r} is a {node.op_type!r} of "
                f"{node.domain!r}: only ONNX's own operations may be served"
            )
    weights.refuse_outside(model)
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version < _OLDEST_OPSET:
            raise GraphError(
                f"the model uses operations of opset {opset.version}: export it with opset "
                f"{_OLDEST_OPSET} or later"
            )
    _check(model)


def _check(model: Any) -> None:
    checker = onnx_module("onnx.checker")
    try:
        checker.check_model(model)
    except Exception as error:  # ValidationError, and what its parts raise
        raise GraphError(f"the ONNX model is not valid: {reason(error)}") from error


def _names(model: Any) -> Iterator[str | bytes]:
    """Names of the ends, and of nodes with their operations and values."""
    for end in (*model.graph.input, *model.graph.output):
        yield end.name
    for node in all_nodes(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)


# --- ends -------------------------------------------------------------------------------


def _inputs(model: Any) -> list[Any]:
    given = {tensor.name for tensor in model.graph.initializer}
    found = [source for source in model.graph.input if source.name not in given]
    if not found:
        raise GraphError("the ONNX model has no inputs")
    return found


def _is_ordered(model: Any, names: list[str]) -> bool:
    """Return True if the inputs are in the order that the model's author gave them.

    tf2onnx takes them from a SavedModel's signature in the order of their names.
    """
    if any(prop.key == INPUT_ORDER and prop.value == UNKNOWN for prop in model.metadata_props):
        return False
    is_sorted = model.producer_name == "tf2onnx" and names == sorted(names)
    return not (is_sorted and any(_CALL.match(node.name) for node in model.graph.node))


def _input(source: Any) -> Tensor:
    kind = source.type.WhichOneof("value")
    if kind != "tensor_type":
        raise GraphError(f"input {source.name!r} is a {kind}: only tensors of numbers are served")
    tensor = _tensor(source)
    if source.type.tensor_type.HasField("shape") and not source.type.tensor_type.shape.dim:
        raise GraphError(f"input {source.name!r} has no axis of events")
    return tensor


def _tensor(end: Any) -> Tensor:
    shape = end.type.tensor_type.shape
    lengths = [_length(dim) for dim in shape.dim]
    unknown = not end.type.tensor_type.HasField("shape")
    return Tensor(end.name, _dtype(end), (None,) if unknown else tuple(lengths[1:]))


def _dtype(end: Any) -> str:
    helper = onnx_module("onnx.helper")
    number = end.type.tensor_type.elem_type
    if number == onnx_module().TensorProto.STRING:
        return "text"
    try:
        return str(helper.tensor_dtype_to_np_dtype(number).name)
    except (KeyError, ValueError, TypeError):
        return f"type {number}"


def _length(dim: Any) -> int | None:
    return dim.dim_value if dim.dim_value > 0 else None


def _first_length(source: Any) -> int | None:
    dims = source.type.tensor_type.shape.dim
    return _length(dims[0]) if dims else None


def _outputs(model: Any, zipped: dict[str, Any]) -> Iterator[Tensor]:
    found = False
    for end in model.graph.output:
        kind = end.type.WhichOneof("value")
        if end.name in zipped:
            found = True
            yield Tensor(end.name, "float32", (len(_class_labels(zipped[end.name])),))
        elif kind != "tensor_type":
            raise GraphError(
                f"output {end.name!r} is a {kind}: only tensors of numbers are served "
                "(with skl2onnx, options={'zipmap': False})"
            )
        elif _dtype(end) in NUMERIC:
            found = True
            yield _tensor(end)
    if not found:
        raise GraphError("the ONNX model gives text only: numbers are served")


def _zipped(model: Any) -> dict[str, Any]:
    """Outputs that are a dictionary per event → the node that makes them."""
    ends = {end.name for end in model.graph.output}
    return {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == _ZIP_MAP and node.output[0] in ends
    }


def _unzip(model: Any, zipped: dict[str, Any]) -> None:
    onnx = onnx_module()
    for end in model.graph.output:
        if end.name in zipped:
            end.type.Clear()
            end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in zipped.values():
        node.op_type, node.domain = "Identity", ""
        del node.attribute[:]
    if not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.add(domain="", version=_OLDEST_OPSET)


# --- names ------------------------------------------------------------------------------


def _class_labels(node: Any) -> tuple[str, ...]:
    for attribute in node.attribute:
        if attribute.name in _CLASS_LABELS:
            strings = tuple(text.decode("utf-8", "replace") for text in attribute.strings)
            return strings or tuple(map(str, attribute.ints))
    return ()


def _labels(model: Any, signature: Signature, zipped: dict[str, Any]) -> tuple[str, ...]:
    """Names of the classes, where the model has one list of them as long as its answer."""
    nodes = zipped.values() or model.graph.node
    found = {labels for node in nodes if (labels := _class_labels(node))}
    labels = found.pop() if len(found) == 1 else ()
    return labels if len(labels) == signature.height else ()


def _feature_names(model: Any, signature: Signature) -> tuple[str, ...] | None:
    texts = [prop.value for prop in model.metadata_props if prop.key == FEATURE_NAMES]
    if not texts:
        return None
    try:
        names = json.loads(texts[0])
    except (ValueError, RecursionError) as error:
        raise GraphError(f"the metadata {FEATURE_NAMES!r} is not JSON: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise GraphError(f"the metadata {FEATURE_NAMES!r} must be a list of names")
    if signature.width not in (None, len(names)) or len(set(names)) != len(names):
        raise GraphError(
            f"the metadata {FEATURE_NAMES!r} has {len(set(names))} names, the model takes "
            f"{signature.width} values"
        )
    return tuple(names)
