"""Tars as programs write them, and as attackers do."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from tfaas_nb import archive
from tfaas_nb.errors import BundleError, TfaasError, TooLarge

FILES = {"params.json": b"{}", "model.pb": bytes(range(256)) * 5, "variables/v.index": b""}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar(names: dict[str, bytes], form: int, **headers: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as packed:
        for name, content in names.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.pax_headers = len(content), headers
            packed.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def header(kind: bytes, size: int, name: bytes = b"a/b") -> bytes:
    """A header as `tarfile` writes none."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136], block[156:157], block[257:265] = b"%011o\0" % size, kind, b"ustar\00000"
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_every_format_is_read(form: int, pack: type[bytes]) -> None:
    named = {f"m/{name}": content for name, content in FILES.items()}
    assert archive.members(pack(tar(named, form))) == ("m", FILES)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_long_names_are_read(form: int) -> None:
    name = "b" * 60 + "/" + "c" * 60
    assert archive.members(tar({f"m/{name}": b"x"}, form)) == ("m", {name: b"x"})


def test_what_tells_of_all_members_is_passed_over() -> None:
    stream = io.BytesIO()
    options = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": "ä"}}
    with tarfile.open(fileobj=stream, mode="w", **options) as packed:  # type: ignore[call-overload]
        packed.addfile(tarfile.TarInfo("m/a"))
    assert archive.members(stream.getvalue()) == ("m", {"a": b""})


def test_folders_are_passed_over() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as packed:
        entry = tarfile.TarInfo("m")
        entry.type = tarfile.DIRTYPE
        packed.addfile(entry)
    old = header(b"\0", 0, b"m/n/")
    assert archive.members(old + stream.getvalue()) == ("", {})


def test_a_size_beyond_octal_digits_is_read() -> None:
    block = bytearray(header(b"0", 3))
    block[124:136] = b"\x80" + (3).to_bytes(11, "big")
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    content = b"abc" + bytes(509)
    assert archive.members(bytes(block) + content + bytes(1024)) == ("a", {"b": b"abc"})


WHOLE = tar({"m/a": b"x"}, tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(WHOLE[:100], id="part of a header"),
        pytest.param(WHOLE[:512], id="a header alone"),
        pytest.param(WHOLE[:1024], id="a member and no end"),
        pytest.param(gzip.compress(WHOLE)[:-1], id="gzip cut short"),
        pytest.param(WHOLE[:148] + b"000000\0 " + WHOLE[156:], id="a wrong sum"),
        pytest.param(WHOLE[:124] + b"\xff" * 12 + WHOLE[136:], id="no number"),
        pytest.param(header(b"x", 8) + b"5 a=b\n\0\0" + bytes(504) + WHOLE, id="a short record"),
        pytest.param(
            header(b"x", 12) + b"99 path=abcd".ljust(512, b"\0") + WHOLE, id="a long record"
        ),
        pytest.param(header(b"x", 9) + b"9 size=x\n".ljust(512, b"\0") + WHOLE, id="size in words"),
    ],
)
def test_what_is_no_whole_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a whole .tar or .tar.gz"):
        archive.members(data)


@pytest.mark.parametrize("form", [{"GNU.sparse.map": "0,1"}, {"GNU.sparse.major": "1"}], ids=str)
def test_sparse_files_are_refused(form: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="not a regular file"):
        archive.members(tar({"m/a": b"x"}, tarfile.PAX_FORMAT, **form))


def test_a_word_is_not_looked_for_among_digits() -> None:
    """At a header of digits `tarfile` takes minutes, or hours (CVE-2024-6232)."""
    digits = header(b"x", 60_000) + b"1" * 60_000 + bytes(-60_000 % 512)
    with pytest.raises(TfaasError):
        archive.members(digits + WHOLE)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_headers_before_headers_end_somewhere(kind: bytes) -> None:
    """`tarfile` calls itself for each of them."""
    with pytest.raises(TooLarge, match="more than 64 members"):
        archive.members(gzip.compress((header(kind, 0)) * 2000 + WHOLE))


def test_a_long_name_has_an_end() -> None:
    with pytest.raises(TooLarge):
        archive.members(header(b"L", 1 << 20) + bytes(1 << 20) + WHOLE)
