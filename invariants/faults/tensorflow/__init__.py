"""Known ways to break Keras and TensorFlow, a table for each family of what is broken.

"Frozen" is judged when the patched function is called: the layer's or the kernel's trainable is
False. Neither framework is imported before a fault is applied.
"""

from __future__ import annotations

from invariants.faults.fault import Fault
from invariants.faults.tensorflow import (
    activations,
    convolution,
    curvature,
    dense,
    flags,
    lora,
    losses,
    modes,
    noise,
    normalization,
    objectives,
    optimizers,
    policies,
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
    *policies.FAULTS,
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
    *programs.FAULTS,
    *schedules.FAULTS,
    *modes.FAULTS,
    *curvature.FAULTS,
)
