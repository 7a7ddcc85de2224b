"""Arguments in messages, spelled as their reader gives them: options of a shell, fields of a panel.

Messages name arguments as Python has them, ``on_nan='skip'``.  Whoever shows one to somebody who
writes no Python says how each is given there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

#: An argument as our messages write it in Python: a name, and a literal, dots or nothing; or the
#: bare name with which a message begins that says which values it may have or has.
_IN_PYTHON = re.compile(
    r"(?<![\w.])(?P<name>[a-z_]+)="
    r"(?P<value>'[^']*'|\[[^][]*\]|\{[^{}]*\}|-?(?:\d[\w.+-]*|inf|nan)\b|\.\.\."
    r"|(?P<truth>True|False)\b|(?=[\s,;:)]|$))|^(?P<bare>[a-z_]+)(?= (?:must be|maps|names) )"
)

#: Spells an argument of a name; None for one that cannot be given.  Its literal is empty where
#: a message names it alone.
Spell = Callable[[str, str], str | None]


def spelled(message: str, spell: Spell) -> str:
    """Spell the arguments in a message otherwise than in Python.

    Those of calls, such as ``tn.load(files, weight='w')``, and those for which there are no other
    words stay what they are.
    """

    def words(argument: re.Match[str]) -> str:
        if _is_in_call(message[: argument.start()]):
            return argument[0]
        found = spell(argument["name"] or argument["bare"], argument["value"] or "")
        return argument[0] if found is None else found

    return _IN_PYTHON.sub(words, message)


def value_of(literal: str) -> Any:
    """The value of a literal in a message; its text where it is none, such as dots."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):  # none at all, or a number with its unit
        return literal
    return literal if value is ... else value


def _is_in_call(text: str) -> bool:
    """Return True if a text ends within the parentheses of a call, as ``load(files,`` does."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth > 0:
            return position > 0 and (text[position - 1].isalnum() or text[position - 1] == "_")
    return False
