"""Trainings on workers of a real cluster."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfaas_nb as tn
from tests import dask
from tfaas_nb.bundle import Bundle
from tfaas_nb.classifier import Classifier
from tfaas_nb.data.dataset import Dataset
from tfaas_nb.engines import open_engine
from tfaas_nb.errors import BundleError, ClusterError, DataError, TrainingError
from tfaas_nb.training_job import _Made, _Progress
from tfaas_nb.widgets.job_panel import JobPanel

QUICK: dict[str, Any] = {"hidden": (8,), "embedding": (), "members": 1, "seed": 3}
LONG: dict[str, Any] = QUICK | {"epochs": 5000, "patience": 5000}

pytestmark = pytest.mark.slow


def scores(bundle: Bundle, events: Dataset) -> Any:
    engine = open_engine(bundle.graph)
    try:
        return engine(events.X)[:, 0]
    finally:
        engine.close()


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_bundle_is_that_of_a_training_here(two: Any, events: Dataset, unseen: Dataset) -> None:
    classifier = Classifier(epochs=3, **QUICK)
    job = tn.train_on(two, events, "ttbar", classifier=classifier, test=unseen)
    panel = JobPanel(job)
    bundle = job.result(120)
    here = Classifier(epochs=3, **QUICK).fit(events, progress=False)
    assert np.abs(scores(bundle, unseen) - here.predict(unseen)).max() <= 1e-6
    auc = here.evaluate(unseen).auc
    assert bundle.card["evaluation"]["auc"] == pytest.approx(auc, abs=1e-6)
    assert bundle.params.working_points
    assert (job.state, bundle.name, job.name) == ("finished", "ttbar", "ttbar")
    assert job.result() is bundle
    assert [e.number for e in job.epochs] == [1, 2, 3]
    assert job.history.epochs == job.epochs
    assert repr(classifier) == "Classifier(not trained)"
    assert repr(job).startswith("TrainingJob('ttbar': History(3 epochs, finished, best ")
    assert "best" in job._repr_mimebundle_()["text/html"]
    assert "Trained: History(3 epochs" in panel.message.value
    assert "over 3 epochs" in panel.picture.value
    assert panel.stop_button.disabled
    job.cancel()
    assert job.state == "finished"
    assert not two.futures


@pytest.mark.endurance
def test_a_stream_is_read_by_the_worker(
    two: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, name in zip(tn.sample_files(), ("s.root", "b.root"), strict=True):
        os.link(os.path.realpath(path), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    stream = tn.load("s.root", "b.root", stream=True, progress=False)
    train, test = stream.split(0.3, seed=1)
    job = tn.train_on(two, train, test=test, epochs=1, **QUICK)
    here = Classifier(epochs=1, **QUICK).fit(train, progress=False)
    auc = job.result(120).card["evaluation"]["auc"]
    assert auc == pytest.approx(here.evaluate(test).auc, abs=1e-6)


def test_it_shows_itself_and_stop_keeps_the_best(two: Any, events: Dataset) -> None:
    job = tn.train_on(two, events[::4], **LONG)
    seen: list[str] = []
    forget = job.observe(lambda: seen.append(job.state))
    shown = job._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    panel = JobPanel(job)
    until(lambda: len(job.epochs) > 2)
    assert job.state == "training"
    assert "epoch " in repr(job)
    assert "validation AUC 0." in panel.state.value
    assert panel.progress.value >= 2
    assert "Training on worker worker-" in panel.message.value
    with pytest.raises(TrainingError, match="is not done yet: epoch "):
        job.result(0)
    with pytest.raises(TrainingError, match="is not done yet"):
        _ = job.history
    panel.stop_button.click()
    assert isinstance(job.result(60), Bundle)
    assert job.history.stopped == "interrupted"
    assert seen[0] == "training"
    assert seen[-1] == "finished"
    forget()


def test_cancelling_leaves_nothing(two: Any, events: Dataset) -> None:
    job = tn.train_on(two, events[::4], **LONG)
    panel = JobPanel(job)
    until(lambda: job.epochs)
    panel.cancel_button.click()
    assert job.wait(30)
    assert (job.state, repr(job)) == ("cancelled", "TrainingJob('classifier': cancelled)")
    assert "Cancelled" in panel.message.value
    with pytest.raises(TrainingError, match="was cancelled"):
        job.result()
    assert not two.futures
    assert workers_are_free(two)


def workers_are_free(client: Any) -> bool:
    """Each worker has one thread, which a training that was taken back leaves soon."""
    asked = [client.submit(os.getpid, workers=[w], pure=False) for w in client.run(os.getpid)]
    return len(client.gather(asked)) == 2


def test_a_job_that_nobody_holds_is_taken_back(two: Any, events: Dataset) -> None:
    held = [tn.train_on(two, events[::4], **LONG)]
    until(lambda: held[0].epochs)
    remote = held.pop()._remote
    gc.collect()
    assert remote.wait(30)
    until(lambda: not two.futures)


def test_a_cluster_that_goes_away_is_told(events: Dataset, tmp_path: Path) -> None:
    with dask.cluster(tmp_path, workers=0) as (_, client):
        job = tn.train_on(client, events[::4], **QUICK)
        assert job.state == "waiting"
        assert repr(job) == "TrainingJob('classifier': waiting for a worker)"
        assert "Waiting for a worker" in JobPanel(job).state.value
        client.close()
        with pytest.raises(ClusterError, match="the training of 'classifier' was not done"):
            job.result(30)
        assert job.state == "failed"
        with pytest.raises(ClusterError, match="is closed"):
            tn.train_on(client, events)


def test_what_went_wrong_there_is_told_here(two: Any, events: Dataset) -> None:
    job = tn.train_on(two, events[::4], epochs=1, **QUICK | {"learning_rate": 1e30})
    panel = JobPanel(job)
    with pytest.raises(TrainingError, match="the loss became"):
        job.result(60)
    assert job.state == "failed"
    assert isinstance(job.error, TrainingError)
    assert "the loss became" in repr(job)
    assert 'role="alert"' in panel.message.value
    leaks = tn.train_on(two, events[::4], test=events[::4], epochs=1, **QUICK)
    with pytest.raises(DataError, match="in the training"):
        leaks.result(60)


def test_what_cannot_be_is_refused_at_once(two: Any, events: Dataset) -> None:
    with pytest.raises(TrainingError, match="unknown options"):
        tn.train_on(two, events, epoch=3)
    with pytest.raises(BundleError, match="cannot name a model"):
        tn.train_on(two, events, "../x")
    with pytest.raises(ClusterError, match="a client of Dask, not str"):
        tn.train_on("tcp://127.0.0.1:8786", events)
    assert not two.futures


def test_a_bundle_that_comes_back_wrong_is_refused(
    trained: Classifier, bundle: Bundle, other_bundle: Bundle
) -> None:
    wrong = replace(bundle, reference_events=other_bundle.reference_events)
    progress = _Progress()
    progress.ended((wrong.archive(), trained.history), None)
    assert progress.state == "failed"
    assert isinstance(progress.error, BundleError)
    made = _Made.of(bundle.archive(), trained.history)
    assert made.bundle.graph.sha256 == bundle.graph.sha256
