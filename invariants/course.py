"""The course of a program on one backend: what each action leaves beside numbers.

What is trainable, in which mode the model is, what the optimizer has been made with. All of it
follows from the case and the contract, so that a way means the same to whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from invariants.freezing import Flags, named
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.program import (
    Cast,
    Compile,
    Evaluate,
    Freeze,
    Gradient,
    Reload,
    SetMode,
    SetRate,
    Step,
    Thaw,
)
from invariants.stretches import stretches, without_inputs

if TYPE_CHECKING:
    from invariants.case import Case, Realisation

#: What an action raises: the name of a type and a part of the message.
Raises = tuple[str, str]


@dataclass(frozen=True)
class Moment:
    """The state after one action.

    acting: the flags that training goes by, which those of a compiled model are not always.
    reached: the weights that have a gradient when they are trainable, and the inputs.
    factor: how large the learning rate is, in those of the start. held: the weights that the
    optimizer has been made with; None while it waits for its first step. optimizer: its number.
    told: the modules that were flagged when the model was compiled, or warned of that since.
    still: the weights whose learning rate is 0. left: those that the optimizer was made without.
    masked: those of which the loop masks the gradient. hooked: those with a hook that does so.
    saved_losses: the compiled losses have been made from their configs.
    loads: the action has put the optimizer's state into another one.
    unsettled: why no documentation says what the action did to the optimizer; "" where one does.
    had: the weights whose gradients are there still, set to zeros before each backward pass.
    rebuilt: the layers were made once more, from their configs. cut: the recomputed stretches, by
    their nodes, through which no gradient passes.
    cast: the weights of which an autocast keeps a cast; severed: those to which that does not lead
    back.
    fits: what train_step has been traced with, by the size of the batch; by None what is traced for
    a second size, and serves all others. graphs: the same of each function of the script, by what
    tells its calls apart. again: the action called one that was traced
    before, and ran no Python of it. raises: the exception that the contract names for making the
    optimizer. warns: the warnings that it names for the action.
    """

    flags: Flags
    acting: Flags
    reached: frozenset[str]
    training: bool
    factor: float
    held: frozenset[str] | None
    optimizer: int
    told: frozenset[str] = frozenset()
    fits: Mapping[int | None, Flags] = field(default_factory=dict)
    raises: Raises | None = None
    warns: tuple[str, ...] = ()
    still: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    hooked: frozenset[str] = frozenset()
    had: frozenset[str] = frozenset()
    rebuilt: bool = False
    loads: bool = False
    saved_losses: bool = False
    unsettled: str = ""
    graphs: Mapping[tuple[Any, ...], Flags] = field(default_factory=dict)
    again: bool = False
    cut: frozenset[int] = frozenset()
    cast: frozenset[str] = frozenset()
    severed: frozenset[str] = frozenset()

    @property
    def zeros(self) -> frozenset[str]:
        """The weights with a gradient of zeros: frozen, or in a stretch that loses its own."""
        return self.had.difference(self.receiving)

    @property
    def receiving(self) -> tuple[str, ...]:
        """The weights that the objective gives a gradient: trainable, and reached by it."""
        return tuple(name for name in self.acting.trainable if name in self.reached)

    @property
    def unheld(self) -> frozenset[str]:
        """The weights with a gradient that the optimizer was made without, as they were frozen."""
        if self.held is None:
            return frozenset()
        return frozenset(self.receiving) - self.held - self.left

    @property
    def with_gradients(self) -> tuple[str, ...]:
        """The weights that have a gradient, be it one of zeros."""
        return (*self.receiving, *sorted(self.zeros))

    @property
    def partial(self) -> frozenset[str]:
        """The weights of whose gradient a part is set to 0."""
        return self.masked | self.hooked


def _flagged(action: Freeze | Thaw, sets_flag: bool, flags: Flags, contract: Contract) -> Flags:
    change = flags.freeze if isinstance(action, Freeze) else flags.thaw
    after, ignoring = (change(action.target, sets_flag, ignored) for ignored in (False, True))
    if after == ignoring:  # so that the contract is asked where it matters alone
        return after
    return ignoring if contract["equal_flag"] == "ignored" else after


def flags_after(action: Any, way: str | None, flags: Flags, contract: Contract) -> Flags:
    """What is trainable after an action that goes this way."""
    if isinstance(action, Freeze | Thaw):
        if contract.way(way or "").by != "flag":
            return flags
        after = _flagged(action, contract.way(way or "").sets_flag, flags, contract)
        if not contract.way(way or "").construction:
            return after
        if action.target not in ("", *flags.architecture.blocks):
            return after.without(contract[f"thawed_by_{way}"], action.target)
        if way == "constructor" and contract["model_constructor"] == "flags_itself":
            return replace(flags, flagged=flags.flagged | {action.target})
        return after
    left = contract.reloading(way or "").flags if isinstance(action, Reload) else "kept"
    if left == "none":
        return replace(Flags.initial(flags.architecture), around=flags.around)
    if left == "rebuilt":
        forgets = way == "clone_model" and contract["flag_of_a_clone"] == "forgotten"
        flags = replace(flags, flagged=flags.flagged - {""}) if forgets else flags
        known = flags.of_modules if contract["rebuilt_flags"] == "of_modules" else flags
        known = known.without(contract["thawed_by_config"])
        return known.without_flags_of(contract["flag_lost_by_config"])
    return flags


def is_construction(action: Any, way: str | None, contract: Contract) -> TypeGuard[Freeze]:
    """Whether an action is part of the model's making."""
    return isinstance(action, Freeze) and contract.way(way or "").construction


