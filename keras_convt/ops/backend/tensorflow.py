"""TensorFlow: its functions."""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_convt.ops.backend import tensorflow_rules
from keras_convt.ops.backend.generic import Backend, dtype_of, positions_of
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import HALF, Crops, Sizes, Tensor


class TensorFlow(Backend):
    """TensorFlow, eagerly, in graphs, and within `jit_compile=True`."""

    measured_devices = ("cpu",)
    replaces_gradients = True

    def context(self, inputs: Tensor) -> Context:
        import tensorflow as tf

        if tf.executing_eagerly():
            engine = "eager"
        else:
            engine = "xla" if _within_xla() else "graph"
        return Context(engine, _device_of(inputs))

    def is_open_size(self, size: Any) -> bool:
        import tensorflow as tf

        return tf.is_symbolic_tensor(size) and size.shape.rank == 0

    def mask_as_one_program(
        self, function: Callable[..., Tensor], mask: Tensor, *settings: Any
    ) -> Tensor:
        import tensorflow as tf

        if (
            # Keras calls layers with tensors of its own to learn shapes.
            not isinstance(mask, tf.Tensor)
            or not tf.executing_eagerly()
            or 0 in mask.shape
            # A graph would be traced for each output size.
            or any(_has_sizes(setting) for setting in settings)
        ):
            return function(mask, *settings)
        # The mask of the outputs takes up to 40 small operations, which add
        # 1.8 ms to a call of 1.5 ms. In a graph they add 0.3 ms.
        return _graph_of_rank(function, len(mask.shape), settings)(mask)

    def with_gradients_of(
        self,
        values: Callable[..., Tensor],
        gradients: Callable[..., Tensor],
        tensors: tuple[Tensor, Tensor],
        settings: tuple[Any, ...],
    ) -> Tensor:
        import tensorflow as tf

        if not tf.executing_eagerly():
            # A graph may be exported, and then has more outputs in OpenVINO:
            # see "outputs of a replaced gradient" in docs/upstream.md.
            return super().with_gradients_of(
                values, gradients, tensors, settings
            )

        @tf.custom_gradient
        def function(*tensors: Tensor) -> Any:
            def slopes(outputs: Tensor) -> list[Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(tensors)
                    equal = gradients(*tensors, *settings)
                return tape.gradient(equal, tensors, outputs)

            return values(*tensors, *settings), slopes

        # A variable would be an argument besides these.
        return function(*map(tf.convert_to_tensor, tensors))

    def cut(self, outputs: Tensor, crops: Crops) -> Tensor:
        if _within_xla():
            # There the gradient of a slice is slower than that of indexing,
            # and has no gradient of its own.
            return super().cut(outputs, crops)
        # The gradient of TensorFlow's indexing is up to twice as slow.
        batch, *steps, channels = ops.shape(outputs)
        kept = [
            n - left - right
            for n, (left, right) in zip(steps, crops, strict=True)
        ]
        starts = [left for left, _ in crops]
        return ops.slice(outputs, (0, *starts, 0), (batch, *kept, channels))

    def convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        dilation_rate: Sizes,
        groups: int,
        padding: Sizes,
    ) -> Tensor:
        dtype = dtype_of(inputs)
        if _half_on_cpu(inputs):
            inputs, kernel, bias = _in_float32(inputs, kernel, bias)
        outputs = super().convolution(
            inputs, kernel, bias, dilation_rate, groups, padding
        )
        return ops.cast(outputs, dtype)

    def strided_convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        strides: int,
        dilation_rate: int,
        groups: int,
    ) -> Tensor:
        if not _half_on_cpu(inputs):
            return super().strided_convolution(
                inputs, kernel, strides, dilation_rate, groups
            )
        outputs = super().strided_convolution(
            ops.cast(inputs, "float32"),
            ops.cast(kernel, "float32"),
            strides,
            dilation_rate,
            groups,
        )
        return ops.cast(outputs, inputs.dtype)

    def streams_by_product(self, inputs: Tensor, groups: int) -> bool:
        # It compiles a function for every shape of a grouped convolution.
        return groups > 1

    def conv_transpose(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        strides: Sizes,
        dilation_rate: Sizes,
        groups: int,
        crops: Crops,
    ) -> Tensor:
        import tensorflow as tf

        if _half_on_cpu(inputs):
            outputs = self.conv_transpose(
                *_in_float32(inputs, kernel, bias),
                strides,
                dilation_rate,
                groups,
                crops,
            )
            return ops.cast(outputs, dtype_of(inputs))
        kernel_size = tuple(kernel.shape[:-2])
        shape = ops.shape(inputs)
        # What TensorFlow calls SAME is a window that its kernels compute
        # without the rest. It is asked for where that is the window wanted.
        same = crops == _tensorflow_same(kernel_size, strides)
        steps = [
            n * s if same else (n - 1) * s + k
            for n, s, k in zip(shape[1:-1], strides, kernel_size, strict=True)
        ]
        padding = "SAME" if same else "VALID"

        def transposed(inputs: Tensor, kernel: Tensor) -> Tensor:
            return tf.nn.conv_transpose(
                inputs,
                kernel,
                output_shape=(shape[0], *steps, kernel.shape[-2]),
                strides=strides,
                padding=padding,
            )

        if (
            max(strides) == 1
            and positions_of(ops.shape(inputs)[:-1]) is not None
            and not tf.executing_eagerly()
            and _within_xla()
        ):
            transposed = _with_convolved_gradients(transposed, padding, crops)
        outputs = transposed(inputs, kernel)
        if not same:
            outputs = self.crop(outputs, crops)
        # Not `+`, which tf2onnx does not take into its ConvTranspose (1.17).
        return outputs if bias is None else tf.nn.bias_add(outputs, bias)

    def ranked(self, problem: Problem) -> list[Choice]:
        return tensorflow_rules.ranked(problem)


