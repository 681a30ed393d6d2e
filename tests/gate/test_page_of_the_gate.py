"""What docs/gate.md says to type works; what it says to write into a file is read."""

from __future__ import annotations

import html
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import yaml
from patched import environment
from tests_support import BLOCKING, simple_case

from invariants.cli import app, main
from invariants.gate import waivers

TEXT = Path("docs/gate.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """The commands that a reader types, in the order of the page."""
    lines = "".join(blocks("console")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("invariants")]


def snippets() -> list[list[str]]:
    """The commands in files for CI."""
    lines = "\n".join([*blocks("yaml"), *blocks("sh")]).splitlines()
    found = (re.search(r"(?:^|- )invariants (.*)", line.partition(" || ")[0]) for line in lines)
    return [shlex.split(match[1]) for match in found if match]


@pytest.mark.parametrize("arguments", [*commands(), *snippets()], ids=" ".join)
def test_the_command_line_knows_every_command(arguments: list[str]) -> None:
    name, *rest = arguments
    command = app.commands[name]
    assert isinstance(command, click.Command)
    command.make_context(name, [*rest])


#: What is run in place of a release, so that nothing is installed.
SOUND = ("keras==3.12.0", "torch==2.12.0", "tensorflow==2.15.1", "torch==1.13.1")
WORSE = ("keras==3.15.1", "torch==2.13.0")

#: What an older release takes beside it, which its stand-in has no need of.
BESIDE = ("keras==2.15.0", "--python", "python3.8")


def test_the_commands_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = dict.fromkeys(SOUND, str(environment(tmp_path / "sound")))
    stand_in |= dict.fromkeys(WORSE, str(environment(tmp_path / "worse", BLOCKING)))
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "case.json").write_text(simple_case().to_json())
    (tmp_path / "waivers.toml").write_text(blocks("toml")[0])
    monkeypatch.chdir(tmp_path)
    few = ["--backend", "torch", "--corpus", "corpus"]
    codes: dict[str, list[int]] = {}
    ran: list[list[str]] = []
    for name, *rest in commands():
        if name == "bisect":  # asks which releases there are
            continue
        asked = [word for word in rest if word not in ("--resume", *BESIDE)]
        given = [stand_in.get(word, word) for word in asked]
        given += few if name in ("gate", "record") else []
        given += ["--reduce-seconds", "0", "--resume"] if name == "gate" else []
        if [name, *given] in ran:  # with the stand-ins, of keras it is the same as of torch
            continue
        ran.append([name, *given])
        monkeypatch.setattr(sys, "argv", ["invariants", name, *given])
        codes.setdefault(name, []).append(exit_code())
    assert codes == {"gate": [1, 1], "report": [0, 0], "record": [0]}
    said = capsys.readouterr().out
    assert "1 cases recorded in baseline.recording" in said
    assert "a waiver is stale" in said
    for file in re.findall(r"^\| `(\S+)` \| (?:`\S+` )?\|", TEXT, re.MULTILINE):
        assert (tmp_path / "invariants-gate" / file).stat().st_size
    assert "candidate is worse" in (tmp_path / "upgrade.html").read_text()
    (script,) = (tmp_path / "invariants-gate").glob("findings/upstream*/repro.py")
    assert script.read_text() in html.unescape((tmp_path / "upgrade.html").read_text())


def exit_code() -> int:
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_the_waivers_of_the_page_are_read(tmp_path: Path) -> None:
    (tmp_path / "waivers.toml").write_text(blocks("toml")[0])
    first, second = waivers.read(tmp_path / "waivers.toml")
    assert (first.backend, second.backend) == ("tensorflow", "torch")


def test_the_snippets_for_ci_are_yaml_and_give_the_action_what_it_takes() -> None:
    action = yaml.safe_load(Path("action.yml").read_text())
    used = []
    for block in blocks("yaml"):
        document = yaml.safe_load(block)
        for job in document.get("jobs", {}).values():
            used += [s for s in job["steps"] if "freeze-invariants@" in s.get("uses", "")]
    assert len(used) == 2
    for step in used:
        assert set(step["with"]) <= set(action["inputs"])
