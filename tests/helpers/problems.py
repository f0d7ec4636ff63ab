"""Problems that lie below and above the bounds of the rules."""

from keras_convt.ops.backend import named
from keras_convt.ops.choice import choose, supported
from keras_convt.ops.problem import Context, Problem

ONE_D = {
    "kernel_size": (4,),
    "strides": (2,),
    "dilation_rate": (1,),
    "groups": 1,
    "channels": 128,
    "filters": 64,
    "positions": 2000,
}


IMAGE = {
    "kernel_size": (4, 4),
    "strides": (2, 2),
    "dilation_rate": (1, 1),
    "positions": 4096,
}


# A kernel of more than one stride, and less than two.
UNEVEN = IMAGE | {"kernel_size": (3, 3), "positions": 6945}


# A kernel of more than three strides.
REACHING = IMAGE | {"kernel_size": (7, 7)}


# A kernel of two strides, and steps that are known.
SIGNAL = {
    "kernel_size": (8,),
    "strides": (4,),
    "steps": (500,),
    "positions": 500,
}


FIRST = {"channels_first": True}


WIDE = {"channels": 64, "filters": 128}


LONG = {
    "kernel_size": (16,),
    "strides": (8,),
    "steps": (1000,),
    "positions": 1000,
    "channels": 256,
}


# A signal of many steps.
LASTING = {
    "kernel_size": (3,),
    "channels": 64,
    "filters": 32,
    "steps": (3000,),
    "positions": 3000,
}


NARROW = {
    "kernel_size": (3,),
    "channels": 32,
    "filters": 32,
    "positions": 1536,
}


# A large kernel of few channels and filters.
FEW_CHANNELS = {"kernel_size": (64,), "channels": 2, "filters": 2}


STRIDE_ONE = {"strides": (1,), "kernel_size": (4,)}


COLORS = STRIDE_ONE | {"kernel_size": (9, 9), "channels": 64, "filters": 3}


DILATED = {
    "strides": (1,),
    "dilation_rate": (256,),
    "groups": 128,
    "filters": 128,
}


UNEQUAL_GROUPS = {
    "kernel_size": (3, 2),
    "strides": (1, 2),
    "dilation_rate": (1, 1),
    "groups": 4,
}
VOLUME = {
    "kernel_size": (3, 3, 3),
    "strides": (2, 2, 2),
    "dilation_rate": (1, 1, 1),
}


RUNNING = {
    "jax": ("jax", "xla"),
    "jax-eager": ("jax", "eager"),
    "tensorflow-xla": ("tensorflow", "xla"),
    "tensorflow": ("tensorflow", "graph"),
    "tensorflow-eager": ("tensorflow", "eager"),
    "torch-inference": ("torch", "eager"),
    "torch-narrow": ("torch", "eager"),
    "torch-narrow-inference": ("torch", "eager"),
    "torch-export": ("torch", "export"),
    "torch-trace": ("torch", "trace"),
    "jax-export": ("jax", "export"),
}


def chosen(running, changes):
    """What is chosen where something runs, for the signal with `changes`.

    Args:
        running: A key of `RUNNING`, or the name of a backend.
        changes: A dict, the fields of `Problem` that are not those of `ONE_D`.
    """
    name, engine = RUNNING.get(running, (running, "eager"))
    context = Context(
        engine,
        "cpu",
        gradients="inference" not in running,
        wide_vectors="narrow" not in running,
    )
    fields = ONE_D | changes
    for field in ("strides", "dilation_rate"):
        if len(fields[field]) == 1:
            fields[field] = fields[field] * len(fields["kernel_size"])
    problem = Problem(**fields, context=context)
    choice = choose(problem, backend=named(name))
    assert choice.reason
    assert choice.name in supported(problem, named(name))
    return choice.name
