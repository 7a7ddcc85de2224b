"""Ordered, named inputs of a classifier, and events as columns of those names."""

from __future__ import annotations

from tfaas_nb.features.feature_set import TTBAR_ALL_HADRONIC as TTBAR_ALL_HADRONIC
from tfaas_nb.features.feature_set import FeatureSet as FeatureSet
from tfaas_nb.features.feature_set import Variable as Variable
from tfaas_nb.features.feature_set import feature_set_of as feature_set_of
from tfaas_nb.features.feature_set import order_keys as order_keys
