"""`Case`: one whole fine-tuning program, the only input of everything downstream.

The shared part (architecture, numbers, program, optimizer, loss) is what all backends run; a
`Realisation` for each backend says in which mode and by which of the framework's ways. A case is
immutable, goes through JSON with a schema number, and is checked on the way in: nothing that was
read from a file reaches a rendered source unless it is a number in range, a word of a fixed list,
or the path of something that the architecture itself numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import ml_dtypes
import numpy as np
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from invariants.architecture.graph import Architecture, within
from invariants.architecture.layers.base import Layer, ShapeError
from invariants.average import Average, not_averaged
from invariants.course import Moment, course, is_construction
from invariants.document import Document, echoed, plainly, shortened
from invariants.freezing import Flags
from invariants.objective import Penalty, Term
from invariants.optimizer import Clip, Optimizer, Positive, not_expressed, refused
from invariants.oracle.contract import CONTRACTS, Contract, Device, Mode, worded
from invariants.oracle.losses import CLASSIFYING, LOSSES
from invariants.program import (
    Action,
    Cast,
    Dtype,
    Evaluate,
    Freeze,
    Gradient,
    Learning,
    Reload,
    SetMode,
    Step,
    Thaw,
)
from invariants.schedule import Schedule, unsettled

T = TypeVar("T")

SCHEMA = 2

#: The largest extent of an array in a file.
MAX_EXTENT = 1 << 20


class CaseError(ValueError):
    """A case that cannot be run, with one line that names what is wrong."""

    def __init__(self, message: str) -> None:
        """`message` may echo what a file holds: what does not print is escaped."""
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


# --- numbers --------------------------------------------------------------------------------------


def frozen(array: np.ndarray) -> np.ndarray:
    """`array` as read-only float64."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.setflags(write=False)
    return array


def _read_array(document: Any) -> np.ndarray:
    if isinstance(document, np.ndarray):
        return frozen(document)
    if not isinstance(document, dict) or set(document) != {"shape", "values"}:
        raise ValueError('an array is an object with "shape" and "values"')
    shape, values = document["shape"], document["values"]
    if not isinstance(shape, list) or not all(
        type(n) is int and 0 <= n <= MAX_EXTENT for n in shape
    ):
        raise ValueError(f'"shape" is a list of whole numbers up to {MAX_EXTENT}')
    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise ValueError('"values" is a flat list of numbers')
    if len(values) != math.prod(shape):
        raise ValueError(f"{len(values)} values do not fill the shape {echoed(shape)}")
    try:
        array = np.array(values, dtype=np.float64).reshape(shape)
    except OverflowError:
        raise ValueError("a number is too large") from None
    if not np.isfinite(array).all():
        raise ValueError("NaN and infinity are no weights and no inputs")
    return frozen(array)


def _write_array(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "values": array.reshape(-1).tolist()}


Array = Annotated[np.ndarray, PlainValidator(_read_array), PlainSerializer(_write_array)]

#: The formats of 16 bits, whose spread is so wide that many elements say nothing.
NARROW: tuple[Dtype, ...] = ("bfloat16", "float16")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a floating point format; NumPy itself has no bfloat16."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def cast(array: np.ndarray, formats: Sequence[str]) -> np.ndarray:
    """`array` rounded to one format after the other."""
    with np.errstate(over="ignore"):
        for name in formats:
            array = array.astype(numpy_dtype(name))
    return array


@dataclass(frozen=True)
class Batch(Document):
    """One batch: inputs of shape (N, *spec.shape), and for each term of the objective its target.

    The target has the shape of the output, or holds class numbers, one for each position of it.
    `weights` holds one number a position for each term that weights them, and None for the others.
    """

    inputs: tuple[Array, ...]
    targets: tuple[Array, ...]
    weights: tuple[Array | None, ...]

    @property
    def size(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0])

    def first(self, samples: int) -> Batch:
        """The batch with its first samples alone."""
        return Batch(
            tuple(frozen(array[:samples].copy()) for array in self.inputs),
            tuple(frozen(array[:samples].copy()) for array in self.targets),
            tuple(None if a is None else frozen(a[:samples].copy()) for a in self.weights),
        )


