"""A case in text: its architecture as a graph for a terminal, and its program as numbered lines.

The graph is drawn as `git log --graph` draws history: a rail for each value that is still needed,
a mark where a layer makes a new one. Names stand beside it, those of a submodule in a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import count
from textwrap import wrap
from typing import Literal

from invariants.architecture.graph import Architecture, Block, join, within
from invariants.architecture.layers.base import Layer, Parameter, Spec
from invariants.case import Case
from invariants.freezing import Flags
from invariants.objective import Term
from invariants.oracle.losses import LOSSES
from invariants.program import (
    Action,
    Cast,
    Compile,
    Evaluate,
    Gradient,
    Reload,
    SetMode,
    SetRate,
    Step,
)
from invariants.report.layout import Rails

#: Lines are at most this long, unless one name alone is longer.
COLUMNS = 96
_NAME_COLUMN, _SHAPE_COLUMN = 36, 16

Status = Literal["trainable", "frozen", "partly frozen", "constant", "no weights"]

#: Hyperparameters that the shapes of weights and values tell.
_EVIDENT = {
    "kind",
    "use_bias",
    "units",
    "filters",
    "kernel_size",
    "features",
    "components",
    "shape",
}

# --- the calls of a network -----------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of a submodule with the calls that it makes itself.

    inputs: values of the flow around it, its inputs first, then results. turn: 1 for the first
    call of this member, 2 for the second.
    """

    path: str
    turn: int
    inputs: tuple[int, ...]
    output: Spec
    layer: Layer | None = None
    parameters: tuple[Parameter, ...] = ()
    body: Flow | None = None

    @property
    def again(self) -> str:
        """ "2nd call" and so on; nothing for the first."""
        if self.turn == 1:
            return ""
        return f"{self.turn}{ {2: 'nd', 3: 'rd'}.get(self.turn, 'th') } call"

    @property
    def label(self) -> str:
        return f"{self.path} ({self.again})" if self.again else self.path


@dataclass(frozen=True)
class Flow:
    """What one call of a block does; the result of the last call is its own."""

    inputs: tuple[Spec, ...]
    calls: tuple[Call, ...]


def unroll(architecture: Architecture) -> Flow:
    """Every call of a forward pass, a layer that is called twice in two places."""
    parameters = {placed.path: placed.parameters for placed in architecture.layers}
    turns: dict[str, int] = {}

    def flow(block: Block, path: str, inputs: tuple[Spec, ...]) -> Flow:
        values, calls = list(inputs), []
        for node in block.nodes:
            name, member = join(path, block.name(node.member)), block.members[node.member]
            turn = turns[name] = turns.get(name, 0) + 1
            given = tuple(values[i] for i in node.inputs)
            if isinstance(member, Block):
                body = flow(member, name, given)
                call = Call(name, turn, node.inputs, body.calls[-1].output, body=body)
            else:
                output = member.output(given)
                call = Call(name, turn, node.inputs, output, member, parameters[name])
            calls.append(call)
            values.append(call.output)
        return Flow(inputs, tuple(calls))

    return flow(architecture.network, "", architecture.inputs)


def status(flags: Flags, path: str) -> Status:
    """What `flags` make of the weights of a layer or a submodule."""
    weights = flags.architecture.weights_in(path)
    frozen = sum(weight in flags.frozen for weight in weights)
    if weights:
        return "trainable" if not frozen else "partly frozen" if frozen < len(weights) else "frozen"
    inside = [p for name, p in flags.architecture.parameters.items() if within(name, path)]
    return "constant" if any(p.role == "constant" for p in inside) else "no weights"


def parameter_status(flags: Flags, path: str, parameter: Parameter) -> str:
    """ "frozen", "trainable", or what else than a weight the parameter is."""
    if parameter.role != "weight":
        return parameter.role
    return "frozen" if join(path, parameter.name) in flags.frozen else "trainable"


def term_title(term: Term) -> str:
    """One term of the objective in words: "0.5 × hinge loss, summed, masked"."""
    weight = "" if term.weight == 1.0 else f"{term.weight:g} × "
    summed = {"sum": ", summed", "batchmean": ", summed and divided by the batch's size"}
    weighted = {"none": "", "samples": ", weighted", "mask": ", masked"}[term.weighting]
    return f"{weight}{LOSSES[term.loss].title}{summed.get(term.reduction, '')}{weighted}"


