"""Graph operations that a served model may use: pure computation on its inputs.

TensorFlow's own security notes say that models are programs and that TensorFlow is no
sandbox.  So this is a list of what is allowed; whatever is not on it (files, Python
functions, checkpoints, data sets, network, printing, unknown operations) is refused.
"""

from __future__ import annotations

_STRUCTURE = """
Placeholder PlaceholderWithDefault Const Identity IdentityN NoOp StopGradient
PreventGradient Snapshot EnsureShape CheckNumerics
PartitionedCall StatefulPartitionedCall StatelessIf If StatelessWhile While
Switch RefSwitch Merge Enter Exit NextIteration LoopCond
"""

_ARITHMETIC = """
Abs Add AddN AddV2 BiasAdd BiasAddV1 Ceil ComplexAbs Cos Cosh Acos Acosh Asin Asinh Atan Atan2
Atanh Sin Sinh Tan Tanh Div DivNoNan Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Inv
Log Log1p LogSoftmax Lgamma Digamma Maximum Minimum Mod Mul MulNoNan Neg Pow RealDiv Reciprocal
Rint Round Rsqrt Sigmoid Sign Sqrt Square SquaredDifference Sub TruncateDiv TruncateMod
Xdivy Xlogy Xlog1py ClipByValue IsFinite IsInf IsNan Cast Bitcast
BitwiseAnd BitwiseOr BitwiseXor Invert LeftShift RightShift
Equal NotEqual ApproximateEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot
LogicalOr Select SelectV2
"""

_REDUCTION = """
All Any ArgMax ArgMin Bucketize Cumprod Cumsum EuclideanNorm Max Mean Min Prod Sum L2Loss
SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum TopK TopKV2 InTopK InTopKV2
"""

_LINEAR_ALGEBRA = """
BatchMatMul BatchMatMulV2 BatchMatMulV3 MatMul Einsum Cross MatrixBandPart MatrixDiag
MatrixDiagPart MatrixDiagV2 MatrixDiagV3 MatrixDiagPartV2 MatrixDiagPartV3 MatrixSetDiag
MatrixTranspose Diag DiagPart
"""

_ARRAY = """
BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatV2 ConcatOffset
DepthToSpace ExpandDims ExtractImagePatches Fill Gather GatherNd GatherV2 InvertPermutation
LinSpace MirrorPad OneHot OnesLike Pack Pad PadV2 ParallelConcat Range Rank Reshape
ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse ReverseSequence
ReverseV2 Roll ScatterNd Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth
Split SplitV Squeeze StridedSlice TensorScatterAdd TensorScatterUpdate Tile Transpose
Unique UniqueV2 Unpack Where ZerosLike
"""

#: Lists of tensors, in which recurrent layers keep their steps.
_LISTS = """
EmptyTensorList TensorListConcat TensorListConcatV2 TensorListElementShape TensorListFromTensor
TensorListGather TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack
TensorListReserve TensorListResize TensorListScatter TensorListScatterV2 TensorListSetItem
TensorListSplit TensorListStack
"""

_NETWORK = """
AvgPool AvgPool3D Conv2D Conv3D DepthwiseConv2dNative Dilation2D Elu FractionalAvgPool
FractionalMaxPool FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN LeakyRelu MaxPool
MaxPool3D MaxPoolV2 Relu Relu6 Selu Softmax Softplus Softsign L2Normalize
_FusedBatchNormEx _FusedConv2D _FusedMatMul
BatchNormWithGlobalNormalization QuantizeV2 Dequantize FakeQuantWithMinMaxArgs
FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2
QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
"""

#: Operations that do others again and again, as long as values say.
LOOPS = frozenset({"While", "StatelessWhile", "LoopCond", "NextIteration", "RefNextIteration"})

ALLOWED: frozenset[str] = frozenset(
    (_STRUCTURE + _ARITHMETIC + _REDUCTION + _LINEAR_ALGEBRA + _ARRAY + _LISTS + _NETWORK).split()
)