def made_frozen(
    case: Case, realisation: Realisation, contract: Contract
) -> list[tuple[Freeze, str]]:
    """The actions that are part of the model's making, and their ways."""
    return [
        (action, way or "")
        for action, way in zip(case.program, realisation.ways, strict=True)
        if is_construction(action, way, contract)
    ]


def _watched(case: Case, realisation: Realisation, contract: Contract) -> frozenset[str]:
    """What the objective reaches, without what no tape watches that was built while frozen.

    By the contract also what else a graph depends on that was compiled as a whole.
    """
    architecture = case.architecture
    mode = contract.mode(realisation.mode)
    if mode.traits.get("tape") == "watch_accessed_variables=False":
        return case.reached  # each is watched by its name
    unwatched = frozenset[str]().union(
        *(
            named(architecture, contract["unwatched_when_built_frozen"], action.target)
            for action, way in made_frozen(case, realisation, contract)
            if way == "before_build" and action.target not in ("", *architecture.blocks)
        )
    )
    if contract["unreached_gradient"] == "zeros":
        inputs = (f"input_{n}" for n in range(len(architecture.inputs)))
        return frozenset((*architecture.weights, *inputs))
    whole = mode.traits.get("of") in ("model", "method") or mode.traits.get("hooked") == "model"
    if whole and contract["unreached_gradient"] == "zeros_of_a_graph":
        return case.reached_from(range(len(case.architecture.outputs))) - unwatched
    asked = frozenset(f"input_{n}" for n in case.watched)
    joined = mode.traits.get("hooked") == "model" and not case.reached.isdisjoint(asked)
    if joined and contract["unreached_gradient"] == "zeros_of_inputs":
        return case.reached | asked
    return case.reached - unwatched


def _as_made(case: Case, realisation: Realisation, contract: Contract) -> Flags:
    """What is trainable once the model is made: all but what its making has frozen.

    A layer is made before the model around it, in whatever order the program names them.
    """
    frozen = made_frozen(case, realisation, contract)
    flags = Flags.initial(case.architecture)
    flags = replace(flags, around=contract["flags_around"] == "count")
    for action, way in sorted(frozen, key=lambda made: len(made[0].target), reverse=True):
        flags = flags_after(action, way, flags, contract)
    return flags


