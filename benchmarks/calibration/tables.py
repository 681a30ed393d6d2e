"""The tables of the calibration, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.calibration.measuring import QUANTILES, Distribution, Judged, distribution

#: From the widest significand to the narrowest.
DTYPES = ("float64", "float32", "bfloat16", "float16")


def _cells(seen: Distribution) -> list[str]:
    count = max(1, seen.elements)
    return [
        f"{seen.elements:,}",
        f"{seen.without_freedom / count:.1%}",
        f"{seen.uninformative / count:.2%}",
        *(f"{q:.2f}" for q in seen.quantiles(QUANTILES)),
        f"{seen.largest:.2f}",
    ]


def _head(first: Sequence[str]) -> Iterator[str]:
    quantiles = [f"{q:.2%}".replace(".00%", "%") for q in QUANTILES]
    cells = [*first, "elements", "no freedom", "uninformative", *quantiles, "largest"]
    yield _row(cells)
    yield "|" + " --- |" * len(cells)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def by_dtype(backend: str, held: Sequence[Judged]) -> Iterator[str]:
    """One row a dtype, over all cases of a backend."""
    yield from _head(["backend, dtype", "cases", "with findings"])
    for dtype in DTYPES:
        own = [judged for judged in held if judged.case.dtype == dtype]
        if own:
            found = sum(bool(judged.found) for judged in own)
            seen = distribution(g for judged in own for g in judged.gradients)
            yield _row([f"{backend} {dtype}", f"{len(own):,}", f"{found:,}", *_cells(seen)])


def by_family(held: Sequence[Judged]) -> Iterator[str]:
    """One row a family of layers and dtype."""
    yield from _head(["family", "dtype"])
    for family in families_of(held):
        for dtype in DTYPES:
            seen = of(held, family, dtype)
            if seen.elements:
                yield _row([family, dtype, *_cells(seen)])


def families_of(held: Sequence[Judged]) -> list[str]:
    """The families that any gradient belongs to, by name."""
    return sorted({name for judged in held for g in judged.gradients for name in g.families})


def of(held: Sequence[Judged], family: str, dtype: str) -> Distribution:
    """The distribution of one family in one dtype."""
    return distribution(
        g
        for judged in held
        if judged.case.dtype == dtype
        for g in judged.gradients
        if family in g.families
    )


def met(held: Sequence[Judged]) -> Iterator[str]:
    """In how many cases what was found, the most frequent first."""
    counts = Counter(named for judged in held for named in judged.found)
    for (severity, name), cases in counts.most_common():
        yield f"- {name} ({severity}): {cases:,} of {len(held):,} cases"


def beyond(held: Sequence[Judged]) -> Iterator[str]:
    """Where an element without a finding lies more than λ/2 spreads away."""
    for number, judged in enumerate(held):
        for g in judged.gradients:
            if g.beyond:
                where = f"case {number} ({judged.case.dtype}), action {g.action}, {g.name}"
                yield f"- {where}: {g.beyond:.2f}"
