"""Bounds of archives: how much they may hold, and what their members may be called."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tfaas_nb.errors import BundleError, TooLarge

#: Unpacked bytes per packed one, once there are more than a sound archive may repeat.
MOST_RATIO = 100

MOST_MEMBERS = 64
MOST_BYTES = 512 << 20

_MAY_REPEAT = 32 << 20
_MOST_PATH = 255
#: A part of a member's path; `..` is told apart.
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.,@=+ -]{0,127}")


def may_unpack_to(packed: int) -> int:
    """Bytes that an archive of a size may hold, of any kind."""
    return max(_MAY_REPEAT, MOST_RATIO * packed)


def plain_path(name: str) -> PurePosixPath:
    """The path of a member within its archive.

    Raises
    ------
    BundleError
        If it leads out of the archive or is no plain name.
    """
    path = PurePosixPath(name)
    if ".." in path.parts or path.is_absolute():
        raise BundleError(f"the archive's member {name!r} points outside of it")
    if len(name) > _MOST_PATH or not all(map(_PART.fullmatch, path.parts)):
        raise BundleError(
            f"the archive's member {name[:_MOST_PATH]!r} has no plain name: use letters, digits "
            "and _ . , @ = + -"
        )
    return path


def too_large() -> TooLarge:
    """Error of an archive with too much in it."""
    return TooLarge(f"the archive holds more than {MOST_MEMBERS} members or {MOST_BYTES >> 20} MB")


def unpacks_too_much() -> TooLarge:
    """Error of an archive that unpacks to far more than it is."""
    return TooLarge(
        f"the archive unpacks to more than {MOST_RATIO} times its size: send it unpacked, as .tar"
    )


def member(name: str, found: dict[PurePosixPath, bytes]) -> PurePosixPath:
    """The path of a further member.

    Raises
    ------
    BundleError
        If it has no plain name, or there is such a member already.
    """
    path = plain_path(name)
    if path in found:
        raise BundleError(f"the archive has two members {name!r}")
    return path
