"""Series of cases: one run of Hypothesis that draws and does nothing else."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, Verbosity, settings


def drawing(count: int) -> settings:
    """The settings of a run that draws so many cases, remembers none and shrinks none."""
    return settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
