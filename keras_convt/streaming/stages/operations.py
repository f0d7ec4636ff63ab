"""Operations of `keras.ops` that stream, by the names of their classes.

The classes have no public names in Keras, but their names are those of the
functions.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_convt.ops.core import ConvTranspose
from keras_convt.streaming.graph import Node
from keras_convt.streaming.signal import Signal
from keras_convt.streaming.stages.base import Stage, refusal
from keras_convt.streaming.stages.rearrange import Crop, Pad, Repeat
from keras_convt.streaming.stages.step_by_step import StepByStep
from keras_convt.streaming.stages.transposed import TransposedOperation
from keras_convt.streaming.stages.window import Slice

_ELEMENTWISE = """
Abs Absolute Add Angle Arccos Arccosh Arcsin Arcsinh Arctan Arctan2
Arctanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Cbrt Ceil Celu
Clip Conj Conjugate Copy Cos Cosh Deg2rad Divide DivideNoNan Elu Equal Erf
Erfinv Exp Exp2 Expm1 Floor FloorDivide Fmax Fmin Fmod Gelu Greater
GreaterEqual HardShrink HardSigmoid HardSilu HardTanh Heaviside Hypot Imag
Isclose Isfinite Isinf Isnan LeakyRelu Less LessEqual Log Log10 Log1p Log2
LogSigmoid Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor
Maximum Minimum Mod Multiply NanToNum Negative NotEqual OnesLike Positive
Power Real Reciprocal Relu Relu6 Remainder Round Rsqrt SaturateCast Select
Selu Sigmoid Sign Signbit Silu Sin Sinc Sinh SoftShrink Softplus Softsign
SparsePlus Sqrt Square Squareplus StopGradient Subtract Tan Tanh
TanhShrink Threshold TrueDivide Trunc Where ZerosLike
"""
_REDUCTIONS = """
All Any Argmax Argmin CountNonzero Logsumexp Max Mean Median Min Norm Prod
Std Sum Var
"""
_ALONG_AN_AXIS = """
Concatenate CumSum Cumprod Cumsum Diff Flip Glu LogSoftmax Normalize Roll
Softmax Sort Sparsemax Split
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
REDUCTIONS = frozenset(_REDUCTIONS.split())
ALONG_AN_AXIS = frozenset(_ALONG_AN_AXIS.split())


def stage_of_operation(node: Node, signal: Signal) -> Stage:
    """What an operation that is no layer is in a stream.

    Raises:
        ValueError: If it does not compute step by step.
    """
    if isinstance(node.operation, ConvTranspose):
        return TransposedOperation(node, signal)
    kind = type(node.operation)
    if kind.__module__.split(".")[0] != "keras":
        raise refusal(
            node,
            f"nothing is known of the class {kind.__name__}",
            "Name its class in `pointwise` if it computes every step alone.",
        )
    name = kind.__name__
    if name in ELEMENTWISE:
        return _elementwise(node, signal)
    if name in REDUCTIONS:
        return _reduction(node, signal)
    if name in ALONG_AN_AXIS:
        return _along_an_axis(node, signal)
    if name in OTHERS:
        return OTHERS[name](node, signal)
    raise refusal(node, f"nothing is known of {name}")


def _elementwise(node: Node, signal: Signal) -> Stage:
    """Tensors that are broadcast against each other."""
    # Some operations keep constants as attributes, as the limits of a clip.
    kept = [v for v in vars(node.operation).values() if hasattr(v, "shape")]
    shapes = [
        (tuple(leaf.shape), node.has_time(leaf))
        for leaf in [*keras.tree.flatten((node.args, node.kwargs)), *kept]
        if hasattr(leaf, "shape")
    ]
    rank = max(len(shape) for shape, _ in shapes)
    from_the_end = signal.axis - len(node.first.shape)
    for shape, timed in shapes:
        reaches = len(shape) >= -from_the_end
        if not timed and reaches and shape[from_the_end] != 1:
            raise refusal(
                node,
                f"what it takes of shape {shape} has a value for each step",
                "Only what is the same at every step can stream.",
            )
    return StepByStep(node, signal.on_axis(rank + from_the_end))


