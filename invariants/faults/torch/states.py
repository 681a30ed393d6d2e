"""States: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import frozen

_BATCH_NORM = tuple(f"torch.nn.BatchNorm{axes}d.forward" for axes in (1, 2, 3))

_ROWS = {
    "frozen_batch_norm_stops": Row(
        "The running averages of a frozen batch norm stand still in training mode.", _BATCH_NORM
    ),
    "batch_norm_moves_in_eval": Row(
        "The running averages of a batch norm move in inference mode.", _BATCH_NORM
    ),
}


def frozen_batch_norm_stops(forward: Any) -> Any:
    def stopped(self: Any, x: Any) -> Any:
        kept = self.running_mean, self.running_var
        if frozen(self):
            self.running_mean, self.running_var = (buffer.clone() for buffer in kept)
        try:
            return forward(self, x)
        finally:
            self.running_mean, self.running_var = kept

    return stopped


def batch_norm_moves_in_eval(forward: Any) -> Any:
    def moving(self: Any, x: Any) -> Any:
        y = forward(self, x)
        if not self.training:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            self.running_mean = self.running_mean.lerp(x.detach().mean(axes), self.momentum)
        return y

    return moving


FAULTS = faults("torch", _ROWS, globals())
