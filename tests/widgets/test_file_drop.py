from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.widgets.page import Page, heard
from tfaas_nb.widgets.arrival import Arrival, Arrived
from tfaas_nb.widgets.file_drop import FileDrop

MOST = 10_000


class Taken:
    """Receiver of the files that a widget hands on."""

    def __init__(self) -> None:
        self.files: tuple[Arrived, ...] = ()

    def __call__(self, arrival: Arrival) -> None:
        self.files = arrival.contents()
        arrival.close()


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def drop(taken: Taken) -> Iterator[FileDrop]:
    widget = FileDrop("Choose", ".pb", MOST, taken)
    yield widget
    widget.close()


def test_files_arrive_part_by_part(drop: FileDrop, taken: Taken) -> None:
    first, second = bytes(range(250)) * 10, b"signal\n"
    kinds = Page(drop).choose(**{"a.pb": first, "labels.txt": second, "empty.json": b""})
    assert kinds == ["ready", "taken", "taken", "taken", "whole"]
    assert [(f.name, f.content) for f in taken.files] == [
        ("a.pb", first),
        ("labels.txt", second),
        ("empty.json", b""),
    ]
    assert taken.files[0].sha256 == hashlib.sha256(first).hexdigest()
    assert taken.files[0].is_checked
    assert not drop.is_receiving


def test_parts_without_hashes_are_taken(drop: FileDrop, taken: Taken) -> None:
    page = Page(drop)
    page.begin(a=b"hello")
    assert page.say("part", b"hello", file=0, offset=0) == [{"kind": "whole", "id": "1"}]
    assert taken.files[0].content == b"hello"
    assert not taken.files[0].is_checked


def test_only_the_name_of_a_file_is_kept(drop: FileDrop, taken: Taken) -> None:
    Page(drop).choose(**{"../../etc/passwd": b"a", "C:\\models\\b.pb": b"b"})
    assert [file.name for file in taken.files] == ["passwd", "b.pb"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"file": 0, "offset": 3}, "out of order"),
        ({"file": 1, "offset": 0}, "out of order"),
        ({"file": -1, "offset": 0}, "out of order"),
        ({"file": 0}, "odd"),
        ({"file": 0, "offset": 0, "sha256": "0" * 64}, "damaged on its way"),
    ],
)
def test_a_wrong_part_ends_the_upload(
    drop: FileDrop, taken: Taken, content: dict[str, Any], words: str
) -> None:
    page = Page(drop)
    page.begin(a=b"hello")
    (answer,) = page.say("part", b"hello", **content)
    assert answer["kind"] == "refused"
    assert words in answer["why"]
    assert not drop.is_receiving
    assert taken.files == ()


def test_more_than_was_announced_is_refused(drop: FileDrop) -> None:
    page = Page(drop)
    page.begin(a=b"hello")
    (answer,) = page.say("part", b"hello!", file=0, offset=0)
    assert "more bytes of a" in answer["why"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([{"name": "a", "size": MOST + 1}], "11 kB are too much"),
        ([{"name": "a", "size": 1}, {"name": "b/a", "size": 1}], "the same name"),
        ([{"name": f"{n}", "size": 1} for n in range(9)], "9 files are too many"),
        ([{"name": "a"}], "odd"),
        ([{"name": "a", "size": -1}], "negative"),
        (None, "odd"),
    ],
)
def test_what_cannot_come_is_refused_before_it_comes(
    drop: FileDrop, files: object, words: str
) -> None:
    (answer,) = Page(drop).say("begin", files=files)
    assert answer["kind"] == "refused"
    assert words in answer["why"]
    assert not drop.is_receiving


def test_cancelling_drops_what_has_come(drop: FileDrop, taken: Taken) -> None:
    page = Page(drop)
    page.begin(a=b"hello")
    page.say("part", b"he", file=0, offset=0)
    assert drop.is_receiving
    assert page.say("cancel") == []
    assert not drop.is_receiving
    (answer,) = page.say("part", b"llo", file=0, offset=2)
    assert "does not expect this file" in answer["why"]
    assert page.choose(a=b"again")[-1] == "whole"


def test_another_page_takes_the_place_of_one_that_was_reloaded(
    drop: FileDrop, taken: Taken
) -> None:
    Page(drop).begin(a=b"hello")
    other = Page(drop, upload="2")
    assert [answer["kind"] for answer in other.begin(a=b"there")] == ["refused", "ready"]
    Page(drop).say("cancel")
    assert other.say("part", b"there", file=0, offset=0) == [{"kind": "whole", "id": "2"}]


def test_closing_drops_what_has_come(drop: FileDrop) -> None:
    Page(drop).begin(a=b"hello")
    drop.close()
    assert not drop.is_receiving


def test_an_unknown_message_is_refused(drop: FileDrop) -> None:
    with heard(drop) as answers:
        drop._handle_custom_msg({"kind": "dance"}, [])
    assert "'dance'" in answers[0]["why"]
