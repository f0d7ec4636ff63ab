"""The opposite of a convolution layer, by its defining identity."""

import copy
import itertools

import keras
import numpy as np
import pytest
import reference
from gradients import compiled_if_quicker
from keras import layers, ops
from tolerances import IDENTITY, SAME_LAYER, Failures, assert_close

import keras_convt
from keras_convt.adjoint import adjoint

LENGTHS = range(9, 17)
CONV = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


def skip_where_the_forward_layer_is_wrong(padding):
    old = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15)
    if old and padding == "same" and keras.backend.backend() == "torch":
        pytest.skip(
            'on PyTorch, "same" of the forward convolution of Keras before '
            "3.15 pads otherwise than on the other backends"
        )


def randomized(layer, input_shape, rng):
    """The layer, built, with normal numbers in every weight."""
    layer.build(input_shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def without_bias(conv, x):
    """The linear part of a layer, which is what has an adjoint."""
    zero = ops.zeros_like(x)
    return conv(x) - conv(zero)


def compare_identity(failures, x, forward, y, back, **configuration):
    """<conv(x), y> and <x, adjoint(y)>, and the shape of x."""
    if back.shape != x.shape:
        failures.compared += 1
        failures.add(f"shape {back.shape}, not {x.shape}", **configuration)
        return
    ours, theirs = x * back.astype("float64"), y * forward.astype("float64")
    scale = np.sum(np.abs(ours)) + np.sum(np.abs(theirs))
    failures.compare(
        np.sum(ours),
        np.sum(theirs),
        {"rtol": 0.0, "atol": IDENTITY * scale},
        **configuration,
    )


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_identity_for_every_length(padding, groups, rng):
    skip_where_the_forward_layer_is_wrong(padding)
    failures = Failures()
    for k, (s, d) in itertools.product(
        range(1, 9), [(1, 1), (2, 1), (3, 1), (1, 2)]
    ):
        ke = (k - 1) * d + 1
        lengths = [n for n in LENGTHS if padding != "valid" or n >= ke]
        conv = layers.Conv1D(
            6, k, s, padding, dilation_rate=d, groups=groups, use_bias=False
        )
        randomized(conv, (None, None, 4), rng)
        back = adjoint(conv)

        @compiled_if_quicker
        def both(xs, ys, conv=conv, back=back):
            return (
                [conv(x) for x in xs],
                [back(y, output_size=x) for x, y in zip(xs, ys, strict=True)],
            )

        xs = [normal(rng, 2, n, 4) for n in lengths]
        ys = [
            normal(rng, *conv.compute_output_shape((2, n, 4))) for n in lengths
        ]
        forwards, backs = both(
            [ops.convert_to_tensor(x) for x in xs],
            [ops.convert_to_tensor(y) for y in ys],
        )
        for n, x, y, forward, returned in zip(
            lengths, xs, ys, forwards, backs, strict=True
        ):
            compare_identity(
                failures,
                x,
                ops.convert_to_numpy(forward),
                y,
                ops.convert_to_numpy(returned),
                k=k,
                s=s,
                d=d,
                n=n,
            )
    expected = 8 * 4 * len(LENGTHS)
    if padding == "valid":
        # Kernels of 6, 7 and 8 taps at a dilation of 2 reach 11, 13 and 15.
        expected -= 2 + 4 + 6
    assert failures.compared == expected
    failures.report()


def test_the_values_are_the_references(rng):
    conv = randomized(layers.Conv1D(6, 5, 2, "causal"), (None, None, 4), rng)
    y = normal(rng, 2, 7, 6)
    back = adjoint(conv)
    for n in (13, 14):
        # Causal: the forward convolution pads 4 zeros on the left, and none
        # on the right.
        full = reference.conv_transpose(
            y, ops.convert_to_numpy(conv.kernel), strides=2
        )
        expected = reference.cut(full, [4], [n])
        assert_close(
            ops.convert_to_numpy(back(y, output_size=n)),
            expected,
            {"rtol": 1e-5, "atol": 1e-5},
        )
    assert tuple(back(y).shape) == (2, 14, 4)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"kernel_size": 4, "strides": 3, "padding": "same"}),
        (1, {"kernel_size": 3, "dilation_rate": 2, "padding": "causal"}),
        (2, {"kernel_size": (3, 2), "strides": (2, 3), "padding": "same"}),
        (2, {"kernel_size": (2, 3), "strides": (1, 2), "groups": 2}),
        (3, {"kernel_size": (3, 2, 1), "strides": 2, "padding": "same"}),
    ],
)
def test_every_rank(rank, arguments, data_format, rng):
    skip_where_the_forward_layer_is_wrong(arguments.get("padding"))
    if data_format == "channels_first" and arguments.get("groups"):
        # No backend promises grouped channels_first convolutions on a CPU.
        arguments = {**arguments, "groups": 1}
    steps = (11, 8, 5)[:rank]
    shape = (2, *steps, 4)
    if data_format == "channels_first":
        shape = (2, 4, *steps)
    conv = CONV[rank](6, data_format=data_format, **arguments)
    randomized(conv, shape, rng)
    x = normal(rng, *shape)
    forward = ops.convert_to_numpy(without_bias(conv, x))
    y = normal(rng, *forward.shape)
    back = ops.convert_to_numpy(adjoint(conv)(y, output_size=x))
    failures = Failures()
    compare_identity(failures, x, forward, y, back)
    failures.report()


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("depth_multiplier", [1, 3])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_depthwise(rank, depth_multiplier, tie_weights, padding, rng):
    layer_class = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}[rank]
    shape = (2, *(11, 8)[:rank], 4)
    conv = layer_class(3, 2, padding, depth_multiplier=depth_multiplier)
    randomized(conv, shape, rng)
    x = normal(rng, *shape)
    forward = ops.convert_to_numpy(without_bias(conv, x))
    y = normal(rng, *forward.shape)
    back = adjoint(conv, tie_weights)
    assert (back.kernel is conv.kernel) == tie_weights
    failures = Failures()
    compare_identity(
        failures, x, forward, y, ops.convert_to_numpy(back(y, output_size=x))
    )
    failures.report()


