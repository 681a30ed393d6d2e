"""One forward pass of the layers of a case, on a tape of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from invariants.oracle.contract import Contract, tensorflow_policies, torch_autocast
from invariants.oracle.primitives import Array
from invariants.oracle.tape import Tape, Value
from invariants.oracle.world import World

if TYPE_CHECKING:
    from invariants.architecture.graph import Block, Placed
    from invariants.architecture.layers.base import Layer
    from invariants.case import Case
    from invariants.course import Moment

#: backend -> the formats of a layer by its kind and those of its inputs.
_FORMATS = {
    "torch": torch_autocast.formats,
    "tensorflow": tensorflow_policies.formats,
}

#: The path of a random layer -> what it drew, one array for each of its calls.
Draws = Mapping[str, tuple[Array, ...]]


def own(path: str, weights: frozenset[str]) -> frozenset[str]:
    """The names within the layer at `path` of those of its weights that are among `weights`."""
    split = (weight.rpartition(".") for weight in weights)
    return frozenset(name for owner, _, name in split if owner == path)


class LayerCall:
    """One call of a layer: implements architecture.layers.base.Call."""

    def __init__(self, forward: Forward, path: str) -> None:
        self._forward = forward
        self._path = path
        self.training = forward.training
        self.frozen = path in forward.flags.flagged
        self.frozen_weights = own(path, forward.flags.frozen)
        self.before_steps_first = path in forward.before_steps_first
        self.rebuilt = forward.rebuilt
        self.contract = forward.contract
        self.lowers_weights = False
        self.kind = ""

    def parameter(self, name: str, looked_up: bool = False) -> Value:
        value = self._forward.parameters[f"{self._path}.{name}"]
        if not self.lowers_weights:
            return value
        tape = self._forward.tape
        kept = not looked_up and torch_autocast.keeps_cast(self.kind, name)
        held = self._forward.held.get(f"{self._path}.{name}") if kept else None
        cast = tape.cast(value, lower=True, held=held)
        if not kept or self.contract["cast_weights"] == "each_time":
            cast.summed = tape.widest
        if f"{self._path}.{name}" in self._forward.severed:
            with tape.computing(lower=True):
                return tape.constant(cast.data)
        return cast

    def set_state(self, name: str, value: Value) -> None:
        self._forward.set(f"{self._path}.{name}", value)

    def drawn(self) -> Value:
        return self._forward.tape.constant(next(self._forward.draws[self._path])[None])


class Forward:
    """One forward pass on a tape of its own."""

    def __init__(
        self,
        case: Case,
        contract: Contract,
        world: World,
        draws: Draws,
        moment: Moment,
    ) -> None:
        self.contract = contract
        self.tape = tape = Tape(world.rounding, world.lower)
        self.draws: dict[str, Iterator[Array]] = {path: iter(held) for path, held in draws.items()}
        self.training = moment.training
        self.rebuilt = moment.rebuilt
        self.flags = moment.acting
        self.cut, self.severed = moment.cut, moment.severed
        self.held: Mapping[str, Array] = {}
        if contract["kept_casts"] == "of_the_region":
            # A cast is kept of what requires a gradient, and asked for by that alone.
            self.held = {n: world.held[n] for n in moment.acting.trainable if n in world.held}
        self.before_steps_first = case.architecture.before_steps_first
        self.parameters = {
            name: Value(tape, array, world.grids[name]) for name, array in world.arrays.items()
        }
        # The gradient of a weight is summed over all the values that it had in the pass.
        self.versions = {name: [value] for name, value in self.parameters.items()}

    def set(self, name: str, value: Value) -> None:
        self.parameters[name] = value
        self.versions[name].append(value)

    def loaded(self, layers: Iterable[Placed]) -> dict[str, Array]:
        """The weights that are others once these layers have been saved to a file and loaded."""
        return {
            f"{placed.path}.{name}": value.data
            for placed in layers
            for name, value in placed.layer.loaded(LayerCall(self, placed.path)).items()
        }

    def block(self, block: Block, path: str, inputs: list[Value]) -> list[Value]:
        """All values of a block, its inputs first."""
        values = list(inputs)
        for number, node in enumerate(block.nodes):
            name = block.name(node.member)
            member_path = f"{path}.{name}" if path else name
            member: Any = block.members[node.member]
            xs = [values[i] for i in node.inputs]
            if member.kind == "block":
                values.append(self.block(member, member_path, xs)[-1])
            else:
                layer: Layer = member
                values.append(self.layer(layer, LayerCall(self, member_path), xs))
            if not path and number in self.cut:
                values[-1] = values[-1].tape.constant(values[-1].data)
        return values

    def layer(self, layer: Layer, call: LayerCall, inputs: list[Value]) -> Value:
        """What a layer makes of its inputs, in the formats that an autocast chooses."""
        tape = self.tape
        if tape.lower is None:
            return layer.forward(call, *inputs)
        given = tuple(value.rounding is tape.lower for value in inputs)
        formats = _FORMATS[self.contract.backend](layer.kind, given)
        call.lowers_weights, call.kind = formats.weights, layer.kind
        for lower in formats.inputs:
            inputs = [tape.cast(value, lower) for value in inputs]
        with tape.computing(lower=formats.inside):
            return tape.cast(layer.forward(call, *inputs), formats.outside)
