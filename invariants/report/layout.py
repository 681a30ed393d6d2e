"""Where things go: a layered graph on a page, and rails in text. No architecture in sight.

The page is laid out by the steps of Sugiyama, Tagawa & Toda (1981): longest-path ranks; edges that
pass a rank get a stop in it, so that nothing is drawn over a box; the order in each rank by
barycentres; then x coordinates that minimise Σ weight · dx² over all links under a least distance
within each rank, one rank at a time (an isotonic regression, solved exactly by pooling adjacent
violators).

A box that holds a layout of its own is one `Item` here: its inputs come in at `entries`, its result
leaves at `exit`. So nested graphs are laid out from the inside out and can never overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]

#: Least distances: between boxes of a rank, between an edge and what is beside it, between ranks.
BOX_GAP = 30.0
EDGE_GAP = 18.0
RANK_GAP = 30.0
#: How far down an edge goes for each step sideways, within limits.
STEEPNESS = 0.22
#: Distance between the arrow heads of several edges into one box.
ENTRY_GAP = 18.0

_SWEEPS = 12
_RELAXATIONS = 80


@dataclass(frozen=True)
class Item:
    """A box: its size, the earlier items that it takes values from, and where edges meet it.

    entries: where each source comes in, from the middle of the box; None spreads them out.
    exit: where its result leaves, from the middle of the box.
    """

    width: float
    height: float
    sources: tuple[int, ...] = ()
    entries: tuple[float, ...] | None = None
    exit: float = 0.0


@dataclass(frozen=True)
class Box:
    """Where an item stands."""

    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Layout:
    """A box for each item, and for each item a route from each of its sources.

    A route is pairs of points: straight down from an even one to the next, a curve to the one
    after that; its last point lies on the top of the item.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[tuple[tuple[Point, ...], ...], ...]


@dataclass
class _Stop:
    """An item, or a place where an edge passes a rank."""

    rank: int
    half: float
    passes: bool
    exit: float = 0.0
    x: float = 0.0
    above: list[_Link] = field(default_factory=list)
    below: list[_Link] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Link:
    """From a stop to one a rank further down; straight if lower.x - upper.x is `slant`."""

    upper: _Stop
    lower: _Stop
    slant: float
    weight: float


#: For each source of an item: its number, and the stops between the two.
_Chain = list[tuple[int, list[_Stop]]]


def layered(items: Sequence[Item]) -> Layout:
    """Where `items` go; each takes values of earlier ones only."""
    stops, chains = _stops(items)
    ranks = _ordered(stops)
    _place(ranks)
    left = min(stop.x - stop.half for stop in stops)
    for stop in stops:
        stop.x -= left
    rows = _rows(ranks, items, stops)
    boxes = tuple(
        Box(stop.x - stop.half, rows[stop.rank][0], item.width, item.height)
        for item, stop in zip(items, stops, strict=False)
    )
    routes = tuple(
        _routes(item, box, chain, stops, boxes, rows)
        for item, box, chain in zip(items, boxes, chains, strict=True)
    )
    return Layout(max(stop.x + stop.half for stop in stops), rows[-1][1], boxes, routes)


def _stops(items: Sequence[Item]) -> tuple[list[_Stop], list[_Chain]]:
    """All stops, the items' own first; for each item its sources, and the stops on the way."""
    stops: list[_Stop] = []
    for item in items:
        rank = max((stops[s].rank + 1 for s in item.sources), default=0)
        stops.append(_Stop(rank, item.width / 2, False, item.exit))
    passing: dict[tuple[int, int], _Stop] = {}
    chains: list[_Chain] = []
    for number, item in enumerate(items):
        chains.append([])
        for k, source in enumerate(item.sources):
            upper, between = stops[source], list[_Stop]()
            for rank in range(upper.rank + 1, stops[number].rank):
                stop = passing.get((source, rank))
                if stop is None:
                    stop = passing[source, rank] = _Stop(rank, EDGE_GAP / 2, True)
                    stops.append(stop)
                    _link(upper, stop, 0.0)
                between.append(stop)
                upper = stop
            _link(upper, stops[number], item.entries[k] if item.entries else 0.0)
            chains[-1].append((source, between))
    return stops, chains


def _link(upper: _Stop, lower: _Stop, entry: float) -> None:
    weight = 1.0 + 2.0 * upper.passes + 2.0 * lower.passes
    link = _Link(upper, lower, upper.exit - entry, weight)
    upper.below.append(link)
    lower.above.append(link)


