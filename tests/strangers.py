"""Work on files of strangers, some of which misbehaves."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from tfaas_nb import isolation
from tfaas_nb.errors import GraphError, TooLarge


def work(folder: Path, what: str) -> bytes:
    """Do as told, by default read."""
    if what in _MISDEEDS:
        return _MISDEEDS[what]()
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    return json.dumps([files, os.listdir("."), what]).encode()


def refuse() -> bytes:
    raise GraphError("the file is odd")


def unpack() -> bytes:
    raise TooLarge("far too much")


def fail() -> bytes:
    raise ValueError("something\nelse")


def crash() -> bytes:
    os.write(2, b"a note\nout of luck\n")
    os.abort()


def talk() -> bytes:
    for _ in range(64):
        os.write(2, b"." * (1 << 20))
    os.write(2, b"\nthe end")
    os.abort()


def leave() -> bytes:
    os._exit(3)


def hang() -> bytes:
    time.sleep(60)
    return b""


def burn() -> bytes:
    while True:
        pass


def grow() -> bytes:
    return bytes(len(bytearray(4 << 30)))


def fill() -> bytes:
    Path("big").write_bytes(bytes(2 << 20))
    return b""


def nested() -> bytes:
    return isolation.run(work, {"b": b"two"}, "read")


def pid() -> bytes:
    return str(os.getpid()).encode()


def environment() -> bytes:
    return json.dumps(dict(os.environ) | {"FOLDER": str(Path.cwd())}).encode()


_MISDEEDS: dict[str, Callable[[], bytes]] = {
    function.__name__: function
    for function in (
        *(refuse, unpack, fail, crash, talk, leave, hang, burn, grow, fill, nested, pid),
        environment,
    )
}
