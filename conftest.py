"""Hypothesis profiles for the tests of this project: the same names as the suite's own.

Where CI is set the examples are the same in every run: what decides whether a change lands must not
depend on luck. Runs of one's own draw new ones each time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "quick",
    max_examples=50,
    deadline=None,
    suppress_health_check=_SLOW,
    derandomize="CI" in os.environ,
    database=None if "CI" in os.environ else settings.default.database,
)
settings.register_profile("ci", settings.get_profile("quick"), max_examples=500)
settings.register_profile("soak", settings.get_profile("quick"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def interrupt_key() -> Iterator[None]:
    """The interrupt key as Python has it, also in a run that is to ignore it (nohup, `&`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
