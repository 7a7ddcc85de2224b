"""Counts in Prometheus's text format."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tfaas_nb.serving.counts import EVENTS, SECONDS
from tfaas_nb.serving.snapshot import Snapshot, Spread

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Content type of `exposition`'s answer.
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def exposition(snapshot: Snapshot) -> bytes:
    """Write the metrics in the text format that a Prometheus server scrapes.

    Parameters
    ----------
    snapshot : Snapshot
        What was counted, by however many processes.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Counted(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _requests(snapshot)
            yield from _models(snapshot)
            yield from _process(snapshot)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counted())
    return generate_latest(registry)


def _requests(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    answers = CounterMetricFamily(
        "tfaas_requests", "Requests answered.", labels=("path", "method", "status")
    )
    for key, statuses in snapshot.answers.items():
        method, _, path = key.partition(" ")
        for status, count in statuses.items():
            answers.add_metric((path, method, status), count)
    yield answers
    seconds = HistogramMetricFamily(
        "tfaas_request_seconds", "From a whole request to its answer.", labels=("path",)
    )
    for path, spread in snapshot.seconds.items():
        seconds.add_metric((path,), _cumulative(SECONDS, spread), spread.total)
    yield seconds
    yield _counter("errors", "Answers that told an error, by its kind.", "kind", snapshot.errors)


def _models(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    yield _counter("predictions", "Events scored.", "model", snapshot.events)
    calls = HistogramMetricFamily("tfaas_batch_events", "Events per call of a model.")
    calls.add_metric((), _cumulative(EVENTS, snapshot.calls), snapshot.calls.total)
    yield calls
    yield CounterMetricFamily("tfaas_model_loads", "Models read from disk.", value=snapshot.loads)
    yield CounterMetricFamily(
        "tfaas_model_evictions", "Models that left memory for others.", value=snapshot.evictions
    )
    held = snapshot.held
    yield _gauge("tfaas_models_loaded", "Models in memory, of all workers.", held.models)
    yield _gauge("tfaas_models_bytes", "About what models in memory take.", held.model_bytes)


def _process(snapshot: Snapshot) -> Iterator[Metric]:
    """Under the names that Prometheus's own clients use, summed over the workers."""
    from prometheus_client.core import CounterMetricFamily

    yield _gauge(
        "tfaas_uptime_seconds", "Since the first worker started.", time.time() - snapshot.started
    )
    yield _gauge("tfaas_workers", "Worker processes.", snapshot.held.workers)
    yield CounterMetricFamily(
        "process_cpu_seconds", "Processor time of all workers.", value=snapshot.cpu_seconds
    )
    yield _gauge(
        "process_resident_memory_bytes", "Physical memory of all workers.", snapshot.held.rss
    )


def _counter(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"tfaas_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value=value)


def _cumulative(bounds: Sequence[float], spread: Spread) -> list[tuple[str, float]]:
    shown = [*(f"{bound:.10g}" for bound in bounds), "+Inf"]
    return list(zip(shown, itertools.accumulate(spread.buckets), strict=True))
