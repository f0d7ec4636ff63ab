"""The command line of `python -m keras_convt`."""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from keras_convt.demo.versions import report

# What the extra "demo" installs: package name -> module.
EXTRA = {
    "PyWavelets": "pywt",
    "matplotlib": "matplotlib",
    "scipy": "scipy",
    "tqdm": "tqdm",
}


def epochs(text: str) -> int:
    """A number of epochs of which one may be lost to compilation."""
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(
            f"expected 2 or more, as the first is not timed. Received: {text}"
        )
    return number


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, of which none is needed."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_convt",
        description="Restore an electrocardiogram from an 8 times coarser one "
        "with keras_convt.Conv1DTranspose, next to the layer of Keras.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--epochs", type=epochs, default=30, help="for each of the two models"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("keras_convt_demo"),
        metavar="DIR",
        help="where the picture and the numbers go",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights and windows"
    )
    parser.add_argument(
        "--version",
        action="store_true",
        help="print the versions of what is installed, and run nothing",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo, or print the versions.

    Args:
        argv: The options as words. `None` takes those of the command line.

    Raises:
        SystemExit: If an option is wrong or a package is missing.
    """
    options = arguments(argv)
    if options.version:
        print(report())
        return
    missing = [
        name
        for name, module in EXTRA.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise SystemExit(
            f"The demo needs {', '.join(missing)}. "
            f"Install with: pip install {' '.join(missing)}"
        )
    # Only now: it imports them.
    from keras_convt.demo.run import run

    run(options.epochs, options.out, options.seed)
