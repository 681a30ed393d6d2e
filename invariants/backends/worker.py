"""The program that runs cases in another process or another environment, one after the other.

    python worker.py BACKEND

It needs numpy and the framework, nothing of this project but the files beside it, and any Python
from 3.8 on. On standard input come messages (wire.py): {"run": source, "arrays": ..., "limit":
seconds}, {"probe": source} or {"versions": packages}. On standard output go {"ready": the version
of Python} or {"unavailable": reason} once, and an answer to each request; that to a case comes in
parts, what is recorded when an action begins, so that a crash loses nothing of what came before.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import platform
import sys
import types
from typing import Any, BinaryIO

_HERE = os.path.dirname(os.path.abspath(__file__))

#: The name under which the files beside this one are imported here: their folder must not be on
#: the path, where its `torch` would stand before the framework.
_PACKAGE = "invariants_worker"


def _siblings() -> tuple[Any, Any]:
    """The modules wire and runner."""
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.getcwd()) != _HERE]
    package = types.ModuleType(_PACKAGE)
    package.__path__ = [_HERE]
    sys.modules[_PACKAGE] = package
    return (
        importlib.import_module(_PACKAGE + ".wire"),
        importlib.import_module(_PACKAGE + ".runner"),
    )


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, out of reach of what a framework prints or reads."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, answers


def _versions(packages: list[str]) -> dict[str, str]:
    """The installed versions; a package that is installed under another name says its own."""
    from importlib import metadata

    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = str(getattr(sys.modules.get(package), "__version__", ""))
    return found


def _first_to_go() -> None:
    """Where memory runs out, the system shall end this process and not the one that judges."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _run(runner: Any, backend: str, request: dict[str, Any], tell: Any) -> None:
    recorder_class = runner.prepare(backend).Recorder

    class Telling(recorder_class):  # type: ignore[misc, valid-type]
        told = 0

        def action(self, number: int) -> Any:
            before, self.told = self.points[self.told :], len(self.points)
            tell({"action": number, "points": before})
            return super().action(number)

    recorder = Telling(request["arrays"])
    faulthandler.dump_traceback_later(request["limit"], exit=True)
    try:
        runner.execute(request["run"], recorder)
    finally:
        faulthandler.cancel_dump_traceback_later()
    tell({"done": recorder.points[recorder.told :]})


def main(backend: str) -> None:
    faulthandler.enable()
    _first_to_go()
    requests, answers = _own_streams()
    wire, runner = _siblings()

    def tell(message: dict[str, Any]) -> None:
        answers.write(wire.packed(message))
        answers.flush()

    try:
        runner.prepare(backend)
    except runner.BackendUnavailable as error:
        tell({"unavailable": str(error)})
        return
    tell({"ready": platform.python_version()})
    while True:
        message = wire.read(requests)
        if message is None:
            return
        request = wire.unpacked(message)
        if "probe" in request:
            tell({"refusal": runner.refusal(backend, request["probe"])})
        elif "versions" in request:
            tell({"versions": _versions(request["versions"])})
        else:
            _run(runner, backend, request, tell)


if __name__ == "__main__":
    main(sys.argv[1])
