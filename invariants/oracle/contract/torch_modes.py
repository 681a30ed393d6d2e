"""The modes in which people train with PyTorch, a row each."""

from __future__ import annotations

from typing import Any

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
        needs="C++ compiler" if backend == "inductor" else "",
        seconds=1.5 if backend == "aot_eager" else 20.0,
    )


_AUTOCAST = _TORCH + "amp.html#cpu-op-specific-behavior"

_LOWERED = (
    "autocast serves as context manager that allows regions of a script to run in mixed precision: "
    "some operations in the lower format, some in float32, the others in the widest type of their "
    "inputs. Weights stay in float32, and so do their gradients; a cast weight is kept until the "
    "region is left. Backward passes under autocast are not recommended: they run outside."
)


_SCALED = (
    " The loss is multiplied by a scale factor and gradients are divided by it before the step: "
    "unscale_ does so for those of the optimizer's weights, and step skips where one of them is "
    "inf or NaN, of which a scheduler warns; it takes no closure."
)


_EVALUATED = (
    " Here each region begins with an evaluation under no_grad, which casts the weights first; the "
    "casts that are kept must still lead back to the weights (pytorch issues 65766 and 112583)."
)


_KEPT = (
    " Here the whole program is one region; backward passes and steps stand in subregions with "
    "enabled=False, which can be nested in it."
)


def _autocast(
    name: str, dtype: str, scale: str = "", evaluated: bool = False, kept: bool = False
) -> Mode:
    region = f'torch.autocast("cpu", dtype=torch.{dtype})'
    also = [(_SCALED, scale), (_EVALUATED, evaluated), (_KEPT, kept)]
    return Mode(
        name,
        _LOWERED + "".join(sentence for sentence, holds in also if holds),
        _TORCH + "amp.html#gradient-scaling" if scale else _AUTOCAST,
        traits={
            "autocast": dtype,
            "kept" if kept else "within": region,
            **({"scale": scale, "functions": "scaling"} if scale else {}),
            **({"evaluated": "first"} if evaluated else {}),
        },
        may_warn=(
            "Mismatch dtype between input and weight",  # rms_norm, which then is not fused
            *(("call of `lr_scheduler.step()` before `optimizer.step()`",) if scale else ()),
        ),
        dtypes=("float32",),
        refuses=("lbfgs",) if scale or kept else (),
        seconds=0.04,
    )


_NO_TANGENT = "torch has no forward-mode derivative of the kernel that it runs on: "

#: kind of a layer -> why forward mode cannot run it.
_BACKWARD_ALONE = {
    kind: _NO_TANGENT + kernel
    for kernel, kinds in {
        "_scaled_dot_product_flash_attention_for_cpu": (
            "dot_product_attention",
            "multi_head_attention",
            "cross_attention",
            "packed_multi_head_attention",
            "packed_cross_attention",
            "prefix_attention",
            "transformer_encoder",
            "packed_transformer_encoder",
        ),
        "mkldnn_rnn_layer": ("lstm", "bidirectional_lstm", "stacked_lstm"),
        "_weight_norm_interface": ("weight_norm_dense", "weight_norm_conv2d"),
        "div.out": ("spectral_norm_dense", "spectral_norm_conv2d"),
        "glu_jvp_cpu, in 16 bits": ("glu",),
    }.items()
    for kind in kinds
}


_STATEFUL = ("batch_norm", "spectral_norm_dense", "spectral_norm_conv2d")

_RANDOM = ("dropout", "spatial_dropout1d", "spatial_dropout2d", "alpha_dropout", "gaussian_noise")

#: kind of a layer -> why a function that is evaluated twice, and kept, cannot have it.
_TWICE = {
    **dict.fromkeys(_STATEFUL, "a function that linearize traces may not move what it captures"),
    **dict.fromkeys(_RANDOM, "the linear map would draw other numbers than the loss did"),
}

#: An option of a layer -> why a function that is transformed cannot have it.
_CAPTURED = {
    "embedding_max_norm": "a function that is transformed may not write in place to a tensor that "
    "it captures, as a table is that is not differentiated by"
}

_RECURRENT = tuple(
    f"{which}{cell}"
    for cell in ("simple_rnn", "gru", "lstm")
    for which in ("", "bidirectional_", "stacked_")
)

