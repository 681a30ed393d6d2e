"""The action for GitHub: its inputs are the options of the command, and reach it as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from invariants.gate.command import gate

ACTION = yaml.safe_load(Path("action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
OPTIONS = {option for parameter in gate.params for option in parameter.opts}

#: Says what it was given, and ends as the gate would.
FAKE = """#!/bin/sh
for word in "$@"; do echo "$word" >> "$TOLD"; done
mkdir -p "$REPORT"
echo '{"verdict": "worse"}' > "$REPORT/result.json"
echo '## worse' > "$REPORT/report.md"
for name in report.html junit.xml report.sarif; do echo worse > "$REPORT/$name"; done
exit 1
"""

#: What a gate may leave that could not be decided.
BROKEN = {
    "nothing": "",
    "an empty result": ': > "$REPORT/result.json"',
    "half a result": """echo '{"verdict": "wor' > "$REPORT/result.json" """,
    "a result without a verdict": """echo '[]' > "$REPORT/result.json" """,
    "a summary that cannot be read": 'mkdir "$REPORT/report.md"',
}


def test_every_input_is_an_option_of_the_gate() -> None:
    assert {f"--{name}" for name in ACTION["inputs"]} == OPTIONS - {"--resume"}


def test_what_the_action_takes_for_granted_is_what_the_command_does() -> None:
    defaults = {option: p.default for p in gate.params for option in p.opts}
    for name in ("cases", "seed", "case-limit", "reduce-seconds", "report"):
        given, usual = ACTION["inputs"][name]["default"], defaults[f"--{name}"]
        assert type(usual)(given) == usual


def test_every_step_is_an_action_of_a_version_or_a_script_of_a_shell() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS.values():
        assert ("uses" in step and "@v" in step["uses"]) or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "an input would be read as a script"


def ran(
    name: str, folder: Path, gate: str = FAKE, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """Runs the script of a step with these inputs, as the runner would."""
    program = folder / "bin" / "invariants"
    program.parent.mkdir(exist_ok=True)
    program.write_text(gate)
    program.chmod(0o755)
    usual = {name: given.get("default", "") for name, given in ACTION["inputs"].items()}
    variables = {}
    for variable, text in STEPS[name]["env"].items():
        for key, value in {**usual, **inputs}.items():
            text = text.replace(f"${{{{ inputs.{key} }}}}", value)
        variables[variable] = text
    files = {n: str(folder / n) for n in ("TOLD", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    path = f"{program.parent}:/usr/bin:/bin:{Path(sys.executable).parent}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]],
        env={"PATH": path, "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", **files, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_inputs_reach_the_command_word_by_word(tmp_path: Path) -> None:
    done = ran(
        *("Gate", tmp_path),
        baseline="keras==3.12.* tensorflow==2.21.0",
        candidate="keras\ntensorflow>=2.21,<3",
        report="my report",
        mode="eager tape",
        **{"known-issues": "the waivers.toml"},
    )
    assert done.returncode == 1, done.stderr
    arguments = (tmp_path / "TOLD").read_text().splitlines()
    assert arguments[0] == "gate"
    read = gate.make_context("gate", arguments[1:]).params
    assert read["baseline"] == ("keras==3.12.*", "tensorflow==2.21.0")
    assert read["candidate"] == ("keras", "tensorflow>=2.21,<3")
    assert (read["modes"], read["backends"]) == (("eager", "tape"), ())
    assert (read["report"], read["known_issues"]) == (Path("my report"), Path("the waivers.toml"))
    assert (read["cases"], read["corpus"], read["resume"]) == (400, None, False)


def test_the_verdict_and_the_summary_are_handed_on_where_the_gate_fails(tmp_path: Path) -> None:
    assert ran("Gate", tmp_path, baseline="a", candidate="b").returncode == 1
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == "verdict=worse\n"
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == "## worse\n"


@pytest.mark.parametrize("left", BROKEN)
def test_the_step_ends_as_the_gate_did_whatever_is_left_of_its_report(
    left: str, tmp_path: Path
) -> None:
    undecided = f'#!/bin/sh\nmkdir -p "$REPORT"\n{BROKEN[left]}\nexit 2\n'
    done = ran("Gate", tmp_path, undecided, baseline="a", candidate="b")
    assert (done.returncode, done.stderr) == (2, "")
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == "verdict=\n"


def test_the_report_of_an_earlier_run_is_not_handed_on(tmp_path: Path) -> None:
    assert ran("Gate", tmp_path, baseline="a", candidate="b").returncode == 1
    (tmp_path / "GITHUB_OUTPUT").write_text("")
    assert ran("Gate", tmp_path, "#!/bin/sh\nexit 2\n", baseline="a", candidate="b").returncode == 2
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == "verdict=\n"
    assert not [*(tmp_path / "invariants-gate").iterdir()]


@pytest.mark.parametrize("candidate", ["torch>=2,<3", "torch; rm -rf $HOME"])
def test_the_name_of_the_cache_has_no_comma_and_runs_nothing(
    candidate: str, tmp_path: Path
) -> None:
    assert ran("Name what is cached", tmp_path, candidate=candidate).returncode == 0
    prefix, week = (tmp_path / "GITHUB_OUTPUT").read_text().splitlines()
    assert prefix.startswith("prefix=invariants-Linux-X64-")
    assert "," not in prefix + week
    assert week.startswith("week=20")
