"""Timecodes: what labels count, against labels that are counted one by one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from facewire.bridge.formats.timecodes import Timecode, TimecodeRate, TimecodeWriter


@pytest.mark.parametrize(
    ("text", "rate", "said"),
    [
        ("60", Fraction(60), "60"),
        ("25.000", Fraction(25), "25"),
        ("29.97", Fraction(30000, 1001), "29.97"),
        ("29.97df", Fraction(30000, 1001), "29.97df"),
        ("59.94DF", Fraction(60000, 1001), "59.94df"),
        ("23.976", Fraction(24000, 1001), "23.976"),
        ("23.98", Fraction(24000, 1001), "23.976"),
        ("119.88", Fraction(120000, 1001), "119.88"),
    ],
)
def test_rates_are_exact(text: str, rate: Fraction, said: str) -> None:
    parsed = TimecodeRate.parse(text)
    assert parsed.rate == rate
    assert str(parsed) == said
    assert TimecodeRate.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "0", "30df", "25df", "23.976df", "29.5", "-30", "nan", "1001", "fast"])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate such as 60"):
        TimecodeRate.parse(text)


@pytest.mark.parametrize("count", [30, 60])
def test_drop_frame_labels_are_those_counted_one_by_one(count: int) -> None:
    rate = TimecodeRate(count, slow=True, drop=True)
    number = 0
    for minute in range(21):
        for second in range(60):
            for frame in range(count):
                left_out = second == 0 and minute % 10 and frame < count // 15
                assert rate.exists(minute * 60 + second, frame) != left_out
                if not left_out:
                    label = f"00:{minute:02d}:{second:02d};{frame:02d}"
                    if second in (0, 59) or number % 97 == 0:
                        assert rate.label(number) == label
                        assert rate.frame_number(minute * 60 + second, frame) == number
                    number += 1


@pytest.mark.parametrize("text", ["60", "24", "29.97", "29.97df", "59.94df", "23.976"])
def test_labels_go_round_at_midnight_and_come_back(text: str) -> None:
    rate = TimecodeRate.parse(text)
    for number in (0, 1, 1799, 1800, 17981, 17982, 107891, rate.day_frames - 1):
        parsed = Timecode.parse(rate.label(number))
        assert rate.frame_number(parsed.seconds, parsed.frame) == number
        assert parsed.drop == rate.drop
    assert rate.label(rate.day_frames) == rate.label(0)
    assert rate.label(rate.day_frames - 1).startswith("23:59:59")


def test_a_writer_shows_the_time_of_day_and_counts_on_from_there() -> None:
    hour_ns = 3600 * 10**9
    drop = TimecodeWriter(TimecodeRate.parse("29.97df"), 10 * hour_ns)
    assert drop.text(0) == "10:00:00;00.000"
    assert drop.text(1800 * 1001 * 10**9 // 30000) == "10:01:00;02.000"
    assert drop.text(hour_ns) == "11:00:00;00.108"  # it stays with the clock
    slow = TimecodeWriter(TimecodeRate.parse("29.97"), 10 * hour_ns)
    assert slow.text(hour_ns) == "10:59:56:12.108"  # and this falls behind
    assert TimecodeWriter(TimecodeRate(60), 10**9 // 2).text(10**9 // 3) == "00:00:00:50.000"
    assert TimecodeWriter(TimecodeRate.parse("29.97df"), 60 * 10**9).text(0) == "00:01:00;02.000", (
        "no label is left out"
    )
