from __future__ import annotations

import base64
import contextlib
import subprocess
import sys

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tfaas_nb.errors import RequestError, TfaasError
from tfaas_nb.serving import forms

BOUNDARY = "multipart/form-data; boundary=x"

#: What curl 7.88 sends for -F name=ttbar -F model=@model.pb (with another boundary).
CURL = (
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nttbar\r\n'
    b'--x\r\nContent-Disposition: form-data; name="model"; filename="model.pb"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x00\r\n--\xff\r\n"
    b"--x--\r\n"
)


def part(headers: bytes, content: bytes = b"content") -> bytes:
    return b"--x\r\n" + headers + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


def test_files_keep_their_names() -> None:
    found = forms.parts(BOUNDARY, CURL)
    assert (found["name"].file_name, found["name"].text()) == (None, "ttbar")
    assert found["model"].file_name == "model.pb"
    assert forms.parts("application/x-www-form-urlencoded", b"a=b") == {"a": forms.Part(b"b")}


def test_fields_and_files_are_read_alike() -> None:
    assert forms.parse(BOUNDARY, CURL) == {"name": b"ttbar", "model": b"\x00\r\n--\xff"}


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="x"',
        "Multipart/Form-Data; charset=utf-8; boundary=x",
        "multipart/form-data;boundary=x",
    ],
)
def test_the_header_may_be_written_in_several_ways(content_type: str) -> None:
    assert forms.parse(content_type, CURL)["name"] == b"ttbar"


def test_a_file_name_may_be_a_path() -> None:
    """TFaaS's Python client sends full paths; they are never used."""
    body = part(b'Content-Disposition: form-data; name="model"; filename="/home/u/../m.pb"')
    assert forms.parse(BOUNDARY, body) == {"model": b"content"}


def test_an_empty_form_has_no_parts() -> None:
    assert forms.parse(BOUNDARY, b"--x--\r\n") == {}


@pytest.mark.slow
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(), max_size=8))
def test_every_form_that_requests_writes_is_read(parts: dict[str, bytes]) -> None:
    files = {name: (name, content) for name, content in parts.items()} or None
    sent = requests.Request("POST", "http://h/", files=files).prepare()
    if parts:
        assert isinstance(sent.body, bytes)
        assert forms.parse(sent.headers["Content-Type"], sent.body) == parts


def test_a_large_file_is_read_whole() -> None:
    content = bytes(range(256)) * 40_000
    body = part(b'Content-Disposition: form-data; name="m"; filename="m"', content)
    assert forms.parse(BOUNDARY, body) == {"m": content}


@pytest.mark.parametrize("cut", [5, 7, 8, 20, 60, 120, 180])
def test_a_form_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(RequestError, match="the form was cut short"):
        forms.parse(BOUNDARY, CURL[:-cut])


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("", CURL, "not 'nothing'"),
        ("text/plain", CURL, "not 'text/plain'"),
        ("application/json", b"{}", "not 'application/json'"),
        ("multipart/form-data", CURL, "send a form"),
        (BOUNDARY, b"no boundary here", "the form cannot be read"),
        (BOUNDARY, part(b"Content-Type: text/plain"), "the form cannot be read"),
        (BOUNDARY, part(b"Content-Disposition: form-data"), "the form cannot be read"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        forms.parse(content_type, body)


def test_too_many_parts_are_refused() -> None:
    many = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % i for i in range(33)
    )
    with pytest.raises(RequestError, match="more than 32 parts"):
        forms.parse(BOUNDARY, many + b"--x--\r\n")
    with pytest.raises(RequestError, match="more than 32 fields"):
        forms.parse("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 33))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"model=ttbar", {"model": b"ttbar"}),
        (b"a=1&b=", {"a": b"1", "b": b""}),
        (b"note=a+b%20c", {"note": b"a b c"}),
        (b"t%C3%A4g=%E2%86%92", {"täg": "→".encode()}),
        (b"raw=%ff%00&\xff=\xfe", {"raw": b"\xff\x00", "\ufffd": b"\xfe"}),
        (b"", {}),
    ],
)
def test_url_encoded_fields_are_read(body: bytes, expected: dict[str, bytes]) -> None:
    assert forms.parse("application/x-www-form-urlencoded", body) == expected


@given(st.sampled_from([BOUNDARY, "application/x-www-form-urlencoded", "x"]), st.binary())
def test_no_bytes_get_past_the_error_tree(content_type: str, body: bytes) -> None:
    with contextlib.suppress(TfaasError):
        assert isinstance(forms.parse(content_type, body), dict)


@given(st.data())
def test_no_damaged_form_gets_past_the_error_tree(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(CURL) - 1))
    body = CURL[:at] + data.draw(st.binary(max_size=2)) + CURL[at + 1 :]
    with contextlib.suppress(TfaasError):
        assert isinstance(forms.parse(BOUNDARY, body), dict)


@given(st.binary())
def test_base64_is_decoded_whether_or_not_in_lines(content: bytes) -> None:
    for encode in (base64.b64encode, base64.encodebytes):
        assert forms.decode_base64(encode(content), "model") == content


@pytest.mark.parametrize("content", [b"!!!!", b"YQ", b"Y", b"\xff\xff"])
def test_what_is_not_base64_is_named(content: bytes) -> None:
    with pytest.raises(RequestError, match="the form's part 'model' is not base64"):
        forms.decode_base64(content, "model")


def test_a_boundary_has_an_end() -> None:
    for length in (71, 300):
        with pytest.raises(RequestError, match=f"boundary has {length} characters: take at most"):
            forms.parse(f"multipart/form-data; boundary={'x' * length}", b"--x")
    longest = b"x" * 69
    found = forms.parse(f"{BOUNDARY}{'x' * 69}", CURL.replace(b"--x", b"--x" + longest))
    assert found["name"] == b"ttbar"


def test_nothing_is_printed_of_a_damaged_form() -> None:
    """Print nothing: a stranger's bytes would stand in a cell."""
    form = "multipart/form-data; boundary=x"
    code = (
        "import contextlib; from tfaas_nb.serving import forms\n"
        f"with contextlib.suppress(Exception): forms.parse({form!r}, b'--y')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