def test_a_copy_is_a_copy(rng):
    conv = randomized(layers.Conv1D(6, 3), (None, None, 4), rng)
    back = adjoint(conv, name="back")
    assert back.name == "back"
    assert type(back) is keras_convt.Conv1DTranspose
    before = ops.convert_to_numpy(conv.kernel)
    back.kernel.assign(np.zeros(back.kernel.shape))
    np.testing.assert_array_equal(ops.convert_to_numpy(conv.kernel), before)


def test_a_copy_trains_beside_its_original(rng):
    conv = layers.Conv1D(6, 3, 2, "same")
    inputs = keras.Input((13, 4))
    code = conv(inputs)
    model = keras.Model(inputs, adjoint(conv)(code, output_size=inputs))
    model.compile("adam", "mse")
    x = normal(rng, 4, 13, 4)
    first = model.evaluate(x, x, verbose=0)
    model.fit(x, x, epochs=5, verbose=0)
    assert model.evaluate(x, x, verbose=0) < first
    assert len(model.trainable_variables) == 3


def autoencoder():
    """A model with two tied pairs, one of them depthwise, and its layers."""
    inputs = keras.Input((None, 3))
    depthwise = layers.DepthwiseConv1D(3, 1, "same", depth_multiplier=2)
    conv = layers.Conv1D(8, 4, 2, "same", activation="tanh")
    wide = depthwise(inputs)
    code = conv(wide)
    wider = adjoint(conv, True, activation="tanh", use_bias=True)
    narrow = adjoint(depthwise, True, use_bias=True)
    outputs = narrow(wider(code, output_size=wide))
    return keras.Model(inputs, outputs)


def tied_pairs(model):
    """The two convolutions of `autoencoder`, and those that undo them."""
    _, depthwise, conv, wider, narrow = model.layers
    return [(conv, wider), (depthwise, narrow)]


def assert_tied(model):
    for conv, transposed in tied_pairs(model):
        assert transposed.kernel is conv.kernel
    # Two kernels, and four biases.
    assert len(model.trainable_variables) == 6


def test_tied_weights_train_as_one_variable(rng):
    model = autoencoder()
    assert_tied(model)
    model.compile("sgd", "mse")
    x = normal(rng, 4, 13, 3)
    before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    first = model.evaluate(x, x, verbose=0)
    model.fit(x, x, epochs=5, verbose=0)
    assert_tied(model)
    assert model.evaluate(x, x, verbose=0) < first
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.any(old != ops.convert_to_numpy(new)), new.path


def test_the_gradient_of_a_tied_kernel_has_both_parts(rng):
    x = normal(rng, 2, 13, 4)
    conv = randomized(
        layers.Conv1D(6, 3, 2, "same", use_bias=False), x.shape, rng
    )
    kernel = ops.convert_to_numpy(conv.kernel).astype("float64")
    sizes = {"strides": 2, "padding": "same"}
    code = reference.conv(x, kernel, **sizes)
    # d/dK sum(A' A x) of the linear A: with 1 for the sum, <A x, A 1>.
    ones = np.ones_like(x)
    of_ones = reference.conv(ones, kernel, **sizes)
    expected = (
        reference.gradients(code, kernel, ones, output_size=13, **sizes)[1]
        + reference.gradients(of_ones, kernel, x, output_size=13, **sizes)[1]
    )
    inputs = keras.Input((13, 4))
    back = adjoint(conv, True)
    model = keras.Model(inputs, back(conv(inputs), output_size=inputs))
    # One step of plain descent shows the gradient.
    model.compile(keras.optimizers.SGD(1.0), loss=sum_of_outputs)
    model.fit(x, x, batch_size=2, epochs=1, verbose=0)
    moved = kernel - ops.convert_to_numpy(conv.kernel)
    assert_close(moved, expected, {"rtol": 1e-4, "atol": 1e-3})


