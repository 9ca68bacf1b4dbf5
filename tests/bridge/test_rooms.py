"""What importing a part of the bridge loads, and what the bridge exports."""

from __future__ import annotations

import subprocess
import sys

import pytest

import facewire.bridge


def loaded_after(statement: str) -> set[str]:
    """Return the modules of Facewire that a fresh interpreter has loaded after ``statement``."""
    code = f"import sys\n{statement}\nprint(*[name for name in sys.modules if name.startswith('facewire.')])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(printed.split())


def test_the_client_loads_nothing_of_the_server() -> None:
    loaded = loaded_after("import facewire.bridge.client.client, facewire.bridge.client.blocking")
    assert "facewire.bridge.client.client" in loaded
    assert not [name for name in loaded if name.startswith("facewire.bridge.server")]


@pytest.mark.parametrize("room", ["recording.reader", "recording.writer", "outputs.runner", "export.formats"])
def test_files_and_outputs_load_neither_server_nor_client(room: str) -> None:
    loaded = loaded_after(f"import facewire.bridge.{room}")
    assert not [name for name in loaded if name.startswith(("facewire.bridge.server", "facewire.bridge.client"))]


def test_importing_the_bridge_loads_only_its_errors() -> None:
    assert loaded_after("import facewire.bridge") == {
        "facewire.bridge",
        "facewire.bridge.shared",
        "facewire.bridge.shared.errors",
    }


@pytest.mark.parametrize("name", facewire.bridge.__all__)
def test_all_that_the_bridge_exports_can_be_imported_from_it(name: str) -> None:
    assert getattr(facewire.bridge, name) is not None


def test_the_bridge_exports_what_it_did() -> None:
    """Other programs import these; names may be added."""
    assert set(facewire.bridge.__all__) >= {
        "BLENDSHAPES", "BLENDSHAPE_INDEX", "BlockingClient", "Client", "CommandError", "ConnectError", "Encoder",
        "FaceFrame", "FacewireError", "FlameParameters", "Greeting", "LiveServer", "ServeError", "ServerConfig",
        "WireError", "connect", "connect_blocking", "decode_frame", "decode_message",
    }  # fmt: skip
