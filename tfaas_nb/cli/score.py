"""``tfaas-nb score``: a score for every event of files."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from tfaas_nb.cli import reading
from tfaas_nb.serving.security import TOKEN_VARIABLE

_SOME_SKIPPED = 3


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    score = commands.add_parser(
        "score",
        help="write a score for every event of ROOT files",
        epilog=f"exit code {_SOME_SKIPPED}: done, but for files that could not be read",
    )
    score.add_argument("files", nargs="+", metavar="FILE", help="ROOT files, globs, addresses")
    score.add_argument(
        "--model",
        required=True,
        metavar="DIR_OR_URL",
        help="a bundle's folder or .tar.gz, or http://HOST:PORT/models/NAME",
    )
    score.add_argument(
        "-o", "--output", type=Path, required=True, help="file of scores: .root or .parquet"
    )
    score.add_argument(
        "--parts",
        choices=["root", "parquet"],
        help="the output is a folder, with one file of scores for each file of events",
    )
    score.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask scheduler, tcp://HOST:PORT, whose workers read and score",
    )
    reading.add_options(score, on_nan=None)
    score.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="BRANCH",
        help="a further branch to write, one number per event; may be repeated",
    )
    score.add_argument("--token", help=f"what the server asks for; else ${TOKEN_VARIABLE}")
    score.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> int:
    from tfaas_nb.cluster.spread import connected
    from tfaas_nb.scoring.job import score

    with connected(options.cluster) if options.cluster else nullcontext() as cluster:
        done = score(
            options.files,
            options.model,
            options.output,
            tree=options.tree,
            branches=options.branches,
            cut=options.cut,
            keep=tuple(options.keep),
            on_error=options.on_error,
            on_nan=options.on_nan,
            optional=options.optional,
            token=options.token or os.environ.get(TOKEN_VARIABLE) or None,
            parts=options.parts,
            cluster=cluster,
        )
    print(done)
    for path, why in done.skipped:
        print(f"tfaas-nb: skipped {path}: {options.spelled(why)}", file=sys.stderr)
    return _SOME_SKIPPED if done.skipped else 0
