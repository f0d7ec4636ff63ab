"""A reader who follows one call meets few files."""

import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

import keras_convt

PACKAGE = str(Path(keras_convt.__file__).parent)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_call_passes_through_seven_files(rank):
    layer = getattr(keras_convt, f"Conv{rank}DTranspose")(8, 4, strides=2)
    x = ops.convert_to_tensor(np.ones((2, *(5, 4, 3)[:rank], 8), "float32"))
    # The first call builds the layer. What the second one checks and chooses
    # is kept for the next call of the same sizes.
    layer(x)
    layer(x)
    files = set()

    def note(frame, event, _):
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PACKAGE):
            files.add(name.removeprefix(PACKAGE))

    sys.setprofile(note)
    try:
        layer(x)
    finally:
        sys.setprofile(None)
    assert len(files) <= 7, sorted(files)
