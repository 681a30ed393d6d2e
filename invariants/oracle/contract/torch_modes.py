"""The modes in which people train with PyTorch, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Mode

_TORCH = "https://docs.pytorch.org/docs/stable/"

_COMPILE = _TORCH + "generated/torch.compile.html"

_COMPILED = (
    "Optimizes given model/function using TorchDynamo and specified backend; what a compiled graph "
    "rests on is checked by guards at each call, and compiled anew where it has changed."
)

_CHECKPOINT = _TORCH + "checkpoint.html#torch.utils.checkpoint.checkpoint"

_RECOMPUTED = (
    "Activation checkpointing trades compute for memory: tensors that the backward pass needs are "
    "recomputed during it instead of saved."
)


def _compiled(name: str, of: str, backend: str = "aot_eager", **traits: str) -> Mode:
    return Mode(
        name,
        _COMPILED,
        _COMPILE,
        traits={"compile": backend, "of": of, **traits},
        seconds=1.5 if backend == "aot_eager" else 20.0,
    )


MODES: tuple[Mode, ...] = (
    Mode(
        "eager",
        "Computed gradients accumulate in the grad of leaf tensors that require one.",
        _TORCH + "notes/autograd.html",
    ),
    _compiled("compiled", "model"),
    _compiled("compiled_in_place", "method"),
    _compiled("compiled_block", "member"),
    _compiled("compiled_loss", "loss"),
    _compiled("compiled_step", "step"),
    _compiled("compiled_dynamic", "model", dynamic="True"),
    _compiled("inductor", "model", "inductor"),
    Mode(
        "checkpointed",
        _RECOMPUTED,
        _CHECKPOINT,
        traits={"checkpoint": "use_reentrant=False"},
        seconds=0.04,
    ),
)
