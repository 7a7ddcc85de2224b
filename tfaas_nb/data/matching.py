"""Datasets with their columns in the order of other features, matched by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.errors import FeatureError
from tfaas_nb.features import FeatureSet, order_keys


def matched(data: Dataset, features: FeatureSet) -> Dataset:
    """The same events with their columns in the order of other features.

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
