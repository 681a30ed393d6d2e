"""The same script twice gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from invariants.finding import Finding
from invariants.observation import Array, ObservedPoint, same_bits
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    if evidence.repeat is None:
        return
    again = {point.action: point for point in evidence.repeat.points}
    for point in evidence.observation.points:
        twin = again.get(point.action)
        for field, name in _differences(point, twin):
            yield Finding(
                property_="deterministic",
                backend=evidence.backend,
                action=point.action,
                subject=name,
                message=f"{field} of {name or 'the batch'} differ between two runs of one script",
                relation="repeats",
                field=field,
                expected="the same bits",
                got="other bits",
            )


def _differences(a: ObservedPoint, b: ObservedPoint | None) -> Iterator[tuple[str, str]]:
    if b is None:
        yield "records", ""
        return
    if a.loss is not None and (b.loss is None or not same_bits(a.loss, b.loss)):
        yield "loss", ""
    for field in ("weights", "gradients", "averages"):
        mine: Mapping[str, Array | None] = getattr(a, field)
        theirs: Mapping[str, Array | None] = getattr(b, field)
        for name, array in mine.items():
            twin = theirs.get(name)
            if (array is None) != (twin is None) or (
                array is not None and twin is not None and not same_bits(array, twin)
            ):
                yield field, name
