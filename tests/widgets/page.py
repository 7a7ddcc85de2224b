"""Stand-in for a page with chosen files: sends them in parts, one after the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfaas_nb.widgets.file_drop import FileDrop
from tfaas_nb.widgets.upload import Upload


class Page:
    """Files on their way to a `FileDrop`, as ``file_drop.js`` sends them.

    Parameters
    ----------
    drop : FileDrop
        The receiver; its messages go through the comm's own handlers.
    """

    def __init__(self, drop: FileDrop, part: int = 1000, upload: str = "1") -> None:
        self.drop, self.part, self.upload = drop, part, upload

    def say(self, kind: str, *parts: bytes, **content: Any) -> list[dict[str, Any]]:
        """Send a message; returns what the widget answers."""
        with heard(self.drop) as answers:
            self.drop._handle_custom_msg(
                {"kind": kind, "id": self.upload, **content}, [memoryview(part) for part in parts]
            )
        return answers

    def begin(self, **files: bytes) -> list[dict[str, Any]]:
        listed = [{"name": name, "size": len(content)} for name, content in files.items()]
        return self.say("begin", files=listed)

    def choose(self, **files: bytes) -> list[str]:
        """Send whole files; returns the kinds of the answers."""
        kinds = [answer["kind"] for answer in self.begin(**files)]
        for i, content in enumerate(files.values()):
            for start in range(0, len(content), self.part):
                part = content[start : start + self.part]
                digest = hashlib.sha256(part).hexdigest()
                answers = self.say("part", part, file=i, offset=start, sha256=digest)
                kinds += [answer["kind"] for answer in answers]
        return kinds


def choose(upload: Upload, name: str, content: bytes) -> None:
    """Choose a file and wait until it was looked at."""
    assert Page(upload.files, part=1 << 20).choose(**{name: content})[-1] == "whole"
    assert upload.wait(60)


def send(upload: Upload) -> None:
    """Press the button and wait for the server's answer."""
    upload.send_button.click()
    assert upload.wait(60)


@contextmanager
def heard(drop: FileDrop) -> Iterator[list[dict[str, Any]]]:
    """Collect the messages that a widget sends to its page meanwhile."""
    found: list[dict[str, Any]] = []
    drop.send = lambda content, buffers=None: found.append(content)
    try:
        yield found
    finally:
        del drop.send
