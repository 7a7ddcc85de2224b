"""Events of files, each read when it is asked for: the files may be larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from tfaas_nb.data.event_file import EventFile, Reading
from tfaas_nb.data.files import expand
from tfaas_nb.errors import DataError
from tfaas_nb.features import FeatureSet


class FileEvents:
    """The events of some files, by their position.

    Parameters
    ----------
    files : sequence of str
        Paths, globs and addresses; their events follow each other.
    features : FeatureSet
        What is read of an event.

    Raises
    ------
    DataError
        If a file is not there, cannot be read or lacks a feature, or none has an event.
    """

    def __init__(self, files: Sequence[str], features: FeatureSet) -> None:
        self.files = tuple(files)
        self.features = features
        self._reading = Reading(features, on_nan="skip")  # which event it is, is said here
        self._inputs = expand(list(files))
        counts = []
        for one in self._inputs:
            with EventFile(one, self._reading) as file:
                if file.entries:
                    file.events(0, 1)  # what it lacks is told at once
                counts.append(file.entries)
        self._ends = list(accumulate(counts))
        if not len(self):
            raise DataError(f"there is no event in {', '.join(files)}")

    def __len__(self) -> int:
        return self._ends[-1]

    def event(self, position: int) -> dict[str, float]:
        """Feature → value of an event.

        Raises
        ------
        DataError
            If there is no such event, its values are not finite, or its file cannot be read any
            more.
        """
        if not 0 <= position < len(self):
            raise DataError(f"there is no event {position}: there are 0 to {len(self) - 1}")
        number = next(i for i, end in enumerate(self._ends) if position < end)
        entry = position - (self._ends[number - 1] if number else 0)
        with EventFile(self._inputs[number], self._reading) as file:
            events = file.events(entry, entry + 1)
        if not len(events):
            names = (
                ", ".join(name for name, _ in events.not_finite.values) if events.not_finite else ""
            )
            raise DataError(
                f"event {position}, entry {entry} of {self._inputs[number]}, has values that are "
                f"not finite: {names}"
            )
        values = events.X[0]
        return dict(zip(self.features.names, map(float, values), strict=True))