def sum_of_outputs(target, outputs):
    # Keras takes the mean over the batch; there are two.
    return 2 * ops.sum(outputs, axis=(1, 2))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_saved_model_is_tied_again(frozen, tmp_path, rng):
    model = autoencoder()
    if frozen:
        tied_pairs(model)[0][0].trainable = False
    model.compile("adam", "mse")
    x = normal(rng, 4, 13, 3)
    model.fit(x, x, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_close(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), SAME_LAYER
    )
    if frozen:
        assert not tied_pairs(loaded)[0][1].kernel.trainable
        return
    assert_tied(loaded)
    loaded.fit(x, x, verbose=0)
    assert_tied(loaded)


def test_nested_models_are_tied_again(tmp_path, rng):
    conv = layers.Conv1D(8, 4, 2, "same", activation="tanh")
    encoder = keras.Sequential([keras.Input((None, 3)), conv])
    decoder = keras.Sequential([keras.Input((None, 8)), adjoint(conv, True)])
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, decoder(encoder(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    _, encoder, decoder = loaded.layers
    assert decoder.layers[0].kernel is encoder.layers[0].kernel
    x = normal(rng, 2, 12, 3)
    assert_close(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), SAME_LAYER
    )


def test_a_copy_of_a_tied_model():
    model = autoencoder()
    copied = copy.deepcopy(model)
    assert_tied(copied)
    for (conv, _), (original, _) in zip(
        tied_pairs(copied), tied_pairs(model), strict=True
    ):
        assert conv.kernel is not original.kernel
    # Made from its config alone, a layer cannot know its partner.
    for lose_the_partner in (
        keras.models.clone_model,
        lambda model: keras.Model.from_config(model.get_config()),
        lambda model: keras.models.model_from_json(model.to_json()),
    ):
        with pytest.raises(ValueError, match=r"is tied to 'conv1d"):
            lose_the_partner(model)


def test_a_tied_decoder_saved_alone_has_its_kernel(tmp_path, rng):
    conv = randomized(layers.Conv1D(8, 4, 2, "same"), (None, None, 3), rng)
    decoder = keras.Sequential([keras.Input((None, 8)), adjoint(conv, True)])
    decoder.save(tmp_path / "decoder.keras")
    loaded = keras.models.load_model(tmp_path / "decoder.keras")
    y = normal(rng, 2, 5, 8)
    assert_close(
        loaded.predict(y, verbose=0), decoder.predict(y, verbose=0), SAME_LAYER
    )


def test_weights_of_a_tied_model_load_into_another(tmp_path, rng):
    model, other = autoencoder(), autoencoder()
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    other.load_weights(path)
    assert_tied(other)
    x = normal(rng, 2, 12, 3)
    assert_close(
        other.predict(x, verbose=0), model.predict(x, verbose=0), SAME_LAYER
    )


def test_mixed_precision(rng):
    conv = layers.Conv1D(6, 3, 2, "same", dtype="mixed_bfloat16")
    randomized(conv, (None, None, 4), rng)
    for tie_weights in (False, True):
        y = adjoint(conv, tie_weights)(normal(rng, 2, 5, 6))
        assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"


def test_refusals():
    with pytest.raises(TypeError, match=r"`conv` must be one of the layers"):
        adjoint(layers.Dense(3))
    with pytest.raises(TypeError, match=r"`conv` must be one of the layers"):
        adjoint(layers.SeparableConv1D(3, 3))
    with pytest.raises(ValueError, match=r"`conv` must be built"):
        adjoint(layers.Conv1D(3, 3))
    conv = layers.Conv1D(3, 3)
    conv.build((None, None, 2))
    with pytest.raises(TypeError, match=r"`tie_weights` must be True or False"):
        adjoint(conv, tie_weights="yes")
    conv.enable_lora(2)
    with pytest.raises(ValueError, match=r"whose kernel is a variable"):
        adjoint(conv, tie_weights=True)


def strided_and_dilated():
    conv = layers.DepthwiseConv1D(3, 2, dilation_rate=2)
    conv.build((None, None, 2))
    return adjoint(conv)


def test_strides_with_dilation_are_refused():
    # Older Keras refuses the convolution itself.
    with pytest.raises(ValueError, match=r"`strides > 1`"):
        strided_and_dilated()
