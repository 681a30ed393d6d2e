"""What is trainable: the flags of weights and modules, and what freezing and thawing does to them.

Shared by cases, generation and the oracle. torch keeps a flag on each parameter alone; Keras keeps
one on each variable and one on each layer, and the latter also changes what some layers compute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from invariants.architecture.graph import Architecture, within


@dataclass(frozen=True)
class Flags:
    """The state of all flags of one architecture.

    frozen: the weights that are not trainable. flagged: the modules that remember being frozen.
    """

    architecture: Architecture
    frozen: frozenset[str]
    flagged: frozenset[str]

    @staticmethod
    def initial(architecture: Architecture) -> Flags:
        """Everything trainable, as a model is made."""
        return Flags(architecture, frozenset(), frozenset())

    @property
    def trainable(self) -> tuple[str, ...]:
        """The weights that are trainable, in the order of the layers."""
        return tuple(w for w in self.architecture.weights if w not in self.frozen)

    def freeze(self, target: str, sets_flag: bool) -> Flags:
        """After freezing `target`: all its weights, and its modules where the way flags them."""
        flagged = self.flagged | self._modules_in(target) if sets_flag else self.flagged
        return replace(
            self,
            frozen=self.frozen | set(self.architecture.weights_in(target)),
            flagged=frozenset(flagged),
        )

    def thaw(self, target: str, sets_flag: bool) -> Flags:
        """After thawing `target`: the reverse of freezing it in the same way."""
        flagged = self.flagged - self._modules_in(target) if sets_flag else self.flagged
        return replace(
            self,
            frozen=self.frozen - set(self.architecture.weights_in(target)),
            flagged=frozenset(flagged),
        )

    def settles_thaw(self, target: str, sets_flag: bool) -> bool:
        """Whether the documentation fixes what thawing `target` does.

        Not while a module around the target is flagged, and, for a way that leaves the flags of
        modules alone, not while one in it is.
        """
        around = {m for m in self.flagged if within(target, m) and m != target}
        inside = set() if sets_flag else self._modules_in(target) & self.flagged
        return not around and not inside

    def _modules_in(self, target: str) -> frozenset[str]:
        paths = ("", *self.architecture.blocks, *(p.path for p in self.architecture.layers))
        return frozenset(path for path in paths if within(path, target))
