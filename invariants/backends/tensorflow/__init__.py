"""TensorFlow with Keras 3: the tables of layers, and the rendering of scripts."""

from __future__ import annotations

from invariants.backends.tensorflow.rows import LOWERINGS, VALUE_AXES
from invariants.backends.tensorflow.script import NAME, render

PACKAGES = ("tensorflow", "keras")

__all__ = ["LOWERINGS", "NAME", "PACKAGES", "VALUE_AXES", "render"]
