"""Plots of how far arrays are apart, as SVG that a page holds; colours follow the page's.

Each row is a group: a line over all but its ends (5 to 95%), a bar over its middle half, a mark at
its median and a dot at the largest. Drawn with matplotlib, which is an extra of this package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING

from invariants.gate.distances import Distances

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What the page calls its colours -> what stands for them while matplotlib draws.
_INKS = {"ink": "#010101", "line": "#020202", "baseline": "#030303", "candidate": "#040404"}

#: What is nearer or farther stands at the edge.
_NEAREST, _FARTHEST = 1e-3, 1e4

_TICKS = {1e-3: "≤ 0.001", 1e-2: "0.01", 1e-1: "0.1", 1: "1", 10: "10", 1e2: "100", 1e3: "1000"}
_TICKS |= {1e4: "≥ 10⁴"}

#: In inches: the page's width, a row for each series in it, a letter, and what is around it all.
_WIDTH, _ROW, _LETTER = 9.0, 0.2, 0.085
_ABOVE, _BELOW, _BESIDE = 0.1, 0.5, 0.3


def available() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def ranges(series: Mapping[str, Sequence[Distances]], limit: float, salt: str) -> str:
    """A plot of some groups, in one colour a series; "" where nothing is apart.

    series: the name of a colour -> the groups. limit: in spreads, what is still right.
    salt: makes the ids in it its own, since a page holds several.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    apart = [row for rows in series.values() for row in rows if row.equal < row.arrays]
    names = sorted({row.name for row in apart}, reverse=True)
    if not names:
        return ""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.size": 9}):
        height = _ROW * (len(series) + 0.6) * len(names) + _ABOVE + _BELOW
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.add_subplot()
        figure.subplots_adjust(
            left=(_BESIDE + _LETTER * max(map(len, names))) / _WIDTH,
            right=1 - _BESIDE / _WIDTH,
            bottom=_BELOW / height,
            top=1 - _ABOVE / height,
        )
        for number, (colour, rows) in enumerate(series.items()):
            offset = (number + 0.5) / len(series) - 0.5
            for row in rows:
                if row.equal < row.arrays:
                    _range(axes, row, names.index(row.name) - 0.7 * offset, _INKS[colour])
        _dress(axes, names, limit)
        written = StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return _embedded(written.getvalue())


def _range(axes: Axes, row: Distances, y: float, colour: str) -> None:
    low, lower, middle, upper, high = (_inside(float(n)) for n in row.quantiles)
    axes.hlines(y, low, high, color=colour, linewidth=1.2)
    axes.hlines(y, lower, upper, color=colour, linewidth=6, alpha=0.45)
    axes.plot(middle, y, marker="|", markersize=9, markeredgewidth=2, color=colour)
    axes.plot(_inside(float(row.largest)), y, marker="o", markersize=3.5, color=colour)


def _inside(number: float) -> float:
    return min(max(number, _NEAREST), _FARTHEST)


def _dress(axes: Axes, names: Sequence[str], limit: float) -> None:
    """Scales, names and the limit."""
    ink, line = _INKS["ink"], _INKS["line"]
    axes.set_xscale("log")
    axes.set_xticks(list(_TICKS), list(_TICKS.values()), parse_math=False)
    axes.minorticks_off()
    axes.set_xlim(_NEAREST / 1.3, _FARTHEST * 1.3)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("spreads σ", color=ink)
    axes.axvline(limit, color=ink, linewidth=1, linestyle=(0, (4, 3)))
    axes.grid(axis="x", color=line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink, which="both")
    for spine in axes.spines.values():
        spine.set_color(line)


def _embedded(svg: str) -> str:
    """The element alone, with the colours of the page around it."""
    svg = svg[svg.index("<svg") :]
    for name, colour in _INKS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 width="100%"', svg, count=1)
