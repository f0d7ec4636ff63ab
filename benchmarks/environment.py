"""What a measurement depends on, and where its results are kept."""

import json
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def describe(packages: tuple[str, ...]) -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for name in ("keras", "numpy", *packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "cores": _cores(),
        "processor": _processor(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def machine() -> str:
    """A folder's name for the kind of processor, `intel-xeon-avx512-amx`.

    Its vectors decide more than its name about which way is the fastest.
    """
    name = re.sub(r"\((r|tm)\)|processor|cpu|@.*", "", _processor().lower())
    words = re.findall(r"[a-z0-9]+", name) or [platform.machine().lower()]
    flags = _flags()
    for wide in ("avx512f", "avx2"):
        if wide in flags:
            words.append(wide.removesuffix("f"))
            break
    if "amx_tile" in flags:
        words.append("amx")
    return "-".join(words)


def results(quick: bool = False) -> Path:
    """Where this kind of machine keeps its results."""
    return RESULTS / ("quick" if quick else machine())


def commit() -> str:
    """The commit, with a plus if the package differs from it."""
    name = _git("rev-parse", "--short", "HEAD")
    if not name:
        return "unknown"
    return name + ("+" if _git("status", "--short", "keras_convt") else "")


def load() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1)
    path.write_text(text + "\n", "utf-8")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    return _of_processor("model name") or platform.processor()


def _flags() -> set[str]:
    return set(_of_processor("flags").split())


def _of_processor(key: str) -> str:
    """What Linux says of the first processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ("git", *arguments),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
