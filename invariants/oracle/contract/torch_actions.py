"""How torch's users write what a program does, and what torch documents of it, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Writing

_TORCH = "https://docs.pytorch.org/docs/stable/"

_MODULE = _TORCH + "generated/torch.nn.Module.html#torch.nn.Module."

_OPTIM = _TORCH + "optim.html#"

ACTIONS = (
    Writing(
        "freeze",
        "`module.requires_grad_(False)`, and the ways below",
        "requires_grad is a flag that allows for fine-grained exclusion of subgraphs from gradient "
        "computation; it takes effect in both the forward and the backward pass.",
        _TORCH + "notes/autograd.html#setting-requires-grad",
    ),
    Writing(
        "thaw",
        "`module.requires_grad_(True)`, and the ways below",
        "Change if autograd should record operations on parameters in this module; in-place, so "
        "that the last setting of a parameter counts.",
        _MODULE + "requires_grad_",
    ),
    Writing(
        "gradient",
        "`loss.backward()`",
        "Computes the gradient of current tensor wrt graph leaves.",
        _TORCH + "generated/torch.Tensor.backward.html",
    ),
    Writing(
        "step",
        "`optimizer.step()`",
        "The step() method updates the parameters; it can be called once the gradients are "
        "computed using e.g. backward().",
        _OPTIM + "taking-an-optimization-step",
    ),
    Writing(
        "step, on several batches",
        "`loss.backward()` for each, then `optimizer.step()`",
        "backward() accumulates gradients in the leaves: you might need to zero .grad attributes "
        "or set them to None before calling it.",
        _TORCH + "generated/torch.Tensor.backward.html",
    ),
    Writing(
        "step, with clipping",
        "`clip_grad_value_()`, `clip_grad_norm_()` before `optimizer.step()`",
        "Clip the gradient norm of an iterable of parameters: the norm is computed over the norms "
        "of the individual gradients; gradients are modified in-place.",
        _TORCH + "generated/torch.nn.utils.clip_grad_norm_.html",
    ),
    Writing(
        "step, gradients before it",
        "`optimizer.zero_grad(set_to_none=...)`",
        "Reset the gradients of all optimized tensors: to None by default. Optimizers behave "
        "differently if the gradient is 0 or None: they do the step with a gradient of 0, or skip "
        "it.",
        _TORCH + "generated/torch.optim.Optimizer.zero_grad.html",
    ),
    Writing(
        "step, with a schedule",
        "`scheduler.step()` after `optimizer.step()`",
        "Learning rate scheduling should be applied after optimizer's update.",
        _OPTIM + "how-to-adjust-learning-rate",
    ),
    Writing(
        "step, with averages",
        "`averaged.update_parameters(model)` after `optimizer.step()`",
        "AveragedModel: you can use update_parameters() after optimizer.step() to update the "
        "averages.",
        _OPTIM + "weight-averaging-swa-and-ema",
    ),
    Writing(
        "evaluate",
        "`model(x)` in `torch.no_grad()` or `torch.inference_mode()`",
        "no_grad is useful for inference, when you are sure that you will not call backward(); "
        "which forward pass a layer computes is for train() and eval() to say.",
        _TORCH + "generated/torch.no_grad.html",
    ),
    Writing(
        "set_mode",
        "`model.train()`, `model.eval()`",
        "Set the module in training or in evaluation mode. This has an effect only on certain "
        "modules (Dropout, BatchNorm); eval() leaves requires_grad as it is.",
        _MODULE + "train",
    ),
    Writing(
        "set_rate",
        '`group["lr"] = rate` for each of `optimizer.param_groups`',
        "param_groups: a dict each, containing all parameters of the group and the options that "
        "apply to them, lr among them.",
        _OPTIM + "per-parameter-options",
    ),
    Writing(
        "compile",
        "`torch.optim.SGD(model.parameters(), ...)`",
        "To construct an Optimizer you have to give it an iterable containing the parameters; its "
        "state starts anew.",
        _OPTIM + "constructing-it",
    ),
    Writing(
        "cast",
        "`model.double()`, `float()`, `half()`, `bfloat16()`, then a new optimizer",
        "Casts all floating point parameters and buffers to the datatype, in-place.",
        _MODULE + "double",
    ),
    Writing(
        "reload",
        "`model.load_state_dict(...)`, and the ways below",
        "Copy parameters and buffers from state_dict into this module and its descendants.",
        _MODULE + "load_state_dict",
    ),
)