def _has_sizes(setting: Any) -> bool:
    """Whether a setting is a tuple of sizes."""
    return isinstance(setting, tuple) and any(
        isinstance(value, int) for value in setting
    )


@functools.lru_cache(maxsize=1024)
def _graph_of_rank(
    function: Callable[..., Tensor], rank: int, settings: tuple[Any, ...]
) -> Callable[..., Tensor]:
    """A function of a mask, as one graph for masks of all sizes."""
    import tensorflow as tf

    return tf.function(
        lambda mask: function(mask, *settings),
        input_signature=[tf.TensorSpec([None] * rank, tf.bool)],
        # It takes seconds to load, and nothing here is for it.
        autograph=False,
    )


def _with_convolved_gradients(
    transposed: Any, padding: str, crops: Crops
) -> Any:
    """TensorFlow's transposed convolution of stride 1, its gradients plain.

    XLA computes them as it would compute those of TensorFlow's own. But
    TensorFlow maps its own gradient of the kernel by a loop, and XLA has no
    second derivative of that loop (TensorFlow 2.21): see "A mapped gradient
    of a kernel" in docs/upstream.md.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def function(inputs: Tensor, kernel: Tensor) -> Any:
        def gradient(outputs: Tensor) -> tuple[Tensor, Tensor]:
            to_inputs = ops.conv(
                outputs, kernel, 1, padding.lower(), "channels_last"
            )
            if padding == "SAME":
                outputs = tf.pad(outputs, [(0, 0), *crops, (0, 0)])
            # The batch is summed over, as channels are: each filter's
            # outputs are a signal, and the inputs its kernel.
            to_kernel = ops.conv(
                ops.swapaxes(outputs, 0, -1),
                ops.moveaxis(inputs, 0, -2),
                1,
                "valid",
                "channels_last",
            )
            return to_inputs, ops.moveaxis(to_kernel, 0, -2)

        return transposed(inputs, kernel), gradient

    return function


def _tensorflow_same(kernel_size: Sizes, strides: Sizes) -> Crops | None:
    """The crops of SAME, for outputs of steps * strides.

    As TensorFlow documents it for the convolution that this transposes:
    max(k - s, 0) samples of padding, the odd one at the end.
    """
    total = [k - s for k, s in zip(kernel_size, strides, strict=True)]
    if min(total) < 0:
        # Zeros past the last tap, which are left to `crop`.
        return None
    return tuple((n // 2, n - n // 2) for n in total)


def _within_xla() -> bool:
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        # Set by tf.function(jit_compile=True) while it traces. TensorFlow has
        # no public name for it; without it, only the speed changes.
        context = getattr(graph, "_get_control_flow_context", lambda: None)()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def _half_on_cpu(inputs: Tensor) -> bool:
    """Whether a convolution of a tensor has to be computed in float32.

    On processors with AMX some of oneDNN's convolutions of bfloat16, and of
    their gradients, are wrong (TensorFlow 2.21): see "bfloat16" in
    docs/upstream.md. Without AMX, and in float16, float32 is faster.
    """
    return dtype_of(inputs) in HALF and _device_of(inputs) == "cpu"


def _in_float32(
    inputs: Tensor, kernel: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    bias = None if bias is None else ops.cast(bias, "float32")
    return ops.cast(inputs, "float32"), ops.cast(kernel, "float32"), bias


def _device_of(inputs: Tensor) -> str:
    """The kind of device that has `inputs`, or where a graph will run."""
    name = str(getattr(inputs, "device", None) or "")
    if not name:
        return _default_device()
    # Such as "/job:localhost/replica:0/task:0/device:CPU:0".
    return name.rsplit("device:", 1)[-1].split(":")[0].lower()


@functools.cache
def _default_device() -> str:
    import tensorflow as tf

    for kind in ("TPU", "GPU"):
        if tf.config.list_logical_devices(kind):
            return kind.lower()
    return "cpu"
