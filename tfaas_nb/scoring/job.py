"""`score`: files of events → a file of scores, in the memory of one range of entries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.data import units
from tfaas_nb.data.event_file import OptionalBranches
from tfaas_nb.data.files import Files, InputFile, expand, identity
from tfaas_nb.data.finite import NonFinite, OnNan, summary
from tfaas_nb.data.optional import check_optional
from tfaas_nb.data.origins import Objects
from tfaas_nb.data.reading import Cut, Reading, branch_names, check_mapping
from tfaas_nb.errors import CutError, DataError, MixedFilesError
from tfaas_nb.options import check_flag, check_option
from tfaas_nb.scoring.parts import Here, OnCluster, Part, Source
from tfaas_nb.scoring.score_file import ScoreFile, ScoreFolder
from tfaas_nb.scoring.scorer import Model, given, open_scorer
from tfaas_nb.table import Table

_POLICIES = ("stop", "skip")


@dataclass(frozen=True, repr=False)
class Scored:
    """Result of a scoring job.

    Attributes
    ----------
    output : Path
        The file of scores, or the folder of such files.
    columns : tuple of str
        Its columns.
    files : tuple of (str, int, int)
        Each file with its entries and the events scored; its position is the column ``file``.
    skipped : tuple of (str, str)
        Files that could not be read to their end, and why; none of their events was written.
    not_finite : tuple of (str, NonFinite)
        Files with events whose values were not finite, and what became of these.
    absent : tuple of (str, tuple of str)
        Files that lack optional branches, and those, which were read as zero.
    """

    output: Path
    columns: tuple[str, ...]
    files: tuple[tuple[str, int, int], ...]
    skipped: tuple[tuple[str, str], ...] = ()
    not_finite: tuple[tuple[str, NonFinite], ...] = ()
    absent: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def events(self) -> int:
        """Events scored."""
        return sum(events for _, _, events in self.files)

    def __repr__(self) -> str:
        skipped = f", files skipped: {len(self.skipped)}" if self.skipped else ""
        treated = summary(one for _, one in self.not_finite)
        return (
            f"Scored({self.output.name}: {self.events} events of {len(self.files)} files, "
            f"columns {', '.join(self.columns)}{treated}{skipped})"
        )

    def _repr_html_(self) -> str:
        notes = {path: str(one) for path, one in self.not_finite}
        for path, branches in self.absent:
            zero = f"{', '.join(branches)} read as 0"
            notes[path] = f"{notes[path]}; {zero}" if path in notes else zero
        read = tuple((*file, notes.get(file[0], "")) for file in self.files)
        not_read = tuple((path, None, None, why) for path, why in self.skipped)
        columns = ("file", "entries", "scored", "")
        return Table(columns, (*read, *not_read), repr(self))._repr_html_()


@checked_calls(DataError)
def score(
    files: Files,
    model: Model,
    output: str | os.PathLike[str],
    *,
    tree: str | None = None,
    branches: Mapping[str, str] | None = None,
    objects: Objects | None = None,
    cut: str | Cut | None = None,
    keep: Sequence[str] = (),
    optional: Sequence[str] = (),
    on_error: str = "stop",
    on_nan: OnNan | None = None,
    token: str | None = None,
    progress: bool = True,
    parts: str | None = None,
    cluster: Any = None,
) -> Scored:
    """Score every event of files and write the scores, keyed by event, to a file.

    Parameters
    ----------
    files : path, glob, address, mapping, or list of them
        ROOT files of any layout that `load` reads, perhaps with their trees, as `load` takes them.
    model : Bundle, Classifier, path, or str
        A bundle, its folder or archive, or ``http://HOST:PORT/models/NAME`` on a server.
    output : path
        ``….root`` (tree ``scores``) or ``….parquet``.  Columns: run, section and event as the
        first file with events names them, where it has them; ``file``, the position of the
        file in the result's ``files``, and ``entry``, that of the event in its tree; the
        branches of `keep`; and ``score``, float32, or ``score_0``, ``score_1``, ... of several
        outputs.
    tree, branches, objects, cut
        As for `load`.
    keep : sequence of str
        Further branches with one number per event to write.
    optional : sequence of str
        Branches that some of the files may lack, as for `load`; also those of run, section and
        event.
    on_error : str
        ``"stop"`` at a file that cannot be read, or ``"skip"`` it and list it in the result.
    on_nan : {"error", "skip", "pad"}, optional
        Treatment of events with values that are not finite, as for `load`: an error, no
        score, or that of the event without the jet or value.  By default it is that of the
        model's training where its ``params.json`` tells one, and else an error.
    token : str, optional
        What the server asks for.
    progress : bool
        Show a progress bar.
    parts : str, optional
        ``"root"`` or ``"parquet"``: `output` is a folder, with one file of scores for each file
        of events, named by its position and its name: ``00000-ttbar.root``.
    cluster : distributed.Client, optional
        Of a Dask cluster whose workers read and score, ranges of entries at a time; they must
        reach the files, and the server if one is asked.  What is written is the same.

    Returns
    -------
    Scored
        The events of each file, in the order of files and entries as they are written.

    Raises
    ------
    DataError
        If a file cannot be read or the output not written; nothing is left of it then.
    MixedFilesError
        If only some of the files have one of run, section and event, in whatever order they are
        named, and it is not `optional`.
    FeatureError
        If the model does not tell what it reads.
    ClusterError
        If the cluster went away, or lost worker after worker with the same events.
    TfaasError
        Whatever the model or its server says.
    """
    check_flag("progress", progress, DataError)
    check_option("token", token, token is None or isinstance(token, str), "text", DataError)
    if not isinstance(on_error, str) or on_error not in _POLICIES:
        raise DataError(f"on_error is {_POLICIES[0]!r} or {_POLICIES[1]!r}, not {on_error!r}")
    right = isinstance(output, (str, os.PathLike))
    check_option("output", output, right, "the path of the file to write", DataError)
    inputs, target = expand(files, tree=tree), Path(output)
    if identity(str(target)) in (identity(file.path) for file in inputs):
        raise DataError(f"{target} is one of the files to score: give another name")
    writer = _sink(target, parts)  # which refuses a wrong name before the model is loaded
    with closing(open_scorer(model, token)) as scorer:
        mapping, kept = {} if branches is None else branches, branch_names(keep, "keep")
        reading = Reading(
            scorer.features,
            tree,
            mapping,
            cut,
            None,
            kept,
            objects,
            on_nan=cast(OnNan, scorer.on_nan) if on_nan is None else on_nan,
            optional=branch_names(optional, "optional"),
        )
        check_mapping([reading])
        with writer as sink:
            source: Source = Here(reading, scorer, inputs)
            if cluster is not None:
                source = OnCluster(reading, given(model, token), cluster, inputs)
            with closing(source):
                return _Job(inputs, reading, source, on_error == "skip", progress).run(sink)


def _sink(target: Path, parts: str | None) -> ScoreFile | ScoreFolder:
    return ScoreFile(target) if parts is None else ScoreFolder(target, parts)


class _Job:
    def __init__(
        self,
        inputs: list[InputFile],
        reading: Reading,
        source: Source,
        skips: bool,
        progress: bool,
    ) -> None:
        self.inputs, self.reading, self.source = inputs, reading, source
        self.skips, self.progress = skips, progress
        self.columns: tuple[str, ...] = ()
        self.done: list[tuple[str, int, int]] = []
        self.skipped: list[tuple[str, str]] = []
        self.not_finite: list[tuple[str, NonFinite]] = []
        self.doubts: dict[str, str] = {}
        self.optional: list[tuple[InputFile, OptionalBranches]] = []

    def run(self, sink: ScoreFile | ScoreFolder) -> Scored:
        from tqdm.auto import tqdm

        with tqdm(desc="scoring", unit="event", unit_scale=True, disable=not self.progress) as bar:
            for file in self.inputs:
                try:
                    self._file(file, sink, bar)
                except (CutError, MixedFilesError):
                    raise
                except DataError as error:
                    if not self.skips:
                        raise
                    self.skipped.append((str(file), str(error)))
        units.warn(self.doubts, stacklevel=4)
        if not self.done:
            raise DataError(f"no file could be read; the first: {self.skipped[0][1]}")
        check_optional(self.reading, self.optional, stacklevel=4)
        absent = tuple((str(file), own.lacking) for file, own in self.optional if own.lacking)
        skipped, treated = tuple(self.skipped), tuple(self.not_finite)
        return Scored(sink.path, self.columns, tuple(self.done), skipped, treated, absent)

    def _file(self, file: InputFile, sink: ScoreFile | ScoreFolder, bar: Any) -> None:
        with self.source.scored(file) as scored:
            entries, parts = scored.entries, scored.parts
            bar.total = (bar.total or 0) + entries
            # A file that may be skipped is read to its end before any of it is written.
            whole = list(parts) if self.skips else parts
            sink.begin(len(self.done), file.path)
            treated: list[NonFinite | None] = []
            written = 0
            for part in whole:
                written += self._write(part, sink, bar)
                treated.append(part.not_finite)
                self.doubts[str(file)] = self.doubts.get(str(file)) or part.doubt
        self.done.append((str(file), entries, written))
        self.optional.append((file, scored.optional))
        if found := NonFinite.joined(treated):
            self.not_finite.append((str(file), found))

    def _write(self, part: Part, sink: ScoreFile | ScoreFolder, bar: Any) -> int:
        columns = part.columns(len(self.done))
        self.columns = tuple(columns)
        sink.write(columns)
        bar.update(part.entries)
        return len(part.entry)
