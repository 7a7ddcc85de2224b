from __future__ import annotations

import pytest

from tfaas_nb.reference import Reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttbar", Reference("ttbar")),
        ("with-dash.v2", Reference("with-dash.v2")),
        ("ttbar/versions/3", Reference("ttbar", version=3)),
        ("ttbar/versions/0", Reference("ttbar", version=0)),
        ("ttbar/labels/production", Reference("ttbar", label="production")),
        ("versions/versions/1", Reference("versions", version=1)),
    ],
)
def test_a_reference_is_read_and_written(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    assert str(expected) == text
    assert "/".join(expected.parts) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "a/b", "/versions/1", "a//versions/1", "a/versions/", "a/versions/1/2"),
        *("a/versions/03", "a/versions/-1", "a/versions/³", "a/versions/" + "9" * 19),
        *("a/labels/", "a/labels/b/c"),
    ],
)
def test_what_is_no_reference_is_a_name_that_no_model_has(text: str) -> None:
    assert Reference.parse(text) == Reference(text)
