"""Whole cases: an architecture, its numbers, a program, and a realisation for each backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints

import numpy as np
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from invariants.architecture.graph import Architecture, overlap, within
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.base import Parameter, Spec
from invariants.case import (
    Batch,
    Case,
    Realisation,
    frozen,
    not_adding,
    not_by,
    not_cast,
    not_compiled,
    not_placed,
    ways_of,
)
from invariants.course import is_construction
from invariants.document import plainly
from invariants.generate.architectures import draw_architecture
from invariants.generate.choice import Drawn
from invariants.generate.masks import draw_groups
from invariants.generate.objectives import (
    draw_losses,
    draw_penalties,
    draw_sample_weights,
    draw_target,
    draw_terms,
)
from invariants.generate.optimizers import DRAWN, draw_clip, draw_optimizer
from invariants.generate.programs import BEGINNINGS, draw_program
from invariants.generate.schedules import draw_average, draw_schedule
from invariants.objective import Term
from invariants.optimizer import SGD, loops
from invariants.oracle.contract import CONTRACTS, Contract, Mode
from invariants.oracle.losses import LOSSES
from invariants.program import Action, Cast, Dtype, Freeze, Reload, Thaw

#: Numbers are multiples of 1 / GRID, which every dtype holds exactly.
GRID = 64

#: How many different numbers a case has: as the grid has, five, or two.
GRAINS = ("fine", "coarse", "ties")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What cases are drawn with; by default with nothing in particular.

    layer: a kind of layer that their networks are to have, where their values allow. optimizer: the
    kind of their optimizer. mode: the one that the backend which has it runs in; "" for those that
    are quick. grain: how many different numbers they have; with two of them, 1/2 and -1/2, what
    layers make of them is often equal, and of the five one is 0. loss: that of their first output.
    dtype: theirs, where their layers and the mode have it.
    settings: what others have at times (`SETTINGS`), and how the program begins (`BEGINNINGS`).
    options: those of the layer. realised: those of the script, where they can be so.
    """

    layer: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    optimizer: str = ""
    mode: str = ""
    grain: str = ""
    loss: str = ""
    dtype: str = ""
    realised: Mapping[str, str] = field(default_factory=dict, hash=False)
    settings: Sequence[str] = field(default=(), hash=False)


#: Cases of every kind.
ANY = Wanted()

#: Each as often as it is drawn.
_DTYPES: tuple[Dtype, ...] = ("float64", "float32", "float64", "bfloat16", "float16")


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], limit: int, grain: str) -> Any:
    """Multiples of 1/64 up to `limit`/64; coarse ones are few, so that sums tie exactly."""
    if grain == "ties":
        return rng.integers(0, 1, size=shape, endpoint=True) - 0.5
    if grain == "coarse":
        return rng.integers(-2, 2, size=shape, endpoint=True) / 2.0
    return rng.integers(-limit, limit, size=shape, endpoint=True) / float(GRID)


