"""What a mode adds to a torch script.

A mode is named by the realisation of a case; its traits in the contract say which of these lines it
takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invariants.architecture.graph import Block
from invariants.backends.source import arrays_of_a_batch, indented
from invariants.backends.torch import functional
from invariants.case import Case
from invariants.stretches import SEGMENTS, chain, in_segments, stretches

NAME = "torch"


def traits(case: Case) -> Mapping[str, str]:
    """What the mode of a case does."""
    return case.runs_in(NAME).traits


def placed(case: Case, dtype: str) -> str:
    """The expression of a new model in a dtype, where the case runs."""
    row = case.runs_on(NAME)
    place = f'"{row.place}", ' if row.name != "cpu" else ""
    return f"Net().to({place}torch.{dtype})"


def _compile(case: Case) -> str:
    """The arguments of torch.compile."""
    dynamic = traits(case).get("dynamic")
    return f'backend="{traits(case)["compile"]}"' + (f", dynamic={dynamic}" if dynamic else "")


def _member(case: Case) -> str:
    """The first submodule of the network, or the first of its layers that has weights."""
    weighted = [placed.path for placed in case.architecture.layers if placed.parameters]
    return (*case.architecture.blocks, *weighted)[0]


def made(case: Case) -> list[str]:
    """The lines behind those that make a model, or another one."""
    of = traits(case).get("of")
    if of == "model":
        return [f"run = torch.compile(model, {_compile(case)})"]
    if of == "method":
        return [f"model.compile({_compile(case)})"]
    if of == "member":
        return [f"model.{_member(case)}.compile({_compile(case)})"]
    if traits(case).get("hooked") == "model":
        return ["model.register_full_backward_hook(passed_on)"]
    return ["hook(model)"] if traits(case).get("functions") == "hooks" else []


def runs(case: Case) -> str:
    """What is called to run the model."""
    return "run" if traits(case).get("of") == "model" else "model"


#: What the contexts and hooks of modes are given.
_FUNCTIONS = {
    "packed": """\
def packed(tensor):
    file = io.BytesIO()
    torch.save(tensor, file)
    return file


def unpacked(file):
    file.seek(0)
    return torch.load(file)
""",
    "scaling": """\
def unscale(scaler, optimizer, tensors):
    groups = optimizer.param_groups
    held = [p for group in groups for p in group["params"] if p.grad is not None]
    known = {id(p) for p in held}
    for tensor in tensors:
        if tensor.grad is not None and id(tensor) not in known:
            tensor.grad.mul_(1.0 / scaler.get_scale())
    if held:
        scaler.unscale_(optimizer)
    return bool(held)


def step(scaler, optimizer):
    try:
        scaler.step(optimizer)
    finally:
        scaler.update()
""",
    "linearized": """\
def linearized(function, primals):
    loss, jvp = torch.func.linearize(function, *primals)
    sizes = [primal.numel() for primal in primals]
    units = torch.eye(sum(sizes), dtype=loss.dtype, device=loss.device).split(sizes, dim=1)
    tangents = (unit.reshape(-1, *p.shape) for unit, p in zip(units, primals))
    columns = torch.vmap(jvp)(*tangents).split(sizes)
    return [column.reshape(p.shape) for column, p in zip(columns, primals)], loss
""",
    "model_hook": """\
def passed_on(module, grad_input, grad_output):
    return grad_input
""",
    "hooks": """\
def passed_on(module, grad_input, grad_output):
    return grad_input


def passed_on_alone(gradient):
    return gradient


def hook(model):
    for name, module in model.named_modules():
        if name:
            module.register_full_backward_hook(passed_on)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_hook(passed_on_alone)
