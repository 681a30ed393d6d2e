"""What some modes need of the machine, and whether it is there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from invariants.oracle.contract import CONTRACTS, Mode


def _compiler() -> str:
    """Why no C++ code can be compiled, as torch._inductor.config.cpp.cxx looks for a compiler."""
    usual = {"darwin": "clang++", "win32": "cl"}
    name = os.environ.get("CXX") or usual.get(sys.platform, "g++")
    if shutil.which(name):
        return ""
    return f"it needs a C++ compiler, and there is no {name} here: install one, or set CXX"


#: What a mode may need -> the function that says why it is not there, "" where it is.
_PROBES: dict[str, Callable[[], str]] = {"": lambda: "", "C++ compiler": _compiler}


def missing(mode: Mode) -> str:
    """Why a mode cannot run on this machine, in one line; "" where it can."""
    return _PROBES[mode.needs]()


def missing_modes(backend: str, device: str = "cpu") -> dict[str, str]:
    """The modes of a backend that cannot run on this machine, or on a device of it, and why."""
    contract = CONTRACTS[backend]
    without = contract.device(device).without
    reasons = {mode.name: missing(mode) or without.get(mode.name, "") for mode in contract.modes}
    return {name: reason for name, reason in reasons.items() if reason}
