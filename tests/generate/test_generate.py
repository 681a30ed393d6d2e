"""What is drawn is worth judging, next to nothing is rejected, and it shrinks well."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from random import Random
from unittest.mock import patch

from hypothesis import Phase, find, given, settings

from invariants.architecture.graph import Architecture, Placed, join
from invariants.case import Case
from invariants.freezing import Flags
from invariants.generate.cases import cases
from invariants.generate.choice import Drawn
from invariants.generate.masks import PATTERNS, Mask, Pattern, draw_stages, weighted
from invariants.judge import Measures, Verdict
from invariants.observation import Observation
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import Expectation
from invariants.program import Step
from invariants.properties.evidence import Evidence
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.tally import Tally, total


class _DrawOnly(Hunt):
    """Counts what is drawn without running it."""

    def example(self, case: Case) -> None:
        self.tally.count(self._unjudged(case))

    @staticmethod
    def _unjudged(case: Case) -> Verdict:
        nothing = Evidence(
            case, "torch", Observation("torch", (), {}, {}), Expectation("torch", ())
        )
        return Verdict(nothing, (), Measures(0, 0, 0, 0.0))


#: How often each pattern was asked for a mask in `drawn`.
_ASKED = Counter[str]()


def _counted(name: str, pattern: Pattern) -> Pattern:
    def counting(choice: Drawn, architecture: Architecture) -> Mask:
        _ASKED[name] += 1
        return pattern(choice, architecture)

    return counting


@lru_cache(maxsize=1)
def drawn() -> Tally:
    tallies = []
    for number in range(10):
        hunt = _DrawOnly(Plan("torch", 1000 + number, 100, 1.0), set())
        with patch.dict(PATTERNS, {name: _counted(name, PATTERNS[name]) for name in PATTERNS}):
            hunt.run()
        tallies.append(hunt.tally)
    return total(tallies)


def test_fewer_than_one_draw_in_a_hundred_is_rejected() -> None:
    assert drawn().rejected_share < 0.01


def test_the_median_case_has_at_least_4_layers() -> None:
    assert drawn().median_layers >= 4


def test_at_least_half_have_a_frozen_layer_between_trainable_ones() -> None:
    assert drawn().share(drawn().frozen_middle) >= 0.5


def test_most_masks_are_random_and_every_pattern_is_met() -> None:
    assert drawn().cases == 1000
    assert set(_ASKED) == set(PATTERNS)
    assert _ASKED["random_layers"] + _ASKED["random_weights"] > _ASKED.total() / 2


_DRAWS = """
from hypothesis import given, seed
import local
from invariants.generate.cases import cases
from invariants.generate.series import drawing

seed(5)(drawing(60)(given(cases(("torch", "tensorflow")))(lambda case: print(case.name))))()
"""


def test_a_seed_means_the_same_cases_whatever_integers_a_users_modules_have(
    tmp_path: Path,
) -> None:
    scripts = {"few": "A = 1", "many": f"A = {[*range(100, 5000, 7)]}"}
    names = []
    for name, script in scripts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "local.py").write_text(script)
        (tmp_path / name / "draws.py").write_text(_DRAWS)
        command = [sys.executable, str(tmp_path / name / "draws.py")]
        names.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert names[0] == names[1]
    assert len(set(names[0].split())) > 50


@given(cases())
def test_every_way_of_a_drawn_case_is_settled_and_reaches_the_same_weights(case: Case) -> None:
    """Up to where torch loads into a new module, or either freezes otherwise than by a flag.

    What Keras freezes where it makes the model is frozen from the start, all of it at once.
    """
    forgetful = {r.name for r in CONTRACTS["torch"].reloads if r.flags == "none"}
    forgetful |= {way.name for c in CONTRACTS.values() for way in c.ways if way.by != "flag"}
    taken = [case.realisations[name].ways for name in ("torch", "tensorflow")]
    both = zip(*taken, strict=True)
    shared = next((n for n, ways in enumerate(both) if forgetful & {*ways}), len(case.program))
    making = {way.name for way in CONTRACTS["tensorflow"].ways if way.construction}
    made = sum(way in making for way in case.realisations["tensorflow"].ways)
    start = max(made - 1, 0)
    torch, keras = case.flags("torch")[start:shared], case.flags("tensorflow")[start:shared]
    assert [f.frozen for f in torch] == [f.frozen for f in keras]


@given(cases(("torch",)))
def test_a_weight_is_exact_in_every_dtype(case: Case) -> None:
    for array in case.weights.values():
        assert ((array * 64) % 1 == 0).all()
        assert abs(array).max() <= 4


def test_every_named_pattern_is_a_set_of_weights() -> None:
    class Smallest(Random):
        def randint(self, a: int, b: int) -> int:
            return a

    case = find(cases(("torch",)), lambda c: len(c.architecture.weights) > 4)
    smallest = Drawn(lambda strategy: Smallest())
    for name, pattern in PATTERNS.items():
        mask = pattern(smallest, case.architecture)
        assert mask <= set(case.architecture.weights), name


def test_stages_are_of_the_first_layers_fewer_or_more_each_time_and_never_of_the_last() -> None:
    layers = weighted(_first().architecture)
    parts = [_weights_of(layers[:length]) for length in range(len(layers))]
    thaws = set()
    for seed in range(20):
        stages = draw_stages(Drawn(lambda strategy, seed=seed: Random(seed)), _first().architecture)
        assert len(stages) >= 2
        assert set(stages) <= set(parts)
        sizes = [len(stage) for stage in stages]
        assert len(set(sizes)) == len(sizes)
        assert sizes in (sorted(sizes), sorted(sizes)[::-1])
        thaws.add(sizes[0] > sizes[-1])
    assert thaws == {False, True}


def test_programs_thaw_layers_group_by_group_and_step_in_between() -> None:
    unshrunk = settings(phases=(Phase.generate,), database=None, max_examples=1000)
    case = find(cases(("torch",)), _thaws_twice, settings=unshrunk, random=Random(1))
    assert sum(isinstance(action, Step) for action in case.program) >= 3


def _thaws_twice(case: Case) -> bool:
    """Whether steps are taken by three sets of weights, each one larger than the one before."""
    flags = zip(case.program, case.flags("torch"), strict=True)
    frozen = [flag.frozen for action, flag in flags if isinstance(action, Step)]
    return any(a > b > c for a, b, c in combinations(frozen, 3))


def _weights_of(layers: list[Placed]) -> Mask:
    return frozenset(join(p.path, q.name) for p in layers for q in p.parameters)


def test_thawing_inside_a_flagged_module_is_never_settled() -> None:
    case = _first()
    flags = Flags.initial(case.architecture).freeze("", True)
    assert all(not flags.settles_thaw(w, False) for w in case.architecture.weights)
    assert flags.settles_thaw("", True)


def _first() -> Case:
    from tests_support import simple_case

    return simple_case()