""",
}


def functions(case: Case) -> list[str]:
    """The functions on top of a script that a mode needs."""
    text = _FUNCTIONS.get(traits(case).get("functions", ""), "")
    return [*text.splitlines(), "", ""] if text else []


def definitions(case: Case, loss: Sequence[str]) -> list[str]:
    """The function of a script that is compiled or differentiated, where there is one.

    loss: the lines that compute `loss`.
    """
    of, arrays = traits(case).get("of"), arrays_of_a_batch(case)
    if "functional" in traits(case):
        return functional.definition(case, loss)
    if of not in ("loss", "step"):
        return []
    body = [*loss, *(["loss.backward()"] if of == "step" else []), "return loss"]
    head = [f"@torch.compile({_compile(case)})", f"def {of}_of({', '.join(arrays)}):"]
    return ["", *head, *indented(body), ""]


def called(case: Case, names: Sequence[str]) -> str:
    """The call of the model on its inputs, where it is to learn."""
    if "functional" in traits(case):
        return functional.call(names)
    return f"{runs(case)}({', '.join(names)})"


def surrounded(case: Case, lines: Sequence[str]) -> list[str]:
    """The lines in the context of the mode, where it has one."""
    if "within" not in traits(case):
        return [*lines]
    return [f"with {traits(case)['within']}:", *indented(lines)]


def evaluated(case: Case, number: int) -> list[str]:
    """The lines of an evaluation before the forward pass of action `number`, in its context."""
    if "evaluated" not in traits(case):
        return []
    inputs = ", ".join(f"x{n}" for n in range(len(case.architecture.inputs)))
    lines = ["with torch.no_grad():", f"    model({inputs})"]
    return ["model.eval()", *lines, "model.train()"] if case.modes[number] else lines


def _outside(case: Case, line: str) -> list[str]:
    """A line that the region which the mode keeps is not for."""
    if "kept" not in traits(case):
        return [line]
    return ['with torch.autocast("cpu", enabled=False):', f"    {line}"]


#: What propagates the loss: two passes through one graph, whose halves add up to the gradient.
_RETAINED = (
    "loss.backward(torch.full_like(loss, 0.5), retain_graph=True)",
    "loss.backward(torch.full_like(loss, 0.5))",
)


def _second_order(case: Case, watched: Sequence[int]) -> list[str]:
    """The lines that propagate a loss to which half of its derivative along what it is by is added.

    Its gradient has that of a gradient in it: a product of the Hessian matrix and this direction.
    """
    trained = "p for p in model.parameters() if p.requires_grad"
    by = ", ".join([f"*({trained})", *(f"x{n}" for n in watched)]) if watched else trained
    options = f"{traits(case)['second_order']}, allow_unused=True"
    return [
        f"by = [{by}]",
        f"gradients = torch.autograd.grad(loss, by, {options})",
        "slopes = [(g * p.detach()).sum() for g, p in zip(gradients, by) if g is not None]",
        "(loss + 0.5 * sum(slopes)).backward()",
    ]


def learned(case: Case, loss: Sequence[str], watched: Sequence[int]) -> list[str]:
    """The lines that leave the gradients of a batch.

    loss: the lines that compute `loss`. watched: the inputs whose gradients are to be left, too.
    """
    of, arrays = traits(case).get("of"), ", ".join(arrays_of_a_batch(case))
    if "functional" in traits(case):
        return functional.learned(case, watched)
    if of == "step":
        return [f"loss = step_of({arrays})"]
    lines = [f"loss = loss_of({arrays})"] if of == "loss" else list(loss)
    lines = surrounded(case, lines)
    if "retained" in traits(case):
        return [*lines, *_RETAINED]
    if "second_order" in traits(case):
        return [*lines, *_second_order(case, watched)]
    loss_of = "scaler.scale(loss)" if "scale" in traits(case) else "loss"
    return [*lines, *_outside(case, f"{loss_of}.backward()")]


def unscaled(case: Case, watched: Sequence[int], steps: bool) -> list[str]:
    """The lines that divide what has been left by the scale of the loss, before a step or not."""
    if "scale" not in traits(case):
        return []
    tensors = ", ".join(["*model.parameters()", *(f"x{n}" for n in watched)])
    checked = f"unscale(scaler, optimizer, [{tensors}])"
    return [f"checked = {checked}"] if steps else [f"if {checked}:", "    scaler.update()"]


def stepped(case: Case) -> list[str]:
    """The lines of an optimizer's step."""
    if "scale" not in traits(case):
        return _outside(case, "optimizer.step()")
    return ["if checked:", "    step(scaler, optimizer)", "else:", "    optimizer.step()"]


def begun(case: Case) -> list[str]:
    """The lines before all actions."""
    scale = traits(case).get("scale")
    return [f'scaler = torch.amp.GradScaler("cpu", init_scale={scale})'] if scale else []


def within(case: Case) -> str:
    """The context, behind others, in which a forward pass without gradients runs, too."""
    region = traits(case).get("within", "") if "autocast" in traits(case) else ""
    return f", {region}" if region else ""


def kept(case: Case, actions: Sequence[str]) -> list[str]:
    """The lines of all actions, in one region where the mode does not leave it."""
    if "kept" not in traits(case):
        return [*actions]
    return ["", f"with {traits(case)['kept']}:", *indented(actions)]


def modules(case: Case) -> tuple[str, ...]:
    """The modules of the standard library that a mode needs."""
    return ("io",) if traits(case).get("functions") == "packed" else ()


def imports(case: Case) -> list[str]:
    """What a mode imports beside torch."""
    if not {"checkpoint", "stretches"} & {*traits(case)}:
        return []
    function = "checkpoint_sequential" if "sequence" in traits(case) else "checkpoint"
    return [f"from torch.utils.checkpoint import {function}"]


def recomputed(
    case: Case, path: str, number: int, call: str, module: str, args: Sequence[str]
) -> str:
    """The call of a module by a node of the block at `path`, recomputed where the mode says so."""
    given, plain = ", ".join(args), call == f"{module}({', '.join(args)})"
    if "sequence" in traits(case):
        return call
    if "checkpoint" in traits(case):
        return f"checkpoint({module}, {given}, {traits(case)['checkpoint']})" if plain else call
    if "stretches" not in traits(case) or path or number not in stretches(case.architecture):
        return call
    once = ", ".join(dict.fromkeys(args))
    function, given = (module, given) if plain else (f"lambda {once}: {call}", once)
    return f"checkpoint({function}, {given}, {traits(case)['stretches']})"


def sequence(case: Case, path: str, block: Block) -> range:
    """The nodes of the block at `path` that are given to checkpoint_sequential."""
    if "sequence" not in traits(case):
        return range(0)
    if "stretches" in traits(case):
        return range(0) if path else in_segments(case.architecture)
    return chain(block, () if path else case.architecture.output_values)


def function_of(call: str, module: str, value: str) -> str:
    """A call of a module on one value, as a function of it."""
    return module if call == f"{module}({value})" else f"lambda {value}: {call}"


def in_sequence(case: Case, functions: Sequence[str], value: str) -> str:
    """The call of functions one after the other, in some segments, the last one kept."""
    given = f"[{', '.join(functions)}], {min(SEGMENTS, len(functions))}, {value}"
    variant = traits(case).get("checkpoint") or traits(case)["stretches"]
    return f"checkpoint_sequential({given}, {variant})"


def draws_can_be_told(case: Case) -> bool:
    """Whether what random layers draw can be asked for.

    A compiled graph may draw otherwise, and a transformation of torch.func does not know in which
    order the elements of a tensor lie.
    """
    return not {"compile", "functional"} & traits(case).keys()
