"""FLAME in live frames: the fit where the camera leads, the map of the shapes where speech does, and in between."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.faces import head_of, seen_face, shapes_of
from support.program import serving
from support.trackers import ScriptedTracker

from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.recording.reader import open_session
from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.errors import CommandError
from facewire.bridge.shared.face import FaceState, SpeechTick
from facewire.bridge.wire.frame import FaceFrame, FlameParameters
from facewire.models.assets.store import asset_path
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD
from facewire.models.flame import open_flame
from facewire.models.flame.maps.arkit_map import ArkitToFlame
from facewire.models.flame.registration.lookup import correspondence_of
from facewire.models.flame.skin.skinning import Skinner
from facewire.runtime.cli import main
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.flame.blend import Excess, LiveFlame
from facewire.runtime.flame.person import AWAY_NS, CHANGE_NS, ChangeOver, Person
from facewire.runtime.flame.place import HeadInModel, head_in
from facewire.runtime.flame.vector import TURNS, FlameFilter, FlameVector
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.takes.recorder import Recorder

FRAME_NS = 33_333_333
IMAGE = np.zeros((480, 640, 3), np.uint8)
JAW, SMILE = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthSmileLeft")


class Talking:
    """Landmarks of the open head as it talks, with shapes that say something else: so the two can be told apart."""

    def __init__(self, seed: int | None = None) -> None:
        """Take the mean person, or one drawn at random."""
        self._on, self._skinner = correspondence_of(open_flame()), Skinner(open_flame())
        drawn = 0.0 if seed is None else np.random.default_rng(seed).normal(size=open_flame().shapes)
        self._shape = np.zeros(open_flame().shapes, np.float32) + np.float32(drawn)
        self._i = 0

    def next(self) -> FaceState:
        model, t = open_flame(), self._i / 30
        self._i += 1
        expression = (0.6 * np.sin(3 * t + np.arange(model.expressions))).astype(np.float32)
        pose = np.zeros(15, np.float32)
        pose[1], pose[6] = 0.2 * math.sin(t), 0.15 + 0.1 * math.sin(8 * t)
        place = np.array([0, 0, -0.6], np.float32)
        points = self._on.landmarks(self._skinner.skin(self._shape, expression, pose, place))
        focal_px = 240 / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD)
        depth = -points[:, 2]
        pixels = np.stack([320 + focal_px * points[:, 0] / depth, 240 - focal_px * points[:, 1] / depth, 0 * depth], 1)
        pixels[:, 2] = (depth - depth.mean()) * focal_px / depth.mean()
        seen = seen_at(pixels.astype(np.float32))
        seen.blendshapes[JAW], seen.blendshapes[SMILE] = 0.5 + 0.3 * math.sin(8 * t), 0.4
        return seen


def seen_at(landmarks: np.ndarray, blendshapes: np.ndarray | None = None, gaze: np.ndarray | None = None) -> FaceState:
    """Return a face whose eyes look a little aside, or where ``gaze`` says."""
    aside = np.array([0.1, 0.05, 0.08, 0.05], np.float32)
    return seen_face(
        0.95,
        shapes_of() if blendshapes is None else blendshapes,
        head_of(place_m=(0, 0, -0.6)),
        aside if gaze is None else gaze,
        landmarks,
    )


def forever() -> Iterator[FaceState]:
    talking = Talking()
    while True:
        yield talking.next()


@pytest.fixture(scope="module")
def live() -> LiveFlame:
    return LiveFlame(open_flame())


@pytest.fixture
def flame(live: LiveFlame) -> LiveFlame:
    """Set up once, as new each time."""
    live.fitter.reset()
    live._person, live._excess = Person(live.model, live.fitter), Excess(live.expressions)
    live.wanted = lambda: True
    return live


def run(
    flame: LiveFlame,
    seen: Iterator[FaceState | None],
    frames: int,
    hear: Callable[[int], SpeechTick | None] = lambda _: None,
    fusion: Fusion | None = None,
) -> list[FaceFrame]:
    unfiltered = FaceFilter(FilterConfig.preset("off"))
    pipeline = FacePipeline(lambda _: ScriptedTracker(seen), face_filter=unfiltered, fusion=fusion, flame=flame)
    made = []
    for i in range(frames):
        now_ns = 10**9 + i * FRAME_NS
        pipeline.take_speech(hear(now_ns))
        pipeline.track(IMAGE, now_ns)
        made.append(pipeline.finish(i, now_ns, now_ns, lambda: 0))
    return made


def values(flame: FlameParameters | None) -> np.ndarray:
    assert flame is not None
    return np.concatenate([flame.expression, flame.jaw, flame.eyes])


def mapped(frame: FaceFrame) -> np.ndarray:
    return np.concatenate(ArkitToFlame(open_flame()).step(frame.blendshapes, frame.gaze))


def spoken(now_ns: int, flame: np.ndarray | None = None) -> SpeechTick:
    shapes = np.zeros(52, np.float32)
    shapes[JAW] = 0.3 + 0.2 * math.sin(now_ns * 2e-8)
    return SpeechTick(shapes, 1.0, now_ns, now_ns, flame=flame)


def test_where_the_camera_leads_flame_is_the_fit(flame: LiveFlame) -> None:
    frame = run(flame, forever(), 40)[-1]
    fit = flame.fitter.last
    assert frame.sources == "video"
    np.testing.assert_allclose(values(frame.flame), np.concatenate([fit.expression, fit.jaw, fit.eyes]), atol=1e-5)
    assert not frame.flame.neck.any()
    assert np.abs(values(frame.flame) - mapped(frame)).max() > 0.2, "the shapes say something else here"


def test_where_speech_leads_flame_is_the_same_face_as_the_shapes(flame: LiveFlame) -> None:
    frames = run(flame, forever(), 60, spoken, Fusion("mouth"))
    assert frames[-1].sources == "both"
    np.testing.assert_allclose(values(frames[-1].flame), mapped(frames[-1]), atol=2e-4)


def test_the_lead_changes_hands_without_a_jump(flame: LiveFlame) -> None:
    """The camera goes blind while somebody speaks, and sees again: no frame is far from the one before."""
    talking = Talking()
    seen = (talking.next() if i < 60 or i >= 120 else None for i in range(200))
    track = np.array([values(frame.flame) for frame in run(flame, seen, 200, spoken)])
    steps = np.abs(np.diff(track, axis=0)).max(1)
    usual = np.percentile(steps[30:55], 95)
    assert np.abs(track[150:] - track[90]).max() > 3 * usual, "the two faces differ"
    assert steps[56:].max() < 3 * usual


def test_an_eye_that_nobody_sees_looks_as_the_gaze_says(flame: LiveFlame) -> None:
    frames = run(flame, iter([None] * 200), 200, spoken)
    assert frames[-1].sources == "audio"
    np.testing.assert_allclose(values(frames[-1].flame), mapped(frames[-1]), atol=2e-4)
    assert np.ptp([frame.flame.eyes for frame in frames if frame.flame], axis=0).max() > 0.005, "idle eyes move"


def test_a_phone_gives_no_landmarks_so_it_is_the_map(flame: LiveFlame) -> None:
    unfiltered = FaceFilter(FilterConfig.preset("off"))
    pipeline = FacePipeline(lambda _: ScriptedTracker(forever()), face_filter=unfiltered, flame=flame)
    for i in range(40):
        pipeline.track(IMAGE, i * FRAME_NS)
    seen = Talking().next()
    pipeline.follow(seen_face(1.0, seen.blendshapes, seen.head, seen.gaze), 40 * FRAME_NS)
    frame = pipeline.finish(0, 0, 40 * FRAME_NS, lambda: 0)
    np.testing.assert_allclose(values(frame.flame), mapped(frame), atol=2e-4)


def test_landmarks_that_are_no_face_leave_what_the_fit_knew_of_the_face(flame: LiveFlame) -> None:
    talking, noise = Talking(), np.random.default_rng(0).uniform(0, 400, (478, 3)).astype(np.float32)
    good = [talking.next() for _ in range(40)]
    bad = seen_at(noise, blendshapes=good[-1].blendshapes, gaze=good[-1].gaze)
    before, after = run(flame, iter([*good, bad]), 41)[-2:]
    assert flame.fitter.last.confidence == 0.0
    assert flame.state()["flame"]["confidence"] == 0.0
    np.testing.assert_allclose(values(after.flame), values(before.flame), atol=2e-3)


def test_nothing_is_computed_while_nobody_wants_it(flame: LiveFlame) -> None:
    flame.wanted = lambda: False
    assert all(frame.flame is None for frame in run(flame, forever(), 10))
    assert flame.fitter.learned == 0.0
    flame.wanted = lambda: True
    assert run(flame, forever(), 1)[0].flame is not None


def test_speech_that_knows_flame_is_taken_at_its_word(flame: LiveFlame) -> None:
    """A published FaceFormer gives expression and jaw of its own beside the shapes."""
    known = np.linspace(-1, 1, flame.expressions + 3).astype(np.float32) * 0.3
    frames = run(flame, iter([None] * 90), 90, lambda now_ns: spoken(now_ns, known), Fusion("microphone"))
    # The idle lids are the shapes' alone: what the map says of the frame beyond what it says of the tick.
    of_tick = ArkitToFlame(open_flame()).step(spoken(frames[-1].capture_ns).blendshapes, np.zeros(4, np.float32))
    lids = mapped(frames[-1]) - np.concatenate(of_tick)
    np.testing.assert_allclose(values(frames[-1].flame)[:-6], known + lids[:-6], atol=0.02)


def test_noise_is_calmed_and_motion_passes() -> None:
    rng, config = np.random.default_rng(2), FilterConfig()
    calm, quick, off = FlameFilter(3), FlameFilter(3), FlameFilter(3)
    out = np.zeros(3 + TURNS, np.float32)
    still, moved = [], []
    level = np.array([0.05] * 3 + [0.005] * TURNS)
    for i in range(200):
        noise = rng.normal(0, level).astype(np.float32)
        calm.step(noise, config, i * FRAME_NS, out)
        still.append(out.copy())
        sure = np.full(3 + TURNS, 2.0 if i >= 100 else 0.0, np.float32)
        sure[3:] *= 0.2
        quick.step(sure, config, i * FRAME_NS, out)
        moved.append(out.copy())
        off.step(noise, FilterConfig.preset("off"), i * FRAME_NS, out)
        np.testing.assert_allclose(out, noise, atol=1e-6)
    assert (np.std(still[50:], axis=0) < 0.6 * level).all()
    assert np.abs(moved[104] - sure).max() < 0.1 * 2.0, "after five frames"


def test_a_take_says_whose_face_it_is(flame: LiveFlame, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mcap", SessionMetadata(0, 0), flame=flame.person)
    recorder.start()
    for frame in run(flame, forever(), 110):
        recorder.offer_frame(frame)
    with open_session(recorder.stop()) as session:
        person = json.loads(session.end["flame"])
        assert next(session.frames())[1].flame is not None
    assert person["digest"] == open_flame().digest
    assert person["learned"] == 1.0
    np.testing.assert_allclose(person["shape"], flame.fitter.last.shape, atol=1e-4)


def faces(talking: Talking, count: int) -> list[FaceState]:
    return [talking.next() for _ in range(count)]


AWAY = AWAY_NS // FRAME_NS + 1
"""Frames without a face after which the next may be another's."""


