"""Requests to a cluster for scores, tested without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

import tfaas_nb as tn
from tfaas_nb.data import event_file
from tfaas_nb.data.files import InputFile
from tfaas_nb.data.reading import Reading
from tfaas_nb.errors import ServerUnreachable
from tfaas_nb.features import TTBAR_ALL_HADRONIC
from tfaas_nb.scoring import parts

SIGNAL, _ = tn.sample_files()


class Gone:
    """The scorer of a server that went away."""

    features = TTBAR_ALL_HADRONIC

    def scores(self, X: Any) -> Any:
        raise ServerUnreachable("the server has gone")

    def close(self) -> None:
        pass


def in_this_process(
    cluster: Any,
    function: Callable[[Any, Any], Any],
    items: Sequence[Any],
    opened: Callable[[], Any],
    named: Callable[[Any], str] = str,
) -> Iterator[Any]:
    """`spread` without a cluster."""
    work = opened()
    for item in items:
        yield function(work, item)


def test_the_reason_of_a_failure_is_what_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that there are no more results, which comes of it."""
    monkeypatch.setattr(parts, "spread", in_this_process)
    monkeypatch.setattr(event_file.steps, "__defaults__", (6_001,))
    source = parts.OnCluster(Reading(), Gone, None, [InputFile(SIGNAL)])
    with closing(source), pytest.raises(ServerUnreachable, match="the server has gone"):
        _read(source)


def _read(source: parts.OnCluster) -> None:
    with source.scored(InputFile(SIGNAL)) as (_, found):
        list(found)
