"""repro.py: the very script that ran, with the numbers written in, that shows one finding.

It needs numpy and the one framework. Its middle is the rendered source to the letter; before it
stand the numbers and the recorder that the runner uses, after it one check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np

from invariants.backends import BACKENDS, native_arrays, native_element, versions
from invariants.case import Case
from invariants.finding import Finding

_HEAD = '''\
"""{title}

{message}: {where}.
expected {expected}
got      {got}

Run it with {packages}. It exits with 1 while the violation is there, and with 0 where it is gone.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
{guard}
import numpy as np

# ---------------------------------------------------------------------------- the numbers

ARRAYS = {arrays}

# ------------------------------------------------------------- writing down what happens

{recorder}

recorder = Recorder(ARRAYS)
load, follow, batch, action = recorder.load, recorder.follow, recorder.batch, recorder.action
record, note, draws = recorder.record, recorder.note, recorder.draws
trained = getattr(recorder, "trained", None)
{threads}

# ------------------------------------------------------------- the script that ran

{source}

# ------------------------------------------------------------- what should hold


def at(number):
    """What action `number` recorded, or None."""
    found = [p for p in recorder.points if p["action"] == number and "weights" in p]
    return found[0] if found else None


def told(kind, number):
    """The error or the warnings of action `number`, or None."""
    found = [p[kind] for p in recorder.points if p["action"] == number and kind in p]
    return found[0] if found else None


{check}
print("VIOLATED" if violated else "holds")
sys.exit(1 if violated else 0)
'''

#: Stands before everything where the script does not live to its end: it is run inside another.
_GUARD = """
import subprocess

if "--inside" not in sys.argv:
    try:
        code = subprocess.call([sys.executable, __file__, "--inside"], timeout=300)
    except subprocess.TimeoutExpired:
        code = "none: it did not end within 300 s"
    print("exit code", code)
    print("VIOLATED" if code else "holds")
    sys.exit(1 if code else 0)
"""

_THREADS = {
    "torch": "torch.set_num_threads(1)",
    "tensorflow": (
        "tf.config.threading.set_intra_op_parallelism_threads(1)\n"
        "tf.config.threading.set_inter_op_parallelism_threads(1)"
    ),
}


def _array(array: np.ndarray) -> str:
    return f"np.array({array.tolist()!r}, dtype=np.{array.dtype.name}).reshape({array.shape!r})"


def _arrays(case: Case, backend: str) -> str:
    numbers: dict[str, Any] = native_arrays(case, backend)
    lines = ["{", f'    "dtype": {numbers["dtype"]!r},', '    "weights": {']
    lines += [f"        {name!r}: {_array(a)}," for name, a in numbers["weights"].items()]
    lines += ["    },", '    "batches": [']
    for batch in numbers["batches"]:
        lines += ["        (", *(f"            {_array(a)}," for a in batch), "        ),"]
    return "\n".join([*lines, "    ],", "}"])


def _within(f: Finding, name: str, element: Any) -> str:
    return f"""\
point = at({f.action})
array = point and point[{f.field!r}][{name!r}]
got = float("nan") if array is None else float(array[{element!r}])
expected, allowed = {f.expected!r}, {f.allowed!r}
print("{f.field} of", {name!r}, "at", {element!r}, "after action {f.action}")
print("expected", repr(expected), "got", repr(got))
print("apart by", abs(got - expected), "allowed", allowed)
violated = not abs(got - expected) <= allowed"""


def _present(f: Finding, name: str, element: Any) -> str:
    field = f.field or "gradients"
    if not f.subject:
        return (
            f'violated = at({f.action}) is None\nprint("action {f.action} recorded:", not violated)'
        )
    return f"""\
point = at({f.action})
violated = point is None or point[{field!r}].get({name!r}) is None
print("{field} of", {name!r}, "after action {f.action}:", "none" if violated else "present")"""


def _absent(f: Finding, name: str, element: Any) -> str:
    found = f'point["gradients"].get({name!r}) is not None'
    if f.field == "slots":
        found = f'{f.got!r} in point["slots"].get({name!r}, {{}})'
    return f"""\
point = at({f.action})
violated = point is not None and {found}
print("{f.field} of the frozen", {name!r}, "after action {f.action}:", violated)"""


def _same_bits(f: Finding, name: str, element: Any) -> str:
    slot = f"[{f.expected!r}]" if f.field == "slots" else ""
    return f"""\
before, after = at({f.earlier}), at({f.action})
a, b = before[{f.field!r}][{name!r}]{slot}, after[{f.field!r}][{name!r}]{slot}
violated = a.tobytes() != b.tobytes()
print("{f.field} of", {name!r}, "at action {f.earlier}:", a.tolist())
print("{f.field} of", {name!r}, "at action {f.action}:", b.tolist())"""


def _moved(f: Finding, name: str, element: Any) -> str:
    return f"""\
before, after = at({f.earlier})["weights"][{name!r}], at({f.action})["weights"][{name!r}]
print({name!r}, "at", {element!r}, "was", before[{element!r}], "is", after[{element!r}])
print("expected about", {f.expected!r})
violated = bool(before[{element!r}] == after[{element!r}])"""


def _flag(f: Finding, name: str, element: Any) -> str:
    return f"""\
flag = at({f.action})["flags"][{name!r}]
print("trainable flag of", {name!r}, "after action {f.action}:", flag)
violated = flag != {f.expected}"""


def _raises(f: Finding, name: str, element: Any) -> str:
    named = None if f.expected == "nothing raised" else str(f.expected)
    parts = [] if named is None else list(named.replace("...", "").split(": ", 1))
    return f"""\
error = told("error", {f.action})
print("expected", {str(f.expected)!r})
print("got", error or "nothing raised")
named = {parts!r}  # the type and a part of the message, or nothing
said = ": ".join(error or ())
violated = bool(error) != bool(named) or not all(part in said for part in named)"""


def _quiet(f: Finding, name: str, element: Any) -> str:
    return f"""\
texts = told("warnings", {f.action})
print("warnings of action {f.action}:", texts)
violated = bool(texts)"""


def _warns(f: Finding, name: str, element: Any) -> str:
    named = str(f.expected).replace("a warning: ", "").replace("...", "")
    return f"""\
texts = told("warnings", {f.action})
print("expected", {str(f.expected)!r})
print("warnings of action {f.action}:", texts)
violated = not any({named!r} in text for _, text in texts or ())"""


def _dtype(f: Finding, name: str, element: Any) -> str:
    return f"""\
got = at({f.action})[{f.field!r}][{name!r}].dtype.name
print("dtype of", {name!r}, "in {f.field}: expected", {f.expected!r}, "got", got)
violated = got != {f.expected!r}"""


def _repeats(f: Finding, name: str, element: Any) -> str:
    if f.allowed is not None:  # an operation there is documented as not deterministic
        return f'''\
