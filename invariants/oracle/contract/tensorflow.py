"""What Keras on TensorFlow documents."""

from __future__ import annotations

from invariants.oracle.contract.clauses import (
    Clause,
    Contract,
    Evaluation,
    Option,
    Reloading,
    Way,
)
from invariants.oracle.contract.keras_2 import KERAS_2
from invariants.oracle.contract.tensorflow_actions import ACTIONS
from invariants.oracle.contract.tensorflow_devices import DEVICES
from invariants.oracle.contract.tensorflow_modes import MODES

_KERAS = "https://keras.io/api/"

_SCHEDULES = _KERAS + "optimizers/learning_rate_schedules/"

_TF = "https://www.tensorflow.org/api_docs/python/tf/"

_NO_LENGTHS = (
    "Keras's recurrent layers take a mask for every step of every sample, and no lengths of samples"
)

_PACKED = (
    "Keras's MultiHeadAttention keeps three projections; none of its layers holds them in one "
    "kernel, or their biases in one vector"
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
    "weight_norm_conv2d",
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
    "log_softmax",
    "hard_shrink",
    "softshrink",
    "slice",
    "split",
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
        "sized_padding": Clause(
            (False,),
            "padding: string, either 'valid' or 'same'; ZeroPadding2D before it adds other rows "
            "and columns of zeros.",
            _KERAS + "layers/convolution_layers/convolution2d/",
        ),
        "padding_modes": Clause(
            ("zeros",),
            '"same" results in padding with zeros evenly to the left/right or up/down of the '
            "input.",
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
        "added_keys_under_a_hint": Clause(
            "seen",
            "Silent; Keras's attention adds no keys to those that it is given.",
            _KERAS + "layers/attention_layers/multi_head_attention/",
        ),
        "skipped_outputs": Clause(
            ("repeated", "zeros"),
            "zero_output_for_mask: if True, the output for masked timestep will be zeros, whereas "
            "in the False case, output from previous timestep is returned.",
            "https://www.tensorflow.org/api_docs/python/tf/keras/backend/rnn",
        ),
        "skipped_of_both_ends": Clause(
            "zeros",
            "When return_sequences is True, the output of the masked timestep will be zero "
            "regardless of the layer's original zero_output_for_mask value.",
            _KERAS + "layers/recurrent_layers/bidirectional/",
        ),
        "skipped_at_the_end": Clause(
            "repeated",
            "zero_output_for_mask: note that this field is only used when return_sequences is True "
            "and mask is provided.",
            _KERAS + "layers/recurrent_layers/rnn/",
        ),
        "bidirectional_levels": Clause(
            (1,),
            "Bidirectional wraps one recurrent layer; two levels are two layers, the second over "
            "the sequence of the first.",
            _KERAS + "layers/recurrent_layers/bidirectional/",
        ),
        "recurrent_activations": Clause(
            (("tanh", "sigmoid"), ("relu", "sigmoid"), ("tanh", "hard_sigmoid")),
            "activation: activation function to use, default tanh; recurrent_activation: "
            "activation function to use for the recurrent step, default sigmoid.",
            _KERAS + "layers/recurrent_layers/lstm/",
        ),
        "recurrent_backwards": Clause(
            (False, True),
            "go_backwards: if True, process the input sequence backwards and return the reversed "
            "sequence.",
            _KERAS + "layers/recurrent_layers/lstm/",
        ),
        "lstm_projection": Clause(
            (False,),
            "LSTM has no argument for it; a state has as many features as the layer has units.",
            _KERAS + "layers/recurrent_layers/lstm/",
        ),
        "hard_tanh_free_ends": Clause(
            (False,),
            "hard_tanh: -1 for x < -1, x for -1 <= x <= 1, 1 for x > 1.",
            _KERAS + "layers/activations/#hardtanh-function",
        ),
        "softplus_shape": Clause(
            (False,),
            "softplus(x) = log(exp(x) + 1).",
            _KERAS + "layers/activations/#softplus-function",
        ),
        "prelu_sharing": Clause(
            ("positions", "all", "none"),
            "shared_axes: the axes along which to share learnable parameters for the activation "
            "function; by default none, and alpha has the shape of the input.",
            _KERAS + "layers/activation_layers/prelu/",
        ),
        "dilated_pools": Clause(
            (False,),
            "MaxPooling2D has pool_size, strides and padding, and no argument for a dilation.",
            _KERAS + "layers/pooling_layers/max_pooling2d/",
        ),
        "pool_divisor": Clause(
            (False,),
            "AveragePooling2D takes the average value over an input window.",
            _KERAS + "layers/pooling_layers/average_pooling2d/",
        ),
        "untracked_batch_norm": Clause(
            (False,),
            "BatchNormalization always keeps moving averages, and uses them in inference mode.",
            _KERAS + "layers/normalization_layers/batch_normalization/",
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
        "embedding_max_norm": Clause(
            (False,),
            "embeddings_constraint: constraint function applied to the embeddings matrix, all of "
            "it, by the optimizer after a step; no lookup writes to it.",
            _KERAS + "layers/core_layers/embedding/",
        ),
        "embedding_by_frequency": Clause(
            (False,),
            "Embedding has no argument for it; the gradient of a row is the sum over its lookups.",
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
        "schedule_free_start_of_a_file": Clause(
            "at_the_weights",
            "Initialize momentum to match the initial parameter values. Silent on a file whose "
            "optimizer is one of other weights; users expect those that it has brought.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/"
            "schedule_free_adamw.py",
        ),
        "scheduled_rate": Clause(
            "of_the_weight",
            "A schedule gives a scalar tensor of the same type as initial_learning_rate; users "
            "expect a rate that is as accurate as the weights it moves, as that of a Python float "
            "is.",
            _SCHEDULES + "exponential_decay/",
        ),
        "schedules_recursive": Clause(
            False,
            "A schedule is a 1-arg callable that produces a learning rate when passed the current "
            "optimizer step.",
            _SCHEDULES + "exponential_decay/",
        ),
        "schedule_counts": Clause(
            "training_steps",
            "iterations: the number of training steps this optimizer has run; a schedule is "
            "passed the current optimizer step.",
            _SCHEDULES + "learning_rate_schedule/",
        ),
        "cosine_beyond_its_end": Clause(
            "stays",
            "step = min(step, decay_steps); cosine_decay = 0.5 * (1 + cos(pi * step / "
            "decay_steps)).",
            _SCHEDULES + "cosine_decay/",
        ),
        "rate_set_under_a_schedule": Clause(
            ("TypeError", "its learning rate is not settable"),
            "This optimizer was created with a LearningRateSchedule object as its learning_rate "
            "constructor argument, hence its learning rate is not settable.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
        "schedules_of_any_rate": Clause(
            (),
            "A schedule works out each rate from the number of steps alone.",
            _SCHEDULES + "learning_rate_schedule/",
        ),
        "averages": Clause(
            ("exponential",),
            "use_ema: new_average = ema_momentum * old_average + (1 - ema_momentum) * "
            "current_variable_value.",
            _KERAS + "optimizers/sgd/",
        ),
        "averages_belong_to": Clause(
            "the_optimizer",
            "EMA consists of computing an exponential moving average of the weights of the model "
            "(as the weight values change after each training batch); it is an option of the "
            "optimizer, for the variables that it was built with.",
            _KERAS + "optimizers/sgd/",
        ),
        "buffers_beside_averages": Clause(
            "follow",
            "Silent; an optimizer averages the variables that it was built with.",
            _KERAS + "optimizers/sgd/",
        ),
        "averages_follow": Clause(
            "all_weights",
            "EMA consists of computing an exponential moving average of the weights of the model "
            "(as the weight values change after each training batch).",
            _KERAS + "optimizers/sgd/",
        ),
        "first_average": Clause(
            "the_weight",
            "Silent; at the first step the momentum is 0.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
        "average_of_a_constant": Clause(
            "rounded",
            "new_average = ema_momentum * old_average + (1 - ema_momentum) * "
            "current_variable_value: two products and a sum, each of which rounds.",
            _KERAS + "optimizers/sgd/",
        ),
        "average_of_states": Clause(
            (False,),
            "Silent; an optimizer is built for the trainable variables.",
            _KERAS + "optimizers/",
        ),
        "average_overwrites": Clause(
            "trainable",
            "Every ema_overwrite_frequency steps of iterations, we overwrite the model variable by "
            "its moving average; but the state of a frozen layer won't be updated during training.",
            "https://keras.io/guides/transfer_learning/",
        ),
        "maximizing": Clause(
            (),
            "Silent; an optimizer of Keras minimizes, so a program negates its loss.",
            _KERAS + "optimizers/",
        ),
        "gradient_accumulation": Clause(
            True,
            "gradient_accumulation_steps: model & optimizer variables will not be updated at every "
            "step; instead they will be updated every gradient_accumulation_steps steps, using the "
            "average value of the gradients since the last update. Learning rate schedules will "
            "look at real iterations. Silent on a weight that was frozen at some of these steps; "
            "users expect that those count, as steps without a gradient.",
            _KERAS + "optimizers/sgd/",
        ),
        "accumulator": Clause(
            "accumulated_gradients",
            "The average value of the gradients since the last update: what a weight had until "
            "then is gone with it, be the weight frozen at the update or not.",
            _KERAS + "optimizers/sgd/",
        ),
        "average_while_accumulating": Clause(
            "stays",
            "Optimizer variables will not be updated at every step; instead they will be updated "
            "every gradient_accumulation_steps steps. EMA frequency will look at accumulated "
            "iterations.",
            _KERAS + "optimizers/sgd/",
        ),
        "average_of_nothing": Clause(
            None,
            "Silent; users expect that where nothing is trained there is nothing to average.",
            _KERAS + "optimizers/sgd/",
        ),
        "average_before_a_step": Clause(
            "the_weight",
            "Silent; users expect that a weight of which there is no average yet stays.",
            _KERAS + "optimizers/sgd/",
        ),
        "averages_handed_out": Clause(
            "of_each_weight",
            "At the end of training you call optimizer.finalize_variable_values(), which updates "
            "the model variables to their moving averages in-place; fit() does so after its last "
            "epoch.",
            _KERAS + "optimizers/sgd/",
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
        "kept_casts": Clause(
            "of_the_weights",
            "A layer casts its variables when it is called.",
            "https://keras.io/api/mixed_precision/policy/",
        ),
        "casts_of_a_fused_layer": Clause(
            "lead_back",
            "Silent; a layer casts its variables when it is called, and keeps no cast.",
            "https://keras.io/api/mixed_precision/policy/",
        ),
        "cast_weights": Clause(
            "each_time",
            "Under a mixed precision policy the layer converts a variable to the compute data type "
            "when it is accessed: gradients of several accesses are added up in float32.",
            "https://keras.io/api/mixed_precision/policy/",
        ),
        "clipping": Clause(
            "in_the_step",
            "The optimizer clips the gradients that it is given; tensors are immutable.",
            _KERAS + "optimizers/",
        ),
        "clip_by_value_of_nothing": Clause(
            None, "apply() has raised before it clips.", _KERAS + "optimizers/"
        ),
        "clipping_of_shared_zeros": Clause(
            None,
            "Tensors are immutable: gradients that are clipped are other ones.",
            "https://www.tensorflow.org/guide/tensor",
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
        "gradient_kept_by_decay": Clause(
            True,
            "Tensors are immutable.",
            _TF + "Tensor",
        ),
        "radam_denominator": Clause(
            "with_epsilon",
            "Silent; keras.optimizers has no RAdam.",
            _KERAS + "optimizers/",
        ),
        "nadam_product": Clause(
            "of_all",
            "Silent; Nadam is Adam with Nesterov momentum, after Dozat, whose product is that of "
            "all momenta.",
            _KERAS + "optimizers/nadam/",
        ),
        "batch_norm_momentum": Clause(
            "exact",
            "moving_mean = moving_mean * momentum + mean(batch) * (1 - momentum).",
            _KERAS + "layers/normalization_layers/batch_normalization/",
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
        "muon_of_a_row": Clause(
            None,
            "Silent; a matrix of one row is a matrix, and a step that is traced is the step.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_under_a_schedule": Clause(
            None,
            "A schedule can be passed as the learning_rate argument of any optimizer.",
            _SCHEDULES + "learning_rate_schedule/",
        ),
        "muon_momentum": Clause(
            "adds_up",
            "Silent; the momentum is m ← μ·m + g.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_buffer": Clause(
            "kept",
            "Silent; the moving average is a variable of the optimizer, its update another tensor.",
            _KERAS + "optimizers/muon/",
        ),
        "muon_floor": Clause(
            "added",
            "Silent; as in Jordan's post, a small number is added to the norm.",
            "https://kellerjordan.github.io/posts/muon/",
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
        "beta_that_rounds_to_1": Clause(
            "counts",
            "beta_2: the exponential decay rate for the 2nd moment estimates, defaults to 0.999; "
            "users expect that the default moves the weights in every dtype of a model.",
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
        "thawed_by_constructor": Clause(
            (),
            "trainable: whether the layer's variables should be trainable; of no sublayer it is "
            "said that its own are not among them.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "thawed_by_before_build": Clause(
            (),
            "Setting trainable on a layer with sublayers, all children become non-trainable as "
            "well; nothing says that those which build() makes do not.",
            "https://keras.io/guides/transfer_learning/#recursive-setting-of-the-trainable-attribute",
        ),
        "unwatched_when_built_frozen": Clause(
            (),
            "Settable boolean, whether this layer should be trainable or not; nothing says that it "
            "depends on when the layer was built.",
            _KERAS + "layers/base_layer/#trainable-property",
        ),
        "model_constructor": Clause(
            "freezes",
            "trainable: Boolean, optional. If the model's variables should be trainable.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/models/functional.py",
        ),
        "scalars_of_a_loaded_optimizer": Clause(
            "kept",
            "The saved .keras file contains the model's configuration, its weights, and its "
            "optimizer's state.",
            _KERAS + "models/model_saving_apis/model_saving_and_loading/#save-method",
        ),
        "optimizer_of_other_weights": Clause(
            "Skipping variable loading for optimizer",
            "Silent; an optimizer with another number of variables than the saved one warns of it.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
        "delta_of_a_saved_loss": Clause(
            "kept",
            "load_model compiles the model after loading, with the loss that it was saved with; "
            "delta is a part of Huber's.",
            _KERAS + "models/model_saving_apis/model_saving_and_loading/#loadmodel-function",
        ),
        "thawed_by_config": Clause(
            (),
            "trainable in a layer's config: whether the layer's variables are trainable; of no "
            "kind of layer does anything say that its weights are trainable all the same.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "flag_lost_by_config": Clause(
            (),
            "trainable in a layer's config: whether the layer's variables are trainable; a "
            "Sequential within a model is a layer, too.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "flag_of_a_clone": Clause(
            "kept",
            "clone_model: a new instance reproducing the behavior of the original model; trainable "
            "is a part of it.",
            _KERAS + "models/model_saving_apis/model_config_serialization/#clone_model-function",
        ),
        "lora_alpha_forgotten_by": Clause(
            (),
            "lora_alpha: if set, this parameter scales the low-rank adaptation delta during the "
            "forward pass; the delta is scaled by lora_alpha / lora_rank.",
            _KERAS + "layers/core_layers/dense/",
        ),
        "lora_in_files": Clause(
            "merged",
            "When you save a model (after training), the LoRA weights are automatically merged. "
            "When you reload, you have a 'normal' kernel with no LoRA weights.",
            "https://github.com/keras-team/keras/issues/23244",
        ),
        "scaled_step_of_nothing": Clause(
            "nothing",
            "apply() of no gradients is a no-op, and an optimizer is built with the variables of "
            "the first apply() that has some; LossScaleOptimizer wraps another optimizer and "
            "applies dynamic loss scaling to it.",
            _KERAS + "optimizers/loss_scale_optimizer/",
        ),
        "lora_file_precision": Clause(
            "variable",
            "The variable dtype of a mixed precision policy is float32, and the layer casts only "
            "what it computes with; a saved file holds the state of the layer: its weights.",
            "https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/",
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
        "huber_at_delta": Clause(
            "parabola",
            "0.5 * x^2 if |x| <= d, d * |x| - 0.5 * d^2 if |x| > d.",
            _KERAS + "losses/regression_losses/#huber-function",
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
        "celu_curvature_at_zero": Clause(
            "left",
            "Silent; users expect the second derivative from one side or the other, and get that "
            "of expm1, 1 / alpha: minimum(x, 0) hands the gradient to x.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/nn.py",
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
                ("ValueError", r"Unknown activation function '(\w+)' cannot be deserialized"),
                ("ValueError", r"Invalid Reduction Key: (\w+)"),
                ("ValueError", r"Unknown `floatx` value: (\w+)"),
                ("AttributeError", r"property '(\w+)' of '\w*Variable' object has no setter"),
                ("AttributeError", r"can't set attribute '?(\w*)"),
                ("ValueError", r"Argument\(s\) not recognized: \{'(\w+)'"),
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
        "cast_in_place": Clause(
            False,
            "dtype, an argument of every layer: the dtype of the layer's computations and weights; "
            "no method casts a layer that has been made.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "cast_to_16_bits": Clause(
            "at_once",
            "Silent; no method casts a layer that has been made.",
            _KERAS + "layers/base_layer/#layer-class",
        ),
        "hook_of_unreached": Clause(
            None,
            "Silent; a variable of Keras has no hooks.",
            _KERAS + "models/model_training_apis/",
        ),
        "hook_of_frozen": Clause(
            None, "Silent; a variable takes no hooks.", _KERAS + "optimizers/"
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
        "batchmean_losses": Clause(
            (),
            "KLDivergence: reduction should be sum_over_batch_size, which divides the sum by the "
            "number of losses, sum, mean, mean_with_sample_weight or None.",
            _KERAS + "losses/probabilistic_losses/#kldivergence-class",
        ),
        "probability_offset": Clause(
            0.0,
            "Silent; BinaryCrossentropy is -(y log(p) + (1 - y) log(1 - p)).",
            _KERAS + "losses/probabilistic_losses/#binarycrossentropy-class",
        ),
        "spectral_normalization_when_traced": Clause(
            None,
            "Silent; users expect a layer to run in fit() as it does eagerly.",
            _KERAS + "layers/normalization_layers/spectral_normalization/",
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
        "softmax_in_a_graph": Clause(
            "taken_apart",
            "Silent. When softmax activation function is used for output operation, we use logits "
            "from the softmax function directly to compute loss in order to prevent collapsing "
            "zero when training, its source says, and does so with a sigmoid: nothing is clipped "
            "then. Only the tensor of a graph knows its operation; op by op, the probabilities are "
            "taken as they are.",
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
        "unreached_gradient": Clause(
            "none",
            "unconnected_gradients: the default value none means that None is returned if the "
            "sources and the target are not connected.",
            _TF + "GradientTape#gradient",
        ),
        "logistic_loss": Clause(
            "one_function",
            "With from_logits=True the loss is computed from logits by one function, which is more "
            "numerically stable.",
            _KERAS + "losses/probabilistic_losses/#binarycrossentropy-class",
        ),
        "fused_gradient": Clause(
            "by_index",
            "Silent; Keras optimizers have no fused implementation.",
            _KERAS + "optimizers/",
        ),
        "group_norm_slope": Clause(
            "in_range",
            "Silent; users expect the gradient of GroupNormalization to be in range wherever "
            "it is itself.",
            _KERAS + "layers/normalization_layers/group_normalization/",
        ),
        "norm_tangent": Clause(
            "in_range",
            "Silent; users expect the tangent of a norm to be in range wherever it is itself.",
            "https://www.tensorflow.org/api_docs/python/tf/autodiff/ForwardAccumulator",
        ),
        "lbfgs_gradient": Clause(
            None,
            "Silent; Keras has no LBFGS.",
            _KERAS + "optimizers/",
        ),
        "stretch_without_inputs": Clause(
            "keeps_gradients",
            "Silent; users expect a recomputed stretch to have the gradients of one that is not.",
            "https://www.tensorflow.org/api_docs/python/tf/recompute_grad",
        ),
        "stretch_warning": Clause(
            "",
            "Silent; a recomputed stretch warns of nothing.",
            "https://www.tensorflow.org/api_docs/python/tf/recompute_grad",
        ),
        "recomputed_state": Clause(
            "moves_once",
            "Silent; users expect a state to move as without recomputation.",
            _TF + "recompute_grad",
        ),
        "variables_made_late": Clause(
            ("ValueError", "Creating variables on a non-first call"),
            "tf.function only supports singleton tf.Variables created on the first call, and "
            "reused across subsequent function calls; an optimizer that is built in its first step "
            "makes them there.",
            "https://www.tensorflow.org/guide/function#creating_tfvariables",
        ),
        "function_after_a_failed_trace": Clause(
            None,
            "Silent; users expect a function whose first call has raised to be traced again.",
            "https://www.tensorflow.org/guide/function#rules_of_tracing",
        ),
        "recomputed_draws": Clause(
            "the_same",
            "Silent; users expect the gradient of what was computed, random layers included.",
            _TF + "recompute_grad",
        ),
        "padding_row": Clause(
            "constant",
            "Silent; Embedding has no row of padding, mask_zero alone.",
            _KERAS + "layers/core_layers/embedding/",
        ),
        "renormalised_row_floor": Clause(
            0.0,
            "Silent; no lookup renormalises a row.",
            _KERAS + "layers/core_layers/embedding/",
        ),
        "lookup_scaling": Clause(
            "each_time",
            "Silent; no lookup scales its gradient.",
            _KERAS + "layers/core_layers/embedding/",
        ),
        "scaled_tangent": Clause(
            None,
            "A Python number takes the dtype of the tensor that it multiplies.",
            "https://www.tensorflow.org/guide/tf_numpy_type_promotion",
        ),
        "weight_norm_curvature": Clause(
            "chain_rule",
            "Keras composes the weight of v, its norm and g, each of which has all derivatives.",
            _KERAS + "layers/",
        ),
        "norm_curvature_at_zero": Clause(
            "zero",
            "output = x / sqrt(max(sum(x**2), epsilon)): shorter than epsilon it is linear.",
            _TF + "math/l2_normalize",
        ),
        "variance_curvature": Clause(
            "chain_rule",
            "The mean and variance are calculated by aggregating the contents of x across axes: "
            "the mean in a variance changes with x.",
            _TF + "nn/moments",
        ),
        "interpolation_curvature": Clause(
            "chain_rule",
            "NotDifferentiable should not be used for operations that have a well-defined gradient "
            "that is not yet implemented: it has all gradients that an interpolation has.",
            _TF + "no_gradient",
        ),
        "interpolation_tangent": Clause(
            "chain_rule",
            "The Jacobian that forward mode gives is that of reverse mode: both are the derivative "
            "of one function. jvp() gives None where no product was computed, for what the result "
            "does not depend on.",
            _TF + "autodiff/ForwardAccumulator",
        ),
        "max_pool_tangent": Clause(
            "chain_rule",
            "The Jacobian that forward mode gives is that of reverse mode.",
            _TF + "autodiff/ForwardAccumulator",
        ),
        "cosine_least_length": Clause(
            1e-7,
            "epsilon: a lower bound value for the norm, backend.epsilon() by default.",
            _KERAS + "ops/nn/#normalize-function",
        ),
        "gradient_by_nothing": Clause(
            None,
            "gradient() returns a list or nested structure, one for each element in sources: of an "
            "empty list an empty one.",
            "https://www.tensorflow.org/api_docs/python/tf/GradientTape#gradient",
        ),
        "nothing_to_train": Clause(
            None, "The gradient of no variables is an empty list.", _TF + "GradientTape#gradient"
        ),
        "nothing_to_train_told": Clause(
            "after_the_pass",
            "The forward pass has run when the tape is asked for the gradient.",
            _TF + "GradientTape#gradient",
        ),
        "kernel_gradient_of_a_sample": Clause(
            None,
            "Silent; users expect that a gradient does not raise.",
            _TF + "GradientTape#gradient",
        ),
        "group_norm_of_a_part": Clause(
            None,
            "A tensor has a shape and a dtype; its layout in memory is no part of it.",
            _TF + "Tensor",
        ),
        "order_of_uses": Clause(
            "any",
            "Silent on the order in which the gradients of several uses of a variable are added: "
            "a tape adds them as it comes by, which depends on what else is recorded.",
            "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/c/eager/tape.h",
        ),
        "writes_in_a_linear_map": Clause(
            "kept",
            "Silent; users expect the derivatives of what is computed.",
            _TF + "GradientTape#gradient",
        ),
        "view_in_a_linear_map": Clause(
            None,
            "Silent; users expect that a gradient does not raise.",
            _TF + "GradientTape#gradient",
        ),
        "view_in_a_traced_graph": Clause(
            None,
            "Silent; users expect that a forward pass does not raise.",
            _TF + "function",
        ),
        "conv3d_windows": Clause(
            "from_the_start",
            "SAME: pad_along = max((out - 1) * stride + filter - in, 0), pad_before = pad_along // "
            "2: never less than 0, so that the first window begins with the first element.",
            "https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2",
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
        "unknown_weight_told": Clause(
            "before_the_step",
            "Silent; all variables are looked up before the first of them is updated.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
        "flags_around": Clause(
            "do_not_count",
            "Silent on a later setting of a child; users expect that the last one counts, whatever "
            "the trainable of a model around it says.",
            "https://keras.io/guides/transfer_learning/#recursive-setting-of-the-trainable-attribute",
        ),
        "attention_scales": Clause(
            (True, False),
            "keras.ops.dot_product_attention scales by 1 / √H unless told otherwise; "
            "keras.layers.Attention by none.",
            _KERAS + "ops/nn/#dotproductattention-function",
        ),
        "hard_sigmoid": Clause(
            "a_sixth",
            "hard_sigmoid: 0 if x <= -3, 1 if x >= 3, (x / 6) + 0.5 if -3 < x < 3.",
            _KERAS + "layers/activations/#hardsigmoid-function",
        ),
        "unknown_weight": Clause(
            ("ValueError", "Unknown variable"),
            "This optimizer can only be called for the variables it was originally built with. "
            "When working with a new set of variables, you should recreate a new optimizer.",
            "https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py",
        ),
    },
    actions=ACTIONS,
    ways=(
        Way(
            "layer_trainable",
            "module",
            True,
            "Setting layer.trainable to False moves all the layer's weights from trainable to "
            "non-trainable; set on a model or a layer with sublayers, all children become "
            "non-trainable as well. Silent on a later setting of a child; users expect that the "
            "last one counts, as for any attribute. trainable says whether the weights should be "
            "returned as part of trainable_weights: while it is False on the model itself, the "
            "model trains nothing.",
            "https://keras.io/guides/transfer_learning/#recursive-setting-of-the-trainable-attribute",
        ),
        Way(
            "constructor",
            "module",
            True,
            "trainable, an argument of every layer and model: whether the layer's variables should "
            "be trainable.",
            _KERAS + "layers/base_layer/#layer-class",
            construction=True,
        ),
        Way(
            "before_build",
            "module",
            True,
            "trainable is settable, whether this layer should be trainable or not; nothing says "
            "that it waits for the layer's first call.",
            _KERAS + "layers/base_layer/#layer-class",
            construction=True,
        ),
        Way(
            "each_variable",
            "module",
            False,
            "trainable is a settable boolean of every variable; those that are not are left out "
            "of trainable_variables. Silent where the layer's own flag says otherwise; users "
            "expect that the last setting of a variable counts.",
            "https://keras.io/api/models/model/",
        ),
        Way(
            "masked_gradient",
            "module",
            False,
            "apply(grads, trainable_variables) updates trainable variables according to the "
            "provided gradient values, whatever a loop made of those of the tape.",
            _KERAS + "optimizers/",
            by="mask",
        ),
        Way(
            "variable_trainable",
            "weight",
            False,
            "trainable is a settable boolean of every variable; those that are not are left out "
            "of trainable_variables. Silent where the layer's own flag says otherwise; users "
            "expect that the last setting of a variable counts.",
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
            refuses=("spectral_norm_dense", "spectral_norm_conv2d", "weight_norm_conv2d"),
            file=True,
        ),
        Reloading(
            "finalize_variable_values",
            "kept",
            "kept",
            "You need to explicitly overwrite the variables by calling "
            "optimizer.finalize_variable_values(), which updates the model variables in-place; "
            "it sets the final value of the model's trainable variables.",
            _KERAS + "optimizers/sgd/",
            averages="trainable",
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
            file=True,
        ),
        Reloading(
            "compiled_file",
            "rebuilt",
            "loaded",
            "The saved .keras file contains the model's configuration, its weights, and its "
            "optimizer's state (if any); load_model compiles the model after loading.",
            _KERAS + "models/model_saving_apis/model_saving_and_loading/#loadmodel-function",
            refuses=_WITHOUT_CONFIG,
            compiled=True,
            weights_alone="keras_file",
            file=True,
        ),
    ),
    modes=MODES,
    devices=DEVICES,
    releases=(KERAS_2,),
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
        "padded_simple_rnn": _NO_LENGTHS,
        "padded_lstm": _NO_LENGTHS,
        "padded_gru": _NO_LENGTHS,
        "packed_multi_head_attention": _PACKED,
        "packed_cross_attention": _PACKED,
        "packed_transformer_encoder": _PACKED,
    },
)