def test_another_person_is_learned_as_if_they_had_come_first(flame: LiveFlame) -> None:
    second = faces(Talking(2), 120)
    alone = values(run(flame, iter(second), 120)[-1].flame)
    shape = flame.fitter.last.shape.copy()
    flame.fitter.reset()
    flame._person = Person(flame.model, flame.fitter)
    after = run(flame, iter([*faces(Talking(1), 90), *[None] * AWAY, *second]), 210 + AWAY)
    np.testing.assert_allclose(flame.fitter.last.shape, shape, atol=1e-6)
    np.testing.assert_allclose(values(after[-1].flame), alone, atol=2e-3)
    track = np.array([values(frame.flame) for frame in after])
    steps = np.abs(np.diff(track, axis=0)).max(1)
    assert steps[90:].max() < 2.5 * steps[30:85].max(), "no frame jumps"


def test_who_is_gone_for_a_moment_is_the_same_person(flame: LiveFlame) -> None:
    person = Talking(1)
    run(flame, iter([*faces(person, 100), *[None] * (AWAY - 3), *faces(person, 2)]), 99 + AWAY)
    assert flame.fitter.learned == 1.0
    assert flame.state()["flame"]["shape"] is not None


def test_a_take_says_who_was_learned_last(flame: LiveFlame) -> None:
    first, second = faces(Talking(1), 90), faces(Talking(2), 90)
    run(flame, iter(first), 90)
    known = flame.person()
    run(flame, iter([*first, *[None] * AWAY, *second[:10]]), 100 + AWAY)
    assert flame.state()["flame"]["shape"] is None
    assert 0.0 < flame.state()["flame"]["learned"] < 1.0
    assert flame.person()["learned"] == 1.0
    np.testing.assert_allclose(flame.person()["shape"], known["shape"], atol=0.3)
    run(flame, iter(second), 90)
    assert np.abs(np.subtract(flame.person()["shape"], known["shape"])).max() > 1.0


