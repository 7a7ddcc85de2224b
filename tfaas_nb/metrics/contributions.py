"""Contributions of features to an event's score: one at a time is set to its typical value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from tfaas_nb.call_arguments import checked_calls
from tfaas_nb.errors import DataError
from tfaas_nb.metrics.scored import Array
from tfaas_nb.table import Table

Scorer = Callable[[npt.NDArray[np.float32]], npt.ArrayLike]


@checked_calls(DataError)
@dataclass(frozen=True, repr=False, eq=False)
class Contributions:
    """Changes of an event's score when one feature after the other takes its typical value.

    What correlated features share shows in none of them: the others still say it.

    Attributes
    ----------
    score : float
        The event's score.
    names : tuple of str
        Features that were changed, the one with the largest change first.
    values, typical : numpy.ndarray
        Their values in the event, and those they were changed to, shape (features,).
    change : numpy.ndarray
        Score of the event minus score with the typical value: positive where the event's own
        value makes it more signal-like.
    """

    score: float
    names: tuple[str, ...]
    values: Array
    typical: Array
    change: Array

    @classmethod
    def of(
        cls, scorer: Scorer, event: Mapping[str, float], typical: Mapping[str, float]
    ) -> Contributions:
        """Change one feature at a time, and score all these events at once.

        Parameters
        ----------
        scorer : callable
            Scores, shape (events,), of events of shape (events, features) in the order of
            `event`; called once.
        event : mapping
            ``{feature: value}``.
        typical : mapping
            Values to change to, for instance medians of the training data; features that it
            lacks are not changed.

        Raises
        ------
        DataError
            If there is nothing to change, or not one score per event comes back.
        """
        changed = [i for i, name in enumerate(event) if name in typical]
        if not changed:
            raise DataError("no typical values are known: contributions are changes to those")
        names, values = list(event), np.array(list(event.values()), dtype=np.float32)
        replaced = np.array([typical[names[i]] for i in changed], dtype=np.float32)
        events = np.tile(values, (1 + len(changed), 1))
        events[np.arange(len(changed)) + 1, changed] = replaced
        scores = np.asarray(scorer(events), dtype=np.float64)
        if scores.shape != (len(events),):
            raise DataError(
                f"{len(events)} events got scores of shape {scores.shape}: contributions need one "
                "number for each"
            )
        change = scores[0] - scores[1:]
        order = np.argsort(-np.abs(change), kind="stable")
        return cls(
            score=float(scores[0]),
            names=tuple(names[changed[i]] for i in order),
            values=values[changed].astype(np.float64)[order],
            typical=replaced.astype(np.float64)[order],
            change=change[order],
        )

    def table(self) -> Table:
        """One row for each feature, the largest change first."""
        rows = tuple(
            (name, float(value), float(typical), f"{change:+.4f}")
            for name, value, typical, change in zip(
                self.names, self.values, self.typical, self.change, strict=True
            )
        )
        columns = ("feature", "value", "typical", "change of the score")
        return Table(columns, rows, f"Score {self.score:.4f}")

    def html(self, most: int | None = None) -> str:
        """The table with a bar for each change; the `most` largest, or all."""
        largest = float(np.abs(self.change).max()) or 1.0
        rows = "".join(
            f"<tr>{_cell(escape(name), 'left')}{_cell(f'{value:.4g}')}{_cell(f'{typical:.4g}')}"
            f"{_cell(f'{change:+.4f}')}<td>{_bar(change / largest)}</td></tr>"
            for name, value, typical, change, _ in zip(
                self.names,
                self.values,
                self.typical,
                self.change,
                range(len(self.names) if most is None else most),
                strict=False,
            )
        )
        heads = "".join(
            f'<th scope="col" style="padding:2px 10px;text-align:{side}">{text}</th>'
            for text, side in (
                ("feature", "left"),
                ("value", "right"),
                ("typical", "right"),
                ("change of the score", "right"),
                ("less ◂ signal-like ▸ more", "center"),
            )
        )
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {change:+.4f}"
            for name, change, _ in zip(self.names, self.change, range(3), strict=False)
        )
        return f"Contributions(score {self.score:.4f}, most: {shown})"

    def _repr_html_(self) -> str:
        return self.html()


def _cell(text: str, align: str = "right") -> str:
    return f'<td style="padding:2px 10px;text-align:{align}">{text}</td>'


def _bar(part: float) -> str:
    """A bar from the middle to the right or to the left, of the text's own colour."""
    width = round(50 * abs(part), 1)
    left = 50.0 if part >= 0 else 50 - width
    return (
        '<div style="width:12em;height:0.8em;position:relative;border-left:0" aria-hidden="true">'
        '<div style="position:absolute;left:50%;height:100%;border-left:1px solid currentColor">'
        "</div>"
        f'<div style="position:absolute;left:{left}%;width:{width}%;height:100%;'
        'background:currentColor;opacity:0.6"></div></div>'
    )