def _reduction(node: Node, signal: Signal) -> Stage:
    axes = _axes(node, len(node.first.shape))
    if axes is None or signal.axis in axes:
        raise refusal(
            node,
            "it reduces all steps to one",
            "Use average pooling, or a recurrent layer.",
        )
    if getattr(node.operation, "keepdims", False):
        return StepByStep(node, signal)
    before = sum(axis < signal.axis for axis in axes)
    return StepByStep(node, signal.on_axis(signal.axis - before))


def _along_an_axis(node: Node, signal: Signal) -> Stage:
    axes = _axes(node, len(node.first.shape))
    if axes is None or signal.axis in axes:
        raise refusal(
            node,
            f"it works along axis {signal.axis}, which is time",
            "Only operations along the channels can stream.",
        )
    return StepByStep(node, signal)


def _stack(node: Node, signal: Signal) -> Stage:
    (axis,) = _axes(node, len(node.first.shape) + 1) or (0,)
    return StepByStep(node, signal.on_axis(signal.axis + (axis <= signal.axis)))


def _squeeze(node: Node, signal: Signal) -> Stage:
    axes = _axes(node, len(node.first.shape))
    if axes is None or signal.axis in axes:
        raise refusal(node, "it may take away time", "Name its `axis`.")
    before = sum(axis < signal.axis for axis in axes)
    return StepByStep(node, signal.on_axis(signal.axis - before))


def _unstack(node: Node, signal: Signal) -> Stage:
    return _squeeze(node, signal)


def _transpose(node: Node, signal: Signal) -> Stage:
    rank = len(node.first.shape)
    axes = node.operation.axes
    order = [axis % rank for axis in axes or reversed(range(rank))]
    if order[0] != 0:
        raise refusal(node, "it moves the batch")
    return StepByStep(node, signal.on_axis(order.index(signal.axis)))


def _moved(node: Node, signal: Signal) -> Stage:
    """Wherever the size 'time' goes."""
    operation, rank = node.operation, len(node.first.shape)
    order = list(range(rank))
    if type(operation).__name__ == "Swapaxes":
        one, other = operation.axis1 % rank, operation.axis2 % rank
        order[one], order[other] = order[other], order[one]
    else:
        source, to = operation.source, operation.destination
        if len(source) != 1:
            raise refusal(node, "it moves several axes", "Use ops.transpose.")
        order.insert(to[0] % rank, order.pop(source[0] % rank))
    if order[0] != 0:
        raise refusal(node, "it moves the batch")
    return StepByStep(node, signal.on_axis(order.index(signal.axis)))


def _matmul(node: Node, signal: Signal) -> Stage:
    first, second = (*node.args, *node.kwargs.values())[:2]
    if (
        keras.utils.is_keras_tensor(second)
        or first is not node.first
        or len(second.shape) != 2
        or signal.axis == len(first.shape) - 1
    ):
        raise refusal(
            node,
            "it is no product of every step with one matrix",
            "Attention has to remember a window: write a layer with "
            "`initial_state` and `step`.",
        )
    return StepByStep(node, signal)


def _take(node: Node, signal: Signal) -> Stage:
    table, indices = node.args[:2]
    if indices is not node.first or node.operation.axis not in (0, None):
        raise refusal(node, "it takes steps out of their order")
    if node.operation.axis is None and len(table.shape) > 1:
        raise refusal(node, "it takes from a flattened table")
    return StepByStep(node, signal)