def details(layer: Layer) -> str:
    """The hyperparameters that are neither at their default nor evident from shapes."""
    words = []
    for item in fields(layer):
        value = getattr(layer, item.name)
        if item.name not in _EVIDENT and value != item.default:
            name = item.name.replace("_", " ")
            text = "×".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
            words.append(name if value is True else f"{name} {text}")
    return ", ".join(words)


def shape(spec: Spec) -> str:
    """The shape of a value; of indices also how many there are."""
    indices = "" if spec.vocabulary is None else f" of 0..{spec.vocabulary - 1}"
    return f"{extents(spec.shape)}{indices}"


def extents(numbers: Sequence[int]) -> str:
    return f"({', '.join(map(str, numbers))}{',' if len(numbers) == 1 else ''})"


# --- the architecture in text ---------------------------------------------------------------------

_MARKS: dict[Status, str] = {
    "trainable": "■",
    "frozen": "□",
    "partly frozen": "◧",
    "constant": "▨",
    "no weights": "○",
}
_INPUT, _LOSS = "●", "▼"

_ASCII = str.maketrans(
    {
        **dict.fromkeys("├┤┼╯╰╮╭┴┬", "+"),
        **dict(zip("│─■□◧▨○●▼❄▶×·", "|-#*%=o@v*>x-", strict=True)),
        "◀": "<--",
    }
)


@dataclass(frozen=True)
class _Row:
    """A line of the picture: rails, frame and name, a shape, notes; and what goes below it."""

    rails: str
    name: str
    shape: str = ""
    notes: tuple[str, ...] = ()
    below: str = ""  # the rails
    indent: str = ""  # the frame
    arrow: bool = False


@dataclass(frozen=True)
class _Event:
    """A call of a layer, or the start or the end of a submodule's (`output` is -1 there)."""

    call: Call
    depth: int
    sources: tuple[tuple[int, str], ...] = ()  # values and what they are called here
    output: int = -1
    ends: bool = False


def _events(flow: Flow, names: Sequence[str]) -> tuple[list[_Event], list[tuple[int, str]]]:
    """All calls in their order, and the network's own values by their numbers and names.

    Values are numbered through, the network's inputs first.
    """
    events: list[_Event] = []
    numbers = count(len(names))

    def walk(inner: Flow, values: list[tuple[int, str]], depth: int) -> int:
        for call in inner.calls:
            sources = tuple(values[i] for i in call.inputs)
            if call.body is None:
                output = next(numbers)
                events.append(_Event(call, depth, sources, output))
            else:
                events.append(_Event(call, depth, sources))
                output = walk(call.body, list(sources), depth + 1)
                events.append(_Event(call, depth, ends=True))
            values.append((output, call.label))
        return values[-1][0]

    values = list(enumerate(names))
    walk(flow, values, 0)
    return events, values


