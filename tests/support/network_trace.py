"""What a program looks up and whom it sends to, noted below Python: by a library that is loaded before all others."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.paths import TESTS

from facewire.models.assets.store import cache_folder

SOURCE = TESTS / "support" / "network_trace.c"
VENDORS = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "DO_NOT_TRACK"}
"""What would keep a library silent that is not silenced: a user's environment has none of these."""


def build(folder: Path) -> Path:
    """Compile the library; gcc is among the packages of ``.ci/system-packages``."""
    library = folder / "network_trace.so"
    subprocess.run(["gcc", "-Wall", "-Werror", "-O1", "-fPIC", "-shared", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@dataclass(frozen=True, slots=True)
class Watched:
    """A home that nobody has used, and what was noted of the programs that ran in it."""

    home: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return that of a user who has just installed us, but for the models, which were fetched before."""
        kept = {
            name: value for name, value in os.environ.items() if name not in VENDORS and name[:3] not in ("HF_", "XDG")
        }
        own = {"HOME": self.home, "FACEWIRE_CACHE": cache_folder(), "LD_PRELOAD": self.library}
        return {**kept, **{name: str(value) for name, value in own.items()}, "FACEWIRE_TRACE": str(self._trace)}

    @property
    def calls(self) -> set[str]:
        """What was noted, such as "lookup example.org" or "connect 127.0.0.1"."""
        text = self._trace.read_text(encoding="utf-8") if self._trace.exists() else ""
        return {line.rpartition(" ")[0] for line in text.splitlines()}

    @property
    def foreign_calls(self) -> set[str]:
        """What was noted of other machines."""
        return {call for call in self.calls if call.split()[1] not in ("127.0.0.1", "::1", "localhost", "-")}

    @property
    def files(self) -> set[str]:
        """The files in the home, but for what PulseAudio's library writes."""
        found = {path.relative_to(self.home).as_posix() for path in self.home.rglob("*") if path.is_file()}
        return {name for name in found if not name.startswith(".config/pulse")}

    @property
    def _trace(self) -> Path:
        return self.home.with_suffix(".calls")
