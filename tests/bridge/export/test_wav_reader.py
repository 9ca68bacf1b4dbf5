"""WAV files whose header is odd, damaged or not to be believed: right sound, or one line."""

import random
import struct
import tracemalloc

import numpy as np
import pytest

from facewire.bridge.export.wav import read_wav
from facewire.bridge.export.wav_reader import UnknownWavError, WavReader
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import AudioFormat

WANTED = np.round(8000 * np.sin(np.arange(4000) / 9)).astype(np.int16)


def wav(content=None, *, kind=1, channels=1, bits=16, rate=16_000, size=None, riff=None, mark=b"RIFF", after=b""):
    content = WANTED.tobytes() if content is None else content
    width = channels * ((bits + 7) // 8)
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data"
    chunks += struct.pack("<I", len(content) if size is None else size) + content + after
    return mark + struct.pack("<I", 4 + len(chunks) if riff is None else riff) + b"WAVE" + chunks


def tried(tmp_path, content):
    """Return what is read, or what is said."""
    try:
        return read(tmp_path, content)
    except SessionError as error:
        return str(error)


def read(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    return read_wav(path)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF])
def test_a_length_that_is_not_known_yet_means_the_rest(tmp_path, size, riff):
    np.testing.assert_array_equal(read(tmp_path, wav(size=size, riff=riff))[1][:, 0], WANTED)


def test_a_file_without_a_sample_has_none(tmp_path):
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    assert len(read(tmp_path, wav(b"", after=note))[1]) == 0
    assert len(read(tmp_path, wav(b""))[1]) == 0


def test_a_file_that_is_cut_says_so_and_a_streamed_one_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    for content, cut in ((wav()[:-101], True), (wav(size=0xFFFFFFFF), False), (wav(), False)):
        path.write_bytes(content)
        reader = WavReader(path)
        reader.close()
        assert reader.cut == cut


def test_a_length_that_ends_among_the_samples_is_not_believed(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, wav(size=200))[1][:, 0], WANTED)
    trailing = b"id3 " + struct.pack("<I", 6) + b"abcdef"
    np.testing.assert_array_equal(read(tmp_path, wav(after=trailing))[1][:, 0], WANTED)


def test_ten_channels_become_one(tmp_path):
    audio, samples = read(tmp_path, wav(np.repeat(WANTED[:, None], 10, axis=1).tobytes(), channels=10))
    assert audio == AudioFormat(16_000, 1)
    np.testing.assert_allclose(samples[:, 0], WANTED, atol=1)


@pytest.mark.parametrize(("kind", "ends"), [(6, (-32256, 32256)), (7, (-32124, 32124))])
def test_a_law_and_mu_law_are_g_711(tmp_path, kind, ends):
    _, samples = read(tmp_path, wav(bytes(range(256)), kind=kind, bits=8))
    assert (samples.min(), samples.max()) == ends
    assert len(set(samples[:, 0].tolist())) >= 255
    # ITU-T G.711: positive values have the upper bit set in A-law and clear, inverted, in µ-law.
    assert (samples[128:] > 0).all() if kind == 6 else (samples[:127] < 0).all()


@pytest.mark.parametrize("kind", [2, 0x11, 0x55])
def test_another_kind_is_left_to_another_reader(tmp_path, kind):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(kind=kind))
    with pytest.raises(UnknownWavError, match="cannot be read: save it as 16-bit PCM"):
        WavReader(path)


@pytest.mark.parametrize("bits", [0, 1, 7, 33, 64, 65_535])
@pytest.mark.parametrize("kind", [1, 3])
def test_a_header_that_cannot_be_is_one_line(tmp_path, kind, bits):
    content = bytearray(wav(kind=kind))
    content[34:36] = bits.to_bytes(2, "little")
    with pytest.raises(SessionError, match="damaged") as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_float_that_is_called_whole_numbers_is_refused(tmp_path):
    floats = (WANTED / 2**15).astype("<f4").tobytes()
    wide = (WANTED.astype("<i4") << 16).tobytes()
    assert np.abs(read(tmp_path, wav(floats, kind=3, bits=32))[1][:, 0] - WANTED).max() <= 1
    np.testing.assert_array_equal(read(tmp_path, wav(wide, bits=32))[1][:, 0], WANTED)
    for content in (wav(floats, bits=32), wav(wide, kind=3, bits=32)):
        with pytest.raises(SessionError, match="damaged"):
            read(tmp_path, content)


@pytest.mark.parametrize("kind", ["plain", "wide", "float"])
def test_any_bit_of_the_header_may_flip(tmp_path, kind):
    """Every one of the 352 bits: the right sound or one line; never a traceback, never much memory."""
    whole = {
        "plain": wav(),
        "wide": wav(np.repeat(WANTED, 2).astype("<i4").tobytes(), channels=2, bits=32),
        "float": wav((WANTED / 2**15).astype("<f4").tobytes(), kind=3, bits=32),
    }[kind]
    audio, wanted = read(tmp_path, whole)
    wrong = []
    tracemalloc.start()
    for bit in range(44 * 8):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        found = tried(tmp_path, content)
        if isinstance(found, str):
            assert "\n" not in found
        elif found[0] != audio or len(found[1]) < len(wanted) or not np.array_equal(found[1][: len(wanted)], wanted):
            wrong.append(bit)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert wrong == []


def test_any_bytes_in_the_header_may_be_wrong(tmp_path):
    dice = random.Random(3)
    for _ in range(300):
        content = bytearray(wav())
        for _ in range(dice.randint(1, 6)):
            content[dice.randrange(44)] = dice.choice((0, 255, dice.randrange(256)))
        found = tried(tmp_path, content)
        assert not isinstance(found, str) or "\n" not in found
