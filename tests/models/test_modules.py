"""from_torch, from_flax and from_equinox of the frameworks' own modules."""

import itertools

import equinox
import jax
import numpy as np
import pytest
import torch
from flax import nnx
from keras import ops
from tolerances import VALUES, Failures, assert_close
from torch.testing._internal.common_methods_invocations import op_db

from keras_convt import from_equinox, from_flax, from_torch

TORCH = {
    1: torch.nn.ConvTranspose1d,
    2: torch.nn.ConvTranspose2d,
    3: torch.nn.ConvTranspose3d,
}


def run(layer, x):
    return ops.convert_to_numpy(layer(np.asarray(x)))


def values(tensor):
    return tensor.detach().numpy()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torchs_own_samples(rank):
    (info,) = (
        info
        for info in op_db
        if info.name == f"nn.functional.conv_transpose{rank}d"
    )
    failures, refused = Failures(), 0
    for sample in info.sample_inputs("cpu", torch.float32):
        weight, bias = sample.args
        module = TORCH[rank](
            weight.shape[0],
            weight.shape[1] * sample.kwargs.get("groups", 1),
            weight.shape[2:],
            bias=bias is not None,
            **sample.kwargs,
        )
        module.weight.data = weight
        if bias is not None:
            module.bias.data = bias
        x = sample.input
        expected = module(x)
        if x.ndim == rank + 1:
            x, expected = x[None], expected[None]
        if max(module.stride) > 1 and max(module.dilation) > 1:
            with pytest.raises(ValueError, match="stride > 1 together"):
                from_torch(module)
            refused += 1
            continue
        failures.compare(
            run(from_torch(module, "channels_first"), x),
            values(expected),
            # Their samples are uniform in -9 to 9, so that products are some
            # thirty times as large as those of normal numbers.
            {"rtol": 1e-5, "atol": 3e-4},
            kwargs=sample.kwargs,
            shape=tuple(x.shape),
        )
    assert refused == 4
    failures.report()


def test_torch_in_one_dimension():
    failures = Failures()
    for k, s, d, p, o, groups in itertools.product(
        (1, 2, 3, 4, 7), (1, 2, 3), (1, 2), (0, 1, 2), (0, 1), (1, 2)
    ):
        if (s > 1 and d > 1) or o >= max(s, d) or 2 * p > (k - 1) * d:
            continue
        module = torch.nn.ConvTranspose1d(4, 6, k, s, p, o, groups, dilation=d)
        x = torch.randn(2, 4, 5)
        failures.compare(
            run(from_torch(module, "channels_first"), x),
            values(module(x)),
            VALUES,
            k=k,
            s=s,
            d=d,
            p=p,
            o=o,
            groups=groups,
        )
    assert failures.compared > 100
    failures.report()


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("old", [False, True])
def test_weight_norm(old, dim):
    normalize = (
        torch.nn.utils.weight_norm
        if old
        else torch.nn.utils.parametrizations.weight_norm
    )
    module = torch.nn.ConvTranspose1d(4, 6, 5, 2)
    if old:
        with pytest.warns(FutureWarning):
            module = normalize(module, dim=dim)
    else:
        module = normalize(module, dim=dim)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    x = torch.randn(2, 4, 5)
    # The layer first: `module.weight` of the older one is out of date.
    y = run(from_torch(module, "channels_first"), x)
    assert_close(y, values(module(x)), VALUES)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16]
)
def test_dtypes(dtype):
    module = torch.nn.ConvTranspose1d(4, 6, 5, 2, dtype=dtype)
    layer = from_torch(module)
    expected = {torch.float64: "float64", torch.float16: "float16"}
    assert layer.kernel.dtype == expected.get(dtype, "float32")


FLAX = [
    dict(kernel_size=k, strides=s, kernel_dilation=d, padding=padding)
    for k, (s, d), padding in itertools.product(
        ((1,), (3,), (4,), (2, 5)),
        ((None, None), (2, None), (3, 1), (None, 2)),
        ("SAME", "VALID", 0, "pairs"),
    )
]


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_flax(transpose_kernel):
    failures = Failures()
    rngs = nnx.Rngs(0)
    for number, arguments in enumerate(FLAX):
        padding = arguments["padding"]
        if padding == "pairs":
            padding = [(0, 3)] * len(arguments["kernel_size"])
        module = nnx.ConvTranspose(
            4,
            6,
            **{**arguments, "padding": padding},
            transpose_kernel=transpose_kernel,
            use_bias=number % 2 == 0,
            bias_init=nnx.initializers.normal(1.0),
            rngs=rngs,
        )
        shape = (2, *(12, 11)[: len(module.kernel_size)], 4)
        x = jax.random.normal(jax.random.key(number), shape)
        failures.compare(
            run(from_flax(module, "channels_last"), x),
            np.asarray(module(x)),
            VALUES,
            transpose_kernel=transpose_kernel,
            **arguments,
        )
    failures.report()


EQUINOX = [
    dict(kernel_size=k, stride=s, dilation=d, padding=padding, groups=groups)
    for k, (s, d), padding, groups in itertools.product(
        (1, 3, 4, (2, 5)),
        ((1, 1), (2, 1), (3, 1), (1, 2)),
        ("SAME", "SAME_LOWER", "VALID", 0, 1, "pair"),
        (1, 2),
    )
]


def test_equinox():
    failures = Failures()
    for number, arguments in enumerate(EQUINOX):
        key, other = jax.random.split(jax.random.key(number))
        rank = np.size(arguments["kernel_size"])
        padding = arguments["padding"]
        if padding == "pair":
            padding = [(0, 2)] * rank
        if padding == 1 and arguments["kernel_size"] == 1:
            continue
        module = equinox.nn.ConvTranspose(
            rank,
            4,
            6,
            **{**arguments, "padding": padding},
            output_padding=number % min(2, arguments["stride"]),
            use_bias=number % 3 > 0,
            key=key,
        )
        x = jax.random.normal(other, (2, 4, *(7, 6)[:rank]))
        failures.compare(
            run(from_equinox(module, "channels_first"), x),
            np.asarray(jax.vmap(module)(x)),
            VALUES,
            **arguments,
        )
    failures.report()
