"""Trial of a model with events of zeros, before it is stored or served."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tfaas_nb.errors import GraphError
from tfaas_nb.signature import Array, Signature

#: What axes of unknown length are tried with: convolutions want more than a point.
_LENGTHS = (1, 32, 224)
_MOST_NUMBERS = 1 << 24


def try_out(
    signature: Signature, run: Callable[[Mapping[str, Array]], Mapping[str, Array]]
) -> None:
    """Ask a model about one event of zeros, and about two.

    Raises
    ------
    GraphError
        If it takes too much, fails, or does not answer each event with its own numbers.
    """
    failure: GraphError | None = None
    for unknown in _LENGTHS if _varies(signature) else _LENGTHS[:1]:
        _check_size(signature, unknown)
        try:
            for events in (1, 2):
                check_rows(run(signature.probe(events, unknown)), events)
        except GraphError as error:
            failure = failure or _explained(signature, error)
        else:
            return
    raise failure or GraphError("the model cannot be run")


def _explained(signature: Signature, error: GraphError) -> GraphError:
    """The error of a trial, and its likely reason if the file does not tell the model's width."""
    if [tensor.shape for tensor in signature.inputs] != [(None,)]:
        return error
    return GraphError(
        f"{error}; the file does not tell how many values the model takes of an event, and one was "
        "tried: name its features (?features=a,b,c, features=[...] or params.json)"
    )


def check_rows(outputs: Mapping[str, Array], events: int) -> None:
    """Refuse an answer that does not have a row per event.

    Raises
    ------
    GraphError
        Naming the output.
    """
    for name, values in outputs.items():
        if not values.ndim or len(values) != events:
            noun = "one event" if events == 1 else f"{events} events"
            raise GraphError(f"the graph answers {noun} with shape {values.shape} in {name!r}")


def _varies(signature: Signature) -> bool:
    """Return True if lengths other than the width of a plain row are unknown."""
    return any(len(tensor.shape) > 1 and tensor.size is None for tensor in signature.inputs)


def _check_size(signature: Signature, unknown: int) -> None:
    for tensor in signature.inputs:
        numbers = math.prod(unknown if n is None else n for n in tensor.shape)
        if numbers > _MOST_NUMBERS:
            raise GraphError(f"the graph takes {numbers} numbers per event: too many")