def _ordered(stops: Sequence[_Stop]) -> list[list[_Stop]]:
    """The ranks, each from left to right, by barycentres: the best of some sweeps up and down."""
    ranks: list[list[_Stop]] = [[] for _ in range(1 + max(stop.rank for stop in stops))]
    for stop in stops:
        ranks[stop.rank].append(stop)
    best, fewest = ranks, _crossings(ranks)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        ranks = [list(rank) for rank in ranks]
        down = sweep % 2 == 0
        for number in range(len(ranks)) if down else reversed(range(len(ranks))):
            order = {id(stop): place for rank in ranks for place, stop in enumerate(rank)}
            keys = {id(stop): _barycentre(stop, order, down) for stop in ranks[number]}
            ranks[number].sort(key=lambda stop: keys[id(stop)])
        crossings = _crossings(ranks)
        if crossings < fewest:
            best, fewest = ranks, crossings
    return best


def _barycentre(stop: _Stop, order: dict[int, int], down: bool) -> float:
    around = [link.upper for link in stop.above] if down else [link.lower for link in stop.below]
    if not around:
        return order[id(stop)]
    return sum(order[id(other)] for other in around) / len(around)


def _crossings(ranks: Sequence[Sequence[_Stop]]) -> int:
    order = {id(stop): place for rank in ranks for place, stop in enumerate(rank)}
    count = 0
    for rank in ranks:
        ends = [
            (order[id(link.upper)], order[id(link.lower)], link.slant)
            for stop in rank
            for link in stop.below
        ]
        count += sum(a[0] < b[0] and a[1] > b[1] for a in ends for b in ends)
        # Into one box with entries of its own: the left entry must not come from the right.
        count += sum(a[0] < b[0] and a[1] == b[1] and a[2] < b[2] for a in ends for b in ends)
    return count


def _apart(left: _Stop, right: _Stop) -> float:
    gap = EDGE_GAP if left.passes or right.passes else BOX_GAP
    return left.half + gap + right.half


def _place(ranks: Sequence[Sequence[_Stop]]) -> None:
    """Sets x of every stop."""
    for rank in ranks:
        for left, right in pairwise(rank):
            right.x = left.x + _apart(left, right)
        middle = (rank[0].x + rank[-1].x) / 2
        for stop in rank:
            stop.x -= middle
    for n in range(_RELAXATIONS):
        for rank in ranks if n % 2 == 0 else reversed(ranks):
            _relax(rank)
    for _ in range(4):
        _straighten(ranks)


def _relax(rank: Sequence[_Stop]) -> None:
    """The best x for one rank, all others as they are."""
    offset, offsets = 0.0, [0.0]
    for left, right in pairwise(rank):
        offset += _apart(left, right)
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # weight, weighted sum, how many stops
    for stop, offset in zip(rank, offsets, strict=True):
        weight = sum(link.weight for link in stop.above + stop.below) or 1.0
        wish = 0.0 if stop.above or stop.below else stop.x
        wish += sum(link.weight * (link.upper.x + link.slant) for link in stop.above)
        wish += sum(link.weight * (link.lower.x - link.slant) for link in stop.below)
        pools.append((weight, wish - weight * offset, 1))
        while len(pools) > 1 and pools[-2][1] * pools[-1][0] > pools[-1][1] * pools[-2][0]:
            last, before = pools.pop(), pools.pop()
            pools.append((last[0] + before[0], last[1] + before[1], last[2] + before[2]))
    places = [total / weight for weight, total, count in pools for _ in range(count)]
    for stop, place, offset in zip(rank, places, offsets, strict=True):
        stop.x = place + offset


def _straighten(ranks: Sequence[Sequence[_Stop]]) -> None:
    """Moves each chain of stops onto one vertical line, where what is beside it leaves the room."""
    beside: dict[int, tuple[_Stop | None, _Stop | None]] = {}
    for rank in ranks:
        for stop, left, right in zip(rank, [None, *rank[:-1]], [*rank[1:], None], strict=True):
            beside[id(stop)] = (left, right)
    for chain in _chains(ranks):
        low, high, wish, shift = float("-inf"), float("inf"), 0.0, 0.0
        shifts: list[float] = []
        for stop in chain:
            shift += stop.above[0].slant if shifts else 0.0
            shifts.append(shift)
            left, right = beside[id(stop)]
            low = max(low, left.x + _apart(left, stop) - shift) if left else low
            high = min(high, right.x - _apart(stop, right) - shift) if right else high
            wish += (stop.x - shift) / len(chain)
        if low <= high:
            for stop, shift in zip(chain, shifts, strict=True):
                stop.x = min(max(wish, low), high) + shift


def _chains(ranks: Sequence[Sequence[_Stop]]) -> list[list[_Stop]]:
    """Stops that follow one another and nothing else, from top to bottom."""
    chains = []
    for stop in (stop for rank in ranks for stop in rank):
        if not _continues(stop):
            chain = [stop]
            while len(chain[-1].below) == 1 and _continues(chain[-1].below[0].lower):
                chain.append(chain[-1].below[0].lower)
            chains.append(chain)
    return [chain for chain in chains if len(chain) > 1]


