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

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import seed as seeded

from invariants.architecture.graph import Architecture, Block, Placed, join, within
from invariants.architecture.layers.skipping import MaskedGRU
from invariants.case import Case
from invariants.freezing import Flags
from invariants.generate.cases import cases
from invariants.generate.choice import Drawn
from invariants.generate.masks import (
    PATTERNS,
    Mask,
    Pattern,
    draw_mask,
    draw_stages,
    transition,
    weighted,
)
from invariants.generate.series import drawing
from invariants.judge import Measures, Verdict
from invariants.observation import Observation
from invariants.optimizer import loops
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import Expectation
from invariants.program import Freeze, Reload, Step, Thaw
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


# --- changes of masks that are written otherwise than by what differs ---------------------------


def _kinds_of_settings(case: Case) -> set[str]:
    """Which settings of a program are redundant, or contradict one another between two passes."""
    flags, before, kinds = Flags.initial(case.architecture), list[Freeze | Thaw](), set[str]()
    for action in case.program:
        if not isinstance(action, Freeze | Thaw):
            before.clear()
            continue
        held = set(case.architecture.weights_in(action.target))
        freezes = isinstance(action, Freeze)
        if held <= flags.frozen if freezes else held.isdisjoint(flags.frozen):
            kinds.add("frozen already" if freezes else "trainable already")
        if action in before:
            kinds.add(f"{action.action} twice")
        for earlier in before:
            part = within(action.target, earlier.target) and action.target != earlier.target
            if part and type(earlier) is not type(action):
                kinds.add(
                    f"{earlier.action} {'all' if not earlier.target else 'a module'}, not all"
                )
        flags = (flags.freeze if freezes else flags.thaw)(action.target, False)
        before.append(action)
    return kinds


@pytest.mark.parametrize("backend", CONTRACTS)
def test_redundant_and_contradictory_settings_are_drawn(backend: str) -> None:
    met = Counter[str]()

    @seeded(3)
    @drawing(400)  # the rarest is one in 130
    @given(cases((backend,)))
    def draw(case: Case) -> None:
        met.update(_kinds_of_settings(case))

    draw()
    assert set(met) == {
        "frozen already",
        "trainable already",
        "freeze twice",
        "thaw twice",
        "freeze all, not all",
        "freeze a module, not all",
        "thaw all, not all",
        "thaw a module, not all",
    }
    assert met["frozen already"] >= 40
    assert met["trainable already"] >= 40
    assert met["freeze all, not all"] >= 20


def test_a_change_ends_with_the_wanted_weights_frozen_however_it_is_written() -> None:
    architecture, forms = _first().architecture, set()
    wanted = frozenset(architecture.weights[1:3])
    for number in range(200):
        choice = Drawn(lambda strategy, number=number: Random(number))
        before = transition(choice, Flags.initial(architecture), draw_mask(choice, architecture))[1]
        actions, after = transition(choice, before, wanted)
        assert after.frozen == wanted
        assert len(actions) <= 2 * len(architecture.weights)
        forms.add(tuple(actions))
    assert len(forms) > 50


@settings(max_examples=30)
@given(cases(("torch",), layer="global_max_pool2d", optimizer="rmsprop", grain="ties"))
def test_a_case_is_drawn_with_what_is_wanted(case: Case) -> None:
    assert "global_max_pool2d" in {placed.layer.kind for placed in case.architecture.layers}
    assert case.optimizer.kind == "rmsprop"
    inputs = zip(case.architecture.inputs, case.batches[0].inputs, strict=True)
    arrays = [array for spec, array in inputs if spec.vocabulary is None]
    parameters = case.architecture.parameters.items()
    arrays += [case.weights[name] for name, p in parameters if p.initial == "grid"]
    assert {abs(number) for array in arrays for number in array.flat} == {0.5}


@settings(max_examples=15)
@given(cases(("torch",), settings=("frozen_first",)))
def test_the_first_step_of_what_is_frozen_first_has_nothing_to_train(case: Case) -> None:
    flags = Flags.initial(case.architecture)
    for action in case.program:
        if isinstance(action, Step):
            break
        if isinstance(action, Freeze | Thaw):
            freezes = isinstance(action, Freeze)
            flags = (flags.freeze if freezes else flags.thaw)(action.target, False)
    assert flags.frozen == set(case.architecture.weights)
    assert sum(isinstance(action, Step) for action in case.program) > 1


def test_a_layer_is_drawn_with_the_options_that_it_is_wanted_with() -> None:
    """But for an input of one step and one index, which it is of no use for."""
    drawn = []

    @drawing(20)
    @given(cases(("tensorflow",), layer="masked_gru", options={"skipped": "zeros", "ends": 2}))
    def draw(case: Case) -> None:
        drawn.append([p.layer for p in case.architecture.layers if isinstance(p.layer, MaskedGRU)])

    draw()
    having = [layers for layers in drawn if layers]
    assert len(having) > 10
    for layers in having:
        assert any(layer.skipped == "zeros" and layer.ends == 2 for layer in layers)


