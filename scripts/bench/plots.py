"""The cost table as a picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt

OURS, THEIRS = "#1b7f5c", "#b9bec6"


def plot_cost(result: dict[str, Any], path: Path) -> None:
    """Horizontal bars of what each variant adds to the bare route, in microseconds: all threads, and without those
    that send spans."""
    rows = [one for name, one in result["variants"].items() if name != "bare"]
    rows.sort(key=lambda one: -one["over_bare_all_threads"])
    figure, axes = plt.subplots(figsize=(10, 0.5 * len(rows) + 1.6), layout="constrained")
    colours = [OURS if one["title"].startswith("Specola") else THEIRS for one in rows]
    titles = [one["title"] for one in rows]
    whole = axes.barh(titles, [one["over_bare_all_threads"] for one in rows], color=colours)
    axes.barh(
        titles,
        [one["over_bare_without_exporters"] for one in rows],
        height=0.25,
        color="#00000030",
        label="without the threads that send spans",
    )
    axes.bar_label(whole, fmt="%.0f", padding=4)
    axes.set_xlabel("µs of processor time a request, over a bare FastAPI route")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.08)
    axes.legend(frameon=False, loc="lower right")
    packages = result["packages"]
    axes.set_title(
        f"{result['date']}, Python {result['python']}, FastAPI {packages['fastapi']}, {result['processor']}",
        loc="left",
        fontsize=9,
        color="#555",
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
