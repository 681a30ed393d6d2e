"""PyTorch: a case as the source of an eager training script in torch's own idiom.

This room never imports torch; only what it renders does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invariants.architecture.graph import Block, join
from invariants.backends.source import (
    NEWEST,
    arrays_of_a_batch,
    camel,
    definitions,
    indented,
    loss_lines,
    named_terms,
    placed_weight,
)
from invariants.backends.torch import actions, averages, functional, losses, modes, optimizers
from invariants.backends.torch.rows import LOWERINGS
from invariants.case import Case
from invariants.program import Freeze, Gradient, Learning, Step, Thaw

NAME = "torch"


def _class(case: Case, path: str, block: Block) -> list[str]:
    """The class of one block: its members and its forward."""
    placed = {p.path: p for p in case.architecture.layers}
    made, body = [], []
    values = [f"x{i}" for i in range(block.arity)]
    chained, functions = modes.sequence(case, path, block), list[str]()
    for number, node in enumerate(block.nodes):
        name = block.name(node.member)
        args = [values[i] for i in node.inputs]
        member: Any = block.members[node.member]
        if member.kind == "block":
            construct, call = f"{camel(join(path, name))}()", f"self.{name}({', '.join(args)})"
        else:
            row, specs = LOWERINGS[member.kind], placed[join(path, name)].specs
            construct = row.construct(member, specs) if row.construct else ""
            call = row.call(member, f"self.{name}", args, specs)
        call = modes.recomputed(case, path, number, call, f"self.{name}", args)
        line = f"self.{name} = {construct}"
        if construct and line not in made:
            made.append(line)
        values.append(f"x{block.arity + number}")
        if number in chained:
            functions.append(modes.function_of(call, f"self.{name}", *args))
            if number < chained[-1]:
                continue
            (start,) = block.nodes[chained[0]].inputs
            call = modes.in_sequence(case, functions, values[start])
        body.append(f"{values[-1]} = {call}")
    ends = (-1,) if path else case.architecture.output_values
    body.append(f"return {', '.join(values[n] for n in ends)}")
    head = f"def forward(self, {', '.join(values[: block.arity])}):"
    init = ["def __init__(self):", *indented(["super().__init__()", *made])]
    return [f"class {camel(path)}(nn.Module):", *indented([*init, "", head, *indented(body)])]


def _parameters(case: Case, left: frozenset[str] = frozenset()) -> str:
    """What the optimizer is given: all parameters, or those of each group and the others.

    left: the weights of whole layers that it is made without.
    """
    if left:
        paths = ", ".join(f'"{path}."' for path in sorted({w.rpartition(".")[0] for w in left}))
        kept = f"not name.startswith(({paths},))"
        if case.options(NAME)["optimizer_scope"] == "trainable":
            kept += " and p.requires_grad"
        return f"[p for name, p in model.named_parameters() if {kept}]"
    if case.options(NAME)["optimizer_scope"] == "trainable":
        return "[p for p in model.parameters() if p.requires_grad]"
    if not case.groups:
        return "model.parameters()"
    groups = [
        f'{{"params": {_attribute(case, module)}.parameters(), "lr": {rate!r}}}'
        for module, rate in case.groups.items()
    ]
    inside = ", ".join(f'"{module}."' for module in case.groups)
    others = f"[p for name, p in model.named_parameters() if not name.startswith(({inside},))]"
    return f'[{", ".join(groups)}, {{"params": {others}}}]'


#: Some of the parameters get a group with another learning rate; their state stays.
_SET_RATE = """\
def set_rate(optimizer, parameters, rate):
    chosen = {id(p) for p in parameters}
    for group in list(optimizer.param_groups):
        held = [p for p in group["params"] if id(p) in chosen]
        if len(held) == len(group["params"]):
            group["lr"] = rate
        elif held:
            group["params"] = [p for p in group["params"] if id(p) not in chosen]
            optimizer.add_param_group({**group, "params": held, "lr": rate})
