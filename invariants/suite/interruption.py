"""The interrupt key, which Python may drop.

What a handler of a signal raises inside of a callback of the garbage collector, or of a finaliser,
is written to stderr and ignored (the documentation of `signal`, "Note on signal handlers and
exceptions"). So the interruption is noted as well, and raised again before the next case.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Gives what raises KeyboardInterrupt if the interrupt key was pressed and nothing came of it.

    Where the key has another handler than Python's own, or the thread is not the main one, which
    alone may set handlers, it gives what does nothing.
    """
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or before is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
