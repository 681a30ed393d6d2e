"""The course of a program on one backend: what each action leaves beside numbers.

What is trainable, in which mode the model is, what the optimizer has been made with. All of it
follows from the case and the contract, so that a way means the same to whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from invariants.freezing import Flags
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.program import Compile, Freeze, Reload, SetMode, SetRate, Step, Thaw

if TYPE_CHECKING:
    from invariants.case import Case, Realisation

#: What an action raises: the name of a type and a part of the message.
Raises = tuple[str, str]


@dataclass(frozen=True)
class Moment:
    """The state after one action.

    factor: how large the learning rate is, in those of the start. held: the weights that the
    optimizer has been made with; None while it waits for its first step. optimizer: its number.
    raises: the exception that the contract names for making the optimizer.
    """

    flags: Flags
    training: bool
    factor: float
    held: frozenset[str] | None
    optimizer: int
    raises: Raises | None = None


def flags_after(
    action: Any, way: str | None, flags: Flags, contract: Contract, equal_flag_ignored: bool = False
) -> Flags:
    """What is trainable after an action that goes this way."""
    if isinstance(action, Freeze | Thaw):
        change = flags.freeze if isinstance(action, Freeze) else flags.thaw
        return change(action.target, contract.way(way or "").sets_flag, equal_flag_ignored)
    if isinstance(action, Reload) and contract.reloading(way or "").flags == "none":
        return Flags.initial(flags.architecture)
    return flags


class _Course:
    """Walks through the program; one method an action."""

    def __init__(self, case: Case, realisation: Realisation, contract: Contract) -> None:
        self.contract = contract
        self.options = contract.chosen(realisation.options)
        self.equal_flag_ignored = contract["equal_flag"] == "ignored"
        flags = Flags.initial(case.architecture)
        self.start = Moment(flags, case.training, 1.0, self._made_with(flags), 0)

    def _made_with(self, flags: Flags) -> frozenset[str] | None:
        """The weights that an optimizer holds which is made now."""
        if self.options.get("optimizer_build") == "first_step":
            return None
        if self.options.get("optimizer_scope") == "all":
            return frozenset(flags.architecture.weights)
        return frozenset(flags.trainable)

    def _new_optimizer(self, moment: Moment, other_weights: bool) -> Moment:
        """With a new optimizer, at the first learning rate; the old one stays where it fails."""
        held = self._made_with(moment.flags)
        if held == frozenset() and self.contract["empty_optimizer"]:
            kept = frozenset[str]() if other_weights else moment.held
            return replace(moment, held=kept, raises=self.contract["empty_optimizer"])
        return replace(moment, held=held, optimizer=moment.optimizer + 1, factor=1.0)

    def step(self, moment: Moment, action: Step, way: None) -> Moment:
        if moment.held is not None or not moment.flags.trainable:
            return moment
        return replace(moment, held=frozenset(moment.flags.trainable))

    def compile(self, moment: Moment, action: Compile, way: None) -> Moment:
        return self._new_optimizer(moment, other_weights=False)

    def reload(self, moment: Moment, action: Reload, way: str) -> Moment:
        if self.contract.reloading(way).optimizer == "anew":
            return self._new_optimizer(moment, other_weights=True)
        return moment

    def set_mode(self, moment: Moment, action: SetMode, way: None) -> Moment:
        return replace(moment, training=action.training)

    def set_rate(self, moment: Moment, action: SetRate, way: None) -> Moment:
        return replace(moment, factor=action.factor)

    def after(self, moment: Moment, action: Any, way: str | None) -> Moment:
        changes: dict[str, Callable[..., Moment]] = {
            "step": self.step,
            "compile": self.compile,
            "reload": self.reload,
            "set_mode": self.set_mode,
            "set_rate": self.set_rate,
        }
        flags = flags_after(action, way, moment.flags, self.contract, self.equal_flag_ignored)
        moment = replace(moment, flags=flags, raises=None)
        change = changes.get(action.action)
        return change(moment, action, way) if change else moment


def course(case: Case, backend: str, contract: Contract | None = None) -> tuple[Moment, ...]:
    """The moment after each action of `case`, as the contract of `backend` has it."""
    realisation = case.realisations[backend]
    walk = _Course(case, realisation, contract or CONTRACTS[backend])
    moments, moment = [], walk.start
    for action, way in zip(case.program, realisation.ways, strict=True):
        moment = walk.after(moment, action, way)
        moments.append(moment)
    return tuple(moments)
