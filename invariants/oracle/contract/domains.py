"""What the points of a contract can be: what contracts say, and what judging knows beside that.

A known issue gives a point another value. One that judging does not know would be judged like any
of the others, and nobody would see that the entry means nothing.
"""

from __future__ import annotations

from typing import Any

from invariants.oracle.contract import CONTRACTS

#: point -> the values of known issues: no contract says this of any mode.
OF_ISSUES: dict[str, tuple[str, ...]] = {
    "added_keys_under_a_hint": ("unseen",),
    "attention_scale": ("float32",),
    "average_before_a_step": ("zeros",),
    "average_while_accumulating": ("follows",),
    "average_overwrites": ("held",),
    "averages_handed_out": ("by_position",),
    "beta_that_rounds_to_1": ("stops",),
    "batch_norm_momentum": ("float32",),
    "batch_norm_running_variance": ("unbiased_when_fused",),
    "bias_of_heads": ("along_steps",),
    "skipped_at_the_end": ("zeros",),
    "casts_of_a_fused_layer": ("severed",),
    "celu_alpha": ("float32",),
    "celu_derivative_at_zero": ("both",),
    "clipped_table": ("unknown",),
    "delta_of_a_saved_loss": ("forgotten",),
    "equal_flag": ("ignored",),
    "flag_of_a_clone": ("forgotten",),
    "flags_count": ("at_trace",),
    "fused_gradient": ("by_memory",),
    "fused_sgd_in_16_bits": ("unknown",),
    "gelu_constants": ("float32", "float32_divisor"),
    "group_norm_slope": ("cubed",),
    "hard_sigmoid_sixth": ("float32",),
    "instance_norm_gradient": ("unknown_before_steps_first",),
    "interpolation_curvature": ("dropped",),
    "interpolation_tangent": ("dropped",),
    "kept_casts": ("of_the_region",),
    "kernel_gradient_in_bfloat16": ("uninitialised",),
    "leaky_relu_slope": ("float32",),
    "conv3d_windows": ("centred", "unknown"),
    "logarithm_in_float16": ("overflows",),
    "lookup_scaling": ("none", "not_again"),
    "lora_file_precision": ("compute",),
    "max_pool_tangent": ("overwritten",),
    "model_constructor": ("flags_itself",),
    "muon_buffer": ("normalised_in_bfloat16",),
    "muon_floor": ("clamped",),
    "muon_momentum": ("averages",),
    "nadam_product": ("counts_twice", "of_the_constants", "unknown_when_traced"),
    "norm_curvature_at_zero": ("unknown",),
    "norm_tangent": ("cubed",),
    "optimizer_constants": ("float32",),
    "padding_row": ("trained",),
    "penalty_factor": ("float32",),
    "prelu_derivative_at_zero": ("zero",),
    "radam_denominator": ("without",),
    "rebuilt_flags": ("of_modules",),
    "recomputed_draws": ("others",),
    "recomputed_state": ("moves_again",),
    "scalars_of_a_loaded_optimizer": ("rounded",),
    "scaled_step_of_nothing": ("builds",),
    "schedule_free_iterate": ("after_the_step",),
    "schedule_free_start": ("zero_when_traced",),
    "schedule_free_start_of_a_file": ("before_the_file",),
    "scheduled_rate": ("float32",),
    "sparse_second_moment": ("sum_of_squares",),
    "spectral_kernel_rewritten": ("always",),
    "state_scalars": ("float32",),
    "stretch_without_inputs": ("loses_gradients",),
    "unreached_gradient": ("zeros_of_a_graph", "zeros_of_inputs"),
    "variance_curvature": ("constant_mean",),
    "weight_norm_curvature": ("unknown",),
    "writes_in_a_linear_map": ("dropped",),
}

#: The points that hold a part of a message, which may be any text.
_MESSAGES = frozenset(
    {
        "changed_flags_warning",
        "optimizer_of_other_weights",
        "stretch_warning",
        "unreached_warning",
        "untrainable_model_warning",
    }
)


def _said(point: str) -> list[Any]:
    """What the contracts say at a point, of any mode and release."""
    modes = (mode for contract in CONTRACTS.values() for mode in contract.modes)
    releases = [release for contract in CONTRACTS.values() for release in contract.releases]
    values = [contract.clauses[point].value for contract in CONTRACTS.values()]
    values += [one.clauses[point].value for one in releases if point in one.clauses]
    return values + [mode.otherwise[point] for mode in modes if point in mode.otherwise]


def words(point: str) -> tuple[str, ...]:
    """The words that a point is one of; none for a point that holds something else."""
    if point in _MESSAGES:
        return ()
    said = [value for value in _said(point) if isinstance(value, str)]
    return tuple(dict.fromkeys((*said, *OF_ISSUES.get(point, ()))))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    return "a number" if isinstance(value, int | float) else "a list"


def _kinds(point: str) -> list[str]:
    """What a point that has no words can hold; where nothing is raised, an exception, as a list."""
    if point in _MESSAGES:
        return ["a text"]
    return sorted({_kind(said) for said in _said(point) if said is not None}) or ["a list"]


def misfit(point: str, value: Any) -> str:
    """What a point must be that cannot be `value`; "" where it can."""
    if words(point):
        return "" if value in words(point) else f"one of {', '.join(map(repr, words(point)))}"
    return "" if _kind(value) in _kinds(point) else " or ".join(_kinds(point))
