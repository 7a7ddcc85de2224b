"""Counting of the events that pass a selection, with progress; no events are held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tfaas_nb.data.classes import to_read
from tfaas_nb.data.dataset import BACKGROUND, SIGNAL
from tfaas_nb.data.event_file import EventFile, steps
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.normalisation import Samples
from tfaas_nb.data.reading import Reading
from tfaas_nb.data.root import OnError
from tfaas_nb.errors import CutError, DataError

#: Entries looked at before numbers are told: some 50 ms.
_STEP = 50_000
_CLASSES = {"signal": SIGNAL, "background": BACKGROUND}


@dataclass(frozen=True)
class Count:
    """Events of a class.

    Attributes
    ----------
    files, read_files : int
        How many there are, and how many of them are read.
    entries : int
        Entries read.
    passed : int
        Those that pass the selection.
    weight : float
        Sum of the weights of these, not scaled to a cross-section.
    skipped : int
        Files that could not be read.
    """

    files: int
    read_files: int = 0
    entries: int = 0
    passed: int = 0
    weight: float = 0.0
    skipped: int = 0

    @property
    def fraction(self) -> float:
        """Fraction of the entries that pass; NaN without any."""
        return self.passed / self.entries if self.entries else float("nan")

    @property
    def is_whole(self) -> bool:
        """True if all files were read."""
        return self.read_files == self.files


def count(
    files: Mapping[str, Samples], reading: Reading, on_error: OnError = "stop"
) -> Iterator[Mapping[str, Count]]:
    """Count the events that `tfaas_nb.load` would read.

    Parameters
    ----------
    files : mapping
        ``"signal"``, ``"background"`` or both → files.
    reading : Reading
        What would be read: its cut is applied, its weight summed.
    on_error : {"stop", "skip"}
        Whether an unreadable file is an error.

    Yields
    ------
    mapping of str to Count
        What is known after each range of entries; the last is of all.  Reading ends when the
        iterator is closed.

    Raises
    ------
    DataError
        As `tfaas_nb.load`.

    Examples
    --------
    >>> for found in count({"signal": "ttbar.root"}, Reading(cut="nJets > 2")):  # doctest: +SKIP
    ...     print(found["signal"].passed)
    """
    if unknown := sorted(set(files) - set(_CLASSES)):
        raise DataError(f"there is no class {', '.join(unknown)}: name {' or '.join(_CLASSES)}")
    wanted = to_read([(role, _CLASSES[role], given) for role, given in files.items()], reading)
    found = {
        role: Count(sum(len(part.files) for part in wanted if part.role == role)) for role in files
    }
    for part in wanted:
        for file in part.files:
            before = found[part.role]
            try:
                for now in _of_file(file, part.reading(reading), before):
                    found = {**found, part.role: now}
                    yield found
                done = found[part.role]
            except CutError:
                raise
            except DataError:
                if on_error == "stop":
                    raise
                done = replace(before, skipped=before.skipped + 1)
            found = {**found, part.role: replace(done, read_files=before.read_files + 1)}
            yield found


def _of_file(place: InputFile, reading: Reading, before: Count) -> Iterator[Count]:
    now = before
    with EventFile(place, reading) as file:
        whole = reading.cut is None and not file.leaves_entries_out and reading.on_nan != "skip"
        if whole and not isinstance(reading.weight, str):
            n, weight = file.entries, 1.0 if reading.weight is None else reading.weight
            yield replace(
                now,
                entries=now.entries + n,
                passed=now.passed + n,
                weight=now.weight + n * weight,
            )
            return
        for start, stop in steps(file.entries, _STEP):
            events = file.events(start, stop)
            now = replace(
                now,
                entries=now.entries + stop - start,
                passed=now.passed + len(events),
                weight=now.weight + float(events.weight.sum(dtype=np.float64)),
            )
            yield now