class _Drawing:
    """Writes line by line, from the inputs to the loss."""

    def __init__(self, flags: Flags, highlight: str) -> None:
        self.flags = flags
        self.highlight = highlight
        self.rails = Rails()
        self.rows: list[_Row] = []
        self.marks: list[tuple[str, str]] = []  # and what they stand for

    def draw(self, case: Case) -> list[_Row]:
        flow = unroll(case.architecture)
        names = [f"input_{number}" for number in range(len(flow.inputs))]
        for number, (name, spec) in enumerate(zip(names, flow.inputs, strict=True)):
            _, at = self.rails.advance(set(), set(), number)
            self.row(name, shape(spec), mark=(_INPUT, "input"), at=at, path=name)
        events, values = _events(flow, names)
        outputs = [values[n] for n in case.architecture.output_values]
        last = {value: n for n, event in enumerate(events) for value, _ in event.sources}
        last |= dict.fromkeys((number for number, _ in outputs), len(events))
        for number, event in enumerate(events):
            call, depth = event.call, event.depth
            if event.ends:
                self.row("╰", depth=depth)
            elif call.body is not None:
                size, notes = shape(call.output), self.notes(event)
                self.row(f"╭ {call.label}", size, notes, depth, path=call.path)
            else:
                self.layer(event, {value for value, _ in event.sources if last[value] == number})
        used = {outputs[term.output][0] for term in case.objective}
        line, at = self.rails.advance(used, {number for number, _ in outputs}, -1)
        if line:
            self.rows.append(_Row(line, ""))
        told = [f"{term_title(t)} of {outputs[t.output][1]}" for t in case.objective]
        told += [
            f"{kind} {factor:g} of {name}"
            for name, penalty in case.penalties.items()
            for kind, factor in penalty.parts
        ]
        self.row("loss", "()", tuple(told), mark=(_LOSS, "loss"), at=at)
        return self.rows

    def layer(self, event: _Event, done: set[int]) -> None:
        call = event.call
        inputs = {value for value, _ in event.sources}
        line, at = self.rails.advance(inputs, done, event.output)
        if line:
            self.rows.append(_Row(line, "│ " * event.depth))
        kind = status(self.flags, call.path)
        size, notes, mark = shape(call.output), self.notes(event), (_MARKS[kind], kind)
        self.row(call.label, size, notes, event.depth, mark, at, call.path)
        for parameter in call.parameters if call.turn == 1 else ():
            path = join(call.path, parameter.name)
            kept = parameter_status(self.flags, call.path, parameter)
            notes = {"trainable": (), "frozen": ("❄ frozen",)}.get(kept, (kept,))
            size = f"  {extents(parameter.shape)}"
            self.row(f"  {parameter.name}", size, notes, event.depth, path=path)

    def notes(self, event: _Event) -> tuple[str, ...]:
        """Where a call takes its values from, what freezing makes of it, its hyperparameters."""
        path, layer = event.call.path, event.call.layer
        notes = ["from " + ", ".join(name for _, name in event.sources)]
        kind = status(self.flags, path)
        if "frozen" in kind:
            notes.append(f"❄ {kind}")
        elif kind == "constant":
            notes.append(kind)
        if path in self.flags.flagged and kind != "no weights":
            notes.append("flag set")
        return (*notes, *([details(layer)] if layer is not None and details(layer) else []))

    def row(
        self,
        name: str,
        size: str = "",
        notes: tuple[str, ...] = (),
        depth: int = 0,
        mark: tuple[str, str] | None = None,
        at: int = -1,
        path: str = "",
    ) -> None:
        rails = below = self.rails.show()
        if mark is not None:
            rails = self.rails.show(mark[0], at)
            self.marks += [mark] if mark not in self.marks else []
        arrow = bool(path) and path == self.highlight
        frame = "│ " * depth
        inner = "│ " if name.startswith("╭") else ""
        self.rows.append(_Row(rails, frame + name, size, notes, below, f"{frame}{inner}  ", arrow))


def _lines(rows: Sequence[_Row]) -> Iterator[str]:
    """The rows in columns; what does not fit beside a name goes below it."""
    rails = max(len(row.rails) for row in rows) + 2
    names = min(max(len(row.name) for row in rows), _NAME_COLUMN)
    shapes = min(max(len(row.shape) for row in rows), _SHAPE_COLUMN)
    for row in rows:
        arrow = "  ◀" if row.arrow else ""
        head = f"{row.rails:<{rails}}{row.name:<{names}}  {row.shape:<{shapes}}"
        line = "  ".join([head, " · ".join(row.notes)]) if row.notes else head
        if len(line) + len(arrow) <= COLUMNS:
            yield line.rstrip() + arrow
            continue
        yield head.rstrip() + arrow
        start = f"{row.below:<{rails}}{row.indent}"
        yield from _wrapped(" · ".join(row.notes), start)


def _wrapped(words: str, start: str) -> Iterator[str]:
    for line in wrap(words, COLUMNS - len(start), break_long_words=False, break_on_hyphens=False):
        yield start + line


def text(case: Case, flags: Flags, highlight: str = "", *, ascii: bool = False) -> str:
    """The architecture as a graph, from top to bottom, with what is frozen under `flags`.

    highlight: a weight, an input or a module that gets an arrow. ascii: for terminals that can
    show nothing else.
    """
    drawing = _Drawing(flags, highlight)
    lines = list(_lines(drawing.draw(case)))
    order = [_INPUT, *_MARKS.values(), _LOSS]
    marks = sorted(drawing.marks, key=lambda told: order.index(told[0]))
    legend = "   ".join(f"{mark} {meaning}" for mark, meaning in marks)
    drawn = "\n".join([*lines, "", *_wrapped(legend, "")])
    return drawn.translate(_ASCII) if ascii else drawn


# --- the program in text --------------------------------------------------------------------------


