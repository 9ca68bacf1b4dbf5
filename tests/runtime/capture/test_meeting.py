"""A video's pictures and its sound, played beside each other: they begin at one moment, in each round."""

import threading
import time

import numpy as np
import pytest

from facewire.runtime.capture.sound.sound_file import SoundFile
from facewire.runtime.capture.video.file import FileSource
from facewire.runtime.capture.video.meeting import Meeting
from facewire.runtime.session.inputs import keep_together
from facewire.runtime.sound.blocks import SoundRing
from tests.support.media import make_media


def listen(sound, out):
    ring = SoundRing()
    sound.open(ring)
    while sound.pump():
        while (block := ring.take(0)) is not None:
            if np.abs(block.samples).max() > 0.45 and (not out or block.start_ns - out[-1] > 5e8):
                out.append(block.start_ns + int(np.argmax(np.abs(block.samples) > 0.45)) * 10**9 // block.rate)
    sound.close()


@pytest.mark.parametrize("loop", [False, True])
def test_pictures_that_open_late_are_waited_for_and_each_round_begins_together(tmp_path, loop):
    path = make_media(tmp_path / "a.mkv", sound="pcm_s16le", sound_starts_s=0.3, count=60)
    source, sound = FileSource(path, paced=True, loop=loop), SoundFile(path, loop=loop)
    keep_together(source, sound)
    clicks_ns, flashes_ns, dark = [], [], True
    thread = threading.Thread(target=listen, args=(sound, clicks_ns), daemon=True)
    thread.start()
    time.sleep(0.4)  # as networks load
    source.open()
    while len(flashes_ns) < (2 if loop else 1) and (captured := source.read()) is not None:
        if dark and captured.image.mean() > 128:
            flashes_ns.append(captured.capture_ns)
        dark = captured.image.mean() < 128
    time.sleep(0.1)
    sound.interrupt()
    source.close()
    thread.join(20)
    assert not thread.is_alive()
    assert len(clicks_ns) == len(flashes_ns) == (2 if loop else 1)
    # A picture may be late on a busy machine, and never is early; the sound's stamps are exact.
    for click_ns, flash_ns in zip(clicks_ns, flashes_ns, strict=True):
        assert -0.002 < (flash_ns - click_ns) * 1e-9 < 0.25


def test_who_leaves_is_not_waited_for():
    meeting, never = Meeting(each_round=True), threading.Event()
    starts = []
    thread = threading.Thread(target=lambda: starts.append(meeting.meet(never, lambda: 7)), daemon=True)
    thread.start()
    meeting.leave()
    thread.join(20)
    assert starts == [7]
    assert meeting.meet(never, lambda: 8) == 8


def test_an_interrupt_ends_the_waiting():
    meeting, interrupted = Meeting(each_round=True), threading.Event()
    thread = threading.Thread(target=meeting.meet, args=(interrupted, lambda: 7), daemon=True)
    thread.start()
    interrupted.set()
    thread.join(20)
    assert not thread.is_alive()


def test_a_file_that_cannot_be_opened_frees_the_other(tmp_path):
    path = make_media(tmp_path / "a.wav", None, "pcm_s16le")
    (tmp_path / "b.mp4").write_text("no video")
    source, sound = FileSource(tmp_path / "b.mp4", paced=True), SoundFile(path)
    keep_together(source, sound)
    thread = threading.Thread(target=sound.open, args=(SoundRing(),), daemon=True)
    thread.start()
    with pytest.raises(Exception, match="not a video"):
        source.open()
    source.close()
    thread.join(20)
    assert not thread.is_alive()
    sound.close()
