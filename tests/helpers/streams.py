"""Streams of chunks, compared with the model for all chunks at once."""

import contextlib

import numpy as np
from gradients import BACKEND, compiled_if_quicker
from keras import ops
from tolerances import assert_close

import keras_convt

# The streamed and the whole sum the same products in another order.
STREAMED = {"rtol": 2e-5, "atol": 2e-5}


def inference():
    """PyTorch records gradients unless told not to; a stream needs none."""
    if BACKEND == "torch":
        import torch

        return torch.no_grad()
    return contextlib.nullcontext()


def randomize(model, rng):
    """Weights that are all different, of a size that keeps that of a signal."""
    for weight in model.weights:
        terms = max(int(np.prod(weight.shape[:-1])), 10)
        values = 0.5 * terms**-0.5 * rng.normal(size=weight.shape)
        if "variance" in weight.path or "alpha" in weight.path:
            values = 1 + np.abs(values)
        weight.assign(values.astype("float32"))
    return model


def cuts(blocks, kind):
    """Numbers of blocks, one a chunk, that are `blocks` together."""
    if kind == "one":
        return [1] * blocks
    if kind == "mixed":
        sizes, left = [], blocks
        for size in (2, 1, 2, 1):
            sizes.append(min(size, left))
            left -= sizes[-1]
        return [size for size in [*sizes, left] if size]
    return [blocks]


def streamed(stream, inputs, sizes, static=(), axis=1, step=None, flush=None):
    """All outputs and the flush, one after another, without the latency."""
    step = step or compiled_if_quicker(stream.step)
    flush = flush or compiled_if_quicker(stream.flush)
    batch = inputs[0].shape[0]
    state = stream.initial_state(batch, static)
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    ends = np.cumsum(sizes) * stream.block_size
    assert all(x.shape[axis] == ends[-1] for x in inputs)
    pieces = []
    for chunks in zip(
        *(np.split(x, ends[:-1], axis=axis) for x in inputs), strict=True
    ):
        chunks = [ops.convert_to_tensor(chunk) for chunk in chunks]
        y, state = step(chunks if len(chunks) > 1 else chunks[0], state)
        assert y.shape[axis] == chunks[0].shape[axis] * stream.output_ratio
        pieces.append(ops.convert_to_numpy(y))
        assert {name: tuple(t.shape) for name, t in state.items()} == shapes
    pieces.append(ops.convert_to_numpy(flush(state)))
    whole = np.concatenate(pieces, axis=axis)
    return np.take(
        whole, np.arange(stream.output_latency, whole.shape[axis]), axis
    )


def check(
    model,
    rng,
    blocks=8,
    batch=2,
    static=(),
    pointwise=(),
    axis=1,
    kinds=("one", "mixed", "all"),
    tolerance=STREAMED,
    step=None,
    sample=None,
):
    """Compare a stream with its model, in chunks of several sizes.

    Returns:
        The stream.
    """
    stream = keras_convt.StreamingModel(model, pointwise, static)
    steps = blocks * stream.block_size
    inputs = []
    for number, tensor in enumerate(model.inputs):
        shape = [batch, *tensor.shape[1:]]
        if number not in static:
            shape[axis] = steps
        values = rng.normal(size=shape) if sample is None else sample(shape)
        inputs.append(values.astype(tensor.dtype))
    with inference():
        tensors = [ops.convert_to_tensor(x) for x in inputs]
        offline = compiled_if_quicker(
            lambda *given: model(
                list(given) if len(given) > 1 else given[0], training=False
            )
        )
        expected = ops.convert_to_numpy(offline(*tensors))
        timed = [x for n, x in enumerate(inputs) if n not in static]
        alone = [inputs[n] for n in static]
        for kind in kinds:
            found = streamed(
                stream, timed, cuts(blocks, kind), alone, axis, step
            )
            scale = max(np.abs(expected).max(initial=0), 1e-3)
            assert_close(found / scale, expected / scale, tolerance, kind)
    return stream
