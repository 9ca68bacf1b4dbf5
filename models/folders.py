"""Where this user's files are kept: what was fetched, and what was compiled."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "FACEWIRE_CACHE"


def cache_folder() -> Path:
    """Return platformdirs' user cache folder for "facewire", or the folder in FACEWIRE_CACHE."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache()


def user_cache() -> Path:
    """Return platformdirs' user cache folder for "facewire". It is not absolute where the user has no home."""
    return Path(platformdirs.user_cache_dir("facewire", appauthor=False))
