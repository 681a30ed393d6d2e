"""Pooling over volumes."""

from __future__ import annotations

from invariants.backends.source import Lowering


def _global(kind: str) -> Lowering:
    return Lowering(
        lambda layer, specs: f"nn.{kind}(1)",
        lambda layer, name, args, specs: f"{name}({args[0]}).flatten(1)",
    )


ROWS: dict[str, Lowering] = {
    "global_avg_pool3d": _global("AdaptiveAvgPool3d"),
    "global_max_pool3d": _global("AdaptiveMaxPool3d"),
}
