"""The command line's parser: options take any value, and messages are spelled for a shell."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tfaas_nb.spelling import spelled, value_of


class Parser(argparse.ArgumentParser):
    """An argument parser whose options take any value, such as ``--cut "-jetEta_0 > 1"``.

    Python's own takes a value that begins with a dash for an option.  Here the argument after
    an option that needs a value is that value, unless it is an option of the same command.
    """

    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse arguments; see `argparse.ArgumentParser.parse_known_args`."""
        arguments = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(self._joined(arguments), namespace)

    def spelled(self, message: str) -> str:
        """Spell the arguments in a message as the options of a shell that they are here.

        ``on_nan='skip'`` becomes ``--on-nan skip``; an argument for which the command has no
        option stays what it is.
        """
        return spelled(message, self._in_shell)

    def _in_shell(self, name: str, literal: str) -> str | None:
        for action in self._actions:
            if action.dest != name or not action.option_strings:
                continue
            option = action.option_strings[-1]
            if action.nargs is None:
                words = _words(literal) if literal else [""]
                return " ".join(f"{option} {word}".rstrip() for word in words)
            if action.nargs == 0 and literal and value_of(literal) == action.const:
                return option
        return None

    def _joined(self, arguments: Sequence[str]) -> list[str]:
        """The arguments, with ``--option -value`` written as ``--option=-value``."""
        joined: list[str] = []
        for position, argument in enumerate(arguments):
            if argument == "--":
                return [*joined, *arguments[position:]]
            is_value = argument.startswith("-") and not self._options(argument.partition("=")[0])
            if is_value and self._takes_value(joined[-1:]):
                joined[-1] += f"={argument}"
            else:
                joined.append(argument)
        return joined

    def _takes_value(self, last: Sequence[str]) -> bool:
        actions = self._options(last[0]) if last else []
        return len(actions) == 1 and actions[0].nargs is None

    def _options(self, name: str) -> list[argparse.Action]:
        """The options of this name, or those whose names begin so."""
        known = self._option_string_actions
        if name in known:
            return [known[name]]
        if not name.startswith("--"):
            return []
        return [action for option, action in known.items() if option.startswith(name)]


def _words(literal: str) -> list[str]:
    """A Python literal in a message as words of a shell, one for each time the option is given."""
    value = value_of(literal)
    if isinstance(value, dict):
        return [shlex.quote(f"{key}={one}") for key, one in value.items()]
    if value == literal:
        return [literal]
    return [shlex.quote(str(one)) for one in (value if isinstance(value, list) else [value])]
