"""Patches of a framework's public functions and classes that are undone to the very object."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def patched(owner: Any, name: str, replacement: Any) -> Iterator[None]:
    """`owner.name` is `replacement` inside of the with; afterwards `owner` is as it was.

    What a class inherits is patched on the class itself and taken off again.
    """
    own = vars(owner)
    inherited = name not in own
    original = own.get(name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def place(target: str) -> tuple[Any, str]:
    """torch.nn.Linear.forward -> the class torch.nn.Linear, "forward"; imports the framework."""
    package, *inner, name = target.split(".")
    return functools.reduce(getattr, inner, importlib.import_module(package)), name


@contextmanager
def broken(targets: Sequence[str], wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Each target is what `wrap` makes of it inside of the with.

    All originals are looked up before the first is replaced: one class may inherit from another.
    """
    places = [place(target) for target in targets]
    originals = [getattr(owner, name) for owner, name in places]
    with ExitStack() as stack:
        for (owner, name), original in zip(places, originals, strict=True):
            replacement = wrap(original)
            if inspect.isfunction(replacement):
                # Keras reads the signature of `call`, torch marks the steps that it has hooked.
                replacement = functools.wraps(original)(replacement)
            stack.enter_context(patched(owner, name, replacement))
        yield
