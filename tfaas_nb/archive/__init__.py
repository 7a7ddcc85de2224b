"""Archives of strangers: a model's folder as tar or zip, read within limits.

A tar may be compressed with gzip, bzip2 or xz.  Nothing is written to disk, and only regular
files are taken.  Files that file managers add by themselves are passed over.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import PurePosixPath

from tfaas_nb.archive import packed_zip, tar
from tfaas_nb.archive.bounds import MOST_RATIO, may_unpack_to, plain_path
from tfaas_nb.archive.content import Content
from tfaas_nb.errors import BundleError

__all__ = ["ENDINGS", "MOST_RATIO", "is_zip", "may_unpack_to", "members", "plain_path", "zip_names"]

#: How the names of archives end.
ENDINGS = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")

#: Names that macOS and Windows put beside other files, and what such names begin with.
_ADDED = frozenset({".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints"})
_ADDED_START = "._"

_TAR = ".tar or .tar.gz"
_FORMS = {b"BZh": ".tar.bz2", b"\xfd7zXZ": ".tar.xz", b"PK": f"{_TAR}, nor a whole .zip"}

is_zip = packed_zip.is_zip
zip_names = packed_zip.names


def members(data: bytes) -> tuple[str, dict[str, bytes]]:
    """The folder that an archive holds, empty if none, and its files by their path within.

    Raises
    ------
    BundleError
        If it is no whole archive, or a member is no regular file within it, or has no plain name.
    TooLarge
        If it holds too many or too large files, or unpacks to far more than it is.
    """
    try:
        if packed_zip.is_zip(data):
            whole = packed_zip.members(data)
        else:
            stream = Content(data)
            whole = tar.members(stream)
            stream.drain()
    except (ValueError, EOFError, zlib.error, struct.error, OSError) as error:
        form = next((form for start, form in _FORMS.items() if data.startswith(start)), _TAR)
        raise BundleError(f"the upload is not a whole {form}: {error}") from error
    found = {path: content for path, content in whole.items() if not _is_added(path)}
    folders = {path.parts[0] if len(path.parts) > 1 else "" for path in found}
    folder = folders.pop() if len(folders) == 1 else ""
    depth = 1 if folder else 0
    return folder, {"/".join(path.parts[depth:]): content for path, content in found.items()}


def _is_added(path: PurePosixPath) -> bool:
    return any(part in _ADDED or part.startswith(_ADDED_START) for part in path.parts)
