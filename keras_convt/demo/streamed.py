"""The same restoration, of a signal that arrives chunk by chunk."""

from typing import Any

import keras
import numpy as np

import keras_convt
from keras_convt.demo.signal import Samples

CHUNK = 5  # coarse samples at a time


def restore_streamed(model: Any, coarse: Samples) -> tuple[Samples, int]:
    """Run the model on `CHUNK` samples at a time.

    Returns:
        The restored rows, `(batch, steps * FACTOR)`, and the samples by which
        the stream is late.
    """
    stream = keras_convt.StreamingModel(model)
    state = stream.initial_state(len(coarse))
    pieces = []
    for start in range(0, coarse.shape[1], CHUNK):
        chunk = coarse[:, start : start + CHUNK, None]
        piece, state = stream.step(keras.ops.convert_to_tensor(chunk), state)
        pieces.append(piece)
    pieces.append(stream.flush(state))
    late = stream.output_latency
    rows = np.concatenate(
        [keras.ops.convert_to_numpy(piece) for piece in pieces], axis=1
    )
    return rows[:, late:, 0], late