def _get_item(node: Node, signal: Signal) -> Stage:
    key = node.args[1] if len(node.args) > 1 else node.kwargs["key"]
    key = key if isinstance(key, tuple) else (key,)
    rank = len(node.first.shape)
    if Ellipsis in [k for k in key if not hasattr(k, "shape")]:
        at = [k is Ellipsis for k in key].index(True)
        new = sum(k is None for k in key)
        whole = (slice(None),) * (rank - (len(key) - 1 - new))
        key = (*key[:at], *whole, *key[at + 1 :])
    axis = result = 0
    cut: Any = slice(None)
    for k in key:
        if k is None:
            result += axis <= signal.axis
            continue
        if axis == 0 and k != slice(None):
            raise refusal(node, "it takes from the batch")
        if axis == signal.axis:
            cut = k
        elif isinstance(k, int):
            result -= axis < signal.axis
        elif not isinstance(k, slice):
            raise refusal(node, f"it takes {k!r}, which is no slice")
        axis += 1
    if not isinstance(cut, slice):
        raise refusal(node, "it takes single steps", "Take a slice.")
    left, right, stride = cut.start or 0, cut.stop or 0, cut.step or 1
    if left < 0 or right > 0 or stride < 1:
        raise refusal(
            node,
            f"it takes {cut} of time",
            "A stream knows the first steps to leave out, and the last ones "
            "as a negative stop, with steps forwards.",
        )
    if (left, right, stride) == (0, 0, 1):
        return StepByStep(node, signal.on_axis(signal.axis + result))
    others = tuple(slice(None) if k is cut else k for k in key)
    if stride == 1:
        return Crop(node, signal, left, -right, others, signal.axis + result)
    if any(k != slice(None) for k in others):
        raise refusal(
            node, "it cuts time and other axes", "Cut time in a slice alone."
        )
    return Slice(node, signal, left, -right, stride)


def _pad(node: Node, signal: Signal) -> Stage:
    operation = node.operation
    widths = keras.tree.flatten(operation.pad_width)
    rank = len(node.first.shape)
    if len(widths) == 1:
        widths = widths * 2 * rank
    elif len(widths) == 2:
        widths = widths * rank
    pairs = [tuple(widths[2 * n : 2 * n + 2]) for n in range(rank)]
    left, right = pairs[signal.axis]
    if not (left or right):
        return StepByStep(node, signal)
    if operation.mode != "constant":
        raise refusal(
            node,
            f"mode={operation.mode!r} pads with steps of the signal itself",
            'Pad with zeros: mode="constant".',
        )
    if any(pair != (0, 0) for n, pair in enumerate(pairs) if n != signal.axis):
        raise refusal(node, "it pads time and other axes", "Pad time alone.")
    value = node.kwargs.get("constant_values")
    if len(node.args) > 1:
        value = node.args[1]
    return Pad(node, signal, int(left), int(right), float(value or 0))


def _repeat(node: Node, signal: Signal) -> Stage:
    axes = _axes(node, len(node.first.shape))
    times = node.operation.repeats
    if axes is None or not isinstance(times, int):
        raise refusal(node, "it does not repeat every step so many times")
    if axes != (signal.axis,):
        return StepByStep(node, signal)
    return Repeat(node, signal, times)


def _einsum(node: Node, signal: Signal) -> Stage:
    subscripts = node.operation.subscripts.replace(" ", "")
    given, _, output = subscripts.partition("->")
    operands = given.split(",")
    tensors = [leaf for leaf in node.args if hasattr(leaf, "shape")]
    letters = {
        operand[signal.axis]
        for operand, tensor in zip(operands, tensors, strict=False)
        if tensor is node.first
    }
    letter = letters.pop() if letters else "."
    if (
        "." in subscripts
        or letter not in output
        or sum(letter in operand for operand in operands) != 1
    ):
        raise refusal(node, "it is no product of every step with constants")
    return StepByStep(node, signal.on_axis(output.index(letter)))


def _axes(node: Node, rank: int) -> tuple[int, ...] | None:
    """The axes that an operation names, from the front; None for all."""
    axis = getattr(node.operation, "axis", None)
    if axis is None:
        return None
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(int(one) % rank for one in axes)


def _expand_dims(node: Node, signal: Signal) -> Stage:
    axes = _axes(node, len(node.first.shape) + 1) or ()
    axis = signal.axis
    for one in sorted(axes):
        axis += one <= axis
    return StepByStep(node, signal.on_axis(axis))


OTHERS: dict[str, Callable[[Node, Signal], Stage]] = {
    "Einsum": _einsum,
    "ExpandDims": _expand_dims,
    "GetItem": _get_item,
    "Matmul": _matmul,
    "Moveaxis": _moved,
    "Pad": _pad,
    "Repeat": _repeat,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Swapaxes": _moved,
    "Take": _take,
    "Transpose": _transpose,
    "Unstack": _unstack,
}
