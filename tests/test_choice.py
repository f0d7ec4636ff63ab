"""Which formulation is chosen, by backend, engine, device and sizes."""

import dataclasses
import itertools

import keras
import pytest
from helpers.problems import ONE_D, SIGNAL, STRIDE_ONE, WIDE, chosen
from keras import ops

from keras_convt.ops.backend import BACKENDS, backend, named
from keras_convt.ops.backend.generic import Backend
from keras_convt.ops.choice import check_implementation, choose, supported
from keras_convt.ops.problem import Choice, Context, Problem


@pytest.mark.parametrize(
    ("running", "changes", "expected"),
    [
        ("numpy", {}, "native"),
        ("openvino", {"groups": 128, "filters": 128}, "overlap_add"),
    ],
)
def test_the_choice(running, changes, expected):
    assert chosen(running, changes) == expected


@pytest.mark.parametrize("running", ["jax", "tensorflow-xla"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "winograd"),
        ({"positions": 3277}, "winograd_transposed"),
        (WIDE | {"positions": 820}, "winograd_transposed"),
        (WIDE | {"positions": 819}, "winograd"),
        ({"filters": 512}, "sub_pixel"),
        ({"filters": 511}, "winograd"),
    ],
)
def test_a_signal_of_two_strides_within_xla(running, changes, expected):
    assert chosen(running, SIGNAL | changes) == expected


# Of each backend, every engine that it says it is.
ENGINES = {
    "jax": ["eager", "xla", "export"],
    "numpy": ["eager"],
    "openvino": ["graph"],
    "tensorflow": ["eager", "graph", "xla"],
    "torch": ["eager", "graph", "export", "trace"],
}


@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize(
    ("name", "engine"),
    [(name, engine) for name in BACKENDS for engine in ENGINES[name]],
)
def test_every_choice_is_right_there(name, engine, device):
    chosen_by = named(name)
    for rank, groups, positions, k, s, d in itertools.product(
        (1, 2, 3), (1, 4, 64), (None, 0, 50, 9000), (1, 4, 300), (1, 2), (1, 3)
    ):
        problem = Problem(
            *(
                (k,) * rank,
                (s,) * rank,
                (d,) * rank,
                groups,
                64,
                128,
                positions,
            ),
            context=Context(engine, device),
        )
        choice = choose(problem, backend=chosen_by)
        assert choice.name in supported(problem, chosen_by)
        assert (choice.each is None) == (choice.name != "by_group")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Choice("native", "not measured on a gpu")),
        ({"groups": 4}, Choice("native", "not measured on a gpu")),
        (
            {"groups": 64},
            Choice("overlap_add", "not measured on a gpu, many groups"),
        ),
        (
            STRIDE_ONE | {"groups": 64},
            Choice("convolution", "not measured on a gpu"),
        ),
        ({"positions": 0}, Choice("overlap_add", "no positions")),
    ],
)
def test_a_device_that_nobody_measured(changes, expected):
    problem = Problem(**(ONE_D | changes), context=Context("xla", "gpu"))
    assert choose(problem, backend=named("jax")) == expected


def test_a_backend_that_nobody_measured():
    nobody_knows = named("cntk")
    assert type(nobody_knows) is Backend
    problem = Problem(**ONE_D, context=nobody_knows.context(None))
    assert choose(problem, backend=nobody_knows) == Choice(
        "native", "not measured with cntk"
    )


def test_what_the_caller_sets():
    problem = Problem(**ONE_D)
    assert choose(problem, "sub_pixel") == Choice(
        "sub_pixel", "set by the caller"
    )


@pytest.mark.parametrize(
    ("name", "engine"),
    [("jax", "export"), ("torch", "export"), ("torch", "trace")],
)
def test_what_is_set_for_this_machine_does_not_hinder_an_export(name, engine):
    problem = Problem(**ONE_D, context=Context(engine))
    exported = choose(problem, "winograd", named(name))
    assert exported == choose(problem, backend=named(name))
    assert exported.name == "native"


def test_where_gradients_of_products_are():
    name = "native_with_products"
    problem = Problem(**ONE_D)
    assert name in supported(problem, named("jax"))
    assert name in supported(problem, named("tensorflow"))
    for other in ("numpy", "openvino", "torch"):
        # A model that was tuned on JAX is right everywhere.
        assert choose(problem, name, named(other)).name == name
        assert name not in supported(problem, named(other))
    exported = dataclasses.replace(problem, context=Context("export"))
    assert choose(exported, name, named("jax")).name == "native"


def test_groups_one_after_another_choose_for_one_group():
    problem = Problem(**(ONE_D | {"groups": 4, "channels": 256}))
    assert choose(problem, backend=named("jax")) == Choice(
        "by_group", "few groups", each="overlap_add"
    )
    assert choose(problem, "by_group", backend=named("torch")) == Choice(
        "by_group", "set by the caller", each="native"
    )


def test_what_is_not_exact_enough_is_not_chosen():
    """Though it is faster, and computed if the caller sets it."""
    within = {"context": Context("xla", "cpu"), "channels": 21, "filters": 21}
    image = {"kernel_size": (16,) * 2, "strides": (8,) * 2}
    image |= {"dilation_rate": (1,) * 2, "positions": 256}
    problem = Problem(**(ONE_D | within | image))
    assert choose(problem, backend=named("tensorflow")).name == "sub_pixel"
    volume = {"kernel_size": (4,) * 3, "strides": (2,) * 3}
    volume |= {"dilation_rate": (1,) * 3, "positions": 1000}
    problem = Problem(**(ONE_D | within | volume))
    choice = choose(problem, backend=named("tensorflow"))
    assert choice.name == "overlap_add_transposed"
    ranked = [each.name for each in named("tensorflow").ranked(problem)]
    assert ranked == ["sub_pixel", choice.name]
    assert "sub_pixel" in supported(problem, named("tensorflow"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("convolution", {}, r"'auto', 'native', .*: 'convolution' is for "),
        ("winograd", {"kernel_size": (5,)}, r"'winograd' is for kernels "),
        ("shift_multiply_add", {}, r"'shift_multiply_add' is for groups of "),
        ("fft", {}, r"'fft' is not known.*Received: implementation='fft'"),
    ],
)
def test_what_is_refused(name, changes, message):
    problem = Problem(**(ONE_D | changes))
    assert name not in supported(problem)
    with pytest.raises(ValueError, match=f"`implementation` must .*{message}"):
        check_implementation(name, problem)


def test_the_context():
    context = backend.context(ops.ones((1, 2, 3)))
    assert context.engine in ENGINES[backend.name]
    assert context.device in ("cpu", "gpu", "tpu")
    assert (backend.name, context.engine) != ("tensorflow", "graph")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="only TensorFlow runs with and without XLA",
)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_context_within_xla(jit_compile):
    import tensorflow as tf

    seen = []

    @tf.function(jit_compile=jit_compile)
    def function(x):
        seen.append(backend.context(x).engine)
        return x

    function(tf.zeros(()))
    assert seen == ["xla" if jit_compile else "graph"]
