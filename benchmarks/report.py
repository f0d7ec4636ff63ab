"""The tables and figures of what has been measured so far."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

OURS = "keras_convt"
BUILT_IN = "built-in"
KINDS = ("forward", "forward+backward")

# Below this, in MiB, the pages that a call touches by chance are no small
# part of its memory.
LEAST_MEMORY = 4

Row = dict[str, Any]


def write(folder: Path) -> None:
    """Write table.md and one figure for each set into the results' folder."""
    results = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("*.json"))
        if not path.name.startswith(("fit-", "stream-"))
    ]
    fits = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("fit-*.json"))
    ]
    streams = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("stream-*.json"))
    ]
    if not results and not fits and not streams:
        print("Nothing has been measured yet.")
        return
    text = table(results, fits, streams)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text, "utf-8")
    print(text)
    sets = {row["set"]: None for result in results for row in result["rows"]}
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("No figures: matplotlib is not installed.")
        return
    for name in sets:
        draw(results, name, folder / f"{name}.png")


def table(results: list[Row], fits: list[Row], streams: list[Row]) -> str:
    """Everything, in Markdown."""
    parts = ["# Measurements", *map(where, results)]
    sets = {row["set"]: None for result in results for row in result["rows"]}
    for name in sets:
        chosen = [
            (result["mode"], of_set)
            for result in results
            if (of_set := [r for r in result["rows"] if r["set"] == name])
        ]
        parts += [f"## Set {name}", summaries(chosen)]
        parts += [f"### {mode}\n\n{details(rows)}" for mode, rows in chosen]
    if fits:
        parts += ["## model.fit", fit_table(fits)]
    if streams:
        parts += ["## Streaming, one frame a step", stream_table(streams)]
    return "\n\n".join(parts) + "\n"


def where(result: Row) -> str:
    found = result["environment"]
    cores = "1 core" if found["cores"] == 1 else f"{found['cores']} cores"
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    commits = {f"{r['commit']} ({r['date']})": None for r in result["rows"]}
    load = max(row["load"] for row in result["rows"])
    return (
        f"{result['mode']}: {found['processor']}, {cores}, "
        f"{found['platform']}; {versions}; commit {', '.join(commits)}; "
        f"load average up to {load}."
    )


def summaries(chosen: list[tuple[str, list[Row]]]) -> str:
    """One line for each mode: ours against the built-in layer."""
    lines = [
        "| mode | shapes | forward | forward+backward | least ratio, where "
        "| share of limit | worst memory, where | first call |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for mode, rows in chosen:
        ours = [row for row in rows if row["contender"] == OURS]
        least = min(ours, key=lambda row: row["ratio"])
        cells = [mode, len({row["shape"] for row in ours})]
        cells += [f"{mean(ours, kind, 'ratio'):.2f}" for kind in KINDS]
        cells += [
            f"{least['ratio']:.2f} {least['shape']} {least['kind']}",
            shares(ours),
            worst_memory(rows),
            " / ".join(f"{first_calls(rows, kind):.2f}" for kind in KINDS),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def shares(rows: list[Row]) -> str:
    if any("share_of_limit" not in row for row in rows):
        return "-"  # not measured here
    return " / ".join(
        f"{mean(rows, kind, 'share_of_limit'):.0%}" for kind in KINDS
    )


def mean(rows: list[Row], kind: str, key: str) -> float:
    return geometric(row[key] for row in rows if row["kind"] == kind)


def geometric(values: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(values)))))


def pairs(rows: list[Row], kind: str) -> list[tuple[Row, Row]]:
    """Ours and the built-in's row of each shape."""
    found = {
        (row["shape"], row["contender"]): row
        for row in rows
        if row["kind"] == kind
    }
    return [
        (row, found[shape, BUILT_IN])
        for (shape, contender), row in found.items()
        if contender == OURS
    ]


def first_calls(rows: list[Row], kind: str) -> float:
    return geometric(
        ours["first_call_s"] / base["first_call_s"]
        for ours, base in pairs(rows, kind)
    )


def worst_memory(rows: list[Row]) -> str:
    worst = max(
        (
            (ours["peak_mib"] / max(base["peak_mib"], LEAST_MEMORY), ours)
            for kind in KINDS
            for ours, base in pairs(rows, kind)
            if None not in (ours["peak_mib"], base["peak_mib"])
        ),
        key=lambda found: found[0],
        default=None,
    )
    if worst is None:
        return "-"
    ratio, row = worst
    return f"{ratio:.2f} {row['shape']} {row['kind']}"


