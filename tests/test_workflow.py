"""What starts Facewire on Windows, and what a forge would run: as far as a machine without either can tell."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from support import torch_tests
from support.paths import ROOT, TESTS

WORKFLOW = ROOT / ".github" / "workflows" / "checks.yml"
BATCH = ROOT / "start-windows.bat"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def workflow() -> dict[Any, Any]:
    found = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]


def test_the_workflow_has_the_forms_that_a_forge_takes() -> None:
    assert importlib.util.find_spec("check_jsonschema"), "it comes with the group dev"
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*check, str(WORKFLOW)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_what_people_are_told_on_every_system_and_python() -> None:
    jobs = workflow()["jobs"]
    posix, windows, build = jobs["linux-and-macos"], jobs["windows"], jobs["build"]
    for job in (posix, windows):
        assert job["strategy"]["matrix"]["python"] == PYTHONS
    assert posix["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-latest"]
    assert build["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert windows["runs-on"] == "windows-latest"
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "make test PYTHON=python3.13 TORCH=" in told
    assert commands(posix) == ["make test PYTHON=python TORCH="]
    for line in commands(windows)[1:]:  # the first makes .venv, with the forge's interpreter in the place of py
        words = line.removesuffix("|| exit /b 1").strip()
        assert f"`{words}`" in told or words.startswith("start-windows.bat"), words
    assert "python -m build --outdir dist ." in commands(build)


def test_its_targets_and_files_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in workflow()["jobs"].values():
        for line in commands(job):
            for target in re.findall(r"\bmake ([a-z-]+)", line):
                assert target in targets
            for file in re.findall(r"(?<![\w.])(?:\.ci/run|start-windows\.bat|tests/[\w/]+\.py)", line):
                assert (ROOT / file).is_file()


def test_it_uses_others_actions_by_hash_and_may_only_read() -> None:
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"actions/(checkout|setup-python)@[0-9a-f]{40}", one) for one in used)
    assert workflow()["permissions"] == {"contents": "read"}


def test_python_versions_agree() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'Programming Language :: Python :: (3\.\d+)"', project) == PYTHONS
    assert f'requires-python = ">={PYTHONS[0]}"' in project
    assert f'python_version = "{PYTHONS[0]}"' in project  # mypy's
    assert f'target-version = "py{PYTHONS[0].replace(".", "")}"' in project  # ruff's
    for page in ("README.md", "CONTRIBUTING.md"):
        assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in (ROOT / page).read_text(encoding="utf-8")
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in BATCH.read_text(encoding="ascii")


def test_the_batch_file_is_one_that_cmd_reads() -> None:
    content = BATCH.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 20
    assert content.isascii()
    lines = content.decode("ascii").split("\r\n")
    code = [line for line in lines if not line.startswith(("rem ", "echo "))]
    assert "'" not in "".join(code), "cmd.exe knows no single quotes"
    labels = {line[1:] for line in lines if line.startswith(":")}
    jumps = set(re.findall(r"goto (\w+)", "\n".join(code)))
    assert jumps == labels
    assert all(line.count('"') % 2 == 0 for line in lines)
    assert all(re.match(r"[a-z@%\":]|$", line) for line in lines)
    # A label that is reached by running on must not follow an end, and what only a jump reaches must.
    for label in ("no_python", "failed"):
        before = lines[lines.index(f":{label}") - 2]
        assert before.startswith("exit /b"), label


def test_it_does_what_make_run_does() -> None:
    batch, make = BATCH.read_text(encoding="ascii"), (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "serve --open $(ARGS)" in make
    assert "serve --open %*" in batch
    assert "'.[mic]'" in make
    assert '--editable ".[mic]"' in batch


def test_git_keeps_its_line_endings() -> None:
    told = subprocess.run(
        ["git", "check-attr", "text", "start-windows.bat"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if told.returncode:
        pytest.skip("this is no clone")
    assert told.stdout.strip().endswith("text: unset")


def test_all_tests_that_need_torch_are_named() -> None:
    """Those that are left out where there is none, and only those."""
    imports = re.compile(r"^(import torch\b|from torch\b|torch = )", re.MULTILINE)
    found = {
        file.relative_to(TESTS).as_posix()
        for file in TESTS.rglob("test_*.py")
        if imports.search(file.read_text(encoding="utf-8")) and file.name != "test_workflow.py"
    }
    assert found == set(torch_tests.FILES)
    for name, tests in torch_tests.TESTS_IN_OTHERS.items():
        assert set(tests) <= set(torch_tests.functions(TESTS / name))
