"""from_torch, from_flax and from_equinox of the frameworks' own modules."""

import itertools
import warnings

import equinox
import jax
import numpy as np
import pytest
import torch
from flax import linen, nnx
from keras import ops
from tolerances import VALUES, Failures, assert_close
from torch.testing._internal.common_methods_invocations import op_db

from keras_convt import (
    WeightNormalization,
    from_equinox,
    from_flax,
    from_torch,
)

TORCH = {
    1: torch.nn.ConvTranspose1d,
    2: torch.nn.ConvTranspose2d,
    3: torch.nn.ConvTranspose3d,
}


def run(layer, x):
    return ops.convert_to_numpy(layer(np.asarray(x)))


def values(tensor):
    return tensor.detach().numpy()


def outputs_of(modules, ranks, data_format):
    """Inputs of modules of JAX, and their outputs, compiled as one."""
    rng = np.random.default_rng(1234)
    inputs = [rng.normal(size=(2, *(12, 11, 10)[:rank], 4)) for rank in ranks]
    inputs = [x.astype("float32") for x in inputs]
    if data_format == "channels_first":
        inputs = [np.moveaxis(x, -1, 1) for x in inputs]

    @jax.jit
    def run_all(inputs):
        return [
            jax.vmap(module)(x)
            for module, x in zip(modules, inputs, strict=True)
        ]

    return inputs, [np.asarray(y) for y in run_all(inputs)]


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


NORMALIZED = {
    "ConvTranspose1d": (lambda: torch.nn.ConvTranspose1d(4, 6, 5, 2), 1),
    "groups": (lambda: torch.nn.ConvTranspose1d(4, 6, 4, 2, groups=2), 1),
    "ConvTranspose2d": (lambda: torch.nn.ConvTranspose2d(4, 3, 3, 2), 2),
    "ConvTranspose3d": (lambda: torch.nn.ConvTranspose3d(4, 3, 2), 3),
    "Conv1d": (lambda: torch.nn.Conv1d(4, 6, 3, groups=2), 1),
    "padded": (lambda: torch.nn.Conv1d(4, 6, 3, 2, padding=2), 1),
    "Conv2d": (lambda: torch.nn.Conv2d(4, 3, 2), 2),
}


@pytest.mark.parametrize("name", NORMALIZED)
def test_weight_norm_is_trained_as_pytorchs(name):
    """Outputs, gradients and 20 steps of SGD, within 1e-5."""
    make, rank = NORMALIZED[name]
    module = torch.nn.utils.parametrizations.weight_norm(make())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    converted = from_torch(module, "channels_first", keep_weight_norm=True)
    wrapper = converted
    if not isinstance(wrapper, WeightNormalization):
        wrapper = converted.layers[-1]
    module = module.double()
    g, v = module.parametrizations.weight.parameters()
    x = torch.randn(2, 4, *(7, 6, 5)[:rank])
    with torch.no_grad():
        target = torch.randn_like(module(x.double()))
    theirs = torch.optim.SGD(module.parameters(), 0.5)
    ours = torch.optim.SGD(converted.parameters(), 0.5)
    started = None
    for _ in range(20):
        losses = []
        for model, optimizer, inputs in (
            (module, theirs, x.double()),
            (converted, ours, x),
        ):
            optimizer.zero_grad()
            loss = torch.mean((model(inputs) - target.to(inputs.dtype)) ** 2)
            loss.backward()
            losses.append(loss.item())
        close = {"rtol": 1e-5, "atol": 1e-5}
        started = started or losses[1]
        assert_close(losses[1], losses[0], close)
        gradient = wrapper.g.value.grad.numpy()
        assert_close(gradient, g.grad.numpy().ravel(), close)
        gradient = np.moveaxis(wrapper.v.value.grad.numpy(), (-1, -2), (0, 1))
        assert_close(gradient, v.grad.numpy(), close)
        theirs.step()
        ours.step()
    assert losses[1] < 0.99 * started
    assert_close(run(converted, x), values(module(x.double())), close)
    folded = wrapper.remove()
    assert_close(
        np.moveaxis(values(folded.kernel.value), (-1, -2), (0, 1)),
        values(module.weight),
        close,
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_plain_convolutions(rank):
    failures = Failures()
    make = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[rank]
    for k, s, d, p, groups in itertools.product(
        (1, 3, 4), (1, 2), (1, 2), (0, 1, 3, "same"), (1, 2)
    ):
        if (s > 1 and d > 1) or (p == "same" and s > 1):
            continue
        module = make(4, 6, k, s, p, d, groups)
        x = torch.randn(2, 4, *(9, 8, 7)[:rank])
        if p != "same" and min(x.shape[2:]) + 2 * p < (k - 1) * d + 1:
            continue
        with warnings.catch_warnings():
            # PyTorch, of its own "same" with even kernels.
            warnings.simplefilter("ignore")
            expected = values(module(x))
        failures.compare(
            run(from_torch(module, "channels_first"), x),
            expected,
            VALUES,
            k=k,
            s=s,
            d=d,
            p=p,
            groups=groups,
        )
    assert failures.compared >= 60
    failures.report()


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16]
)
def test_dtypes(dtype):
    module = torch.nn.ConvTranspose1d(4, 6, 5, 2, dtype=dtype)
    # Keras's policy, as for any layer, and what is asked for.
    assert from_torch(module).kernel.dtype == "float32"
    name = str(dtype).removeprefix("torch.")
    layer = from_torch(module, "channels_first", dtype=name)
    assert layer.kernel.dtype == name
    torch.testing.assert_close(
        layer.kernel.value.movedim((-1, -2), (0, 1)), module.weight.data
    )