def test_a_command_has_the_person_learned_anew_without_a_jump(flame: LiveFlame) -> None:
    with pytest.raises(CommandError, match="accepts no arguments"):
        flame.commands["flame_reset"]({"now": True})
    first, second = Talking(1), Talking(2)

    def swapped() -> Iterator[FaceState]:
        yield from faces(first, 90)
        flame.commands["flame_reset"]({})
        second._i = first._i  # their shapes go on: only who it is changes
        yield from faces(second, 90)

    frames = run(flame, swapped(), 180)
    shape = flame.fitter.last.shape.copy()
    flame.fitter.reset()
    second._i = first._i
    run(flame, iter(faces(second, 90)), 90)
    np.testing.assert_allclose(shape, flame.fitter.last.shape, atol=1e-6)
    steps = np.abs(np.diff([values(frame.flame) for frame in frames], axis=0)).max(1)
    assert steps[88:].max() < 2.5 * steps[30:85].max()


def test_a_head_is_placed_in_the_model(flame: LiveFlame) -> None:
    with np.load(asset_path("face_geometry")) as geometry:
        canonical = 0.01 * geometry["vertices"].astype(np.float64)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    rest = 1.2 * canonical @ turn.T + [0.1, 0.2, 0.3]
    upright = np.array([0, 0, math.sqrt(0.5), math.sqrt(0.5), 0.1, 0.2, 0.3, 1.2])
    np.testing.assert_allclose(head_in(rest), upright, atol=1e-5)
    assert head_in(flame.fitter.rest)[3] > 0.99, "the open head looks the same way as the canonical face"
    # What is measured counts more: a fit that stands a little askew of where the canonical face says.
    place, root, rng = HeadInModel(), np.array([0.0, -0.1, 0.02]), np.random.default_rng(0)
    np.testing.assert_allclose(place.placed(rest), upright, atol=1e-5)
    askew, shift = np.array([0.05, 0.0, 0.0]), np.array([0.01, 0.02, -0.03])
    for _ in range(100):
        nod, away = rng.uniform(-0.3, 0.3), rng.uniform(-0.1, 0.1, 3) - [0, 0, 0.6]
        head = np.array([math.sin(nod / 2), 0, 0, math.cos(nod / 2), *away], np.float32)
        fitted = np.array([nod - askew[0], 0, 0], np.float32)
        turned = cv2.Rodrigues(fitted.astype(np.float64))[0]
        translation = 1.2 * away - turned @ shift + turned @ root - root
        place.look(head, fitted, translation.astype(np.float32), root)
    wanted = [math.sin(askew[0] / 2), 0, 0, math.cos(askew[0] / 2), *shift, 1.2]
    np.testing.assert_allclose(place.placed(rest), wanted, atol=1e-5)


