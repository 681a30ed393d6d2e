"""The figures behind λ: how many spreads honest frameworks are away from the oracle.

    python -m benchmarks.calibration [--torch CASES] [--tensorflow CASES] [--seed N]

draws cases, judges them, and prints for each backend and dtype the distribution of |error|/σ over
the gradient elements that have a spread, in cases without a finding (a known issue is an
error of the framework, not of the model), and the share of the elements that are uninformative.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from benchmarks.drawing import drawn
from invariants.judge import Verdict, judge
from invariants.oracle.rounding import LAMBDA

QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999)


@dataclass
class Distribution:
    """What was seen of one backend and dtype."""

    cases: int = 0
    findings: int = 0
    elements: int = 0
    uninformative: int = 0
    without_spread: int = 0
    spreads: list[np.ndarray] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        self.cases += 1
        if verdict.findings:
            self.findings += 1
            return
        self.elements += verdict.measures.elements
        self.uninformative += verdict.measures.uninformative
        expected = {p.action: p for p in verdict.evidence.expectation.points}
        for (action, name), found in verdict.evidence.deviations.items():
            spread = expected[action].gradients[name].spread
            free = (spread > 0.0) & found.informative
            self.without_spread += int(np.count_nonzero(spread == 0.0))
            self.spreads.append(found.spreads[free].astype(np.float32))

    def row(self, name: str) -> str:
        spreads = np.concatenate(self.spreads)
        quantiles = " | ".join(f"{q:.2f}" for q in np.quantile(spreads, QUANTILES))
        return (
            f"| {name} | {self.cases} | {self.findings} | {self.elements} "
            f"| {self.without_spread / self.elements:.1%} "
            f"| {self.uninformative / self.elements:.2%} | {quantiles} | {spreads.max():.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--torch", type=int, default=2000, metavar="CASES")
    parser.add_argument("--tensorflow", type=int, default=400, metavar="CASES")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"|error|/σ, λ = {LAMBDA:g}, seed {arguments.seed}\n")
    names = " | ".join(f"{q:.2%}" for q in QUANTILES)
    print(
        "| backend, dtype | cases | with findings | elements | no freedom | uninformative "
        f"| {names} | largest |"
    )
    print("|" + " --- |" * (7 + len(QUANTILES)))
    for backend in ("torch", "tensorflow"):
        found: dict[str, Distribution] = defaultdict(Distribution)
        for case in drawn(backend, getattr(arguments, backend), arguments.seed):
            found[case.dtype].add(judge(case, backend))
        for dtype in sorted(found):
            print(found[dtype].row(f"{backend} {dtype}"), flush=True)


if __name__ == "__main__":
    main()
