"""``tfaas-nb simulate``: events of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Tell the command line of it."""
    simulate = commands.add_parser(
        "simulate", help="simulate events with Pythia 8 and FastJet into a ROOT file"
    )
    simulate.add_argument("process", choices=("ttbar", "qcd"))
    simulate.add_argument("--events", type=int, default=1000, help="selected events to write")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed, the same events")
    simulate.add_argument("-o", "--output", type=Path, required=True, help="the ROOT file")
    simulate.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from tfaas_nb.data.simulation import simulate

    print(simulate(options.process, options.events, options.seed, options.output))
    return 0
