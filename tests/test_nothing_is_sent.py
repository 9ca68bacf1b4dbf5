"""No look-up, no connection and no file but our own: neither we nor a library of ours calls home.

ONNX Runtime has its makers told by default, from version 1.29 on; it looks their host up ten seconds after it starts.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from support.network_trace import Watched, build
from support.paths import ROOT
from support.program import FACEWIRE, addresses_of
from support.waiting import wait_until

from facewire.bridge import connect_blocking
from facewire.models.assets.store import asset_path

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the library that notes calls is written for Linux"),
    pytest.mark.models,
]

TELLS = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) >= (1, 29)
"""Whether this ONNX Runtime has its makers told: the newest one for Python 3.10 does not yet."""
DEVICE_ID = ".cache/Microsoft/DeveloperTools/.onnxruntime/deviceid"
SERVE = ["serve", "--video", "demo", "--audio", "demo", "--listen", "127.0.0.1:0", "--output", "vmc"]
TELLING = "import facewire.models, os; os.environ.pop('ORT_DISABLE_TELEMETRY')\n"
"""What a test of ours would have to find if the variable were not set."""
RUN = "import sys; from facewire.runtime.cli import main; sys.exit(main(sys.argv[1:]))"
Watch = Callable[[str], Watched]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("trace"))


@pytest.fixture
def watch(tmp_path: Path, library: Path) -> Watch:
    def make(name: str) -> Watched:
        (tmp_path / name).mkdir()
        return Watched(tmp_path / name, library)

    return make


def run(watched: Watched, *words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], env=watched.environment, cwd=watched.home, check=True)


def test_what_is_noted(watch: Watch) -> None:
    watched = watch("home")
    code = (
        "import socket\n"
        "try: socket.getaddrinfo('nobody.invalid', 1)\n"
        "except OSError: pass\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))\n"
    )
    run(watched, "-c", code)
    assert watched.calls == {"lookup nobody.invalid", "connect 192.0.2.1", "send 127.0.0.1"}
    assert watched.foreign_calls == {"lookup nobody.invalid", "connect 192.0.2.1"}


def test_serve_sends_to_nobody_but_its_own(watch: Watch) -> None:
    """Beside it runs one that is not silenced: once this one has looked its makers up, so would the other."""
    watched, telling = watch("home"), watch("telling")
    programs = []
    for of, command in ((watched, FACEWIRE), (telling, [sys.executable, "-c", TELLING + RUN])):
        words = [*command, *SERVE]
        pipe = subprocess.PIPE
        programs.append(subprocess.Popen(words, env=of.environment, cwd=of.home, stdout=pipe, text=True))
    try:
        addresses = [addresses_of(program) for program in programs]
        with connect_blocking(addresses[0]["stream"]) as client:
            frame = client.next_frame(300)
        if TELLS:
            wait_until(lambda: telling.foreign_calls, timeout_s=120)
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.communicate()
    assert frame is not None
    assert watched.calls == {"lookup 127.0.0.1", "connect 127.0.0.1"}  # the vmc output's
    assert watched.files == set()
    assert (DEVICE_ID in telling.files) is TELLS


@pytest.mark.parametrize("words", [["doctor"], ["models"]], ids=lambda words: words[0])
def test_commands_send_nothing(words: list[str], watch: Watch) -> None:
    watched, telling = watch("home"), watch("telling")
    subprocess.run([*FACEWIRE, *words], env=watched.environment, cwd=watched.home, check=False)
    assert watched.foreign_calls == set()
    assert watched.files == set()
    if words != ["models"]:  # it has no use for ONNX Runtime
        subprocess.run([sys.executable, "-c", TELLING + RUN, *words], env=telling.environment, check=False)
        assert (DEVICE_ID in telling.files) is TELLS


def test_bake_sends_nothing(watch: Watch) -> None:
    watched = watch("home")
    run(watched, *FACEWIRE[1:], "bake", asset_path("demo_speech"), "-o", watched.home.with_name("speech.csv"))
    run(watched, *FACEWIRE[1:], "bake", asset_path("talking_face"), "-o", watched.home.with_name("face.npz"))
    assert watched.calls == set()
    assert watched.files == set()


@pytest.mark.parametrize("set_to", ["0", ""], ids=["0", "empty"])
def test_a_program_of_ones_own_sends_nothing(set_to: str, watch: Watch) -> None:
    code = (
        "from facewire.models.assets.store import asset_path\n"
        "from facewire.models.sessions import create_session\n"
        "create_session(asset_path('face_blendshapes'))\n"
    )
    watched = watch("home")
    environment = {**watched.environment, "ORT_DISABLE_TELEMETRY": set_to}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=watched.home, check=True)
    assert watched.files == set()
    assert watched.calls == set()


def test_onnx_runtime_is_switched_off_if_it_was_there_before_us(watch: Watch) -> None:
    code = (
        "import onnxruntime\n"
        "switch, called = onnxruntime.disable_telemetry_events, []\n"
        "onnxruntime.disable_telemetry_events = lambda: called.append(switch())\n"
        "import facewire.models\n"
        "assert called == [None]\n"
    )
    run(watch("home"), "-c", code)


def test_the_hub_is_asked_nothing_about_a_model_on_this_machine(watch: Watch) -> None:
    """It was asked which AI agents there are, ``local_files_only`` or not."""
    pytest.importorskip("transformers")
    code = (
        "import facewire.models\n"
        "from transformers import AutoConfig\n"
        "try: AutoConfig.from_pretrained('nobody/none', local_files_only=True)\n"
        "except OSError: pass\n"
    )
    watched = watch("home")
    run(watched, "-c", code)
    assert watched.foreign_calls == set()


def test_what_calls_home_is_imported_in_models_alone() -> None:
    """Its ``__init__`` silences them."""
    for path in [*(ROOT / "runtime").rglob("*.py"), *(ROOT / "bridge").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in {"onnxruntime", "transformers", "huggingface_hub"}, path
