"""The command ``tfaas-nb``: one file per subcommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tfaas_nb.cli import demo, promote, score, serve, simulate, train
from tfaas_nb.cli.parser import Parser
from tfaas_nb.errors import TfaasError

_FAILED = 1
_COMMANDS = (demo, train, serve, score, promote, simulate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    known, commands = parsers()
    options = known.parse_args(arguments)
    options.spelled = commands[options.command].spelled
    try:
        code: int = options.run(options)
    except TfaasError as error:
        print(f"tfaas-nb: {options.spelled(str(error))}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return train.INTERRUPTED
    return code


def parser() -> Parser:
    """Parser of the whole command line."""
    return parsers()[0]


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """Parser of the whole command line, and that of each command by its name."""
    known = Parser(prog="tfaas-nb", description="A signal/background classifier as a service.")
    commands = known.add_subparsers(required=True, metavar="command", dest="command")
    for command in _COMMANDS:
        command.add(commands)
    return known, dict(commands.choices)
