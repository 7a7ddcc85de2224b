"""Small tables that show themselves: aligned text in a terminal, HTML in a cell."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

#: Lines in widgets are else as high as buttons.
_CSS = "text-align:{align};padding:2px 10px;line-height:1.4"
#: A caption may be wider than its table, but not than a page.
_CAPTION = "text-align:left;line-height:1.4"
_ON_ONE_LINE = 100


@dataclass(frozen=True, repr=False)
class Table:
    """Rows under named columns.

    Attributes
    ----------
    columns : tuple of str
        Column headings.
    rows : tuple of tuple
        Cells; floats are shown with four significant digits, whole ones below ten million with
        all, None as a dash.
    caption : str
        A line above the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""

    def __repr__(self) -> str:
        cells = [self.columns, *(tuple(map(_text, row)) for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        right = [self._is_number(i) for i in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join(([self.caption] if self.caption else []) + lines)

    def _repr_html_(self) -> str:
        align = ["right" if self._is_number(i) else "left" for i in range(len(self.columns))]
        head = "".join(_cell("th", c, a) for c, a in zip(self.columns, align, strict=True))
        body = "".join(
            "<tr>"
            + "".join(_cell("td", _text(c), a) for c, a in zip(row, align, strict=True))
            + "</tr>"
            for row in self.rows
        )
        heads = f"<thead><tr>{head}</tr></thead>" if any(self.columns) else ""
        return f"<table>{self._caption()}{heads}<tbody>{body}</tbody></table>"

    def _caption(self) -> str:
        if not self.caption:
            return ""
        css = _CAPTION + (";white-space:nowrap" if len(self.caption) <= _ON_ONE_LINE else "")
        return f'<caption style="{css}">{escape(self.caption)}</caption>'

    def _is_number(self, column: int) -> bool:
        values = [row[column] for row in self.rows if row[column] is not None]
        return bool(values) and all(isinstance(value, (int, float)) for value in values)


def folded(summary: str, table: Table) -> str:
    """HTML of a table that is shown when its summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary>{table._repr_html_()}</details>"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < 1e7
        return f"{value:.0f}" if is_whole else f"{value:.4g}"
    return str(value)


def _cell(tag: str, text: str, align: str) -> str:
    return f'<{tag} style="{_CSS.format(align=align)}">{escape(text)}</{tag}>'
