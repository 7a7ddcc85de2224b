"""Work on files of strangers, some of which misbehaves."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tfaas_nb import isolation
from tfaas_nb.errors import GraphError, TooLarge


def work(folder: Path, what: str) -> bytes:
    if what == "refuse":
        raise GraphError("the file is odd")
    if what == "break":
        raise ValueError("something\nelse")
    if what == "crash":
        os.write(2, b"a note\nout of luck\n")
        os.abort()
    if what == "talk":
        for _ in range(64):
            os.write(2, b"." * (1 << 20))
        os.write(2, b"\nthe end")
        os.abort()
    if what == "hang":
        time.sleep(60)
    if what == "burn":
        while True:
            pass
    if what == "grow":
        return bytes(len(bytearray(4 << 30)))
    if what == "fill":
        Path("big").write_bytes(bytes(2 << 20))
    if what == "nested":
        return isolation.run(work, {"b": b"two"}, "read")
    if what == "pid":
        return str(os.getpid()).encode()
    if what == "leave":
        os._exit(3)
    if what == "unpack":
        raise TooLarge("far too much")
    if what == "environment":
        return json.dumps(dict(os.environ) | {"PWD_NOW": os.getcwd()}).encode()
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    return json.dumps([files, os.listdir("."), what]).encode()
