"""Files that hold no tree, described: other formats, unclosed ROOT files, chains, histograms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfaas_nb.errors import DataError

#: Bytes of a file's beginning by which its format is known.
_HEAD = 1024
_ROOT = b"root"
#: Bytes of a header up to the length of the file, and those of which a number is made.
_SHORTEST = 20
#: What begins a file → the format, and what to do with it.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", "table"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "table"),
    (b"ARROW1", "an Arrow (Feather) file", "table"),
    (b"FEA1", "a Feather file", "table"),
    (b"\x93NUMPY", "a NumPy array", "table"),
    (b"ORC", "an ORC file", "table"),
    (b"Obj\x01", "an Avro file", "table"),
    (b"SQLite format 3\0", "an SQLite database", "table"),
    (b"PK\x03\x04", "a zip archive", "unpack"),
    (b"PK\x05\x06", "an empty zip archive", "copy"),
    (b"\x1f\x8b", "a file compressed with gzip", "unpack"),
    (b"BZh", "a file compressed with bzip2", "unpack"),
    (b"\xfd7zXZ\0", "a file compressed with xz", "unpack"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with Zstandard", "unpack"),
    (b"\x04\x22\x4d\x18", "a file compressed with LZ4", "unpack"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack"),
    (b"\x80\x02", "a Python pickle", "table"),
    (b"\x80\x03", "a Python pickle", "table"),
    (b"\x80\x04", "a Python pickle", "table"),
    (b"\x80\x05", "a Python pickle", "table"),
    (b"%PDF", "a PDF document", "other"),
    (b"\x89PNG", "a PNG picture", "other"),
    (b"\xff\xd8\xff", "a JPEG picture", "other"),
    (b"\x7fELF", "a program", "other"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself", "lfs"),
    (b"../.git/annex/objects", "a git-annex pointer, not the file itself", "annex"),
    (b"/annex/objects/", "a git-annex pointer, not the file itself", "annex"),
)
_ZIP, _NPZ = b"PK\x03\x04", 200
#: Bytes that uproot's error has.
_FEW = 4
_TAR = (257, b"ustar")
_ADVICE = {
    "table": "read it as a table, for instance with pandas, and give that to "
    "tn.Dataset.from_columns",
    "unpack": "unpack it, and name the ROOT files inside",
    "copy": "copy it again",
    "other": "name a ROOT file",
    "lfs": "fetch it with: git lfs pull",
    "annex": "fetch it with: git annex get",
    "page": "it may be a login or an error page; download the file again",
    "events": "convert it to a ROOT file",
}
#: Beginnings of texts, in small letters.
_TEXTS = (
    (re.compile(r"<!doctype html|<html|<head|<body|<!do$|<htm$"), "an HTML page", "page"),
    (re.compile(r"<leshouchesevents"), "a Les Houches event file", "events"),
    (re.compile(r"hepmc::"), "a HepMC event file", "events"),
    (re.compile(r"<\?xml|<[a-z]+[ >]"), "an XML document", "other"),
    (re.compile(r"[\[{]"), "a JSON document", "table"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
#: Share of characters that are none, up to which a file is a text: of another encoding, or cut.
_STRANGE = 0.1
_TITLE = re.compile(r"<title[^>]*>\s*([^<]{1,80}?)\s*</title>", re.IGNORECASE)
_SEPARATORS = {",": "a CSV file", "\t": "a file of tab-separated values", ";": "a CSV file"}
_FIRST_BYTES = re.compile(r"first four bytes are (b(?:'[^']*'|\"[^\"]*\"))")
_LISTED = 5
_HISTOGRAM = re.compile(r"T(?:H[123][A-Z]|Profile(?:[23]D)?|HnSparse\w?|HnT|Efficiency)\w*")
_CHAIN = "TChain"
#: Length of the longest string with one byte for its length, and the byte.
_LONGEST = 255
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")


def check_format(path: str, place: str) -> None:
    """Refuse a local file that is no ROOT file, or ends before its header says.

    Parameters
    ----------
    path : str
        As it was given, for the error.
    place : str
        Where it is.

    Raises
    ------
    DataError
        Saying what the file is, and what to do.
    """
    file = Path(place)
    if not file.is_file():
        return
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    size = file.stat().st_size
    if not head:
        raise DataError(f"{path} is empty: it has 0 bytes; copy it again")
    if not _is_root(head):
        raise DataError(f"{path} cannot be read as a ROOT file: it is {described(head)}")
    end = _end(head)
    if end is None:
        raise DataError(
            f"{path} is truncated: its header is cut off after {size} bytes; copy it again"
        )
    if size < end:
        raise DataError(f"{path} is truncated: it has {size} of {end} bytes; copy it again")


def described(head: bytes) -> str:
    """Name the format of a file by its first bytes, and advise on what to do with it."""
    if head.startswith(_ZIP) and b".npy" in head[:_NPZ]:
        return f"NumPy arrays (.npz); {_ADVICE['table']}"
    for magic, name, advice in _MAGIC:
        if head.startswith(magic) or (len(head) == _FEW and magic.startswith(head)):
            return f"{name}; {_ADVICE[advice]}"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return f"a tar archive; {_ADVICE['unpack']}"
    if not head.strip(b"\0"):
        return f"zeros, at least at its beginning; {_ADVICE['copy']}"
    text = _text(head)
    if text is None:
        return f"of another format, beginning with {head[:8]!r}; {_ADVICE['other']}"
    return _described_text(text)


def described_by_uproot(error: Exception) -> str:
    """Name the format of a remote file by its first bytes, if uproot's error has them."""
    match = _FIRST_BYTES.search(str(error))
    return described(ast.literal_eval(match[1])) if match else ""


