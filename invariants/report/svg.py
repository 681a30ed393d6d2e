"""The architecture as a self-contained SVG: no script, no font or style from elsewhere.

Layers are boxes, submodules frames around them, values flow from top to bottom. What is frozen is
blue and has a snowflake, so that it is seen without colours too. Colours follow the reader's light
or dark scheme. Widths of text are estimated for monospaced fonts, on the wide side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, pi, sin
from typing import get_args

from invariants.architecture.graph import join
from invariants.case import Case
from invariants.freezing import Flags
from invariants.report.gradient_path import Carried, carried
from invariants.report.layout import Box, Item, Layout, Point, layered
from invariants.report.picture import (
    Call,
    Flow,
    Status,
    details,
    extents,
    parameter_status,
    shape,
    status,
    term_title,
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
    "partly-frozen": {"fill": ("#fff6e3", "#362b17"), "stroke": ("#3f87d2", "#5c9fe0")},
    "frozen": {"fill": ("#e2effd", "#14304f"), "stroke": ("#3f87d2", "#5c9fe0")},
    "coldrow": {"fill": ("#cfe4fb", "#1d4470")},
    "constant": {"fill": ("#eceef1", "#272d36"), "stroke": ("#949eac", "#707b8a")},
    "hatch": {"stroke": ("#d3d8df", "#363e4a")},
    "no-weights": {"fill": ("#ffffff", "#161b23"), "stroke": ("#b4bdca", "#4c586a")},
    "input": {"fill": ("#e9f5ee", "#17302a"), "stroke": ("#57a37c", "#4e9675")},
    "mark": {"stroke": ("#d42a6a", "#ff6fa3")},
    "arrow": {"fill": ("#d42a6a", "#ff6fa3")},
    "gradient": {"stroke": ("#b4530a", "#f2a154")},
    "back": {"fill": ("#b4530a", "#f2a154")},
}

_STYLE = (
    ".network text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
    "monospace}"
    ".network .strong{font-weight:600}"
    ".network .edge,.network .gradient,.network .mark,.network .flake{fill:none}"
    ".network .edge{stroke-width:1.5}.network .gradient{stroke-width:2.5}"
    ".network .mark{stroke-width:3}"
    ".network .flake{stroke-width:1.2;stroke-linecap:round}"
    ".network .partly-frozen{stroke-dasharray:4 3}"
)


def _scheme(which: int) -> str:
    return "".join(
        f".network .{name}{{{';'.join(f'{key}:{pair[which]}' for key, pair in rules.items())}}}"
        for name, rules in _COLOURS.items()
    )


def draw(case: Case, flags: Flags, highlight: str = "", gradient: bool = False) -> str:
    """The architecture of `case` with what is frozen under `flags`, as the text of an SVG file.

    highlight: a weight, an input or a module to outline. gradient: draw the way of the gradient.
    """
    pen = _Pen(flags, highlight, f"hatch-{case.name}")
    values = case.architecture.output_values
    losses: dict[int, str] = {}
    for term in case.objective:
        told = [losses.get(values[term.output], ""), term_title(term)]
        losses[values[term.output]] = " + ".join(filter(None, told))
    flow = unroll(case.architecture)
    way = carried(case, flags, flow) if gradient else None
    sheet = pen.sheet(flow, losses, way=way)
    below = sheet.layout.height + 2 * MARGIN
    legend, used, high = pen.legend(case, max(sheet.layout.width, 400.0), below, gradient)
    width = max(used, sheet.layout.width) + 2 * MARGIN
    height = below + high + MARGIN
    size = f'width="{_n(width)}" height="{_n(height)}"'
    frozen = f"{len(flags.frozen)} of {len(case.architecture.weights)} weights frozen"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" {size} '
            f'viewBox="0 0 {_n(width)} {_n(height)}">',
            f"<title>Network of case {escape(case.name)}, {frozen}</title>",
            f"<style>{_STYLE}{_scheme(0)}"
            f"@media (prefers-color-scheme:dark){{{_scheme(1)}}}</style>",
            f'<defs><pattern id="{pen.hatch}" width="7" height="7" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path class="hatch" d="M0 0V7" stroke-width="3"/>'
            "</pattern></defs>",
            f'<rect class="paper" {size}/>',
            *filter(None, pen.paint(sheet, (width - sheet.layout.width) / 2, MARGIN, 0)),
            *legend,
            "</svg>",
            "",
        ]
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _wide(words: str, size: float) -> float:
    return len(words) * size * LETTER


def _text(x: float, y: float, words: str, size: float, style: str, end: bool = False) -> str:
    """A line of text with its middle at height `y`; nothing where there is none."""
    if not words:
        return ""
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text class="{style}" x="{_n(x)}" y="{_n(y + 0.36 * size)}" '
        f'font-size="{_n(size)}"{anchor}>{escape(words)}</text>'
    )


def _style(kind: str) -> str:
    return kind.replace(" ", "-")


def _rect(box: Box, style: str, radius: float, fill: str = "") -> str:
    paint = f' style="fill:{fill}"' if fill else ""
    return (
        f'<rect class="{style}" x="{_n(box.left)}" y="{_n(box.top)}" width="{_n(box.width)}" '
        f'height="{_n(box.height)}" rx="{_n(radius)}"{paint}/>'
    )


#: The strokes of one arm of a snowflake of radius 1: the arm itself, and its two twigs.
_ARM = ((0.0, 0.0, 1.0, 0.0), (0.5, 0.0, 0.85, 0.3), (0.5, 0.0, 0.85, -0.3))


def _flake(x: float, y: float, radius: float = 5.5) -> str:
    """A snowflake around (x, y): drawn, since fonts disagree about the letter."""
    path = []
    for turn in range(6):
        c, s = radius * cos(turn * pi / 3 + pi / 6), radius * sin(turn * pi / 3 + pi / 6)
        path += [
            f"M{_n(x + a * c - b * s)} {_n(y + a * s + b * c)}"
            f"L{_n(x + d * c - e * s)} {_n(y + d * s + e * c)}"
            for a, b, d, e in (_ARM if radius > 5 else _ARM[:1])
        ]
    return f'<path class="flake" d="{"".join(path)}"/>'


def _edge(route: Sequence[Point], head: bool, gradient: bool = False) -> str:
    """Straight down through ranks, curves between them, an arrow head where it ends.

    gradient: one comes back along it, so that it begins with an arrow head as well.
    """
    (x, y), *rest = route
    start = f'<path class="back" d="M{_n(x)} {_n(y)}l-4.5 8.5h9z"/>' if gradient and head else ""
    path = [f"M{_n(x)} {_n(y)}"]
    for n, (to, down) in enumerate(rest):
        end = down - 6.0 if head and n + 1 == len(rest) else down
        if n % 2 == 0 or abs(to - x) < 0.5:
            path.append(f"L{_n(to)} {_n(end)}")
        else:
            half = (y + end) / 2
            path.append(f"C{_n(x)} {_n(half)} {_n(to)} {_n(half)} {_n(to)} {_n(end)}")
        x, y = to, down
    tip = f'<path class="head" d="M{_n(x)} {_n(y)}l-4.5 -8.5h9z"/>' if head else ""
    line = f'<path class="edge" d="{"".join(path)}"/>'
    back = f'<path class="gradient" d="{"".join(path)}"/>' if gradient else ""
    return f"{line}{back}{tip}{start}"


# --- the network ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A parameter in a layer's box."""

    name: str
    shape: str
    kind: str
    marked: bool

    @property
    def label(self) -> str:
        return f"{self.name} · {self.kind}" if self.kind in ("state", "constant") else self.name


