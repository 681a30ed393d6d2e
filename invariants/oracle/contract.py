"""What each framework documents, as data: one clause for each point, with its source.

Judging follows these clauses and nothing that a framework happens to do. Where the documentation is
silent, the sentence says what its users would expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_TORCH = "https://docs.pytorch.org/docs/stable/"
_KERAS = "https://keras.io/api/"
_TF = "https://www.tensorflow.org/api_docs/python/tf/"

#: The layers that call torch's linear on sequences.
_LINEAR_ON_SEQUENCES = (
    "dense",
    "lora_dense",
    "bottleneck",
    "weight_norm_dense",
    "simple_rnn",
    "lstm",
    "gru",
    "bidirectional_lstm",
    "stacked_lstm",
    "bidirectional_gru",
    "stacked_gru",
    "bidirectional_simple_rnn",
    "stacked_simple_rnn",
    "multi_head_attention",
    "cross_attention",
    "packed_multi_head_attention",
    "transformer_encoder",
    "prefix_attention",
    "spectral_norm_dense",
)


#: The layers of the scripts that are no layer of Keras as it is: classes of their own without
#: get_config, and functions without a name. From a config they are not made again.
_WITHOUT_CONFIG = (
    "projection",
    "glu",
    "lora_dense",
    "lora_conv2d",
    "lora_embedding",
    "bottleneck",
    "weight_norm_dense",
    "squeeze_excite",
    "film",
    "dot_product_attention",
    "transformer_encoder",
    "positional_embedding",
    "prompt_tokens",
    "prefix_attention",
    "spectral_norm_dense",
    "spectral_norm_conv2d",
    "gelu",
    "celu",
    "hard_shrink",
    "softshrink",
    "slice",
    "split",
)

_NO_MASK = (
    "torch's recurrent layers take no mask; of a packed sequence they skip what stands behind its "
    "end, no step in between"
)

#: The layers with torch's parametrizations.
_PARAMETRIZED = (
    "weight_norm_dense",
    "weight_norm_conv2d",
    "spectral_norm_dense",
    "spectral_norm_conv2d",
)


@dataclass(frozen=True)
class Clause:
    """One point: what holds, the sentence that says so, and where it stands."""

    value: Any
    sentence: str
    source: str


@dataclass(frozen=True)
class Way:
    """One of a framework's ways to freeze or thaw.

    reaches: "module" (network, submodule or layer) or "weight" (one parameter).
    sets_flag: the module itself remembers that it is frozen, and so do the modules in it.
    by: what holds the weights back, and is gone with it. A "flag": no gradient, no update. A "rate"
    of 0 in the optimizer: gradients and slots go on, the weights stay. The "optimizer", another one
    without them: gradients alone go on.
    """

    name: str
    reaches: str
    sets_flag: bool
    sentence: str
    source: str
    by: str = "flag"


@dataclass(frozen=True)
class Option:
    """A choice that a realisation makes beside the ways: its name and its values."""

    name: str
    values: tuple[str, ...]
    sentence: str
    source: str


@dataclass(frozen=True)
class Evaluation:
    """One of a framework's ways to run a model without gradients, and in which modes it can.

    compiled: it needs a model that has been compiled.
    """

    name: str
    training: tuple[bool, ...]
    sentence: str
    source: str
    compiled: bool = False


@dataclass(frozen=True)
class Reloading:
    """One of a framework's ways to save and load, or to copy, a model.

    flags: what it leaves of what is frozen: "kept", "none", or "rebuilt" (kept as well, from what a
    config holds). optimizer: "kept", or "anew" where the program must make
    another, for other weights. refuses: the kinds of layers that it does not take.
    """

    name: str
    flags: str
    optimizer: str
    sentence: str
    source: str
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """The clauses of one backend, by point."""

    backend: str
    clauses: Mapping[str, Clause]
    ways: tuple[Way, ...]
    evaluations: tuple[Evaluation, ...]
    reloads: tuple[Reloading, ...]
    modes: tuple[str, ...]
    options: tuple[Option, ...]
    compiled_modes: tuple[str, ...] = ()  # those that train by themselves and show no gradient
    lacks: Mapping[str, str] = field(default_factory=dict)  # kind of a layer -> why it has none

    def __getitem__(self, point: str) -> Any:
        return self.clauses[point].value

    def as_if(self, clauses: Mapping[str, Any]) -> Contract:
        """The same contract with other values at some points: what a known issue makes of it."""
        changed = {
            point: replace(self.clauses[point], value=value) for point, value in clauses.items()
        }
        return replace(self, clauses={**self.clauses, **changed})

    def way(self, name: str) -> Way:
        return next(way for way in self.ways if way.name == name)

    def chosen(self, options: Mapping[str, str]) -> dict[str, str]:
        """The value of each option; one that is left out has its first."""
        return {o.name: options.get(o.name, o.values[0]) for o in self.options}

    def reloading(self, name: str) -> Reloading:
        return next(reloading for reloading in self.reloads if reloading.name == name)

    def differs(self, other: Contract, points: tuple[str, ...]) -> bool:
        """Whether two contracts say different things at one of `points`."""
        return any(self[point] != other[point] for point in points)


TORCH = Contract(
    backend="torch",
    clauses={
        "relu_derivative_at_zero": Clause(
            0.0,
            "If the function is convex, use the minimum-norm subgradient: relu at 0 gives 0.",
            _TORCH + "notes/autograd.html#gradients-for-non-differentiable-functions",
        ),
        "max_pool_tie": Clause(
            "first",
            "Silent; users expect the element whose index return_indices names, the first.",
            _TORCH + "generated/torch.nn.MaxPool2d.html",
        ),
        "global_max_tie": Clause(
            "first",
            "Silent; users expect the element whose index return_indices names, the first.",
            _TORCH + "generated/torch.nn.AdaptiveMaxPool2d.html",
        ),
        "aligned_corners": Clause(
            (False, True),
            "align_corners: if True, the corner pixels of the input and output tensors are "
            "aligned, and thus preserving the values at those pixels.",
            _TORCH + "generated/torch.nn.Upsample.html",
        ),
        "up_sampling1d_interpolations": Clause(
            ("nearest", "linear"),
            "mode: the upsampling algorithm: one of 'nearest', 'linear', 'bilinear', 'bicubic' and "
            "'trilinear'.",
            _TORCH + "generated/torch.nn.Upsample.html",
        ),
        "interpolation_precision": Clause(
            "of_the_input",
            "Silent; users expect a result that is as accurate as its dtype.",
            _TORCH + "generated/torch.nn.Upsample.html",
        ),
        "dilated_strides": Clause(
            (False, True),
            "stride, padding and dilation are arguments of their own; nothing couples them.",
            _TORCH + "generated/torch.nn.Conv2d.html",
        ),
        "dilated_transposed": Clause(
            (False, True),
            "dilation controls the spacing between the kernel points.",
            _TORCH + "generated/torch.nn.ConvTranspose2d.html",
        ),
        "softplus_linear_beyond": Clause(
            20.0,
            "For numerical stability the implementation reverts to the linear function when "
            "input × β > threshold (default 20).",
            _TORCH + "generated/torch.nn.Softplus.html",
        ),
        "frozen_batch_norm_is_inference": Clause(
            False,
            "requires_grad is a field of a parameter; whether batch statistics are used and "
            "running averages move is decided by train() and eval() alone.",
            _TORCH + "generated/torch.nn.BatchNorm2d.html",
        ),
        "batch_norm_running_variance": Clause(
            "unbiased",
            "The value stored in the moving average of the variance is calculated via the unbiased "
            "estimator, equivalent to torch.var(input, correction=1).",
            _TORCH + "generated/torch.nn.BatchNorm2d.html",
        ),
        "recurrent_biases": Clause(
            ("none", "two"),
            "h_t = tanh(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh); if bias is False, the layer does "
            "not use bias weights b_ih and b_hh.",
            _TORCH + "generated/torch.nn.RNN.html",
        ),
        "gru_forms": Clause(
            (("after", "none"), ("after", "two")),
            "n_t = tanh(W_in x_t + b_in + r_t ⊙ (W_hn h_{t-1} + b_hn)): the reset gate after the "
            "matrix product alone; two bias vectors or none.",
            _TORCH + "generated/torch.nn.GRU.html",
        ),
        "bidirectional_merges": Clause(
            ("concat",),
            "bidirectional: the output holds the forward and the reverse hidden states at each "
            "time step, D · H_out features in all.",
            _TORCH + "generated/torch.nn.LSTM.html",
        ),
        "dot_least_length": Clause(
            1e-12,
            "normalize: v / max(‖v‖, eps), eps a small value to avoid division by zero, 1e-12.",
            _TORCH + "generated/torch.nn.functional.normalize.html",
        ),
        "attention_weights": Clause(
            "from_logsumexp",
            "Silent; the fused kernel keeps log Σ exp(scores) and takes exp(score - that) anew in "
            "the backward pass, accurate relative to the scores.",
            "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/cpu/"
            "FlashAttentionKernel.cpp",
        ),
        "embedding_padding": Clause(
            (False, True),
            "padding_idx: its entries do not contribute to the gradient; its embedding vector "
            "is not updated during training.",
            _TORCH + "generated/torch.nn.Embedding.html",
        ),
        "transposed_groups": Clause(
            (False, True),
            "groups controls the connections between inputs and outputs.",
            _TORCH + "generated/torch.nn.ConvTranspose2d.html",
        ),
        "pool_paddings": Clause(
            ("valid", "half", "ceil"),
            "padding: implicit padding, at most half the kernel size, on both sides; ceil_mode: "
            "when True, will use ceil instead of floor to compute the output shape.",
            _TORCH + "generated/torch.nn.MaxPool2d.html",
        ),
        "pool_counts_padding": Clause(
            (False, True),
            "count_include_pad: when True, will include the zero-padding in the averaging "
            "calculation.",
            _TORCH + "generated/torch.nn.AvgPool2d.html",
        ),
        "norm_weights": Clause(
            (("gamma", "beta"), ()),
            "affine: a boolean value that when set to True, this module has learnable affine "
            "parameters; both or none.",
            _TORCH + "generated/torch.nn.BatchNorm2d.html",
        ),
        "layer_norm_weights": Clause(
            (("gamma", "beta"), (), ("gamma",)),
            "bias: if set to False, the layer will not learn an additive bias (only relevant if "
            "elementwise_affine is True).",
            _TORCH + "generated/torch.nn.LayerNorm.html",
        ),
        "rms_norm_scaled": Clause(
            (True, False),
            "elementwise_affine: a boolean value that when set to True, this module has learnable "
            "per-element affine parameters.",
            _TORCH + "generated/torch.nn.RMSNorm.html",
        ),
        "spectral_kernel_rewritten": Clause(
            "never",
            "A parametrization keeps the parameter as parametrizations.weight.original, computing "
            "the normalised weight from it.",
            _TORCH + "generated/torch.nn.utils.parametrizations.spectral_norm.html",
        ),
        "instance_norm_gradient": Clause(
            "of_any_layout",
            "Silent; users expect that the strides of a tensor change nothing about its value.",
            _TORCH + "tensor_view.html",
        ),
        "bias_of_heads": Clause(
            "along_heads",
            "A linear layer adds a bias to each of its output features.",
            _TORCH + "generated/torch.nn.Linear.html",
        ),
        "attention_scale": Clause(
            "exact",
            "scale_factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale.",
            _TORCH + "generated/torch.nn.functional.scaled_dot_product_attention.html",
        ),
        "weight_decay": Clause(
            "coupled",
            "weight_decay is an L2 penalty: λθ is added to the gradient (SGD, Adam); AdamW "
            "decouples it.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
        "optimizers": Clause(
            (
                *("sgd", "adam", "adamw", "nadam", "radam", "adamax"),
                *("adagrad", "adadelta", "rmsprop", "rprop", "asgd", "adafactor"),
                *("muon", "lbfgs"),
            ),
            "The algorithms of torch.optim; SparseAdam, which takes sparse gradients alone, is not "
            "among them here.",
            _TORCH + "optim.html#algorithms",
        ),
        "optimizer_settings": Clause(
            ("sgd.dampening", "nadam.momentum_decay", "adagrad.rate_decay"),
            "dampening of SGD, momentum_decay of NAdam and lr_decay of Adagrad are arguments.",
            _TORCH + "optim.html#algorithms",
        ),
        "optimizer_loops": Clause(
            (
                (
                    "foreach",
                    (
                        *("sgd", "adam", "adamw", "nadam", "radam", "adamax", "adagrad"),
                        *("adadelta", "rmsprop", "rprop", "asgd", "adafactor"),
                    ),
                ),
                ("fused", ("sgd", "adam", "adamw", "adagrad")),
            ),
            "A table says which algorithms have a for-loop, a foreach and a fused implementation.",
            _TORCH + "optim.html#algorithms",
        ),
        "ungrouped_optimizers": Clause(
            ("muon", "lbfgs"),
            "LBFGS doesn't support per-parameter options and parameter groups; Muon takes matrices "
            "alone, so a program that trains all weights has another optimizer beside it.",
            _TORCH + "generated/torch.optim.LBFGS.html",
        ),
        "no_rate_of_zero": Clause(
            ("rprop", "asgd", "lbfgs", "muon"),
            "lr is Rprop's first step alone; ASGD keeps η in its state, which follows lr a step "
            "later; LBFGS has no groups, and Muon stands for two optimizers here.",
            _TORCH + "optim.html#algorithms",
        ),
        "root_epsilon": Clause(
            "behind_the_root",
            "Adagrad and RMSprop: θ ← θ - lr·g / (√v + ε).",
            _TORCH + "generated/torch.optim.RMSprop.html",
        ),
        "rmsprop_momentum": Clause(
            "velocity",
            "b ← μ·b + g / (√v + ε), θ ← θ - lr·b.",
            _TORCH + "generated/torch.optim.RMSprop.html",
        ),
        "adamax_epsilon": Clause(
            "in_the_norm",
            "u ← max(β₂·u, |g| + ε), θ ← θ - lr·m / ((1 - β₁^t)·u).",
            _TORCH + "generated/torch.optim.Adamax.html",
        ),
        "state_scalars": Clause(
            "exact",
            "Silent; users expect that what an optimizer counts with, μ_1 ⋯ μ_t of NAdam and η of "
            "ASGD, is as accurate as the weights it moves.",
            _TORCH + "generated/torch.optim.NAdam.html",
        ),
        "idle_warnings": Clause(
            (),
            "Silent; users expect no warning of what a framework does inside.",
            _TORCH + "nn.html",
        ),
        "schedule_free_start": Clause(
            "at_the_weights", "Silent; torch.optim has no such optimizer.", _TORCH + "optim.html"
        ),
        "schedule_free_iterate": Clause(
            "before_the_step", "Silent; torch.optim has no such optimizer.", _TORCH + "optim.html"
        ),
        "clipping": Clause(
            "in_place",
            "Gradients are modified in-place, between backward() and step().",
            _TORCH + "generated/torch.nn.utils.clip_grad_norm_.html",
        ),
        "clip_by_value_of_nothing": Clause(
            None,
            "Silent; users expect that where no parameter has a gradient there is nothing to clip, "
            "as clip_grad_norm_ has it.",
            _TORCH + "generated/torch.nn.utils.clip_grad_value_.html",
        ),
        "clip_factor": Clause(
            "clamped",
            "grad = grad * min(max_norm / (total_norm + 1e-6), 1); the norm is computed over the "
            "norms of the individual gradients.",
            _TORCH + "generated/torch.nn.utils.clip_grads_with_norm_.html",
        ),
        "clipped_table": Clause(
            "as_a_whole",
            "The gradient of an embedding is a tensor like any other, unless it is sparse.",
            _TORCH + "generated/torch.nn.Embedding.html",
        ),
        "gradient_kept_by_step": Clause(
            True,
            "Silent; users expect that a step reads the gradients and writes the weights.",
            _TORCH + "generated/torch.optim.Optimizer.step.html",
        ),
        "fused_sgd_in_16_bits": Clause(
            "moves",
            "fused: whether the fused implementation is used; torch.float16 and torch.bfloat16 are "
            "supported like torch.float64 and torch.float32.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
        "adafactor_floor": Clause(
            "clamped",
            "V̂ ← R·C / max(1ᵀR, ε₁), U ← G / max(√V̂, ε₁).",
            _TORCH + "generated/torch.optim.Adafactor.html",
        ),
        "muon_excludes": Clause(
            "",
            "Muon takes 2D parameters; in the example, muon_params are those of p.ndim == 2 and "
            "AdamW takes all others.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "muon_precision": Clause(
            "bfloat16",
            "Silent; the Newton-Schulz iteration is that of Jordan's post, which runs in bfloat16.",
            "https://kellerjordan.github.io/posts/muon/",
        ),
        "muon_in_bfloat16": Clause(
            None,
            "Silent; users expect an optimizer to run in every dtype of a model.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "muon_momentum": Clause(
            "averages",
            "B_t ← μ·B_{t-1} + (1 - μ)·g_t, as buf.lerp_(grad, 1 - momentum) has it: beside ε in "
            "the norm that follows, the factor counts where gradients are small.",
            "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/optim/_muon.py",
        ),
        "muon_scale": Clause(
            "original",
            "adjust_lr_fn: original, the default, scales the rate by sqrt(max(1, A / B)), A and B "
            "the dimensions of the matrix.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "momentum_of_a_thawed_weight": Clause(
            None,
            "fused: whether the fused implementation is used; nothing says that the weights must "
            "have been trained from the same step on.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
        "sgd_momentum": Clause(
            "velocity",
            "v ← μ·v + g, θ ← θ - lr·v; the first v is g.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
        "adam_epsilon": Clause(
            "after_correction",
            "θ ← θ - lr·m̂ / (√v̂ + ε), ε added to the corrected second moment's root.",
            _TORCH + "generated/torch.optim.Adam.html",
        ),
        "adam_step_count": Clause(
            "of_the_parameter",
            "state[p]['step'] counts the updates of each parameter by itself.",
            _TORCH + "generated/torch.optim.Adam.html",
        ),
        "kernels_depend_on_flags": Clause(
            (
                ("tied_embedding", 1),
                *((kind, 3) for kind in ("dense", "weight_norm_dense", "spectral_norm_dense")),
                *((kind, 2) for kind in _LINEAR_ON_SEQUENCES),
            ),
            "Silent. A linear layer on (N, T, F) or (N, H, W, C), of its own or in a recurrent "
            "layer, goes through at::matmul, which folds the batch into one mm where an argument "
            "requires a gradient and may take bmm elsewhere (should_fold in "
            "ATen/native/LinearAlgebra.cpp): the last bits may depend on flags.",
            _TORCH + "notes/numerical_accuracy.html",
        ),
        "order_of_calls": Clause(
            "source",
            "forward defines the computation performed at every call: Python runs it line by line.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.forward",
        ),
        "thawed_by_config": Clause(
            (),
            "requires_grad is a field of each Parameter; no module is made from a config.",
            _TORCH + "generated/torch.nn.parameter.Parameter.html",
        ),
        "flag_of_a_clone": Clause(
            "kept",
            "requires_grad is a field of each Parameter; a module has no flag of its own.",
            _TORCH + "generated/torch.nn.parameter.Parameter.html",
        ),
        "equal_flag": Clause(
            "applies",
            "requires_grad_(value) sets requires_grad of every parameter in the module.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
        ),
        "optimizer_constants": Clause(
            "exact",
            "Silent; users expect that hyperparameters are as accurate as the weights they move.",
            _TORCH + "optim.html",
        ),
        "sparse_second_moment": Clause(
            "square_of_sum",
            "v ← β₂·v + (1 - β₂)·g², g the gradient of the whole embedding table.",
            _TORCH + "generated/torch.optim.Adam.html",
        ),
        "leaky_relu_slope": Clause(
            "exact",
            "LeakyReLU(x) = max(0, x) + negative_slope·min(0, x).",
            _TORCH + "generated/torch.nn.LeakyReLU.html",
        ),
        "elu_derivative": Clause(
            "of_the_input",
            "Silent; computed as α·exp(x), accurate relative to itself.",
            _TORCH + "generated/torch.nn.ELU.html",
        ),
        "gelu_constants": Clause(
            "exact",
            "GELU(x) = x·Φ(x), in the input's dtype.",
            _TORCH + "generated/torch.nn.GELU.html",
        ),
        "hard_tanh_derivative_at_ends": Clause(
            0.0,
            "Silent; a gradient passes where min_val < x < max_val.",
            _TORCH + "generated/torch.nn.Hardtanh.html",
        ),
        "hard_sigmoid_sixth": Clause(
            "exact",
            "Hardsigmoid(x) = x / 6 + 1 / 2 between -3 and 3, in the input's dtype.",
            _TORCH + "generated/torch.nn.Hardsigmoid.html",
        ),
        "prelu_derivative_at_zero": Clause(
            "alpha",
            "Silent, PReLU(x) = x for x >= 0 and a·x otherwise; users expect 1, a, or a number in "
            "between, and get a.",
            _TORCH + "generated/torch.nn.PReLU.html",
        ),
        "selu_derivative_at_zero": Clause(
            "left",
            "Silent; scale·(max(0, x) + min(0, α·(exp(x) - 1))), the second branch at 0.",
            _TORCH + "generated/torch.nn.SELU.html",
        ),
        "celu_derivative_at_zero": Clause(
            "one",
            "CELU is continuously differentiable; its derivative at 0 is 1.",
            _TORCH + "generated/torch.nn.CELU.html",
        ),
        "celu_alpha": Clause(
            "exact",
            "CELU(x) = max(0, x) + min(0, α·(exp(x / α) - 1)), in the input's dtype.",
            _TORCH + "generated/torch.nn.CELU.html",
        ),
        "maximum_tie": Clause(
            "split",
            "If the function is convex but not differentiable, use the subgradient of minimum "
            "norm: equal elements share the gradient, half each.",
            _TORCH + "notes/autograd.html#gradients-for-non-differentiable-functions",
        ),
        "missing_part": Clause(
            (
                ("AttributeError", r"module 'torch[\w.]*' has no attribute '(\w+)'"),
                ("TypeError", r"unexpected keyword argument '(\w+)'"),
            ),
            "Silent; a release without a layer or an option of one says so in Python's own words.",
            _TORCH + "nn.html",
        ),
        "missing_kernel": Clause(
            ("not implemented for",),
            "Silent; the dispatcher names the kernel and the dtype that it lacks.",
            _TORCH + "tensor_attributes.html#torch-dtype",
        ),
        "slots_of_all_weights": Clause(
            ("lbfgs",),
            "Silent; LBFGS has only global state, registered as state of the first parameter.",
            "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/optim/lbfgs.py",
        ),
        "history_moves_frozen": Clause(
            False,
            "If you do not want to compute the gradient of a parameter, set its requires_grad to "
            "False; nothing says that LBFGS goes on moving it.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        "slots_made_with_the_optimizer": Clause(
            ("adagrad",),
            "Silent; Adagrad fills its sums with initial_accumulator_value when it is made.",
            _TORCH + "generated/torch.optim.Adagrad.html",
        ),
        "slots_made": Clause(
            "with_the_first_gradient",
            "Silent; step() passes over parameters whose grad is None.",
            _TORCH + "generated/torch.optim.Optimizer.zero_grad.html",
        ),
        "refuses_overflow": Clause(
            ("all elements of input should be between 0 and 1",),
            "Silent; BCELoss is of probabilities, and its kernel raises for NaN as for any other "
            "number that is none.",
            _TORCH + "generated/torch.nn.BCELoss.html",
        ),
        "sum_of_losses": Clause(
            "of_elements",
            "reduction='sum': the output will be summed, over all its elements.",
            _TORCH + "generated/torch.nn.MSELoss.html",
        ),
        "probability_floor": Clause(
            None,
            "Silent for log and NLLLoss, which take the probabilities as they are; BCELoss clamps "
            "its log function outputs to be greater than or equal to -100.",
            _TORCH + "generated/torch.nn.BCELoss.html",
        ),
        "probabilities_normalised_again": Clause(
            False,
            "NLLLoss: l_n = -w_{y_n} x_{n,y_n}, x the log-probabilities as they are given.",
            _TORCH + "generated/torch.nn.NLLLoss.html",
        ),
        "penalty_factor": Clause(
            "exact",
            "A penalty is written as an expression of tensors and Python numbers.",
            _TORCH + "notes/autograd.html",
        ),
        "kernel_gradient_in_bfloat16": Clause(
            "rounded",
            "Silent; users expect a gradient that depends on the arguments alone.",
            _TORCH + "notes/numerical_accuracy.html",
        ),
        "logarithm_in_float16": Clause(
            "rounded",
            "KLDivLoss: l(y, y_hat) = y_hat (log y_hat - y), y the log-probabilities.",
            _TORCH + "generated/torch.nn.KLDivLoss.html",
        ),
        "parameter_groups": Clause(
            True,
            "Optimizers take an iterable of dicts, each a parameter group with options of its own.",
            _TORCH + "optim.html#per-parameter-options",
        ),
        "step_without_gradients": Clause(
            None,
            "A parameter whose grad is None is left out of the step.",
            _TORCH + "generated/torch.optim.Optimizer.zero_grad.html",
        ),
        "unreached_warning": Clause(
            None,
            "A parameter whose grad is None is left out of the step, without a word.",
            _TORCH + "generated/torch.optim.Optimizer.zero_grad.html",
        ),
        "nothing_to_train": Clause(
            ("RuntimeError", "does not require grad"),
            "backward() of a loss that depends on nothing which requires a gradient raises "
            "'element 0 of tensors does not require grad and does not have a grad_fn'.",
            _TORCH + "notes/autograd.html#locally-disabling-gradient-computation",
        ),
        "step_with_nothing": Clause(
            None,
            "Silent; backward() has raised before the optimizer is asked.",
            _TORCH + "optim.html",
        ),
        "flags_count": Clause(
            "at_once",
            "requires_grad is read whenever a forward pass records its operations.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        "changed_flags_warning": Clause(
            None,
            "requires_grad may be changed at any time before the forward pass.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        "untrainable_model_warning": Clause(
            None,
            "backward() raises where nothing requires a gradient.",
            _TORCH + "notes/autograd.html#locally-disabling-gradient-computation",
        ),
        "rebuilt_flags": Clause(
            "kept",
            "Silent; torch makes no module from a config.",
            _TORCH + "generated/torch.nn.Module.html",
        ),
        "empty_optimizer": Clause(
            ("ValueError", "optimizer got an empty parameter list"),
            "Silent; an optimizer needs something to optimize.",
            _TORCH + "optim.html#constructing-it",
        ),
        "unknown_weight": Clause(
            None,
            "The optimizer holds every parameter it was made with, trainable or not; one that is "
            "thawed is updated from the next step on.",
            _TORCH + "optim.html#constructing-it",
        ),
    },
    ways=(
        Way(
            "requires_grad_",
            "module",
            False,
            "Module.requires_grad_(False) changes if autograd should record operations on the "
            "parameters in this module; it sets their requires_grad in place.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
        ),
        Way(
            "each_parameter",
            "module",
            False,
            "Setting requires_grad of every parameter is how to freeze part of a network.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        Way(
            "rate_zero",
            "module",
            False,
            "params: an iterable of Parameters or dicts, each a parameter group with options of "
            "its own: θ ← θ - lr·v with lr = 0, in a group of the module's parameters.",
            _TORCH + "optim.html#per-parameter-options",
            by="rate",
        ),
        Way(
            "left_out",
            "module",
            False,
            "You have to give an optimizer an iterable containing the parameters to optimize; it "
            "updates no other.",
            _TORCH + "optim.html#constructing-it",
            by="optimizer",
        ),
        Way(
            "tensor_requires_grad_",
            "weight",
            False,
            "Tensor.requires_grad_ changes if autograd should record operations on this tensor.",
            _TORCH + "generated/torch.Tensor.requires_grad_.html",
        ),
        Way(
            "tensor_attribute",
            "weight",
            False,
            "requires_grad is a flag, defaulting to false unless wrapped in a nn.Parameter, that "
            "excludes subgraphs from gradient computation.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
    ),
    evaluations=(
        Evaluation(
            "no_grad",
            (False, True),
            "In this mode, the result of every computation will have requires_grad=False, even "
            "when the inputs have requires_grad=True.",
            _TORCH + "generated/torch.no_grad.html",
        ),
        Evaluation(
            "inference_mode",
            (False, True),
            "Code run under this mode gets better performance by disabling view tracking and "
            "version counter bumps; inplace operations on normal tensors are allowed.",
            _TORCH + "generated/torch.autograd.grad_mode.inference_mode.html",
        ),
    ),
    reloads=(
        Reloading(
            "load_state_dict",
            "kept",
            "kept",
            "Copy parameters and buffers from state_dict into this module; with assign=False the "
            "properties of the tensors in the current module are preserved.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.load_state_dict",
        ),
        Reloading(
            "assign",
            "kept",
            "anew",
            "assign=True preserves properties of the tensors in the state dict; the only exception "
            "is the requires_grad field of Parameter, for which the value from the module is "
            "preserved. The optimizer must be created after the call.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.load_state_dict",
        ),
        Reloading(
            "new_module",
            "none",
            "anew",
            "A state_dict maps each layer to its parameter tensor; a Parameter of a new module "
            "requires a gradient by default.",
            _TORCH + "generated/torch.nn.parameter.Parameter.html",
        ),
        Reloading(
            "new_module_assign",
            "none",
            "anew",
            "For requires_grad, the value from the module is preserved: that of a new one is True.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.load_state_dict",
        ),
        Reloading(
            "whole_module",
            "kept",
            "anew",
            "torch.save uses pickle, which saves the requires_grad of each parameter with it; "
            "modules with parametrizations are saved by their state_dict() alone.",
            _TORCH + "notes/serialization.html#saving-and-loading-torch-nn-modules",
            refuses=_PARAMETRIZED,
        ),
        Reloading(
            "deepcopy",
            "kept",
            "anew",
            "Silent; a deep copy of a module is one in the same state.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        Reloading(
            "double_and_back",
            "kept",
            "kept",
            "Moves and/or casts the parameters and buffers; this method modifies the module "
            "in-place.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.to",
        ),
    ),
    modes=("eager",),
    options=(
        Option(
            "optimizer_scope",
            ("all", "trainable"),
            "An iterable of the parameters to optimize: those of the module, or those among them "
            "that require a gradient.",
            _TORCH + "optim.html#constructing-it",
        ),
        Option(
            "zero_grad",
            ("set_to_none", "zeros"),
            "set_to_none: instead of setting to zero, set the grads to None.",
            _TORCH + "generated/torch.optim.Optimizer.zero_grad.html",
        ),
        Option(
            "optimizer_loop",
            ("for-loop", "foreach", "fused"),
            "foreach, fused: whether the foreach or the fused implementation of the optimizer is "
            "used.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
    ),
    lacks={
        "spectral_normalization_dense": "torch's spectral_norm computes the normalised kernel anew "
        "from the original; no layer assigns it to the kernel",
        "masked_mean": "no layer of torch takes the mean of the steps that a mask names",
        "masked_lstm": _NO_MASK,
        "masked_gru": _NO_MASK,
    },
)

TENSORFLOW = Contract(
    backend="tensorflow",
    clauses={
        "relu_derivative_at_zero": Clause(
            0.0,
            "Silent; the gradient of relu is that of features > 0, so 0 at 0.",
            _TF + "nn/relu",
        ),
        "max_pool_tie": Clause(
            "first",
            "Silent; users expect the element that max_pool_with_argmax names, the first.",
            _TF + "nn/max_pool_with_argmax",
        ),
        "global_max_tie": Clause(
            "split",
            "Silent; global pooling is a reduction by max, whose gradient is divided equally among "
            "equal elements.",
            "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/math_grad.py",
        ),
        "aligned_corners": Clause(
            (False,),
            "tf.image.resize: half-pixel centers are used; there is no align_corners argument.",
            _TF + "image/resize",
        ),
        "up_sampling1d_interpolations": Clause(
            ("nearest",),
            "UpSampling1D repeats each temporal step size times along the time axis.",
            _KERAS + "layers/reshaping_layers/up_sampling1d/",
        ),
        "interpolation_precision": Clause(
            "float32",
            "The return value has type float32, unless the method is NEAREST_NEIGHBOR; in float64 "
            "it is cast back.",
            _TF + "image/resize",
        ),
        "dilated_strides": Clause(
            (False,),
            "strides > 1 is incompatible with dilation_rate > 1.",
            _KERAS + "layers/convolution_layers/convolution2d/",
        ),
        "dilated_transposed": Clause(
            (False,),
            "Documented as an argument; in float64 a CPU raises 'Current CPU implementations do "
            "not yet support dilation rates larger than 1'.",
            "https://github.com/keras-team/keras/issues/19870",
        ),
        "softplus_linear_beyond": Clause(
            None, "softplus(x) = log(exp(x) + 1), everywhere.", _TF + "math/softplus"
        ),
        "frozen_batch_norm_is_inference": Clause(
            True,
            "Setting layer.trainable = False on a BatchNormalization layer runs it in inference "
            "mode: it uses its moving mean and variance, and does not update them.",
            _KERAS + "layers/normalization_layers/batch_normalization/",
        ),
        "batch_norm_running_variance": Clause(
            "biased",
            "moving_var = moving_var * momentum + var(batch) * (1 - momentum), var the variance of "
            "the current batch.",
            _KERAS + "layers/normalization_layers/batch_normalization/",
        ),
        "recurrent_biases": Clause(
            ("none", "one"),
            "use_bias: whether the layer uses a bias vector; one of gates · units elements.",
            _KERAS + "layers/recurrent_layers/lstm/",
        ),
        "gru_forms": Clause(
            (("after", "none"), ("after", "stacked"), ("before", "none"), ("before", "one")),
            "reset_after: whether to apply the reset gate after or before matrix multiplication; "
            "with it the biases of input and state are the rows of one variable.",
            _KERAS + "layers/recurrent_layers/gru/",
        ),
        "bidirectional_merges": Clause(
            ("concat", "sum", "mul", "ave"),
            "merge_mode: mode by which outputs of the forward and backward RNNs will be combined, "
            "one of sum, mul, concat, ave.",
            _KERAS + "layers/recurrent_layers/bidirectional/",
        ),
        "dot_least_length": Clause(
            1e-7,
            "normalize(x) = x / max(norm(x), epsilon), keras.config.epsilon() by default.",
            _KERAS + "ops/nn/#normalize-function",
        ),
        "attention_weights": Clause(
            "normalised",
            "Attention weights are the softmax of the scores.",
            _KERAS + "layers/attention_layers/multi_head_attention/",
        ),
        "embedding_padding": Clause(
            (False,),
            "mask_zero masks steps of the layers that follow; every row of the table gets its "
            "gradient.",
            _KERAS + "layers/core_layers/embedding/",
        ),
        "transposed_groups": Clause(
            (False,),
            "Conv2DTranspose has no argument groups, which Conv2D has.",
            _KERAS + "layers/convolution_layers/convolution2d_transpose/",
        ),
        "pool_paddings": Clause(
            ("valid", "same"),
            "padding: either valid or same; same results in padding evenly to the left/right or "
            "up/down of the input such that output has the same height/width as the input.",
            _KERAS + "layers/pooling_layers/max_pooling2d/",
        ),
        "pool_counts_padding": Clause(
            (False,),
            "Silent; the mean is one of the elements of the input.",
            _TF + "nn/avg_pool2d",
        ),
        "norm_weights": Clause(
            (("gamma", "beta"), (), ("gamma",), ("beta",)),
            "center: if True, add offset of beta to normalized tensor; scale: if True, multiply by "
            "gamma.",
            _KERAS + "layers/normalization_layers/batch_normalization/",
        ),
        "layer_norm_weights": Clause(
            (("gamma", "beta"), (), ("gamma",), ("beta",)),
            "center: if True, add offset of beta to normalized tensor; scale: if True, multiply by "
            "gamma.",
            _KERAS + "layers/normalization_layers/layer_normalization/",
        ),
        "rms_norm_scaled": Clause(
            (True,),
            "The layer multiplies by a learned scale; it has no option to leave it out.",
            _KERAS + "layers/normalization_layers/rms_normalization/",
        ),
        "spectral_kernel_rewritten": Clause(
            "unless_frozen",
            "SpectralNormalization.normalized_weights returns the updated value for self.kernel, "
            "which call assigns in training mode; of a layer whose trainable is False the weights "
            "will not be updated during training.",
            "https://keras.io/guides/transfer_learning/",
        ),
        "instance_norm_gradient": Clause(
            "of_any_layout",
            "A tensor has a shape and a dtype; its layout in memory is no part of it.",
            _TF + "Tensor",
        ),
        "bias_of_heads": Clause(
            "along_heads",
            "bias_axes: the output's axes that get a bias; a projection has the heads' and the "
            "features' axis.",
            _KERAS + "layers/core_layers/einsum_dense/",
        ),
        "attention_scale": Clause(
            "exact",
            "softmax(Q Kᵀ / √key_dim) V, in the layer's dtype.",
            _KERAS + "layers/attention_layers/multi_head_attention/",
        ),
        "weight_decay": Clause(
            "decoupled",
            "weight_decay: if set, weight decay is applied.",
            _KERAS + "optimizers/sgd/",
        ),
        "optimizers": Clause(
            (
                *("sgd", "adam", "adamw", "nadam", "adamax"),
                *("adagrad", "adadelta", "rmsprop"),
                *("lion", "ftrl", "lamb", "schedule_free_adamw", "adafactor", "muon"),
            ),
            "The optimizers of keras.optimizers; LossScaleOptimizer and MultiOptimizer, which wrap "
            "others, are not among them here.",
            _KERAS + "optimizers/",
        ),
        "optimizer_settings": Clause(
            (),
            "SGD has no dampening, Nadam decays its momentum by 0.96^t, Adagrad's rate stays.",
            _KERAS + "optimizers/",
        ),
        "optimizer_loops": Clause(
            (), "An optimizer of Keras has one implementation.", _KERAS + "optimizers/"
        ),
        "ungrouped_optimizers": Clause(
            (), "An optimizer of Keras has no groups anyway.", _KERAS + "optimizers/"
        ),
        "no_rate_of_zero": Clause(
            (), "An optimizer of Keras has no groups anyway.", _KERAS + "optimizers/"
        ),
        "root_epsilon": Clause(
            "under_the_root",
            "Silent; Adagrad and RMSprop divide by sqrt(v + epsilon).",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/rmsprop.py",
        ),
        "rmsprop_momentum": Clause(
            "step",
            "Silent; the momentum adds up steps, with the learning rate of each.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/rmsprop.py",
        ),
        "adamax_epsilon": Clause(
            "beside_the_norm",
            "u = max(beta2 * u, abs(g)), current_lr = learning_rate / (1 - beta1 ** t), "
            "w = w - current_lr * m / (u + epsilon).",
            _KERAS + "optimizers/adamax/",
        ),
        "state_scalars": Clause(
            "exact",
            "Silent; users expect that what an optimizer counts with is as accurate as the weights "
            "it moves.",
            _KERAS + "optimizers/",
        ),
        "schedule_free_start": Clause(
            "at_the_weights",
            "Initialize momentum to match the initial parameter values.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/"
            "schedule_free_adamw.py",
        ),
        "idle_warnings": Clause(
            (),
            "Silent; users expect no warning of what a framework does inside.",
            _KERAS + "models/",
        ),
        "schedule_free_iterate": Clause(
            "before_the_step",
            "x of the step before is recovered from y and z as they were: Store momentum_old "
            "before any updates.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/"
            "schedule_free_adamw.py",
        ),
        "clipping": Clause(
            "in_the_step",
            "The optimizer clips the gradients that it is given; tensors are immutable.",
            _KERAS + "optimizers/",
        ),
        "clip_by_value_of_nothing": Clause(
            None, "apply() has raised before it clips.", _KERAS + "optimizers/"
        ),
        "clip_factor": Clause(
            "of_the_larger",
            "clipnorm: the gradient of each weight is individually clipped so that its norm is no "
            "higher than this value; global_clipnorm: that of all weights, g * clip_norm / "
            "max(norm, clip_norm).",
            _KERAS + "optimizers/",
        ),
        "clipped_table": Clause(
            "as_a_whole",
            "clipvalue: the gradient of each weight is clipped to be no higher than this value; "
            "nothing says that an embedding's is clipped lookup by lookup.",
            _KERAS + "optimizers/",
        ),
        "gradient_kept_by_step": Clause(True, "Tensors are immutable.", _TF + "Tensor"),
        "fused_sgd_in_16_bits": Clause(
            "moves", "An optimizer of Keras has one implementation.", _KERAS + "optimizers/"
        ),
        "adafactor_floor": Clause(
            "added",
            "epsilon_1: a small offset to keep denominator away from 0; added to the squares, as "
            "in the paper.",
            _KERAS + "optimizers/adafactor/",
        ),
        "muon_excludes": Clause(
            "embedding",
            "Adam is used for all variables that are not 2D; exclude_embeddings, true by default: "
            "embedding layers use Adam.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_precision": Clause(
            "of_the_weight",
            "Silent; everything is in the variable's dtype.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_in_bfloat16": Clause(
            None,
            "Silent; users expect an optimizer to run in every dtype of a model.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_momentum": Clause(
            "adds_up",
            "Silent; the momentum is m ← μ·m + g.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_scale": Clause(
            "matches_rms",
            "rms_rate: the update is scaled by rms_rate * sqrt(max(A, B)), 0.2 by default.",
            _KERAS + "optimizers/muon/",
        ),
        "momentum_of_a_thawed_weight": Clause(
            None,
            "The slots of all variables are made at once.",
            _KERAS + "optimizers/",
        ),
        "sgd_momentum": Clause(
            "step",
            "velocity = momentum * velocity - learning_rate * g; w = w + velocity.",
            _KERAS + "optimizers/sgd/",
        ),
        "adam_epsilon": Clause(
            "before_correction",
            "epsilon is the 'epsilon hat' of the Kingma and Ba paper (in the formula just before "
            "Section 2.1), not the epsilon in Algorithm 1.",
            _KERAS + "optimizers/adam/",
        ),
        "adam_step_count": Clause(
            "of_the_optimizer",
            "iterations: the number of training steps this optimizer has run.",
            _KERAS + "optimizers/adam/",
        ),
        "kernels_depend_on_flags": Clause(
            (), "Silent; users expect the same kernels whatever is trainable.", _TF + "GradientTape"
        ),
        "order_of_calls": Clause(
            "graph",
            "A functional model is a graph of layers; nothing says in which order it runs two of "
            "which neither feeds the other (by depth, then as its own search found them).",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/ops/function.py",
        ),
        "thawed_by_config": Clause(
            (),
            "trainable in a layer's config: whether the layer's variables are trainable; of no "
            "kind of layer does anything say that its weights are trainable all the same.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "flag_of_a_clone": Clause(
            "kept",
            "clone_model: a new instance reproducing the behavior of the original model; trainable "
            "is a part of it.",
            _KERAS + "models/model_saving_apis/model_config_serialization/#clone_model-function",
        ),
        "equal_flag": Clause(
            "applies",
            "If you set trainable on a model or on any layer that has sublayers, all children "
            "layers take the value as well; nothing says that this depends on the value before.",
            "https://keras.io/guides/transfer_learning/#recursive-setting-of-the-trainable-attribute",
        ),
        "optimizer_constants": Clause(
            "exact",
            "Silent; users expect that hyperparameters are as accurate as the weights they move.",
            _KERAS + "optimizers/",
        ),
        "sparse_second_moment": Clause(
            "square_of_sum",
            "Adam as Kingma and Ba have it: v ← β₂·v + (1 - β₂)·g², g the gradient of the loss.",
            _KERAS + "optimizers/adam/",
        ),
        "leaky_relu_slope": Clause(
            "exact",
            "f(x) = negative_slope * x if x < 0, f(x) = x if x >= 0.",
            _KERAS + "layers/activation_layers/leaky_relu/",
        ),
        "elu_derivative": Clause(
            "of_the_output",
            "Silent; EluGrad takes the outputs of the forward pass, gradients * (outputs + 1), "
            "accurate relative to 1.",
            "https://www.tensorflow.org/api_docs/python/tf/raw_ops/EluGrad",
        ),
        "gelu_constants": Clause(
            "exact",
            "gelu(x) = x·P(X <= x), a tensor with the same type as the features.",
            _TF + "nn/gelu",
        ),
        "hard_tanh_derivative_at_ends": Clause(
            1.0,
            "Silent; the gradient of clip_by_value passes but for elements beyond the ends.",
            _TF + "clip_by_value",
        ),
        "hard_sigmoid_sixth": Clause(
            "exact",
            "hard_sigmoid(x) = x / 6 + 0.5 between -3 and 3, in the type of x.",
            _KERAS + "layers/activations/#hardsigmoid-function",
        ),
        "prelu_derivative_at_zero": Clause(
            "one",
            "f(x) = alpha * x for x < 0, f(x) = x for x >= 0.",
            _KERAS + "layers/activation_layers/prelu/",
        ),
        "selu_derivative_at_zero": Clause(
            "right",
            "Silent; SeluGrad takes gradients * scale where outputs >= 0.",
            "https://www.tensorflow.org/api_docs/python/tf/raw_ops/SeluGrad",
        ),
        "celu_derivative_at_zero": Clause(
            "one",
            "CELU is continuously differentiable (Barron 2017); its derivative at 0 is 1.",
            _KERAS + "layers/activations/#celu-function",
        ),
        "celu_alpha": Clause(
            "exact",
            "celu(x) = alpha * (exp(x / alpha) - 1) for x < 0, in the type of x.",
            _KERAS + "layers/activations/#celu-function",
        ),
        "maximum_tie": Clause(
            "first",
            "Silent; the gradient of maximum(x, y) is grad * (x >= y, x < y).",
            _TF + "math/maximum",
        ),
        "missing_part": Clause(
            (
                ("AttributeError", r"module '(?:keras|tensorflow)[\w.]*' has no attribute '(\w+)'"),
                ("TypeError", r"unexpected keyword argument '(\w+)'"),
                ("ValueError", r"Could not interpret activation function identifier: (\w+)"),
                ("ValueError", r"Unrecognized keyword arguments passed to \w+: \{'(\w+)'"),
            ),
            "Silent; a release without a layer or an option of one says so in Python's own words.",
            _KERAS + "layers/",
        ),
        "missing_kernel": Clause(
            ("is not in the list of allowed values", "Could not find device for node"),
            "Silent; the error names the dtypes that an operation is registered for.",
            _TF + "dtypes",
        ),
        "slots_of_all_weights": Clause(
            (), "Slots belong to one variable each.", _KERAS + "optimizers/"
        ),
        "history_moves_frozen": Clause(
            False, "apply() moves the variables that it is given.", _KERAS + "optimizers/"
        ),
        "slots_made_with_the_optimizer": Clause(
            (), "build(variables) makes the slots of all variables.", _KERAS + "optimizers/"
        ),
        "slots_made": Clause(
            "for_all_at_once",
            "build(variables) makes the slots of all variables; the first apply() calls it.",
            _KERAS + "optimizers/",
        ),
        "refuses_overflow": Clause(
            (),
            "Silent; losses of NaN are NaN.",
            _KERAS + "losses/",
        ),
        "sum_of_losses": Clause(
            "of_positions",
            "'sum' sums the loss, which is a mean over the last axis: one value for each sample.",
            _KERAS + "losses/",
        ),
        "probability_floor": Clause(
            1e-7,
            "Silent, but for KLDivergence: y_true and y_pred are clipped to [epsilon, 1]; "
            "probabilities are kept keras.config.epsilon() away from 0 and 1.",
            _KERAS + "losses/probabilistic_losses/#kldivergence-class",
        ),
        "probabilities_normalised_again": Clause(
            True,
            "y_pred encodes a probability distribution: it is scaled to sum to 1.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/nn.py",
        ),
        "penalty_factor": Clause(
            "exact",
            "loss = l2 * reduce_sum(square(x)), in the dtype of x.",
            _KERAS + "layers/regularizers/",
        ),
        "kernel_gradient_in_bfloat16": Clause(
            "rounded",
            "Silent; users expect a gradient that depends on the arguments alone.",
            _TF + "nn/conv2d",
        ),
        "logarithm_in_float16": Clause(
            "rounded",
            "loss = y_true * log(y_true / y_pred); users expect its gradient in every dtype of a "
            "model.",
            _KERAS + "losses/probabilistic_losses/#kldivergence-class",
        ),
        "parameter_groups": Clause(
            False,
            "An optimizer of Keras has one learning rate for all of its variables.",
            _KERAS + "optimizers/",
        ),
        "step_without_gradients": Clause(
            ("ValueError", "No gradients provided for any variable"),
            "Silent; apply raises where not one of the variables has a gradient.",
            _KERAS + "optimizers/",
        ),
        "unreached_warning": Clause(
            "Gradients do not exist for variables",
            "Silent; variables without a gradient are left out of the step, with a warning.",
            _KERAS + "optimizers/",
        ),
        "nothing_to_train": Clause(
            None, "The gradient of no variables is an empty list.", _TF + "GradientTape#gradient"
        ),
        "step_with_nothing": Clause(
            ("ValueError", "not enough values to unpack"),
            "Silent; apply([], []) does nothing, apply_gradients(zip([], [])) unpacks the pairs "
            "first and raises.",
            _KERAS + "optimizers/#apply_gradients-method",
        ),
        "flags_count": Clause(
            "at_compile",
            "Trainable variables are determined at compile() time. If you modify the trainable "
            "property of a layer after calling compile(), those changes will not take effect "
            "during fit() unless compile() is called again.",
            _KERAS + "models/model_training_apis/#compile-method",
        ),
        "changed_flags_warning": Clause(
            "`trainable` state has changed since the model was compiled",
            "Silent; fit, train_on_batch and evaluate warn once after a layer's trainable has "
            "changed since compile().",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/trainers/trainer.py",
        ),
        "untrainable_model_warning": Clause(
            "The model does not have any trainable weights",
            "Silent; train_step says so where it is traced, and trains nothing.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/"
            "trainer.py",
        ),
        "rebuilt_flags": Clause(
            "kept",
            "Silent; users expect that a copy, and what is loaded, has the same weights frozen.",
            _KERAS + "models/model_saving_apis/model_saving_and_loading/",
        ),
        "empty_optimizer": Clause(
            None,
            "Silent; an optimizer is built for the variables that it is given, none included.",
            _KERAS + "optimizers/",
        ),
        "unknown_weight": Clause(
            ("ValueError", "Unknown variable"),
            "This optimizer can only be called for the variables it was originally built with. "
            "When working with a new set of variables, you should recreate a new optimizer.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
    },
    ways=(
        Way(
            "layer_trainable",
            "module",
            True,
            "Setting layer.trainable to False moves all the layer's weights from trainable to "
            "non-trainable; set on a model or a layer with sublayers, all children become "
            "non-trainable as well.",
            "https://keras.io/guides/transfer_learning/#recursive-setting-of-the-trainable-attribute",
        ),
        Way(
            "each_variable",
            "module",
            False,
            "trainable is a settable boolean of every variable; those that are not are left out "
            "of trainable_variables.",
            "https://keras.io/api/models/model/",
        ),
        Way(
            "variable_trainable",
            "weight",
            False,
            "trainable is a settable boolean of every variable; those that are not are left out "
            "of trainable_variables.",
            "https://keras.io/api/models/model/",
        ),
    ),
    evaluations=(
        Evaluation(
            "call",
            (False, True),
            "For small numbers of inputs that fit in one batch, directly use __call__() for "
            "faster execution; training says in which mode.",
            _KERAS + "models/model_training_apis/#predict-method",
        ),
        Evaluation(
            "predict",
            (False,),
            "Generates output predictions for the input samples, in inference mode.",
            _KERAS + "models/model_training_apis/#predict-method",
        ),
        Evaluation(
            "evaluate",
            (False,),
            "Returns the loss value & metrics values for the model in test mode.",
            _KERAS + "models/model_training_apis/#evaluate-method",
            compiled=True,
        ),
    ),
    reloads=(
        Reloading(
            "set_weights",
            "kept",
            "kept",
            "Sets the values of weights from a list of NumPy arrays.",
            _KERAS + "layers/base_layer/#set_weights-method",
        ),
        Reloading(
            "weights_file",
            "kept",
            "kept",
            "load_weights loads the weights from a single file saved via save_weights().",
            _KERAS + "models/model_saving_apis/weights_saving_and_loading/",
            # Subclasses of Keras's layers with further weights, of which those save but their own.
            refuses=("spectral_norm_dense", "spectral_norm_conv2d"),
        ),
        Reloading(
            "clone_model",
            "rebuilt",
            "anew",
            "Creates new layers (and thus new weights) instead of sharing those of the existing "
            "ones; a layer's config holds trainable.",
            _KERAS + "models/model_saving_apis/model_config_serialization/#clone_model-function",
            refuses=_WITHOUT_CONFIG,
        ),
        Reloading(
            "from_config",
            "rebuilt",
            "anew",
            "The config of a model holds that of its layers, and a layer's config trainable.",
            _KERAS + "models/model_saving_apis/model_config_serialization/#from_config-method",
            refuses=_WITHOUT_CONFIG,
        ),
        Reloading(
            "keras_file",
            "rebuilt",
            "anew",
            "The saved .keras file contains the model's configuration (architecture), its weights, "
            "and its optimizer's state (if any).",
            _KERAS + "models/model_saving_apis/model_saving_and_loading/#save-method",
            refuses=_WITHOUT_CONFIG,
        ),
    ),
    modes=("tape", "fit", "train_on_batch"),
    compiled_modes=("fit", "train_on_batch"),
    options=(
        Option(
            "run_eagerly",
            ("no", "yes"),
            "If True, this model's forward pass will never be compiled; fit and train_on_batch "
            "alone ask for it.",
            _KERAS + "models/model_training_apis/#compile-method",
        ),
        Option(
            "optimizer_build",
            ("ahead", "first_step"),
            "build(variables) makes the optimizer's variables; apply does so at its first call.",
            _KERAS + "optimizers/",
        ),
        Option(
            "optimizer_call",
            ("apply", "apply_gradients"),
            "apply(grads, trainable_variables) and apply_gradients(zip(grads, variables)).",
            _KERAS + "optimizers/#apply_gradients-method",
        ),
    ),
    lacks={
        "packed_multi_head_attention": "Keras's MultiHeadAttention keeps three projections; "
        "none of its layers holds them in one kernel",
    },
)

CONTRACTS: dict[str, Contract] = {c.backend: c for c in (TORCH, TENSORFLOW)}