def test_a_quantized_module_is_refused():
    torch.backends.quantized.engine = "qnnpack"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.ao.nn.quantized.ConvTranspose1d(4, 6, 3)
    with pytest.raises(TypeError, match=r"`module` must not be quantized"):
        from_torch(module)


def test_a_module_of_linen_is_refused():
    with pytest.raises(TypeError, match=r"One of flax.linen has no weights"):
        from_flax(linen.ConvTranspose(4, (3,)))


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
    modules = []
    for number, arguments in enumerate(FLAX):
        padding = arguments["padding"]
        if padding == "pairs":
            padding = [(0, 3)] * len(arguments["kernel_size"])
        modules.append(
            nnx.ConvTranspose(
                4,
                6,
                **{**arguments, "padding": padding},
                transpose_kernel=transpose_kernel,
                use_bias=number % 2 == 0,
                bias_init=nnx.initializers.normal(1.0),
                rngs=rngs,
            )
        )
    ranks = [len(module.kernel_size) for module in modules]
    inputs, outputs = outputs_of(modules, ranks, "channels_last")
    for arguments, module, x, expected in zip(
        FLAX, modules, inputs, outputs, strict=True
    ):
        failures.compare(
            run(from_flax(module, "channels_last"), x),
            expected,
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
    modules, configurations = [], []
    for number, arguments in enumerate(EQUINOX):
        rank = np.size(arguments["kernel_size"])
        padding = arguments["padding"]
        if padding == "pair":
            padding = [(0, 2)] * rank
        if padding == 1 and arguments["kernel_size"] == 1:
            continue
        configurations.append(arguments)
        modules.append(
            equinox.nn.ConvTranspose(
                rank,
                4,
                6,
                **{**arguments, "padding": padding},
                output_padding=number % min(2, arguments["stride"]),
                use_bias=number % 3 > 0,
                key=jax.random.key(number),
            )
        )
    ranks = [module.num_spatial_dims for module in modules]
    inputs, outputs = outputs_of(modules, ranks, "channels_first")
    for arguments, module, x, expected in zip(
        configurations, modules, inputs, outputs, strict=True
    ):
        failures.compare(
            run(from_equinox(module, "channels_first"), x),
            expected,
            VALUES,
            **arguments,
        )
    failures.report()


PLAIN = [
    dict(kernel=k, strides=s, rates=d, padding=padding)
    for k, (s, d), padding in itertools.product(
        ((4,), (2, 5), (2, 1, 3)),
        ((1, 1), (2, 1), (1, 2)),
        ("SAME", "VALID", "CAUSAL", "SAME_LOWER", "pairs", 0),
    )
]


def plain_module(framework, number, given):
    """A module of a framework, or None where it has no such."""
    rank, padding = len(given["kernel"]), given["padding"]
    pads = [(0, 3)] * rank if padding == "pairs" else padding
    groups = 1 + number % 2
    if framework == "flax":
        if padding == "SAME_LOWER" or (padding == "CAUSAL" and rank > 1):
            return None
        return nnx.Conv(
            4,
            6,
            given["kernel"],
            given["strides"],
            padding=pads,
            kernel_dilation=given["rates"],
            feature_group_count=groups,
            use_bias=number % 5 > 0,
            bias_init=nnx.initializers.normal(1.0),
            rngs=nnx.Rngs(number),
        )
    if padding == "CAUSAL":
        return None
    return equinox.nn.Conv(
        rank,
        4,
        6,
        given["kernel"],
        given["strides"],
        pads,
        given["rates"],
        groups,
        use_bias=number % 5 > 0,
        key=jax.random.key(number),
    )


@pytest.mark.parametrize(
    ("framework", "convert", "data_format"),
    [
        ("flax", from_flax, "channels_last"),
        ("equinox", from_equinox, "channels_first"),
    ],
)
def test_plain_convolutions_of_jax(framework, convert, data_format):
    failures = Failures()
    modules, configurations = [], []
    for number, given in enumerate(PLAIN):
        if given["padding"] == "SAME_LOWER" and given["strides"] > 1:
            continue
        module = plain_module(framework, number, given)
        if module is not None:
            modules.append(module)
            configurations.append(given)
    ranks = [len(given["kernel"]) for given in configurations]
    inputs, outputs = outputs_of(modules, ranks, data_format)
    for given, module, x, expected in zip(
        configurations, modules, inputs, outputs, strict=True
    ):
        failures.compare(
            run(convert(module, data_format), x), expected, VALUES, **given
        )
    assert failures.compared >= 35
    failures.report()
