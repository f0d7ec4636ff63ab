"""PyTorch: its functions.

The figures in the comments are ratios of the built-in layer's time to ours,
forward / forward and backward, on 2 cores; `python -m benchmarks` repeats
them.

What PyTorch computes with oneDNN, on a CPU, is treated apart from all else, in
`torch_onednn`: its kernels are fast for other shapes, and some of its gradients
read out of bounds. That was seen with PyTorch 2.13, and "oneDNN's gradients" in
docs/upstream.md has the reproductions.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from keras_convt import geometry
from keras_convt.ops.backend import torch_onednn, torch_rules
from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.problem import Choice, Context, Problem
from keras_convt.ops.types import HALF, Crops, Size, Sizes, Tensor

# Rows from which a matrix product is worth oneDNN's reordering of the factors,
# and the most elements of the second factor that one row repays.
MANY_ROWS = 64
ELEMENTS_A_ROW = 2**16

# Taps of a signal's kernel from which its gradient is slow where oneDNN crops.
TAPS_SLOW_TO_CROP = 20

# Batch size times steps of a chunk up to which a product costs less than the
# copy of a kernel of Keras's layout, which PyTorch makes at each convolution.
FEW_STEPS = 256


class Torch(Backend):
    """PyTorch, eagerly, compiled, and exported."""

    measured_devices = ("cpu",)
    transposes_groups = True
    transposes_dilated = True
    # Keras repeats the last step there (3.15.1).
    averages_existing_steps = False
    loops_in_graph = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Asked once and here: PyTorch's compiler ends its graph where it is
        # asked (2.13). Where PyTorch is the backend, Keras has imported it.
        torch: Any = sys.modules.get("torch")
        self._has_onednn = (
            torch is not None and torch.backends.mkldnn.is_available()
        )
        vectors = (
            "" if torch is None else torch.backends.cpu.get_cpu_capability()
        )
        self._has_wide_vectors = vectors.startswith("AVX512")
        # With their channels last, gradients of volumes read out of bounds
        # with AVX-512. With AVX2 none was seen, and nothing else was tried.
        self._copies_volumes = vectors != "AVX2"

    def context(self, inputs: Tensor) -> Context:
        import torch

        if torch.compiler.is_exporting():
            engine = "export"
        elif torch_onednn.tracing():
            engine = "trace"
        elif torch.compiler.is_compiling():
            engine = "graph"
        else:
            engine = "eager"
        device = inputs.device.type
        return Context(
            engine,
            {"cuda": "gpu", "meta": "cpu"}.get(device, device),
            torch.is_grad_enabled(),
            self._has_wide_vectors,
        )

    def has_channels_first(self, inputs: Tensor, data_format: str) -> bool:
        # What PyTorch's convolutions of signals return has them there.
        return data_format == "channels_first" or (
            self._onednn(inputs)
            and torch_onednn.signal_has_channels_first(inputs)
        )

    def refusal(self, name: str, problem: Problem) -> str | None:
        if (
            name == "shift_multiply_add"
            and problem.context.exports
            and problem.rank > 1
            and problem.positions is None
        ):
            # With the channels first, the graph would hold for some sizes
            # only (PyTorch 2.13).
            return "cannot be exported for images whose size is left open"
        if (
            name == "native"
            and problem.context.engine == "export"
            and problem.groups > 1
            and len(set(problem.strides)) > 1
        ):
            # https://github.com/google-ai-edge/litert-torch/issues/604
            # (0.10.0): other values, without an error.
            return "is exported wrong with groups and strides that differ"
        return None

    def is_exact(self, name: str, problem: Problem) -> bool:
        if name != "native" or problem.groups > 1 or not problem.unit_strides:
            return True
        if problem.channels_first:
            # The built-in layer calls the same kernel, with the same error.
            return True
        # Where it adds one product after another; `conv_transpose` copies
        # inputs of many channels, so that it does not.
        few = (
            max(problem.channels, problem.filters) <= torch_onednn.FEW_CHANNELS
        )
        return few or 4 * problem.filters <= problem.channels

    def ranked(self, problem: Problem) -> list[Choice]:
        context = problem.context
        if (
            problem.dtype in HALF
            and not context.exports
            and not context.wide_vectors
        ):
            # `run` computes it in float32.
            problem = dataclasses.replace(problem, dtype="float32")
        return torch_rules.ranked(problem)

    def _onednn(self, tensor: Tensor) -> bool:
        """Whether oneDNN computes convolutions of a tensor."""
        return self._has_onednn and tensor.device.type == "cpu"

    def has_stand_in_sizes(self, inputs: Any) -> bool:
        # Keras calls a layer of one's own on this device to learn the shape of
        # its output, with 83 and then 89 for each size that is not known
        # (seen in Keras 3.15.1).
        return getattr(getattr(inputs, "device", None), "type", "") == "meta"

    def run(
        self,
        formulation: Callable[..., Tensor],
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        *sizes: Any,
    ) -> Tensor:
        import torch

        device = inputs.device.type
        if not torch.is_autocast_enabled(device):
            return self._run(formulation, inputs, kernel, bias, *sizes)
        # The dtype of the sum is that of PyTorch's own under autocast, which
        # decides for each of its functions: what a formulation is made of
        # would come in different dtypes.
        dtype = torch.get_autocast_dtype(device)
        if inputs.dtype != torch.float64:
            inputs, kernel = inputs.to(dtype), kernel.to(dtype)
        with torch.autocast(device, enabled=False):
            outputs = self._run(formulation, inputs, kernel, None, *sizes)
            return outputs if bias is None else outputs + bias

    def _run(
        self,
        formulation: Callable[..., Tensor],
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        *sizes: Any,
    ) -> Tensor:
        if not self._multiplies_in_float32(inputs):
            return formulation(inputs, kernel, bias, *sizes)
        # With AVX2, PyTorch's products of bfloat16 take 7 to 30 times as long
        # as those of float32 (2.13): 500x256 -> 128 k16 s8 66 / 740 ms, against
        # 9 / 24.
        outputs = formulation(*_in_float32(inputs, kernel, bias), *sizes)
        return outputs.to(inputs.dtype)

    def _multiplies_in_float32(self, tensor: Tensor) -> bool:
        """Whether products of half precision are slower than in float32."""
        return (
            not self._has_wide_vectors
            and _half_on_cpu(tensor)
            and not torch_onednn.exporting()
        )

    def matmul(self, first: Tensor, second: Tensor) -> Tensor:
        import torch
        from torch.nn import functional

        if self._multiplies_in_float32(first):
            return self.matmul(first.float(), second.float()).to(first.dtype)
        *positions, channels = first.shape
        rows, columns = math.prod(positions), second.shape[-1]
        if (
            first.dtype != torch.float32
            or not self._onednn(first)
            or torch_onednn.exporting()
            or rows < MANY_ROWS
            or channels * columns > rows * ELEMENTS_A_ROW
        ):
            return first @ second
        # A convolution with one tap is computed by oneDNN, and a product by
        # MKL, whose kernels for other processors than Intel's are half as
        # fast (https://github.com/pytorch/pytorch/issues/38412, PyTorch
        # 2.13): (400, 256) @ (256, 1280) 0.61 ms, against 1.4.
        image = first.reshape(1, 1, rows, channels).permute(0, 3, 1, 2)
        taps = second.t().reshape(columns, channels, 1, 1)
        outputs = functional.conv2d(image, taps)
        return outputs.permute(0, 2, 3, 1).reshape(*positions, columns)

    def in_memory_format_of(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        if not (
            self._onednn(inputs)
            and torch_onednn.signal_has_channels_first(inputs)
            and outputs.is_contiguous()
        ):
            return outputs
        # PyTorch's convolutions of signals want the channels first in memory,
        # and each of them copies a signal that has them last. What comes from
        # one of them most often goes to several.
        return torch_onednn.channels_last(
            torch_onednn.channels_first(outputs).contiguous()
        )

    def transpose(self, tensor: Tensor, axes: Sizes) -> Tensor:
        import torch

        if not isinstance(tensor, torch.Tensor):
            return super().transpose(tensor, axes)
        # `keras.ops.transpose` takes 8 microseconds, and this 3.
        return tensor.permute(axes)

    def pad(self, tensor: Tensor, zeros: Sequence[tuple[int, int]]) -> Tensor:
        from torch.nn import functional

        # `keras.ops.pad` takes 60 microseconds to begin, and this 3. PyTorch
        # begins with the last axis.
        return functional.pad(
            tensor, [size for pair in reversed(zeros) for size in pair]
        )

    def cut(self, outputs: Tensor, crops: Crops) -> Tensor:
        if not torch_onednn.tracing():
            return super().cut(outputs, crops)
        # Beside other layers, PyTorch's exporter by tracing makes the size
        # that it saw out of an end that is counted from behind (2.13).
        for axis, (left, right) in enumerate(crops, start=1):
            if left > 0 or right > 0:
                # `narrow` would have an end of no axes, which OpenVINO 2026.4
                # refuses.
                span = slice(left, outputs.shape[axis] - right)
                outputs = outputs[(slice(None),) * axis + (span,)]
        return outputs

    def window(
        self, outputs: Tensor, lefts: Sequence[Size], lengths: Sequence[Size]
    ) -> Tensor:
        import torch

        if not torch.compiler.is_exporting():
            return super().window(outputs, lefts, lengths)
        # A slice ends where the tensor ends, so its length depends on which
        # is the shorter, and the program would hold for half of the sizes.
        for axis, (left, length) in enumerate(
            zip(lefts, lengths, strict=True), start=1
        ):
            places = torch.arange(length, device=outputs.device) + left
            outputs = outputs.index_select(axis, places)
        return outputs

    def own_padding(
        self, borders: Sequence[tuple[int, int]], reach: Sequence[int]
    ) -> Sizes:
        # Any number, if it is the same at both ends.
        return tuple(max(min(border), 0) for border in borders)

    def convolution(
        self,
        inputs: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        dilation_rate: Sizes,
        groups: int,
        padding: Sizes,
    ) -> Tensor:
        from torch.nn import functional

        function = (functional.conv1d, functional.conv2d, functional.conv3d)[
            inputs.ndim - 3
        ]
        if _half_on_cpu(inputs):
            outputs = self.convolution(
                *_in_float32(inputs, kernel, bias),
                dilation_rate,
                groups,
                padding,
            )
            return outputs.to(inputs.dtype)
        onednn = self._onednn(inputs)
        inputs = torch_onednn.channels_first(inputs)
        if onednn and (inputs.ndim < 5 or self._copies_volumes):
            # With the channels last in memory, oneDNN adds all products of a
            # sum one after another, with up to five times the error. Of
            # volumes the error is that of the built-in layer, and a copy takes
            # twice the time: 24x48x48x8 -> 16 k5 124 ms, against 71.
            inputs = torch_onednn.copied(inputs)
        outputs = function(
            inputs,
            torch_onednn.filters_second(kernel),
            bias,
            padding=padding,
            dilation=dilation_rate,
            groups=groups,
        )
        return torch_onednn.channels_last(outputs)

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
            inputs.float(), kernel.float(), strides, dilation_rate, groups
        )
        return outputs.to(inputs.dtype)

    def streams_by_product(self, inputs: Tensor, groups: int) -> bool:
        sizes = inputs.shape[:2]
        # A size that is open when exporting is not an int.
        return not all(type(n) is int for n in sizes) or (
            math.prod(sizes) <= FEW_STEPS
        )

    def is_traced_as_open(self, size: Size) -> bool:
        return torch_onednn.tracing()

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
        import torch

        if _half_on_cpu(inputs):
            outputs = self.conv_transpose(
                *_in_float32(inputs, kernel, bias),
                strides,
                dilation_rate,
                groups,
                crops,
            )
            return outputs.to(inputs.dtype)
        exporting = torch_onednn.exporting()
        onednn = self._onednn(inputs) and not exporting
        # Sizes may not be asked for where they are to be left open.
        steps = None if exporting else tuple(inputs.shape[1:-1])
        paddings = (
            geometry.padding_and_output_padding
            if torch.compiler.is_compiling()
            else _kept_paddings
        )
        padding, output_padding, rest = paddings(
            crops,
            strides,
            # onnxruntime wants an output padding below the stride (1.32).
            (1,) * len(strides) if exporting else dilation_rate,
            # litert-torch 0.10 refuses most paddings, and misplaces others:
            # https://github.com/google-ai-edge/litert-torch/issues/316.
            crop_later=torch.compiler.is_exporting()
            or (
                onednn
                and steps is not None
                and self._crops_later(
                    steps, strides, crops, math.prod(kernel.shape[:-2])
                )
            ),
        )
        # Zeros that the window still wants past the end get their bias later.
        # Added to what is left of a crop, it makes new memory without gaps,
        # which takes a quarter less time in the training of small volumes.
        bias_later = any(
            right < 0 or (not exporting and (left, right) != (0, 0))
            for left, right in rest
        )
        within = None if bias_later else bias
        arguments = {
            "stride": strides,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation_rate,
        }
        if onednn and steps is not None:
            outputs = torch_onednn.conv_transpose(
                inputs,
                kernel,
                within,
                groups,
                steps,
                arguments,
                copies_volumes=self._copies_volumes,
            )
        else:
            outputs = torch_onednn.function_of(inputs.ndim)(
                torch_onednn.channels_first(inputs),
                torch_onednn.filters_second(kernel),
                within,
                groups=groups,
                **arguments,
            )
        cropped = any(crop != (0, 0) for crop in rest)
        if cropped and not exporting and outputs.is_contiguous():
            # They are cropped in the order that they have in memory. PyTorch
            # would put the gradient of a crop in the other order, and copy it
            # back.
            order: Crops = ((0, 0), *rest)
            outputs = torch_onednn.channels_last(self.crop(outputs, order))
        else:
            outputs = torch_onednn.channels_last(outputs)
            if cropped:
                outputs = self.crop(outputs, rest)
        return outputs + bias if bias_later and bias is not None else outputs

    def _crops_later(
        self, steps: Sizes, strides: Sizes, crops: Crops, taps: int
    ) -> bool:
        """Whether oneDNN is slow or wrong where it crops what it computes."""
        import torch

        if len(steps) == 1:
            # 8000x16 -> 16 k64 s2 takes 20 ms in training, against 16, and
            # k20 s1 12.5, against 10.8; k16 s1 6.9, against 9.8.
            return torch.is_grad_enabled() and taps >= TAPS_SLOW_TO_CROP
        if len(steps) == 2:
            return False
        # Gradients of volumes that oneDNN crops are slow without AVX-512:
        # 24x24x24x8 -> 16 k5 54 ms, against 26. Of those that it crops to
        # less than their kernel they are wrong, or end the process.
        return (
            torch.is_grad_enabled() and not self._has_wide_vectors
        ) or geometry.window_within_kernel(steps, strides, crops)


# For eager calls of the same sizes. PyTorch's compiler warns of a cache.
_kept_paddings = functools.lru_cache(geometry.padding_and_output_padding)


def _half_on_cpu(tensor: Tensor) -> bool:
    """Whether a convolution of a tensor has to be computed in float32.

    On processors with AMX some of oneDNN's convolutions of bfloat16, and many
    of their gradients, are wrong, and on an AMD processor with instructions for
    bfloat16 some gradients of small sizes are (PyTorch 2.13): see "bfloat16" in
    docs/upstream.md. Without such instructions it is as fast or faster in
    float32: 128 -> 64 k16 s8 1.4 / 1.3 times, and in float16, whose gradients
    oneDNN does not have, 1.3 / 60. With them it takes up to twice as long.
    """
    import torch

    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return half and tensor.device.type == "cpu"


def _in_float32(
    inputs: Tensor, kernel: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    bias = None if bias is None else bias.float()
    return inputs.float(), kernel.float(), bias
