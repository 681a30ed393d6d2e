"""What a mode adds to a torch script.

A mode is named by the realisation of a case; its traits in the contract say which of these lines it
takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invariants.backends.source import arrays_of_a_batch, indented
from invariants.case import Case
from invariants.oracle.contract import CONTRACTS

NAME = "torch"


def traits(case: Case) -> Mapping[str, str]:
    """What the mode of a case does."""
    return CONTRACTS[NAME].mode(case.realisations[NAME].mode).traits


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
    return []


def called(case: Case) -> str:
    """What is called to run the model."""
    return "run" if traits(case).get("of") == "model" else "model"


def definitions(case: Case, loss: Sequence[str]) -> list[str]:
    """The function that is compiled, where it is one of the script.

    loss: the lines that compute `loss`.
    """
    of = traits(case).get("of")
    if of not in ("loss", "step"):
        return []
    body = [*loss, *(["loss.backward()"] if of == "step" else []), "return loss"]
    return [
        "",
        f"@torch.compile({_compile(case)})",
        f"def {of}_of({', '.join(arrays_of_a_batch(case))}):",
        *indented(body),
        "",
    ]


def learned(case: Case, loss: Sequence[str]) -> list[str]:
    """The lines that leave the gradients of a batch; loss: those that compute `loss`."""
    of, arrays = traits(case).get("of"), ", ".join(arrays_of_a_batch(case))
    if of == "step":
        return [f"loss = step_of({arrays})"]
    return [*([f"loss = loss_of({arrays})"] if of == "loss" else loss), "loss.backward()"]


def imports(case: Case) -> list[str]:
    """What a mode imports beside torch."""
    if "checkpoint" not in traits(case):
        return []
    return ["from torch.utils.checkpoint import checkpoint"]


def recomputed(case: Case, call: str, module: str, args: Sequence[str]) -> str:
    """The call of a module in a forward pass, checkpointed where the mode says so."""
    options = traits(case).get("checkpoint")
    if not options or call != f"{module}({', '.join(args)})":
        return call
    return f"checkpoint({module}, {', '.join(args)}, {options})"


def draws_can_be_told(case: Case) -> bool:
    """Whether what random layers draw can be asked for: a compiled graph may draw otherwise."""
    return "compile" not in traits(case)
