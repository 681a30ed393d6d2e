"""What freezing and thawing does to the flags, for drawn architectures and any targets."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from invariants.architecture.graph import Architecture, within
from invariants.case import Case
from invariants.freezing import Flags
from invariants.generate.cases import cases


@dataclass(frozen=True)
class Change:
    """One freeze or thaw."""

    target: str
    freezes: bool
    sets_flag: bool

    def of(self, flags: Flags, equal_flag_ignored: bool = False) -> Flags:
        change = flags.freeze if self.freezes else flags.thaw
        return change(self.target, self.sets_flag, equal_flag_ignored)


@st.composite
def changes(draw: st.DrawFn, architecture: Architecture) -> Change:
    """A weight's own flag is its trainability: only ways that reach a module flag anything."""
    target = draw(st.sampled_from((*architecture.modules, *architecture.weights)))
    is_module = target not in architecture.weights
    return Change(target, draw(st.booleans()), is_module and draw(st.booleans()))


@st.composite
def reached(draw: st.DrawFn) -> Flags:
    """Flags after some freezes and thaws."""
    architecture = draw(cases(("torch",))).architecture
    flags = Flags.initial(architecture)
    for change in draw(st.lists(changes(architecture), max_size=4)):
        flags = change.of(flags)
    return flags


@given(reached(), st.data())
def test_freezing_reaches_the_weights_of_its_target_and_no_others(
    flags: Flags, data: st.DataObject
) -> None:
    target = data.draw(st.sampled_from((*flags.architecture.modules, *flags.architecture.weights)))
    sets_flag = data.draw(st.booleans())
    inside = {name for name in flags.architecture.weights if within(name, target)}
    assert flags.freeze(target, sets_flag).frozen == flags.frozen | inside
    assert flags.thaw(target, sets_flag).frozen == flags.frozen - inside


@given(reached(), st.data())
def test_a_way_that_flags_modules_flags_the_target_and_all_in_it(
    flags: Flags, data: st.DataObject
) -> None:
    target = data.draw(st.sampled_from(flags.architecture.modules))
    inside = {path for path in flags.architecture.paths if within(path, target)}
    assert target in inside
    assert flags.freeze(target, True).flagged == flags.flagged | inside
    assert flags.thaw(target, True).flagged == flags.flagged - inside
    assert flags.freeze(target, False).flagged == flags.flagged
    assert flags.thaw(target, False).flagged == flags.flagged


@given(reached(), st.data())
def test_a_thaw_undoes_the_same_freeze_of_what_was_trainable(
    flags: Flags, data: st.DataObject
) -> None:
    change = data.draw(changes(flags.architecture))
    thawed = flags.thaw(change.target, change.sets_flag)
    frozen = thawed.freeze(change.target, change.sets_flag)
    assert frozen != thawed
    assert frozen.thaw(change.target, change.sets_flag) == thawed


@given(reached(), st.data())
def test_doing_it_twice_is_doing_it_once(flags: Flags, data: st.DataObject) -> None:
    change = data.draw(changes(flags.architecture))
    assert change.of(change.of(flags)) == change.of(flags)


@given(reached(), st.data())
def test_the_order_of_two_freezes_does_not_matter(flags: Flags, data: st.DataObject) -> None:
    first = data.draw(changes(flags.architecture))
    second = data.draw(changes(flags.architecture).filter(lambda c: c.freezes == first.freezes))
    assert second.of(first.of(flags)) == first.of(second.of(flags))


@given(reached())
def test_every_weight_is_either_trainable_or_frozen(flags: Flags) -> None:
    assert sorted((*flags.trainable, *flags.frozen)) == sorted(flags.architecture.weights)


@given(reached())
def test_the_trainable_weights_stand_in_the_order_of_the_layers(flags: Flags) -> None:
    places = [flags.architecture.weights.index(name) for name in flags.trainable]
    assert places == sorted(places)


@given(reached(), st.data())
def test_an_equal_flag_that_is_ignored_changes_nothing(flags: Flags, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(flags.architecture.modules))
    flagged = target in flags.flagged
    equal = Change(target, freezes=flagged, sets_flag=True)
    assert equal.of(flags, equal_flag_ignored=True) == flags


@given(reached(), st.data())
def test_a_way_without_flags_knows_no_equal_flag(flags: Flags, data: st.DataObject) -> None:
    change = data.draw(changes(flags.architecture).filter(lambda c: not c.sets_flag))
    assert change.of(flags, equal_flag_ignored=True) == change.of(flags)


@given(cases(("torch",)), st.data())
def test_where_every_flag_changes_none_is_ignored(case: Case, data: st.DataObject) -> None:
    flags = Flags.initial(case.architecture)
    target = data.draw(st.sampled_from(flags.architecture.modules))
    frozen = flags.freeze(target, True)
    assert flags.freeze(target, True, True) == frozen
    assert frozen.thaw(target, True, True) == flags


@given(cases(("torch",)), st.data())
def test_a_model_that_is_trainable_already_leaves_its_frozen_layers_frozen(
    case: Case, data: st.DataObject
) -> None:
    flags = Flags.initial(case.architecture)
    layer = data.draw(st.sampled_from(flags.architecture.modules[1:]))
    frozen = flags.freeze(layer, True)
    assert frozen.thaw("", True, True) == frozen
    assert frozen.thaw("", True) == flags
