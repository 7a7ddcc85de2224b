"""Files of scores: a ROOT tree or a Parquet table, written piece by piece, there when whole.

One file for all events, or a folder with one for each file of events.
"""

from __future__ import annotations

import importlib
import re
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.arithmetic import exactly
from tfaas_nb.data.files import SCORES
from tfaas_nb.durable import check_file, check_folder
from tfaas_nb.errors import DataError, MissingExtra

#: Name of the tree in a ROOT file of scores.
TREE = SCORES

_PART = re.compile(r"\d{5,}-.*\.(root|parquet)")

Columns = Mapping[str, npt.NDArray[Any]]


class ScoreFile:
    """A file that appears under its name when the block that writes it ends well.

    Parameters
    ----------
    path : Path
        ``….root`` or ``….parquet``; what was there before is replaced.

    Raises
    ------
    DataError
        If the name ends otherwise, or the file cannot be written.
    MissingExtra
        If Parquet is asked for and pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._format = _format(path)
        self._written = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        self._sink: _Sink | None = None
        self._types: dict[str, np.dtype[Any]] = {}
        #: Columns to write if there is no event at all.
        self._empty: Columns | None = None

    def begin(self, number: int, source: str) -> None:
        """Ignore the beginning of another file of events: all go to one file."""

    def write(self, columns: Columns) -> None:
        """Add events: columns of equal length, the same names every time.

        Numbers of another type than the first events' are written as theirs, which must hold them:
        files of different kinds have event numbers of different types.
        """
        if not len(next(iter(columns.values()))):  # perhaps of a file that lacks some of them
            self._empty = self._empty or columns
            return
        self._types = self._types or {name: values.dtype for name, values in columns.items()}
        columns = {n: _as(values, self._types[n], n) for n, values in columns.items()}
        try:
            if self._sink is None:
                self._sink = self._format(self._written, columns)
            self._sink.write(columns)
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> ScoreFile:
        if not self.path.parent.is_dir():
            raise DataError(f"{self.path} cannot be written: there is no folder {self.path.parent}")
        check_file(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._sink is None and self._empty:
                self._sink = self._format(self._written, self._empty)
            if self._sink is not None:
                self._sink.close()
                if error is None:
                    self._written.replace(self.path)
        except OSError as failed:
            raise self._failed(failed) from failed
        finally:
            with suppress(OSError):
                self._written.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> DataError:
        return DataError(f"{self.path} cannot be written: {error.strerror or error}")


class ScoreFolder:
    """A folder of files of scores, one for each file of events, there when all are written.

    Parameters
    ----------
    path : Path
        The folder; an earlier one is replaced if it holds nothing but files of scores.
    form : str
        ``"root"`` or ``"parquet"``.

    Raises
    ------
    DataError
        If there is no such form, the folder holds something else, or cannot be written.
    MissingExtra
        If Parquet is asked for and pyarrow is not installed.
    """

    def __init__(self, path: Path, form: str) -> None:
        if f".{form}" not in _FORMATS:
            forms = " or ".join(repr(suffix[1:]) for suffix in _FORMATS)
            raise DataError(f"parts are {forms}, not {form!r}")
        self.path = path
        self._suffix = f".{form}"
        _format(path.with_name(f"{path.name}{self._suffix}"))
        self._written = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        self._part: ScoreFile | None = None

    def begin(self, number: int, source: str) -> None:
        """Begin a file for the scores of another file of events."""
        self._end_part()
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(source.partition("?")[0]).stem)
        self._part = ScoreFile(self._written / f"{number:05d}-{stem}{self._suffix}")
        self._part.__enter__()

    def write(self, columns: Columns) -> None:
        """Add events, as to a `ScoreFile`."""
        assert self._part is not None
        self._part.write(columns)

    def __enter__(self) -> ScoreFolder:
        if not self.path.parent.is_dir():
            raise DataError(f"{self.path} cannot be written: there is no folder {self.path.parent}")
        if foreign := self._foreign():
            raise DataError(
                f"{self.path} holds {foreign}, which is no file of scores: name another folder"
            )
        check_folder(self.path)
        self._written.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end_part(kind, error, traceback)
            if error is None:
                if self.path.is_dir():
                    shutil.rmtree(self.path)
                self._written.replace(self.path)
        except OSError as failed:
            raise DataError(f"{self.path} cannot be written: {failed}") from failed
        finally:
            shutil.rmtree(self._written, ignore_errors=True)

    def _end_part(self, *raised: Any) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.__exit__(*(raised or (None, None, None)))

    def _foreign(self) -> str | None:
        """The name of something in the folder that no `ScoreFolder` put there."""
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            return "a file"
        names = sorted(p.name for p in self.path.iterdir())
        return next((n for n in names if not _PART.fullmatch(n)), None)


class _Sink(Protocol):
    def write(self, columns: Columns) -> None: ...

    def close(self) -> None: ...


class _RootTree:
    def __init__(self, path: Path, columns: Columns) -> None:
        import uproot

        # In half the time of uproot's own choice, ZLIB: one process writes what many have scored.
        self._file = uproot.recreate(path, compression=uproot.ZSTD(1))
        self._tree = self._file.mktree(TREE, {name: c.dtype for name, c in columns.items()})

    def write(self, columns: Columns) -> None:
        self._tree.extend({name: _native(values) for name, values in columns.items()})

    def close(self) -> None:
        self._file.close()


class _ParquetTable:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
        self._writer = parquet.ParquetWriter(path, self._table(columns).schema)

    def _table(self, columns: Columns) -> Any:
        return self._arrow.table({name: _native(values) for name, values in columns.items()})

    def write(self, columns: Columns) -> None:
        self._writer.write_table(self._table(columns))

    def close(self) -> None:
        self._writer.close()


_FORMATS: dict[str, type[_RootTree] | type[_ParquetTable]] = {
    ".root": _RootTree,
    ".parquet": _ParquetTable,
}


def _format(path: Path) -> type[_RootTree] | type[_ParquetTable]:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise DataError(f"{path}: scores are written as {' or '.join(_FORMATS)}, by the name's end")
    if found is _ParquetTable:
        _pyarrow("pyarrow.parquet")
    return found


def _as(values: npt.NDArray[Any], wanted: np.dtype[Any], name: str) -> npt.NDArray[Any]:
    """Values in another type, if it holds each of them."""
    found = exactly(values, wanted)
    if found is None:
        raise DataError(
            f"the column {name!r} is {wanted} in the files before, which does not hold all its "
            f"values of {values.dtype}: score files with such values first, or by themselves"
        )
    return found


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert values to this machine's byte order, as the files' writers need."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _pyarrow(module: str) -> Any:
    # Not an import statement: mypy then asks for stubs, which pyarrow does not have.
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            "Parquet files need pyarrow: pip install 'tfaas-nb[arrow]', or write a .root file"
        ) from error