def test_a_layer_is_frozen_and_thawed_before_the_first_step() -> None:
    beginnings = []

    @drawing(20)
    @given(cases(("tensorflow",), layer="masked_mean", settings=("thawed_again",)))
    def draw(case: Case) -> None:
        kinds = {placed.path: placed.layer.kind for placed in case.architecture.layers}
        frozen, thawed, step = [a for a in case.program[:4] if not isinstance(a, Reload)][:3]
        assert isinstance(frozen, Freeze)
        assert thawed == Thaw(frozen.target)
        assert isinstance(step, Step)
        beginnings.append((kinds.get(frozen.target), isinstance(case.program[1], Reload)))

    draw()
    assert sum(kind == "masked_mean" for kind, _ in beginnings) > 10
    assert {reloaded for _, reloaded in beginnings} == {False, True}


@settings(max_examples=15)
@given(cases(("tensorflow",), loss="hinge", dtype="float16", settings=("clip",)))
def test_a_loss_a_dtype_and_a_setting_are_wanted_too(case: Case) -> None:
    first = [term.loss for term in case.objective if term.output == 0]
    assert first in (["hinge"], [])  # an output may stand outside of the objective
    assert case.dtype == "float16" or any(
        "float16" not in placed.layer.dtypes for placed in case.architecture.layers
    )
    assert case.clip


@pytest.mark.parametrize("setting", ["schedule", "average", "accumulation"])
def test_what_goes_from_step_to_step_is_there_where_it_is_wanted(setting: str) -> None:
    @settings(max_examples=5)
    @given(cases(("tensorflow",), settings=(setting,), mode="tape", optimizer="adam"))
    def drawn(case: Case) -> None:
        assert getattr(case, setting) not in (None, 1)

    drawn()


@settings(max_examples=15)
@given(cases(("tensorflow",), settings=("average", "accumulation", "reloaded_first", "penalty")))
def test_several_settings_are_wanted_at_once(case: Case) -> None:
    fitted = CONTRACTS["tensorflow"].mode(case.realisations["tensorflow"].mode).trains_itself
    assert case.average
    assert case.accumulation > 1 or case.optimizer.kind == "muon" or fitted
    assert isinstance(case.program[0], Reload)
    assert isinstance(case.program[1], Step)
    assert case.penalties or not case.architecture.weights


@settings(max_examples=15)
@given(cases(("torch",), settings=("left_out", "resumed"), realised={"optimizer_loop": "foreach"}))
def test_an_output_is_left_out_and_a_script_realised_as_wanted(case: Case) -> None:
    assert len(case.objective) < len(case.architecture.outputs)
    first, *others = case.program
    assert isinstance(first, Step)
    assert isinstance(next(a for a in others if not isinstance(a, Freeze | Thaw)), Reload)
    if loops(case.optimizer.kind, CONTRACTS["torch"], ["foreach"]):
        assert case.realisations["torch"].options["optimizer_loop"] == "foreach"


def test_a_layer_is_wanted_behind_a_part_of_a_value() -> None:
    behind: list[str] = []

    @settings(max_examples=25, database=None, phases=[Phase.generate])
    @given(cases(("torch",), layer="group_norm", settings=("parted",)))
    def drawn(case: Case) -> None:
        blocks = [case.architecture.network]
        for block in blocks:
            blocks += [member for member in block.members if isinstance(member, Block)]
            made = [""] * block.arity + [block.members[node.member].kind for node in block.nodes]
            behind.extend(
                made[node.inputs[0]]
                for node in block.nodes
                if block.members[node.member].kind == "group_norm"
            )

    drawn()
    # Not so behind one element, nor where one is drawn by itself.
    assert behind.count("split") > len(behind) / 3


@pytest.mark.parametrize("field", ["loss", "dtype", "layer", "mode"])
def test_what_there_is_not_cannot_be_wanted(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be one of .*; got 'luck'"):
        cases(("torch",), **{field: "luck"})
    with pytest.raises(ValueError, match=r"settings must be one of .*; got 'luck'"):
        cases(("torch",), settings=("luck",))


def test_an_option_that_a_layer_does_not_have_cannot_be_wanted() -> None:
    with pytest.raises(ValueError, match=r"options must be one of .*units.*; got 'luck'"):
        cases(("torch",), layer="dense", options={"luck": 1})


def test_an_optimizer_that_some_backend_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of sgd, .*; got 'lbfgs'"):
        cases(("torch", "tensorflow"), optimizer="lbfgs")


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


def _first() -> Case:
    from tests_support import simple_case

    return simple_case()
