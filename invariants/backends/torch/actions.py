"""What a torch script does at an action that computes no gradients."""

from __future__ import annotations

from collections.abc import Sequence

from invariants.backends.torch import averages, modes, schedules
from invariants.case import Case
from invariants.oracle.contract import CONTRACTS
from invariants.program import Cast, Compile, Evaluate, Reload, SetMode, SetRate

NAME = "torch"

#: A checkpoint of all that trains, saved and read.
_SAVE_ALL = (
    "file = io.BytesIO()",
    "state = {{{state}}}",
    "torch.save(state, file)",
    "file.seek(0)",
    "saved = torch.load(file)",
)

#: Reload's way -> its lines, before the optimizer is made anew where it has to be.
_RELOADS: dict[str, Sequence[str]] = {
    "load_state_dict": (
        "file = io.BytesIO()",
        "torch.save(model.state_dict(), file)",
        "file.seek(0)",
        "model.load_state_dict(torch.load(file))",
    ),
    "averages": ("model.load_state_dict(averaged.module.state_dict())",),
    "checkpoint": (
        *_SAVE_ALL,
        'model.load_state_dict(saved["model"])',
    ),
    "new_module_checkpoint": (
        *_SAVE_ALL,
        "model = {model}",
        'model.load_state_dict(saved["model"])',
        "model.{mode}()",
    ),
    "assign": (
        "file = io.BytesIO()",
        "torch.save(model.state_dict(), file)",
        "file.seek(0)",
        "model.load_state_dict(torch.load(file), assign=True)",
    ),
    "new_module": (
        "state = model.state_dict()",
        "model = {model}",
        "model.load_state_dict(state)",
        "model.{mode}()",
    ),
    "new_module_assign": (
        "state = model.state_dict()",
        "model = Net()",
        "model.load_state_dict(state, assign=True)",
        "model.{mode}()",
    ),
    "whole_module": (
        "file = io.BytesIO()",
        "torch.save(model, file)",
        "file.seek(0)",
        "model = torch.load(file, weights_only=False)",
    ),
    "deepcopy": ("model = copy.deepcopy(model)",),
    "double_and_back": ("model.double()", "model.to(torch.{dtype})"),
}


#: dtype -> the method of a module that casts to it.
_CASTS = {"float64": "double", "float32": "float", "float16": "half", "bfloat16": "bfloat16"}


def _saved(case: Case) -> list[str]:
    """The entries of a checkpoint."""
    entries = ['"model": model.state_dict()', '"optimizer": optimizer.state_dict()']
    return [*entries, *schedules.saved(case), *averages.saved(case)]


def _loaded(case: Case) -> list[str]:
    """The lines that load a checkpoint into what has been made for the model."""
    optimizer = 'optimizer.load_state_dict(saved["optimizer"])'
    return [optimizer, *schedules.loaded(case), *averages.loaded(case)]


def _mode(training: bool) -> str:
    return "train" if training else "eval"


def _reload(case: Case, number: int, way: str, optimizer: Sequence[str]) -> list[str]:
    dtype = case.dtypes[number]
    named = {"dtype": dtype, "mode": _mode(case.modes[number]), "model": modes.placed(case, dtype)}
    lines = [line.format(**named, state=", ".join(_saved(case))) for line in _RELOADS[way]]
    if any(line.startswith("model = ") for line in lines):
        lines += modes.made(case)
    lines.append("follow(model)")
    left = CONTRACTS[NAME].reloading(way).optimizer
    lines += optimizer if left != "kept" else []
    return [*lines, *(_loaded(case) if left == "loaded" else [])]


def _evaluate(case: Case, number: int, action: Evaluate, way: str) -> list[str]:
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    mode, back = _mode(action.training), _mode(case.mode_before(number))
    lines = [f"{', '.join(names)}, *_ = batch({action.batch})"]
    if way == "averaged_model":
        call = f"    averaged({', '.join(names)})"
        return [*lines, "averaged.eval()", "with torch.no_grad():", call]
    lines += [f"model.{mode}()"] if mode != back else []
    lines += [
        f"with torch.{way}(){modes.within(case)}:",
        f"    {modes.runs(case)}({', '.join(names)})",
    ]
    return lines + ([f"model.{back}()"] if mode != back else [])


def lines(
    case: Case,
    number: int,
    action: Evaluate | SetMode | SetRate | Compile | Cast | Reload,
    way: str | None,
    optimizer: Sequence[str],
) -> list[str]:
    """The lines of action `number`; optimizer: those that make one."""
    if isinstance(action, Evaluate):
        done = _evaluate(case, number, action, way or "")
    elif isinstance(action, SetMode):
        done = [f"model.{_mode(action.training)}()"]
    elif isinstance(action, SetRate):
        firsts = (*case.groups.values(), case.optimizer.learning_rate)
        rates = [rate * action.factor for rate in firsts]
        if case.groups:
            done = [f"for group, rate in zip(optimizer.param_groups, {rates!r}):"]
            done.append('    group["lr"] = rate')
        elif "rate_zero" in case.realisations[NAME].ways:
            done = ["for group in optimizer.param_groups:", '    if group["lr"]:']
            done.append(f'        group["lr"] = {rates[0]!r}')
        else:
            done = ["for group in optimizer.param_groups:", f'    group["lr"] = {rates[0]!r}']
    elif isinstance(action, Compile):
        done = [*optimizer]
    elif isinstance(action, Cast):
        done = [f"model.{_CASTS[action.dtype]}()", *optimizer]
    else:
        done = _reload(case, number, way or "", optimizer)
    return [*done, f"note({number})"]


def imports(case: Case) -> list[str]:
    """What the program needs of the standard library."""
    ways = case.realisations[NAME].ways
    needed = [line for way in ways for line in _RELOADS.get(way or "", ())]
    return [
        f"import {module}"
        for module in ("copy", "io")
        if module in modes.modules(case) or any(f"{module}." in line for line in needed)
    ]
