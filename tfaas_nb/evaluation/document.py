"""One HTML file that needs no other: headings, paragraphs, tables, figures with captions.

Nothing in it points elsewhere: pictures are inside, there is no script and no font to load.
It is readable on light and dark screens and on paper.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from tfaas_nb import plots
from tfaas_nb.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CSS = """
:root { color-scheme: light dark; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem; line-height: 1.45;
       font-family: system-ui, "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid GrayText; }
nav a { margin-right: 1rem; }
.warning { border: 2px solid #e42536; padding: 0.5rem 1rem; font-weight: bold; }
.figures { display: grid; gap: 1.5rem;
           grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; break-inside: avoid; }
figure img { width: 100%; background: white; }
figcaption { font-size: 0.85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 0.8rem 0; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent);
         font-variant-numeric: tabular-nums; vertical-align: top; overflow-wrap: break-word; }
caption { text-align: left; font-weight: bold; padding: 0.2rem 0; }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } nav { display: none; }
  .figures { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; }
  h2 { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Section:
    """A part of the report: a heading and what stands below it, as HTML."""

    title: str
    parts: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Name by which links within the file point to it."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


def page(title: str, made: str, head: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole file.

    Parameters
    ----------
    title : str
        Heading.
    made : str
        Date and time in ISO format: the only part that differs from one report of the same
        numbers to the next.
    head : sequence of str
        HTML before the first section.
    sections : sequence of Section
        The rest, in order.
    """
    links = " ".join(f'<a href="#{s.anchor}">{escape(s.title)}</a>' for s in sections)
    body = "\n".join(
        f'<section id="{s.anchor}">\n<h2>{escape(s.title)}</h2>\n'
        + "\n".join(s.parts)
        + "\n</section>"
        for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p>Made <time datetime="{escape(made)}">{escape(made)}</time>'
        f"</p>\n<nav>{links}</nav>\n" + "\n".join(head) + f"\n{body}\n</body>\n</html>\n"
    )


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{_text(text)}</p>"


def warning(text: str) -> str:
    """A paragraph that nobody overlooks."""
    return f'<p class="warning">{_text(text)}</p>'


def _text(text: str) -> str:
    """Plain text as HTML, with the indices of symbols set low."""
    return re.sub(r"\b([εZ])_([A-Z])\b", r"\1<sub>\2</sub>", escape(text))


def table(content: Table) -> str:
    """A table, which may be scrolled sideways on a narrow screen."""
    return f'<div class="wide">{content._repr_html_()}</div>'


def figures(drawn: Iterable[str]) -> str:
    """Figures side by side, as many as the page has room for."""
    return '<div class="figures">\n' + "\n".join(drawn) + "\n</div>"


def figure(draw: Callable[[Axes], Any], caption: str) -> str:
    """A figure as an SVG picture inside the file, with its caption."""
    data = base64.b64encode(plots.svg(draw)).decode()
    alt = escape(caption.split(". ")[0])
    return (
        f'<figure><img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def listing(values: Mapping[str, Any], caption: str = "") -> Table:
    """Nested plain values as a table of names and values, one row for each number or word."""
    return Table(("", ""), tuple(_flattened(values, "")), caption)


def _flattened(value: Any, name: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flattened(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
        for i, inner in enumerate(value):
            yield from _flattened(inner, f"{name}[{i}]")
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value)) or "–"
    else:
        yield name, "–" if value is None else str(value)