"""


#: The part of a gradient that a mask leaves.
_EVERY_SECOND = """\
def every_second(gradient):
    mask = torch.arange(gradient.numel(), device=gradient.device) % 2
    return gradient * mask.reshape(gradient.shape)
"""


def _attribute(case: Case, target: str) -> str:
    """The expression of a module or a weight of the model."""
    if target in case.architecture.weights:
        path, native = placed_weight(case, target, LOWERINGS)
        target = f"{path}.{native.attribute or native.name}"
    return f"model.{target}" if target else "model"


def _hooks(case: Case, before: frozenset[str], after: frozenset[str]) -> list[str]:
    """The lines that register the hooks of weights, and take off others."""
    lines = [
        f'hooks["{name}"] = {_attribute(case, name)}.register_hook(every_second)'
        for name in sorted(after - before)
    ]
    lines += [f'hooks.pop("{name}").remove()' for name in sorted(before - after)]
    return lines or ["pass  # it is so already"]


def _masks(case: Case, number: int) -> list[str]:
    """The lines that mask the gradients that are there, between backward() and step()."""
    masked = sorted(case.course(NAME)[number].masked)
    if not masked:
        return []
    weights = ", ".join(_attribute(case, name) for name in masked)
    return [
        f"for parameter in ({weights},):",
        "    if parameter.grad is not None:",
        "        parameter.grad = every_second(parameter.grad)",
    ]


def _set_trainable(case: Case, number: int, action: Freeze | Thaw, way: str | None) -> list[str]:
    moment = case.course(NAME)[number]
    if way == "gradient_hook":
        before = case.course(NAME)[number - 1].hooked if number else frozenset[str]()
        after = moment.hooked | ({action.target} if moment.raises else set())
        return _hooks(case, before, after)
    if way == "masked_gradient":
        return ["pass  # the loop masks gradients from here on"]
    if way == "left_out":
        return optimizers.made(case, _parameters(case, moment.left))
    if way == "rate_zero":
        rate = case.optimizer.learning_rate * moment.factor if isinstance(action, Thaw) else 0.0
        module = _attribute(case, action.target)
        return [f"set_rate(optimizer, {module}.parameters(), {rate!r})"]
    target, value = _attribute(case, action.target), isinstance(action, Thaw)
    if way == "each_parameter":
        return [
            f"for parameter in {target}.parameters():",
            f"    parameter.requires_grad = {value}",
        ]
    if way == "tensor_attribute":
        return [f"{target}.requires_grad = {value}"]
    return [f"{target}.requires_grad_({value})"]


def _loss_functions(case: Case) -> list[str]:
    """The modules of the terms that have one, each under its name."""
    made = [(name, losses.made(term, spec)) for name, term, spec in named_terms(case)]
    return [f"{name} = {module}" for name, module in made if module]


def _penalties(case: Case) -> list[str]:
    """The lines that add the penalties to `loss`."""
    size = {"l1": "abs()", "l2": "square()"}
    return [
        f"loss = loss + {functional.share(case)}{factor!r} * {weight}.{size[kind]}.sum()"
        for name, penalty in case.penalties.items()
        for weight in (functional.penalised(case, name, _attribute(case, name)),)
        for kind, factor in penalty.parts
    ]


def _loss(case: Case) -> list[str]:
    """The lines that compute `loss`."""
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    value = losses.value_of_a_sample if functional.share(case) else losses.value
    return [*loss_lines(case, modes.called(case, names), value), *_penalties(case)]


def _clipping(case: Case) -> list[str]:
    """The lines that clip the gradients before a step."""
    if case.clip is None:
        return []
    loop = case.options(NAME)["optimizer_loop"]
    given = f"{case.clip.limit!r}, foreach={loop == 'foreach'}"
    if case.clip.kind == "value":
        return [f"torch.nn.utils.clip_grad_value_(model.parameters(), {given})"]
    if case.clip.kind == "global_norm":
        return [f"torch.nn.utils.clip_grad_norm_(model.parameters(), {given})"]
    each = f"    torch.nn.utils.clip_grad_norm_(parameter, {given})"
    return ["for parameter in model.parameters():", each]


def _learn(case: Case, number: int, action: Gradient | Step) -> list[str]:
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    more = action.more if isinstance(action, Step) else ()
    watched = () if more else case.watched
    taken = [f"{', '.join(arrays_of_a_batch(case))} = batch({action.batch})"]
    taken += [f"x{i}.requires_grad_()" for i in watched]
    seeded = [f"torch.manual_seed({case.seed})"] if case.draws_at(number) else []
    if seeded and case.first_of_its_size(number) and modes.draws_can_be_told(case):
        told = [f"draws({number}, {case.seed}, {', '.join(names)})"]
        taken += modes.surrounded(case, told) if modes.within(case) else told
    # An optimizer clears the gradients of what it holds alone.
    everything = case.options(NAME)["optimizer_scope"] == "all"
    everything &= "left_out" not in case.realisations[NAME].ways
    kept = "set_to_none=False" if case.options(NAME)["zero_grad"] == "zeros" else ""
    lines = [*seeded, f"{'optimizer' if everything else 'model'}.zero_grad({kept})"]
    if getattr(case.optimizer, "iterations", 1) > 1 and isinstance(action, Step):
        lines += [f"x{i}.grad = None" for i in watched]  # of what a closure has left
    learn = modes.learned(case, [*modes.evaluated(case, number), *_loss(case)], watched)
    lines += learn
    for batch in more:
        lines.append(f"{', '.join(arrays_of_a_batch(case))} = batch({batch})")
        lines += [*seeded, *learn]
    lines += modes.unscaled(case, watched, isinstance(action, Step))
    lines += _masks(case, number)
    if isinstance(action, Step):
        lines = optimizers.step(case, taken, [*lines, *_clipping(case)], bool(more))
        lines += averages.updated(case)
    else:
        lines = [*taken, *lines]
    inputs = "".join(f"({i}, x{i}), " for i in watched)
    extra = f", inputs=[{inputs[:-2]}]" if watched else ""
    extra += ", averaged=averaged.module" if case.average else ""
    return [*lines, f"record({number}, loss, optimizer{extra})"]


def render(case: Case, installed: Mapping[str, str] = NEWEST) -> str:
    """The source of the training script that runs `case`.

    installed: the versions of packages that it is for; by default today's.
    """
    ways = case.realisations[NAME].ways
    lines = [
        *actions.imports(case),
        "import torch",
        "from torch import nn",
        "from torch.nn import functional as F",
        *modes.imports(case),
        *case.runs_on(NAME).settings,
        "",
        "",
    ]
    lines += [*definitions(case, LOWERINGS), *optimizers.definitions(case)]
    lines += modes.functions(case)
    lines += [*_SET_RATE.splitlines(), "", ""] if "rate_zero" in ways else []
    if {"gradient_hook", "masked_gradient"}.intersection(ways):
        lines += [*_EVERY_SECOND.splitlines(), "", ""]
    for path, block in case.architecture.walk_blocks():
        lines += [*_class(case, path, block), "", ""]
    lines += [
        f"model = {modes.placed(case, case.dtype)}",
        "load(model)",
        f"model.{'train' if case.training else 'eval'}()",
        *modes.made(case),
        *_loss_functions(case),
        *modes.definitions(case, _loss(case)),
        *optimizers.made(case, _parameters(case)),
        *averages.made(case),
        *(["hooks = {}"] if "gradient_hook" in ways else []),
        *modes.begun(case),
    ]
    course, program = case.course(NAME), list[str]()
    for number, (action, way) in enumerate(zip(case.program, ways, strict=True)):
        if isinstance(action, Freeze | Thaw):
            body = _set_trainable(case, number, action, way)
        elif isinstance(action, Learning):
            body = _learn(case, number, action)
        else:
            made = optimizers.made(case, _parameters(case, course[number].left))
            body = actions.lines(case, number, action, way, made)
        program += ["", f"with action({number}):  # {action.action}", *indented(body)]
    return "\n".join([*lines, *modes.kept(case, program)]) + "\n"
