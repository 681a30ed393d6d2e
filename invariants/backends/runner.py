"""Executes a rendered script and hands back what it recorded.

The source is registered in `linecache`, so that tracebacks, AutoGraph and Dynamo can read it. The
frameworks are imported here, at the first run, and told to keep to one thread: the arrays are
small, and two workers must not fight over two cores.

A worker in another environment (worker.py) runs this very file, so it keeps to numpy, the framework
and Python 3.8.
"""

from __future__ import annotations

import importlib
import itertools
import linecache
import os
import sys
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any

_numbers = itertools.count()

#: How the file names of scripts begin.
SCRIPT = "<case "


class BackendUnavailable(RuntimeError):
    """The framework of a backend is not installed or does not import; one line says why."""


@lru_cache(maxsize=None)  # functools.cache came with Python 3.9
def prepare(backend: str) -> Any:
    """The recorder module of `backend`, its framework imported and set to one thread."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if backend == "tensorflow":
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        framework = importlib.import_module(backend)
        recorder = importlib.import_module(f"{__package__}.recorder_{backend}")
        _one_thread(backend, framework)
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"{backend} is not installed ({error}): pip install 'freeze-invariants[{backend}]'"
        ) from error
    except (Exception, SystemExit) as error:  # a broken installation may raise anything
        reason = str(error).splitlines()[0] if str(error) else ""
        raise BackendUnavailable(
            f"{backend} is installed but cannot be used ({type(error).__name__}: {reason}): "
            f"pip install --force-reinstall {backend}"
        ) from error
    return recorder


def _one_thread(backend: str, framework: Any) -> None:
    if backend == "torch":
        framework.set_num_threads(1)
    else:
        framework.config.threading.set_intra_op_parallelism_threads(1)
        framework.config.threading.set_inter_op_parallelism_threads(1)


def compiled(source: str) -> tuple[CodeType, str]:
    """The code of `source` and the file name that tracebacks will show for it."""
    filename = f"{SCRIPT}{next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return compile(source, filename, "exec"), filename


def refusal(backend: str, source: str) -> str:
    """What a script that records nothing raises, in one line; "" where it runs through."""
    prepare(backend)
    try:
        exec(compiled(source)[0], {})
    except Exception as error:  # whatever an installation says that lacks something
        said = str(error).splitlines()
        return f"{type(error).__name__}: {said[0] if said else ''}"
    return ""


def run(backend: str, source: str, arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Executes `source` with the numbers in `arrays`; the recorded points, in native names.

    arrays: {"weights": {native name: array}, "batches": [(input, ..., target), ...]}.
    """
    recorder = prepare(backend).Recorder(arrays)
    execute(source, recorder)
    points: list[dict[str, Any]] = recorder.points
    return points


#: What a script calls.
CALLED = ("load", "follow", "note", "batch", "action", "record", "draws", "trained")


def execute(source: str, recorder: Any) -> None:
    """Executes `source` with the functions of a recorder, as far as it has them."""
    code, filename = compiled(source)
    # Classes are pickled by the module that they can be imported from.
    module = ModuleType(f"case_{next(_numbers)}")
    names = {name: getattr(recorder, name) for name in CALLED if hasattr(recorder, name)}
    vars(module).update(names)
    sys.modules[module.__name__] = module
    try:
        exec(code, vars(module))
    except Exception as error:  # outside of every action: the model could not even be made
        recorder.failed(-1, error)
    finally:
        recorder.finish()
        linecache.cache.pop(filename, None)
        del sys.modules[module.__name__]
