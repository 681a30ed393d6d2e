"""PyTorch: the tables of layers, and the rendering of scripts."""

from __future__ import annotations

from invariants.backends.torch.rows import LOWERINGS, VALUE_AXES
from invariants.backends.torch.script import NAME, render

PACKAGES = ("torch",)

__all__ = ["LOWERINGS", "NAME", "PACKAGES", "VALUE_AXES", "render"]