@dataclass(frozen=True)
class Realisation(Document):
    """How one backend runs the program: its mode, a way for each freeze and thaw, its options, and
    the device that it runs on.

    `ways` has one entry for each action of the program, None where an action has but one way.
    """

    mode: str
    ways: tuple[str | None, ...]
    options: dict[str, str]
    device: str = "cpu"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Case(Document):
    """One whole fine-tuning program; see the module's docstring.

    penalties: by weight. groups: modules whose weights have another learning rate. clip: what a
    step makes of the gradients. schedule: how the learning rates change from step to step. average:
    a copy of the weights that follows them. accumulation: the optimizer adds gradients up, and
    moves the weights at every so many steps. maximize: it climbs the objective.
    """

    architecture: Architecture
    weights: dict[str, Array]
    batches: Annotated[tuple[Batch, ...], Field(min_length=1)]
    program: Annotated[tuple[Action, ...], Field(min_length=1)]
    optimizer: Optimizer
    objective: Annotated[tuple[Term, ...], Field(min_length=1, max_length=4)]
    dtype: Dtype
    training: bool
    input_gradient: bool
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    realisations: Annotated[dict[str, Realisation], Field(min_length=1)]
    penalties: dict[str, Penalty] = field(default_factory=dict)
    groups: dict[str, Positive] = field(default_factory=dict)
    clip: Clip | None = None
    schedule: Schedule | None = None
    average: Average | None = None
    accumulation: Annotated[int, Field(ge=1, le=16)] = 1
    maximize: bool = False
    schema: Literal[2] = 2

    @cached_property
    def reached(self) -> frozenset[str]:
        """The weights that the objective depends on, and the inputs, as "input_N"."""
        return self.reached_from(term.output for term in self.objective)

    def reached_from(self, outputs: Iterable[int]) -> frozenset[str]:
        """The weights that some of these outputs, or a penalty, depend on, and the inputs."""
        above = {path for output in outputs for path in self.architecture.above(output)}
        weights = self.architecture.weights
        inside = {name for name in weights if name.rpartition(".")[0] in above}
        inputs = {f"input_{n}" for n in range(len(self.architecture.inputs))}
        return frozenset(inside | (inputs & above) | set(self.penalties))

    def group(self, weight: str) -> str:
        """The module whose group a weight is in; "" for that of all the others."""
        return next((module for module in self.groups if within(weight, module)), "")

    @property
    def watched(self) -> tuple[int, ...]:
        """The numbers of the inputs whose gradient is asked for: indices have none."""
        specs = enumerate(self.architecture.inputs)
        return tuple(n for n, s in specs if self.input_gradient and s.vocabulary is None)

    def rate(self, weight: str) -> float:
        """The learning rate of a weight: that of its group, if it is in one."""
        return self.groups.get(self.group(weight), self.optimizer.learning_rate)

    @cached_property
    def modes(self) -> tuple[bool, ...]:
        """Whether each action runs in training mode."""
        modes, training = [], self.training
        for action in self.program:
            if isinstance(action, SetMode):
                training = action.training
            modes.append(action.training if isinstance(action, Evaluate) else training)
        return tuple(modes)

    @cached_property
    def dtypes(self) -> tuple[Dtype, ...]:
        """The dtype of the model after each action."""
        dtypes, dtype = [], self.dtype
        for action in self.program:
            dtype = action.dtype if isinstance(action, Cast) else dtype
            dtypes.append(dtype)
        return tuple(dtypes)

    def mode_before(self, number: int) -> bool:
        """Whether the model is in training mode before an action."""
        set_ = [a.training for a in self.program[:number] if isinstance(a, SetMode)]
        return set_[-1] if set_ else self.training

    @property
    def ever_trains(self) -> bool:
        """Whether some forward pass is one in training mode."""
        return any(
            training and isinstance(action, Learning | Evaluate)
            for action, training in zip(self.program, self.modes, strict=True)
        )

    def draws_at(self, number: int) -> bool:
        """Whether random layers draw at an action, whose values are then random.

        What they draw there is known if each draws once and the framework can be asked before.
        """
        learns = isinstance(self.program[number], Learning)
        return learns and self.modes[number] and self.architecture.stochastic

    @property
    def scaled(self) -> frozenset[str]:
        """The weights and inputs whose share of the loss a number multiplies."""
        outputs = [term.output for term in self.objective if term.weight != 1.0]
        return self.reached_from(outputs)

    @property
    def stochastic(self) -> bool:
        """Whether some gradient is random."""
        return any(map(self.draws_at, range(len(self.program))))

    def first_of_its_size(self, number: int) -> bool:
        """Whether action `number` is the first to draw in its dtype for a batch of its size."""
        sizes = [
            (self.batches[action.batch].size, self.dtypes[n])
            for n, action in enumerate(self.program[: number + 1])
            if isinstance(action, Learning) and self.draws_at(n)
        ]
        return sizes.index(sizes[-1]) == len(sizes) - 1

    @cached_property
    def document(self) -> dict[str, Any]:
        """The case as plain JSON types."""
        document: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return document

    def to_json(self) -> str:
        return json.dumps(self.document, indent=1, allow_nan=False) + "\n"

    @cached_property
    def name(self) -> str:
        """A short name that is the same for the same case."""
        text = json.dumps(self.document, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self.document == other.document

    def __hash__(self) -> int:
        return hash(self.name)

    def options(self, backend: str, contract: Contract | None = None) -> dict[str, str]:
        """The options of a realisation, those included that it leaves at their first value.

        contract: that of the releases that they are given to; by default of today's.
        """
        return (contract or CONTRACTS[backend]).chosen(self.realisations[backend].options)

    def on(self, device: str) -> Case:
        """The same case on another device, by every backend."""
        realisations = {n: replace(r, device=device) for n, r in self.realisations.items()}
        return replace(self, realisations=realisations)

    def runs_in(self, backend: str) -> Mode:
        """The mode of a realisation."""
        return CONTRACTS[backend].mode(self.realisations[backend].mode)

    def traced(self, backend: str) -> bool:
        """Whether a step runs as a graph, and not op by op."""
        mode, eagerly = self.runs_in(backend), self.options(backend).get("run_eagerly")
        return (mode.trains_itself and eagerly == "no") or "function" in mode.traits

    def differentiates_a_graph(self, backend: str) -> bool:
        """Whether gradients are those of a graph, be the step itself one or not."""
        return self.traced(backend) or "forward" in self.runs_in(backend).traits

    def runs_on(self, backend: str) -> Device:
        """The device of a realisation."""
        return CONTRACTS[backend].device(self.realisations[backend].device)

    def course(
        self,
        backend: str,
        contract: Contract | None = None,
        stopping: frozenset[str] = frozenset(),
    ) -> tuple[Moment, ...]:
        """The moment after each action, as the backend's contract has it.

        stopping: the weights at which a step stops that finds a gradient there.
        """
        if contract or stopping:
            return course(self, backend, contract, stopping)
        if backend not in self._courses:
            self._courses[backend] = course(self, backend)
        return self._courses[backend]

    @cached_property
    def _courses(self) -> dict[str, tuple[Moment, ...]]:
        """Those of today's contracts, by backend, once they have been asked for."""
        return {}

    def flags(self, backend: str) -> list[Flags]:
        """What is trainable after each action, as the backend's contract has it."""
        return [moment.flags for moment in self.course(backend)]

    def __repr__(self) -> str:
        layers = " -> ".join(placed.layer.kind for placed in self.architecture.layers)
        actions = ", ".join(action.action for action in self.program)
        losses = " + ".join(term.loss for term in self.objective)
        settings = f"{losses}; {self.dtype}, {self.optimizer.kind}"
        settings += f", {self.schedule.kind} schedule" if self.schedule else ""
        settings += f", {self.average.kind} averages" if self.average else ""
        settings += ", maximized" if self.maximize else ""
        settings += f", every {self.accumulation} steps" if self.accumulation > 1 else ""
        return f"<Case {self.name}: {layers}; {actions}; {settings}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints of a failing case; the whole of it is in case.json."""
        printer.text(repr(self))

    def parts(self, backend: str) -> Iterator[str]:
        """What a case is made of on a backend beside layers, as releases may name what they lack.

        Its dtypes, the kinds of layers in each ("batch_norm in float16"), its mode, ways, those of
        a layer also by its kind ("constructor of masked_gru"), options, and a "masked mean".
        """
        realisation = self.realisations[backend]
        dtypes = dict.fromkeys((self.dtype, *self.dtypes))
        kinds = dict.fromkeys(placed.layer.kind for placed in self.architecture.layers)
        yield from dtypes
        yield from (f"{kind} in {dtype}" for kind in kinds for dtype in dtypes)
        yield realisation.mode
        yield from dict.fromkeys(way for way in realisation.ways if way)
        of = {placed.path: placed.layer.kind for placed in self.architecture.layers}
        for action, way in zip(self.program, realisation.ways, strict=True):
            if isinstance(action, Freeze | Thaw) and action.target in of:
                yield f"{way} of {of[action.target]}"
        yield from (f"{name}={value}" for name, value in self.options(backend).items())
        if any(term.weighting == "mask" and term.reduction == "mean" for term in self.objective):
            yield "masked mean"

    def lacking(self, backend: str, contract: Contract | None = None) -> str:
        """The first part of the case that a backend does not have, and why; "" where it has all.

        contract: that of the releases that are asked about; by default of today's.
        """
        contract = contract or CONTRACTS[backend]
        for placed in self.architecture.layers:
            reason = unsupported(placed.layer, contract)
            if reason:
                return f"{placed.path}: {reason}"
        for term in self.objective:
            if term.reduction == "batchmean" and term.loss not in contract["batchmean_losses"]:
                return f"{term.loss} has no batchmean: {contract.said('batchmean_losses')}"
        casts = any(isinstance(action, Cast) for action in self.program)
        for what, reason in (
            ("groups", ungrouped(contract) if self.groups else ""),
            ("optimizer", not_expressed(self.optimizer, contract)),
            ("average", not_averaged(self.average, contract) if self.average else ""),
            ("maximize", not_climbing(self.optimizer.kind, contract) if self.maximize else ""),
            ("accumulation", unaccumulated(contract) if self.accumulation > 1 else ""),
            ("cast", not_cast(False, contract) if casts else ""),
        ):
            if reason:
                return f"{what}: {reason}"
        if contract.without:
            for part in self.parts(backend):
                if part in contract.without:
                    return f"{part}: {contract.without[part]}"
        return ""

    def offered(self) -> tuple[Case, dict[str, str]]:
        """The case on the backends that have all of it, checked, and what each other lacks.

        Raises CaseError where its parts do not fit together, whoever runs them.
        """
        replace(self, realisations={}).check()
        known = [backend for backend in self.realisations if backend in CONTRACTS]
        lacks = {backend: reason for backend in known if (reason := self.lacking(backend))}
        others = {b: r for b, r in self.realisations.items() if b not in lacks}
        return replace(self, realisations=others).check(), lacks

    def check(self) -> Case:
        """The case itself; raises CaseError where its parts do not fit together."""
        try:
            _ = self.architecture.outputs
        except ShapeError as error:
            raise CaseError(f"architecture: {error}") from None
        if not self.architecture.weights:
            raise CaseError("architecture: no layer has a weight, there is nothing to train")
        for placed in self.architecture.layers:
            for dtype in (self.dtype, *self.dtypes):
                if dtype not in placed.layer.dtypes:
                    raise CaseError(
                        f"dtype: some weights of {placed.path} are {placed.layer.dtypes[0]} "
                        f"whatever the model's dtype; a case with it cannot be {dtype}"
                    )
        self._check_weights()
        self._check_objective()
        for number, batch in enumerate(self.batches):
            self._check_batch(f"batches[{number}]", batch)
        for number, action in enumerate(self.program):
            self._check_action(f"program[{number}]", action)
        if not any(isinstance(action, Learning) for action in self.program):
            raise CaseError("program: has no gradient and no step, there is nothing to judge")
        self._check_groups()
        for backend, realisation in self.realisations.items():
            self._check_realisation(backend, realisation)
        return self

    def _check_weights(self) -> None:
        parameters = self.architecture.parameters
        for name in self.weights:
            if name not in parameters:
                raise CaseError(f"weights: the architecture has no parameter {echoed(name)}")
        for name, parameter in parameters.items():
            if name not in self.weights:
                raise CaseError(f"weights: {name} is missing")
            array = self.weights[name]
            if array.shape != parameter.shape:
                raise CaseError(
                    f"weights: {name} has shape {echoed(list(array.shape))}, "
                    f"the architecture needs {list(parameter.shape)}"
                )
            self._check_exact(f"weights: {name}", array, {self.dtype})
            if parameter.initial == "variance" and array.min(initial=1.0) < 0.0:
                raise CaseError(f"weights: {name} is a variance and holds a negative number")

    def _check_exact(
        self, where: str, array: np.ndarray, dtypes: Collection[Dtype] | None = None
    ) -> None:
        if not np.isfinite(array).all():
            raise CaseError(f"{where} holds NaN or infinity")
        with np.errstate(over="ignore"):
            for dtype in dtypes or {self.dtype, *self.dtypes}:
                if not np.array_equal(array.astype(numpy_dtype(dtype)).astype(np.float64), array):
                    raise CaseError(f"{where} holds a number that {dtype} cannot hold exactly")

    def _check_objective(self) -> None:
        outputs = self.architecture.outputs
        for number, term in enumerate(self.objective):
            where = f"objective[{number}]"
            if term.output >= len(outputs):
                raise CaseError(f"{where}: the network has no output {echoed(term.output)}")
            shape = outputs[term.output].shape
            if term.loss in CLASSIFYING and len(shape) > 3:
                raise CaseError(f"{where}: {term.loss} does not take {list(shape)}")
            if term.reduction == "batchmean" and term.weighting != "none":
                raise CaseError(f"{where}: batchmean is a reduction of losses without weights")
        for name in self.penalties:
            if name not in self.architecture.weights:
                raise CaseError(f"penalties: there is no weight {echoed(name)}")

    def _check_groups(self) -> None:
        for module in self.groups:
            if not module or module not in self.architecture.modules:
                said = f"no layer or submodule with weights {echoed(module)}"
                raise CaseError(f"groups: there is {said}")
            if any(other != module and within(module, other) for other in self.groups):
                raise CaseError(f"groups: {module} lies in another group")

    def _check_batch(self, where: str, batch: Batch) -> None:
        specs = self.architecture.inputs
        if len(batch.inputs) != len(specs):
            raise CaseError(f"{where}: {len(batch.inputs)} inputs, the network takes {len(specs)}")
        size = batch.inputs[0].shape[0] if batch.inputs[0].ndim else 0
        if size < 1:
            raise CaseError(f"{where}: a batch needs at least one sample")
        for placed in self.architecture.layers:
            least = placed.layer.smallest_batch(placed.specs, self.ever_trains)
            if size < least:
                raise CaseError(f"{where}: {placed.path} needs at least {least} samples")
        for number, (array, spec) in enumerate(zip(batch.inputs, specs, strict=True)):
            name = f"{where}.inputs[{number}]"
            self._check_shape(name, array, (size, *spec.shape))
            if spec.vocabulary is not None:
                self._check_indices(name, array, spec.vocabulary)
            self._check_exact(name, array)
        for field_, arrays in (("targets", batch.targets), ("weights", batch.weights)):
            if len(arrays) != len(self.objective):
                terms = len(self.objective)
                raise CaseError(f"{where}.{field_}: {len(arrays)} arrays for {terms} terms")
        for number, term in enumerate(self.objective):
            self._check_target(f"{where}.targets[{number}]", batch.targets[number], term, size)
            self._check_sample_weights(
                f"{where}.weights[{number}]", batch.weights[number], term, size
            )

    def _check_target(self, where: str, target: np.ndarray, term: Term, size: int) -> None:
        shape = self.architecture.outputs[term.output].shape
        kind = LOSSES[term.loss].target
        self._check_shape(where, target, (size, *(shape[:-1] if kind == "classes" else shape)))
        self._check_exact(where, target)
        if kind in ("binary", "classes"):
            self._check_indices(where, target, 2 if kind == "binary" else shape[-1])
        if kind == "signs" and not (np.abs(target) == 1.0).all():
            raise CaseError(f"{where} holds something else than -1 and 1")
        if kind == "distribution" and not (
            (target >= 0.0).all() and (target.sum(axis=-1) == 1.0).all()
        ):
            raise CaseError(f"{where} holds something else than rows that sum to 1")
        if kind == "nonzero" and not (target != 0.0).any(axis=-1).all():
            raise CaseError(f"{where} holds a row of zeros, whose cosine is not defined")

    def _check_sample_weights(
        self, where: str, weights: np.ndarray | None, term: Term, size: int
    ) -> None:
        if (weights is None) != (term.weighting == "none"):
            raise CaseError(f"{where}: the term weights by {term.weighting!r}")
        if weights is None:
            return
        self._check_shape(
            where, weights, (size, *self.architecture.outputs[term.output].shape[:-1])
        )
        self._check_exact(where, weights)
        if term.weighting == "mask":
            self._check_indices(where, weights, 2)
        if weights.min() < 0.0 or not weights.any():
            raise CaseError(f"{where} must not be negative, nor all be 0")

    @staticmethod
    def _check_shape(where: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise CaseError(f"{where} has shape {echoed(list(array.shape))}, not {list(shape)}")

    @staticmethod
    def _check_indices(where: str, array: np.ndarray, count: int) -> None:
        if not np.array_equal(array, np.rint(array)) or array.min() < 0 or array.max() >= count:
            raise CaseError(
                f"{where} holds something else than whole numbers from 0 to {count - 1}"
            )

    def _check_action(self, where: str, action: Action) -> None:
        batches = (
            [action.batch, *action.more]
            if isinstance(action, Step)
            else [action.batch]
            if isinstance(action, Gradient | Evaluate)
            else []
        )
        for batch in batches:
            if batch >= len(self.batches):
                raise CaseError(f"{where}: there is no batch {echoed(batch)}")
        if isinstance(action, Evaluate) and action.training and self.architecture.stochastic:
            raise CaseError(f"{where}: what random layers draw in an evaluation is not known")
        if isinstance(action, Freeze | Thaw) and action.target not in (
            *self.architecture.modules,
            *self.architecture.weights,
        ):
            target = echoed(action.target)
            raise CaseError(f"{where}: {target} is no weight, layer or submodule with weights here")

    def _check_realisation(self, backend: str, realisation: Realisation) -> None:
        where = f"realisations: {shortened(backend)}"
        contract = CONTRACTS.get(backend)
        if contract is None:
            raise CaseError(f"{where}: unknown backend; there are {', '.join(CONTRACTS)}")
        if realisation.mode not in contract.mode_names:
            raise CaseError(f"{where}: unknown mode {echoed(realisation.mode)}")
        dtypes = dict.fromkeys((self.dtype, *self.dtypes))
        asked = self.architecture.asked
        mode = contract.mode(realisation.mode)
        if not mode.takes(dtypes, self.optimizer.kind, asked):
            missing = sorted(asked & mode.lacks.keys())
            what = f"{' and '.join(dtypes)} with {self.optimizer.kind}"
            if missing:
                what = f"{missing[0]}: {mode.lacks[missing[0]]}"
            raise CaseError(f"{where}: {mode.name} does not take {what}")
        reason = not_placed(realisation.device, mode.name, dtypes, contract)
        if reason:
            raise CaseError(f"{where}: {reason}")
        if mode.trains_itself:
            reason = not_compiled(self.program, self.modes, self.objective, self.architecture)
            reason = reason or ("input gradients" if self.input_gradient else "")
            if reason:
                raise CaseError(f"{where}: {realisation.mode} shows and takes no {reason}")
        reason = self.lacking(backend)
        if reason:
            raise CaseError(f"{where}: {reason}")
        if self.groups and self.options(backend).get("optimizer_scope") == "trainable":
            raise CaseError(f"{where}: groups: an optimizer of the trainable weights has none")
        domains = {option.name: option.values for option in contract.options}
        for name in realisation.options:
            if name not in domains:
                known = ", ".join(domains)
                raise CaseError(f"{where}: there is no option {echoed(name)}, but {known}")
        for name, value in realisation.options.items():
            if value not in domains[name]:
                raise CaseError(f"{where}: {name} cannot be {echoed(value)}")
            if contract.mode(realisation.mode).traits.get(name, value) != value:
                raise CaseError(f"{where}: {name} cannot be {value!r} in {realisation.mode}")
        reason = refused(self.optimizer, contract, self.options(backend), bool(self.groups))
        if reason:
            raise CaseError(f"{where}: optimizer: {reason}")
        reason = not_adding(self.optimizer.kind, mode) if self.accumulation > 1 else ""
        if reason:
            raise CaseError(f"{where}: accumulation: {reason}")
        reason = unsettled(self.schedule, self.program, contract) if self.schedule else ""
        if reason:
            raise CaseError(f"{where}: schedule: {reason}")
        if any(isinstance(action, Cast) for action in self.program):
            reason = not_cast(self.average is not None, contract)
            if reason:
                raise CaseError(f"{where}: cast: {reason}")
        self._check_ways(where, contract, realisation.ways)

    def _check_ways(self, where: str, contract: Contract, ways: tuple[str | None, ...]) -> None:
        if len(ways) != len(self.program):
            raise CaseError(f"{where}: {len(ways)} ways for {len(self.program)} actions")
        for number, (action, name) in enumerate(zip(self.program, ways, strict=True)):
            mode = self.realisations[contract.backend].mode
            averaged = self.average is not None
            allowed = ways_of(action, self.architecture, contract, mode, averaged)
            if name not in allowed:
                article = "an" if action.action[0] in "aeiou" else "a"
                here = f"{where}: ways[{number}]: {article} {action.action}"
                if allowed == (None,):
                    raise CaseError(f"{here} has no way")
                said = " or ".join(str(way) for way in allowed)
                raise CaseError(f"{here} here goes by {said}")
            if isinstance(action, Freeze | Thaw):
                options = self.options(contract.backend)
                reason = not_by(
                    name or "", self.optimizer.kind, bool(self.groups), options, contract
                )
                if not reason and self.schedule and contract.way(name or "").by == "rate":
                    reason = "a schedule goes on from a rate of 0, or sets another"
                if reason:
                    raise CaseError(f"{where}: ways[{number}]: {reason}")
        late = late_construction(self.program, ways, contract)
        if late is not None:
            raise CaseError(
                f"{where}: ways[{late}]: {ways[late]} comes before all other actions, "
                "and once for a target"
            )
        for number, moment in enumerate(self.course(backend=contract.backend)):
            if moment.unsettled:
                raise CaseError(f"{where}: ways[{number}]: {moment.unsettled}")


#: The losses that Keras compiles: of outputs as they are.
_COMPILED_LOSSES = frozenset(LOSSES) - {
    "likelihood",
    "dense_likelihood",
    "binary_likelihood",
    "kl_divergence",
}


def not_compiled(
    program: Sequence[Action],
    modes: Sequence[bool],
    terms: Sequence[Term],
    architecture: Architecture,
) -> str:
    """What a compiled model, which trains by itself, cannot do of this; "" where it can do all."""
    if any(isinstance(action, Gradient) for action in program):
        return "gradients"
    if any(isinstance(action, Step) and action.more for action in program):
        return "steps on several batches"
    learning = (
        training
        for action, training in zip(program, modes, strict=True)
        if isinstance(action, Learning)
    )
    if not all(learning):
        return "steps in inference mode"
    if sorted(term.output for term in terms) != list(range(len(architecture.outputs))):
        return "output without a loss"
    if any(t.loss not in _COMPILED_LOSSES or t.reduction == "by_hand" for t in terms):
        return "loss that is written by hand"
    weighted = {term.weighting == "none" for term in terms}
    return "weights for some outputs alone" if len(weighted) > 1 else ""


def ways_of(
    action: Action,
    architecture: Architecture,
    contract: Contract,
    mode: str,
    averaged: bool = False,
) -> tuple[str | None, ...]:
    """The ways that a backend has for an action; None for what has but one.

    averaged: the case has averages of weights.
    """
    if isinstance(action, Freeze | Thaw):
        reaches = "weight" if action.target in architecture.weights else "module"
        mode_of = contract.mode(mode)
        # Where a function holds the step, it holds what stands between tape and optimizer as well.
        whole = mode_of.trains_itself or "function" in mode_of.traits
        # A function of the parameters has others stand in for them, without their hooks.
        instead = "functional" in mode_of.traits
        return tuple(
            way.name
            for way in contract.ways
            if way.reaches == reaches
            and way.name not in contract.without
            and not (way.construction and isinstance(action, Thaw))
            and not (way.partial and whole)
            and not (way.by == "hook" and instead)
        )
    if isinstance(action, Evaluate):
        compiled = contract.mode(mode).trains_itself
        return tuple(
            e.name
            for e in contract.evaluations
            if action.training in e.training
            and e.name not in contract.without
            and (compiled or not e.compiled)
            and (averaged or not e.averaged)
        )
    if isinstance(action, Reload):
        kinds = {placed.layer.kind for placed in architecture.layers}
        compiled = contract.mode(mode).trains_itself
        return tuple(
            r.name
            for r in contract.reloads
            if not kinds & {*r.refuses}
            and r.name not in contract.without
            and (compiled or not r.compiled)
            and (averaged or not r.averages)
        )
    return (None,)


def not_by(
    way: str, optimizer: str, groups: bool, options: Mapping[str, str], contract: Contract
) -> str:
    """Why a way to freeze does not go together with the optimizer of a case; "" where it does."""
    by = contract.way(way).by
    if by in ("rate", "optimizer") and groups:
        return f"{way} makes parameter groups of its own"
    if by == "rate" and optimizer in contract["no_rate_of_zero"]:
        return f"a rate of 0 does not hold {optimizer}"
    if by == "rate" and options.get("optimizer_loop") == "fused":
        return f"{way}: a fused step may stop between two groups"
    return ""


def not_placed(device: str, mode: str, dtypes: Iterable[Dtype], contract: Contract) -> str:
    """Why a device does not run what a mode computes in some formats; "" where it does."""
    if device not in contract.device_names:
        return f"unknown device {echoed(device)}, it has {' and '.join(contract.device_names)}"
    row = contract.device(device)
    if mode in row.without:
        return f"no {mode} on {device}: {row.without[mode]}"
    lacking = [dtype for dtype in dtypes if row.dtypes and dtype not in row.dtypes]
    return f"no {lacking[0]} on {device}" if lacking else ""


def not_cast(averaged: bool, contract: Contract) -> str:
    """Why no model of a case can be cast; "" where it can."""
    if not contract["cast_in_place"]:
        return contract.said("cast_in_place")
    return "no documentation says what becomes of averages in the old dtype" if averaged else ""


def late_construction(
    program: Sequence[Action], ways: Sequence[str | None], contract: Contract
) -> int | None:
    """The first action that should be part of the model's making, and cannot be.

    It comes after one that is not, or its target has been made frozen already.
    """
    made: set[str] = set()
    for number, (action, way) in enumerate(zip(program, ways, strict=True)):
        if is_construction(action, way, contract):
            if len(made) < number or action.target in made:
                return number
            made.add(action.target)
    return None


def ungrouped(contract: Contract) -> str:
    """Why no weights of a case have a learning rate of their own; "" where they can."""
    return "" if contract["parameter_groups"] else contract.said("parameter_groups")


def unaccumulated(contract: Contract) -> str:
    """Why no optimizer adds up gradients over several steps; "" where one can."""
    return "" if contract["gradient_accumulation"] else contract.said("gradient_accumulation")


def not_climbing(optimizer: str, contract: Contract) -> str:
    """Why a backend has no such optimizer that maximizes; "" where it has one."""
    if optimizer in contract["maximizing"]:
        return ""
    return f"{contract.backend} has no {optimizer} that maximizes: {contract.said('maximizing')}"


def not_adding(optimizer: str, mode: Mode) -> str:
    """Why it is not known which steps of an optimizer only add up; "" where it is."""
    if "growth" in mode.traits:
        return "a step that the scale of the loss skips adds nothing up"
    return "muon raises at some steps, and not where it only adds up" if optimizer == "muon" else ""


def unsupported(layer: Layer, contract: Contract) -> str:
    """Why a backend cannot express a layer; "" where it can."""
    if layer.kind in contract.lacks:
        return contract.lacks[layer.kind]
    for point, value in layer.needs().items():
        if value not in contract[point]:
            return f"{contract.backend} has no {worded(point, value)}: {contract.said(point)}"
    return ""


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Case]:
    return TypeAdapter(Case)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; one that names a field twice would say two things."""
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{echoed(twice)} stands twice in one object")
    return document


def _step_without_optimizer(document: dict[str, Any]) -> str:
    """What is wrong with a document whose steps have no optimizer; "" where they have one."""
    program = document.get("program")
    if document.get("optimizer") is not None or not isinstance(program, list):
        return ""
    for number, action in enumerate(program):
        if isinstance(action, dict) and action.get("action") == "step":
            return f"optimizer: program[{number}] is a step, and the case has no optimizer"
    return ""


def _halves(document: Any, place: str = "") -> Iterator[str]:
    """The places of texts with half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    if isinstance(document, str):
        if any("\ud800" <= character <= "\udfff" for character in document):
            yield place
    elif isinstance(document, dict):
        for name, value in document.items():
            inside = f"{place}.{name}" if place else name
            yield from _halves(name, inside)
            yield from _halves(value, inside)
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _halves(value, f"{place}[{number}]")


def from_json(text: str | bytes) -> Case:
    """The case that `text` describes, checked; raises CaseError with one line."""
    return _parsed(text).check()


def _parsed(text: str | bytes) -> Case:
    """The case that `text` describes, whose parts may not fit together."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CaseError(f"not text in UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise CaseError("not JSON: begins with a byte order mark, save it without one")
    try:
        document = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CaseError("not a case: the file holds no JSON object")
    schema = document.get("schema")
    if schema != SCHEMA or type(schema) is not int:
        raise CaseError(
            f"schema: this version reads schema {SCHEMA}, the file has {echoed(schema)}"
        )
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        half = next(_halves(document), "")
        said = f"{shortened(half)}: holds half of a surrogate pair" if half else ""
        said = said or plainly(error.errors(include_url=False))
        raise CaseError(_step_without_optimizer(document) or said) from None


def read_case(path: Path | str) -> Case:
    """The case in the file at `path`; raises CaseError, naming the file."""
    return _read(path, from_json)


def read_offered(path: Path | str) -> tuple[Case, dict[str, str]]:
    """The case in a file on the backends that have all of it, and what each other lacks."""
    return _read(path, lambda text: _parsed(text).offered())


def _read(path: Path | str, reader: Callable[[bytes], T]) -> T:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise CaseError(f"{path}: {error.strerror or error}") from None
    try:
        return reader(text)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from None