@pytest.mark.models
def test_bake_writes_the_names_that_flame_tools_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, clip = cv2.VideoCapture(str(asset_path("talking_face"))), tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (720, 576))
    for _ in range(40):
        writer.write(source.read()[1])
    writer.release()
    assert main(["bake", str(clip), "-o", str(tmp_path / "a.npz"), "--mesh", "attention", "--flame"]) == 0
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        shapes = {name: arrays[name].shape for name in ("expression", "jaw_pose", "neck_pose", "eye_pose", "shape",
                                                        "global_orient", "transl")}  # fmt: skip
        assert str(arrays["flame_digest"]) == open_flame().digest
        assert np.ptp(arrays["expression"], axis=0).max() > 0.3
        assert -1.5 < arrays["transl"][:, 2].mean() < -0.2
    assert shapes == {"expression": (40, 50), "jaw_pose": (40, 3), "neck_pose": (40, 3), "eye_pose": (40, 6),
                      "shape": (80,), "global_orient": (40, 3), "transl": (40, 3)}  # fmt: skip
    capsys.readouterr()
    np.savez(tmp_path / "smpl.npz", v_template=np.zeros((6890, 3)))
    for output, name, says in (
        ("b.csv", "open", "has no place for it"),
        ("b.npz", "missing.pkl", "missing.pkl does not exist: check the name"),
        ("b.npz", "smpl.npz", "is not a FLAME model that can be used"),
    ):
        named = name if name == "open" else str(tmp_path / name)
        assert main(["bake", str(clip), "-o", str(tmp_path / output), "--flame", named]) != 0
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1
        assert not (tmp_path / output).exists()


