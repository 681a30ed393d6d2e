"""The architecture as a self-contained SVG: no script, no font or style from elsewhere.

Layers are boxes, submodules frames around them, values flow from top to bottom. What is frozen is
blue and has a snowflake, so that it is seen without colours too. Colours follow the reader's light
or dark scheme. Widths of text are estimated for monospaced fonts, on the wide side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from invariants.architecture.graph import join
from invariants.case import Case
from invariants.freezing import Flags
from invariants.report.layout import Box, Item, Layout, Point, layered
from invariants.report.picture import (
    LOSSES,
    Call,
    Flow,
    details,
    extents,
    parameter_status,
    shape,
    status,
    unroll,
)

MARGIN = 24.0
#: Inside a submodule's frame; the height of its title.
PAD, TITLE = 16.0, 30.0
#: Inside a layer's box; the heights of its lines.
INSET, NAME_LINE, NOTE_LINE, ROW_LINE = 12.0, 22.0, 15.0, 18.0

#: A monospaced letter is at most this wide, as a share of the font's size.
LETTER = 0.62
NAME, BODY, NOTE = 13.0, 11.0, 10.5

#: class -> property -> (light, dark).
_COLOURS = {
    "paper": {"fill": ("#ffffff", "#12161d")},
    "ink": {"fill": ("#1f2937", "#e5e9f0")},
    "muted": {"fill": ("#5f6b7c", "#9aa5b5")},
    "cold": {"fill": ("#1b62ab", "#8cc4fb")},
    "flake": {"stroke": ("#2474c6", "#7dbbf8")},
    "edge": {"stroke": ("#8793a5", "#6f7d92")},
    "head": {"fill": ("#8793a5", "#6f7d92")},
    "frame0": {"fill": ("#f5f7fa", "#1a2029"), "stroke": ("#c9d1dc", "#3a4454")},
    "frame1": {"fill": ("#ebeff5", "#212935"), "stroke": ("#bcc6d4", "#465265")},
    "frame2": {"fill": ("#e0e6ee", "#293342"), "stroke": ("#aeb9c9", "#526076")},
    "trainable": {"fill": ("#fff6e3", "#362b17"), "stroke": ("#dba53c", "#b3873a")},
    "partly": {"fill": ("#fff6e3", "#362b17"), "stroke": ("#3f87d2", "#5c9fe0")},
    "frozen": {"fill": ("#e2effd", "#14304f"), "stroke": ("#3f87d2", "#5c9fe0")},
    "coldrow": {"fill": ("#cfe4fb", "#1d4470")},
    "constant": {"fill": ("#eceef1", "#272d36"), "stroke": ("#949eac", "#707b8a")},
    "hatch": {"stroke": ("#d3d8df", "#363e4a")},
    "plain": {"fill": ("#ffffff", "#161b23"), "stroke": ("#b4bdca", "#4c586a")},
    "input": {"fill": ("#e9f5ee", "#17302a"), "stroke": ("#57a37c", "#4e9675")},
    "mark": {"stroke": ("#d42a6a", "#ff6fa3")},
    "arrow": {"fill": ("#d42a6a", "#ff6fa3")},
}

_STYLE = (
    ".network text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
    "monospace}"
    ".network .strong{font-weight:600}"
    ".network .edge,.network .mark,.network .flake{fill:none}"
    ".network .edge{stroke-width:1.5}.network .mark{stroke-width:2.5}"
    ".network .flake{stroke-width:1.3;stroke-linecap:round}"
    ".network .dashed{stroke-dasharray:4 3}"
)


def _scheme(which: int) -> str:
    return "".join(
        f".network .{name}{{{';'.join(f'{key}:{pair[which]}' for key, pair in rules.items())}}}"
        for name, rules in _COLOURS.items()
    )


def draw(case: Case, flags: Flags, highlight: str = "") -> str:
    """The architecture of `case` with what is frozen under `flags`, as the text of an SVG file.

    highlight: a weight, an input or a module to outline.
    """
    pen = _Pen(flags, highlight, f"hatch-{case.name}", LOSSES[case.loss])
    sheet = pen.sheet(unroll(case.architecture), outermost=True)
    body = list(pen.paint(sheet, MARGIN, MARGIN, 0))
    legend, width, height = _legend(pen, max(sheet.layout.width, 380.0))
    width = max(width, sheet.layout.width) + 2 * MARGIN
    below = sheet.layout.height + 2 * MARGIN
    height += below + MARGIN
    shift = (width - 2 * MARGIN - sheet.layout.width) / 2
    frozen = f"{len(flags.frozen)} of {len(case.architecture.weights)} weights frozen"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" '
            f'width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="0 0 {_n(width)} {_n(height)}">',
            f"<title>Network of case {escape(case.name)}, {frozen}</title>",
            f"<style>{_STYLE}{_scheme(0)}"
            f"@media (prefers-color-scheme:dark){{{_scheme(1)}}}</style>",
            f'<defs><pattern id="{pen.hatch}" width="7" height="7" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path class="hatch" d="M0 0V7" stroke-width="3"/>'
            "</pattern></defs>",
            f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
            f'<g transform="translate({_n(shift)} 0)">',
            *body,
            "</g>",
            f'<g class="legend" transform="translate({_n(MARGIN)} {_n(below)})">',
            *legend,
            "</g>",
            "</svg>",
            "",
        ]
    )


# --- shapes ---------------------------------------------------------------------------------------


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _wide(words: str, size: float) -> float:
    return len(words) * size * LETTER


def _text(x: float, y: float, words: str, size: float, style: str, end: bool = False) -> str:
    """A line of text with its middle at height `y`."""
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text class="{style}" x="{_n(x)}" y="{_n(y + 0.36 * size)}" '
        f'font-size="{_n(size)}"{anchor}>{escape(words)}</text>'
    )


def _rect(box: Box, style: str, radius: float, fill: str = "") -> str:
    paint = f' style="fill:{fill}"' if fill else ""
    return (
        f'<rect class="{style}" x="{_n(box.left)}" y="{_n(box.top)}" width="{_n(box.width)}" '
        f'height="{_n(box.height)}" rx="{_n(radius)}"{paint}/>'
    )


def _flake(x: float, y: float, r: float = 5.5) -> str:
    """A snowflake around (x, y): drawn, since fonts disagree about the letter."""
    path = []
    for c, s in ((1.0, 0.0), (0.5, 0.866), (-0.5, 0.866)):
        path.append(f"M{_n(x - r * c)} {_n(y - r * s)}L{_n(x + r * c)} {_n(y + r * s)}")
        for sign in (1, -1):
            u, v = sign * c, sign * s
            tips = [(u * 0.5 - v * side + u * 0.4, v * 0.5 + u * side + v * 0.4) for side in (0.33, -0.33)]
            (ax, ay), (bx, by) = ((x + r * a, y + r * b) for a, b in tips)
            path.append(f"M{_n(ax)} {_n(ay)}L{_n(x + r * u * 0.55)} {_n(y + r * v * 0.55)}")
            path.append(f"L{_n(bx)} {_n(by)}")
    return f'<path class="flake" d="{"".join(path)}"/>'


def _edge(route: Sequence[Point], head: bool) -> str:
    """Straight down through ranks, curves between them, an arrow head where it ends."""
    (x, y), *rest = route
    path = [f"M{_n(x)} {_n(y)}"]
    for n, (to, down) in enumerate(rest):
        end = down - 6.0 if head and n + 1 == len(rest) else down
        if n % 2 == 0 or abs(to - x) < 0.5:
            path.append(f"L{_n(to)} {_n(end)}")
        else:
            half = (y + end) / 2
            path.append(f"C{_n(x)} {_n(half)} {_n(to)} {_n(half)} {_n(to)} {_n(end)}")
        x, y = to, down
    drawn = f'<path class="edge" d="{"".join(path)}"/>'
    if head:
        drawn += f'<path class="head" d="M{_n(x)} {_n(y)}l-4.5 -8.5h9z"/>'
    return drawn


# --- the network ----------------------------------------------------------------------------------