def program(
    case: Case, backend: str | None = None, mark: int | None = None, *, ascii: bool = False
) -> str:
    """The program, an action a line, numbered as findings number them.

    backend: also how it freezes and thaws, and how many weights are frozen then. mark: the number
    of the action to point at, -1 for what comes before the first.
    """
    if backend is not None and backend not in case.realisations:
        known = ", ".join(case.realisations)
        raise ValueError(f"the case has realisations for {known}, not for {backend!r}")
    width = len(str(len(case.program) - 1))
    lines = [f"{'▶' if mark == -1 else ' '} {'':>{width}}  {_where(case, backend)}"]
    lines += _wrapped(_training(case), " " * (width + 4))
    for number, line in enumerate(_actions(case, backend)):
        pointer, arrow = ("▶", "  ◀") if number == mark else (" ", "")
        lines.append(f"{pointer} {number:>{width}}  {line}{arrow}")
    drawn = "\n".join(lines)
    return drawn.translate(_ASCII) if ascii else drawn


def _where(case: Case, backend: str | None) -> str:
    where = ""
    if backend is not None:
        realisation = case.realisations[backend]
        on = "" if realisation.device == "cpu" else f" on {realisation.device}"
        where = f"{backend}{on}, {realisation.mode}, "
    return f"{where}{case.dtype}, {'training' if case.training else 'inference'} mode"


def _training(case: Case) -> str:
    """Loss and optimizer with what is not zero of its hyperparameters."""
    numbers = {
        item.name: getattr(case.optimizer, item.name)
        for item in fields(case.optimizer)
        if item.name != "kind"
    }
    told = ", ".join(f"{name} {value:g}" for name, value in numbers.items() if value)
    optimizer = f"{type(case.optimizer).__name__} ({told.replace('_', ' ')})"
    penalties = sorted({f"{p.kind} penalty" for p in case.penalties.values()})
    losses = " + ".join([*map(term_title, case.objective), *penalties])
    groups = "".join(f", {rate:g} for {module}" for module, rate in case.groups.items())
    kind = case.clip.kind.replace("_", " ") if case.clip else ""
    clipping = f", {kind} clipped at {case.clip.limit:g}" if case.clip else ""
    every = f", at every {case.accumulation} steps" if case.accumulation > 1 else ""
    parts = [f"{losses} by {optimizer}{groups}{clipping}{every}", _scheduled(case), _averaged(case)]
    aim = "maximises" if case.maximize else "minimises"
    return f"{aim} {', '.join(part for part in parts if part)}"


def _scheduled(case: Case) -> str:
    """The schedule with its settings, "" without one."""
    if case.schedule is None:
        return ""
    settings = {f.name: getattr(case.schedule, f.name) for f in fields(case.schedule)}
    kind = settings.pop("kind")
    told = [f"{name} {value:g}" for name, value in settings.items() if isinstance(value, float)]
    told += [f"{name} {value}" for name, value in settings.items() if type(value) is int]
    told += [name for name, value in settings.items() if value is True]
    told += [f"{n} {', '.join(map(str, v))}" for n, v in settings.items() if isinstance(v, tuple)]
    return f"{kind.replace('_', ' ')} schedule ({', '.join(told)})"


def _averaged(case: Case) -> str:
    """The average with its settings, "" without one."""
    average = case.average
    if average is None:
        return ""
    kind = "equal" if average.kind == "equal" else f"exponential ({average.decay:g})"
    buffers = " of states as well" if average.buffers else ""
    often = f", which they become after every {average.overwrite} steps"
    return f"{kind} averages of weights{buffers}{often if average.overwrite else ''}"


def _actions(case: Case, backend: str | None) -> Iterator[str]:
    plain = [_action(action) for action in case.program]
    if backend is None:
        yield from plain
        return
    ways = [f"[{way}]" if way else "" for way in case.realisations[backend].ways]
    left, middle = (max(map(len, column)) for column in (plain, ways))
    total = len(case.architecture.weights)
    for line, way, flags in zip(plain, ways, case.flags(backend), strict=True):
        told = f"{line:<{left}}  {way:<{middle}}  {len(flags.frozen)} of {total} frozen"
        yield told if way else line


def _action(action: Action) -> str:
    if isinstance(action, Gradient):
        return f"gradient of batch {action.batch}"
    if isinstance(action, Step):
        return f"step on batch {' and '.join(map(str, (action.batch, *action.more)))}"
    if isinstance(action, Evaluate):
        mode = "training" if action.training else "inference"
        return f"evaluate batch {action.batch} in {mode} mode"
    if isinstance(action, SetMode):
        return f"go on in {'training' if action.training else 'inference'} mode"
    if isinstance(action, Cast):
        return f"cast to {action.dtype}"
    if isinstance(action, SetRate):
        return f"go on with {action.factor:g} times the learning rate"
    if isinstance(action, Compile):
        return "make a new optimizer"
    if isinstance(action, Reload):
        return "save and load"
    return f"{action.action} {action.target or 'the whole network'}"
