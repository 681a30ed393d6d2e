"""Hazards: what is documented and still moves a frozen weight, or stops one that was thawed.

No promise is broken, so a run stays good; but whoever froze a layer wants to know, and what to do
instead.
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

COMPILED = Hazard(
    "flags-wait-for-compile",
    "fit and train_on_batch go by what was trainable at the last compile()",
    "If you modify the trainable property of a layer after calling compile(), those changes will "
    "not take effect during fit() unless compile() is called again.",
    "https://keras.io/api/models/model_training_apis/#compile-method",
    "call model.compile(...) after every change of trainable",
)

TRACED = Hazard(
    "flags-wait-for-a-trace",
    "a tf.function goes by what was trainable when it was traced",
    "Reading from Python global and free variables counts as a Python side effect, so it only "
    "happens during tracing; a call with arguments of the same types and shapes runs what was "
    "traced before, which trains the variables of the list that it read then.",
    "https://www.tensorflow.org/guide/function#using_python_global_and_free_variables",
    "make the function anew, tf.function(train_step), after every change of trainable",
)

AVERAGED = Hazard(
    "averages-move-frozen",
    "a weight that was trained before it was frozen goes back to its average",
    "AveragedModel holds a copy of the whole model; load_state_dict copies all its parameters and "
    "buffers, and the average of a weight lags behind it until it has been frozen for long.",
    "https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html",
    "copy the averages of what is trainable alone",
)

RENORMALISED = Hazard(
    "lookups-renormalise-frozen",
    "a frozen table is rewritten by each lookup of a row whose norm is larger than max_norm",
    "When max_norm is not None, Embedding's forward method will modify the weight tensor in-place. "
    "It does so whether the table requires a gradient or not, in any mode, and under no_grad.",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
    "set embedding.max_norm = None when the table is frozen, or renormalise all of its rows before",
)

UNHELD = Hazard(
    "optimizer-lacks-thawed",
    "a layer that was frozen when the optimizer was made is thawed, and never trained",
    "You have to give an optimizer an iterable containing the parameters to optimize; "
    "add_param_group can be useful when fine tuning a pre-trained network as frozen layers can be "
    "made trainable and added to the Optimizer as training progresses. A parameter that it was not "
    "given has a gradient, and stays as it is without a word.",
    "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html",
    "hand what was thawed to optimizer.add_param_group, make the optimizer anew, or make it of "
    "model.parameters() in the first place",
)

HAZARDS = (ZEROS, MERGED, MASKED, COMPILED, TRACED, AVERAGED, RENORMALISED, UNHELD)


def of_old_flags(trains_itself: bool) -> Hazard:
    """The hazard of a mode that trains by flags which have changed since."""
    return COMPILED if trains_itself else TRACED