import subprocess


def value():
    """The element as this run has it."""
    array = at({f.action})[{f.field!r}]{f"[{name!r}]" if name else ""}
    return float(array[{element!r}])


if "--value" in sys.argv:
    print(repr(value()))
    sys.exit(0)
command = [sys.executable, __file__, "--value"]
runs = [float(subprocess.check_output(command).split()[-1]) for _ in range(8)]
print("in 8 runs:", runs, "allowed apart", {f.allowed!r})
violated = not max(runs) - min(runs) <= {f.allowed!r}'''
    return '''\
import hashlib
import subprocess


def digest():
    """A hash of everything that was recorded."""
    parts = []
    for p in recorder.points:
        for kind in ("weights", "gradients", "averages"):
            parts += [a.tobytes() for a in p.get(kind, {}).values() if a is not None]
    return hashlib.sha256(b"".join(parts)).hexdigest()


if "--digest" in sys.argv:
    print(digest())
    sys.exit(0)
command = [sys.executable, __file__, "--digest"]
runs = {subprocess.check_output(command).split()[-1] for _ in range(8)}
print("different outcomes in 8 runs:", len(runs))
violated = len(runs) > 1'''


def _ends(f: Finding, name: str, element: Any) -> str:
    return "violated = False  # it has come so far"


_CHECKS: dict[str, Callable[[Finding, str, Any], str]] = {
    "within": _within,
    "present": _present,
    "absent": _absent,
    "same_bits": _same_bits,
    "moved": _moved,
    "flag": _flag,
    "dtype": _dtype,
    "raises": _raises,
    "ends": _ends,
    "quiet": _quiet,
    "warns": _warns,
    "repeats": _repeats,
}


def script(case: Case, finding: Finding, installed: Mapping[str, str] | None = None) -> str:
    """The source of repro.py for one finding on one case.

    installed: the packages where it showed and their versions, by default those that are here.
    """
    backend = finding.backend
    name, element = finding.subject, finding.element or ()
    if name:
        name, element = native_element(case, backend, name, element)
    recorder = (resources.files("invariants.backends") / f"recorder_{backend}.py").read_text()
    action = case.program[finding.action].action if finding.action >= 0 else "load"
    held = versions(backend) if installed is None else installed
    packages = " and ".join(f"{p} {v}" for p, v in held.items())
    return _HEAD.format(
        title=f"{finding.property_} does not hold on {backend}.",
        message=finding.message,
        where=f"after action {finding.action} ({action})",
        expected=finding.expected,
        got=str(finding.got).replace("\\", "\\\\").replace('"""', "'''"),
        packages=packages,
        guard=_GUARD if finding.relation == "ends" else "",
        arrays=_arrays(case, backend),
        recorder=recorder.rstrip(),
        threads=_THREADS[backend],
        source=BACKENDS[backend].render(case, held).rstrip(),
        check=_CHECKS[finding.relation](finding, name, element),
    )
