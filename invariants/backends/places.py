"""Where scripts run: in this process, or in worker processes of this or another Python.

A worker is kept for case after case. One that dies or hangs is an outcome of the case that it had:
the error of the action that it was in, of one of the kinds `DEATHS`, behind all that was recorded
before. The next case gets a new worker.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from invariants.backends import runner, wire
from invariants.observation import CRASHED, EXITED, HUNG, KILLED

Points = list[dict[str, Any]]

_WORKER = Path(__file__).with_name("worker.py")

#: Seconds that one case may take in a worker.
CASE_LIMIT = 60.0

#: Seconds that a framework may take to be imported: some need half a minute on a busy machine.
_IMPORT_LIMIT = 300.0

#: Seconds after which a worker that should have ended itself is ended.
_GRACE = 5.0


class Place(Protocol):
    """What runs scripts; every method may raise BackendUnavailable."""

    def __hash__(self) -> int: ...

    def prepare(self, backend: str) -> None: ...

    def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]: ...

    def run(
        self, backend: str, source: str, arrays: dict[str, Any], seconds: float = 0.0
    ) -> Points: ...

    def refusal(self, backend: str, source: str) -> str: ...


@cache
def _installed(package: str) -> str:
    """The version in this process, asked for once; "" where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


class Here:
    """This very process."""

    def prepare(self, backend: str) -> None:
        runner.prepare(backend)

    def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]:
        """The installed versions, "" for what is not installed; nothing is imported."""
        return {package: _installed(package) for package in packages}

    def run(
        self, backend: str, source: str, arrays: dict[str, Any], seconds: float = 0.0
    ) -> Points:
        return runner.run(backend, source, arrays)

    def refusal(self, backend: str, source: str) -> str:
        return runner.refusal(backend, source)


HERE = Here()


