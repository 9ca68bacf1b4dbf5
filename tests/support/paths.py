"""Where things lie, so that a test may move without counting folders, and the scripts among them as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
GOLDEN = TESTS / "golden"


def load_module(path: Path) -> ModuleType:
    """Return the module that a file of the tests holds, run again; its name is its path's."""
    spec = importlib.util.spec_from_file_location("_".join(path.relative_to(TESTS).with_suffix("").parts), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up.
    spec.loader.exec_module(module)
    return module
