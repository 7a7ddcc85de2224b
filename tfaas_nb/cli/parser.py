"""The command line's parser: options take any value, and messages are spelled for a shell."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

#: An argument as our messages write it in Python: a name, and a literal, dots or nothing; or the
#: bare name with which a message begins that says which values it may have.
_IN_PYTHON = re.compile(
    r"(?<![\w.])(?P<name>[a-z_]+)="
    r"(?P<value>'[^']*'|\[[^][]*\]|\{[^{}]*\}|-?(?:\d[\w.+-]*|inf|nan)\b|\.\.\."
    r"|(?=[\s,;:)]|$))|^(?P<bare>[a-z_]+)(?= must be )"
)


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
        return _IN_PYTHON.sub(self._in_shell, message)

    def _in_shell(self, argument: re.Match[str]) -> str:
        name = argument["name"] or argument["bare"]
        options = [
            option
            for action in self._actions
            for option in action.option_strings
            if action.dest == name and action.nargs is None
        ]
        if not options or _is_in_call(argument.string[: argument.start()]):
            return argument[0]
        if argument["bare"]:
            return options[-1]
        return " ".join(f"{options[-1]} {value}".rstrip() for value in _words(argument["value"]))

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


def _is_in_call(text: str) -> bool:
    """Return True if a text ends within the parentheses of a call, as ``load(files,`` does."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth > 0:
            return position > 0 and (text[position - 1].isalnum() or text[position - 1] == "_")
    return False


def _words(literal: str) -> list[str]:
    """A Python literal in a message as words of a shell, one for each time the option is given."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):  # none at all, or a number with its unit
        return [literal]
    if value is ...:
        return [literal]
    if isinstance(value, dict):
        return [shlex.quote(f"{key}={one}") for key, one in value.items()]
    return [shlex.quote(str(one)) for one in (value if isinstance(value, list) else [value])]
