"""Videos that are to be shown turned or mirrored: what is tracked lies as a player shows it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.file_end import is_mirrored
from facewire.runtime.capture.video.source import CapturedImage

WIDTH, HEIGHT = 64, 48
Picture = npt.NDArray[np.uint8]
Matrix = tuple[int, int, int, int]
WAYS = [(turn_deg, flips) for turn_deg in (0, 90, 180, 270) for flips in ((0, 0), (1, 0), (0, 1))]


def four_greys() -> Picture:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[: HEIGHT // 2, : WIDTH // 2], picture[: HEIGHT // 2, WIDTH // 2 :] = 250, 120
    picture[HEIGHT // 2 :, : WIDTH // 2] = 60
    return picture


def write(path: Path, turn_deg: int, flips: tuple[int, int]) -> Matrix:
    """Write a video with a display matrix; return that, as FFmpeg reads it from the file."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.set_display_rotation(turn_deg, hflip=bool(flips[0]), vflip=bool(flips[1]))
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(four_greys(), "bgr24").reformat(format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        found = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
    if found is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack("<5i", bytes(found)[:20])
    return a >> 16, b >> 16, c >> 16, d >> 16


def shown(picture: Picture, matrix: Matrix) -> Picture:
    """Return what a player shows: the pixel at x, y goes to a x + c y, b x + d y."""
    a, b, c, d = matrix
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    lying = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
    lying[down, right] = picture
    return lying


def assert_shows(path: Path, expected: Picture) -> None:
    source, spare = FileSource(path, paced=False), None
    source.open()
    for _ in range(3):  # the later ones are written over the one before
        captured = source.read(spare)
        assert isinstance(captured, CapturedImage)
        spare = captured.image
        assert spare.shape == expected.shape
        assert np.abs(spare.astype(int) - expected).mean() < 10
    source.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize(("turn_deg", "flips"), WAYS)
def test_a_display_matrix_is_followed(tmp_path: Path, name: str, turn_deg: int, flips: tuple[int, int]) -> None:
    matrix = write(tmp_path / name, turn_deg, flips)
    assert is_mirrored(tmp_path / name) == (matrix[0] * matrix[3] - matrix[1] * matrix[2] < 0) == any(flips)
    assert_shows(tmp_path / name, shown(four_greys(), matrix))


@pytest.mark.parametrize("mirrored", [(1, 0, 0, 1), (-1, 0, 0, 1)])
def test_a_movie_s_own_matrix_counts_too(tmp_path: Path, mirrored: Matrix) -> None:
    """The file's left to right, on top of the track's upside down."""
    path = tmp_path / "a.mp4"
    own = write(path, 0, (0, 1))
    content = bytearray(path.read_bytes())
    at = content.index(b"mvhd") + 4 + 36
    a, b, c, d = (value << 16 for value in mirrored)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    assert_shows(path, shown(shown(four_greys(), own), mirrored))


def test_a_file_without_structure_is_not_mirrored(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 0, (1, 0))
    write(tmp_path / "a.mkv", 0, (1, 0))
    dice = np.random.default_rng(1)
    for path in (tmp_path / "a.mp4", tmp_path / "a.mkv"):
        whole = path.read_bytes()
        assert is_mirrored(path)
        for _ in range(300):
            content = bytearray(whole[: int(dice.integers(8, len(whole)))])
            for place in dice.integers(0, len(content), 4):
                content[place] = int(dice.integers(256))
            path.write_bytes(content)
            assert is_mirrored(path) in (True, False)
    assert not is_mirrored(tmp_path / "not there.mp4")
    cv2.imwrite(str(tmp_path / "a.png"), four_greys())
    assert not is_mirrored(tmp_path / "a.png")
