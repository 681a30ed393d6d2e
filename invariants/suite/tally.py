"""What a run has seen, in numbers that add up over batches and workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from invariants.architecture.graph import Architecture
from invariants.architecture.kinds import follows_others, has_weights
from invariants.case import Case
from invariants.freezing import Flags
from invariants.judge import Verdict
from invariants.suite.makeup import makeup


def frozen_between(architecture: Architecture, flags: Flags) -> bool:
    """Whether a layer with frozen weights only lies between two with trainable ones."""
    trainable = {weight.rpartition(".")[0] for weight in flags.trainable}
    owners = {p.path for p in architecture.layers if p.parameters}
    for frozen in owners - trainable:
        upstream = architecture.upstream(frozen)
        if upstream & trainable and any(
            frozen in architecture.upstream(path) for path in trainable
        ):
            return True
    return False


def learning(case: Case, backend: str) -> list[Flags]:
    """What is trainable at each gradient and step of the program."""
    return [
        flags
        for action, flags in zip(case.program, case.flags(backend), strict=True)
        if action.action in ("gradient", "step")
    ]


def has_frozen_middle(case: Case, backend: str) -> bool:
    """Whether some gradient or step of the program meets a frozen layer between trainable ones."""
    return any(frozen_between(case.architecture, flags) for flags in learning(case, backend))


#: Where a layer can be met: its own weights frozen or trainable, and on the way from or to a layer
#: whose weights are all frozen.
PLACES = ("frozen", "trainable", "upstream", "downstream")


def places(kind: str) -> tuple[str, ...]:
    """The places where a kind can be: what has no weights is neither frozen nor trainable, and
    nothing stands upstream of what takes indices.
    """
    can_be = {
        "frozen": has_weights(kind),
        "trainable": has_weights(kind),
        "upstream": True,
        "downstream": follows_others(kind),
    }
    return tuple(place for place in PLACES if can_be[place])


def reached(case: Case, backend: str) -> set[str]:
    """The places in which the gradients of a case meet each kind of layer, as "kind:place"."""
    architecture = case.architecture
    weighted = [p for p in architecture.layers if any(q.role == "weight" for q in p.parameters)]
    found: set[str] = set()
    for flags in learning(case, backend):
        frozen = [p for p in weighted if flags.frozen.issuperset(architecture.weights_in(p.path))]
        paths = {p.path for p in frozen}
        found.update(f"{p.layer.kind}:frozen" for p in frozen)
        found.update(f"{p.layer.kind}:trainable" for p in weighted if p.path not in paths)
        above = frozenset[str]().union(*(architecture.upstream(p.path) for p in frozen))
        for placed in architecture.layers:
            if placed.path in above:
                found.add(f"{placed.layer.kind}:upstream")
            if architecture.upstream(placed.path) & paths:
                found.add(f"{placed.layer.kind}:downstream")
    return found


@dataclass
class Tally:
    """The sums for one backend; `layers` and the issue counts are histograms.

    spared: the cases that batches left out which had met the known issue that they looked for.
    unmet: for each that was looked for in vain, in how many cases.
    """

    cases: int = 0
    started: int = 0
    gradients: int = 0
    elements: int = 0
    uninformative: int = 0
    narrow_elements: int = 0
    narrow_uninformative: int = 0
    largest: float = 0.0
    frozen_middle: int = 0
    ties: int = 0
    stochastic: int = 0
    blind: int = 0  # steps in a mode that shows no gradient
    violated: int = 0
    spared: int = 0
    reach: Counter[str] = field(default_factory=Counter)
    made_of: Counter[str] = field(default_factory=Counter)
    layers: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    hazards: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    unmet: Counter[str] = field(default_factory=Counter)

    def count(self, verdict: Verdict) -> None:
        """Adds one judged case."""
        evidence = verdict.evidence
        case = evidence.case
        self.cases += 1
        self.gradients += verdict.measures.gradients
        self.elements += verdict.measures.elements
        self.uninformative += verdict.measures.uninformative
        if evidence.narrow:
            self.narrow_elements += verdict.measures.elements
            self.narrow_uninformative += verdict.measures.uninformative
        if not verdict.findings:
            self.largest = max(self.largest, verdict.measures.largest)
        self.layers[str(len(case.architecture.layers))] += 1
        self.modes[evidence.mode.name] += 1
        self.frozen_middle += has_frozen_middle(case, evidence.backend)
        self.ties += evidence.expectation.ties > 0
        self.stochastic += case.stochastic
        self.blind += sum(point.blind for point in evidence.expectation.points)
        self.violated += bool(verdict.violations)
        self.reach.update(reached(case, evidence.backend))
        self.made_of.update(f"{part}: {value}" for part, value in makeup(case, evidence.backend))
        for found, counter in (
            ("violation", self.violations),
            ("known issue", self.known),
            ("hazard", self.hazards),
        ):
            names = {f.issue or f.property_ for f in verdict.findings if f.severity == found}
            counter.update(part for name in names for part in name.split(" + "))
        self.unsupported.update(
            f"{finding.message}: {finding.got}"
            for finding in verdict.findings
            if finding.severity == "unsupported"
        )

    def add(self, other: Tally) -> None:
        """Adds the sums of another batch."""
        for name, value in vars(other).items():
            if name == "largest":
                self.largest = max(self.largest, value)
            elif isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    @property
    def median_layers(self) -> int:
        """The median number of layers of the cases."""
        sizes = sorted(int(n) for n in self.layers.elements())
        return sizes[len(sizes) // 2] if sizes else 0

    def share(self, part: int) -> float:
        """`part` of the cases, as a fraction."""
        return part / self.cases if self.cases else 0.0

    @property
    def uninformative_share(self) -> float:
        """Of the elements in float64 and float32."""
        elements = self.elements - self.narrow_elements
        uninformative = self.uninformative - self.narrow_uninformative
        return uninformative / elements if elements else 0.0

    @property
    def narrow_share(self) -> float:
        """The uninformative share of the elements in formats of 16 bits."""
        return self.narrow_uninformative / self.narrow_elements if self.narrow_elements else 0.0

    @property
    def rejected_share(self) -> float:
        """The share of started draws that Hypothesis rejected."""
        return 1.0 - self.cases / self.started if self.started else 0.0

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }

    @staticmethod
    def read(document: dict[str, Any]) -> Tally:
        """The inverse of `document`."""
        fields: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value
            for name, value in document.items()
        }
        return Tally(**fields)


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of several."""
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result
