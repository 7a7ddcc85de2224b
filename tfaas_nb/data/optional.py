"""Branches that only some files have: read as zero elsewhere, and said so."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

from tfaas_nb.data.event_file import EventFile, OptionalBranches
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError, TfaasError

_NAMED = 3  # files, in a warning


def check_optional(
    reading: Reading, files: Sequence[tuple[InputFile, OptionalBranches]], stacklevel: int
) -> None:
    """Refuse optional names that nothing reads or no file has; warn of files that lack branches.

    Parameters
    ----------
    reading : Reading
        What was read of the files.
    files : sequence of (InputFile, OptionalBranches)
        Files that were opened, and what each has of the optional branches.
    stacklevel : int
        Of the warning, as `warnings.warn` takes it, counted from here.

    Raises
    ------
    DataError
        Naming them.
    """
    told = [(file, own) for file, own in files if own.entries]
    found = {name for _, own in told for name in own.found}
    missing = {name for _, own in told for name in own.missing}
    for name in reading.optional if told else ():
        if name in found:
            continue
        if name not in missing:
            raise DataError(
                f"optional={name!r} is no branch to keep, and no branch or variable that a "
                "feature, the cut or the weight reads: leave it out"
            )
        raise DataError(
            f"the optional {name!r} is in none of {len(told)} files: leave out what reads it"
            f"{_hint(reading, name, told[0][0])}"
        )
    for branch in dict.fromkeys(branch for _, own in told for branch in own.lacking):
        names = [file.name for file, own in told if branch in own.lacking]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        warnings.warn(
            f"{branch!r} is read as 0 in {', '.join(names[:_NAMED])}{more}, of {len(told)} files",
            stacklevel=stacklevel + 1,
        )


def _hint(reading: Reading, name: str, file: InputFile) -> str:
    """Return the first file's error about a name that is not optional; it has the nearest name."""
    optional = tuple(other for other in reading.optional if other != name)
    try:
        with EventFile(file, replace(reading, optional=optional)):
            return ""
    except TfaasError as error:
        return f"; {error}".partition("; if only some files lack it")[0]
