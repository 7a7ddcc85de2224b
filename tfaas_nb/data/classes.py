"""Samples of signal and background, with their files found."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfaas_nb.data.files import InputFile, check_trees, expand
from tfaas_nb.data.normalisation import Sample, Samples, samples
from tfaas_nb.data.reading import Reading, check_mapping
from tfaas_nb.errors import DataError


@dataclass(frozen=True)
class ClassSample:
    """A sample of a class, with its files found.

    Attributes
    ----------
    role : str
        ``"signal"``, ``"background"`` or ``"events"``.
    y : int
        Its class.
    sample : Sample
        As it was given.
    files : tuple of InputFile
        Its files.
    """

    role: str
    y: int
    sample: Sample
    files: tuple[InputFile, ...]

    def reading(self, reading: Reading) -> Reading:
        """The reading with the sample's own weight, if it has one."""
        own, sums = self.sample.weight, self.sample.sums_weights
        return replace(reading, weight=reading.weight if own is None else own, sums_weights=sums)


def to_read(
    classes: Sequence[tuple[str, int, Samples]], reading: Reading, may_share: bool = False
) -> list[ClassSample]:
    """The samples of classes, with their files found, and nothing to read of them for nobody.

    Raises
    ------
    DataError
        As `class_samples`, and if a variable is mapped to a branch that nothing uses.
    """
    wanted = class_samples(classes, reading.timeout, may_share, reading.tree)
    check_mapping([part.reading(reading) for part in wanted])
    return wanted


def class_samples(
    classes: Sequence[tuple[str, int, Samples]],
    timeout: float | None = None,
    may_share: bool = False,
    tree: str | None = None,
) -> list[ClassSample]:
    """The samples of classes (role, y, samples), with their files found.

    With `may_share`, a file that is signal and background is only warned of.  Two trees of one
    file have other events; `tree` is the one that is read where none was named with a file.

    Raises
    ------
    DataError
        If a file does not exist, or belongs to two samples: its events would count twice,
        or be signal and background at once.
    """
    found = [
        ClassSample(role, y, sample, tuple(expand(sample.files, timeout, tree)))
        for role, y, given in classes
        for sample in samples(given)
    ]
    check_trees((file for part in found for file in part.files), tree)
    owner: dict[tuple[str, str | None], ClassSample] = {}
    for part in found:
        for file in part.files:
            other = owner.setdefault(file.identity(tree), part)
            if other is part:
                continue
            if other.role == part.role:
                raise DataError(f"{file} is in two samples of {part.role}: leave it in one of them")
            both = f"{file} is in {other.role} and {part.role}"
            if not may_share:
                raise DataError(f"{both}: leave it in one of them")
            warnings.warn(f"{both}: nothing tells its events apart then", stacklevel=7)
    return found
