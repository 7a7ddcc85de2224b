"""Files of a stream, opened once to see what there is in each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tfaas_nb.data.event_file import EventFile
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.normalisation import Sample
from tfaas_nb.data.passes import Faults, StreamedFile
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import DataError
from tfaas_nb.options import bytes_in, check_option, is_number

#: Seconds before a progress bar appears.
BAR_AFTER = 1.0
_OPENING_THREADS = 4


@dataclass(frozen=True)
class Wanted:
    """A file to be streamed.

    Attributes
    ----------
    file : InputFile
        Local path or address, perhaps with its tree.
    role : str
        ``"signal"``, ``"background"`` or ``"events"``.
    y : int
        Class of its events.
    reading : Reading
        What to read of it.
    sample : int
        Number of the sample that it belongs to.
    """

    file: InputFile
    role: str
    y: int
    reading: Reading
    sample: int = 0


@dataclass
class Shared:
    """Settings that all parts of a stream have in common."""

    faults: Faults
    memory: float
    progress: bool
    scaling: Sequence[Sample | None]
    factors: dict[int, float] = field(default_factory=dict)
    knows_units: bool = False

    @property
    def is_scaled(self) -> bool:
        """True if the factors of all samples are known."""
        needed = {number for number, sample in enumerate(self.scaling) if sample is not None}
        return needed <= set(self.factors)


def opened(wanted: Sequence[Wanted], shared: Shared) -> tuple[StreamedFile, ...]:
    """Open all files to learn their trees, entries and sums of weights; return them in order."""
    from tqdm.auto import tqdm

    stop = threading.Event()

    def look(number: int) -> StreamedFile | None:
        one = wanted[number]
        sample = shared.scaling[one.sample]
        with (
            shared.faults.of(str(one.file), one.role, stop.is_set),
            EventFile(one.file, one.reading, stop.is_set) as file,
        ):
            generated = file.generated(sample.sum_weights is not None) if sample else None
            return StreamedFile(
                number, one.file, one.role, one.y, file.tree, file.entries, file.uuid, one.reading,
                one.sample, generated, file.optional, file.leaves_entries_out,
            )  # fmt: skip
        return None

    with ThreadPoolExecutor(_OPENING_THREADS, thread_name_prefix="tfaas-nb opening") as threads:
        try:
            looks = threads.map(look, range(len(wanted)))
            bar = tqdm(
                looks,
                total=len(wanted),
                desc="opening",
                unit="file",
                disable=not shared.progress,
                delay=BAR_AFTER,
            )
            return tuple(file for file in bar if file is not None)
        except BaseException:
            stop.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def megabytes(memory: Any) -> float:
    """Return an amount of memory in 10⁶ bytes, from their number or text such as ``500MB``.

    Raises
    ------
    DataError
        If it is neither, or not positive.
    """
    size = bytes_in(memory) if isinstance(memory, str) else None
    number = memory if size is None else size / 1e6
    right = is_number(number) and number > 0
    wanted = "a positive number of megabytes, or text such as '500MB' or '2GB'"
    check_option("memory", memory, right, wanted, DataError)
    return float(number)
