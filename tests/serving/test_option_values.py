"""Each option of a server is checked when it is given, in Python as on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfaas_nb.cli import parser
from tfaas_nb.errors import ServerError
from tfaas_nb.serving import option_values
from tfaas_nb.serving.server import Server


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("memory", "2 loaves", "memory='2 loaves' is no size: write for instance 500MB or 2GB"),
        ("memory", 0, "memory=0 is no size"),
        ("memory", -1, "no size"),
        ("memory", True, "no size"),
        ("memory", 1.5, "no size"),
        ("memory", None, "no size"),
        ("workers", 0.5, "workers=0.5 is neither a number nor auto"),
        ("workers", "two", "neither a number nor auto"),
        ("workers", -1, "a server needs at least one worker, not -1"),
        ("workers", None, "neither a number nor auto"),
        ("port", "http", "cannot listen on 127.0.0.1:http: a port is a number in 0-65535"),
        ("port", 65_536, "cannot listen on"),
        ("port", -1, "cannot listen on"),
        ("port", 80.0, "cannot listen on"),
        ("drain", -1, "drain=-1 is no time: write a number of seconds, zero or more"),
        ("grace", "soon", "no time"),
        ("grace", float("nan"), "no time"),
        ("rate", 0, "a rate is a positive number"),
        ("rate", "fast", "rate='fast' is no rate: a rate is a positive number"),
        ("burst", 0, "a burst of at least one, not 1 with 0"),
        ("burst", 1.5, "burst=1.5 is not a whole number of at least one"),
        ("isolated", "yes", "isolated='yes' is neither True nor False"),
        ("preload", 1, "neither True nor False"),
        ("keep_kernel", None, "neither True nor False"),
        ("plain_http", "no", "neither True nor False"),
        ("host", "http://127.0.0.1", "no name or address of this machine"),
        ("host", 127, "no name or address"),
        ("token", 12_345, "token='int' is not a text, False or None"),
        ("token", b"secret", "not a text"),
        ("reader_token", 5, "neither a text nor several"),
        ("reader_token", [5], "not a text"),
        ("allowed_hosts", b"a", "neither a text nor several"),
        ("models", 5, "models=5 is not a path"),
        ("models", "", "not a path"),
        ("access_log", 1, "access_log=1 is not a path"),
        ("certfile", 1, "certfile=1 is not a path"),
        ("allow_ops", 5, "neither a text nor several"),
    ],
)
def test_a_wrong_value_is_refused_with_its_option(
    option: str, value: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match=reason):
        Server(**({"models": tmp_path, "rate": 1} | {option: value}))


@pytest.mark.parametrize(
    ("option", "text"),
    [("memory", "2GB"), ("memory", "500"), ("workers", "auto"), ("workers", "2"), ("drain", "1.5")],
)
def test_python_reads_what_the_command_line_reads(option: str, text: str) -> None:
    kinds = {"memory": "size", "drain": "seconds"}
    read = getattr(option_values, kinds.get(option, option))
    assert read(text, option) == getattr(
        parser().parse_args(["serve", f"--{option}", text]), option
    )


def test_a_server_takes_sizes_and_times_as_the_command_line_spells_them(tmp_path: Path) -> None:
    with Server(tmp_path, port="0", memory="2GB", drain="0", grace="1.5", rate="100") as server:  # type: ignore[arg-type]
        assert server.client().models().rows == ()


@pytest.mark.parametrize(("text", "size"), [("500", 500), ("1.5 mb", 3 << 19), (7, 7)])
def test_a_size_is_in_bytes(text: Any, size: int) -> None:
    assert option_values.size(text, "memory") == size
