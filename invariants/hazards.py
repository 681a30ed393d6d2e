"""Hazards: what is documented and still moves a frozen weight, with what to do instead.

No promise is broken, so a run stays good; but whoever froze a layer wants to know.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hazard:
    """One of them: `sentence` says where it stands in the documentation."""

    id: str
    title: str
    sentence: str
    source: str
    instead: str


ZEROS = Hazard(
    "zeros-move-frozen",
    "a weight that was trained before it was frozen goes on moving",
    "zero_grad(set_to_none=False) leaves a gradient of zeros where there was one, and torch.optim "
    "optimizers have a different behavior if the gradient is 0 or None: in one case they do the "
    "step with a gradient of 0 and in the other they skip the step altogether. Momentum, moving "
    "averages and weight decay move the weight on.",
    "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
    "use zero_grad(set_to_none=True), the default, or set the gradients of what is frozen to None",
)

MERGED = Hazard(
    "files-merge-lora",
    "a frozen kernel changes when a model with LoRA is saved and loaded, and training stops there",
    "When you save a model (after training), the LoRA weights are automatically merged. When you "
    "reload, you have a 'normal' kernel with no LoRA weights. load_weights and load_model set both "
    "factors to zeros, where neither has a gradient other than 0: they are never trained again.",
    "https://github.com/keras-team/keras/issues/23244",
    "to go on training, keep what get_weights() gives and hand it to set_weights(), or assign new "
    "numbers to the first factor of each layer",
)

MASKED = Hazard(
    "masks-leave-the-optimizer",
    "elements whose gradient is masked go on moving",
    "torch.optim optimizers have a different behavior if the gradient is 0 or None: in one case "
    "they do the step with a gradient of 0; Keras alike. Momentum, moving averages, weight "
    "decay, and a step that mixes elements, as Muon's does, move what a mask or a hook holds.",
    "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
    "make the optimizer anew when the mask changes, without weight decay for what it masks, or put "
    "the masked elements back after each step",
)

HAZARDS = (ZEROS, MERGED, MASKED)
