"""LoRA, as people write it: a module that holds the factors of an update beside what it adapts."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "lora_drifts": Row(
        "What a module with LoRA gives gets 1.00001 times its gradient.",
        ("torch.nn.Module.__call__",),
        Wanted(layer="lora_dense"),
    ),
}


def lora_drifts(call: Any) -> Any:
    def drifting(self: Any, *args: Any, **options: Any) -> Any:
        value = call(self, *args, **options)
        held = {*self._modules, *self._parameters}
        return with_gradient_of(value, DRIFT * value) if "lora_a" in held else value

    return drifting


FAULTS = faults("torch", _ROWS, globals())