class _Died(Exception):
    """A worker that is no more: of which kind its end was, and what is told of it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class _Worker:
    """One process; `ask` gives what it answers, one message after the other."""

    def __init__(self, python: str, backend: str, own: bool) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        environment = {n: v for n, v in os.environ.items() if own or not n.startswith("PYTHON")}
        try:
            self.process = subprocess.Popen(
                [python, str(_WORKER), backend],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment,
                start_new_session=True,  # an interrupt is for the one who asks, not for the case
            )
        except OSError as error:
            self.errors.close()
            raise runner.BackendUnavailable(
                f"{python} cannot be started: {error.strerror or error}"
            ) from None
        self.answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        # It may die while it writes, and be closed while it is read.
        with contextlib.suppress(wire.DamagedMessage, OSError, ValueError):
            message = wire.read_first(self.process.stdout)
            while message is not None:
                self.answers.put(wire.unpacked(message))
                message = wire.read(self.process.stdout)
        self.answers.put(None)

    def send(self, request: dict[str, Any]) -> None:
        self.errors.seek(0, os.SEEK_END)
        self.start = self.errors.tell()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died meanwhile, as its answer will tell
            self.process.stdin.write(wire.packed(request))
            self.process.stdin.flush()

    def answer(self, deadline: float, limit: float) -> dict[str, Any]:
        """The next message; raises _Died."""
        try:
            message = self.answers.get(timeout=max(0.0, deadline + _GRACE - time.monotonic()))
        except queue.Empty:
            message = None
        if message is not None:
            return message
        late = time.monotonic() >= deadline
        if self.process.poll() is None and late:
            self.process.kill()
        code = self.process.wait()
        if late:
            raise _Died(HUNG, f"it did not end within {limit:g} s")
        raise _Died(*_end(code, self._said()))

    start = 0

    def _said(self) -> str:
        """The first line that the worker wrote on its own account since the last request."""
        self.errors.seek(self.start)
        text = self.errors.read(1 << 16).decode("utf-8", "replace")
        lines = (line.strip() for line in text.partition("Fatal Python error")[0].splitlines())
        return next((line for line in lines if line), "")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                with contextlib.suppress(OSError):  # of a request that was never read
                    stream.close()


def _end(code: int, said: str) -> tuple[str, str]:
    """The kind of an end, and what is told of it."""
    more = f": {said}" if said else ""
    if code >= 0:
        return EXITED, f"the process ended itself with exit code {code}{more}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    if -code == signal.SIGKILL:
        return KILLED, f"{name}, which a system sends that runs out of memory{more}"
    return CRASHED, f"{name}{more}"


class Apart:
    """Workers of one Python, one for each backend that is asked for.

    own: it is the Python of this process, which sees what PYTHONPATH and its like say; another one
    does not. Use it in one thread at a time.
    """

    def __init__(self, python: str, limit: float = CASE_LIMIT, own: bool = False) -> None:
        self.python, self.limit, self.own = python, limit, own
        self.pythons: dict[str, str] = {}  # by backend, the version of Python that its worker has
        self._versions: dict[str, dict[str, str]] = {}
        self._workers: dict[str, _Worker] = {}

    def prepare(self, backend: str) -> None:
        """Starts the worker, if there is none, and waits until it has imported the framework."""
        self._worker(backend)

    def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]:
        """The installed versions, as a worker tells them that has imported the framework."""
        if backend not in self._versions:
            try:
                (answer,) = self._asked(backend, {"versions": list(packages)})
            except _Died as death:
                raise runner.BackendUnavailable(
                    f"{self.python} cannot use {backend} ({death.kind}: {death.message})"
                ) from None
            self._versions[backend] = answer["versions"]
        return self._versions[backend]

    def run(
        self, backend: str, source: str, arrays: dict[str, Any], seconds: float = 0.0
    ) -> Points:
        """What a script records; ten times the `seconds` that it takes, about, is never a hang."""
        points: Points = []
        action = -1
        limit = max(self.limit, 10 * seconds)
        request = {"run": source, "arrays": arrays, "limit": limit}
        try:
            for message in self._asked(backend, request, limit):
                points += message.get("points", message.get("done", []))
                action = message.get("action", action)
        except _Died as death:
            error = (death.kind, death.message)
            points.append({"action": action, "error": error, "frames": []})
        return points

    def refusal(self, backend: str, source: str) -> str:
        try:
            (answer,) = self._asked(backend, {"probe": source})
            return str(answer["refusal"])
        except _Died as death:
            return f"{death.kind}: {death.message}"

    def _asked(
        self, backend: str, request: dict[str, Any], limit: float = CASE_LIMIT
    ) -> Iterator[dict[str, Any]]:
        """The answers to a request, up to the one that ends it."""
        try:
            worker = self._worker(backend)
        except runner.BackendUnavailable as error:
            if backend not in self.pythons:
                raise
            raise _Died(CRASHED, f"no further worker could be started: {error}") from None
        deadline = time.monotonic() + limit
        worker.send(request)
        try:
            while True:
                message = worker.answer(deadline, limit)
                yield message
                if "action" not in message:
                    return
        except BaseException:  # its end, or the user's wish: what it still says is of no use
            del self._workers[backend]
            worker.close()
            raise

    def _worker(self, backend: str) -> _Worker:
        if backend in self._workers:
            return self._workers[backend]
        worker = _Worker(self.python, backend, self.own)
        try:
            told = worker.answer(time.monotonic() + _IMPORT_LIMIT, _IMPORT_LIMIT)
        except _Died as death:
            worker.close()
            raise runner.BackendUnavailable(
                f"{self.python} dies while it imports {backend} ({death.kind}: {death.message})"
            ) from None
        except BaseException:
            worker.close()
            raise
        if "unavailable" in told:
            worker.close()
            raise runner.BackendUnavailable(f"{self.python}: {told['unavailable']}")
        self.pythons[backend] = told["ready"]
        self._workers[backend] = worker
        return worker

    def close(self) -> None:
        """Ends the workers; the next case starts new ones."""
        while self._workers:
            self._workers.popitem()[1].close()


@cache
def place_for(case_limit: float) -> Place:
    """This process, or workers of the same Python that give a case so many seconds."""
    if not case_limit:
        return HERE
    place = Apart(sys.executable, case_limit, own=True)
    atexit.register(place.close)
    return place