def _continues(stop: _Stop) -> bool:
    """Whether the stop is the only one under the only one above it."""
    return len(stop.above) == 1 and len(stop.above[0].upper.below) == 1


def _rows(
    ranks: Sequence[Sequence[_Stop]], items: Sequence[Item], stops: Sequence[_Stop]
) -> list[tuple[float, float]]:
    """Top and bottom of each rank; the further its edges go sideways, the lower is the next one."""
    heights = [0.0] * len(ranks)
    for item, stop in zip(items, stops, strict=False):
        heights[stop.rank] = max(heights[stop.rank], item.height)
    rows: list[tuple[float, float]] = []
    y = 0.0
    for rank, height in zip(ranks, heights, strict=True):
        if rows:
            sideways = max(
                (
                    abs(link.lower.x - link.upper.x - link.slant)
                    for stop in rank
                    for link in stop.above
                ),
                default=0.0,
            )
            least = RANK_GAP if height else RANK_GAP / 2
            y += min(max(least, STEEPNESS * sideways), 2.4 * RANK_GAP)
        rows.append((y, y + height))
        y += height
    return rows


def _routes(
    item: Item,
    box: Box,
    chain: _Chain,
    stops: Sequence[_Stop],
    boxes: Sequence[Box],
    rows: Sequence[tuple[float, float]],
) -> tuple[tuple[Point, ...], ...]:
    """The way of each edge into `item`, the heads in the order in which the edges arrive."""
    starts = [stops[source].x + stops[source].exit for source, _ in chain]
    entries = item.entries
    if entries is None:
        last = [
            (between[-1].x if between else start, k)
            for k, ((_, between), start) in enumerate(zip(chain, starts, strict=True))
        ]
        gap = min(ENTRY_GAP, item.width / (len(chain) + 1))
        places = {k: place for place, (_, k) in enumerate(sorted(last))}
        entries = tuple(gap * (places[k] - (len(chain) - 1) / 2) for k in range(len(chain)))
    routes = []
    for (source, between), start, entry in zip(chain, starts, entries, strict=True):
        points = [(start, boxes[source].bottom), (start, rows[stops[source].rank][1])]
        for stop in between:
            points += [(stop.x, row) for row in rows[stop.rank]]
        routes.append((*points, (box.middle + entry, box.top)))
    return tuple(routes)


# --- rails in text --------------------------------------------------------------------------------

#: (up, down, left, right) -> the line that goes there.
_LINES = {
    (1, 1, 0, 0): "│",
    (1, 1, 0, 1): "├",
    (1, 1, 1, 0): "┤",
    (1, 1, 1, 1): "┼",
    (1, 0, 1, 0): "╯",
    (1, 0, 0, 1): "╰",
    (0, 1, 1, 0): "╮",
    (0, 1, 0, 1): "╭",
    (1, 0, 1, 1): "┴",
    (0, 1, 1, 1): "┬",
    (0, 0, 1, 1): "─",
}


@dataclass
class Rails:
    """Which value runs on which rail at this point of the page; None where a rail is free."""

    lanes: list[int | None] = field(default_factory=list)

    def show(self, mark: str = "", at: int = -1) -> str:
        """The rails as they are, with a mark on one of them."""
        cells = [" " if value is None else "│" for value in self.lanes]
        if at >= 0:
            cells[at] = mark
        return " ".join(cells)

    def advance(self, inputs: set[int], done: set[int], output: int) -> tuple[str, int]:
        """Puts `output` on a rail, frees those of `done`: a line that joins them, and the rail."""
        before = list(self.lanes)
        taken = {n for n, value in enumerate(before) if value in inputs}
        self.lanes = [None if value in done else value for value in before]
        free = [n for n in sorted(taken) if self.lanes[n] is None]
        free += [n for n, value in enumerate(self.lanes) if value is None]
        at = free[0] if free else len(self.lanes)
        self.lanes[at : at + 1] = [output]
        joined = taken | {at}
        low, high = min(joined), max(joined)
        cells = []
        for n, value in enumerate(self.lanes):
            up, down = n < len(before) and before[n] is not None, value is not None
            if n in joined:
                cell = _LINES.get((up, down, n > low, n < high), " ")
            else:
                cell = "│" if up else "─" if low < n < high else " "
            cells.append(cell + ("─" if low <= n < high else " "))
        while self.lanes[-1] is None:
            self.lanes.pop()
        line = "".join(cells).rstrip()
        return ("" if low == high else line), at
