"""From ROOT files to a served signal/background classifier, inside a notebook.

The names below are loaded when they are first used: ``import tfaas_nb`` itself imports
neither TensorFlow nor uproot nor matplotlib nor ipywidgets.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfaas_nb import errors, metrics, plots, widgets
    from tfaas_nb.bundle import Bundle
    from tfaas_nb.classifier import Classifier
    from tfaas_nb.client import Client
    from tfaas_nb.comparison import ComparedClassifiers, compare
    from tfaas_nb.data.dataset import Dataset
    from tfaas_nb.data.inspection import inspect
    from tfaas_nb.data.normalisation import Sample
    from tfaas_nb.data.origins import Objects
    from tfaas_nb.data.overlap import overlap
    from tfaas_nb.data.poster import poster_event
    from tfaas_nb.data.root import load, read
    from tfaas_nb.data.sample import sample, sample_files
    from tfaas_nb.data.simulation import Simulation, simulate
    from tfaas_nb.data.stream import Stream
    from tfaas_nb.evaluation import Evaluation
    from tfaas_nb.features import TTBAR_ALL_HADRONIC, FeatureSet, Variable
    from tfaas_nb.graph import FrozenGraph
    from tfaas_nb.promotion import Promotion, promote
    from tfaas_nb.remote_training import train_on
    from tfaas_nb.scoring.job import score
    from tfaas_nb.serving.server import Server
    from tfaas_nb.training_job import TrainingJob
    from tfaas_nb.validation.cross_validation import CrossValidation, cross_validate
    from tfaas_nb.validation.scan import Scan, scan

_HOME = {
    "Bundle": "bundle",
    "Classifier": "classifier",
    "Client": "client",
    "ComparedClassifiers": "comparison",
    "CrossValidation": "validation.cross_validation",
    "compare": "comparison",
    "cross_validate": "validation.cross_validation",
    "Dataset": "data.dataset",
    "Evaluation": "evaluation",
    "FeatureSet": "features",
    "FrozenGraph": "graph",
    "Objects": "data.origins",
    "Promotion": "promotion",
    "Sample": "data.normalisation",
    "Scan": "validation.scan",
    "Server": "serving.server",
    "Stream": "data.stream",
    "TTBAR_ALL_HADRONIC": "features",
    "Variable": "features",
    "inspect": "data.inspection",
    "load": "data.root",
    "overlap": "data.overlap",
    "poster_event": "data.poster",
    "promote": "promotion",
    "read": "data.root",
    "scan": "validation.scan",
    "score": "scoring.job",
    "sample": "data.sample",
    "sample_files": "data.sample",
    "simulate": "data.simulation",
    "Simulation": "data.simulation",
    "TrainingJob": "training_job",
    "train_on": "remote_training",
}
_MODULES = ("errors", "metrics", "plots", "widgets")

__all__ = [  # noqa: RUF022 (in the order of the sentence)
    "TTBAR_ALL_HADRONIC",
    "FeatureSet",
    "Variable",
    "simulate",
    "Simulation",
    "sample",
    "sample_files",
    "poster_event",
    "inspect",
    "Objects",
    "Sample",
    "load",
    "read",
    "Dataset",
    "Stream",
    "overlap",
    "Classifier",
    "cross_validate",
    "CrossValidation",
    "scan",
    "Scan",
    "compare",
    "ComparedClassifiers",
    "train_on",
    "TrainingJob",
    "Evaluation",
    "FrozenGraph",
    "Bundle",
    "score",
    "Server",
    "Client",
    "promote",
    "Promotion",
    "errors",
    "metrics",
    "plots",
    "widgets",
]

__version__ = _version("tfaas-nb")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tfaas_nb.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(f"tfaas_nb.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'tfaas_nb' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext tfaas_nb``: bring ``%tfaas`` and ``%%predict`` into an IPython shell."""
    from tfaas_nb.magics import TfaasMagics

    shell.register_magics(TfaasMagics)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext tfaas_nb``: take them out again."""
    for kind, name in (("line", "tfaas"), ("cell", "predict")):
        shell.magics_manager.magics[kind].pop(name, None)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
