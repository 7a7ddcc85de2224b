"""``tfaas-nb train``: ROOT files → a bundle and a report of what it is worth."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfaas_nb.cli import reading
from tfaas_nb.errors import DataError, ImportanceInterrupted

if TYPE_CHECKING:
    from tfaas_nb.bundle import Bundle
    from tfaas_nb.classifier import Classifier
    from tfaas_nb.data.dataset import Dataset
    from tfaas_nb.data.normalisation import Sample
    from tfaas_nb.evaluation import Evaluation

#: Exit code of a command that Ctrl-C ended, as shells give it.
INTERRUPTED = 130
#: Characters that a model's name may have.
_LONGEST_NAME = 100

#: What may be done with events of negative weight, and what `Settings` calls it.
_NEGATIVE = {"error": "refuse", "absolute": "absolute", "ignore": "ignore"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    train = commands.add_parser(
        "train",
        help="train a classifier on ROOT files; write its bundle and a report",
        description="Writes OUT/NAME/ (the bundle: graph, params.json, labels, model card), "
        "OUT/NAME.tar.gz (the same in one file) and OUT/NAME.html (the report). Ctrl-C ends the "
        "training, and the best epoch so far is written: as NAME-stopped where NAME is there "
        "already. A second Ctrl-C ends the command, and nothing is written.",
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
    for role in ("signal", "background"):
        train.add_argument(
            f"--{role}-sum-weights",
            nargs="+",
            type=_sum_of_weights,
            metavar="SUM",
            help=f"sum of the weights of all events generated for each --{role}, where its files "
            "do not tell it, as of skims; 'auto' for a sample whose files do",
        )
    train.add_argument("--lumi", type=float, metavar="FB", help="luminosity in 1/fb (default 1)")
    train.add_argument("--weight", metavar="WEIGHT", help="branch or expression, as genWeight")
    reading.add_options(train)
    train.add_argument("--jets", type=int, metavar="N", help="jets kept per event (default 5)")
    train.add_argument("--name", required=True, help="name of the model")
    train.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where it is written (default .)"
    )
    train.add_argument(
        "--overwrite",
        action="store_true",
        help="let a training that was interrupted replace a bundle and report of this name",
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
    from tfaas_nb.data.part import check_split
    from tfaas_nb.table import Table

    check_name(options.name)
    check_split(options.test, options.seed)
    _check_places(options)
    classifier = _classifier(options)
    data = _data(options)
    print(data)
    train, test = data.split(options.test, options.seed)
    classifier.fit(train)
    name, code = options.name, 0
    if classifier.history.stopped == "interrupted":
        name, code = _name_of_stopped(options, len(classifier.history.epochs)), INTERRUPTED
    evaluation = classifier.evaluate(test)
    print(evaluation)
    bundle = classifier.bundle(name, options.description)
    written = _write(options.out, bundle, evaluation, was_interrupted=code == INTERRUPTED)
    rows = tuple((content, str(path.resolve())) for content, path in written.items())
    print(Table(("file", "where"), rows))
    return code


def _classifier(options: argparse.Namespace) -> Classifier:
    from tfaas_nb.classifier import Classifier

    chosen = {} if options.epochs is None else {"epochs": options.epochs}
    negative = _NEGATIVE[options.negative_weights]
    return Classifier(seed=options.seed, negative_weights=negative, **chosen)


def _check_places(options: argparse.Namespace) -> None:
    """Refuse places where bundle and report cannot stand, before anything is read."""
    from tfaas_nb.durable import check_file, check_folder

    folder, *files = _paths(options.out, options.name)
    for file in files:
        check_file(file)
    check_folder(folder)


def _name_of_stopped(options: argparse.Namespace, epochs: int) -> str:
    """Name under which a training that was interrupted is written; it replaces nothing."""
    name, number = options.name, 1
    while not options.overwrite and any(path.exists() for path in _paths(options.out, name)):
        ending = "-stopped" if number == 1 else f"-stopped-{number}"
        name, number = options.name[: _LONGEST_NAME - len(ending)] + ending, number + 1
    print(
        f"stopped at epoch {epochs}: the best epoch so far is written as {name!r}; "
        "Ctrl-C again ends with nothing written",
        file=sys.stderr,
    )
    return str(name)


def _paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """The bundle's folder, its archive, and the report."""
    return folder / name, folder / f"{name}.tar.gz", folder / f"{name}.html"


def _write(
    folder: Path, bundle: Bundle, evaluation: Evaluation, was_interrupted: bool
) -> dict[str, Path]:
    """Write bundle and report of one model, all or nothing."""
    from tfaas_nb import durable, writer
    from tfaas_nb.bundle import FILES

    places = _paths(folder, bundle.name)
    beside = folder / f".{writer.named()}"
    written = _paths(beside, bundle.name)
    try:
        beside.mkdir(parents=True)
        bundle.save(beside)
        bundle.save_archive(beside)
        _report(evaluation, written[2], was_interrupted)
        with _uninterrupted():
            durable.put_folder(written[0], places[0], FILES)
            for path, place in zip(written[1:], places[1:], strict=True):
                path.replace(place)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return dict(zip(("bundle", "bundle, in one file", "report"), places, strict=True))


def _report(evaluation: Evaluation, path: Path, was_interrupted: bool) -> None:
    """Write the report, without what takes longest if the first Ctrl-C came meanwhile."""
    try:
        evaluation.report(path)
    except ImportanceInterrupted:
        if was_interrupted:
            raise KeyboardInterrupt from None
        print(
            "interrupted: the report is written without the importance of features; "
            "Ctrl-C again ends with nothing written",
            file=sys.stderr,
        )
        evaluation.report(path, importance=False)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C for the moment in which files get their names."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _data(options: argparse.Namespace) -> Dataset:
    from tfaas_nb.data.root import load
    from tfaas_nb.features import TTBAR_ALL_HADRONIC

    features = TTBAR_ALL_HADRONIC
    if options.jets is not None:
        features = replace(features, jets=options.jets)
    return load(
        _samples("signal", options),
        _samples("background", options),
        features,
        options.tree,
        branches=options.branches,
        cut=options.cut,
        weight=options.weight,
        on_error=options.on_error,
        on_nan=options.on_nan,
        optional=options.optional,
    )


def _sum_of_weights(text: str) -> float | None:
    try:
        return None if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor 'auto'") from None


def _samples(role: str, options: argparse.Namespace) -> list[Sample]:
    from tfaas_nb.data.normalisation import Sample

    files = getattr(options, role)
    xsec, sums = (
        _for_each(role, name, getattr(options, f"{role}_{name}"), len(files))
        for name in ("xsec", "sum_weights")
    )
    try:
        return [
            Sample(one, xsec=value, lumi=options.lumi, sum_weights=total)
            for one, value, total in zip(files, xsec, sums, strict=True)
        ]
    except DataError as error:
        message = str(error).replace("xsec= ", "xsec=").replace("xsec=", f"--{role}-xsec ")
        raise DataError(message.replace("sum_weights=", f"--{role}-sum-weights ")) from None


def _for_each(
    role: str, name: str, values: Sequence[float | None] | None, samples: int
) -> Sequence[float | None]:
    """The values of an option, one for each sample of a class."""
    if values is None:
        return [None] * samples
    if len(values) != samples:
        option = f"--{role}-{name.replace('_', '-')}"
        raise DataError(
            f"there are {samples} --{role} and {len(values)} {option}: give one for each"
        )
    return values
