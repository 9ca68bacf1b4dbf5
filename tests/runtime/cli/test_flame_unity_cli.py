"""``facewire flame unity``: what it writes, and what it says if it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from facewire.models.flame import open_flame
from facewire.models.flame.packed import pack
from facewire.runtime.cli import main


def test_it_writes_the_open_head_or_a_part_of_it(tmp_path, capsys):
    out = tmp_path / "open.flame.bytes"
    assert main(["flame", "unity", "-o", str(out), "--expressions", "8"]) == 0
    assert out.read_bytes() == pack(open_flame(), 8)
    assert f"{len(open_flame().template)} vertices, 8 expressions" in capsys.readouterr().out
    assert main(["flame", "unity", "-o", str(out)]) == 2
    assert "use --force" in capsys.readouterr().err
    assert main(["flame", "unity", "-o", str(out), "--force", "--expressions", "0"]) == 0
    assert out.read_bytes() == pack(open_flame(), None)


@pytest.mark.parametrize("per_frame", [False, True])
def test_an_identity_of_a_take_is_folded_in(tmp_path, per_frame):
    shape = np.array([1.0, -2.0, 0.5], np.float32)
    stored = np.stack([0 * shape, shape]) if per_frame else shape
    np.savez(tmp_path / "take.npz", shape=stored, flame_model="open_flame", flame_digest=open_flame().digest)
    arguments = ["-o", str(tmp_path / "me.bytes"), "--identity", str(tmp_path / "take.npz"), "--expressions", "1"]
    assert main(["flame", "unity", *arguments]) == 0
    assert (tmp_path / "me.bytes").read_bytes() == pack(open_flame(), 1, shape)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["{}/no.pkl", "-o", "{}/a.bytes"], 2, "no.pkl does not exist"),
        (["{}/text.npz", "-o", "{}/a.bytes"], 1, "is not a FLAME model that can be used"),
        (["-o", "{}/a.obj"], 2, "name the output *.bytes"),
        (["-o", "{}/none/a.bytes"], 2, "does not exist"),
        (["-o", "{}/a.bytes", "--expressions", "-1"], 2, "or 0 for all"),
        (["-o", "{}/a.bytes", "--identity", "{}/text.npz"], 1, "has no `shape`"),
        (["-o", "{}/a.bytes", "--identity", "{}/empty.npz"], 1, "has no `shape`"),
        (["-o", "{}/a.bytes", "--identity", "{}/cut.npz"], 1, "has no `shape`"),
        (["-o", "{}/a.bytes", "--identity", "{}/nan.npz"], 1, "not made of numbers"),
        (["-o", "{}/a.bytes", "--identity", "{}/none.npz"], 1, "not made of numbers"),
        (["-o", "{}/a.bytes", "--identity", "{}/theirs.npz"], 1, "is one of 'flame2023': give the FLAME file"),
        (["-o", "{}/a.bytes", "--identity", "{}/long.npz"], 1, "an identity of [999] values does not fit"),
    ],
)
def test_what_it_cannot_write_is_one_line_and_leaves_nothing(tmp_path, capsys, arguments, status, says):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "nan.npz", shape=np.array([np.nan, 1.0]))
    np.savez(tmp_path / "none.npz", shape=np.zeros((0, 3)))
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes((tmp_path / "nan.npz").read_bytes()[:-40])
    np.savez(tmp_path / "theirs.npz", shape=np.zeros(3), flame_model="flame2023", flame_digest="1" * 64)
    np.savez(tmp_path / "long.npz", shape=np.zeros(999))
    assert main(["flame", "unity", *(argument.format(tmp_path) for argument in arguments)]) == status
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*a.*"))
