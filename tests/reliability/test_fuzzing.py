"""No bytes of strangers do more than be decoded or be refused; see `tests.reliability.decoders`."""

from __future__ import annotations

import ast
import functools
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tfaas_nb
from tests.reliability import fuzz
from tests.reliability.decoders import DECODERS, watched

PACKAGE = Path(tfaas_nb.__file__).parent

#: What decoders are called, besides the class methods that `DECODERS` names by their class.
BEGINNINGS = ("decode", "read_", "from_", "tensor_names", "json_object", "bare")

#: Modules of `wire` that only write.
WRITE = {"ascii_json", "examples", "finite"}

#: Each is as short as it is hard on somebody who copies, recurses or counts.
BOMBS: dict[str, Callable[[], bytes]] = {
    "nested lists": lambda: b"[" * 2_000_000,
    "nested objects": lambda: b'{"a":' * 500_000,
    "nested and closed": lambda: b"[" * 900 + b"]" * 900,
    "digits": lambda: b'{"keys":["a"],"values":[' + b"9" * 1_000_000 + b"]}",
    "digits and NaN": lambda: b'{"keys":["a"],"values":[NaN,' + b"9" * 1_000_000 + b"]}",
    "many keys": lambda: b'{"keys":[' + b'"a",' * 500_000 + b'"a"],"values":[1]}',
    "backslashes": lambda: b'{"keys":["' + b"\\\\" * 1_000_000 + b'"],"values":[1]}',
    "empty instances": lambda: b'{"instances":[' + b"{}," * 500_000 + b"{}]}",
    "zeros": lambda: bytes(4_000_000),
    "one field": lambda: b"\n\x00" * 2_000_000,
    "parts": lambda: b"multipart/form-data; boundary=x\n" + b"--x\r\n" * 500_000,
    "fields": lambda: b"application/x-www-form-urlencoded\n" + b"a&" * 1_000_000,
    "many brackets": lambda: b"\x93NUMPY\x02\x00\x00\x00\x04\x00" + b"(" * (256 << 10),
    "minus": lambda: b"\x93NUMPY\x02\x00\x00\x00\x04\x00" + b"-" * (256 << 10),
    "a slow PNG": lambda: b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXt\0\0\0\0" * 200_000,
    "a slow JPEG": lambda: b"\xff\xd8" + b"\xff" * 2_000_000,
    "empty comments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 500_000,
}


#: For each decoder, unless it is told; slow ones have a share of that.
INPUTS = 20_000


def functions() -> Iterator[str]:
    """All functions of `wire` that read, as `module.name`."""
    for path in sorted((PACKAGE / "wire").glob("[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(BEGINNINGS):
                yield f"wire.{path.stem}.{node.name}"


def test_every_decoder_is_in_the_table() -> None:
    covered = {name for decoder in DECODERS.values() for name in decoder.covers}
    modules = {path.stem for path in (PACKAGE / "wire").glob("[!_]*.py")}
    assert modules - WRITE == {n.split(".")[1] for n in covered if n.startswith("wire.")}
    assert set(functions()) <= covered


@pytest.mark.parametrize("name", sorted({n for d in DECODERS.values() for n in d.covers}))
def test_what_the_table_covers_is_there(name: str) -> None:
    parts = name.split(".")
    for i in range(len(parts) - 1, 0, -1):
        try:
            module: Any = importlib.import_module(".".join(["tfaas_nb", *parts[:i]]))
        except ModuleNotFoundError:
            continue
        assert functools.reduce(getattr, parts[i:], module) is not None
        return
    pytest.fail(f"there is no {name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", DECODERS)
def test_the_corpus_is_decoded_or_refused(name: str) -> None:
    """Inputs that once reached something new, and sound ones, some of which are decoded."""
    decoded = 0
    with watched() as check:
        for data in (*DECODERS[name].seeds(), *fuzz.corpus(name)):
            decoded += DECODERS[name].tried(data)
            check()
    assert decoded or name == "model-file"


def test_every_corpus_has_a_decoder() -> None:
    assert {path.name for path in fuzz.CORPUS.iterdir()} <= set(DECODERS)
    assert sum(path.stat().st_size for path in fuzz.CORPUS.rglob("*")) < 300_000


@pytest.mark.slow
@pytest.mark.parametrize("name", DECODERS)
def test_bombs_do_not_go_off(name: str) -> None:
    DECODERS[name].seeds()  # which import what takes longer than an input may
    with watched() as check:
        for make in BOMBS.values():
            DECODERS[name].tried(make())
            check()


def inputs(name: str, told: int | None) -> int:
    """Number of inputs for a decoder: as asked for, else by its share."""
    return int(INPUTS * DECODERS[name].share) if told is None else told


def test_a_number_of_inputs_that_is_told_holds_for_every_decoder() -> None:
    assert {inputs(name, 1_000_000) for name in DECODERS} == {1_000_000}
    assert (inputs("json-object", None), inputs("graph", None)) == (20_000, 1_000)


@pytest.mark.endurance
@pytest.mark.parametrize("name", DECODERS)
def test_made_up_inputs_are_decoded_or_refused(
    name: str, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    count = inputs(name, request.config.getoption("--fuzz"))
    began = time.perf_counter()
    tried, decoded = fuzz.run(name, count)
    took = time.perf_counter() - began
    assert tried >= count
    record_property("summary", f"fuzzing {name}: {tried} inputs, {decoded} decoded, {took:.0f} s")