class _Course:
    """Walks through the program; one method an action."""

    def __init__(
        self,
        case: Case,
        realisation: Realisation,
        contract: Contract,
        stopping: frozenset[str],
    ) -> None:
        self.contract, self.stopping = contract, stopping
        self.options = contract.chosen(realisation.options)
        mode = contract.mode(realisation.mode)
        self.compiled = mode.trains_itself
        self.function, self.signed = mode.traits.get("function"), "signature" in mode.traits
        self.own_step = "train_step" in mode.traits
        self.scaled = "scale" in mode.traits and not mode.trains_itself
        self.sizes = [batch.size for batch in case.batches]
        self.fixed = self.contract["rate_set_under_a_schedule"] if case.schedule else None
        slots = case.optimizer.kind != "sgd" or case.optimizer.momentum > 0.0
        self.has_slots = slots or case.average is not None or case.accumulation > 1
        self.groups_change = any(
            contract.way(way or "").by == "rate"
            for action, way in zip(case.program, realisation.ways, strict=True)
            if isinstance(action, Freeze | Thaw)
        )
        self.reached = reached = _watched(case, realisation, contract)
        self.architecture, self.stretches = case.architecture, tuple[int, ...]()
        if mode.traits.get("stretches") and contract["stretch_without_inputs"] == "loses_gradients":
            self.stretches = stretches(case.architecture, "sequence" in mode.traits)
        self.kept_region = "kept" in mode.traits
        self.fused = frozenset[str]()
        evaluates_inside = self.kept_region or "evaluated" in mode.traits
        if evaluates_inside and contract["casts_of_a_fused_layer"] == "severed":
            self.fused = frozenset(
                f"{placed.path}.{name}"
                for placed in case.architecture.layers
                for name in placed.layer.cast_when_fused()
            )
        self.watched, self.penalised = case.watched, frozenset(case.penalties)
        flags = _as_made(case, realisation, contract)
        held = self._made_with(flags.acting)
        self.start = Moment(flags, flags.acting, reached, case.training, 1.0, held, 0)

    def _made_with(self, flags: Flags) -> frozenset[str] | None:
        """The weights that an optimizer may hold which is made now."""
        if self.options.get("optimizer_build") == "first_step":
            return None
        if self.options.get("optimizer_scope") == "all":
            return frozenset(flags.architecture.weights)
        return frozenset(flags.trainable)

    def freeze(self, moment: Moment, action: Freeze | Thaw, way: str) -> Moment:
        """By a rate, an optimizer or a mask; what flags are after it is settled."""
        if self.function == "anew":
            moment = replace(moment, graphs={})
        by, freezes = self.contract.way(way).by, isinstance(action, Freeze)
        names = frozenset(moment.flags.architecture.weights_in(action.target))
        if by == "rate":
            held = names & (moment.held or frozenset())
            return replace(moment, still=moment.still | held if freezes else moment.still - held)
        if by == "optimizer":
            left = moment.left | names if freezes else moment.left - names
            return self._new_optimizer(replace(moment, left=left), other_weights=False)
        if by == "mask":
            return replace(
                moment, masked=moment.masked | names if freezes else moment.masked - names
            )
        if by == "hook" and freezes:
            refused = names & moment.flags.frozen - moment.hooked
            raises = self.contract["hook_of_frozen"] if refused else None
            return replace(moment, hooked=moment.hooked | (names - refused), raises=raises)
        if by == "hook":
            return replace(moment, hooked=moment.hooked - names)
        return moment

    def _new_optimizer(self, moment: Moment, other_weights: bool) -> Moment:
        """With a new optimizer, at the first learning rate; the old one stays where it fails.

        What was traced with the old one is made anew.
        """
        moment = replace(moment, graphs={})
        held = self._made_with(moment.flags.acting)
        held = held and held - moment.left
        if held == frozenset() and self.contract["empty_optimizer"]:
            kept = frozenset[str]() if other_weights else moment.held
            return replace(moment, held=kept, raises=self.contract["empty_optimizer"])
        number = moment.optimizer + 1
        return replace(moment, held=held, optimizer=number, factor=1.0, still=frozenset())

    def _recomputed(self, moment: Moment, watched: Collection[int]) -> Moment:
        """What is lost in stretches none of whose inputs needs a gradient; the others are said."""
        if not self.stretches:
            return moment
        trainable, block = frozenset(moment.acting.trainable), self.architecture.network
        cut = without_inputs(self.architecture, self.stretches, trainable, watched)
        lost = frozenset[str]().union(
            *(self.architecture.weights_in(block.name(block.nodes[n].member)) for n in cut)
        )
        warns = (self.contract["stretch_warning"],) if cut else ()
        reached = self.reached - (lost - self.penalised)
        return replace(moment, cut=cut, reached=reached, warns=(*moment.warns, *warns))

    def _lowered(self, moment: Moment) -> Moment:
        """What has been cast in the region: by an evaluation, for layers that it runs fused.

        A region that is not kept begins with one, so that nothing has been cast before.
        """
        if not self.fused:
            return moment
        casting = self.fused.intersection(moment.acting.trainable)
        severed = moment.severed if self.kept_region else casting
        return replace(
            moment,
            cast=moment.cast | casting - severed,
            severed=severed,
            reached=self.reached - (severed - self.penalised),
        )

    def gradient(self, moment: Moment, action: Gradient | Step, way: None) -> Moment:
        """Where gradients are set to zeros, those of this pass stay."""
        more = isinstance(action, Step) and action.more
        moment = self._lowered(self._recomputed(moment, () if more else self.watched))
        if self.function:
            moment = self._called(moment, action)
        if self.options.get("zero_grad") != "zeros":
            return moment
        with_gradients = moment.reached.intersection(moment.acting.trainable)
        return replace(moment, had=moment.had | with_gradients)

    def _called(self, moment: Moment, action: Gradient | Step) -> Moment:
        """At the call of a function that is traced: it goes by the flags of its trace.

        A trace is of the sizes of its batches, unless a signature leaves them open. What raises
        while it is traced leaves none.
        """
        batches = (action.batch, *getattr(action, "more", ()))
        sizes = () if self.signed else tuple(self.sizes[batch] for batch in batches)
        call = (action.action, moment.training, len(batches), sizes)
        if call in moment.graphs:
            return replace(moment, acting=moment.graphs[call], again=True)
        if action.action == "step" and self._stops(moment):
            return moment
        return replace(moment, graphs={**moment.graphs, call: moment.acting})

    def _silent(self) -> bool:
        """Whether a step that has nothing to train raises nothing."""
        by_pairs = self.options.get("optimizer_call") == "apply_gradients"
        return not by_pairs or self.contract["step_with_nothing"] is None

    def _stops(self, moment: Moment) -> bool:
        """Whether the optimizer raises for what it is given."""
        trainable = frozenset(moment.acting.trainable)
        if not trainable:
            return not self._silent()
        given = trainable
        if self.contract["unknown_weight_told"] == "at_the_weight":
            given = frozenset(moment.receiving)
        unknown = moment.held is not None and given - moment.held
        at_one = not self.stopping.isdisjoint(moment.receiving)
        return bool(unknown) or not trainable & moment.reached or at_one

    def step(self, moment: Moment, action: Step, way: None) -> Moment:
        moment = self.gradient(moment, action, way)
        if self.compiled:
            moment = self._fitted(moment, self.sizes[action.batch])
        trainable = moment.acting.trainable
        by_nothing = self.scaled and self.contract["scaled_step_of_nothing"] == "builds"
        if moment.held is not None or not (trainable or (by_nothing and self._silent())):
            return moment
        return replace(moment, held=frozenset(trainable))

    def _fitted(self, moment: Moment, size: int) -> Moment:
        """At a step of a compiled model: what it trains, and what it warns of.

        tf.function traces a step for the first size of a batch, and once more, with
        reduce_retracing, for all sizes that are others.
        """
        eager = self.options.get("run_eagerly") == "yes"
        known = None if eager else moment.fits.get(size, moment.fits.get(None))
        traced = known is None
        if self.contract["flags_count"] == "at_trace":
            moment = replace(moment, acting=moment.flags.acting if known is None else known)
        trainable = moment.acting.trainable
        moving = moment.reached.intersection(trainable)
        warns = []
        if moment.flags.flagged != moment.told:
            warns.append(self.contract["changed_flags_warning"])
        if traced and not trainable and not self.own_step:
            warns.append(self.contract["untrainable_model_warning"])
        if traced and moving and len(moving) < len(trainable):
            warns.append(self.contract["unreached_warning"])
        stops = not moving or not self.stopping.isdisjoint(moving)
        fails = bool(trainable) and stops  # the optimizer raises while it is traced
        new = {} if fails or not traced else {size if not moment.fits else None: moment.acting}
        return replace(
            moment,
            told=moment.flags.flagged,
            fits={**moment.fits, **new},
            warns=tuple(text for text in warns if text),
        )

    def evaluate(self, moment: Moment, action: Evaluate, way: str) -> Moment:
        if self.stretches:  # nothing needs a gradient there
            moment = replace(moment, warns=(self.contract["stretch_warning"],))
        if self.kept_region and way == "no_grad" and not action.training:
            casting = self.fused.intersection(moment.acting.trainable)
            moment = replace(moment, severed=moment.severed | casting - moment.cast)
        named = self.contract.evaluation(way)
        text = self.contract["changed_flags_warning"]
        if not named.compiled or moment.flags.flagged == moment.told or not text:
            return moment
        return replace(moment, told=moment.flags.flagged, warns=(text,))

    def compile(self, moment: Moment, action: Compile, way: None) -> Moment:
        whole = replace(moment, left=frozenset())
        return self._compiled(self._new_optimizer(whole, other_weights=False))

    def cast(self, moment: Moment, action: Cast, way: None) -> Moment:
        after = self._new_optimizer(replace(moment, left=frozenset()), other_weights=False)
        if after.raises:
            why = "the optimizer of before the cast keeps slots of the other dtype"
            return replace(after, unsettled=why)
        return after

    def _compiled(self, moment: Moment, saved_losses: bool = False) -> Moment:
        return replace(
            moment,
            acting=moment.flags.acting,
            told=moment.flags.flagged,
            fits={},
            saved_losses=saved_losses,
        )

    def reload(self, moment: Moment, action: Reload, way: str) -> Moment:
        reloading = self.contract.reloading(way)
        moment = replace(moment, rebuilt=moment.rebuilt or reloading.flags == "rebuilt")
        if reloading.optimizer == "kept":
            return moment
        if reloading.other_weights:
            nothing = frozenset[str]()
            moment = replace(moment, had=nothing, hooked=nothing, cast=nothing, severed=nothing)
        if reloading.optimizer == "loaded":
            return self._loaded(moment)
        moment = replace(moment, left=frozenset())
        return self._compiled(self._new_optimizer(moment, other_weights=True))

    def _loaded(self, moment: Moment) -> Moment:
        """With another optimizer in the state of the one before: it goes on as that would have.

        Its state is that of as many weights as it held, which the other must hold, too.
        """
        made = self._made_with(moment.flags.acting) or frozenset()
        held = frozenset(moment.flags.acting.trainable) if self.compiled else made - moment.left
        nothing = not held and self.contract["empty_optimizer"]
        if held != moment.held or nothing or self.groups_change:
            why = "the saved optimizer is one of other weights or groups"
            moment = replace(moment, unsettled=why)
            return self._not_loaded(moment, held) if self.compiled else moment
        moment = replace(moment, loads=True)
        return self._compiled(moment, saved_losses=True) if self.compiled else moment

    def _not_loaded(self, moment: Moment, held: frozenset[str]) -> Moment:
        """With an optimizer of other weights, which warns and starts anew, at the same rate."""
        text = self.contract["optimizer_of_other_weights"] if self.has_slots else None
        number, warns = moment.optimizer + 1, (text,) if text else ()
        return self._compiled(replace(moment, held=held, optimizer=number, warns=warns), True)

    def set_mode(self, moment: Moment, action: SetMode, way: None) -> Moment:
        return replace(moment, training=action.training)

    def set_rate(self, moment: Moment, action: SetRate, way: None) -> Moment:
        if self.fixed:
            return replace(moment, raises=self.fixed)
        return replace(moment, factor=action.factor)

    def after(self, moment: Moment, action: Any, way: str | None) -> Moment:
        changes: dict[str, Callable[..., Moment]] = {
            "freeze": self.freeze,
            "thaw": self.freeze,
            "gradient": self.gradient,
            "step": self.step,
            "evaluate": self.evaluate,
            "compile": self.compile,
            "cast": self.cast,
            "reload": self.reload,
            "set_mode": self.set_mode,
            "set_rate": self.set_rate,
        }
        flags = moment.flags
        if not is_construction(action, way, self.contract):
            flags = flags_after(action, way, flags, self.contract)
        acting = moment.acting if self.compiled else flags.acting
        moment = replace(moment, flags=flags, acting=acting, raises=None, warns=(), loads=False)
        moment = replace(moment, again=False)
        change = changes.get(action.action)
        return change(moment, action, way) if change else moment


def course(
    case: Case,
    backend: str,
    contract: Contract | None = None,
    stopping: frozenset[str] = frozenset(),
) -> tuple[Moment, ...]:
    """The moment after each action of `case`, as the contract of `backend` has it.

    stopping: the weights at which the optimizer raises where it finds a gradient.
    """
    realisation = case.realisations[backend]
    acting = (contract or CONTRACTS[backend]).in_mode(realisation.mode)
    walk = _Course(case, realisation, acting, stopping)
    moments, moment = [], walk.start
    for action, way in zip(case.program, realisation.ways, strict=True):
        moment = walk.after(moment, action, way)
        moments.append(moment)
    return tuple(moments)
