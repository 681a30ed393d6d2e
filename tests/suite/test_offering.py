"""A run says at its head which layers an installation lacks, in its own words, asked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from invariants.backends import BACKENDS
from invariants.backends.places import HERE
from invariants.backends.runner import BackendUnavailable
from invariants.report.terminal import hanging, header
from invariants.suite import offering
from invariants.suite.offering import Lack, ask, lacking
from invariants.suite.session import Options

NO_KERNEL = Lack("tanh", "in float16", "RuntimeError: no kernel")

#: backend -> how a tanh is made, and called, that goes through a kernel which some dtypes lack;
#: those dtypes, and the framework's words.
UNOFFERED = {
    "torch": (
        "nn.Tanh()",
        "torch.geqrf(torch.eye(2, dtype={0}.dtype))[0][0, 1] + {1}({0})",
        {"in bfloat16", "in float16"},
        '"geqrf_cpu" not implemented for',
    ),
    "tensorflow": (
        "keras.layers.Lambda(lambda x: keras.ops.tanh(x) "
        "+ keras.ops.inv(keras.ops.eye(2, dtype=x.dtype))[0, 1], "
        "output_shape=lambda shape: shape, ",
        "{1}({0})",
        {"in bfloat16"},
        "Value for attr 'T' of bfloat16 is not in the list of allowed values",
    ),
}


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where answers are kept."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "freeze-invariants" / "layers"


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The backends that were asked, each as often as it was; none has a kernel for tanh."""
    asked: list[str] = []

    def answer(backend: str, device: str, place: Any) -> Iterator[Lack]:
        asked.append(backend)
        yield NO_KERNEL

    monkeypatch.setattr(offering, "ask", answer)
    return asked


def quiet(line: str) -> None:
    """Takes a line of progress."""


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_kernel_that_the_framework_lacks_is_told_in_its_words(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(backend)
    rows, (made, called, parts, words) = BACKENDS[backend].LOWERINGS, UNOFFERED[backend]
    row = replace(
        rows["tanh"],
        construct=lambda layer, specs: made,
        call=lambda layer, name, args, specs: called.format(args[0], name),
    )
    monkeypatch.setitem(rows, "tanh", row)
    lacks = list(ask(backend, "cpu", HERE, ["relu", "tanh"]))
    assert {(lack.kind, lack.part) for lack in lacks} == {("tanh", part) for part in parts}
    assert all(words in lack.said for lack in lacks)


def test_a_layer_that_a_release_has_not_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.delattr(torch.nn, "Tanh")
    (lack,) = ask("torch", "cpu", HERE, ["tanh"])
    assert (lack.kind, lack.part) == ("tanh", "")
    assert "has no attribute 'Tanh'" in lack.said


def test_it_is_asked_once_and_kept(cached: Path, times: list[str]) -> None:
    told: list[str] = []
    for _ in range(2):
        assert lacking("torch", "cpu", told.append) == (NO_KERNEL,)
    assert times == ["torch"]
    assert [line.split()[:2] for line in told] == [["asking", "torch"]]
    assert [path.suffix for path in cached.iterdir()] == [".json"]


@pytest.mark.parametrize("what", ["another release", "another device", "other code"])
def test_another_installation_is_asked_anew(
    what: str, cached: Path, times: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking("torch", "cpu", quiet)
    if what == "another release":
        monkeypatch.setattr(offering, "versions", lambda backend: {"torch": "1.0"})
    if what == "other code":
        monkeypatch.setattr(offering, "_written_by", lambda: "another digest")
    lacking("torch", "cuda" if what == "another device" else "cpu", quiet)
    assert times == ["torch", "torch"]


@pytest.mark.parametrize("damage", [b"", b"\xff{", b"[]x", b'[{"kind": "tanh"}]', b'"text"'])
def test_an_answer_that_cannot_be_read_is_asked_for_anew(
    damage: bytes, cached: Path, times: list[str]
) -> None:
    lacking("torch", "cpu", quiet)
    (file,) = cached.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert lacking("torch", "cpu", quiet) == (NO_KERNEL,)
    assert times == ["torch", "torch"]
    assert file.read_bytes() == whole


def test_a_run_goes_on_where_no_answer_can_be_kept(cached: Path, times: list[str]) -> None:
    cached.parent.write_text("a file where the folder would be")
    told: list[str] = []
    assert lacking("torch", "cpu", told.append) == (NO_KERNEL,)
    assert told[-1].endswith(f"{cached} cannot be written")


def options() -> Options:
    return Options.checked(["torch"], "quick", 1, 1, None, False)


def test_the_header_has_a_line_for_all_that_is_said_the_same_of(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = (NO_KERNEL, replace(NO_KERNEL, kind="gru"), Lack("celu", "", "no celu"))
    monkeypatch.setattr(offering, "ask", lambda *given: iter(lacks))
    lines = header(options(), quiet)
    assert "  not in float16: tanh, gru (RuntimeError: no kernel)" in lines
    assert "  not at all: celu (no celu)" in lines


@pytest.mark.parametrize(
    ("backend", "line"),
    [
        ("torch", "  no layer_norm_weights beta (layer_norm): bias: if set to False, the layer"),
        (
            "torch",
            "  no masked_simple_rnn, masked_lstm, masked_gru: torch's recurrent layers",
        ),
        ("tensorflow", "  no embedding_padding (embedding): mask_zero masks steps of the layers"),
        ("tensorflow", "  no rms_norm_scaled False (rms_norm): The layer multiplies by"),
        (
            "tensorflow",
            "  no padding_modes reflect, replicate, circular (conv2d, conv1d, depthwise",
        ),
        ("tensorflow", "  no parameter_groups: An optimizer of Keras has one learning rate"),
    ],
)
def test_the_header_names_each_option_that_is_lacking_with_its_layers_and_reason(
    backend: str, line: str, cached: Path
) -> None:
    pytest.importorskip(backend)
    options = Options.checked([backend], "quick", 1, 1, None, False)
    lines = header(options, reasons=True)
    (found,) = [said for said in lines if said.startswith(line)]
    first, *others = hanging(found, 60).splitlines()
    assert first.startswith("  no ")
    assert all(len(part) <= 60 and part.startswith(" " * 6) for part in others)
    assert " ".join([first, *(part.strip() for part in others)]) == found


def test_the_header_says_where_nothing_is_lacking_and_nothing_where_none_asked(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "ask", lambda *given: iter(()))
    line = "  every other kind of layer in every dtype"
    assert line not in header(options())
    assert line in header(options(), quiet)
    assert line in header(options())


def test_a_framework_that_cannot_be_used_is_left_to_its_batches(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*given: Any) -> Iterator[Lack]:
        raise BackendUnavailable("torch is broken")

    monkeypatch.setattr(offering, "ask", unavailable)
    assert len(header(options(), quiet)) > 1
    assert not cached.exists()
