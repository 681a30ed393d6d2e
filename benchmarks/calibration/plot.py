"""One picture a backend: |error|/σ by family of layers and dtype, beside λ/2 and λ.

The pages that show it are light or dark and a picture in them cannot ask which, so it brings its
own light ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.calibration.measuring import Distribution, Judged
from benchmarks.calibration.tables import DTYPES, families_of, of
from invariants.oracle.rounding import LAMBDA

PAPER, INK, MUTED, GRID = "#ffffff", "#1f2937", "#5f6b7c", "#e0e6ee"
COLOURS = {
    "float64": "#1b62ab",
    "float32": "#2f8f6b",
    "bfloat16": "#b7791f",
    "float16": "#9b3fa0",
}
LIMIT = "#d42a6a"

#: The axis of |error|/σ; what is nearer to the oracle than its left end is drawn there.
ENDS = (0.01, 2.0 * LAMBDA)

#: Fewer elements than this say nothing about a distribution.
FEWEST = 20


def draw(backend: str, held: Sequence[Judged], path: Path) -> None:
    """Writes the picture of one backend."""
    families = families_of(held)[::-1]
    dtypes = [dtype for dtype in DTYPES if any(j.case.dtype == dtype for j in held)]
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": backend, "font.size": 9}):
        figure = Figure(figsize=(11.0, 1.9 + 0.27 * len(families)), facecolor=PAPER)
        panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
        for panel, dtype in zip(panels, dtypes, strict=True):
            _frame(panel, dtype, families)
            for row, family in enumerate(families):
                _box(panel, row, of(held, family, dtype), COLOURS[dtype])
        figure.suptitle(
            f"{backend}: |error| / σ of gradient elements, {len(held):,} cases",
            color=INK,
            fontsize=12,
            x=0.01,
            ha="left",
        )
        figure.supxlabel(
            "box: middle half, its line the median · thin line: 1% to 99% · "
            "dot: the largest · dashed: λ/2 and λ",
            color=MUTED,
            fontsize=9,
        )
        figure.tight_layout(rect=(0.0, 0.01, 1.0, 0.99), w_pad=1.2)
        figure.savefig(path, facecolor=PAPER, metadata={"Date": None})


def _frame(panel: Axes, dtype: str, families: Sequence[str]) -> None:
    panel.set_facecolor(PAPER)
    panel.set_xscale("log")
    panel.set_xlim(*ENDS)
    panel.set_ylim(-0.7, len(families) - 0.3)
    panel.set_yticks(range(len(families)), families)
    panel.set_xticks([0.01, 0.1, 1.0], ["0.01", "0.1", "1"])
    panel.minorticks_off()
    panel.set_title(dtype, color=COLOURS[dtype], fontsize=10, loc="left", pad=18)
    panel.tick_params(colors=INK, length=0)
    panel.grid(axis="x", color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    for place, name, aligned in ((LAMBDA / 2.0, "λ/2 ", "right"), (LAMBDA, " λ", "left")):
        panel.axvline(place, color=LIMIT, linewidth=1.0, linestyle=(0, (4, 3)))
        panel.annotate(
            name,
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha=aligned,
            color=LIMIT,
            fontsize=8.5,
        )


def _box(panel: Axes, row: int, seen: Distribution, colour: str) -> None:
    if seen.spreads.size < FEWEST:
        return
    low, quarter, middle, three, high = (
        max(ENDS[0], q) for q in seen.quantiles((0.01, 0.25, 0.5, 0.75, 0.99))
    )
    panel.plot([low, high], [row, row], color=colour, linewidth=1.2)
    panel.barh(row, three - quarter, left=quarter, height=0.55, color=colour, alpha=0.45)
    panel.plot([middle, middle], [row - 0.28, row + 0.28], color=colour, linewidth=1.8)
    panel.plot([max(ENDS[0], seen.largest)], [row], "o", color=colour, markersize=3.5)