@dataclass(frozen=True)
class _Card:
    """What a box says."""

    path: str
    kind: str
    name: str
    shape: str
    notes: tuple[str, ...] = ()
    rows: tuple[_Row, ...] = ()
    marked: bool = False

    @property
    def cold(self) -> bool:
        return "frozen" in self.kind

    @property
    def subtitle(self) -> str:
        """What stands beside the name of a submodule."""
        return " · ".join([*([self.kind] if self.cold else []), *self.notes])

    @property
    def size(self) -> tuple[float, float]:
        name = 18.0 * self.cold + _wide(self.name, NAME) + 18 + _wide(self.shape, BODY)
        notes = [_wide(note, NOTE) for note in self.notes]
        rows = [34 + _wide(row.label, BODY) + _wide(row.shape, BODY) for row in self.rows]
        height = NAME_LINE + NOTE_LINE * len(self.notes) + ROW_LINE * len(self.rows)
        return max(name, *notes, *rows, 76.0) + 2 * INSET, height + 12 + 4 * bool(self.rows)


@dataclass(frozen=True)
class _Sheet:
    """A flow laid out; `parts` are its cards, and its submodules' sheets (None: a mere port).

    carried: for each part, along which of its edges a gradient comes back; none where not drawn.
    """

    layout: Layout
    parts: tuple[_Card | _Sheet | None, ...]
    title: _Card | None = None
    carried: tuple[tuple[bool, ...], ...] = ()

    @property
    def size(self) -> tuple[float, float]:
        """With the frame of a submodule."""
        title = 0.0
        if self.title:
            title = _wide(self.title.name, NAME) + 10 + _wide(self.title.subtitle, NOTE)
            title += 18.0 * self.title.cold + 2 * INSET
        return max(self.layout.width + 2 * PAD, title), self.layout.height + TITLE

    def across(self, item: int) -> float:
        """Where the middle of an item is, from the middle of the frame."""
        return self.layout.boxes[item].middle - self.layout.width / 2


