"""A plot of which layers a run met, and where: one row a kind, one cell a place, as an SVG.

The cell's ink grows with the logarithm of the number of cases; an empty one was not met. There is
none where no layer of the kind can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from invariants.architecture.layers import LAYERS
from invariants.oracle.contract import CONTRACTS
from invariants.suite.tally import PLACES, Tally, places

_ROW, _CELL, _NAMES, _COLUMN_GAP, _TOP = 18, 86, 210, 40, 64
_COLUMNS = 2  # the kinds stand in so many columns

_STYLE = (
    ".coverage text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2937}"
    ".coverage .title{font-size:15px;font-weight:600}.coverage .muted{fill:#5f6b7c}"
    ".coverage .paper{fill:#fff}.coverage .cell{fill:#1b62ab}.coverage .none{fill:#f1f4f8}"
    ".coverage .dark{fill:#fff}"
    "@media (prefers-color-scheme:dark){.coverage text{fill:#e5e9f0}.coverage .muted{fill:#9aa5b5}"
    ".coverage .paper{fill:#12161d}.coverage .cell{fill:#8cc4fb}.coverage .none{fill:#1a2029}"
    ".coverage .dark{fill:#12161d}}"
)


def plot(backend: str, tally: Tally) -> str:
    """The text of an SVG file for the cases of one backend."""
    kinds = [kind for kind in LAYERS if kind not in CONTRACTS[backend].lacks]
    length = math.ceil(len(kinds) / _COLUMNS)
    width = _COLUMNS * (_NAMES + len(PLACES) * _CELL) + (_COLUMNS - 1) * _COLUMN_GAP + 48
    height = _TOP + length * _ROW + 24
    largest = max([1, *(tally.reach[f"{kind}:{place}"] for kind in kinds for place in PLACES)])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="coverage" role="img" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><style>{_STYLE}</style>',
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="title" x="24" y="26">{tally.cases:,} cases of {escape(backend)}: how many '
        "met a layer of each kind, frozen or trainable, up- and downstream of a frozen one</text>",
    ]
    for column in range(_COLUMNS):
        left = 24 + column * (_NAMES + len(PLACES) * _CELL + _COLUMN_GAP)
        for number, place in enumerate(PLACES):
            x = left + _NAMES + (number + 0.5) * _CELL
            parts.append(f'<text class="muted" x="{x}" y="52" text-anchor="middle">{place}</text>')
        for row, kind in enumerate(kinds[column * length : (column + 1) * length]):
            parts += _row(kind, tally.reach, largest, left, _TOP + row * _ROW)
    return "\n".join([*parts, "</svg>\n"])


def _row(kind: str, reach: Mapping[str, int], largest: int, left: float, top: float) -> list[str]:
    drawn = [f'<text x="{left}" y="{top + 13}">{escape(kind)}</text>']
    for number, place in enumerate(PLACES):
        if place not in places(kind):
            continue
        count = reach.get(f"{kind}:{place}", 0)
        x = left + _NAMES + number * _CELL
        box = f'x="{x}" y="{top + 1}" width="{_CELL - 2}" height="{_ROW - 2}"'
        if not count:
            drawn.append(f'<rect class="none" {box}/>')
            continue
        ink = 0.12 + 0.88 * math.log1p(count) / math.log1p(largest)
        drawn.append(f'<rect class="cell" {box} fill-opacity="{ink:.2f}"/>')
        dark = ' class="dark"' if ink > 0.55 else ""
        middle = x + _CELL / 2
        drawn.append(
            f'<text{dark} x="{middle}" y="{top + 13}" text-anchor="middle">{count:,}</text>'
        )
    return drawn
