"""A model as a stream."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_convt.arguments import whole_number
from keras_convt.keras2 import advice
from keras_convt.streaming import table
from keras_convt.streaming.exporting import stream_model
from keras_convt.streaming.graph import ends_of, graph_of, is_functional
from keras_convt.streaming.moment import AFTER, DURING, Moment
from keras_convt.streaming.plan import COUNT, Plan

State = dict[str, Any]


class StreamingModel:
    """A model that takes its input one chunk at a time.

    Concatenate the outputs of all chunks and of `flush`, and drop the first
    `output_latency` steps. The rest is the output of the model for the whole
    input, however the input was cut into chunks. The state does not grow. A
    causal model has no latency.

    It takes Sequential and functional models. Models may be nested, and
    layers may be used twice. These layers can stream:

    - Conv1D, DepthwiseConv1D and SeparableConv1D with any stride, padding and
      dilation
    - the transposed layers of this package and of Keras
    - LSTM, GRU and SimpleRNN that return sequences
    - ZeroPadding1D, Cropping1D, UpSampling1D, average and max pooling
    - merges and concatenated channels, where the earlier branch waits for the
      later one
    - everything that computes each step by itself, such as Dense,
      normalization over channels and most of `keras.ops`
    - a layer of your own that has `initial_state(batch_size)` and
      `step(chunk, state)`, as the guide to streaming describes

    Args:
        model: A built `keras.Sequential` or functional `keras.Model`. `step`
            uses the weights that the model has when `step` runs.
        pointwise: Your own layer classes that compute each step by itself.
        static: Names or positions of the inputs without a time axis, such as
            a speaker. Pass their values to `initial_state`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built, or has a layer that cannot stream. The
            message names the layer, the reason and the remedy.

    Example:

    >>> import keras
    >>> import keras_convt
    >>> inputs = keras.Input((None, 3))
    >>> x = keras.layers.Conv1D(3, 5, padding="causal")(inputs)
    >>> x = keras.layers.Add()([x, inputs])
    >>> x = keras_convt.Conv1DTranspose(1, 8, 4, padding="causal")(x)
    >>> stream = keras_convt.StreamingModel(keras.Model(inputs, x))
    >>> state = stream.initial_state(batch_size=1)
    >>> y, state = stream.step(keras.random.uniform((1, 1, 3)), state)
    >>> tuple(y.shape), stream.output_latency
    ((1, 4, 1), 0)
    """

    def __init__(
        self,
        model: keras.Model,
        pointwise: Sequence[type] = (),
        static: Sequence[int | str] = (),
    ) -> None:
        _check_model(model)
        self.model = model
        self._plan = Plan(
            graph_of(model), _static_flags(model, static), pointwise
        )
        self._structure = ends_of(model)[1]
        self._signals = [
            self._plan.signals[identity]
            for identity, delay in self._plan.outputs
            if delay is not None
        ]
        if not self._signals:
            raise ValueError(
                "`model` must have an output with time. Received: "
                f"model={model.name!r}, static={static!r}."
            )

    @property
    def output_ratio(self) -> Any:
        """The number of output steps per input step, a `fractions.Fraction`.

        If the model has several outputs, it is a list. So are the latencies.
        """
        return self._of_outputs(lambda signal: signal.rate)

    @property
    def block_size(self) -> int:
        """Each chunk must have a multiple of this number of input steps."""
        return self._plan.block_size

    @property
    def input_latency(self) -> Any:
        """The number of input steps before the first output step to keep."""
        return self._of_outputs(lambda signal: signal.input_latency)

    @property
    def output_latency(self) -> Any:
        """The number of output steps to drop at the start of a stream."""
        return self._of_outputs(lambda signal: signal.delay)

    def initial_state(
        self, batch_size: Any, static: Sequence[Any] = ()
    ) -> State:
        """The state before the first chunk.

        Args:
            batch_size: int, the number of signals that are streamed together.
            static: The values of the inputs without a time axis, in the
                order of the inputs.

        Returns:
            A dict of tensors, each with the batch on its first axis. The
            names and shapes never change.
        """
        if not ops.is_tensor(batch_size):
            batch_size = whole_number(batch_size, "batch_size", 1)
        wanted = self._plan.static
        static = list(static)
        if len(static) != len(wanted):
            raise ValueError(
                f"`static` must have {len(wanted)} values, of the inputs "
                f"{[tensor.name for tensor in wanted]}. "
                f"Received: {len(static)} values."
            )
        values = [
            ops.convert_to_tensor(value, dtype=tensor.dtype)
            for value, tensor in zip(static, wanted, strict=True)
        ]
        for value, tensor in zip(values, wanted, strict=True):
            _check_shape(value, (batch_size, *tensor.shape[1:]), "static")
        plan = self._plan
        return plan.first_state(batch_size, plan.kept_values(values))

    def step(self, chunk: Any, state: State) -> tuple[Any, State]:
        """The output of the next chunk, and the state after it.

        It is a pure function of tensors. You can compile it with `jax.jit`,
        `tf.function` or `torch.compile`, and export it.

        Args:
            chunk: The next steps of the input. Their number must be a
                multiple of `block_size`. For several inputs with a time axis,
                pass a list of chunks.
            state: The state that the last `step` or `initial_state` returned.

        Returns:
            The output, with `output_ratio` steps for each step of the chunk,
            and the next state.
        """
        chunks = self._chunks(chunk)
        self._check_state(state)
        moment = Moment(DURING, state.get(COUNT))
        outputs, after = self._plan.run(chunks, state, moment)
        return self._packed(outputs), after

    def flush(self, state: State) -> Any:
        """The rest of the output, when a stream has ended.

        Args:
            state: The state that the last `step` returned.

        Returns:
            The last output steps. There are as many as the latency, and more
            where the output of the model is longer than its input. A causal
            model has none.
        """
        self._check_state(state)
        plan = self._plan
        batch_size = ops.shape(next(iter(state.values())))[0]
        needed = max(
            -(-signal.left_over // signal.rate) for signal in self._signals
        )
        blocks = max(-(-needed // plan.block_size), 1)
        chunks = [
            plan.silence(tensor, batch_size, int(blocks) * plan.block_size)
            for tensor in plan.timed
        ]
        outputs, _ = plan.run(chunks, state, Moment(AFTER, state.get(COUNT)))
        signals = iter(self._signals)
        cut = []
        for output, (_, delay) in zip(outputs, plan.outputs, strict=True):
            if delay is not None:
                signal = next(signals)
                output = output[
                    (slice(None),) * signal.axis + (slice(signal.left_over),)
                ]
            cut.append(output)
        return self._packed(cut)

    def reset(
        self, state: State, entries: Any, static: Sequence[Any] | None = None
    ) -> State:
        """Restart some signals of the batch, and keep the others.

        Args:
            state: The state that the last `step` returned.
            entries: The signals to restart: a bool tensor of shape
                `(batch,)`, or a sequence of their numbers.
            static: New values of the inputs without a time axis, for the
                whole batch. Only those of `entries` are used. `None` keeps
                the old values.

        Returns:
            The new state.
        """
        self._check_state(state)
        batch_size = ops.shape(next(iter(state.values())))[0]
        chosen = ops.convert_to_tensor(entries)
        if keras.backend.standardize_dtype(chosen.dtype) != "bool":
            chosen = ops.any(
                ops.expand_dims(ops.arange(batch_size), 1)
                == ops.expand_dims(ops.cast(chosen, "int32"), 0),
                axis=1,
            )
        plan = self._plan
        if static is None:
            kept = {name: state[name] for name in plan.kept_static}
            first = plan.first_state(batch_size, kept)
        else:
            first = self.initial_state(batch_size, static)
        return {
            name: ops.where(
                ops.reshape(chosen, (-1,) + (1,) * (len(old.shape) - 1)),
                first[name],
                old,
            )
            for name, old in state.items()
        }

    def as_model(
        self, batch_size: int | None = 1, steps: int | None = None
    ) -> keras.Model:
        """The step as a model, for `export`.

        Its inputs are the chunk (or the chunks) and then the tensors of the
        state. Its outputs are the output (or the outputs) and then the
        tensors of the next state. These tensors have their names in the
        state.

        Args:
            batch_size: The number of signals. Defaults to `1`.
            steps: The number of steps of a chunk. `None` leaves it open.
                Defaults to `None`.
        """
        if steps is not None:
            steps = whole_number(steps, "steps", 1)
            self._check_steps(steps)
        return stream_model(self, batch_size, steps)

    def explain(self) -> str:
        """A table of the stages, with kind, rate, delay and state of each."""
        return table.of_plan(self._plan)

    def __repr__(self) -> str:
        return (
            f"<StreamingModel of {self.model.name!r}: "
            f"output_ratio={self._of_outputs(lambda s: str(s.rate))}, "
            f"block_size={self.block_size}, "
            f"input_latency={self.input_latency}, "
            f"output_latency={self.output_latency}, "
            f"{len(self._plan.slots)} tensors of state>"
        )

    def _of_outputs(self, function: Any) -> Any:
        found = [function(signal) for signal in self._signals]
        return found[0] if len(found) == 1 else found

    def _packed(self, outputs: list[Any]) -> Any:
        return keras.tree.pack_sequence_as(self._structure, outputs)

    def _chunks(self, chunk: Any) -> list[Any]:
        timed = self._plan.timed
        chunks = list(chunk) if isinstance(chunk, (list, tuple)) else [chunk]
        if len(chunks) != len(timed):
            raise ValueError(
                f"`chunk` must be a list of {len(timed)} chunks, of the "
                f"inputs {[tensor.name for tensor in timed]}. "
                f"Received: {len(chunks)} chunks."
            )
        made = []
        for value, tensor in zip(chunks, timed, strict=True):
            value = ops.convert_to_tensor(value, dtype=tensor.dtype)
            shape: list[Any] = list(tensor.shape)
            axis = self._plan.signals[id(tensor)].axis
            shape[axis] = None
            _check_shape(value, tuple(shape), "chunk")
            self._check_steps(value.shape[axis])
            made.append(value)
        return made

    def _check_steps(self, steps: Any) -> None:
        # An open size of a graph is no int.
        if type(steps) is int and steps % self.block_size:
            raise ValueError(
                f"A chunk must have a multiple of {self.block_size} steps, "
                f"the `block_size`. Received: {steps} steps."
            )

    def _check_state(self, state: Any) -> None:
        if not isinstance(state, dict) or set(state) != set(self._plan.slots):
            raise ValueError(
                "`state` must be what the step before returned, or "
                f"`initial_state`: a dict of {sorted(self._plan.slots)}. "
                "Received: "
                + (
                    f"a dict of {sorted(state)}."
                    if isinstance(state, dict)
                    else f"state of type {type(state).__name__}."
                )
            )
        for name, slot in self._plan.slots.items():
            _check_shape(state[name], (None, *slot.shape), f"state[{name!r}]")


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Sequential or a functional keras.Model. "
            f"Received: model={model!r} of type {type(model).__name__}."
            f"{advice(model)}"
        )
    if not is_functional(model):
        raise TypeError(
            "`model` must be a keras.Sequential or a functional keras.Model: "
            "what a `call` of its own computes is not known. Received: "
            f"model={model.name!r} of type {type(model).__name__}."
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            "`model` must be built before it streams: give it a "
            f"keras.Input, or call it. Received: model={model.name!r}."
        )


def _static_flags(model: keras.Model, static: Any) -> list[bool]:
    """Which inputs have no time."""
    static = [static] if isinstance(static, (str, int)) else list(static)
    names = [tensor.name for tensor in model.inputs]
    flags = [False] * len(names)
    for one in static:
        number = names.index(one) if one in names else one
        if not isinstance(number, int) or not (
            -len(names) <= number < len(names)
        ):
            raise ValueError(
                "`static` must have names or positions of the inputs "
                f"{names}. Received: static={static!r}."
            )
        flags[number] = True
    if all(flags):
        raise ValueError(
            "One input must have time. Received: "
            f"static={static!r} of the inputs {names}."
        )
    return flags


def _check_shape(value: Any, expected: tuple[Any, ...], name: str) -> None:
    shape = tuple(value.shape)
    if len(shape) != len(expected) or any(
        type(wanted) is int and type(found) is int and found != wanted
        for found, wanted in zip(shape, expected, strict=True)
    ):
        raise ValueError(
            f"`{name}` must have the shape {expected}. Received: shape {shape}."
        )
