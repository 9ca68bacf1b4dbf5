"""What a command accepts, and how it says what it does not."""

from __future__ import annotations

import re

import pytest

from facewire.bridge.shared.errors import CommandError
from facewire.runtime.tools.arguments import CommandSpec, Either, Flag, MapOf, Number, OneOf, Text

LEVELS = {"low": 1, "high": 2}
SPEC = CommandSpec(
    "tune",
    {
        "mirror": Flag(),
        "speed": Number(0.5, 2),
        "name": Text("letters", re.compile("[a-z]+"), most=5),
        "level": OneOf(LEVELS),
        "regions": Either(OneOf(LEVELS), MapOf("region", ("eyes", "mouth"), OneOf(LEVELS))),
    },
)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"mirror": False},
        {"speed": 2, "name": "ada"},
        {"level": "low", "regions": "high"},
        {"regions": {"eyes": "low", "mouth": "high"}},
    ],
)
def test_what_is_accepted_is_passed_on(args):
    assert SPEC.read(args) == args
    assert SPEC.handler(lambda checked: checked)(args) == args


def test_nil_is_absent():
    assert SPEC.read({"mirror": None, "speed": 2, "regions": {"eyes": None, "mouth": "low"}}) == {
        "speed": 2,
        "regions": {"mouth": "low"},
    }
    with pytest.raises(CommandError, match="needs time_s"):
        CommandSpec("seek", {"time_s": Number(0, 1)}, required=("time_s",)).read({"time_s": None})
    with pytest.raises(CommandError, match="accepts one of"):
        CommandSpec("choose", {"video": Text(), "audio": Text()}, least=1, most=1).read({"video": None})


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"volume": None}, "tune accepts mirror, speed, name, level, regions, not 'volume'"),
        ({"speed": 10**400}, "speed must be a number from 0.5 to 2"),
        ({"volume": 3}, "tune accepts mirror, speed, name, level, regions, not 'volume'"),
        ({3: 3}, "not '3'"),
        ({"x" * 100: 1}, f"not '{'x' * 40}'"),
        ({"mirror": 1}, "mirror must be true or false"),
        ({"speed": True}, "speed must be a number from 0.5 to 2"),
        ({"speed": "fast"}, "speed must be a number from 0.5 to 2"),
        ({"speed": float("nan")}, "speed must be a number from 0.5 to 2"),
        ({"speed": 2.1}, "speed must be a number from 0.5 to 2"),
        ({"name": ""}, "name must be letters"),
        ({"name": "abcdef"}, "name must be letters"),
        ({"name": "a1"}, "name must be letters"),
        ({"name": ["a"]}, "name must be letters"),
        ({"level": ["low"]}, "level must be one of low, high"),
        ({"level": "medium"}, "level must be one of low, high"),
        ({"regions": {}}, "or a map by region (eyes, mouth), each one of low, high"),
        ({"regions": {"eyes": None}}, "or a map by region (eyes, mouth), each one of low, high"),
        ({"regions": {"eyes": "low", "ears": None}}, "regions must be one of low, high, or a map"),
        (dict.fromkeys("uvwxyz", 1), "not 'u', 'v', 'w' and 3 more"),
        ({"regions": {"ears": "low"}}, "regions must be one of low, high, or a map"),
        ({"regions": {"eyes": "low", 3: "low"}}, "regions must be one of low, high, or a map"),
        ({"regions": {"eyes": ["low"]}}, "regions must be one of low, high, or a map"),
    ],
)
def test_what_is_not_accepted_is_said_in_one_line(args, words):
    with pytest.raises(CommandError) as caught:
        SPEC.read(args)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_how_many_and_which_it_needs():
    one = CommandSpec("choose", {"video": Text(), "audio": Text()}, least=1, most=1)
    for args in ({}, {"video": "a", "audio": "b"}):
        with pytest.raises(CommandError, match=r"^choose accepts one of video, audio$"):
            one.read(args)
    with pytest.raises(CommandError, match=r"^seek needs time_s: a number from 0 to 1$"):
        CommandSpec("seek", {"time_s": Number(0, 1)}, required=("time_s",)).read({})
    with pytest.raises(CommandError, match=r"^state accepts no arguments, not 'x'$"):
        CommandSpec("state").read({"x": 1})


def test_a_registry_is_read_each_time():
    choices = {"a": 1}
    for argument in (OneOf(choices), OneOf(lambda: choices)):
        assert not argument.accepts("b")
        choices["b"] = 2
        assert argument.accepts("b")
        assert argument.expects == "one of a, b"
        del choices["b"]
