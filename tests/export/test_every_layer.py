"""Exported layers are right at any size: a sample of all that there are.

Every pair of arguments meets in the sample. `KERAS_CONVT_TEST_EXPORT=all` takes
all layers that the arguments can make, which takes hours.
"""

import itertools
import os

import pytest
from export_cases import covering, everything
from exporting import BACKEND, EXPORTS, unconverted, wrong

# Converters warn of their own parts: of what they deprecate or leave out, of
# forking a process, and of sizes that they take for constants.
IGNORED = [
    "DeprecationWarning",
    "FutureWarning",
    "RuntimeWarning",
    "UserWarning",
    *(["torch.jit.TracerWarning"] if BACKEND == "torch" else []),
]
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category}") for category in IGNORED
]

# Layers in one model: each is one output.
TOGETHER = 8


def sample():
    cases = list(everything())
    if os.environ.get("KERAS_CONVT_TEST_EXPORT") != "all":
        cases = list(covering(cases))
    return sorted(cases, key=lambda case: case.steps)


def models():
    """Layers that are exported together, with the format."""
    cases = sample()
    for kind, (_, readers) in EXPORTS.items():
        converted = [case for case in cases if not unconverted(case, kind)]
        for steps, alike in itertools.groupby(
            converted, lambda case: case.steps
        ):
            if steps == "open" and not any(readers.values()):
                continue
            alike = list(alike)
            for first in range(0, len(alike), TOGETHER):
                yield pytest.param(
                    kind,
                    alike[first : first + TOGETHER],
                    id=f"{kind}-{steps}-{first // TOGETHER}",
                )


@pytest.mark.parametrize(("kind", "cases"), models())
def test_exported_layers_are_right_at_any_size(kind, cases, tmp_path):
    found = wrong(cases, kind, tmp_path)
    assert not found, "\n".join(found)


def refused():
    """One layer for each reason, but those that would end the process."""
    first = {}
    for kind, case in itertools.product(EXPORTS, sample()):
        reason = unconverted(case, kind)
        if reason is not None and kind != "litert":
            first.setdefault(reason, pytest.param(kind, case, id=reason))
    return list(first.values())


@pytest.mark.skipif(
    BACKEND == "tensorflow", reason="TensorFlow exports all of the sample"
)
@pytest.mark.parametrize(("kind", "case"), refused())
def test_what_cannot_be_exported_is_an_error(kind, case, tmp_path):
    (found,) = wrong([case], kind, tmp_path)
    assert "Error: " in found


def test_the_sample_covers_every_pair():
    cases = list(everything())
    sample = list(covering(cases))
    assert len(sample) < 150
    for first, second in itertools.combinations(
        ("rank", "kind", "sizes", "padding", "output_size", "steps"), 2
    ):
        pairs = {(getattr(c, first), getattr(c, second)) for c in cases}
        assert pairs == {
            (getattr(c, first), getattr(c, second)) for c in sample
        }
