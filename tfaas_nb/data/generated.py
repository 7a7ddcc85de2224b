"""Sums of weights of all events that were generated, whatever was skimmed since.

NanoAOD's tree ``Runs`` keeps the sum of ``genWeight`` (``genEventSumw``) and the number of events
(``genEventCount``) from before any skim.  They are the sum of an event weight that is a constant
times ``genWeight``, or a constant.  Of any other weight the sum is that over the entries of the
file, and right if no event was skimmed: if the tree has as many entries as were generated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfaas_nb.data.branches import Types
from tfaas_nb.data.origins import Branch
from tfaas_nb.data.plan import OfEvent, Plan
from tfaas_nb.errors import WeightError

_RUNS = "Runs"
_SUM_OF_WEIGHTS = ("genEventSumw", "genEventSumw_")
_COUNT = ("genEventCount", "genEventCount_")
#: NanoAOD's weight of the generator.
GENERATOR_WEIGHT = "genWeight"

#: Kinds of sums, as errors call them; those of different kinds are never added.
_OF_WEIGHTS = f"the sum of {GENERATOR_WEIGHT} in {_RUNS}"
_OF_EVENTS = f"the number of generated events in {_RUNS}"
_OF_ALL = f"the sum over its entries, all that were generated, as {_RUNS} says"
_OF_ENTRIES = f"the sum over its entries, as it has no {_RUNS} that tells what was generated"

_WAY_ON = (
    "say sum_weights=, the sum of the weights of all events that were generated "
    "(Sample(..., sum_weights=) in Python, --signal-sum-weights or --background-sum-weights)"
)


@dataclass(frozen=True)
class Generated:
    """Sum of the weights of the events that were generated for a file.

    Attributes
    ----------
    path : str
        The file.
    kind : str
        How the sum is known, in words.
    total : float or None
        The sum; None if it is that over the entries of the tree.
    problem : str
        Why no sum is right, in words; empty if one is.
    signs : tuple of bool
        Whether there are negative and positive ``genWeight``, where events count without it.
    """

    path: str
    kind: str = ""
    total: float | None = None
    problem: str = ""
    signs: tuple[bool, bool] = (False, False)

    @property
    def is_over_entries(self) -> bool:
        """True if the sum is over the entries of the tree."""
        return self.total is None and not self.problem


@dataclass(frozen=True)
class Runs:
    """Sums over NanoAOD's tree of runs; None where it does not tell.

    Attributes
    ----------
    weights : float or None
        Sum of ``genWeight`` over the events that were generated.
    events : float or None
        Number of these events.
    """

    weights: float | None = None
    events: float | None = None

    @classmethod
    def of(cls, file: Any) -> Runs:
        """Read the sums over NanoAOD's tree of runs from an open file."""
        if _RUNS not in file.keys(cycle=False, recursive=False):
            return cls()
        tree = file[_RUNS]
        branches = Types(tree)

        def total(names: tuple[str, ...]) -> float | None:
            name = next((name for name in names if name in branches), None)
            if name is None:
                return None
            # As awkward: uproot 5.6 takes a field of an RNTuple in no other way.
            return float(np.asarray(tree[name].array(library="ak")).sum(dtype=np.float64))

        return cls(total(_SUM_OF_WEIGHTS), total(_COUNT))

    def account(self, path: str, plan: Plan, entries: int) -> Generated:
        """Sum of a plan's weight over the events that were generated for a file.

        Parameters
        ----------
        path : str
            The file.
        plan : Plan
            How it is read.
        entries : int
            Entries of the tree that is read.
        """
        if self.weights is None and self.events is None:
            return Generated(path, _OF_ENTRIES)
        if self.events is not None and self.events < entries:
            counted = f"{_RUNS} counts {self.events:.0f} generated events"
            return Generated(path, problem=f"its tree has {entries} entries, but {counted}")
        constant, factor = _constant(plan), _multiple(plan)
        if constant is not None and self.events is not None:
            return Generated(path, _OF_EVENTS, constant * self.events)
        if factor is not None and self.weights is not None:
            return Generated(path, _OF_WEIGHTS, factor * self.weights)
        return Generated(path, _OF_ALL, problem=self._skimmed(plan.reading.weight, entries))

    def _skimmed(self, weight: str | float | None, entries: int) -> str:
        """Explain why a sum over entries is not one over all generated events; empty if it is."""
        if self.events == entries:
            return ""
        what = "1 for each event" if weight is None else repr(weight)
        if self.events is None:
            return (
                f"{_RUNS} tells the sum of {GENERATOR_WEIGHT} and not the number of events, so "
                f"that nobody knows if the {entries} entries are all over which to sum {what}"
            )
        return (
            f"it was skimmed: {entries} of {self.events:.0f} generated events are left, and "
            f"{_RUNS} does not tell the sum of {what} over those that are not"
        )


def _constant(plan: Plan) -> float | None:
    """The weight, if it is a number, written as one or as an expression."""
    weight = plan.reading.weight
    if weight is None or not isinstance(weight, str):
        return 1.0 if weight is None else float(weight)
    return plan.weight.constant if plan.weight else None


def _multiple(plan: Plan) -> float | None:
    """The constant of a weight that is a constant times ``genWeight``; None of any other."""
    if plan.weight_branch:
        return 1.0 if _is_generator_weight(plan.weight_branch) else None
    names = plan.weight.names if plan.weight else ()
    if plan.weight is None or len(names) != 1:
        return None
    match plan.terms[names[0]]:
        case OfEvent(origin=Branch(name=branch)) if _is_generator_weight(branch):
            return plan.weight.multiple_of(names[0])
    return None


def _is_generator_weight(branch: str) -> bool:
    return re.split("[/.]", branch)[-1] == GENERATOR_WEIGHT


def signs(parts: Iterable[npt.NDArray[Any]]) -> tuple[bool, bool]:
    """Tell if there are negative and positive numbers; look no further than needed."""
    negative = positive = False
    for values in parts:
        negative = negative or bool((values < 0).any())
        positive = positive or bool((values > 0).any())
        if negative and positive:
            break
    return negative, positive


def check_sums(files: Sequence[Generated]) -> None:
    """Refuse files of a sample whose sums of weights are not known, or of different kinds.

    Raises
    ------
    WeightError
        Naming the file, and the way on.
    """
    for file in files:
        if file.problem:
            raise WeightError(f"{file.path}: {file.problem}; {_WAY_ON}")
        if file.kind != files[0].kind:
            raise WeightError(
                f"the sums of weights of two files of a sample cannot be added: of {files[0].path} "
                f"{files[0].kind} is known, of {file.path} {file.kind}; {_WAY_ON}"
            )
