"""Random lives of a layer: the built-in's outcome, or an error by name."""

import keras
import numpy as np
from gradients import BACKEND
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops
from tolerances import BUILT_IN, difference

import keras_convt

# JAX compiles each of them, so that few have to do there.
EXAMPLES = 12 if BACKEND == "jax" else 40


def set_to(name, value):
    def act(layer, x, folder):
        setattr(layer, name, value)
        return layer, layer(x)

    act.__name__ = f"{name}={value!r}"
    return act


def called(layer, x, folder):
    return layer, layer(x)


def from_its_config(layer, x, folder):
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    if layer.built:
        again.set_weights(layer.get_weights())
    return again, again(x)


def weights_saved_and_loaded(layer, x, folder):
    again = type(layer).from_config(layer.get_config())
    models = [keras.Sequential([made]) for made in (layer, again)]
    for model in models:
        model.build(x.shape)
    path = str(folder / f"{type(layer).__module__}.weights.h5")
    models[0].save_weights(path)
    models[1].load_weights(path)
    return again, again(x)


def predicted(layer, x, folder):
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    return layer, model.predict(x, verbose=0)


def nested_and_cloned(layer, x, folder):
    inner = keras.Sequential([keras.Input(x.shape[1:]), layer])
    inputs = keras.Input(x.shape[1:])
    copy = keras.models.clone_model(keras.Model(inputs, inner(inputs)))
    copy.set_weights(layer.get_weights())
    return layer, copy(x)


def frozen(layer, x, folder):
    layer.trainable = False
    assert not layer.trainable_weights
    return layer, layer(x)


ACTIONS = st.lists(
    st.sampled_from(
        [
            called,
            from_its_config,
            weights_saved_and_loaded,
            predicted,
            nested_and_cloned,
            frozen,
            set_to("strides", (1,)),
            set_to("strides", (3,)),
            set_to("padding", "same"),
            set_to("padding", "valid"),
            set_to("activation", keras.activations.tanh),
            set_to("filters", 5),
            set_to("kernel_size", (2,)),
            set_to("use_bias", False),
        ]
    ),
    min_size=1,
    max_size=4,
)


def life(cls, arguments, actions, folder):
    """What each action gives, until one fails: its error."""
    keras.utils.set_random_seed(7)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    layer = cls(4, 3, bias_initializer="ones", **arguments)
    outcomes = []
    for act in actions:
        try:
            layer, y = act(layer, x, folder)
        except Exception as error:
            return [*outcomes, error]
        outcomes.append(ops.convert_to_numpy(y))
    return outcomes


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.fixed_dictionaries(
        {
            "strides": st.integers(1, 3),
            "padding": st.sampled_from(["valid", "same"]),
            "use_bias": st.booleans(),
        }
    ),
    ACTIONS,
)
def test_the_same_outcome_or_an_error_by_name(
    tmp_path_factory, arguments, actions
):
    folder = tmp_path_factory.mktemp("life")
    theirs = life(layers.Conv1DTranspose, arguments, actions, folder)
    ours = life(keras_convt.Conv1DTranspose, arguments, actions, folder)
    for act, expected, actual in zip(actions, theirs, ours, strict=False):
        if isinstance(actual, Exception):
            # By name: what the weights of a built layer depend on.
            name = act.__name__.split("=")[0]
            assert isinstance(actual, ValueError), actual
            assert f"`{name}`" in str(actual)
            return
        if isinstance(expected, Exception):
            # It took a value that it cannot compute with.
            return
        wrong = difference(actual, expected, **BUILT_IN)
        assert wrong is None, f"{act.__name__}: {wrong}"
    assert len(ours) == len(theirs)