def _weight(rng: np.random.Generator, parameter: Parameter, grain: str) -> Any:
    if parameter.initial == "scale":
        return 1.0 + rng.integers(-GRID // 2, GRID // 2, size=parameter.shape) / float(GRID)
    if parameter.initial == "variance":
        return rng.integers(GRID // 4, 2 * GRID, size=parameter.shape) / float(GRID)
    fan_in = math.prod(parameter.shape[:-1]) if len(parameter.shape) > 1 else 4
    limit = int(min(max(2 * GRID / math.sqrt(fan_in), 12), 4 * GRID))
    return _numbers(rng, parameter.shape, limit, grain)


def _input(rng: np.random.Generator, spec: Spec, size: int, grain: str) -> Any:
    shape = (size, *spec.shape)
    if spec.vocabulary is not None:
        return rng.integers(0, spec.vocabulary, size=shape)
    return _numbers(rng, shape, 2 * GRID, grain)


def _batch(
    rng: np.random.Generator,
    architecture: Architecture,
    terms: Sequence[Term],
    size: int,
    grain: str,
) -> Batch:
    inputs = tuple(_input(rng, spec, size, grain) for spec in architecture.inputs)
    specs = [architecture.outputs[term.output] for term in terms]
    targets, weights = [], []
    for term, spec in zip(terms, specs, strict=True):
        numbers = _numbers(rng, (size, *spec.shape), GRID, grain)
        targets.append(draw_target(rng, term, spec, size, numbers))
        weights.append(draw_sample_weights(rng, term, spec, size))
    return Batch(
        tuple(frozen(array) for array in inputs),
        tuple(frozen(array) for array in targets),
        tuple(None if array is None else frozen(array) for array in weights),
    )


def _realisation(
    choice: Drawn,
    contract: Contract,
    architecture: Architecture,
    program: Sequence[Action],
    groups: bool,
    optimizer: str,
    mode: str,
    scheduled: bool,
    averaged: bool,
    wanted: Mapping[str, str],
) -> Realisation:
    """A mode, the options, and for each action that has them a way whose outcome is documented."""
    preferred = set() if averaged else _preferred(choice, contract, program)
    aside = {way.name for way in contract.ways if way.by != "flag"}
    refused = {way.name for way in contract.ways if scheduled and way.by == "rate"}
    loads = {r.name for r in contract.reloads if r.optimizer == "loaded"}
    takes = {r.name for r in contract.reloads if r.averages}
    offered = [ways_of(action, architecture, contract, mode, averaged) for action in program]
    beside: dict[str, str] = {}
    ways: list[str | None] = []
    made: set[str] = set()
    for number, action in enumerate(program):
        settled = [
            way
            for way in offered[number]
            if not (is_construction(action, way, contract) and not _makes(action, number, made))
            and (way not in aside or not not_by(way, optimizer, groups, {}, contract))
            and way not in refused
        ]
        undone = _undone(action, beside)
        if undone in settled:  # a thaw by a flag alone would leave the rate and the optimizer
            settled = [undone]
        elif not choice.chance(4):
            settled = [way for way in settled if way not in aside]
        else:
            lasting = _lasting(program, offered, number)
            settled = [way for way in settled if way not in aside or way in lasting]
        settled = [way for way in settled if way in preferred] or settled
        if _thawed_within(program, number) and not choice.chance(4):
            # A model that is flagged itself trains nothing, whatever is thawed in it.
            settled = [w for w in settled if w and not contract.way(w).sets_flag] or settled
        # What carries the optimizer asks for one of the same weights, and is often replaced; few
        # programs have averages to take.
        loading = [way for way in settled if way in loads]
        taking = [way for way in settled if way in takes]
        way = choice.one_of([*settled, *loading * 3, *taking * 10])
        ways.append(way)
        if is_construction(action, way, contract):
            made.add(action.target)
        if isinstance(action, Freeze) and way in aside:
            beside[action.target] = way
        elif isinstance(action, Thaw):
            beside = {t: w for t, w in beside.items() if w != way or not within(t, action.target)}
    options = {}
    for option in contract.options:
        settled_here = contract.mode(mode).traits.get(option.name)
        values = [settled_here] if settled_here else list(option.values)
        values = [v for v in values if f"{option.name}={v}" not in contract.without]
        if option.name == "optimizer_loop":
            values = loops(optimizer, contract, values)
        if option.name == "zero_grad":
            values = [*values[:1] * 4, *values[1:]]
        if groups:
            values = [value for value in values if (option.name, value) not in _WITHOUT_GROUPS]
        taken = aside.intersection(way or "" for way in ways)
        values = [
            value
            for value in values
            if not any(
                not_by(way, optimizer, groups, {option.name: value}, contract) for way in taken
            )
        ]
        asked = [value for value in values if value == wanted.get(option.name)]
        options[option.name] = choice.one_of(asked or values)
    return Realisation(mode, tuple(ways), options)


def _makes(action: Action, number: int, made: Collection[str]) -> bool:
    """Whether a freeze can be part of the model's making: all before it are, of other targets."""
    return isinstance(action, Freeze) and len(made) == number and action.target not in made


def _undone(action: Action, beside: Mapping[str, str]) -> str | None:
    """The way that a setting goes by where another one went aside of the flags before it.

    beside: the targets of those that still hold -> their ways.
    """
    if not isinstance(action, Freeze | Thaw):
        return None
    met = [way for target, way in beside.items() if overlap(target, action.target)]
    return met[-1] if met else None


def _settings_after(
    program: Sequence[Action], number: int, target: str
) -> Iterator[tuple[int, Freeze | Thaw]]:
    """The settings of a target after an action, up to the thaw of all of it."""
    for later, action in enumerate(program[number + 1 :], number + 1):
        if isinstance(action, Freeze | Thaw) and overlap(target, action.target):
            yield later, action
            if isinstance(action, Thaw) and within(target, action.target):
                return


def _lasting(
    program: Sequence[Action], offered: Sequence[Sequence[str | None]], number: int
) -> set[str | None]:
    """The ways of a setting that all later ones of what it reaches can go by, too."""
    action = program[number]
    if not isinstance(action, Freeze):
        return set()
    common = set(offered[number])
    for later, _ in _settings_after(program, number, action.target):
        common &= set(offered[later])
    return common


def _thawed_within(program: Sequence[Action], number: int) -> bool:
    """Whether a part is thawed of the model that an action freezes as a whole."""
    action = program[number]
    if not isinstance(action, Freeze) or action.target:
        return False
    settings = _settings_after(program, number, "")
    return any(isinstance(later, Thaw) and later.target for _, later in settings)


def _preferred(choice: Drawn, contract: Contract, program: Sequence[Action]) -> set[str]:
    """The ways that three in four programs with a reload keep to, where they can.

    What a rebuilt model has of the flags of modules shows where all freezes flag modules: Keras is
    known to forget those of variables. Left to chance, programs seldom do.
    """
    held = {reloading.name for reloading in contract.reloads if reloading.flags == "rebuilt"}
    reloads = any(isinstance(action, Reload) for action in program)
    if not held or not reloads or choice.chance(4):
        return set()
    return held | {way.name for way in contract.ways if way.sets_flag}


#: The option that leaves no groups of parameters, and one that may stop between two of them.
_WITHOUT_GROUPS = (("optimizer_scope", "trainable"), ("optimizer_loop", "fused"))


def _modes(
    contract: Contract, fitted: bool, asked: str, device: str, takes: Callable[[Mode], bool]
) -> Sequence[str]:
    """The modes of a program, each as often as it is drawn, the simplest first.

    fitted: those in which a model trains by itself, where there are any. asked: one that is asked
    for, which a program with a loss that is written by hand cannot have if models train themselves
    in it. device: what it runs on. takes: whether a mode takes the case.
    """
    if asked in contract.mode_names and contract.mode(asked).trains_itself == fitted:
        return [asked]
    modes = [mode for mode in contract.modes if mode.trains_itself == fitted] or contract.modes
    modes = [mode for mode in modes if not not_placed(device, mode.name, (), contract)]
    modes = [mode for mode in modes if mode.name not in contract.without]
    simple, *others = [mode.name for mode in modes if mode.quick and takes(mode)]
    return [*[simple] * (1 if fitted else 16), *others]


def _fitted(choice: Drawn, contracts: Sequence[Contract], asked: str) -> bool:
    """Whether a program is one for a model that trains by itself."""
    for contract in contracts:
        if asked in contract.mode_names:
            return contract.mode(asked).trains_itself
    trainers = [mode for contract in contracts for mode in contract.modes if mode.trains_itself]
    return bool(trainers) and choice.chance(3)


def _contracts(followed: Mapping[str, Contract], mode: str) -> list[Contract]:
    """Those of the backends, each in the mode that is asked for where it has that."""
    contracts = followed.values()
    return [one.in_mode(mode) if mode in one.mode_names else one for one in contracts]


@st.composite
def _cases(
    draw: Callable[[st.SearchStrategy[Any]], Any],
    followed: Mapping[str, Contract],
    wanted: Wanted,
    device: str,
) -> Case:
    mode, backends = wanted.mode, tuple(followed)
    contracts = _contracts(followed, mode)
    asked = [contract.mode(mode) for contract in contracts if mode in contract.mode_names]
    choice = Drawn(draw, contracts)
    while True:
        left_out, parted = (name in wanted.settings for name in ("left_out", "parted"))
        losses = draw_losses(choice, wanted.loss, several=left_out)
        architecture = draw_architecture(choice, losses, wanted.layer, wanted.options, parted)
        terms = draw_terms(choice, losses, leaves_out=left_out)
        batches = choice.integer(1, 2)
        fitted = _fitted(choice, contracts, mode)
        # In half of the cases that show no gradient, the change of a weight is its gradient.
        bare = fitted and not (wanted.optimizer or wanted.settings) and choice.boolean()
        scheduled, averaged, adds = (
            not bare and (choice.chance(often) or not asking.isdisjoint(wanted.settings))
            for often, asking in (
                (6, {"schedule"}),
                (8, {"average", "overwriting"}),
                (8, {"accumulation"}),
            )
        )
        adds = adds and choice.offers("gradient_accumulation")
        dtypes = [
            dtype
            for dtype in _DTYPES
            if all(dtype in p.layer.dtypes for p in architecture.layers)
            and all(not one.dtypes or dtype in one.dtypes for one in asked)
            and not any(not_placed(device, mode, (dtype,), contract) for contract in contracts)
            and not any(dtype in contract.without for contract in contracts)
        ]
        kept = len(dtypes) < 2 or any(not_cast(averaged, contract) for contract in contracts)
        castable = () if kept else dtypes
        follows = averaged or adds
        program = draw_program(
            choice,
            architecture,
            batches,
            fitted,
            scheduled,
            follows,
            castable,
            beginning=next((one for one in wanted.settings if one in BEGINNINGS), ""),
            layer=wanted.layer,
        )
        training = (True,) * len(program)
        written = not fitted or not_compiled(program, training, terms, architecture)
        if not architecture.asked & choice.lacking and not (mode and fitted and written):
            break  # else it is asked of a mode what it cannot: another one
    sizes = [choice.integer(2, 4) for _ in range(batches)]
    if architecture.stochastic:
        sizes = sizes[:1] * batches  # what was drawn for one is drawn for the other
    rng = np.random.default_rng(choice.integer(0, 2**20))
    grain = wanted.grain or ("coarse" if choice.chance(3) else "fine")
    dtype = choice.one_of([d for d in dtypes if d == wanted.dtype] or dtypes)
    cast_to = {action.dtype for action in program if isinstance(action, Cast)}
    optimizer = draw_optimizer(choice, wanted.optimizer)
    if any(optimizer.kind in one.refuses for one in asked):
        optimizer = SGD(learning_rate=optimizer.learning_rate)
    if bare:
        optimizer = SGD(learning_rate=optimizer.learning_rate)
    adds = adds and optimizer.kind != "muon" and not any(not_adding("", one) for one in asked)
    groups = draw_groups(choice, architecture, optimizer)
    case = Case(
        architecture=architecture,
        weights={
            name: frozen(_weight(rng, parameter, grain))
            for name, parameter in architecture.parameters.items()
        },
        batches=tuple(_batch(rng, architecture, terms, size, grain) for size in sizes),
        program=program,
        optimizer=optimizer,
        objective=terms,
        penalties=draw_penalties(choice, architecture, certain="penalty" in wanted.settings),
        groups=groups,
        clip=None if bare else draw_clip(choice, certain="clip" in wanted.settings),
        schedule=draw_schedule(choice, program, backends) if scheduled else None,
        average=draw_average(choice, "overwriting" in wanted.settings) if averaged else None,
        accumulation=choice.integer(2, 3) if adds else 1,
        maximize=optimizer.kind in choice.offered("maximizing") and choice.chance(12),
        dtype=dtype,
        training=fitted or not choice.chance(5),
        input_gradient=not fitted
        and (choice.chance(4) or "input_gradient" in wanted.settings)
        and any(spec.vocabulary is None for spec in architecture.inputs),
        seed=choice.integer(0, 7),
        realisations={
            name: _realisation(
                choice,
                followed[name],
                architecture,
                program,
                bool(groups),
                optimizer.kind,
                choice.one_of(
                    _modes(
                        followed[name],
                        not written,
                        mode,
                        device,
                        lambda one: (
                            one.takes((dtype, *cast_to), optimizer.kind, architecture.asked)
                            and not (adds and not_adding(optimizer.kind, one))
                        ),
                    )
                ),
                scheduled,
                averaged,
                wanted.realised,
            )
            for name in backends
        },
    )
    choice.settle()
    return _settled(case).on(device)


def _settled(case: Case) -> Case:
    """With the weights alone loaded where an optimizer's state would be that of others.

    With an optimizer of all weights where one of those that are trainable would have none once the
    model is cast.
    """
    if not any(isinstance(action, Reload | Cast) for action in case.program):
        return case
    for name, realisation in case.realisations.items():
        loading = {r.name: r.weights_alone for r in CONTRACTS[name].reloads if r.weights_alone}
        ways = list(realisation.ways)
        for number, way in enumerate(realisation.ways):
            if way in loading and case.course(name)[number].unsettled:
                ways[number] = loading[way]
                realisation = replace(realisation, ways=tuple(ways))
                case = replace(case, realisations={**case.realisations, name: realisation})
        if any(moment.unsettled for moment in case.course(name)):
            options = {**realisation.options, "optimizer_scope": "all"}
            changed = replace(realisation, options=options)
            case = replace(case, realisations={**case.realisations, name: changed})
    return case


#: What `Wanted.settings` name, beside how a program begins.
SETTINGS = (
    "clip",
    "schedule",
    "average",
    "overwriting",
    "accumulation",
    "input_gradient",
    "penalty",
    "left_out",
    "parted",
)


def cases(
    backends: Sequence[str] = tuple(CONTRACTS),
    *,
    device: str = "cpu",
    releases: Mapping[str, Contract] = CONTRACTS,
    **wanted: Any,
) -> st.SearchStrategy[Case]:
    """Random cases that every one of `backends` can run.

    wanted: what they are drawn with, the fields of `Wanted`. device: what they run on. releases:
    the contracts of the backends' releases that they are for.

    Raises ValueError for a backend, a device or something wanted that there is not.
    """
    return _cases(*_checked(backends, Wanted(**wanted), device, releases))


def _checked(
    backends: Sequence[str], wanted: Wanted, device: str, releases: Mapping[str, Contract]
) -> tuple[dict[str, Contract], Wanted, str]:
    """What cases are drawn from; raises ValueError."""
    known = ", ".join(CONTRACTS)
    if isinstance(backends, str):
        raise ValueError(f"backends must be a list of names, some of {known}; got {backends!r}")
    if not backends or any(name not in CONTRACTS for name in backends):
        raise ValueError(f"backends must name some of {known}; got {list(backends)}")
    modes = [one for name in backends for one in CONTRACTS[name].mode_names]
    _one_of("mode", wanted.mode, modes)
    followed = {name: releases[name] for name in backends}
    contracts = _contracts(followed, wanted.mode)
    for contract in contracts:
        reason = not_placed(device, wanted.mode, (), contract)
        if reason:
            raise ValueError(f"{contract.backend}: {reason}")
    kinds = [k for k in LAYERS if not any(k in contract.lacks for contract in contracts)]
    _one_of("layer", wanted.layer, kinds)
    rules = [k for k in DRAWN if all(k in contract["optimizers"] for contract in contracts)]
    _check_options(wanted, contracts)
    _one_of("optimizer", wanted.optimizer, rules)
    _one_of("loss", wanted.loss, [*LOSSES])
    _one_of("dtype", wanted.dtype, [*dict.fromkeys(_DTYPES)])
    _one_of("grain", wanted.grain, GRAINS)
    if isinstance(wanted.settings, str):
        raise ValueError(f"settings must be a list of names; got {wanted.settings!r}")
    for setting in wanted.settings:
        _one_of("settings", setting, [*SETTINGS, *BEGINNINGS])
    return followed, wanted, device


def _check_options(wanted: Wanted, contracts: Sequence[Contract]) -> None:
    """Raises ValueError for options of the layer, or of the script, that there are not."""
    for what, given in (("options", wanted.options), ("realised", wanted.realised)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{what} must be a mapping of names to values; got {given!r}")
    if wanted.options and not wanted.layer:
        raise ValueError(f"options are of a layer, and none is wanted; got {dict(wanted.options)}")
    for name, value in wanted.options.items():
        layer = LAYERS[wanted.layer]
        _one_of("options", name, [one.name for one in fields(layer)])
        hints: dict[str, Any] = get_type_hints(layer, include_extras=True)
        held: TypeAdapter[Any] = TypeAdapter(dict[str, hints[name]])  # type: ignore[valid-type]
        option = {name: tuple(value) if isinstance(value, list) else value}
        try:
            held.validate_python(option, strict=True)
        except ValidationError as error:
            raise ValueError(f"options: {plainly(error.errors())}; got {value!r}") from None
    options = [option for contract in contracts for option in contract.options]
    for name, value in wanted.realised.items():
        _one_of("realised", name, [option.name for option in options])
        values = [one for option in options if option.name == name for one in option.values]
        _one_of(f"realised {name}", value, [*dict.fromkeys(values)])


def _one_of(field: str, value: str, known: Sequence[str]) -> None:
    """Raises ValueError for a value that is neither "" nor known."""
    if value != "" and value not in known:
        raise ValueError(f"{field} must be one of {', '.join(known)}; got {value!r}")
