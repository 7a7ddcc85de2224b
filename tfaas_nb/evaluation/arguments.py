"""Checks of what an evaluation is given, before anything is computed or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfaas_nb.data.dataset import Dataset
from tfaas_nb.data.overlap import Overlap
from tfaas_nb.durable import check_file
from tfaas_nb.errors import DataError
from tfaas_nb.metrics import LearningCurve, SignificanceScan
from tfaas_nb.options import check_flag, check_kind, check_option, check_path, check_text


def check_judged(data: Any, scores: Any, trained: Any, overlap: Any) -> None:
    """Refuse what are no events with classes and weights, no scores, or no classifier.

    Raises
    ------
    DataError
        Naming the argument.
    """
    if not (hasattr(data, "y") and hasattr(data, "weight")):
        raise DataError(
            f"an evaluation is of events with classes and weights, not of a {type(data).__name__}: "
            "Evaluation.of(dataset, scores), or tn.Dataset.from_columns(table, y=...) first"
        )
    try:
        np.asarray(scores, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"scores must be one number per event, not {scores!r:.100}") from error
    right = trained is None or (hasattr(trained, "predict") and hasattr(trained, "signal_share"))
    check_option("trained", trained, right, "a fitted tn.Classifier", DataError)
    kinds = (Overlap, type(None))
    check_kind("overlap", overlap, kinds, "what tn.overlap(a, b) found", DataError)


def check_pair(names: Any) -> None:
    """Refuse what are no names of two classifiers.

    Raises
    ------
    DataError
        Naming the argument.
    """
    right = isinstance(names, (tuple, list)) and len(names) == 2
    right = right and all(isinstance(name, str) for name in names)
    check_option("names", names, right, "a pair of texts, such as ('mine', 'other')", DataError)


def check_report(
    path: Any,
    title: Any,
    features: Any,
    data: Any,
    significance: Any,
    learning_curve: Any,
    flags: Mapping[str, Any],
) -> Path:
    """Refuse arguments of a report that it cannot show, or a place where it cannot stand.

    Returns
    -------
    Path
        The report's place.

    Raises
    ------
    DataError
        Naming the argument.
    """
    check_path("path", path, DataError)
    check_text("title", title, DataError)
    for flag, value in flags.items():
        check_flag(flag, value, DataError)
    target = Path(path).expanduser()
    if not target.parent.is_dir():
        raise DataError(f"the folder {target.parent} does not exist")
    if target.is_dir():
        raise DataError(
            f"{target} is a folder: a report is one file, such as {target / 'report.html'}"
        )
    check_file(target)
    listed = features is None or (
        isinstance(features, (tuple, list)) and all(isinstance(name, str) for name in features)
    )
    check_option("features", features, listed, "a list of names such as ['jetPt_0']", DataError)
    for name, value, kind, maker in (
        ("data", data, Dataset, "a Dataset, from tn.load(...)"),
        ("significance", significance, SignificanceScan, "from evaluation.significance(...)"),
        ("learning_curve", learning_curve, LearningCurve, "from evaluation.learning_curve(...)"),
    ):
        check_kind(name, value, (kind, type(None)), maker, DataError)
    return target
