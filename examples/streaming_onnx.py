"""A decoder is exported to ONNX and streamed from onnxruntime, without Keras.

    python examples/streaming_onnx.py [--file decoder.onnx]

Needs onnxruntime and Keras's exporter for the backend: jax2onnx, tf2onnx, or
onnxscript for PyTorch.
"""

import argparse

import numpy as np
from streaming_codec import decoder

import keras_convt  # first: it chooses an installed backend

import keras  # isort: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", default="decoder.onnx")
    chosen = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = decoder()
    stream = keras_convt.StreamingModel(model)
    # PyTorch exports an LSTM for the steps that it was traced with.
    steps = 2 if keras.backend.backend() == "torch" else None
    exported = stream.as_model(batch_size=1, steps=steps)
    exported.export(chosen.file, format="onnx", verbose=False)

    import onnxruntime
    from tqdm import tqdm

    session = onnxruntime.InferenceSession(
        chosen.file, providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((1, 40, 64)).astype("float32")
    sizes = [2] * 20 if steps else [1, 3, 2, 4] * 4
    state = [
        keras.ops.convert_to_numpy(tensor)
        for tensor in stream.initial_state(batch_size=1).values()
    ]
    pieces = []
    for chunk in tqdm(np.split(codes, np.cumsum(sizes)[:-1], axis=1)):
        sound, *state = session.run(
            None, dict(zip(names, [chunk, *state], strict=True))
        )
        pieces.append(sound)
    streamed = np.concatenate(pieces, axis=1)
    whole = model.predict(codes, verbose=0)
    difference = np.abs(streamed - whole).max()
    print(
        f"{len(pieces)} chunks from onnxruntime, {streamed.shape[1]} samples; "
        f"largest difference from {keras.backend.backend()}: {difference:.1e}"
    )
    assert difference < 1e-4 * np.abs(whole).max()


if __name__ == "__main__":
    main()
