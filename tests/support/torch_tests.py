"""The tests that need torch, by name, for runs without it (``FACEWIRE_TESTS=without-torch``, ``make test TORCH=``).

They are deselected and counted, not skipped: what is missing is known beforehand, and in CI a skip is a failure.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from support.paths import TESTS

WANTED = os.environ.get("FACEWIRE_TESTS", "") == "without-torch"
FILES = (
    "models/flame/test_skinning.py",
    "models/speech/test_faceformer.py",
    "models/speech/test_published.py",
    "models/speech/test_training.py",
    "models/speech/test_wav2vec.py",
)
TESTS_IN_OTHERS = {
    "runtime/cli/test_cli_train.py": (
        "test_without_texts_it_says_what_to_install",
        "test_weights_to_tune_that_are_none_are_one_line",
        "test_the_shipped_weights_can_be_tuned",
    ),
    "test_nothing_is_sent.py": ("test_the_hub_is_asked_nothing_about_a_model_on_this_machine",),
}


def functions(file: Path) -> list[str]:
    """Return the names of a file's tests, without importing it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the files that import torch."""
    return True if WANTED and collection_path in [TESTS / name for name in FILES] else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the others by name."""
    if not WANTED:
        return
    named = {(TESTS / file, name) for file, names in TESTS_IN_OTHERS.items() for name in names}
    out = [item for item in items if (item.path, getattr(item, "originalname", item.name)) in named]
    items[:] = [item for item in items if item not in out]
    config.hook.pytest_deselected(items=out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what was left out."""
    if WANTED:
        whole = sum(len(functions(TESTS / name)) for name in FILES)
        others = sum(len(names) for names in TESTS_IN_OTHERS.values())
        terminalreporter.write_line(f"without torch: {whole} tests in {len(FILES)} files and {others} others left out")
