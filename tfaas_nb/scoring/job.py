"""`score`: files of events → a file of scores, in the memory of one range of entries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.event_file import EventFile, Events, steps
from tfaas_nb.data.files import Files, expand, identity
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.reading import Cut, Reading
from tfaas_nb.errors import DataError
from tfaas_nb.scoring.score_file import ScoreFile
from tfaas_nb.scoring.scorer import Model, Scorer, open_scorer
from tfaas_nb.table import Table

_SCORE = "score"
_FILE, _ENTRY = "file", "entry"
_POLICIES = ("stop", "skip")


@dataclass(frozen=True, repr=False)
class Scored:
    """What a scoring job did.

    Attributes
    ----------
    output : Path
        The file of scores.
    columns : tuple of str
        Its columns.
    files : tuple of (str, int, int)
        Each file with its entries and the events scored; its position is the column ``file``.
    skipped : tuple of (str, str)
        Files that could not be read to their end, and why; none of their events was written.
    """

    output: Path
    columns: tuple[str, ...]
    files: tuple[tuple[str, int, int], ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def events(self) -> int:
        """Events scored."""
        return sum(events for _, _, events in self.files)

    def __repr__(self) -> str:
        skipped = f", {len(self.skipped)} files skipped" if self.skipped else ""
        return (
            f"Scored({self.output.name}: {self.events} events of {len(self.files)} files, "
            f"columns {', '.join(self.columns)}{skipped})"
        )

    def _repr_html_(self) -> str:
        read = tuple((*file, "") for file in self.files)
        not_read = tuple((path, None, None, why) for path, why in self.skipped)
        columns = ("file", "entries", "scored", "")
        return Table(columns, (*read, *not_read), repr(self))._repr_html_()


def score(
    files: Files,
    model: Model,
    output: str | os.PathLike[str],
    *,
    tree: str | None = None,
    branches: Mapping[str, str] | None = None,
    objects: Objects | None = None,
    cut: str | Cut | None = None,
    keep: tuple[str, ...] = (),
    on_error: str = "stop",
    token: str | None = None,
    progress: bool = True,
) -> Scored:
    """Score every event of files and write the scores, keyed by event, to a file.

    Parameters
    ----------
    files : path, glob, address, or list of them
        ROOT files of any layout that `load` reads.
    model : Bundle, Classifier, path, or str
        A bundle, its folder or archive, or ``http://HOST:PORT/models/NAME`` on a server.
    output : path
        ``….root`` (tree ``scores``) or ``….parquet``.  Columns: run, section and event as the
        files name them, where they have them; ``file``, the position of the file in the
        result's ``files``, and ``entry``, that of the event in its tree; the branches of
        `keep`; and ``score``, float32, or ``score_0``, ``score_1``, ... of several outputs.
    tree, branches, objects, cut
        As for `load`.
    keep : tuple of str
        Further branches with one number per event to write.
    on_error : str
        ``"stop"`` at a file that cannot be read, or ``"skip"`` it and list it in the result.
    token : str, optional
        What the server asks for.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Scored
        The events of each file, in the order of files and entries as they are written.

    Raises
    ------
    DataError
        If a file cannot be read or the output not written; nothing is left of it then.
    FeatureError
        If the model does not tell what it reads.
    TfaasError
        Whatever the model or its server says.
    """
    if on_error not in _POLICIES:
        raise DataError(f"on_error is {_POLICIES[0]!r} or {_POLICIES[1]!r}, not {on_error!r}")
    paths, target = expand(files), Path(output)
    if identity(str(target)) in map(identity, paths):
        raise DataError(f"{target} is one of the files to score: give another name")
    with closing(open_scorer(model, token)) as scorer:
        reading = Reading(scorer.features, tree, branches or {}, cut, None, tuple(keep), objects)
        job = _Job(paths, reading, scorer, on_error == "skip", progress)
        with ScoreFile(target) as sink:
            return job.run(sink)


class _Job:
    def __init__(
        self, paths: list[str], reading: Reading, scorer: Scorer, skips: bool, progress: bool
    ) -> None:
        self.paths, self.reading, self.scorer = paths, reading, scorer
        self.skips, self.progress = skips, progress
        self.keys: tuple[str, ...] | None = None
        self.columns: tuple[str, ...] = ()
        self.done: list[tuple[str, int, int]] = []
        self.skipped: list[tuple[str, str]] = []

    def run(self, sink: ScoreFile) -> Scored:
        from tqdm.auto import tqdm

        with tqdm(desc="scoring", unit="event", unit_scale=True, disable=not self.progress) as bar:
            for path in self.paths:
                try:
                    self._file(path, sink, bar)
                except DataError as error:
                    if not self.skips:
                        raise
                    self.skipped.append((path, str(error)))
        if not self.done:
            raise DataError(f"no file could be read; the first: {self.skipped[0][1]}")
        return Scored(sink.path, self.columns, tuple(self.done), tuple(self.skipped))

    def _file(self, path: str, sink: ScoreFile, bar: Any) -> None:
        with EventFile(path, self._reading_of(path)) as file:
            entries = file.entries
            bar.total = (bar.total or 0) + entries
            parts = self._parts(file, bar)
            # A file that may be skipped is read to its end before any of it is written.
            whole = list(parts) if self.skips else parts
            written = sum(self._write(part, sink) for part in whole)
        self.done.append((path, entries, written))

    def _reading_of(self, path: str) -> Reading:
        """With the branches that tell events apart: those of the first file, for all files."""
        if self.keys is None:
            with EventFile(path, self.reading) as first:
                self.keys = first.event_id
        return replace(self.reading, keep=tuple(dict.fromkeys((*self.keys, *self.reading.keep))))

    def _parts(self, file: EventFile, bar: Any) -> Iterator[dict[str, npt.NDArray[Any]]]:
        for start, stop in steps(file.entries):
            yield self._scored(file.events(start, stop))
            bar.update(stop - start)

    def _scored(self, events: Events) -> dict[str, npt.NDArray[Any]]:
        scores = self.scorer.scores(events.X)
        outputs = scores.shape[1]
        names = [_SCORE] if outputs == 1 else [f"{_SCORE}_{i}" for i in range(outputs)]
        made: dict[str, npt.NDArray[Any]] = {
            _FILE: np.full(len(events), len(self.done), dtype=np.int32),
            _ENTRY: events.entry,
            **{name: scores[:, i] for i, name in enumerate(names)},
        }
        if both := made.keys() & events.extra.keys():
            raise DataError(f"the branch {min(both)!r} to keep is called as a column of the scores")
        return {**events.extra, **made}

    def _write(self, columns: dict[str, npt.NDArray[Any]], sink: ScoreFile) -> int:
        self.columns = tuple(columns)
        sink.write(columns)
        return len(columns[_ENTRY])
