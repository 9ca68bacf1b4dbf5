"""The options of everything that serves."""

from __future__ import annotations

import argparse
import contextlib
import io

import pytest

from facewire.runtime.cli.options.listening import add_listen_options, listen_address, server_config


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_listen_options(parser)
    return parser.parse_args(words)


def test_host_names_reach_the_server() -> None:
    config = server_config(parse("--host-name", "MyPC.lan", "--host-name", "mypc.tail1234.ts.net:443"))
    assert config.host_names == ("mypc.lan", "mypc.tail1234.ts.net")
    assert server_config(parse()).host_names == ()


@pytest.mark.parametrize("wrong", ["", "a b/c", "http://mypc.lan", "*.lan", "user@mypc"])
def test_what_is_no_host_name_is_refused_in_one_line(wrong: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit):
        parse("--host-name", wrong)
    assert "is not a machine's name, such as mypc.lan" in said.getvalue()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[::]:9000", ("::", 9000)),
        ("[::]", ("::", 8787)),
        ("::", ("::", 8787)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("mypc.lan:9000", ("mypc.lan", 9000)),
        (":9000", ("127.0.0.1", 9000)),
    ],
)
def test_what_is_listened_on(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address
