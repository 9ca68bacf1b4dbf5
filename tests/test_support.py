"""What tests themselves lean on."""

from __future__ import annotations

import pytest
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
