"""Tars as programs write them, and as attackers do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from typing import Any

import pytest

from tfaas_nb import archive
from tfaas_nb.archive import bounds
from tfaas_nb.bundle import Bundle
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
@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress],
    ids=["tar", "tar.gz", "tar.bz2", "tar.xz"],
)
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


# --- zip, bzip2 and xz --------------------------------------------------------------------


def zipped(names: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, kind: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as packed:
        for name, content in names.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = kind << 16
            packed.writestr(entry, content, method)
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read(method: int) -> None:
    named = {f"m/{name}": content for name, content in FILES.items()}
    assert archive.members(zipped({"m/": b"", **named}, method)) == ("m", FILES)


def test_a_zip_whose_writer_could_not_go_back_is_read() -> None:
    """Sizes stand after the content then, as in what macOS packs."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("m/model.pb", bytes(1000))
    assert archive.members(stream.written) == ("m", {"model.pb": bytes(1000)})


def test_files_that_file_managers_add_are_passed_over() -> None:
    added = ("m/._model.pb", "._m", "m/.DS_Store", "__MACOSX/m/._model.pb", "m/Thumbs.db")
    names = {"m/model.pb": b"x", **dict.fromkeys(added, b"\0\5\x16\7")}
    for data in (zipped(names), tar(names, tarfile.PAX_FORMAT)):
        assert archive.members(data) == ("m", {"model.pb": b"x"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped({"m/a": b"/etc/passwd"}, kind=stat.S_IFLNK | 0o777), "'m/a' is not a regular file"),
        (zipped({"../a": b""}), "points outside of it"),
        (zipped({"/a": b""}), "points outside of it"),
        (zipped({"a\n": b""}), "has no plain name"),
        (zipped({"a": b"x"}, zipfile.ZIP_LZMA), "packed by method 14: pack it as usual"),
        (
            zipped({"a": b"xyz"}, zipfile.ZIP_STORED).replace(b"xyz", b"xyw"),
            "nor a whole .zip: .*'a' is damaged",
        ),
        (zipped({"a": b"x"})[:-30], "nor a whole .zip"),
        (b"PK\x03\x04", "nor a whole .zip: it is cut short"),
        (b"PK\x05\x06" + bytes(18), "holds"),
        (bz2.compress(tar(FILES, tarfile.PAX_FORMAT))[:-9], "not a whole .tar.bz2"),
        (lzma.compress(tar(FILES, tarfile.PAX_FORMAT))[:-9], "not a whole .tar.xz: it is cut"),
        (lzma.compress(tar(FILES, tarfile.PAX_FORMAT)[:700]), "it is cut short"),
        (b"\xfd7zXZ\0" + bytes(40), "not a whole .tar.xz"),
    ],
)
def test_archives_that_are_not_what_they_should_be_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.from_archive(data)


def test_two_members_of_one_name_in_a_zip_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = doubled()
    with pytest.raises(BundleError, match="two members 'a'"):
        archive.members(data)


def doubled() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("a", b"")
        packed.writestr("a", b"x")
    return stream.getvalue()


@pytest.mark.parametrize(
    "pack",
    [bz2.compress, lambda data: lzma.compress(data, preset=0), lambda data: zipped({"a": data})],
    ids=["tar.bz2", "tar.xz", "zip"],
)
def test_what_unpacks_to_far_more_than_it_is_is_refused(pack: Any) -> None:
    bomb = pack(header(b"0", 34 << 20) + bytes(34 << 20))
    assert len(bomb) < 1 << 18
    with pytest.raises(TooLarge, match="more than 100 times its size"):
        archive.members(bomb)


def test_a_zip_of_many_members_is_refused() -> None:
    data = zipped({str(i): b"" for i in range(bounds.MOST_MEMBERS + 1)})
    with pytest.raises(TooLarge, match="more than 64 members"):
        archive.members(data)
    # One local header, and a directory that repeats it.
    one = zipped({"a": b"x"})
    at, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    count = (60_000).to_bytes(2, "little")
    most = one[:at] + one[at:end] * 60_000 + one[end : end + 8] + count * 2 + one[end + 12 :]
    with pytest.raises(TooLarge, match="more than 64 members"):
        archive.members(most)


def test_xz_that_asks_for_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    data = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    packed = data.compress(tar(FILES, tarfile.PAX_FORMAT)) + data.flush()
    with pytest.raises(BundleError, match=r"not a whole \.tar\.xz: Memory usage limit"):
        archive.members(packed)
