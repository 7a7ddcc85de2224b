"""ONNX models as scikit-learn's and PyTorch's users bring them, and some that nobody should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING

End = tuple[str, int, Sequence[int | str | None] | None]


def logistic(names: Sequence[Any], zipmap: bool) -> tuple[Any, Any, bytes]:
    """A scikit-learn classifier of two classes, its events, and its model."""
    X = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    y = np.array(names)[(X[:, 0] > 0).astype(int)]
    model = LogisticRegression().fit(X, y)
    return model, X, to_onnx(model, X[:1], options={"zipmap": zipmap}).SerializeToString()


def model(
    nodes: Sequence[Any],
    inputs: Sequence[End] = (("x", FLOAT, (None, 2)),),
    outputs: Sequence[End] = (("y", FLOAT, (None, 2)),),
    opset: int = 15,
    **options: Any,
) -> Any:
    """A ModelProto of some nodes."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(*end) for end in inputs],
        [helper.make_tensor_value_info(*end) for end in outputs],
        initializer=options.pop("initializer", ()),
    )
    opsets = [helper.make_opsetid("", opset), *options.pop("opsets", ())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **options)


def relu(**options: Any) -> Any:
    return model([helper.make_node("Relu", ["x"], ["y"])], **options)
