"""Text of a request to copy, for curl, Python and C++."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import ipywidgets

from tfaas_nb.widgets.answer import Question
from tfaas_nb.widgets.copy_line import CopyLine
from tfaas_nb.wire import examples

# A value: each control makes a layout of its own, which ends with it.
_TEXT = {"width": "98%", "height": "11em"}


class RequestTexts(ipywidgets.Accordion):  # type: ignore[misc]
    """Texts of one request, empty until something is asked.

    Attributes
    ----------
    curl, python, cpp : ipywidgets.Textarea
        The texts.
    copies : list of CopyLine
        A line for each, which copies it.
    show_token : ipywidgets.Checkbox
        Whether they have the server's token instead of a word for it.
    """

    def __init__(self) -> None:
        self._asked: tuple[Question, str | None] | None = None
        self.curl, self.python, self.cpp = self._texts = tuple(
            ipywidgets.Textarea(
                description=what,
                disabled=False,
                layout=_TEXT,
                style={"description_width": "4em"},
            )
            for what in ("curl", "Python", "C++")
        )
        self.copies = [
            CopyLine(text.description, secret=partial(getattr, text, "value"))
            for text in self._texts
        ]
        self.show_token = ipywidgets.Checkbox(
            False,
            description="Show the server's token in these texts",
            indent=False,
            layout={"width": "auto"},
        )
        super().__init__(
            [ipywidgets.VBox([self.show_token, *_alternating(self.copies, self._texts)])],
            titles=("The same request with curl, Python, C++",),
        )
        self.show_token.observe(lambda _: self._write(), "value")

    def write(self, asked: Question, token: str | None) -> None:
        """Write a request to a server with that token, or without one."""
        self._asked = asked, token
        self._write()

    def forget(self) -> None:
        """Empty the texts."""
        self._asked = None
        for control in (*self._texts, *self.copies):
            control.value = ""

    def _write(self) -> None:
        if self._asked is None:
            return
        asked, known = self._asked
        token: bool | str = False if not known else known if self.show_token.value else True
        for text, example in zip(
            self._texts, (examples.curl, examples.python, examples.cpp), strict=True
        ):
            text.value = example(asked.url, asked.name, asked.sent, token)
        for line in self.copies:
            line.value = "the request below"


def _alternating(*rows: Sequence[ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    """The first of each, the second of each and so on."""
    return [widget for together in zip(*rows, strict=True) for widget in together]
