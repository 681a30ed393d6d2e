"""The page of a gate: it needs nothing else, and does in a real browser what it says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sample_result import AWKWARD, HEADS, sample

from invariants.gate.change import ChangedPoint
from invariants.gate.result import Offer, unjudged
from invariants.report import formats, plots

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

RESULT = sample()
UNJUDGED = unjudged(*HEADS, "running")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
#: It asks for nothing from outside, and works where it is root's.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@cache
def html() -> str:
    return formats.render("html", RESULT, Path())


def test_the_page_holds_all_that_it_needs() -> None:
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', html().replace("xlink:", ""))
    assert "@import" not in html()
    assert "url(http" not in html()


def test_what_a_result_says_is_text_and_never_markup() -> None:
    assert "<script>alert" in AWKWARD
    assert "&lt;script&gt;alert" in html()
    assert html().count("<script>") == 1


def test_where_a_plot_cannot_be_drawn_its_numbers_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = "<summary>numbers</summary>"
    assert html().count(numbers) == 3
    monkeypatch.setattr(plots, "available", lambda: False)
    page = formats.render("html", RESULT, Path())
    assert "pip install &#39;freeze-invariants[report]&#39;" in page
    assert page.count(numbers) == 3
    assert page.count("<svg") < html().count("<svg")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with sync.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    """The page, open; whatever the console says against it fails the test."""
    (tmp_path / "report.html").write_text(html(), "utf-8")
    opened = context.new_page()
    complaints = watched(opened)
    opened.goto((tmp_path / "report.html").as_uri())
    yield opened
    opened.close()
    assert complaints == []


def watched(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("file:") else complaints.append(r.url))
    return complaints


def visible(page: Page) -> int:
    return page.locator("article.finding:visible").count()


def test_every_section_is_there_with_something_to_see(page: Page) -> None:
    for name in ("verdict", "matrix", "findings", "waivers", "changed", "plots"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["height"] > 40, name
    for number in range(page.locator("article.finding").count()):
        article = page.locator("article.finding").nth(number)
        article.locator("> details").evaluate("found => found.open = true")
        assert article.locator("svg.network .gradient").count() > 1
        assert article.locator("svg.network .frozen").count() >= 1
    for plot in page.locator("figure.plot svg").all():
        box = plot.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 50


def test_the_verdict_stands_first(page: Page) -> None:
    assert page.locator("h1").inner_text().startswith("The candidate is worse: 1 new")
    top = page.locator("#verdict").bounding_box()
    assert top is not None
    assert top["y"] < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper_in_either_scheme(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for place in ("body", "h1", ".badge.new", ".matrix .violation", ".told dt", ".muted"):
        assert page.locator(place).first.evaluate(CONTRAST) >= 4.5, place


#: The contrast of an element's words with what is behind them, as WCAG 2.1 reckons it.
CONTRAST = """element => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = element;
  while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
    .map(luminance).sort();
  return (b + 0.05) / (a + 0.05);
}"""


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("severity", "known issue", 1),
        ("severity", "violation", 3),
        ("status", "waived", 1),
        ("status", "gone", 1),
        ("backend", "torch", 4),
        ("mode", "retained", 1),
        ("mode", "eager", 3),
    ],
)
def test_a_filter_leaves_what_fits(page: Page, name: str, value: str, left: int) -> None:
    assert visible(page) == 4
    page.select_option(f"#filter-{name}", value)
    assert visible(page) == left
    assert page.locator("#shown").inner_text() == f"{left} of 4"
    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('shown').value === '4 of 4'")
    assert visible(page) == 4


def test_filters_meet(page: Page) -> None:
    page.fill("#filter-text", "DENSE_0.kernel chain")
    assert visible(page) == 1
    page.select_option("#filter-status", "gone")
    assert visible(page) == 0


def test_a_field_of_the_matrix_shows_its_findings(page: Page) -> None:
    page.click('.matrix button[data-mode=eager][data-property="program_runs"]')
    page.wait_for_function("document.getElementById('shown').value.startsWith('1 of 4')")
    assert "program_runs" in page.locator("article.finding:visible").inner_text()


def test_what_is_copied_is_the_script(page: Page) -> None:
    (change,) = RESULT.worse
    article = page.locator("article.finding").first
    article.locator(".script > summary").click()  # what is worse is folded out
    article.locator("button.copy").click()
    page.wait_for_selector("button.copy:text('copied')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert change.shown is not None
    assert copied == change.shown.repro


def test_a_gate_that_judged_nothing_has_a_page_too(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(formats.render("html", UNJUDGED, Path()), "utf-8")
    opened = browser.new_page()
    complaints = watched(opened)
    opened.goto((tmp_path / "report.html").as_uri())
    assert "undecided" in opened.locator("h1").inner_text()
    assert opened.locator("#findings").inner_text().endswith("None on either side.")
    opened.close()
    assert complaints == []


LONG = "a_name_without_any_room_to_break_it_" * 5


def test_on_a_telephone_what_is_wide_scrolls_in_its_own_box(
    browser: Browser, tmp_path: Path
) -> None:
    found = sample()
    wide = replace(
        found,
        baseline=replace(found.baseline, asked=LONG, system=LONG),
        changes=tuple(replace(c, kind=replace(c.kind, what=LONG)) for c in found.changes),
        points=(ChangedPoint("torch", LONG, LONG, LONG, LONG, LONG),),
        offers=(Offer("torch", LONG, "baseline", 3),),
        waivers=tuple(replace(w, reason=LONG) for w in found.waivers),
    )
    (tmp_path / "report.html").write_text(formats.render("html", wide, Path()), "utf-8")
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.goto((tmp_path / "report.html").as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    boxes = opened.locator(".wide:has(table), .wide:has(svg), figure.network-figure").all()
    assert boxes
    for box in boxes:
        assert box.evaluate("box => box.getBoundingClientRect().right") <= 390
    outside = (
        "document.querySelectorAll('table').forEach(t => { if (!t.closest('.wide')) throw t })"
    )
    opened.evaluate(outside)
    opened.close()


def test_where_all_is_equal_the_page_says_so() -> None:
    equal = tuple(replace(row, equal=row.arrays) for row in sample().drift)
    page = formats.render("html", replace(sample(), drift=equal), Path())
    assert page.count("All of it is equal, to the bit.") == 2
