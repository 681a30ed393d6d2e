"""The names of Keras 3 in scripts for an older Keras.

Scripts are written in one language, that of Keras 3. What an older release calls otherwise stands
once behind the imports of a script for it: a text that is all its own, so that the script runs as
it is on that release alone. What the release does not have is not in there either, so that it says
so itself, in its own words, where a script asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources


def is_keras_2(installed: Mapping[str, str]) -> bool:
    """Whether these versions are of a Keras inside TensorFlow, before it became one of its own."""
    return installed.get("keras", "").startswith("2.")


def names(installed: Mapping[str, str]) -> list[str]:
    """The lines behind the imports; none for Keras 3."""
    if not is_keras_2(installed):
        return []
    text = (resources.files("invariants.backends") / "names_of_keras_2.py").read_text("utf-8")
    return ["", *text.splitlines(), ""]


#: What a line of a script for Keras 3 says -> what it says for Keras 2.
_ROWS = (
    (
        r"inner\.seed_generator\.state\.assign\(\[SEED, 0\]\)",
        "inner._random_generator._generator.reset_from_seed(SEED)",
    ),
    (r'hasattr\(inner, "seed_generator"\)', 'hasattr(inner, "_random_generator")'),
    # What Keras 3 calls a variable holds one of TensorFlow's.
    (r"variable\.value for variable in variables", "variable for variable in variables"),
    # A variable of a mixed precision policy does not cast what it is assigned.
    (
        r"(layer\.vector_[uv])\.assign\((.+)\)$",
        r"\1.assign(tf.cast(\2, layer.variable_dtype))",
    ),
    # A variable has no regularizer of its own there.
    (r"^( *)(\S+)\.regularizer = (.+)$", r"\1model.add_loss(lambda: \3(\2))"),
)


def spoken(source: str, installed: Mapping[str, str]) -> str:
    """A script as these versions have its lines."""
    if is_keras_2(installed):
        for pattern, instead in _ROWS:
            source = re.sub(pattern, instead, source, flags=re.M)
    return source
