"""Files that events were read from, and those that were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tfaas_nb.data.finite import NonFinite
from tfaas_nb.errors import DataError


@dataclass(frozen=True)
class Source:
    """A file that events were read from.

    Attributes
    ----------
    file : str
        File name, without its folder.
    role : str
        ``"signal"``, ``"background"`` or ``"events"``; ``"signal and background"`` of a table
        with both.
    tree : str
        Tree within the file; empty for a table.
    events : int
        Events kept.
    sha256 : str
        Hash of the file's content; empty for files over a network, and where all files
        together are larger than 1 GiB.
    entries : int
        Entries of the tree, before the selection.
    uuid : str
        The identifier that ROOT gave the file when it was written.
    not_finite : NonFinite or None
        What became of selected events with values that are not finite; None if there was none.
    absent : tuple of str
        Optional branches that the file lacks: they were read as zero.
    """

    file: str
    role: str
    tree: str
    events: int
    sha256: str = ""
    entries: int = 0
    uuid: str = ""
    not_finite: NonFinite | None = None
    absent: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Sentence on what was done to its values; empty if nothing was."""
        zero = f"{', '.join(self.absent)} read as 0" if self.absent else ""
        return "; ".join(filter(None, (str(self.not_finite or ""), zero)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was done to its values is there if something was."""
        values = asdict(self)
        if self.not_finite:
            values["not_finite"]["values"] = dict(self.not_finite.values)
        else:
            del values["not_finite"]
        return values if self.absent else {k: v for k, v in values.items() if k != "absent"}


@dataclass(frozen=True)
class Skipped:
    """A file that was asked for and not read.

    Attributes
    ----------
    file : str
        As it was named.
    role : str
        ``"signal"``, ``"background"`` or ``"events"``.
    reason : str
        What was wrong with it.
    """

    file: str
    role: str
    reason: str


def check_left(role: str, sources: Sequence[Source], skipped: Sequence[Skipped]) -> None:
    """Refuse a class without events that has lost files or events on the way.

    Parameters
    ----------
    role : str
        ``"signal"``, ``"background"`` or ``"events"``.
    sources : sequence of Source
        Its files that were read.
    skipped : sequence of Skipped
        Those that were not.

    Raises
    ------
    DataError
        Naming what was lost.
    """
    lost = [source for source in sources if source.not_finite]
    if any(source.events for source in sources) or not (skipped or lost):
        return
    reasons = [one.reason for one in skipped[:3]]
    reasons += [f"{source.file}: {source.not_finite}" for source in lost[:3]]
    what = f"of {len(sources) + len(skipped)} files, {len(skipped)} skipped"
    raise DataError(f"no event of {role} is left ({what}): {'; '.join(reasons)}")
