"""Tables of the results: all of them in RESULTS.md, the main ones in the README."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "RESULTS.md"
README = _ROOT / "README.md"
_MARKED = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| (?!---|what )(.*?) \| (.*?) \|$", re.MULTILINE)

Row = Sequence[str]


@dataclass(frozen=True)
class Section:
    """One part's results.

    Attributes
    ----------
    title, method : str
        What was measured, and how.
    header, rows : sequences of str
        The table.
    main : mapping
        What the README tells of it: a ratio in words → its value.
    """

    title: str
    method: str
    header: Row
    rows: Sequence[Row]
    main: Mapping[str, str]

    def markdown(self) -> str:
        return f"{self.method}\n\n{table(self.header, self.rows)}\n"


def table(header: Row, rows: Iterable[Row]) -> str:
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(ratio: float) -> str:
    """A ratio to two digits that mean something."""
    if ratio >= 10:
        return f"{ratio:.0f}"
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def write(sections: Sequence[Section], whole: bool) -> None:
    """Write both tables; unless this is the whole, what else they hold stays."""
    texts = {} if whole else dict(_SECTION.findall(RESULTS.read_text()))
    texts |= {section.title: f"\n{section.markdown()}\n" for section in sections}
    body = "".join(f"## {title}\n{text}" for title, text in texts.items())
    RESULTS.write_text(f"{_preface()}\n\n{body.rstrip()}\n")
    readme = README.read_text()
    marked = _MARKED.search(readme)
    assert marked, "the README has lost its markers <!-- bench --> and <!-- /bench -->"
    rows = {} if whole else dict(_ROW.findall(marked[0]))
    for section in sections:
        rows |= section.main
    told = table(("what", "ratio"), rows.items())
    README.write_text(_MARKED.sub(lambda m: f"{m[1]}{told}\n{m[2]}", readme))


def _preface() -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"""# Results

Written by `make bench` on {os.cpu_count()} cores with Python {python}; the load generator shares
them. The model is that of TFaaS's published benchmark, dense layers 42-128-128-128-64-64-1, with
random weights. All figures are ratios of things measured in turns in one run, except areas under
ROC curves."""
