"""``tfaas-nb train``: ROOT files → a bundle and a report of what it is worth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfaas_nb.cli import reading
from tfaas_nb.errors import DataError

if TYPE_CHECKING:
    from tfaas_nb.classifier import Classifier
    from tfaas_nb.data.dataset import Dataset
    from tfaas_nb.data.normalisation import Sample

#: What may be done with events of negative weight, and what `Settings` calls it.
_NEGATIVE = {"error": "refuse", "absolute": "absolute", "ignore": "ignore"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    train = commands.add_parser(
        "train",
        help="train a classifier on ROOT files; write its bundle and a report",
        description="Writes OUT/NAME/ (the bundle: graph, params.json, labels, model card), "
        "OUT/NAME.tar.gz (the same in one file) and OUT/NAME.html (the report).",
    )
    for role in ("signal", "background"):
        train.add_argument(
            f"--{role}",
            nargs="+",
            action="append",
            required=True,
            metavar="FILE",
            help=f"ROOT files of {role}: paths, globs, addresses; repeat it for a further sample",
        )
    for role in ("signal", "background"):
        train.add_argument(
            f"--{role}-xsec",
            nargs="+",
            type=float,
            metavar="PB",
            help=f"cross-section of each --{role}, in pb",
        )
    train.add_argument("--lumi", type=float, metavar="FB", help="luminosity in 1/fb (default 1)")
    train.add_argument("--weight", metavar="WEIGHT", help="branch or expression, as genWeight")
    reading.add_options(train)
    train.add_argument("--jets", type=int, metavar="N", help="jets kept per event (default 5)")
    train.add_argument("--name", required=True, help="name of the model")
    train.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where it is written (default .)"
    )
    train.add_argument("--description", default="", help="a sentence for people")
    train.add_argument(
        "--test", type=float, default=0.3, metavar="FRACTION", help="events held out to judge it"
    )
    train.add_argument("--epochs", type=int, help="most passes over the training events")
    train.add_argument(
        "--negative-weights",
        choices=_NEGATIVE,
        default="error",
        help="events of negative weight: end with an error (default), learn from and judge by "
        "their absolute weight, or leave them out",
    )
    train.add_argument("--seed", type=int, default=1, help="the same seed, the same numbers")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from tfaas_nb.bundle import check_name
    from tfaas_nb.classifier import Classifier
    from tfaas_nb.table import Table

    check_name(options.name)
    data = _data(options)
    print(data)
    train, test = data.split(options.test, options.seed)
    chosen = {} if options.epochs is None else {"epochs": options.epochs}
    negative = _NEGATIVE[options.negative_weights]
    settings = {"seed": options.seed, "negative_weights": negative, **chosen}
    classifier = Classifier(**settings).fit(train)
    evaluation = classifier.evaluate(test)
    print(evaluation)
    written = _write(options, classifier)
    written["report"] = evaluation.report(options.out / f"{options.name}.html")
    rows = tuple((what, str(path.resolve())) for what, path in written.items())
    print(Table(("file", "where"), rows))
    return 0


def _write(options: argparse.Namespace, classifier: Classifier) -> dict[str, Path]:
    """The bundle, as a folder and in one file."""
    bundle = classifier.bundle(options.name, options.description)
    folder = bundle.save(options.out)
    return {
        "bundle": folder,
        "bundle, in one file": bundle.save_archive(options.out / f"{options.name}.tar.gz"),
    }


def _data(options: argparse.Namespace) -> Dataset:
    from tfaas_nb.data.root import load
    from tfaas_nb.features import TTBAR_ALL_HADRONIC

    features = TTBAR_ALL_HADRONIC
    if options.jets is not None:
        features = replace(features, jets=options.jets)
    return load(
        _samples("signal", options.signal, options.signal_xsec, options.lumi),
        _samples("background", options.background, options.background_xsec, options.lumi),
        features,
        options.tree,
        branches=options.branches,
        cut=options.cut,
        weight=options.weight,
        on_error=options.on_error,
    )


def _samples(
    role: str, files: Sequence[list[str]], xsec: Sequence[float] | None, lumi: float | None
) -> list[Sample]:
    from tfaas_nb.data.normalisation import Sample

    if xsec is None:
        return [Sample(one, lumi=lumi) for one in files]
    if len(xsec) != len(files):
        raise DataError(
            f"there are {len(files)} --{role} and {len(xsec)} --{role}-xsec: give one for each"
        )
    return [Sample(one, xsec=value, lumi=lumi) for one, value in zip(files, xsec, strict=True)]
