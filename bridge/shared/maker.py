"""How a registry's entry names what makes it, without importing it: ``package.module:attribute``."""

from __future__ import annotations

import importlib
from typing import Any


def find_maker(where: str) -> Any:
    """Import the module of ``package.module:attribute`` and return the attribute."""
    module, _, attribute = where.partition(":")
    return getattr(importlib.import_module(module), attribute)
