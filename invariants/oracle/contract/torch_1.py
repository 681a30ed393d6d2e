"""What torch 1 documents otherwise than torch 2; 1.13 is its last release."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Clause, Release

_DOCS = "https://pytorch.org/docs/1.13/"

_COMPILE = "torch 1 has no torch.compile"

_FUNC = "torch 1 has no torch.func"

_DOT_PRODUCT = "torch 1 has no functional.scaled_dot_product_attention"

_WEIGHT_NORM = "torch 1 has no parametrizations.weight_norm"

_SEQUENTIAL = "checkpoint_sequential of torch 1 takes no use_reentrant"

TORCH_1 = Release(
    name="torch 1",
    package="torch",
    before=(2,),
    clauses={
        "buffers_beside_averages": Clause(
            "stay",
            "use_buffers: if True, it will compute running averages for both the parameters and "
            "the buffers of the model; update_parameters of torch 1 touches no buffer otherwise.",
            _DOCS + "optim.html#stochastic-weight-averaging",
        ),
        "missing_kernel": Clause(
            (
                *("not implemented for", "could not create a primitive descriptor for"),
                "expected scalar type BFloat16 but found Float",
            ),
            "Silent; a norm under an autocast on the CPU has no kernel for an input of another "
            "dtype than its weight.",
            _DOCS + "amp.html#cpu-op-specific-behavior",
        ),
        "optimizers": Clause(
            (
                *("sgd", "adam", "adamw", "nadam", "radam", "adamax"),
                *("adagrad", "adadelta", "rmsprop", "rprop", "asgd", "lbfgs"),
            ),
            "The algorithms of torch.optim.",
            _DOCS + "optim.html#algorithms",
        ),
    },
    means={
        "zero_grad=set_to_none": Clause(
            "zeros",
            "zero_grad(set_to_none=False): sets the gradients of all optimized tensors to zero, "
            "unless told otherwise.",
            _DOCS + "generated/torch.optim.Optimizer.zero_grad.html",
        ),
    },
    lacks={
        **dict.fromkeys(
            (
                *("dot_product_attention", "multi_head_attention", "cross_attention"),
                *("transformer_encoder", "prefix_attention"),
            ),
            _DOT_PRODUCT,
        ),
        "rms_norm": "torch 1 has no RMSNorm",
        **dict.fromkeys(("weight_norm_dense", "weight_norm_conv2d"), _WEIGHT_NORM),
    },
    without={
        **dict.fromkeys(
            (
                *("compiled", "compiled_in_place", "compiled_block", "compiled_loss"),
                *("compiled_step", "compiled_dynamic", "inductor"),
            ),
            _COMPILE,
        ),
        **dict.fromkeys(
            ("checkpointed_sequential", "checkpointed_sequential_reentrant"), _SEQUENTIAL
        ),
        **dict.fromkeys(("functional", "forward_mode", "linearized", "per_sample"), _FUNC),
        "second_order": "torch 1 has no nn.attention, by which its script chooses a kernel",
        "autocast_float16": "an autocast of torch 1 on a CPU lowers to bfloat16 alone",
        "scaled_float16": "torch 1 has no torch.amp.GradScaler",
        "float16": "torch 1 has no kernel of a matrix product in float16 on a CPU",
        "optimizer_loop=fused": "the fused optimizers of torch 1 take tensors of CUDA alone",
    },
)
