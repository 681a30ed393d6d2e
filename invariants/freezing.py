"""What is trainable: the flags of weights and modules, and what freezing and thawing does to them.

Shared by cases, generation and the oracle. torch keeps a flag on each parameter alone; Keras keeps
one on each variable and one on each layer, and the latter also changes what some layers compute.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from invariants.architecture.graph import Architecture, join, within


def named(architecture: Architecture, patterns: Collection[str], target: str) -> frozenset[str]:
    """The weights in `target` that one of the patterns names: "lstm.*", "lora_dense.kernel"."""
    return frozenset(
        join(placed.path, parameter.name)
        for placed in architecture.layers
        for parameter in placed.parameters
        if within(placed.path, target)
        and any(fnmatchcase(f"{placed.layer.kind}.{parameter.name}", p) for p in patterns)
    )


def targets(
    architecture: Architecture,
    allowed: Collection[str],
    missing: Collection[str],
    as_a_whole: bool = True,
) -> list[str]:
    """Modules and weights that hold all that is missing, and nothing that is not allowed.

    as_a_whole: modules, wherever one fits; or weights alone.
    """
    named, left, allowed = [], set(missing), set(allowed)
    for module in architecture.modules if as_a_whole else ():
        held = architecture.weights_in(module)
        if allowed.issuperset(held) and not left.isdisjoint(held):
            named.append(module)
            left.difference_update(held)
    return [*named, *(weight for weight in architecture.weights if weight in left)]


@dataclass(frozen=True)
class Flags:
    """The state of all flags of one architecture.

    A weight is what it was set to last, by itself or by what is around it, whatever the modules
    around it remember; but a model that remembers being frozen trains nothing (`acting`).

    frozen: the weights that are not trainable. flagged: the modules that remember being frozen.
    apart: the weights that the flag of their module has not reached when it was made. around: what
    a module remembers holds back all that is in it, for as long as it does.
    """

    architecture: Architecture
    frozen: frozenset[str]
    flagged: frozenset[str]
    apart: frozenset[str] = frozenset()
    around: bool = False

    @staticmethod
    def initial(architecture: Architecture) -> Flags:
        """As a model is made: everything trainable but for what a layer freezes itself."""
        held = (
            name for name in architecture.weights if architecture.parameters[name].starts_frozen
        )
        return Flags(architecture, frozenset(held), frozenset())

    @property
    def trainable(self) -> tuple[str, ...]:
        """The weights that are trainable, in the order of the layers."""
        return tuple(w for w in self.architecture.weights if w not in self.frozen)

    @property
    def acting(self) -> Flags:
        """What a model trains by them: nothing while it is itself flagged.

        Where the modules around a weight count, nothing in one that is flagged.
        """
        if self.around:
            held = [self.architecture.weights_in(module) for module in self.flagged]
            return replace(self, frozen=self.frozen.union(*held))
        return self.freeze("", False) if "" in self.flagged else self

    def freeze(self, target: str, sets_flag: bool, equal_flag_ignored: bool = False) -> Flags:
        """After freezing `target`: all its weights, and its modules where the way flags them.

        equal_flag_ignored: setting a module's flag to what it already is does nothing, neither to
        its weights nor to the modules in it.
        """
        return self._set(target, True, sets_flag, equal_flag_ignored)

    def thaw(self, target: str, sets_flag: bool, equal_flag_ignored: bool = False) -> Flags:
        """After thawing `target`: the reverse of freezing it in the same way."""
        return self._set(target, False, sets_flag, equal_flag_ignored)

    def _set(self, target: str, value: bool, sets_flag: bool, equal_flag_ignored: bool) -> Flags:
        reached = set(self.architecture.weights_in(target))
        flagged, apart = set(self.flagged), self.apart
        if sets_flag:
            modules = self._modules_in(target)
            if equal_flag_ignored:
                same = [m for m in modules if (m in self.flagged) == value]
                skipped = {m for m in modules if any(within(m, s) for s in same)}
                modules -= skipped
                reached = {w for w in reached if w.rpartition(".")[0] in modules}
            flagged = flagged | modules if value else flagged - modules
            apart = self.apart - reached
            if equal_flag_ignored and not value:  # what holds them says so all along
                reached -= self.apart
        weights = self.frozen | reached if value else self.frozen - reached
        return replace(self, frozen=frozenset(weights), flagged=frozenset(flagged), apart=apart)

    def without(self, patterns: Collection[str], target: str = "") -> Flags:
        """With some weights in `target` trainable, whatever their layers remember.

        patterns: which ones (see `named`).
        """
        left = named(self.architecture, patterns, target)
        return replace(self, frozen=self.frozen - left, apart=self.apart | left)

    def without_flags_of(self, kinds: Collection[str]) -> Flags:
        """With the layers of these kinds not flagged, whatever is frozen in them."""
        paths = {p.path for p in self.architecture.layers if p.layer.kind in kinds}
        return replace(self, flagged=self.flagged - paths)

    @property
    def of_modules(self) -> Flags:
        """What the flags of the layers alone tell: that of a weight by itself is forgotten.

        What a layer freezes itself is frozen once more.
        """
        flagged = {w for w in self.architecture.weights if w.rpartition(".")[0] in self.flagged}
        held = Flags.initial(self.architecture).frozen
        return replace(self, frozen=held | (flagged - self.apart))

    def _modules_in(self, target: str) -> frozenset[str]:
        return frozenset(self.architecture.paths_in(target))
