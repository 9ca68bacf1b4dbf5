"""``facewire flame register`` and ``maps``: a user's file is registered once, drawn, and said how well it went."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.flame.heads import without_inner_parts

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.flame import FlameModel, open_flame
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.runtime.cli import main
from facewire.runtime.flame.picture import FRAME, HEADER, HEIGHT, MARGIN, render_registration

pytestmark = pytest.mark.models


def write(model: FlameModel, path: Path) -> None:
    """Write a file in FLAME's format."""
    np.savez(
        path,
        v_template=model.template,
        f=model.triangles,
        shapedirs=np.concatenate([model.shape_basis, model.expression_basis], axis=2),
        shape_count=model.shapes,
        posedirs=model.pose_basis,
        J_regressor=model.joint_regressor,
        kintree_table=np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
        weights=model.weights,
    )


def test_a_users_file_is_registered_kept_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("facewire.models.flame.kept.cache_folder", lambda: tmp_path / "cache")
    file, picture = tmp_path / "mine.npz", tmp_path / "mine.png"
    write(without_inner_parts(open_flame(), seed=2)[0], file)
    assert main(["flame", "register", str(file), "-o", str(picture)]) == 0
    out = capsys.readouterr().out
    mean, p95, most = map(float, re.findall(r"landmarks, off the skin: mean (.*) mm, p95 (.*) mm, max (.*) mm", out)[0])
    assert 0 <= mean <= p95 <= most < 2
    assert re.search(r"shapes, missing: mean 0\.\d\d mm .*most of \w+, \d\.\d\d mm", out)
    assert cv2.imread(str(picture)).shape[0] > HEIGHT
    assert len(list((tmp_path / "cache" / "flame").glob("*.npz"))) == 2
    # What is kept is used: nothing is made again.
    monkeypatch.setattr("facewire.models.flame.registration.registration.register", None)
    monkeypatch.setattr("facewire.models.flame.registration.carry.carry", None)
    assert main(["flame", "maps", str(file)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:53]] == list(BLENDSHAPES)
    assert "nothing" in rows[52]
    assert main(["flame", "register", str(file), "-o", str(picture)]) == 2
    assert "--force" in capsys.readouterr().err


def test_the_open_head_is_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flame", "register", "-o", str(tmp_path / "open.png")]) == 0
    assert "mean 0.0" in capsys.readouterr().out
    assert main(["flame", "maps"]) == 0
    rows = capsys.readouterr().out.splitlines()
    jaw = rows[1 + BLENDSHAPES.index("jawOpen")].split()
    assert 15 < float(jaw[4]) < 25
    assert float(jaw[5]) < 0.02


def test_landmarks_are_compared_with_flames_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, numbers = correspondence_of(open_flame()), np.arange(0, 468, 5)
    theirs = {"lmk_face_idx": known.triangle[numbers], "lmk_b_coords": known.barycentric[numbers].copy()}
    np.savez(tmp_path / "numbered.npz", **theirs, landmark_indices=numbers)
    np.savez(tmp_path / "shifted.npz", **theirs, landmark_indices=np.roll(numbers, 1))
    np.savez(tmp_path / "plain.npz", **theirs)
    arguments = ["flame", "register", "-o", str(tmp_path / "open.png"), "--force", "--compare"]
    assert main([*arguments, str(tmp_path / "numbered.npz")]) == 0
    assert "landmarks, off numbered.npz's: mean 0.0 mm, max 0.0 mm" in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "shifted.npz")]) == 0
    mean = re.search(r"shifted.npz's: mean (\d+\.\d) mm", capsys.readouterr().out)
    assert mean is not None
    assert float(mean[1]) > 10
    assert main([*arguments, str(tmp_path / "plain.npz")]) == 2
    assert "which of MediaPipe's" in capsys.readouterr().err


def test_landmarks_are_drawn_where_they_lie_in_the_colour_of_their_residual() -> None:
    model = open_flame()
    found = correspondence_of(model)
    image = cv2.imdecode(np.frombuffer(render_registration(model, found), np.uint8), cv2.IMREAD_COLOR)
    places = found.landmarks(model.template)
    low, high = places.min(0), places.max(0)
    pixel = (high[1] - low[1]) * (1 + 2 * FRAME) / HEIGHT
    margin = FRAME * (high[1] - low[1])
    for number in (4, 50, 151, 280):  # The nose, both cheeks, the forehead: seen from the front.
        row = HEADER + (high[1] + margin - places[number, 1]) / pixel
        column = MARGIN + (places[number, 0] - low[0] + margin) / pixel
        around = (
            image[round(row) - 2 : round(row) + 3, round(column) - 2 : round(column) + 3].reshape(-1, 3).astype(int)
        )
        assert np.ptp(around, axis=1).max() > 30, number  # Skin is drawn grey.


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["register", "{}/no.pkl"], 2, "no.pkl does not exist"),
        (["register", "{}/text.npz"], 1, "is not a FLAME model that can be used"),
        (["maps", "{}/text.npz"], 1, "is not a FLAME model that can be used"),
        (["register", "-o", "{}/a.jpg"], 2, "name the output *.png"),
        (["register", "-o", "{}/nowhere/a.png"], 2, "does not exist"),
        (["register", "--force"], 2, "name it with -o"),
        (["register", "{}/ball.npz", "-o", "{}/a.png"], 1, "is it a FLAME model?"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    if "ball" in arguments[1]:
        ball = open_flame().template - open_flame().template.mean(0)
        ball *= 0.1 / np.linalg.norm(ball, axis=1, keepdims=True)
        write(dataclasses.replace(open_flame(), template=ball), tmp_path / "ball.npz")
    assert main(["flame", *(argument.format(tmp_path) for argument in arguments)]) == status
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("facewire: error:")]
    assert len(error) == 1
    assert says in error[0]
    assert not (tmp_path / "a.png").exists()