def details(rows: list[Row]) -> str:
    """One line for each shape; a cell is forward / forward+backward."""
    names = list(dict.fromkeys(row["contender"] for row in rows))
    peers = [name for name in names if name not in (BUILT_IN, OURS)]
    head = ["shape", "built-in ms", "ours ms", "ours", "ours 10-90 %", *peers]
    head += ["share of limit", "MiB, built-in", "MiB, ours"]
    head += ["first call s, built-in", "first call s, ours"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    found = {(r["shape"], r["contender"], r["kind"]): r for r in rows}

    def cell(shape: str, name: str, form: str) -> str:
        # `form` names the values of a row: "{ratio:.2f}".
        both = (found.get((shape, name, kind)) for kind in KINDS)
        try:
            return " / ".join(
                form.format(**row) if row else "-" for row in both
            )
        except (KeyError, TypeError):
            return "-"  # not measured here

    for shape in dict.fromkeys(row["shape"] for row in rows):
        cells = [
            shape,
            cell(shape, BUILT_IN, "{median_ms:.2f}"),
            cell(shape, OURS, "{median_ms:.2f}"),
            "**" + cell(shape, OURS, "{ratio:.2f}") + "**",
            cell(shape, OURS, "{ratio_p10:.2f}-{ratio_p90:.2f}"),
            *(cell(shape, name, "{ratio:.2f}") for name in peers),
            cell(shape, OURS, "{share_of_limit:.0%}"),
            cell(shape, BUILT_IN, "{peak_mib:.1f}"),
            cell(shape, OURS, "{peak_mib:.1f}"),
            cell(shape, BUILT_IN, "{first_call_s:.2f}"),
            cell(shape, OURS, "{first_call_s:.2f}"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def stream_table(streams: list[Row]) -> str:
    lines = [
        "| backend | ms a frame | 99 % | real-time factor "
        "| MiB grown after 1000 frames | frames |",
        "|---|---|---|---|---|---|",
    ]
    for stream in streams:
        grown = stream["memory_at_the_end"] - stream["memory_after_1000_steps"]
        lines.append(
            f"| {stream['backend']} | {1e3 * stream['step_s']:.2f} "
            f"| {1e3 * stream['step_s_p99']:.2f} "
            f"| {stream['real_time_factor']:.3f} | {grown / 2**20:.1f} "
            f"| {stream['steps']} |"
        )
    return "\n".join(lines)


def fit_table(fits: list[Row]) -> str:
    lines = [
        "| backend | built-in s/epoch | ours s/epoch | ratio | 10-90 % |",
        "|---|---|---|---|---|",
    ]
    for fit in fits:
        lines.append(
            f"| {fit['backend']} | {fit['built_in_s']:.3f} "
            f"| {fit['ours_s']:.3f} | {fit['ratio']:.2f} "
            f"| {fit['ratio_p10']:.2f}-{fit['ratio_p90']:.2f} |"
        )
    return "\n".join(lines)


# A contender's marker and size. What is not ours is gray and hollow.
MARKERS = {"flax": "s", "equinox": "^", "tf.nn": "D", "torch.nn": "v"}
COLORS = {"forward": "tab:blue", "forward+backward": "tab:orange"}


def draw(results: list[Row], set_name: str, path: Path) -> None:
    """Ratios to the built-in layer; a panel for each mode."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    chosen = {
        result["mode"]: of_set
        for result in results
        if (of_set := [r for r in result["rows"] if r["set"] == set_name])
    }
    shapes = list(
        dict.fromkeys(r["shape"] for rows in chosen.values() for r in rows)
    )
    figure, panels = plt.subplots(
        1,
        len(chosen),
        figsize=(3.2 + 3.4 * len(chosen), 2 + 0.34 * len(shapes)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    peers: dict[str, None] = {}
    for axes, (mode, rows) in zip(panels[0], chosen.items(), strict=True):
        axes.set_xscale("log")
        axes.axvline(0.9, color="tab:red", linewidth=0.8, linestyle=":")
        axes.axvline(1, color="black", linewidth=1)
        for row in rows:
            name, kind = row["contender"], row["kind"]
            # Both kinds of a shape, one above the other.
            y = shapes.index(row["shape"]) + (-0.17, 0.17)[KINDS.index(kind)]
            color = COLORS[kind]
            if name == OURS:
                axes.plot([1, row["ratio"]], [y, y], color=color, alpha=0.35)
                axes.plot(row["ratio"], y, "o", color=color, markersize=6)
            elif name != BUILT_IN:
                peers[name] = None
                axes.plot(
                    row["ratio"],
                    y,
                    MARKERS.get(name, "x"),
                    markerfacecolor="none",
                    color="0.55",
                    markersize=4.5,
                    zorder=1,
                )
        ours = [row for row in rows if row["contender"] == OURS]
        means = [f"{mean(ours, kind, 'ratio'):.2f}" for kind in KINDS]
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.8), max(high, 1.25))
        axes.set_title(f"{mode}\ngeometric mean {' / '.join(means)}")
        axes.xaxis.set_major_locator(ticks(axes.get_xlim()))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.minorticks_off()
        axes.grid(axis="x", color="0.9", zorder=0)
        axes.set_axisbelow(True)
        for position in range(0, len(shapes), 2):
            axes.axhspan(
                position - 0.5, position + 0.5, color="0.97", zorder=-1
            )
    panels[0, 0].set_yticks(range(len(shapes)), shapes, fontsize=8)
    panels[0, 0].set_ylim(len(shapes) - 0.5, -0.5)
    figure.supxlabel(
        "times as fast as with the built-in layers (log scale; dotted: 0.9)"
    )
    handles = [
        Line2D([], [], marker="o", color=COLORS[kind], label=f"ours, {kind}")
        for kind in KINDS
    ] + [
        Line2D(
            [],
            [],
            marker=MARKERS.get(name, "x"),
            color="0.55",
            markerfacecolor="none",
            linestyle="none",
            label=name,
        )
        for name in peers
    ]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(handles)
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def ticks(limits: tuple[float, float]) -> Any:
    """The plainest numbers of which some lie within the limits."""
    from matplotlib.ticker import FixedLocator

    low, high = limits
    choices = (
        [10.0**n for n in range(-3, 5)],
        [m * 10.0**n for n in range(-3, 5) for m in (1, 3)],
        [m * 10.0**n for n in range(-3, 5) for m in (1, 2, 5)],
        [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10],
        [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8, 2],
    )
    for values in choices:
        within = [value for value in values if low <= value <= high]
        if len(within) >= 4:
            break
    return FixedLocator(within)
