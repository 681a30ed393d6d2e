"""What a contract is made of: clauses, ways, options; each with a sentence and its source."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Clause:
    """One point: what holds, the sentence that says so, and where it stands."""

    value: Any
    sentence: str
    source: str


def worded(point: str, *values: Any) -> str:
    """Some of the values of a point, in words."""
    words = []
    for value in values:
        if value is not True:  # the point itself is what there is
            words.append(" with ".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return " ".join([point, ", ".join(words)]).strip()


@dataclass(frozen=True)
class Writing:
    """How a framework's users write an action, and what is documented of it.

    action: the name of one, or of a part of it: "step, with clipping". code: Markdown.
    """

    action: str
    code: str
    sentence: str
    source: str


@dataclass(frozen=True)
class Way:
    """One of a framework's ways to freeze or thaw.

    reaches: "module" (network, submodule or layer) or "weight" (one parameter).
    sets_flag: the module itself remembers that it is frozen, and so do the modules in it.
    by: what holds the weights back, and is gone with it. A "flag": no gradient, no update. A "rate"
    of 0 in the optimizer: gradients and slots go on, the weights stay. The "optimizer", another one
    without them: gradients alone go on. A "mask" by which the loop multiplies gradients, or a
    "hook" of the weight that does so: every second element of a weight, the first one among them,
    in the framework's layout, has a gradient of exactly 0.
    construction: the script goes this way where it makes the module, before any other action.
    """

    name: str
    reaches: str
    sets_flag: bool
    sentence: str
    source: str
    by: str = "flag"
    construction: bool = False

    @property
    def partial(self) -> bool:
        """Whether it holds a part of the elements of a weight."""
        return self.by in ("mask", "hook")


@dataclass(frozen=True)
class Option:
    """A choice that a realisation makes beside the ways: its name and its values."""

    name: str
    values: tuple[str, ...]
    sentence: str
    source: str


@dataclass(frozen=True)
class Evaluation:
    """One of a framework's ways to run a model without gradients, and in which modes it can.

    compiled: it needs a model that has been compiled. averaged: it runs the averages of the model.
    """

    name: str
    training: tuple[bool, ...]
    sentence: str
    source: str
    compiled: bool = False
    averaged: bool = False


@dataclass(frozen=True)
class Reloading:
    """One of a framework's ways to save and load, or to copy, a model.

    flags: what it leaves of what is frozen: "kept", "none", or "rebuilt" (kept as well, from what a
    config holds). optimizer: "kept", "anew" where the program must make another, for other weights,
    or "loaded" where another one goes on with the state of the old one. refuses: the kinds of
    layers that it does not take. file: each layer writes its weights to a file of the framework,
    and reads them. other_weights: what comes out of it has weights of its own. compiled: it needs a
    model that has been compiled. weights_alone: the way that loads the same without the optimizer.
    averages: what it loads are the averages, of "all" weights and states or the "trainable" ones.
    """

    name: str
    flags: str
    optimizer: str
    sentence: str
    source: str
    refuses: tuple[str, ...] = ()
    file: bool = False
    other_weights: bool = True
    compiled: bool = False
    weights_alone: str = ""
    averages: str = ""


@dataclass(frozen=True)
class Mode:
    """One of the ways to run a model and to train it.

    trains_itself: one call trains the model, and no gradient is shown. traits: what a script does
    for it, by names of the backend's own; one that is named like an option settles that.
    optimised: as a whole, a graph or one batch of all elements that are trained, so that under
    other flags a gradient may be computed by other kernels.
    otherwise: points of the contract that have other values in this mode, as its sentence says.
    may_warn: what it may warn of at any action. dtypes: those of the cases that run in it; all
    where none is named. refuses: the optimizers that it does not take. lacks: kinds of layers, and
    points of the contract of which layers need something, that it cannot run, and why. needs: what
    the machine must have. seconds: what a case costs, about; a run gives each mode its share.
    """

    name: str
    sentence: str
    source: str
    trains_itself: bool = False
    traits: Mapping[str, str] = field(default_factory=dict)
    optimised: bool = False
    otherwise: Mapping[str, Any] = field(default_factory=dict)
    may_warn: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    seconds: float = 0.02

    def takes(self, dtypes: Collection[str], optimizer: str, asked: Collection[str]) -> bool:
        """Whether cases run in it that have these dtypes and optimizer, and ask for these layers.

        asked: their kinds, and the points of the contract of which they need something.
        """
        known = not self.dtypes or {*dtypes} <= {*self.dtypes}
        return known and optimizer not in self.refuses and not {*asked} & self.lacks.keys()

    @property
    def quick(self) -> bool:
        """Whether it is drawn among the others; one that is not has cases of its own in a run."""
        return self.seconds < 1.3


@dataclass(frozen=True)
class Device:
    """One of the devices that a script can run on.

    place: what a script calls it. settings: the lines of a script that say how it computes there.
    unordered: the kinds of layers and the losses whose operations are documented as not
    deterministic there, and which operation that is; "" stands for all of them. same_kernels:
    whether a gradient is computed by the same kernels whatever the flags are; elsewhere two of them
    agree within the spread. dtypes: those of the cases that run on it; all where none is named.
    without: modes that are not offered on it, and why. unoffered: what an operation says that has
    no kernel for it. absent: a script that fails where there is no such device, "" for one that is
    always there.
    """

    name: str
    sentence: str
    source: str
    place: str
    settings: tuple[str, ...] = ()
    unordered: Mapping[str, str] = field(default_factory=dict)
    same_kernels: bool = True
    dtypes: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)
    unoffered: tuple[str, ...] = ()
    absent: str = ""

    def reorders(self, kinds: Collection[str]) -> bool:
        """Whether the same script may round otherwise at a second run, by kinds and losses."""
        return "" in self.unordered or not self.unordered.keys().isdisjoint(kinds)


@dataclass(frozen=True)
class Release:
    """What releases of a package before a version document otherwise than today's.

    clauses: the points that have other values there. lacks: the kinds of layers that they do not
    have, and why. without: what else of a case they do not have, by the names of `Case.parts`, and
    why. means: a value of an option, "option=value", that is by default another one there.
    """

    name: str
    package: str
    before: tuple[int, ...]
    clauses: Mapping[str, Clause] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, Clause] = field(default_factory=dict)

    def holds(self, installed: Mapping[str, str]) -> bool:
        """Whether it is what these versions of packages follow."""
        numbers = re.match(r"\d+(?:\.\d+)*", installed.get(self.package, ""))
        return numbers is not None and tuple(map(int, numbers[0].split("."))) < self.before


@dataclass(frozen=True)
class Contract:
    """The clauses of one backend, by point.

    releases: what older releases document otherwise, the oldest first. without: see there; of
    today's nothing. asked: the points that have been asked for, where that is to be told.
    """

    backend: str
    clauses: Mapping[str, Clause]
    actions: tuple[Writing, ...]
    ways: tuple[Way, ...]
    evaluations: tuple[Evaluation, ...]
    reloads: tuple[Reloading, ...]
    modes: tuple[Mode, ...]
    devices: tuple[Device, ...]
    options: tuple[Option, ...]
    lacks: Mapping[str, str] = field(default_factory=dict)  # kind of a layer -> why it has none
    releases: tuple[Release, ...] = ()
    release: str = ""  # the name of the one that it is of; "" of today's
    without: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, Clause] = field(default_factory=dict)
    asked: set[str] | None = field(default=None, compare=False, repr=False)

    def __getitem__(self, point: str) -> Any:
        if self.asked is not None:
            self.asked.add(point)
        return self.clauses[point].value

    def said(self, point: str) -> str:
        """The sentence that says what holds at a point."""
        return self.clauses[point].sentence

    def as_if(self, clauses: Mapping[str, Any]) -> Contract:
        """The same contract with other values at some points: what a known issue makes of it."""
        changed = {
            point: replace(self.clauses[point], value=value) for point, value in clauses.items()
        }
        return replace(self, clauses={**self.clauses, **changed})

    def of(self, installed: Mapping[str, str]) -> Contract:
        """The contract of these versions of the backend's packages."""
        for release in self.releases:
            if release.holds(installed):
                return replace(
                    self,
                    release=release.name,
                    clauses={**self.clauses, **release.clauses},
                    lacks={**self.lacks, **release.lacks},
                    without={**self.without, **release.without},
                    means=release.means,
                )
        return self

    def oldest(self, sides: Iterable[Mapping[str, str]]) -> Contract:
        """The contract of the oldest release among these versions."""
        names = [release.name for release in self.releases]
        found = [self.of(installed) for installed in sides]
        older = [contract for contract in found if contract.release]
        return min(older, key=lambda contract: names.index(contract.release), default=self)

    def in_mode(self, name: str) -> Contract:
        """The same contract with what its points have in a mode, and what is lacking there."""
        mode = self.mode(name)
        idle = (*self["idle_warnings"], *mode.may_warn)
        inside = self.as_if({**mode.otherwise, "idle_warnings": idle})
        return replace(inside, lacks={**self.lacks, **mode.lacks})

    def way(self, name: str) -> Way:
        return self._ways[name]

    @cached_property
    def _ways(self) -> dict[str, Way]:
        return {way.name: way for way in self.ways}

    @property
    def mode_names(self) -> tuple[str, ...]:
        return tuple(mode.name for mode in self.modes)

    def mode(self, name: str) -> Mode:
        return self._modes[name]

    @cached_property
    def _modes(self) -> dict[str, Mode]:
        return {mode.name: mode for mode in self.modes}

    @property
    def device_names(self) -> tuple[str, ...]:
        return tuple(device.name for device in self.devices)

    def device(self, name: str) -> Device:
        return next(device for device in self.devices if device.name == name)

    def chosen(self, options: Mapping[str, str]) -> dict[str, str]:
        """What each option comes to; one that is left out has its first value."""
        chosen = {o.name: options.get(o.name, o.values[0]) for o in self.options}
        others = {name: self.means.get(f"{name}={value}") for name, value in chosen.items()}
        return chosen | {name: other.value for name, other in others.items() if other}

    def evaluation(self, name: str) -> Evaluation:
        return next(evaluation for evaluation in self.evaluations if evaluation.name == name)

    def reloading(self, name: str) -> Reloading:
        return next(reloading for reloading in self.reloads if reloading.name == name)

    def differs(self, other: Contract, points: Iterable[str]) -> bool:
        """Whether two contracts say different things at one of `points`."""
        return any(self[point] != other[point] for point in points)
