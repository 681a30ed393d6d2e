"""What an installation may lack for a mode, or a machine for a device, and how to tell.

A script fails where it does.
"""

from __future__ import annotations

from functools import cache

from invariants.backends.places import HERE, Place
from invariants.oracle.contract import CONTRACTS

#: A trait of modes -> the script. XLA is not in every build of TensorFlow.
PROBES = {
    "jit": "import tensorflow as tf\ntf.function(lambda x: x + x, jit_compile=True)(tf.ones(1))\n"
}


@cache
def lacks(backend: str, mode: str, place: Place = HERE) -> str:
    """Why the installation of a backend cannot run a mode, in its own words; "" where it can.

    Raises BackendUnavailable where the framework itself cannot be used.
    """
    traits = CONTRACTS[backend].mode(mode).traits
    said = (place.refusal(backend, source) for trait, source in PROBES.items() if trait in traits)
    return next((reason for reason in said if reason), "")


@cache
def absent(backend: str, device: str, place: Place = HERE) -> str:
    """Why a backend finds no such device here, in its own words; "" where it does.

    Raises BackendUnavailable where the framework itself cannot be used.
    """
    source = CONTRACTS[backend].device(device).absent
    return place.refusal(backend, source) if source else ""
