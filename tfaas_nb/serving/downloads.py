"""Downloads that clients have already, or go on with: entity tags and ranges.

Source: RFC 9110, sections 8.8.3, 13.1 and 14.
"""

from __future__ import annotations

import hashlib
import re

from tfaas_nb.errors import RangeNotSatisfiable
from tfaas_nb.serving.messages import Head, Response

NOT_MODIFIED = 304
_PARTIAL = 206
#: Of one range, from the first byte to the last, or the last so many; several are not answered.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def answer(head: Head, whole: Response) -> Response:
    """Answer a download with all of it, a part, or the word that the client has it already.

    Parameters
    ----------
    head : Head
        Head of the request.
    whole : Response
        The whole answer.

    Raises
    ------
    RangeNotSatisfiable
        If the part lies beyond the end.
    """
    tag = f'"{hashlib.sha256(whole.body).hexdigest()[:32]}"'
    headers = (*whole.headers, ("etag", tag), ("accept-ranges", "bytes"))
    whole = whole._replace(headers=headers)
    if _is_known(head.header(b"if-none-match"), tag):
        return whole._replace(status=NOT_MODIFIED)
    part = _part(head, tag, len(whole.body))
    if part is None:
        return whole
    told = f"bytes {part.start}-{part.stop - 1}/{len(whole.body)}"
    return whole._replace(
        status=_PARTIAL,
        body=whole.body[part.start : part.stop],
        headers=(*headers, ("content-range", told)),
    )


def _is_known(tags: str, tag: str) -> bool:
    """Return True if a client has what bears a tag; a weak one is as good for that."""
    known = [one.strip().removeprefix("W/") for one in tags.split(",")]
    return tag in known or known == ["*"]


def _part(head: Head, tag: str, size: int) -> range | None:
    """The bytes that a client asks for; None for all."""
    found = _RANGE.fullmatch(head.header(b"range"))
    if found is None or head.method != "GET" or head.header(b"if-range") not in ("", tag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if last and first and int(last) < int(first):
        return None  # it is no range
    if start >= size:
        raise RangeNotSatisfiable(
            f"the download has {size} bytes: there is no {found[0].strip()!r} of it", size
        )
    return range(start, stop)
