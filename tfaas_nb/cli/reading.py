"""Options of the commands that read ROOT files: which tree, branches and events."""

from __future__ import annotations

import argparse


def add_options(command: argparse.ArgumentParser, on_nan: str | None = "error") -> None:
    """Let a command have them, `on_nan` being the default for values that are not finite."""
    command.add_argument("--tree", help="TTree or RNTuple; by default events, Events, or the only")
    command.add_argument(
        "--branch",
        action=_Mapping,
        default={},
        dest="branches",
        metavar="VARIABLE=BRANCH",
        help="where a variable stands if the file's layout does not tell; may be repeated",
    )
    command.add_argument(
        "--cut", metavar="SELECTION", help="events to take, such as 'nJets >= 2 & jetPt_0 > 400'"
    )
    command.add_argument(
        "--optional",
        action="append",
        default=[],
        metavar="BRANCH",
        help="a branch that some of the files may lack, such as a trigger's: it is 0 there; may be "
        "repeated",
    )
    command.add_argument(
        "--on-nan",
        choices=("error", "skip", "pad"),
        default=on_nan,
        help="selected events with values that are not finite: end with an error (default"
        f"{'' if on_nan else ' unless the training of the model did otherwise'}), leave "
        "the events out, or take the jet, or the value, as absent",
    )
    command.add_argument(
        "--skip-unreadable",
        action="store_const",
        const="skip",
        default="stop",
        dest="on_error",
        help="go on without files that cannot be read, and list them, instead of stopping",
    )


class _Mapping(argparse.Action):
    """Collects ``A=B`` into a dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Add one."""
        variable, _, branch = str(values).partition("=")
        if not variable or not branch:
            parser.error(f"{option_string} {values}: write VARIABLE=BRANCH")
        if variable in getattr(namespace, self.dest):
            parser.error(f"{option_string} {values}: {variable} is mapped already")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), variable: branch})
