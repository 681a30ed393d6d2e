"""Every fault is found, by the property that it violates, and is undone to the very object.

torch is cheap enough to try all faults; of Keras's the table below takes some, test_rare_faults.py
a few more.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from showing import (
    Showing,
    a_setting_decides,
    compares_masks_of_dense_kernels,
    decays_what_no_loss_reaches,
    freezes_what_has_momentum,
    leaves_out_what_it_has_held,
    meets_an_unknown_weight,
    steps_in_a_trace_at_another_rate,
)

from invariants import faults
from invariants.architecture import layers
from invariants.backends import BACKENDS, installed, layouts, observe, runner
from invariants.case import Case
from invariants.faults import Fault
from invariants.faults.patching import patched
from invariants.generate.cases import ANY, Wanted, cases
from invariants.observation import Observation
from invariants.oracle.interpreter import expect
from invariants.properties import findings
from invariants.properties.evidence import Evidence

#: backend -> cases in one seeded batch; fewer where all are drawn with what a fault takes.
BATCH = {"torch": 500, "tensorflow": 150}
BATCH_OF_WANTED = 60

#: How many batches a fault may take.
BATCHES = 16

#: What a script names where it has a layer of its own, whatever it calls.
DEFINED = {"call", "forward"}

#: backend -> fault -> words of the scripts that can show it, where its targets mislead.
SHOWN_BY = {
    "torch": {
        "deepcopy_forgets_flags": {"deepcopy"},
        "frequency_forgotten": {"scale_grad_by_freq"},
        "interpolation_takes_nearest": {"bilinear"},
        "circular_padding_blocks": {"circular"},
        "frozen_key_bias_blocks": {"add_bias_kv=True"},
        "mirrored_padding_drifts": {"reflect", "replicate"},
        "renorm_reaches_every_row": {"max_norm"},
        "spectral_norm_constant_sigma": {"spectral_norm"},
        "spectral_norm_drifts": {"spectral_norm"},
        "weight_norm_constant_length": {"weight_norm"},
        "weight_norm_drifts": {"weight_norm"},
        "zero_elements_drift": {"every_second"},
    },
    "tensorflow": {
        "average_misses_frozen": {"use_ema"},
        "average_stays": {"use_ema"},
        "average_taken_but_for_last": {"use_ema", "finalize_variable_values"},
        "average_overwrites_nothing": {"ema_overwrite_frequency"},
        "cast_of_a_frozen_variable_stays": {".trainable"},
        "clipping_forgotten": {"clipvalue"},
        "constructor_forgets_trainable": {"trainable=False"},
        "each_norm_clipped": {"global_clipnorm"},
        "hard_tanh_passes_beyond": {"Activation", "hard_tanh"},
        "likelihood_drifts": {".softmax", "CategoricalCrossentropy"},
        "lora_is_loaded_twice": {"enable_lora", "load_weights"},
        "lstm_mask_forgotten": {"LSTM", "mask_zero=True"},
        "second_output_dropped_when_frozen": {"y1"},
        "skipped_steps_drift": {"GRU", "mask_zero=True", "return_sequences=True"},
        "tanh_derivative": {"Activation", "tanh"},
        "term_weights_ignored": {"loss_function1"},
        "zero_elements_drift": {"every_second"},
    },
}

#: backend -> fault -> what holds of the cases that can show it, where no words tell.
SHOWN_IN: dict[str, dict[str, Showing]] = {
    "torch": {"left_out_moves": leaves_out_what_it_has_held},
    "tensorflow": {
        "decay_reaches_unreached": decays_what_no_loss_reaches,
        "frozen_dense_rounds_again": compares_masks_of_dense_kernels,
        "momentum_moves_frozen": freezes_what_has_momentum,
        "nesterov_looks_back": a_setting_decides("sgd", nesterov=False),
        "traced_rate_stays": steps_in_a_trace_at_another_rate,
        "unknown_is_silent": meets_an_unknown_weight,
    },
}

#: backend -> fault -> the property that notices it.
NOTICED_BY = {
    "torch": {
        "frozen_linear_blocks": "upstream_gradients",
        "slots_for_frozen": "no_gradient_for_frozen",
        "frozen_linear_amplifies": "upstream_gradients",
        "frozen_linear_drifts": "upstream_gradients",
        "frozen_linear_in_float32": "upstream_gradients",
        "frozen_linear_rounds_again": "freezing_is_transparent",
        "frozen_linear_draws": "freezing_is_transparent",
        "frozen_conv_blocks": "upstream_gradients",
        "frozen_conv1d_blocks": "upstream_gradients",
        "frozen_conv3d_blocks": "upstream_gradients",
        "conv3d_kernel_drifts": "upstream_gradients",
        "frozen_transposed_conv_drifts": "upstream_gradients",
        "frozen_layer_norm_blocks": "upstream_gradients",
        "linear_noise": "upstream_gradients",
        "linear_bias_misses_last": "upstream_gradients",
        "shared_layer_counted_once": "upstream_gradients",
        "depthwise_conv1d_drifts": "upstream_gradients",
        "conv_padding_shifts": "upstream_gradients",
        "padded_strides_block": "upstream_gradients",
        "circular_padding_blocks": "upstream_gradients",
        "mirrored_padding_drifts": "upstream_gradients",
        "depthwise_blocks_first": "upstream_gradients",
        "transposed_conv_turned": "upstream_gradients",
        "tanh_derivative": "upstream_gradients",
        "relu_leaks": "upstream_gradients",
        "gelu_approximate_derivative": "upstream_gradients",
        "softmax_diagonal": "upstream_gradients",
        "layer_norm_forgets_mean": "upstream_gradients",
        "batch_norm_constant_moments": "upstream_gradients",
        "max_pool_splits_ties": "upstream_gradients",
        "global_max_splits_ties": "upstream_gradients",
        "avg_pool_forgets_its_size": "upstream_gradients",
        "interpolation_takes_nearest": "upstream_gradients",
        "up_sampling_averages": "upstream_gradients",
        "padding_drifts": "upstream_gradients",
        "repeat_counts_once": "upstream_gradients",
        "expand_counts_once": "upstream_gradients",
        "cat_drifts": "upstream_gradients",
        "embedding_counts_once": "upstream_gradients",
        "dropout_forgets_its_mask": "upstream_gradients",
        "mish_drifts": "upstream_gradients",
        "hardtanh_passes_beyond": "upstream_gradients",
        "prelu_slope_drifts": "upstream_gradients",
        "maximum_takes_first": "upstream_gradients",
        "group_norm_constant_moments": "upstream_gradients",
        "frozen_group_norm_blocks": "upstream_gradients",
        "alpha_dropout_forgets_its_mask": "upstream_gradients",
        "spectral_norm_constant_sigma": "upstream_gradients",
        "spectral_norm_drifts": "upstream_gradients",
        "weight_norm_constant_length": "upstream_gradients",
        "lstm_drifts": "upstream_gradients",
        "gru_drifts": "upstream_gradients",
        "simple_rnn_drifts": "upstream_gradients",
        "lora_drifts": "upstream_gradients",
        "packed_attention_drifts": "upstream_gradients",
        "encoder_drifts": "upstream_gradients",
        "packed_rows_drift": "upstream_gradients",
        "frozen_key_bias_blocks": "upstream_gradients",
        "instance_norm_drifts": "upstream_gradients",
        "unit_normalization_drifts": "upstream_gradients",
        "mean_drifts": "upstream_gradients",
        "frozen_gru_blocks": "upstream_gradients",
        "rnn_forgets_the_past": "upstream_gradients",
        "attention_constant_weights": "upstream_gradients",
        "attention_drifts": "upstream_gradients",
        "packed_cross_attention_blocks": "upstream_gradients",
        "encoder_blocks": "upstream_gradients",
        "conv_drifts": "upstream_gradients",
        "layer_norm_drifts": "upstream_gradients",
        "layer_norm_over_all_blocks": "upstream_gradients",
        "batch_norm_drifts": "upstream_gradients",
        "group_norm_drifts": "upstream_gradients",
        "rms_norm_drifts": "upstream_gradients",
        "weight_norm_drifts": "upstream_gradients",
        "avg_pool_drifts": "upstream_gradients",
        "max_pool_drifts": "upstream_gradients",
        "up_sampling_drifts": "upstream_gradients",
        "repeat_drifts": "upstream_gradients",
        "expand_drifts": "upstream_gradients",
        "chunk_drifts": "upstream_gradients",
        "maximum_drifts": "upstream_gradients",
        "embedding_drifts": "upstream_gradients",
        "frequency_forgotten": "upstream_gradients",
        "renorm_reaches_every_row": "frozen_weights",
        "dropout_drifts": "upstream_gradients",
        "elementwise_losses_drift": "upstream_gradients",
        "cross_entropy_drifts": "upstream_gradients",
        "cross_entropy_blocks_first": "upstream_gradients",
        "smoothing_forgotten": "upstream_gradients",
        "binary_cross_entropy_drifts": "upstream_gradients",
        "binary_likelihood_drifts": "upstream_gradients",
        "likelihood_drifts": "upstream_gradients",
        "probabilities_drift": "upstream_gradients",
        "kl_divergence_drifts": "upstream_gradients",
        "kl_batchmean_divides_by_all": "upstream_gradients",
        "cosine_drifts": "upstream_gradients",
        "cosine_constant_length": "upstream_gradients",
        "clamp_drifts": "upstream_gradients",
        "clamp_passes_beyond": "upstream_gradients",
        "sample_weights_ignored": "upstream_gradients",
        "masked_mean_counts_all": "upstream_gradients",
        "loss_sums_are_means": "upstream_gradients",
        "term_weights_ignored": "upstream_gradients",
        "penalties_lost": "upstream_gradients",
        "penalties_drift": "upstream_gradients",
        "penalties_reach_frozen": "no_gradient_for_frozen",
        "second_output_dropped_when_frozen": "upstream_gradients",
        "frozen_batch_norm_stops": "frozen_state",
        "batch_norm_moves_in_eval": "frozen_state",
        "requires_grad_stays_outside": "no_gradient_for_frozen",
        "requires_grad_forgets_biases": "no_gradient_for_frozen",
        "tensor_never_freezes": "frozen_weights",
        "backward_of_nothing_is_silent": "program_runs",
        "gradients_accumulate": "upstream_gradients",
        "zero_grad_leaves_zeros": "no_gradient_for_frozen",
        "frozen_gets_gradient": "no_gradient_for_frozen",
        "decay_reaches_frozen": "frozen_weights",
        "momentum_moves_frozen": "frozen_weights",
        "frozen_bias_drifts": "frozen_weights",
        "frozen_steps_count": "no_gradient_for_frozen",
        "frozen_slots_decay": "no_gradient_for_frozen",
        "thawed_stays_still": "trainable_weights_move",
        "foreach_skips_last": "trainable_weights_move",
        "adam_uncorrected": "training_trajectory",
        "adamw_forgets_decay": "training_trajectory",
        "amsgrad_forgets": "training_trajectory",
        "sgd_dampens_nothing": "training_trajectory",
        "nesterov_looks_back": "training_trajectory",
        "nadam_momentum_stays": "training_trajectory",
        "radam_counts_anew": "training_trajectory",
        "adamax_forgets": "training_trajectory",
        "adagrad_forgets": "training_trajectory",
        "adagrad_rate_stays": "training_trajectory",
        "adadelta_forgets": "training_trajectory",
        "rmsprop_uncentered": "training_trajectory",
        "rprop_shrinks_little": "training_trajectory",
        "asgd_rate_stays": "training_trajectory",
        "adafactor_unclipped": "training_trajectory",
        "muon_scaled_by_size": "training_trajectory",
        "maximize_forgotten": "training_trajectory",
        "lbfgs_forgets": "training_trajectory",
        "lbfgs_stops_after_one": "upstream_gradients",
        "decay_reaches_unreached": "frozen_weights",
        "zeros_drift": "frozen_weights",
        "zero_rate_moves": "frozen_weights",
        "zero_rate_forgets": "training_trajectory",
        "left_out_moves": "frozen_weights",
        "clipping_forgets_negatives": "upstream_gradients",
        "clipping_misses_last": "upstream_gradients",
        "slots_for_unreached": "no_gradient_for_frozen",
        "hook_is_ignored": "upstream_gradients",
        "hook_comes_late": "upstream_gradients",
        "hook_stays": "upstream_gradients",
        "zero_elements_drift": "frozen_weights",
        "load_state_dict_thaws": "trainability_survives",
        "assign_freezes": "trainability_survives",
        "load_state_dict_rounds_frozen": "frozen_weights",
        "load_state_dict_forgets_buffers": "frozen_state",
        "optimizer_load_forgets_slots": "training_trajectory",
        "optimizer_load_forgets_rate": "training_trajectory",
        "optimizer_load_shifts_slots": "training_trajectory",
        "load_forgets_flags": "trainability_survives",
        "deepcopy_forgets_flags": "trainability_survives",
        "double_thaws": "trainability_survives",
        "cast_thaws": "trainability_survives",
        "cast_leaves_frozen": "frozen_weights",
        "cast_truncates": "frozen_weights",
        "cast_by_float16": "frozen_weights",
        "eval_freezes": "trainability_survives",
        "train_thaws": "trainability_survives",
        "mode_passes_frozen": "frozen_state",
        "frozen_linear_fades_without_gradients": "frozen_weights",
        "batch_norm_stops_without_gradients": "frozen_state",
        "second_backward_overwrites": "training_trajectory",
        "first_rate_stays": "training_trajectory",
        "slots_outlive_their_optimizer": "training_trajectory",
        "schedule_stays": "training_trajectory",
        "schedule_misses_groups": "training_trajectory",
        "schedule_runs_ahead": "training_trajectory",
        "schedule_load_counts_anew": "training_trajectory",
        "average_load_forgets": "training_trajectory",
        "average_misses_frozen": "training_trajectory",
        "average_drifts": "training_trajectory",
        "average_moves_frozen": "frozen_weights",
        "average_forgets_states": "training_trajectory",
        "compiled_under_the_first_flags": "upstream_gradients",
        "compiled_block_ends_at_frozen": "upstream_gradients",
        "cast_of_a_frozen_weight_stays": "upstream_gradients",
        "cast_outlives_its_region": "upstream_gradients",
        "evaluation_leaves_its_casts": "upstream_gradients",
        "recomputed_stretch_ends_at_frozen": "upstream_gradients",
        "recomputed_stretch_draws_again": "upstream_gradients",
        "reentrant_stretch_forgets_its_weights": "upstream_gradients",
        "scaler_rounds_frozen": "frozen_weights",
        "scaler_leaves_one_scaled": "upstream_gradients",
        "functional_call_takes_its_own": "upstream_gradients",
        "forward_mode_misses_last": "upstream_gradients",
        "sequence_forgets_its_first_segment": "upstream_gradients",
        "sequence_ends_at_a_frozen_start": "upstream_gradients",
        "kept_cast_has_no_gradient": "upstream_gradients",
        "vmap_repeats_the_first_sample": "upstream_gradients",
        "backward_hook_drops_at_frozen": "upstream_gradients",
        "model_hook_halves_where_some_is_frozen": "upstream_gradients",
        "offloaded_in_16_bits": "upstream_gradients",
        "retained_graph_forgets_its_share": "upstream_gradients",
        "frozen_linear_is_differentiated_once": "upstream_gradients",
        "frozen_conv_is_differentiated_once": "upstream_gradients",
        "tanh_slope_is_constant": "upstream_gradients",
    },
    "tensorflow": {
        "frozen_conv3d_drifts": "upstream_gradients",
        "frozen_dense_blocks": "upstream_gradients",
        "frozen_dense_drifts": "upstream_gradients",
        "frozen_transposed_conv_drifts": "upstream_gradients",
        "up_sampling_averages": "upstream_gradients",
        "trainable_stays_outside": "no_gradient_for_frozen",
        "variable_never_freezes": "frozen_weights",
        "constructor_forgets_trainable": "no_gradient_for_frozen",
        "build_thaws": "frozen_weights",
        "decay_reaches_frozen": "frozen_weights",
        "dropout_forgets_its_mask": "upstream_gradients",
        "mish_drifts": "upstream_gradients",
        "group_norm_constant_moments": "upstream_gradients",
        "alpha_dropout_forgets_its_mask": "upstream_gradients",
        "broadcast_drifts": "upstream_gradients",
        "reshape_drifts": "upstream_gradients",
        "take_drifts": "upstream_gradients",
        "optimizer_skips_last": "trainable_weights_move",
        "zero_elements_drift": "frozen_weights",
        "clipping_forgotten": "training_trajectory",
        "elementwise_losses_drift": "upstream_gradients",
        "cross_entropy_drifts": "upstream_gradients",
        "sample_weights_ignored": "upstream_gradients",
        "masked_mean_counts_all": "upstream_gradients",
        "loss_sums_are_means": "upstream_gradients",
        "penalties_drift": "upstream_gradients",
        "second_output_dropped_when_frozen": "upstream_gradients",
        "set_weights_skips_frozen": "frozen_weights",
        "clone_forgets_trainable": "trainability_survives",
        "inference_moves_averages": "frozen_state",
        "first_rate_stays": "training_trajectory",
        "schedule_stays": "training_trajectory",
        "schedule_runs_ahead": "training_trajectory",
        "average_stays": "training_trajectory",
        "average_misses_frozen": "training_trajectory",
        "average_overwrites_nothing": "training_trajectory",
        "average_taken_but_for_last": "frozen_weights",
        "lora_drifts": "upstream_gradients",
        "lora_leaves_the_weight_trainable": "trainability_survives",
        "lora_ignores_alpha": "upstream_gradients",
        "lora_is_loaded_twice": "frozen_weights",
        "function_keeps_its_trace": "upstream_gradients",
        "traced_rate_stays": "training_trajectory",
        "xla_rounds": "upstream_gradients",
        "persistent_tape_forgets": "upstream_gradients",
        "watch_misses_last": "upstream_gradients",
        "recomputed_begins_frozen": "upstream_gradients",
        "recomputed_drifts": "upstream_gradients",
        "one_step_of_several": "training_trajectory",
        "fit_forgets_last": "trainable_weights_move",
        "cast_of_a_frozen_variable_stays": "upstream_gradients",
        "frozen_casts_block": "upstream_gradients",
        "loss_scale_leaves_one_scaled": "training_trajectory",
        "loss_scale_rounds_frozen": "frozen_weights",
        "loss_scale_grows_too_early": "training_trajectory",
        "frozen_dense_is_differentiated_once": "upstream_gradients",
        "accumulator_misses_last": "upstream_gradients",
        "frozen_conv_blocks": "upstream_gradients",
        "conv_drifts": "upstream_gradients",
        "dense_bias_misses_last": "upstream_gradients",
        "gelu_approximate_derivative": "upstream_gradients",
        "layer_norm_forgets_mean": "upstream_gradients",
        "layer_norm_drifts": "upstream_gradients",
        "layer_norm_over_all_blocks": "upstream_gradients",
        "batch_norm_drifts": "upstream_gradients",
        "repeat_counts_once": "upstream_gradients",
        "repeat_drifts": "upstream_gradients",
        "embedding_counts_once": "upstream_gradients",
        "split_drifts": "upstream_gradients",
        "sum_drifts": "upstream_gradients",
        "gru_drifts": "upstream_gradients",
        "simple_rnn_drifts": "upstream_gradients",
        "spectral_normalization_drifts": "upstream_gradients",
        "maximum_drifts": "upstream_gradients",
        "cross_entropy_blocks_first": "upstream_gradients",
        "smoothing_forgotten": "upstream_gradients",
        "binary_cross_entropy_drifts": "upstream_gradients",
        "binary_likelihood_drifts": "upstream_gradients",
        "term_weights_ignored": "upstream_gradients",
        "penalties_blocked": "upstream_gradients",
        "frozen_listed_as_trainable": "no_gradient_for_frozen",
        "trainable_forgets_biases": "frozen_weights",
        "unknown_is_silent": "program_runs",
        "frozen_dense_rounds_again": "freezing_is_transparent",
        "decay_reaches_unreached": "frozen_weights",
        "momentum_moves_frozen": "frozen_weights",
        "adam_uncorrected": "training_trajectory",
        "nesterov_looks_back": "training_trajectory",
        "nadam_uncorrected": "training_trajectory",
        "muon_unscaled": "training_trajectory",
        "load_weights_thaws": "trainability_survives",
        "load_model_forgets_trainable": "trainability_survives",
        "from_config_forgets_trainable": "frozen_weights",
        "compile_thaws": "trainability_survives",
    },
}

#: family of layers -> the faults that make a gradient of it wrong by a part in 100,000: those of
#: both backends, or of each; () where a backend has no backward pass of its own there.
DRIFTING: dict[str, tuple[str, ...] | dict[str, tuple[str, ...]]] = {
    "activations": ("mish_drifts",),
    "adapters": {
        "torch": ("chunk_drifts", "mean_drifts"),
        "tensorflow": ("split_drifts", "mean_drifts"),
    },
    "attention": ("attention_drifts",),
    "convolution": ("conv_drifts",),
    "depthwise": ("depthwise_conv1d_drifts",),
    "dense": {"torch": ("frozen_linear_drifts",), "tensorflow": ("frozen_dense_drifts",)},
    "embedding": ("embedding_drifts",),
    "grouping": {
        "torch": (
            "group_norm_drifts",
            "instance_norm_drifts",
            "rms_norm_drifts",
            "unit_normalization_drifts",
        ),
        "tensorflow": ("group_norm_drifts", "rms_norm_drifts", "unit_normalization_drifts"),
    },
    "indexing": ("repeat_drifts",),
    "lora": ("lora_drifts",),
    "merging": ("maximum_drifts",),
    "noise": ("dropout_drifts",),
    "normalization": ("layer_norm_drifts", "batch_norm_drifts"),
    "packed_attention": {
        "torch": ("packed_attention_drifts",),
        "tensorflow": (),  # no layer of Keras packs projections
    },
    "piecewise": ("prelu_slope_drifts",),
    "pooling": ("avg_pool_drifts", "max_pool_drifts"),
    "prompting": {"torch": ("expand_drifts",), "tensorflow": ("broadcast_drifts",)},
    "recurrent": ("lstm_drifts", "gru_drifts", "simple_rnn_drifts"),
    "resizing": ("up_sampling_drifts",),
    "shaping": {"torch": ("cat_drifts",), "tensorflow": ("concatenate_drifts",)},
    "skipping": {"torch": ("packed_rows_drift",), "tensorflow": ("skipped_steps_drift",)},
    "spectral": {
        "torch": ("spectral_norm_drifts",),
        "tensorflow": ("spectral_normalization_drifts",),
    },
    "transformers": {
        "torch": ("encoder_drifts",),
        "tensorflow": ("attention_drifts", "layer_norm_drifts"),  # the block is written of these
    },
    "transposed": ("frozen_transposed_conv_drifts",),
    "volumes": {"torch": ("conv3d_kernel_drifts",), "tensorflow": ("frozen_conv3d_drifts",)},
    "weight_norm": ("weight_norm_drifts",),
}


def _named(backend: str, name: str) -> Fault:
    return next(fault for fault in faults.of(backend) if fault.name == name)


def _needs(backend: str) -> None:
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    runner.prepare(backend)


@dataclass(frozen=True)
class Batch:
    """Cases that are drawn from one seed."""

    backend: str
    wanted: Wanted
    number: int

    @property
    def size(self) -> int:
        return BATCH[self.backend] if self.wanted == ANY else BATCH_OF_WANTED


def _of(fault: Fault, number: int) -> Batch:
    return Batch(fault.backend, fault.wanted, number)


@cache
def _cases(batch: Batch) -> tuple[Case, ...]:
    drawn: list[Case] = []

    @seed(batch.number)
    @settings(
        max_examples=batch.size,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases((batch.backend,), **asdict(batch.wanted)))
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return tuple(drawn)


@cache
def _words(batch: Batch) -> tuple[frozenset[str], ...]:
    """The words of each script of a batch: as they are, as attributes, with what is set to what."""
    scripts = [BACKENDS[batch.backend].render(case) for case in _cases(batch)]
    words = (r"\b\w+", r"\.\w+", r"\b\w+=\w+")
    return tuple(frozenset(w for form in words for w in re.findall(form, s)) for s in scripts)


@cache
def _scripts_with(batch: Batch, word: str) -> int:
    return sum(word in words for words in _words(batch))


def _names(fault: Fault, number: int) -> set[str]:
    """Of each target the class or the attribute, whichever fewer scripts name, if any does."""
    names = set()
    for target in fault.targets:
        parts = [part for part in target.split(".")[-2:] if part not in DEFINED]
        counts = {
            word: _scripts_with(_of(fault, number), word)
            for part in parts
            for word in (part, f".{part}")
        }
        named = [word for word in counts if counts[word]]
        names |= {min(named, key=counts.__getitem__)} if named else set()
    return names


@dataclass(frozen=True)
class Tried:
    """A case of a batch and what it shows; the sound framework shows it once for all faults."""

    batch: Batch
    place: int

    @property
    def backend(self) -> str:
        return self.batch.backend

    @property
    def case(self) -> Case:
        return _cases(self.batch)[self.place]

    @property
    def words(self) -> frozenset[str]:
        return _words(self.batch)[self.place]

    @property
    def seconds(self) -> float:
        """What a case costs in its mode."""
        return self.case.runs_in(self.backend).seconds

    @property
    def size(self) -> int:
        return len(self.case.program) * len(self.case.weights)

    def seen(self) -> Observation:
        return observe(self.case, self.backend)

    def violated(self, seen: Observation) -> set[str]:
        """What does not hold, known or not."""
        case, backend = self.case, self.backend
        expected = expect(case, backend, None, seen.draws, layouts(case, backend))
        found = findings(Evidence(case, backend, seen, expected))
        return {finding.property_ for finding in found if finding.severity == "violation"}


@cache
def _sound(tried: Tried) -> bytes:
    """What a case shows on the framework as it is."""
    return _digest(tried.seen())


@cache
def _wrong_anyway(tried: Tried) -> set[str]:
    """What does not hold of a case on the framework as it is: known issues of it."""
    return tried.violated(tried.seen())


def _drawn(fault: Fault, number: int) -> list[Tried]:
    """The cases of a batch whose script names what the fault patches.

    Some if no script of the first batch does. The cheap ones come first.
    """
    shown_by, names = SHOWN_BY[fault.backend].get(fault.name), _names(fault, number)
    shown_in = SHOWN_IN[fault.backend].get(fault.name)
    everywhere = not (shown_by or shown_in or _names(fault, 0))

    def named(tried: Tried) -> bool:
        if shown_in:
            return shown_in(tried.case, fault.backend)
        return shown_by <= tried.words if shown_by else everywhere or bool(names & tried.words)

    batch = _of(fault, number)
    drawn = [Tried(batch, place) for place in range(len(_cases(batch)))]
    cheap = sorted(filter(named, drawn), key=lambda tried: (tried.seconds, tried.size))
    return cheap[: len(cheap) // 10] if everywhere else cheap


def _digest(seen: Observation) -> bytes:
    """All that a run of a case shows."""
    digest = hashlib.sha256(repr((seen.errors, seen.warnings)).encode())
    for point in seen.points:
        digest.update(repr((point.action, sorted(point.flags.items()))).encode())
        for held in (point.weights, point.gradients, point.averages, *point.slots.values()):
            for name, array in sorted(held.items()):
                digest.update(name.encode() + (b"" if array is None else array.tobytes()))
    return digest.digest()


def _found(fault: Fault, property_: str) -> bool:
    """Whether some case violates the property under the fault, and none without it.

    A case that shows the same with the fault as without is not judged.
    """
    for tried in chain.from_iterable(_drawn(fault, number) for number in range(BATCHES)):
        sound = _sound(tried)
        with fault.apply():
            seen = tried.seen()
        if _digest(seen) == sound:
            continue
        if property_ in tried.violated(seen) and property_ not in _wrong_anyway(tried):
            return True
    return False


@pytest.mark.parametrize(
    ("backend", "name", "property_"),
    [
        pytest.param(backend, name, property_, id=f"{backend}-{name}")
        for backend, rows in NOTICED_BY.items()
        for name, property_ in rows.items()
    ],
)
def test_a_fault_is_found_by_its_property(backend: str, name: str, property_: str) -> None:
    _needs(backend)
    fault = _named(backend, name)
    assert _found(fault, property_), f"{property_} did not notice: {fault.sentence}"


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_every_family_of_layers_has_a_gradient_that_drifts(backend: str) -> None:
    families = {module.name for module in iter_modules(layers.__path__)} - {"base", "windowed"}
    assert DRIFTING.keys() == families
    rows = [row[backend] if isinstance(row, dict) else row for row in DRIFTING.values()]
    sentences = [_named(backend, name).sentence for names in rows for name in names]
    assert all("1.00001 times" in sentence for sentence in sentences)


def test_every_torch_fault_is_judged() -> None:
    assert {fault.name for fault in faults.of("torch")} == set(NOTICED_BY["torch"])


def _drawn_with(fault: Fault) -> str:
    """As the page has it: what is wanted of the cases, in code, with ties by their name."""
    wanted = {name: value for name, value in asdict(fault.wanted).items() if value}
    shown = [(n, one) for n, v in wanted.items() for one in (v if n == "settings" else [v])]
    return ", ".join(f"`{name if value is True else value}`" for name, value in shown)


def test_every_fault_has_its_row_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text("utf-8")
    for called, backend in (("torch", "torch"), ("TensorFlow", "tensorflow")):
        registered = {
            fault.name: (fault.sentence, _drawn_with(fault)) for fault in faults.of(backend)
        }
        section = page.partition(f"\n## {called}\n")[2].partition("\n## ")[0]
        cells = r"^\| (\w+) \| (.*?) \| (.*?) \| "
        rows = {name: told for name, *told in re.findall(cells, section, re.MULTILINE)}
        rows.pop("fault")
        page_has = {name: (said.replace("\\|", "|"), drawn) for name, (said, drawn) in rows.items()}
        assert page_has == registered
        assert f"\n{called} has {len(registered)} faults." in page


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_the_registry_is_a_table_of_distinct_sentences(backend: str) -> None:
    registered = faults.of(backend)
    assert len(registered) >= 14
    assert len({fault.name for fault in registered}) == len(registered)
    assert len({fault.sentence for fault in registered}) == len(registered)
    assert all(fault.sentence.endswith(".") for fault in registered)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match=r"torch, tensorflow; got 'jax'"):
        faults.of("jax")


def _owners(backend: str) -> list[Any]:
    """The modules and classes that faults may patch."""
    if backend == "torch":
        import torch

        modules = [torch, torch.nn, torch.optim, torch.nn.functional, torch.nn.utils]
        modules.append(torch.nn.utils.rnn)
        modules.append(torch.nn.utils.parametrize)
        modules += [torch.optim.lr_scheduler, torch.optim.swa_utils]
        modules += [torch.amp, torch.func, torch.autograd.graph, torch.utils.checkpoint]
        extra = [torch.Tensor, torch.utils.hooks.RemovableHandle]
    else:
        import keras
        import tensorflow as tf

        modules = [keras.layers, keras.optimizers, keras.activations, keras.ops]
        modules += [keras.losses, keras.regularizers, keras.models, keras.optimizers.schedules]
        modules += [tf, tf.autodiff]
        extra = [keras.Variable, tf.Tensor]
    classes = [c for m in modules for _, c in inspect.getmembers(m, inspect.isclass)]
    families = [base for c in (*classes, *extra) for base in c.__mro__ if base is not object]
    return list(dict.fromkeys([*modules, *families]))


def _attributes(owners: list[Any]) -> dict[tuple[Any, str], Any]:
    for owner in owners:  # whoever reads annotations first makes them: here, not under a fault
        getattr(owner, "__annotations__", None)
    return {(owner, name): value for owner in owners for name, value in vars(owner).items()}


def _differences(
    before: dict[tuple[Any, str], Any], after: dict[tuple[Any, str], Any]
) -> set[tuple[Any, str]]:
    missing = object()
    places = before.keys() | after.keys()
    return {p for p in places if before.get(p, missing) is not after.get(p, missing)}


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_fault_is_undone_to_the_very_object(backend: str) -> None:
    _needs(backend)
    owners = _owners(backend)
    before = _attributes(owners)
    for fault in faults.of(backend):
        with fault.apply():
            assert _differences(before, _attributes(owners)), f"{fault.name} patches nothing"
        assert not _differences(before, _attributes(owners)), f"{fault.name} is not undone"


def test_a_fault_is_undone_when_an_exception_leaves_the_with() -> None:
    _needs("torch")
    import torch

    original = torch.optim.SGD.step
    with pytest.raises(ZeroDivisionError), _named("torch", "decay_reaches_frozen").apply():
        raise ZeroDivisionError
    assert torch.optim.SGD.step is original


def test_an_inherited_attribute_is_taken_off_again() -> None:
    class Base:
        value = 1

    class Derived(Base):
        pass

    with patched(Derived, "value", 2):
        assert (Base.value, Derived.value) == (1, 2)
    assert Derived.value == 1
    assert "value" not in vars(Derived)


def test_the_registry_needs_no_framework() -> None:
    absent = "import sys; sys.modules.update(torch=None, tensorflow=None, keras=None); "
    script = absent + "from invariants import faults; assert faults.FAULTS"
    subprocess.run([sys.executable, "-c", script], check=True)
