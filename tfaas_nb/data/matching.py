"""Datasets that fit a classifier: of tables, with their columns in the order of its features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.stream import Stream
from tfaas_nb.errors import DataError, FeatureError
from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet, order_keys
from tfaas_nb.features.columns import columns_of


def matched(data: Dataset, features: FeatureSet) -> Dataset:
    """Return the events with their columns in the order of other features.

    Parameters
    ----------
    data : Dataset
        The events.
    features : FeatureSet
        Features that a classifier was trained on, in its order.

    Raises
    ------
    FeatureError
        If names differ, or jets are ordered or padded in another way.
    """
    own = data.features
    if own == features:
        return data
    columns = data.X
    if own.names != features.names:
        columns = np.ascontiguousarray(columns[:, order_keys(features.names, own.names)])
    if (own.order_by, own.padding) != (features.order_by, features.padding):
        raise FeatureError(
            f"the events' jets are ordered by {own.order_by!r} and padded with {own.padding}, "
            f"the training's by {features.order_by!r} and with {features.padding}"
        )
    return replace(data, X=columns, features=features)


def dataset_of(
    events: Any,
    y: Any = None,
    weight: Any = None,
    features: FeatureSet | None = None,
    taker: str = "fit",
) -> Dataset | Stream:
    """A dataset of what a user brings: a `Dataset` or `Stream` as it is, a table with classes.

    Parameters
    ----------
    events : Dataset, Stream, table or array
        Tables as `Dataset.from_columns` takes them, or an array of shape (events, features).
    y : str or array of shape (events,), optional
        Classes of a table's events, or its column of them: 1 signal, 0 background.
    weight : str or array of shape (events,), optional
        Weights of a table's events, or its column of them.
    features : FeatureSet, optional
        The features that are asked for.  Without it the columns of a table are; those of an
        array are `TTBAR_ALL_HADRONIC` if they are as many, else x0, x1 and so on.
    taker : str
        The function that is named in errors.

    Raises
    ------
    DataError
        If there are no classes, the events are a path, or classes come with a dataset.
    FeatureError
        If columns are missing or their values are no finite numbers.
    """
    if isinstance(events, (Dataset, Stream)):
        if y is not None or weight is not None:
            raise DataError(
                f"{taker}: a {type(events).__name__} has its classes and weights; y= and weight= "
                "go with tables and arrays, all other options by their names"
            )
        return events
    if isinstance(events, (str, os.PathLike)):
        raise DataError(
            f"{taker} takes events, not the path {os.fspath(events)!r}: "
            "tn.load(signal=..., background=...) reads ROOT files"
        )
    if y is None:
        raise DataError(
            f"{taker} takes a Dataset, or a table with the class of each event: "
            f"{taker}(X, y) with 1 for signal and 0 for background, not a "
            f"{type(events).__name__} alone; tn.load(...) and "
            "tn.Dataset.from_columns(table, y=...) make a Dataset"
        )
    return Dataset.from_columns(events, y, features or _features_of(events, y, weight), weight)


def _features_of(events: Any, y: Any, weight: Any) -> FeatureSet | Sequence[str] | None:
    """Features that the columns of a table are; None where `Dataset.from_columns` knows."""
    columns = columns_of(events)
    if columns is None:
        width = events.shape[1] if isinstance(events, np.ndarray) and events.ndim == 2 else 0
        if width == len(TTBAR_ALL_HADRONIC):
            return TTBAR_ALL_HADRONIC
        return [f"x{column}" for column in range(width)] or None
    names = [name for name in columns.names if name not in (y, weight)]
    return None if set(names) == set(TTBAR_ALL_HADRONIC.names) else names