#: kind of a layer -> why there is no gradient of one sample alone.
_NOT_ALONE = {
    "batch_norm": "its batch statistics couple the samples",
    "embedding_by_frequency": "a sample knows how often it asks for a row, not how often the batch "
    "does",
    **dict.fromkeys(
        _RECURRENT,
        "vmap cannot write in place to the state that it starts from, which no sample is part of",
    ),
}


#: kind of a layer -> why no transformation of a function has it.
_UNTRANSFORMED = dict.fromkeys(
    ("padded_simple_rnn", "padded_lstm", "padded_gru"),
    "pack_padded_sequence reads the lengths at their address, and a tensor that is transformed has "
    "none",
)


#: What holds of the gradient that a transformation of a function gives.
_TRANSFORMED: dict[str, Any] = {
    "unreached_gradient": "zeros",
    "nothing_to_train": None,
    "logistic_loss": "composed",
}


def _forward(kind: str, message: str) -> dict[str, Any]:
    """The same in forward mode, which raises before it runs anything where nothing is trained."""
    return {
        **_TRANSFORMED,
        "nothing_to_train": (kind, message),
        "nothing_to_train_told": "before_the_pass",
        "prelu_derivative_at_zero": "one",
    }


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
    Mode(
        "checkpointed_sequential",
        _RECOMPUTED + " A list of modules or functions that run in order is divided in segments, "
        "and each is checkpointed but the last one: here the longest chain of calls in every "
        "module, in up to three segments.",
        _TORCH + "checkpoint.html#torch.utils.checkpoint.checkpoint_sequential",
        traits={"checkpoint": "use_reentrant=False", "sequence": "yes"},
        seconds=0.04,
    ),
    Mode(
        "checkpointed_reentrant",
        _RECOMPUTED + " The reentrant variant runs a stretch without a graph first; at least one "
        "of its inputs must have requires_grad=True.",
        _CHECKPOINT,
        traits={"stretches": "use_reentrant=True"},
        seconds=0.04,
    ),
    Mode(
        "checkpointed_sequential_reentrant",
        _RECOMPUTED + " A list of modules or functions that run in order is divided in segments, "
        "and each is checkpointed but the last one: here the longest chain of calls behind the "
        "inputs of the model, by the reentrant variant, which runs a segment without a graph "
        "first; at least one of its inputs must have requires_grad=True.",
        _TORCH + "checkpoint.html#torch.utils.checkpoint.checkpoint_sequential",
        traits={"stretches": "use_reentrant=True", "sequence": "yes"},
        seconds=0.04,
    ),
    Mode(
        "offloaded",
        "Within save_on_cpu, tensors saved by the forward pass are stored on the CPU, then "
        "retrieved for the backward pass.",
        _TORCH + "autograd.html#torch.autograd.graph.save_on_cpu",
        traits={"within": "torch.autograd.graph.save_on_cpu()"},
        seconds=0.03,
    ),
    Mode(
        "packed",
        "A pair of pack and unpack hooks for saved tensors says how they are stored, and how they "
        "are retrieved: unpack_hook(pack_hook(t)) should be equal to t in value, size and dtype.",
        _TORCH + "autograd.html#torch.autograd.graph.saved_tensors_hooks",
        traits={
            "within": "torch.autograd.graph.saved_tensors_hooks(packed, unpacked)",
            "functions": "packed",
        },
        seconds=0.06,
    ),
    Mode(
        "hooked",
        "A backward hook may return a new gradient that is used in place of the one it is given; "
        "one that returns what it was given changes nothing. Here every module inside of the model "
        "has one, and every weight. It fires on behalf of the outputs "
        "alone where no input of its module requires a gradient, and warns so.",
        _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook",
        traits={"functions": "hooks"},
        may_warn=("since no inputs require gradients",),
        seconds=0.03,
    ),
    Mode(
        "hooked_model",
        "A backward hook may return a new gradient that is used in place of the one it is given; "
        "one that returns what it was given changes nothing. Here the model itself has one. Silent "
        "on an input that no loss depends on; users expect that it still has no gradient. "
        "It fires on behalf of the outputs alone where no input of the model requires a gradient, "
        "and warns so.",
        _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook",
        traits={"functions": "model_hook", "hooked": "model"},
        may_warn=("since no inputs require gradients",),
        seconds=0.03,
    ),
    Mode(
        "retained",
        "With retain_graph=True the graph used to compute the gradient is not freed; a second "
        "backward pass adds its gradients to those of the first.",
        _TORCH + "generated/torch.Tensor.backward.html",
        traits={"retained": "halves"},
        seconds=0.03,
    ),
    Mode(
        "functional",
        "functional_call runs a module with some of its parameters replaced by those of a dict, "
        "and grad_and_value gives the gradient with respect to these, with the same shapes: zeros "
        "where the result does not depend on one, nothing of an empty dict.",
        _TORCH + "func.api.html",
        traits={"functional": "grad_and_value"},
        otherwise=_TRANSFORMED,
        lacks={**_UNTRANSFORMED, **_CAPTURED},
        seconds=0.04,
    ),
    Mode(
        "forward_mode",
        "jacfwd computes the Jacobian with respect to the arguments using forward-mode autodiff: "
        "a pass for each of their elements, all at once.",
        _TORCH + "generated/torch.func.jacfwd.html",
        traits={"functional": "jacfwd", "aux": 'has_aux=True, randomness="same"'},
        optimised=True,
        otherwise=_forward("AssertionError", "at least one element"),
        may_warn=("we have not yet implemented the batching rule",),
        lacks={**_BACKWARD_ALONE, **_UNTRANSFORMED, **_CAPTURED},
        seconds=0.1,
    ),
    Mode(
        "second_order",
        "With create_graph=True the graph of the derivative is constructed, which allows to "
        "compute higher order derivative products. Here half of the derivative of the loss along "
        "the weights that are trained (and the inputs asked for) is added to the loss: its "
        "gradient is a product of these with the Hessian matrix, which goes through every frozen "
        "layer twice. Attention is composed of other operations, for its kernel has no second "
        "derivative.",
        _TORCH + "generated/torch.autograd.grad.html",
        traits={
            "second_order": "create_graph=True",
            "within": "torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)",
        },
        otherwise={
            "gradient_by_nothing": (
                "RuntimeError",
                "`inputs` argument to `grad()` cannot be empty",
            ),
            # _prelu_kernel_backward has x > 0, its own derivatives have x >= 0
            # (tools/autograd/derivatives.yaml).
            "prelu_derivative_at_zero": "alpha_then_one",
        },
        lacks={
            "hard_sigmoid": "torch has no second derivative of the kernel that it runs on: "
            "hardsigmoid_backward"
        },
        seconds=0.05,
    ),
    Mode(
        "linearized",
        "linearize returns the value of a function, and its linear approximation as a function "
        "that computes the jvp, to be called several times: here with every unit vector, all at "
        "once, whose outcomes are the gradient. It evaluates the function twice.",
        _TORCH + "generated/torch.func.linearize.html",
        traits={"functional": "linearize", "linear": "yes", "functions": "linearized"},
        optimised=True,
        otherwise=_forward("ValueError", "got no inputs"),
        may_warn=("Attempted to insert a get_attr Node",),
        lacks={**_BACKWARD_ALONE, **_TWICE, **_UNTRANSFORMED, **_CAPTURED},
        seconds=4.0,
    ),
    Mode(
        "per_sample",
        "Per-sample gradients are those of each sample in a batch: vmap over grad of a function "
        "that makes a batch of one of it. Here they are added up, each with its share of a mean, "
        "to the gradient of the batch.",
        "https://docs.pytorch.org/tutorials/intermediate/per_sample_grads.html",
        traits={"functional": "grad_and_value", "samples": "yes"},
        otherwise=_TRANSFORMED,
        may_warn=("we have not yet implemented the batching rule",),
        lacks={**_NOT_ALONE, **_UNTRANSFORMED, **_CAPTURED},
        seconds=0.1,
    ),
    _autocast("autocast_bfloat16", "bfloat16"),
    _autocast("autocast_float16", "float16"),
    _autocast("autocast_evaluated", "bfloat16", evaluated=True),
    _autocast("autocast_kept", "bfloat16", kept=True),
    _autocast("scaled_float16", "float16", scale="1024.0"),
)
