"""The picture as SVG: what it shows, and that nothing lies on top of anything else."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invariants.architecture.graph import within
from invariants.case import Case
from invariants.freezing import Flags
from invariants.generate.cases import cases
from invariants.report import svg
from invariants.report.layout import Box, Item, Layout, layered
from invariants.report.picture import status

drawn = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)

NAMESPACE = "{http://www.w3.org/2000/svg}"
#: Coordinates are written with one digit.
SLACK = 0.11


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Case, Flags, str]:
    """A case, the flags at some point of its program, something to point at."""
    case = draw(cases())
    backend = draw(st.sampled_from(sorted(case.realisations)))
    flags = draw(st.sampled_from(case.flags(backend)))
    targets = [*case.architecture.parameters, *case.architecture.paths, "input_0", "nothing"]
    return case, flags, draw(st.sampled_from(targets))


@st.composite
def graphs(draw: st.DrawFn) -> list[Item]:
    """Items of any size, each with up to four sources, those of a nested graph with ports."""
    items: list[Item] = []
    for number in range(draw(st.integers(1, 14))):
        width = draw(st.floats(4, 300))
        count = draw(st.integers(0, min(4, number)))
        sources = tuple(draw(st.integers(0, number - 1)) for _ in range(count))
        inside = st.floats(-width / 2, width / 2)
        entries = tuple(draw(inside) for _ in sources) if draw(st.booleans()) else None
        out = draw(st.sampled_from([0.0, width / 3]))
        items.append(Item(width, draw(st.floats(0, 200)), sources, entries, out))
    return items


@dataclass(frozen=True)
class Shape:
    """A layer's box or a submodule's frame, with the group around it."""

    group: ElementTree.Element
    path: str
    box: Box


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def rectangle(element: ElementTree.Element) -> Box:
    return Box(*(float(element.get(name, "0")) for name in ("x", "y", "width", "height")))


def shapes(root: ElementTree.Element, style: str) -> list[Shape]:
    found = []
    for group in root.iter(f"{NAMESPACE}g"):
        if group.get("class") == style:
            rect = group.find(f"{NAMESPACE}rect")
            assert rect is not None
            found.append(Shape(group, group.get("data-path", ""), rectangle(rect)))
    return found


def text_box(element: ElementTree.Element) -> Box:
    size, words = float(element.get("font-size", "0")), element.text or ""
    width = len(words) * size * svg.LETTER
    x = float(element.get("x", "0")) - (width if element.get("text-anchor") == "end" else 0.0)
    return Box(x, float(element.get("y", "0")) - 0.8 * size, width, size)


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path of M, L and C."""
    found: list[tuple[float, float]] = []
    for letter, numbers in re.findall(r"([MLC])([^MLC]+)", path):
        values = [float(number) for number in numbers.split()]
        x, y = found[-1] if found else (0.0, 0.0)
        if letter == "C":
            ax, ay, bx, by, cx, cy = values
            for n in range(1, 17):
                t = n / 16
                weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                found.append(
                    (
                        sum(w * v for w, v in zip(weights, (x, ax, bx, cx), strict=True)),
                        sum(w * v for w, v in zip(weights, (y, ay, by, cy), strict=True)),
                    )
                )
        elif letter == "L":
            found += [
                (x + (values[0] - x) * n / 16, y + (values[1] - y) * n / 16) for n in range(1, 17)
            ]
        else:
            found.append((values[0], values[1]))
    return found


def apart(a: Box, b: Box) -> bool:
    return (
        a.right <= b.left + SLACK
        or b.right <= a.left + SLACK
        or a.bottom <= b.top + SLACK
        or b.bottom <= a.top + SLACK
    )


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer.left - SLACK <= inner.left
        and outer.top - SLACK <= inner.top
        and inner.right <= outer.right + SLACK
        and inner.bottom <= outer.bottom + SLACK
    )


def has_flake(shape: Shape) -> bool:
    return any(path.get("class") == "flake" for path in shape.group.iter(f"{NAMESPACE}path"))