@pytest.mark.models
def test_serve_announces_and_streams_flame_and_gives_the_panel_its_head() -> None:
    options = ["--video", "demo", "--audio", "none", "--mesh", "attention", "--flame"]
    with serving(*options) as (_, said):
        assert said["flame"] == "the open head"
        with connect_blocking(said["stream"], streams=["flame"], timeout_s=120) as client:
            frame = next(frame for frame in client if frame.flame is not None)
            hello = client.client.hello
            client.command("flame_reset")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(said["open"] + "flame.bin", timeout=60) as answer:
            assert len(answer.read()) > 1_000_000
    assert "flame" in hello["streams"]
    assert hello["flame"] == {"model": "open_flame", "digest": open_flame().digest, "expressions": 50, "shapes": 80}
    assert len(frame.flame.expression) == 50


def test_the_parts_of_a_vector_are_views_of_it_and_a_frame_gets_its_own() -> None:
    vector = FlameVector(4)
    vector.put(np.arange(1.0, 9.0), np.full(3, 10.0), np.full(6, 20.0))
    np.testing.assert_array_equal(vector.values, [1, 2, 3, 4, *[10] * 3, *[20] * 6])
    made = vector.parameters()
    vector.values[:] = 0.0
    np.testing.assert_array_equal(values(made), [1, 2, 3, 4, *[10] * 3, *[20] * 6])
    assert not made.neck.any()


def test_a_change_over_begins_where_it_was_and_ends_where_it_goes() -> None:
    change, track = ChangeOver(1), []
    now = np.full(1, 3.0, np.float32)
    for i in range(60):
        now_ns = i * FRAME_NS
        if i == 20:
            change.begin()
        change.mark(now, now_ns)
        now[:] = 3.0 if i < 20 else 7.0
        change.ease(now, now_ns)
        track.append(float(now[0]))
    assert track[:21] == [3.0] * 21
    assert max(np.diff(track)) < 0.5
    assert track[20 + CHANGE_NS // FRAME_NS + 1 :] == [7.0] * (60 - 21 - CHANGE_NS // FRAME_NS)
