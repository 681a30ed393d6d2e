"""The interrupt key ends a batch even where Python drops what its handler raises."""

from __future__ import annotations

import signal
import threading

import pytest

from invariants.judge import Verdict, judge
from invariants.suite import hunt
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.interruption import interruptible

pytestmark = pytest.mark.usefixtures("interrupt_key")

#: Where pytest hears of an exception that Python drops.
dropped = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Finalised:
    """Pressing the key while this is finalised raises nothing that anyone sees."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@dropped
def test_a_key_that_was_dropped_counts_later() -> None:
    with interruptible() as check:
        check()
        Finalised()
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@dropped
def test_a_batch_ends_before_its_next_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> Verdict:
        Finalised()
        return judge(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(hunt, "judge", interrupted)
    batch = Hunt(Plan("torch", seed=1, examples=5, reduce_seconds=0.0), set())
    with pytest.raises(KeyboardInterrupt):
        batch.run()
    assert batch.tally.cases == 1


def test_another_handler_stays() -> None:
    def other(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGINT, other)
    try:
        with interruptible() as check:
            assert signal.getsignal(signal.SIGINT) is other
            check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_may_set_no_handler_runs_without() -> None:
    reached = []

    def run() -> None:
        with interruptible() as check:
            check()
            reached.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reached