@drawn
@given(scenes())
def test_every_call_has_a_box_and_every_submodule_a_frame(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    boxes = Counter(shape.path for shape in shapes(root, "layer"))
    expected = Counter({placed.path: placed.calls for placed in case.architecture.layers})
    expected.update(f"input_{number}" for number in range(len(case.architecture.inputs)))
    assert boxes == expected + Counter({"": 1})  # the loss
    assert {shape.path for shape in shapes(root, "submodule")} == set(case.architecture.blocks)


@drawn
@given(scenes())
def test_what_is_frozen_has_a_snowflake_and_nothing_else_has(
    scene: tuple[Case, Flags, str],
) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    for shape in shapes(root, "submodule") + shapes(root, "layer"):
        layer = shape.path in case.architecture.paths and shape.path
        cold = bool(layer) and "frozen" in status(flags, shape.path)
        assert has_flake(shape) == cold, f"{shape.path or 'the loss'} has the wrong mark"


@drawn
@given(scenes())
def test_what_is_highlighted_is_outlined(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    outlined = {
        shape.path
        for shape in shapes(root, "submodule") + shapes(root, "layer")
        if any(rect.get("class") == "mark" for rect in shape.group.iter(f"{NAMESPACE}rect"))
    }
    owner = highlight.rpartition(".")[0] if highlight in case.architecture.parameters else highlight
    assert outlined == ({owner} if owner and owner != "nothing" else set())


@drawn
@given(scenes())
def test_boxes_do_not_overlap_and_stand_in_the_frame_of_their_submodule(
    scene: tuple[Case, Flags, str],
) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    layers, frames = shapes(root, "layer"), shapes(root, "submodule")
    assert all(apart(a.box, b.box) for a, b in combinations(layers, 2))
    for frame in frames:
        for other in layers + frames:
            if other is not frame and not apart(frame.box, other.box):
                assert inside(other.box, frame.box) or inside(frame.box, other.box)
    for shape in layers + frames:
        depth = sum(inside(shape.box, frame.box) for frame in frames if frame is not shape)
        assert depth == max(shape.path.count("."), 0)
        assert all(
            any(inside(shape.box, f.box) for f in frames if f.path == parent)
            for parent in case.architecture.blocks
            if within(shape.path, parent) and parent != shape.path
        )


@drawn
@given(scenes())
def test_words_stay_in_their_box_and_off_each_other(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    for shape in shapes(root, "layer") + shapes(root, "submodule"):
        words = [text_box(text) for text in shape.group.findall(f"{NAMESPACE}text")]
        assert all(inside(word, shape.box) for word in words)
        assert all(apart(a, b) for a, b in combinations(words, 2))
    titles = [text_box(t) for s in shapes(root, "submodule") for t in s.group if t.get("font-size")]
    boxes = [shape.box for shape in shapes(root, "layer")]
    assert all(apart(title, box) for title in titles for box in boxes)


@drawn
@given(scenes())
def test_nothing_lies_outside_the_page(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    page = Box(*(float(number) for number in root.get("viewBox", "").split()))
    for rect in root.iter(f"{NAMESPACE}rect"):
        assert inside(rectangle(rect), page)
    for text in root.iter(f"{NAMESPACE}text"):
        assert inside(text_box(text), page), text.text
    for path in root.iter(f"{NAMESPACE}path"):
        if path.get("class") == "edge":
            assert all(inside(Box(x, y, 0, 0), page) for x, y in points(path.get("d", "")))


@drawn
@given(scenes())
def test_edges_go_around_boxes(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    root = parse(svg.draw(case, flags, highlight))
    boxes = [shape.box for shape in shapes(root, "layer")]
    edges = [path for path in root.iter(f"{NAMESPACE}path") if path.get("class") == "edge"]
    assert edges
    for edge in edges:
        for x, y in points(edge.get("d", "")):
            assert all(apart(Box(x, y, 0.0, 0.0), box) for box in boxes)


@drawn
@given(cases())
def test_a_picture_needs_nothing_from_elsewhere(case: Case) -> None:
    text = svg.draw(case, Flags.initial(case.architecture), '"><script>&')
    assert "<script" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert "href" not in text
    assert "prefers-color-scheme:dark" in text


@drawn
@given(cases())
def test_the_same_case_is_drawn_alike(case: Case) -> None:
    flags = Flags.initial(case.architecture)
    assert svg.draw(case, flags) == svg.draw(case, flags)


@drawn
@given(graphs())
def test_a_layout_keeps_any_boxes_apart_and_routes_edges_between_them(items: list[Item]) -> None:
    layout = layered(items)
    page = Box(0, 0, layout.width, layout.height)
    assert all(inside(box, page) for box in layout.boxes)
    assert all(apart(a, b) for a, b in combinations(layout.boxes, 2))
    for number, item in enumerate(items):
        for source, route in zip(item.sources, layout.routes[number], strict=True):
            check_route(layout, items[source], source, number, route)


def check_route(
    layout: Layout, start: Item, source: int, target: int, route: tuple[tuple[float, float], ...]
) -> None:
    box = layout.boxes[source]
    assert abs(route[0][0] - box.middle - start.exit) <= SLACK
    assert route[0][1] == box.bottom
    assert route[-1][1] == layout.boxes[target].top
    assert abs(route[-1][0] - layout.boxes[target].middle) <= layout.boxes[target].width / 2 + SLACK
    for (x, y), (to, down) in zip(route[::2], route[1::2], strict=False):
        assert x == to, "straight down where it passes boxes"
        assert all(apart(Box(x, y, 0, down - y), box) for box in layout.boxes)


def test_a_chain_is_one_straight_line() -> None:
    items = [Item(50.0 + 13 * n, 20.0, (n - 1,) if n else ()) for n in range(12)]
    assert len({round(box.middle, 6) for box in layered(items).boxes}) == 1


def test_a_skip_of_a_diamond_crosses_nothing() -> None:
    items = [
        Item(60, 20),
        Item(60, 20, (0,)),
        Item(60, 20, (0,)),
        Item(60, 20, (2,)),
        Item(60, 20, (1,)),
        Item(60, 20, (4, 3)),
    ]
    boxes = layered(items).boxes
    assert (boxes[1].left < boxes[2].left) == (boxes[4].left < boxes[3].left)
