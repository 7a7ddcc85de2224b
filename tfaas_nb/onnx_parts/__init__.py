"""Parts of an ONNX model as data: all its graphs, the order of its nodes, weights beside it."""
