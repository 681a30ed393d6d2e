"""What PyTorch documents."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Clause, Contract, Evaluation, Option, Reloading, Way
from invariants.oracle.contract.torch_1 import TORCH_1
from invariants.oracle.contract.torch_actions import ACTIONS
from invariants.oracle.contract.torch_devices import DEVICES
from invariants.oracle.contract.torch_modes import MODES

_TORCH = "https://docs.pytorch.org/docs/stable/"

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
    "packed_cross_attention",
    "transformer_encoder",
    "packed_transformer_encoder",
    "prefix_attention",
    "spectral_norm_dense",
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
        "sized_padding": Clause(
            (False, True),
            "padding: 'valid', 'same' or a tuple of ints giving the amount of implicit padding "
            "applied on both sides.",
            _TORCH + "generated/torch.nn.Conv2d.html",
        ),
        "padding_modes": Clause(
            ("zeros", "reflect", "replicate", "circular"),
            "padding_mode: 'zeros', 'reflect', 'replicate' or 'circular'. Default: 'zeros'.",
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
        "added_keys_under_a_hint": Clause(
            "seen",
            "add_bias_kv: if specified, adds bias to the key and value sequences; add_zero_attn: "
            "adds a new batch of zeros to them; need_weights: if specified, returns weights in "
            "addition to outputs. Silent on a hint that stands for the mask of the keys given.",
            _TORCH + "generated/torch.nn.MultiheadAttention.html",
        ),
        "skipped_outputs": Clause(
            ("zeros",),
            "pad_packed_sequence: padding_value, by default 0.0: values for padded elements.",
            _TORCH + "generated/torch.nn.utils.rnn.pad_packed_sequence.html",
        ),
        "skipped_of_both_ends": Clause(
            "zeros",
            "pad_packed_sequence: padding_value, by default 0.0: values for padded elements.",
            _TORCH + "generated/torch.nn.utils.rnn.pad_packed_sequence.html",
        ),
        "skipped_at_the_end": Clause(
            "repeated",
            "h_n: the final hidden state for each element in the sequence; for a packed sequence, "
            "that of its own last step.",
            _TORCH + "generated/torch.nn.LSTM.html",
        ),
        "bidirectional_levels": Clause(
            (1, 2),
            "num_layers: number of recurrent layers; 2 would mean stacking two together, the "
            "second taking in outputs of the first; with bidirectional=True, those of both ends.",
            _TORCH + "generated/torch.nn.LSTM.html",
        ),
        "recurrent_activations": Clause(
            (("tanh", "sigmoid"),),
            "i_t = σ(W_ii x_t + ...), g_t = tanh(W_ig x_t + ...), h_t = o_t ⊙ tanh(c_t); LSTM and "
            "GRU have no argument for other functions.",
            _TORCH + "generated/torch.nn.LSTM.html",
        ),
        "recurrent_backwards": Clause(
            (False,),
            "bidirectional: a cell from each end; there is none from the last step alone.",
            _TORCH + "generated/torch.nn.RNN.html",
        ),
        "lstm_projection": Clause(
            (False, True),
            "proj_size: if > 0, will use LSTM with projections of corresponding size: h_t = W_hr "
            "h_t, with a learnable projection matrix.",
            _TORCH + "generated/torch.nn.LSTM.html",
        ),
        "hard_tanh_free_ends": Clause(
            (False, True),
            "min_val, max_val: minimum and maximum value of the linear region range.",
            _TORCH + "generated/torch.nn.Hardtanh.html",
        ),
        "softplus_shape": Clause(
            (False, True),
            "Softplus(x) = 1/β · log(1 + exp(β · x)); for numerical stability the implementation "
            "reverts to the linear function when input · β > threshold.",
            _TORCH + "generated/torch.nn.Softplus.html",
        ),
        "prelu_sharing": Clause(
            ("positions", "all"),
            "num_parameters: number of a to learn. Although it takes an int as input, there is "
            "only two values are legitimate: 1, or the number of channels at input.",
            _TORCH + "generated/torch.nn.PReLU.html",
        ),
        "dilated_pools": Clause(
            (False, True),
            "dilation: a parameter that controls the stride of elements in the window.",
            _TORCH + "generated/torch.nn.MaxPool2d.html",
        ),
        "pool_divisor": Clause(
            (False, True),
            "divisor_override: if specified, it will be used as divisor, otherwise size of the "
            "pooling region will be used.",
            _TORCH + "generated/torch.nn.AvgPool2d.html",
        ),
        "untracked_batch_norm": Clause(
            (False, True),
            "track_running_stats=False: this module does not track such statistics, and uses batch "
            "statistics in both training and eval modes.",
            _TORCH + "generated/torch.nn.BatchNorm2d.html",
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
        "padding_row": Clause(
            "constant",
            "padding_idx: its entries do not contribute to the gradient; its embedding vector "
            "is not updated during training.",
            _TORCH + "generated/torch.nn.Embedding.html",
        ),
        "embedding_max_norm": Clause(
            (False, True),
            "max_norm: each embedding vector with norm larger than max_norm is renormalized to "
            "have norm max_norm; when it is not None, Embedding's forward method will modify the "
            "weight tensor in-place.",
            _TORCH + "generated/torch.nn.Embedding.html",
        ),
        "renormalised_row_floor": Clause(
            1e-7,
            "Silent; the kernel multiplies a row by max_norm / (norm + 1e-7) where its norm is "
            "larger, whether the table requires a gradient or not.",
            "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Embedding.cpp",
        ),
        "embedding_by_frequency": Clause(
            (False, True),
            "scale_grad_by_freq: if given, this will scale gradients by the inverse of frequency "
            "of the words in the mini-batch.",
            _TORCH + "generated/torch.nn.Embedding.html",
        ),
        "lookup_scaling": Clause(
            "each_time",
            "scale_grad_by_freq: if given, this will scale gradients by the inverse of frequency "
            "of the words in the mini-batch; silent on a mode of differentiation in which it would "
            "not.",
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
            (("gamma", "beta"), (), ("gamma",)),
            "affine: a boolean value that when set to True, this module has learnable affine "
            "parameters; bias: if set to False, the layer will not learn an additive bias.",
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
            ("sgd.dampening", "nadam.momentum_decay", "adagrad.rate_decay", "muon.floor"),
            "dampening of SGD, momentum_decay of NAdam, lr_decay of Adagrad and eps of Muon are "
            "arguments.",
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
        "scheduled_rate": Clause(
            "float64",
            "A learning rate is a Python float, unless it is given as a tensor, and so is what a "
            "scheduler makes of it.",
            _TORCH + "optim.html#how-to-adjust-learning-rate",
        ),
        "schedules_recursive": Clause(
            True,
            "Most learning rate schedulers can be called back-to-back (also referred to as "
            "chaining schedulers): each is applied one after the other on the learning rate "
            "obtained by the one preceding it.",
            _TORCH + "optim.html#how-to-adjust-learning-rate",
        ),
        "schedule_counts": Clause(
            "its_own_steps",
            "Learning rate scheduling should be applied after optimizer's update: a scheduler "
            "counts the calls of its step(), and belongs to the optimizer that it was made with.",
            _TORCH + "optim.html#how-to-adjust-learning-rate",
        ),
        "cosine_beyond_its_end": Clause(
            "rises",
            "This implementation performs cosine annealing without restarts, so T_cur = t and "
            "increases monotonically with each call to step(): beyond T_max the cosine rises.",
            _TORCH + "generated/torch.optim.lr_scheduler.CosineAnnealingLR.html",
        ),
        "rate_set_under_a_schedule": Clause(
            None,
            "lr is an entry of a parameter group that anyone may set.",
            _TORCH + "optim.html#per-parameter-options",
        ),
        "schedules_of_any_rate": Clause(
            ("stairs", "multi_step", "linear"),
            "Notice that such decay can happen simultaneously with other changes to the learning "
            "rate from outside this scheduler (StepLR, MultiStepLR, LinearLR); it goes on from "
            "what it finds.",
            _TORCH + "generated/torch.optim.lr_scheduler.StepLR.html",
        ),
        "averages": Clause(
            ("exponential", "equal"),
            "AveragedModel implements stochastic weight averaging and exponential moving average; "
            "W_ema ← decay · W_ema + (1 - decay) · W with get_ema_multi_avg_fn, equally weighted "
            "without a function.",
            _TORCH + "optim.html#weight-averaging-swa-and-ema",
        ),
        "averages_belong_to": Clause(
            "the_program",
            "AveragedModel(model) makes a copy of a model, which update_parameters(model) moves; "
            "no optimizer knows of it.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "buffers_beside_averages": Clause(
            "follow",
            "use_buffers=False: buffers are kept in sync with those of the model.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "averages_follow": Clause(
            "all_weights",
            "update_parameters goes through all parameters of the model.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "first_average": Clause(
            "the_weight",
            "When update_parameters is called for the first time the parameters of model are "
            "copied to the parameters of AveragedModel.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "average_of_a_constant": Clause(
            "kept",
            "Silent; computed by lerp, and users expect that the average of a weight that stays "
            "is that weight.",
            _TORCH + "generated/torch.lerp.html",
        ),
        "average_of_states": Clause(
            (False, True),
            "use_buffers: if True, it will compute running averages for both the parameters and "
            "the buffers of the model; if not, the buffers are kept in sync with the model's.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "average_overwrites": Clause(
            "",
            "The averaged model is another one; the model itself goes on as it is.",
            _TORCH + "optim.html#weight-averaging-swa-and-ema",
        ),
        "maximizing": Clause(
            (
                *("sgd", "adam", "adamw", "nadam", "radam", "adamax", "adagrad", "adadelta"),
                *("rmsprop", "rprop", "asgd", "adafactor"),
            ),
            "maximize: maximize the objective with respect to the params, instead of minimizing; "
            "in the algorithm the gradient is negated before all else. LBFGS and Muon have no such "
            "argument.",
            _TORCH + "generated/torch.optim.SGD.html",
        ),
        "gradient_accumulation": Clause(
            False,
            "Gradients accumulate in the grad of leaf tensors until a program clears them; an "
            "optimizer moves the parameters at each step.",
            _TORCH + "optim.html#taking-an-optimization-step",
        ),
        "accumulator": Clause(
            "",
            "Silent; torch's optimizers add up no gradients.",
            _TORCH + "optim.html#taking-an-optimization-step",
        ),
        "average_while_accumulating": Clause(
            "stays",
            "Silent; torch's optimizers add up no gradients.",
            _TORCH + "optim.html#taking-an-optimization-step",
        ),
        "average_of_nothing": Clause(
            None,
            "The averaged model is made with the model, trained or not.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "average_before_a_step": Clause(
            "as_made",
            "AveragedModel(model) makes a copy of the model: it holds the weights and states of "
            "that time until update_parameters() is called.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
        ),
        "averages_handed_out": Clause(
            "of_each_weight",
            "A state_dict maps each parameter and buffer by its name.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.load_state_dict",
        ),
        "idle_warnings": Clause(
            ("LSTM with projections is not supported with oneDNN",),
            "Silent; users expect no warning of what a framework does inside. That another "
            "implementation runs than the fastest one tells of no mistake.",
            _TORCH + "nn.html",
        ),
        "schedule_free_start": Clause(
            "at_the_weights", "Silent; torch.optim has no such optimizer.", _TORCH + "optim.html"
        ),
        "schedule_free_start_of_a_file": Clause(
            "at_the_weights", "Silent; torch.optim has no such optimizer.", _TORCH + "optim.html"
        ),
        "schedule_free_iterate": Clause(
            "before_the_step", "Silent; torch.optim has no such optimizer.", _TORCH + "optim.html"
        ),
        "cast_weights": Clause(
            "once",
            "Under autocast a cast weight is kept until the region is left, and the gradients of "
            "its uses are added up in the lower format.",
            _TORCH + "amp.html",
        ),
        "kept_casts": Clause(
            "of_the_weights",
            "cache_enabled: whether the weight cache inside autocast should be enabled; silent on "
            "weights that change before the region is left. Users expect a forward pass to be that "
            "of the weights as they are.",
            _TORCH + "amp.html#torch.autocast",
        ),
        "casts_of_a_fused_layer": Clause(
            "lead_back",
            "Where gradients are disabled, nn.TransformerEncoderLayer may run fused; silent on "
            "autocast. Users expect that a cast which is kept leads back to its weight, whoever "
            "made it.",
            _TORCH + "generated/torch.nn.TransformerEncoderLayer.html",
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
        "clipping_of_shared_zeros": Clause(
            None,
            "Gradients are modified in-place. Silent on whether elements of one may share their "
            "memory, as those of an expanded tensor do; users expect that zeros can be clipped.",
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
        "gradient_kept_by_decay": Clause(
            True,
            "step() updates the parameters; users expect that it leaves their gradients.",
            _TORCH + "generated/torch.optim.Optimizer.step.html",
        ),
        "radam_denominator": Clause(
            "with_epsilon",
            "l_t = sqrt(1 - β₂^t) / (sqrt(v_t) + ε).",
            _TORCH + "generated/torch.optim.RAdam.html",
        ),
        "nadam_product": Clause(
            "of_all",
            "m_t / (1 - ∏ μ_i), i from 1 to t + 1: each momentum counts once.",
            _TORCH + "generated/torch.optim.NAdam.html",
        ),
        "batch_norm_momentum": Clause(
            "exact",
            "x_new = (1 - momentum) * x + momentum * x_t.",
            _TORCH + "generated/torch.nn.BatchNorm1d.html",
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
        "muon_of_a_row": Clause(
            None,
            "Silent; a matrix of one row is a matrix, and a step that is traced is the step.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "muon_under_a_schedule": Clause(
            None,
            "Learning rate schedulers adjust the learning rate of an optimizer, whichever it is.",
            _TORCH + "optim.html#how-to-adjust-learning-rate",
        ),
        "muon_momentum": Clause(
            "adds_up",
            "B_t ← μ·B_{t-1} + g_t; with nesterov g_t + μ·B_t goes on, else B_t.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "muon_buffer": Clause(
            "kept",
            "B_t = μ·B_(t-1) + g_t; what is made orthogonal is the update, B_t stays.",
            _TORCH + "generated/torch.optim.Muon.html",
        ),
        "muon_floor": Clause(
            "added",
            "eps: term added to the denominator for numerical stability.",
            _TORCH + "generated/torch.optim.Muon.html",
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
        "beta_that_rounds_to_1": Clause(
            "counts",
            "betas are Python numbers, and so are the corrections 1 - β^t.",
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
        "thawed_by_constructor": Clause(
            (),
            "Silent; a module of torch is made trainable, no argument says otherwise.",
            _TORCH + "generated/torch.nn.Module.html",
        ),
        "thawed_by_before_build": Clause(
            (),
            "Silent; a module of torch has its parameters once it is made.",
            _TORCH + "generated/torch.nn.Module.html",
        ),
        "unwatched_when_built_frozen": Clause(
            (),
            "requires_grad is read whenever a forward pass records its operations.",
            _TORCH + "notes/autograd.html#setting-requires-grad",
        ),
        "model_constructor": Clause(
            "freezes",
            "Silent; a module of torch is made trainable, no argument says otherwise.",
            _TORCH + "generated/torch.nn.Module.html",
        ),
        "scalars_of_a_loaded_optimizer": Clause(
            "kept",
            "Silent; a load_state_dict that resumes a training changes nothing of it.",
            _TORCH + "generated/torch.optim.Optimizer.load_state_dict.html",
        ),
        "optimizer_of_other_weights": Clause(
            None,
            "Silent; load_state_dict goes by the places of the parameters.",
            _TORCH + "generated/torch.optim.Optimizer.load_state_dict.html",
        ),
        "delta_of_a_saved_loss": Clause(
            "kept",
            "Silent; losses are no part of a module's state_dict.",
            _TORCH + "generated/torch.nn.HuberLoss.html",
        ),
        "thawed_by_config": Clause(
            (),
            "requires_grad is a field of each Parameter; no module is made from a config.",
            _TORCH + "generated/torch.nn.parameter.Parameter.html",
        ),
        "flag_lost_by_config": Clause(
            (),
            "A module has no flag of its own; nothing is made from a config.",
            _TORCH + "generated/torch.nn.Module.html",
        ),
        "flag_of_a_clone": Clause(
            "kept",
            "requires_grad is a field of each Parameter; a module has no flag of its own.",
            _TORCH + "generated/torch.nn.parameter.Parameter.html",
        ),
        "lora_alpha_forgotten_by": Clause(
            (), "No layer of torch has an update of low rank.", _TORCH + "nn.html"
        ),
        "lora_in_files": Clause(
            "kept", "No layer of torch has an update of low rank.", _TORCH + "nn.html"
        ),
        "scaled_step_of_nothing": Clause(
            "nothing", "An optimizer is made with its weights.", _TORCH + "optim.html"
        ),
        "lora_file_precision": Clause("variable", "There is no layer of its own for it.", _TORCH),
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
        "huber_at_delta": Clause(
            "line",
            "0.5 · (x - y)² if |x - y| < delta, delta · (|x - y| - 0.5 · delta) otherwise.",
            _TORCH + "generated/torch.nn.HuberLoss.html",
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
        "celu_curvature_at_zero": Clause(
            "right",
            "Silent; users expect the second derivative from one side or the other, and get that "
            "of x, 0: elu_double_backward multiplies by (self_or_result < 0).",
            "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/csrc/autograd/FunctionsManual.cpp",
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
            ("not implemented for", "could not create a primitive descriptor for"),
            "Silent; the dispatcher names the kernel and the dtype that it lacks, oneDNN the "
            "primitive: that of an LSTM needs a processor with instructions for 16 bits.",
            _TORCH + "tensor_attributes.html#torch-dtype",
        ),
        "cast_in_place": Clause(
            True,
            "double(), float(), half(), bfloat16(): cast all floating point parameters and buffers "
            "to the datatype, in-place. An optimizer is made afterwards: you should make sure that "
            "optimized parameters live in consistent locations when optimizers are constructed and "
            "used.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.to",
        ),
        "cast_to_16_bits": Clause(
            "by_float32",
            "Silent; a double becomes a Half or a BFloat16 by way of a float, rounded to nearest "
            "twice: off by half an ulp and 2^-24 at most.",
            "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/headeronly/util/Half.h",
        ),
        "hook_of_unreached": Clause(
            None,
            "The hook will be called every time a gradient with respect to the Tensor is computed: "
            "hook(grad) -> Tensor or None.",
            _TORCH + "generated/torch.Tensor.register_hook.html",
        ),
        "hook_of_frozen": Clause(
            ("RuntimeError", "cannot register a hook on a tensor that doesn't require gradient"),
            "Silent; a hook is called every time a gradient is computed, and of a tensor that "
            "requires none there never is one.",
            _TORCH + "generated/torch.Tensor.register_hook.html",
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
        "probability_offset": Clause(
            0.0,
            "BCELoss: l_n = -w_n (y_n log x_n + (1 - y_n) log(1 - x_n)).",
            _TORCH + "generated/torch.nn.BCELoss.html",
        ),
        "spectral_normalization_when_traced": Clause(
            None,
            "Silent; torch has no layer that assigns a kernel.",
            _TORCH + "nn.html",
        ),
        "probability_floor": Clause(
            None,
            "Silent for log and NLLLoss, which take the probabilities as they are; BCELoss clamps "
            "its log function outputs to be greater than or equal to -100.",
            _TORCH + "generated/torch.nn.BCELoss.html",
        ),
        "softmax_in_a_graph": Clause(
            "kept",
            "Silent; NLLLoss takes the log-probabilities as they are, in a graph as well.",
            _TORCH + "generated/torch.nn.NLLLoss.html",
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
        "batchmean_losses": Clause(
            ("kl_divergence",),
            "KLDivLoss, reduction='batchmean': loss = loss_pointwise.sum() / input.size(0).",
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
        "unreached_gradient": Clause(
            "none",
            "A parameter that takes no part in the computation of the loss has no gradient; users "
            "expect the same of a compiled model.",
            _TORCH + "notes/autograd.html",
        ),
        "logistic_loss": Clause(
            "one_function",
            "BCEWithLogitsLoss combines a Sigmoid layer and the BCELoss in one single class and is "
            "more numerically stable than the two by themselves.",
            _TORCH + "generated/torch.nn.BCEWithLogitsLoss.html",
        ),
        "fused_gradient": Clause(
            "by_index",
            "A fused implementation differs from the others in speed alone; the gradient that is "
            "assigned to .grad has the values that its indices give.",
            _TORCH + "optim.html#algorithms",
        ),
        "group_norm_slope": Clause(
            "in_range",
            "Silent; users expect the gradient of group_norm to be within the range of its "
            "dtype wherever it is itself.",
            _TORCH + "generated/torch.nn.GroupNorm.html",
        ),
        "norm_tangent": Clause(
            "in_range",
            "jvp computes the Jacobian-vector product of a function; users expect that of a norm "
            "to be within the range of its dtype wherever it is itself.",
            _TORCH + "generated/torch.func.jvp.html",
        ),
        "lbfgs_gradient": Clause(
            None,
            "An optimizer reads the gradients of its parameters; users expect one that they assign "
            "to do, in whatever order its memory is.",
            _TORCH + "generated/torch.optim.LBFGS.html",
        ),
        "stretch_without_inputs": Clause(
            "keeps_gradients",
            "Users expect checkpointing to trade compute for memory and nothing else. For the "
            "reentrant variant it is documented that at least one input and output must have "
            "requires_grad=True; if this condition is unmet, the checkpointed part of the model "
            "will not have gradients.",
            _TORCH + "checkpoint.html#torch.utils.checkpoint.checkpoint",
        ),
        "stretch_warning": Clause(
            "None of the inputs have requires_grad=True",
            "The reentrant variant warns of inputs none of which has requires_grad=True: "
            "'Gradients will be None'.",
            _TORCH + "checkpoint.html#torch.utils.checkpoint.checkpoint",
        ),
        "recomputed_state": Clause(
            "moves_once",
            "Silent; users expect a state to move as without checkpointing, which trades compute "
            "for memory.",
            _TORCH + "checkpoint.html",
        ),
        "variables_made_late": Clause(
            None,
            "A compiled function is one with guards; it may make tensors at any call.",
            _TORCH + "generated/torch.compile.html",
        ),
        "function_after_a_failed_trace": Clause(
            None,
            "Silent; users expect a function whose first call has raised to be traced again.",
            _TORCH + "generated/torch.compile.html",
        ),
        "recomputed_draws": Clause(
            "the_same",
            "The RNG state is stashed and restored during each checkpoint, so that checkpointed "
            "passes making use of dropout have output as compared to non-checkpointed passes.",
            _TORCH + "checkpoint.html",
        ),
        "nothing_to_train": Clause(
            ("RuntimeError", "does not require grad"),
            "backward() of a loss that depends on nothing which requires a gradient raises "
            "'element 0 of tensors does not require grad and does not have a grad_fn'.",
            _TORCH + "notes/autograd.html#locally-disabling-gradient-computation",
        ),
        "nothing_to_train_told": Clause(
            "after_the_pass",
            "The forward pass has run when backward() is called, and has moved states.",
            _TORCH + "notes/autograd.html#locally-disabling-gradient-computation",
        ),
        "weight_norm_curvature": Clause(
            "chain_rule",
            "A weight is g · v / |v|, in every derivative.",
            _TORCH + "generated/torch.nn.utils.parametrizations.weight_norm.html",
        ),
        "norm_curvature_at_zero": Clause(
            "zero",
            "v / max(|v|, eps): shorter than eps it is linear.",
            _TORCH + "generated/torch.nn.functional.normalize.html",
        ),
        "variance_curvature": Clause(
            "chain_rule",
            "The standard-deviation is calculated via the biased estimator; its mean changes with "
            "the input.",
            _TORCH + "generated/torch.nn.LayerNorm.html",
        ),
        "interpolation_curvature": Clause(
            "chain_rule",
            "Bilinear upsampling is linear: its gradient changes with what comes after it alone.",
            _TORCH + "generated/torch.nn.Upsample.html",
        ),
        "interpolation_tangent": Clause(
            "chain_rule",
            "Forward mode and reverse mode have the same derivative.",
            _TORCH + "generated/torch.func.jacfwd.html",
        ),
        "max_pool_tangent": Clause(
            "chain_rule",
            "Forward mode and reverse mode have the same derivative.",
            _TORCH + "generated/torch.func.jacfwd.html",
        ),
        "cosine_least_length": Clause(
            1e-8,
            "eps: small value to avoid division by zero, 1e-8 by default; a norm is no smaller.",
            _TORCH + "generated/torch.nn.functional.cosine_similarity.html",
        ),
        "gradient_by_nothing": Clause(
            None,
            "A backward pass accumulates into the leaves that it finds, named or not.",
            _TORCH + "generated/torch.Tensor.backward.html",
        ),
        "scaled_tangent": Clause(
            None,
            "Type promotion: a number does not change the dtype of a tensor that it multiplies, "
            "unless it is of a higher category.",
            _TORCH + "tensor_attributes.html#type-promotion-doc",
        ),
        "kernel_gradient_of_a_sample": Clause(
            None,
            "vmap over grad gives the gradient of each sample; silent on what a kernel refuses.",
            "https://docs.pytorch.org/tutorials/intermediate/per_sample_grads.html",
        ),
        "group_norm_of_a_part": Clause(
            None,
            "vmap maps a function over tensors; silent on what a kernel refuses. Users expect that "
            "the strides of a tensor change nothing about its value.",
            _TORCH + "generated/torch.func.vmap.html",
        ),
        "order_of_uses": Clause(
            "kept",
            "Silent; the engine goes by the numbers that operations got in the forward pass, and "
            "users expect the same sum each time.",
            _TORCH + "notes/autograd.html",
        ),
        "writes_in_a_linear_map": Clause(
            "kept",
            "linearize returns the value of the function at the given parameters and a linear "
            "function that computes its jvp there.",
            _TORCH + "generated/torch.func.linearize.html",
        ),
        "view_in_a_linear_map": Clause(
            None,
            "linearize returns a function to compute the jvp of the function at the given "
            "parameters, and vmap maps a function over tensors; silent on what a view refuses.",
            _TORCH + "generated/torch.func.linearize.html",
        ),
        "view_in_a_traced_graph": Clause(
            None,
            "torch.compile optimizes the given model or function; silent on what a view refuses.",
            _TORCH + "generated/torch.compile.html",
        ),
        "conv3d_windows": Clause(
            "from_the_start",
            "out(N, C) = bias + Σ weight ⋆ input, the valid cross-correlation; padding 'same' has "
            "no stride but 1, so that a network pads by itself.",
            _TORCH + "generated/torch.nn.Conv3d.html",
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
        "unknown_weight_told": Clause(
            "before_the_step",
            "Silent; the optimizer holds every parameter it was made with.",
            _TORCH + "optim.html#constructing-it",
        ),
        "flags_around": Clause(
            "do_not_count",
            "requires_grad is a flag of each parameter; a module keeps none.",
            _TORCH + "generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
        ),
        "attention_scales": Clause(
            (True, False),
            "scaled_dot_product_attention(query, key, value, scale=None): "
            "the scale is 1 / √E unless another is given.",
            _TORCH + "generated/torch.nn.functional.scaled_dot_product_attention.html",
        ),
        "hard_sigmoid": Clause(
            "a_sixth",
            "Hardsigmoid(x): 0 if x <= -3, 1 if x >= 3, x / 6 + 1 / 2 otherwise.",
            _TORCH + "generated/torch.nn.Hardsigmoid.html",
        ),
        "unknown_weight": Clause(
            None,
            "The optimizer holds every parameter it was made with, trainable or not; one that is "
            "thawed is updated from the next step on.",
            _TORCH + "optim.html#constructing-it",
        ),
    },
    actions=ACTIONS,
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
            "masked_gradient",
            "module",
            False,
            "grad contains the gradients computed, step() performs a single optimization step by "
            "it; what is written to it between backward() and step() is what counts.",
            _TORCH + "generated/torch.Tensor.grad.html",
            by="mask",
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
        Way(
            "gradient_hook",
            "weight",
            False,
            "register_hook: the hook will be called every time a gradient with respect to the "
            "Tensor is computed; it can return a new gradient which will be used in place of grad. "
            "It belongs to this tensor: no file, no copy and no tensor in its place has it.",
            _TORCH + "generated/torch.Tensor.register_hook.html",
            by="hook",
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
        Evaluation(
            "averaged_model",
            (False,),
            "update_parameters() makes the averages, and the averaged model is called to make "
            "predictions on the test data; it is a copy, the model itself goes on.",
            _TORCH + "optim.html#weight-averaging-swa-and-ema",
            averaged=True,
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
            "averages",
            "kept",
            "kept",
            "AveragedModel.module holds the averages in a module of the same kind; load_state_dict "
            "copies parameters and buffers into this module, those that are frozen, too.",
            _TORCH + "generated/torch.optim.swa_utils.AveragedModel.html",
            other_weights=False,
            averages="all",
        ),
        Reloading(
            "checkpoint",
            "kept",
            "loaded",
            "optimizer.state_dict() contains all information of the optimizer's current state; "
            "load_state_dict makes another one go on from it, each parameter by its place. That of "
            "a scheduler holds every variable which is not the optimizer.",
            _TORCH + "generated/torch.optim.Optimizer.load_state_dict.html",
            other_weights=False,
            weights_alone="load_state_dict",
        ),
        Reloading(
            "new_module_checkpoint",
            "none",
            "loaded",
            "A general checkpoint saves the state_dicts of model, optimizer, and all else that has "
            "one: a scheduler, an averaged model; to load it, first initialize the model and the "
            "optimizer. A Parameter of a new module requires a gradient by default.",
            "https://docs.pytorch.org/tutorials/recipes/recipes/saving_and_loading_a_general_checkpoint.html",
            weights_alone="new_module",
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
    modes=MODES,
    devices=DEVICES,
    releases=(TORCH_1,),
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
        **dict.fromkeys(
            ("spectral_normalization_dense", "spectral_normalization_conv2d"),
            "torch's spectral_norm computes the normalised kernel anew from the original; no layer "
            "assigns it to the kernel",
        ),
        **dict.fromkeys(
            (
                "dense_with_lora",
                "embedding_with_lora",
                "conv1d_with_lora",
                "conv2d_with_lora",
                "conv3d_with_lora",
            ),
            "no layer of torch has a low-rank update",
        ),
        "masked_mean": "no layer of torch takes the mean of the steps that a mask names",
        "masked_simple_rnn": _NO_MASK,
        "masked_lstm": _NO_MASK,
        "masked_gru": _NO_MASK,
    },
)
