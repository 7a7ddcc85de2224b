"""Main programs for processes that work on files of strangers: some of them misbehave."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tfaas_nb import isolation
from tfaas_nb.errors import GraphError


def work(folder: Path, what: str) -> bytes:
    if what == "refuse":
        raise GraphError("the file is odd")
    if what == "break":
        raise ValueError("something\nelse")
    if what == "crash":
        os.write(2, b"a note\nout of luck\n")
        os.abort()
    if what == "hang":
        time.sleep(60)
    if what == "environment":
        return json.dumps(dict(os.environ)).encode()
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    return json.dumps([files, os.listdir("."), what]).encode()


if __name__ == "__main__":
    sys.exit(isolation.answer(sys.argv[1:], work))
