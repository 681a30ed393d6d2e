"""The result of a small gate with something of everything, made without running a framework."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tests_support import simple_case

from invariants.case import Realisation
from invariants.finding import Finding
from invariants.gate.comparison import changed_points, compared
from invariants.gate.corpus import Entry
from invariants.gate.distances import Sample
from invariants.gate.judging import Judged
from invariants.gate.matrix import matrix
from invariants.gate.recording import Head
from invariants.gate.result import Result, counted, offers
from invariants.gate.showing import shown
from invariants.gate.waivers import Waiver, applied
from invariants.ledger import known_issues

HEADS = tuple(
    Head(f"torch=={v}", "3.11.7", {"torch": {"torch": v}}, (f"torch=={v}",), "Linux")
    for v in ("2.12.0", "2.13.0")
)
ISSUE = next(i for i in known_issues() if i.backend == "torch" and not i.at_random)
#: What no text may be to what it is put into.
AWKWARD = 'RuntimeError: <script>alert("x")</script> | `a` & $b_1$ \x1b[1m ]]> 100%'

GRADIENT = Finding(
    *("upstream_gradients", "torch", 1, "dense_0.kernel"),
    "the gradient of dense_0.kernel is not the chain rule's",
    *("within", "gradients", (0, 1)),
    expected=0.5,
    got=0.0,
    allowed=1e-6,
    spreads=float("inf"),
)
RAISED = replace(
    GRADIENT,
    property_="program_runs",
    action=2,
    subject="",
    message="the step did not end as documented",
    relation="raises",
    element=None,
    expected="nothing raised",
    got=AWKWARD,
    spreads=None,
)
MOVED = replace(
    GRADIENT,
    property_="frozen_weights",
    action=2,
    subject="dense_2.kernel",
    message="dense_2.kernel was frozen and has changed",
    relation="same_bits",
    field="weights",
    earlier=1,
)
KNOWN = replace(MOVED, severity="known issue", issue=ISSUE.id)
WAIVER = Waiver(
    "torch",
    "we catch it | <b>",
    date(2099, 12, 31),
    property_="program_runs",
    what="the step did not end as documented",
)


def entry(number: int, mode: str = "eager") -> Entry:
    case = replace(simple_case(), seed=number)
    realised = case.realisations["torch"]
    there = {**case.realisations, "torch": Realisation(mode, realised.ways, realised.options)}
    return Entry("torch", replace(case, realisations=there).check())


def pair(
    of: Entry, before: tuple[Finding, ...], after: tuple[Finding, ...], lacking: str = ""
) -> tuple[Judged, Judged]:
    words = (lacking,) if lacking else ()
    return Judged(of, before, words, 4, 6, 40), Judged(of, after, (), 4, 6, 40)


PAIRS = [
    pair(entry(0), (), (GRADIENT,)),
    pair(entry(1), (), (RAISED,)),
    pair(entry(2), (MOVED,), ()),
    pair(entry(3, "retained"), (KNOWN,), (KNOWN,)),
    pair(entry(4), (), (), "celu is not offered"),
]

NEAR = Sample(9, [0.1, 0.5, 2.0])
FAR = Sample(9, [0.1, 0.5, 2.0, 40.0, float("inf")])


def sample(waivers: tuple[Waiver, ...] = (WAIVER,), today: date = date(2026, 6, 1)) -> Result:
    """A gate that found something new, something gone, something in both."""
    changes, used = applied(
        compared(PAIRS, {"torch": [head.packages["torch"] for head in HEADS]}), waivers, today
    )
    by_name = {pair[0].entry.name: pair for pair in PAIRS}
    return Result(
        *HEADS,
        seed=0,
        counts=counted(PAIRS),
        matrix=tuple(matrix(PAIRS)),
        changes=tuple(replace(change, shown=shown(change, by_name, HEADS)) for change in changes),
        points=tuple(changed_points(changes)),
        drift=(
            NEAR.distances("torch", "layers", "dense"),
            NEAR.distances("torch", "mode", "eager"),
        ),
        errors=(
            NEAR.distances("torch", "baseline", "dense"),
            FAR.distances("torch", "candidate", "dense"),
        ),
        offers=tuple(offers(PAIRS)),
        waivers=tuple(used),
        interrupted="",
        seconds=1.5,
    )
