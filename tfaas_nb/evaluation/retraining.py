"""Trainings that an evaluation repeats on other events, or without some of the features."""

from __future__ import annotations

from collections.abc import Callable

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import DataError
from tfaas_nb.evaluation.trained import Trained
from tfaas_nb.metrics.refit import Refit
from tfaas_nb.options import check_count, check_flag


def events_in_memory(trained: Trained, taker: str) -> Dataset:
    """The training events, if all of them are in memory.

    Raises
    ------
    DataError
        If they were a stream's.
    """
    training = trained.training
    if trained.is_streamed or not isinstance(training, Dataset):
        raise DataError(
            f"{taker} needs all training events in memory, as a Dataset: train on tn.load(...), "
            "not on a stream"
        )
    return training


def refits(
    trained: Trained, refit: bool, seeds: int, should_stop: Callable[[], bool] | None
) -> Refit | None:
    """Trainings without groups of features, if they are wished for.

    Raises
    ------
    DataError
        If an option is impossible, or the training events were a stream's.
    """
    check_flag("refit", refit, DataError)
    check_count("seeds", seeds, 1, DataError)
    if seeds > 1 and not refit:
        raise DataError("seeds= are those of refits: importance(refit=True, seeds=5)")
    if not refit:
        return None
    training = events_in_memory(trained, "importance(refit=True)")
    return Refit(
        training, lambda data, step: trained.retrained(data, step, should_stop).predict, seeds
    )
