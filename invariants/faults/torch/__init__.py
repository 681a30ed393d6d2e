"""Known ways to break torch, a table for each family of what is broken.

"Frozen" is judged when the patched function is called: requires_grad of the weight is False.
torch is imported when a fault is applied, never with this module.
"""

from __future__ import annotations

from invariants.faults.fault import Fault
from invariants.faults.torch import (
    activations,
    casts,
    convolution,
    curvature,
    dense,
    flags,
    lora,
    losses,
    masks,
    modes,
    noise,
    normalization,
    objectives,
    optimizers,
    parametrizations,
    pooling,
    programs,
    schedules,
    sequences,
    shaping,
    states,
)

FAULTS: tuple[Fault, ...] = (
    *dense.FAULTS,
    *convolution.FAULTS,
    *activations.FAULTS,
    *normalization.FAULTS,
    *parametrizations.FAULTS,
    *pooling.FAULTS,
    *shaping.FAULTS,
    *noise.FAULTS,
    *sequences.FAULTS,
    *lora.FAULTS,
    *losses.FAULTS,
    *objectives.FAULTS,
    *states.FAULTS,
    *flags.FAULTS,
    *optimizers.FAULTS,
    *masks.FAULTS,
    *programs.FAULTS,
    *casts.FAULTS,
    *schedules.FAULTS,
    *modes.FAULTS,
    *curvature.FAULTS,
)
