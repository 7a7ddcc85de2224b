"""``tfaas-nb demo``: the whole way once."""

from __future__ import annotations

import argparse
from pathlib import Path

_DISAGREES = 1


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    demo = commands.add_parser(
        "demo", help="train on the packaged sample, serve, and ask for the poster's event"
    )
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), help="folder for the files it makes"
    )
    demo.add_argument("--seed", type=int, default=1, help="seed of split and training")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from tfaas_nb.demo import run

    return 0 if run(options.output, options.seed).agrees else _DISAGREES