def _is_root(head: bytes) -> bool:
    """Return True if a file begins like a ROOT file; a text may begin with the same word."""
    begin = int.from_bytes(head[8:12], "big")  # fBEGIN, where the first record is
    return _ROOT.startswith(head) or (head.startswith(_ROOT) and begin < _HEAD)


def _end(head: bytes) -> int | None:
    """The length of a ROOT file, as its header says; None if that is cut off."""
    if len(head) < _SHORTEST:
        return None
    version = int.from_bytes(head[4:8], "big")
    return int.from_bytes(head[12:20] if version >= 1_000_000 else head[12:16], "big")


def _text(head: bytes) -> str | None:
    """The beginning of a text; None if it is none."""
    encoding = "utf-16" if head[:2] in _UTF_16 else "utf-8-sig"
    text = head.decode(encoding, errors="replace")
    strange = sum(not (c.isprintable() or c in "\r\n\t\f") or c == "\ufffd" for c in text)
    return text.strip("\r\n ") if strange <= len(text) * _STRANGE else None


def _described_text(text: str) -> str:
    small = text.lower()
    for beginning, name, advice in _TEXTS:
        if beginning.match(small):
            title = _TITLE.search(text) if advice == "page" else None
            return f"{name}{f' ({title[1]!r})' if title else ''}; {_ADVICE[advice]}"
    first, *others = text.splitlines()
    for separator, name in _SEPARATORS.items():
        if _is_table(first, others, separator):
            return f"{name}; {_ADVICE['table']}"
    return f"a text that begins with {first[:40]!r}; {_ADVICE['other']}"


def _is_table(first: str, others: Sequence[str], separator: str) -> bool:
    """Return True if the lines have equal numbers of values; the last line may be cut off."""
    columns = first.count(separator)
    whole = others[:-1][:3]
    if not whole:
        return bool(columns) and f"{separator} " not in first
    return bool(columns) and all(line.count(separator) == columns for line in whole)


def check_closed(path: str, file: Any) -> None:
    """Refuse a file without a list of its keys: the program that wrote it never closed it.

    Parameters
    ----------
    path : str
        For the error.
    file : uproot.ReadOnlyDirectory
        The file, opened.

    Raises
    ------
    DataError
        Saying how ROOT may recover what was saved; opened for update, it may overwrite it.
    """
    if file.fSeekKeys or file.file.fSeekFree:
        return
    raise DataError(
        f"{path} was not closed by the program that wrote it, which was killed or still runs: "
        "its list of keys is missing, and nothing in it can be found; ROOT may recover the trees "
        "that it had saved on the way, and leaves the file as it is, with: "
        f"hadd recovered.root {Path(path).name}"
    )


def described_contents(file: Any) -> str:
    """Describe the contents of a file without trees, with advice on chains of files."""
    if saved := chains(file):
        return f"it holds {described_chain(file, saved[0])}"
    kinds = file.classnames(cycle=False)
    others = {name: kind for name, kind in kinds.items() if not kind.startswith("TDirectory")}
    if not others:
        return "it holds nothing"
    histograms = [name for name, kind in others.items() if _HISTOGRAM.fullmatch(kind)]
    rest = [name for name in others if name not in histograms]
    parts = []
    if histograms:
        noun = "histogram" if len(histograms) == 1 else "histograms"
        parts.append(f"{len(histograms)} {noun}, {_listed([repr(name) for name in histograms])}")
    if rest:
        more = f" and {len(rest) - _LISTED} more" if len(rest) > _LISTED else ""
        classes = _listed(sorted({others[name] for name in rest}))
        parts.append(f"{rest[:_LISTED]}{more} ({classes})")
    return f"it holds {', and '.join(parts)}"


def chains(file: Any) -> list[str]:
    """The saved TChains of a file, by name."""
    kinds = file.classnames(cycle=False)
    return [name for name, kind in kinds.items() if kind == _CHAIN]


def described_chain(file: Any, name: str) -> str:
    """A saved TChain: the files it lists, and that these are to be named."""
    return (
        f"the TChain {name!r}, which lists files and has no events itself"
        f"{_files_of(file, name)}: name those files instead"
    )


def _files_of(file: Any, name: str) -> str:
    """The names of the files, as far as they are found: uproot does not know a chain's elements."""
    try:
        content, _ = file.key(name).get_uncompressed_chunk_cursor()
    except Exception:  # it is damaged: the list is a help, no more
        return ""
    files = list(dict.fromkeys(_strings(bytes(content.raw_data), b".root")))
    return f" ({_listed(files)})" if files else ""


def _strings(content: bytes, end: bytes) -> Iterator[str]:
    """Strings with that ending; before each is a byte with its length."""
    for match in re.finditer(re.escape(end), content):
        before = content[max(0, match.end() - _LONGEST) : match.end()]
        for length in range(len(before) - 1, len(end), -1):
            text = before[-length:]
            if before[-length - 1] == length and _PRINTABLE.fullmatch(text):
                yield text.decode("ascii")
                break


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
