"""Casting a model to another dtype."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults

_CASTS = tuple(f"torch.nn.Module.{name}" for name in ("double", "float", "half", "bfloat16"))

_ROWS = {
    "cast_thaws": Row("A cast makes everything trainable.", _CASTS),
    "cast_leaves_frozen": Row("A cast leaves frozen parameters in their dtype.", _CASTS),
    "cast_truncates": Row("A cast to 16 bits rounds towards zero.", ("torch.nn.Module.bfloat16",)),
    "cast_by_float16": Row("A cast goes by way of float16.", _CASTS),
}


def cast_thaws(cast: Any) -> Any:
    def thawing(self: Any) -> Any:
        return cast(self).requires_grad_(True)

    return thawing


def cast_leaves_frozen(cast: Any) -> Any:
    def leaving(self: Any) -> Any:
        kept = {p: p.data for p in self.parameters() if not p.requires_grad}
        cast(self)
        for parameter, data in kept.items():
            parameter.data = data
        return self

    return leaving


def cast_truncates(cast: Any) -> Any:
    import torch

    def truncating(self: Any) -> Any:
        for parameter in self.parameters():
            nearest = parameter.data.bfloat16().to(parameter.dtype)
            away = nearest.abs() > parameter.data.abs()
            lower = torch.nextafter(nearest.bfloat16(), torch.zeros((), dtype=torch.bfloat16))
            parameter.data = torch.where(away, lower.to(parameter.dtype), nearest)
        return cast(self)

    return truncating


def cast_by_float16(cast: Any) -> Any:
    def narrowing(self: Any) -> Any:
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                tensor.data = tensor.data.half().to(tensor.dtype)
        return cast(self)

    return narrowing


FAULTS = faults("torch", _ROWS, globals())
