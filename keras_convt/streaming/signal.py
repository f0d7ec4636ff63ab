"""The arithmetic of streams: integers and fractions in, integers out.

A tensor with time is known by three numbers. For n steps of the model's
input, its offline tensor has `rate * n + tail` steps. After these n input
steps the stream has given `rate * n` of its steps, and they are late:
`streamed[m] == offline[m - delay]`. Padding, cropping and windows change
`delay` and `tail`; strides change `rate`.
"""

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Signal:
    """What is known of a tensor with time.

    Args:
        rate: Steps for each step of the model's input.
        delay: Steps that the stream is late. It is negative where the first
            offline steps are known before any input, as those of a padding.
        tail: Steps that the offline tensor has beyond `rate` times those of
            the input.
        axis: The axis of time in its shape.
    """

    rate: Fraction = Fraction(1)
    delay: int = 0
    tail: int = 0
    axis: int = 1

    def padded(self, left: int, right: int) -> "Signal":
        """With so many steps put before and after."""
        return self._changed(self.delay - left, self.tail + left + right)

    def cropped(self, left: int, right: int) -> "Signal":
        """With so many steps taken away before and after."""
        return self._changed(self.delay + left, self.tail - left - right)

    def late(self, steps: int) -> "Signal":
        """The same, so many steps later."""
        return self._changed(self.delay + steps, self.tail)

    def repeated(self, times: int) -> "Signal":
        """With `times` steps in the place of each."""
        return dataclasses.replace(
            self,
            rate=self.rate * times,
            delay=self.delay * times,
            tail=self.tail * times,
        )

    def windowed(
        self, size: int, stride: int, left: int, right: int
    ) -> "Signal":
        """After windows of `size` steps, every `stride` steps of the padded.

        The delay is the least: after so many input steps, all windows that
        are complete have been answered.
        """
        return dataclasses.replace(
            self,
            rate=self.rate / stride,
            delay=-((stride + left - size - self.delay) // stride),
            tail=(self.tail + left + right - size) // stride + 1,
        )

    def transposed(
        self, size: int, stride: int, left: int, right: int
    ) -> "Signal":
        """After a transposed convolution whose full output is cropped."""
        return dataclasses.replace(
            self,
            rate=self.rate * stride,
            delay=self.delay * stride + left,
            tail=self.tail * stride + size - stride - left - right,
        )

    def on_axis(self, axis: int) -> "Signal":
        return dataclasses.replace(self, axis=axis)

    def same_padding(self, size: int, stride: int) -> tuple[int, int]:
        """The zeros of `padding="same"` before and after.

        They depend on the length modulo the stride, which is that of `tail`
        because chunks come in whole blocks.
        """
        rest = self.tail % stride
        total = max(size - (rest or stride), 0)
        return total // 2, total - total // 2

    @property
    def must_wait(self) -> int:
        """Steps to wait, so that nothing is given that may be cropped."""
        return max(-self.delay - self.tail, 0)

    @property
    def input_latency(self) -> int:
        """Input steps before the first step of the offline tensor is given."""
        return max(math.ceil(self.delay / self.rate), 0)

    @property
    def left_over(self) -> int:
        """Offline steps that are still to come when the input has ended."""
        return max(self.delay + self.tail, 0)

    def _changed(self, delay: int, tail: int) -> "Signal":
        return dataclasses.replace(self, delay=delay, tail=tail)
