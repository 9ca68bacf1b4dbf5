"""What tests themselves lean on."""

from __future__ import annotations

import ast

import pytest
from support.paths import TESTS
from support.waiting import wait_until


def test_waiting_ends_as_soon_as_it_is_so_and_does_what_it_is_told_meanwhile() -> None:
    steps: list[int] = []
    wait_until(lambda: len(steps) == 3, meanwhile=lambda: steps.append(0))
    assert len(steps) == 3


def test_waiting_in_vain_says_for_what() -> None:
    never = False
    with pytest.raises(AssertionError, match=r"waited 0 s in vain for: .*lambda: never"):
        wait_until(lambda: never, timeout_s=0)
    with pytest.raises(AssertionError, match="in vain for: a close code"):
        wait_until(bool, what="a close code", timeout_s=0)
    with pytest.raises(AssertionError, match=r"in vain for: str\.isdigit"):
        wait_until("no".isdigit, timeout_s=0)


def test_no_thread_of_a_test_outlives_the_run() -> None:
    """One that waits for what never comes, because its test has failed, would keep Python from ending."""
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("threading.Thread", "Thread"):
                daemon = [word.value for word in node.keywords if word.arg == "daemon"]
                if not daemon or ast.unparse(daemon[0]) != "True":
                    found.append(f"{path.relative_to(TESTS)}:{node.lineno}")
    assert found == []
