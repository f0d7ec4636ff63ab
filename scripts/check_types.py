"""Ask mypy and pyright about right and wrong uses of the package.

    python scripts/check_types.py

Both must accept tests/typing/right_uses.py, and must refuse every line of
tests/typing/wrong_uses.py that ends with `# wrong` and no other. pyright is
asked as basedpyright, which brings its own Node.js.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

USES = Path(__file__).parents[1] / "tests" / "typing"
RIGHT, WRONG = USES / "right_uses.py", USES / "wrong_uses.py"


def lines_that_say_wrong(path: Path) -> set[int]:
    """The numbers of the lines that must be refused."""
    return {
        number
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"# wrong\b", line)
    }


def refused_by_mypy(path: Path) -> dict[int, str]:
    """What mypy says of each line that it refuses."""
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "mypy", "--no-error-summary", "--hide-error-context"),
            # Of the file alone: the package is checked with options of its own.
            *("--follow-imports=silent", "--no-pretty", str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    found = re.findall(
        rf"^.*{path.name}:(\d+): error: (.*)$", done.stdout, re.MULTILINE
    )
    return {int(number): words for number, words in found}


def refused_by_pyright(path: Path) -> dict[int, str]:
    """What pyright says of each line that it refuses."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "basedpyright", "--outputjson"),
            *("--pythonpath", sys.executable, str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return {
        one["range"]["start"]["line"] + 1: one["message"]
        for one in json.loads(done.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }


def faults(checker: Callable[[Path], dict[int, str]]) -> list[str]:
    """Every line that a checker ought to have judged otherwise."""
    found = []
    for path in (RIGHT, WRONG):
        refused, expected = checker(path), lines_that_say_wrong(path)
        found += [
            f"{path.name}:{number}: refused: {refused[number]}"
            for number in sorted(refused.keys() - expected)
        ]
        found += [
            f"{path.name}:{number}: accepted"
            for number in sorted(expected - refused.keys())
        ]
    return found


def main() -> None:
    """Ask each type checker, and say what is wrong."""
    checkers = {"mypy": refused_by_mypy, "pyright": refused_by_pyright}
    failed = False
    for name, checker in checkers.items():
        found = faults(checker)
        failed = failed or bool(found)
        print(f"{name}: {'as expected' if not found else 'not as expected'}")
        print("".join(f"  {one}\n" for one in found), end="")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