@dataclass(frozen=True)
class _Pen:
    """How everything is drawn: what is frozen, what is outlined."""

    flags: Flags
    highlight: str
    hatch: str

    def sheet(
        self,
        flow: Flow,
        losses: dict[int, str],
        title: _Card | None = None,
        way: Carried | None = None,
    ) -> _Sheet:
        """The cards of a flow; losses: what is computed of which of its values.

        way: what of it carries a gradient, where that is to be drawn.
        """
        parts: list[_Card | _Sheet | None] = []
        items: list[Item] = []
        for number, spec in enumerate(flow.inputs):
            name = f"input_{number}"
            card = _Card(name, "input", name, shape(spec), marked=name == self.highlight)
            parts.append(None if title else card)
            items.append(Item(12.0, 0.0) if title else Item(*card.size))
        for number, call in enumerate(flow.calls):
            card = self.card(call)
            if call.body is None:
                parts.append(card)
                items.append(Item(*card.size, call.inputs))
            else:
                inner = self.sheet(call.body, {}, card, way and way.inside[number])
                entries = tuple(inner.across(n) for n in range(len(call.inputs)))
                out = inner.across(len(inner.parts) - 1)
                parts.append(inner)
                items.append(Item(*inner.size, call.inputs, entries, out))
        loss = _Card("", "input", " + ".join(losses.values()), "loss")
        parts.append(None if title else loss)
        size = (12.0, 0.0) if title else loss.size
        last = tuple(losses) or (len(items) - 1,)
        items.append(Item(*size, last))
        backward: list[tuple[bool, ...]] = []
        if way is not None:
            backward = [*([()] * len(flow.inputs)), *way.edges]
            backward.append(tuple(value in way.results for value in last))
        return _Sheet(layered(items), tuple(parts), title, tuple(backward))

    def card(self, call: Call) -> _Card:
        kind = status(self.flags, call.path)
        rows = tuple(
            _Row(
                p.name,
                extents(p.shape),
                parameter_status(self.flags, call.path, p),
                join(call.path, p.name) == self.highlight,
            )
            for p in call.parameters
        )
        again = f"{call.again}, same weights" if call.again and rows else call.again
        flagged = call.path in self.flags.flagged and kind != "no weights"
        told = "" if call.layer is None else details(call.layer)
        notes = (again, *told.split(", "), "flag set" * flagged)
        return _Card(
            path=call.path,
            kind=kind,
            name=call.path if call.layer is None else call.path.rpartition(".")[2],
            shape=shape(call.output),
            notes=tuple(filter(None, notes)),
            rows=rows if call.turn == 1 else (),
            marked=call.path == self.highlight or any(row.marked for row in rows),
        )

    def paint(self, sheet: _Sheet, x: float, y: float, depth: int) -> Iterator[str]:
        """All of a sheet, its layout's corner at (x, y)."""
        boxes = [Box(x + b.left, y + b.top, b.width, b.height) for b in sheet.layout.boxes]
        for part, box in zip(sheet.parts, boxes, strict=True):
            if isinstance(part, _Sheet) and part.title:
                left = box.left + (box.width - part.layout.width) / 2
                yield from self.frame(part.title, box, depth)
                yield from self.paint(part, left, box.top + TITLE, depth + 1)
        backward = sheet.carried or [[False] * len(routes) for routes in sheet.layout.routes]
        for part, routes, back in zip(sheet.parts, sheet.layout.routes, backward, strict=True):
            for route, gradient in zip(routes, back, strict=True):
                moved = [(x + a, y + b) for a, b in route]
                yield _edge(moved, part is not None, gradient)
        for part, box in zip(sheet.parts, boxes, strict=True):
            if isinstance(part, _Card):
                yield from self.box(part, box)
            elif part is None and box.top <= y:
                yield f'<circle class="head" cx="{_n(box.middle)}" cy="{_n(box.top)}" r="2.5"/>'

    def frame(self, title: _Card, box: Box, depth: int) -> Iterator[str]:
        yield f'<g class="submodule" data-path="{escape(title.path)}">'
        yield _rect(box, f"frame{min(depth, 2)}", 10)
        if title.marked:
            yield _rect(box, "mark", 10)
        left, middle = box.left + INSET, box.top + TITLE / 2 + 1
        if title.cold:
            yield _flake(left + 5, middle)
            left += 18
        yield _text(left, middle, title.name, NAME, "ink strong")
        left += _wide(title.name, NAME) + 10
        yield _text(left, middle, title.subtitle, NOTE, "cold" if title.cold else "muted")
        yield "</g>"

    def box(self, card: _Card, box: Box) -> Iterator[str]:
        radius = box.height / 2 if card.kind == "input" else 7.0
        yield f'<g class="layer" data-path="{escape(card.path)}">'
        yield f"<title>{escape(card.path or card.name)}: {card.kind}</title>"
        yield _rect(box, f"box {_style(card.kind)}", radius)
        if card.kind == "constant":
            yield _rect(box, "hatched", radius, f"url(#{self.hatch})")
        if card.marked:
            yield _rect(box, "mark", radius)
        left, right, y = box.left + INSET, box.right - INSET, box.top + 6 + NAME_LINE / 2
        inset = 18.0 * card.cold
        if card.cold:
            yield _flake(left + 5, y)
        yield _text(left + inset, y, card.name, NAME, "ink strong")
        yield _text(right, y, card.shape, BODY, "muted", end=True)
        y += NAME_LINE / 2
        for note in card.notes:
            yield _text(left, y + NOTE_LINE / 2, note, NOTE, "muted")
            y += NOTE_LINE
        for number, row in enumerate(card.rows):
            top = y + 4 + number * ROW_LINE
            yield from self.row(row, Box(box.left, top, box.width, ROW_LINE), card.kind)
        yield "</g>"

    def row(self, row: _Row, line: Box, kind: str) -> Iterator[str]:
        left, right, y = line.left + INSET, line.right - INSET, line.top + line.height / 2
        if row.kind == "frozen":
            if kind == "partly frozen":
                inner = Box(line.left + 4, line.top + 0.5, line.width - 8, line.height - 1)
                yield _rect(inner, "coldrow", 4)
            yield _flake(left + 5, y, 4.0)
        style = {"frozen": "cold", "trainable": "ink"}.get(row.kind, "muted")
        yield _text(left + 18, y, row.label, BODY, style)
        yield _text(right, y, row.shape, BODY, style, end=True)
        if row.marked:
            yield f'<path class="arrow" d="M{_n(right + 3)} {_n(y)}l7 -4.5v9z"/>'

    def legend(
        self, case: Case, most: float, top: float, gradient: bool
    ) -> tuple[list[str], float, float]:
        """What the boxes mean, in lines of at most `most`; and the size of it all."""
        found = {status(self.flags, placed.path) for placed in case.architecture.layers}
        meanings: list[str] = [kind for kind in get_args(Status) if kind in found]
        inputs = {f"input_{number}" for number in range(len(case.architecture.inputs))}
        if self.highlight in {*case.architecture.paths[1:], *case.architecture.parameters, *inputs}:
            meanings.append("mark")
        meanings += ["gradient"] if gradient else []
        drawn, x, y, used = list[str](), 0.0, 0.0, 0.0
        for meaning in meanings:
            words = {"mark": "highlighted", "gradient": "way of the gradient"}.get(meaning, meaning)
            width = 26 + _wide(words, BODY)
            if x and x + width > most:
                x, y = 0.0, y + 24
            swatch = Box(MARGIN + x, top + y + 1, 18, 14)
            if meaning == "gradient":
                middle = swatch.top + swatch.height / 2
                drawn.append(f'<path class="gradient" d="M{_n(swatch.left)} {_n(middle)}h18"/>')
            else:
                drawn.append(_rect(swatch, _style(meaning), 4))
            if meaning == "constant":
                drawn.append(_rect(swatch, "hatched", 4, f"url(#{self.hatch})"))
            if "frozen" in meaning:
                drawn.append(_flake(swatch.middle, swatch.top + 7, 5.2))
            drawn.append(_text(MARGIN + x + 26, top + y + 8, words, BODY, "muted"))
            used = max(used, x + width)
            x += width + 22
        return drawn, used, y + 16
