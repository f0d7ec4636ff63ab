"""`python -m benchmarks`: each mode in a process of its own."""

import argparse
import importlib.util
import os
import subprocess
import sys

from benchmarks import environment, report
from benchmarks.worker import MODES, options


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__
    )
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, default=list(MODES)
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="measure nothing, only make the tables and figures",
    )
    options(parser)
    chosen = parser.parse_args()
    folder = environment.results(chosen.quick)
    failed = False
    for mode in [] if chosen.report else chosen.modes:
        if importlib.util.find_spec(MODES[mode]) is None:
            print(f"{mode}: skipped, {MODES[mode]} is not installed")
            continue
        failed |= measure(mode, chosen) != 0
    report.write(folder)
    return int(failed)


def measure(mode: str, chosen: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "benchmarks.worker", "--mode", mode]
    command += ["--set", chosen.set, "--shapes", chosen.shapes]
    command += ["--seconds", str(chosen.seconds), "--seed", str(chosen.seed)]
    command += ["--cpu-time"] if chosen.cpu_time else []
    command += ["--data-format", chosen.data_format]
    command += ["--dtype-policy", chosen.dtype_policy]
    command += ["--quick"] if chosen.quick else []
    command += ["--resume"] if chosen.resume else []
    variables = {**os.environ, "KERAS_BACKEND": MODES[mode]}
    return subprocess.run(
        command, cwd=environment.ROOT, env=variables, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
