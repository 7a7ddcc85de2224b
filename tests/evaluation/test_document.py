from __future__ import annotations

import re
from html.parser import HTMLParser

from tfaas_nb.evaluation import document
from tfaas_nb.evaluation.document import Section
from tfaas_nb.table import Table

NASTY = '<script>alert("&")</script>'


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser


def whole(*parts: str) -> str:
    sections = [Section("First part", parts), Section("Second", (document.paragraph("x"),))]
    return document.page(NASTY, "2026-01-01T00:00:00+00:00", [document.warning(NASTY)], sections)


def test_everything_is_escaped() -> None:
    table = Table((NASTY,), ((NASTY,),), NASTY)
    html = whole(
        document.paragraph(NASTY),
        document.table(table),
        document.table(document.listing({NASTY: [NASTY, {NASTY: NASTY}]}, NASTY)),
        document.figures([document.figure(lambda ax: ax.plot([1, 2]), NASTY)]),
    )
    assert "<script" not in html
    assert {tag for tag, _ in parsed(html).seen} >= {"table", "figure", "img", "section"}


def test_links_lead_within_the_file() -> None:
    seen = parsed(whole()).seen
    links = [attributes["href"] for tag, attributes in seen if tag == "a"]
    ids = [attributes.get("id") for _, attributes in seen]
    assert links == ["#first-part", "#second"]
    assert all(link is not None and link[1:] in ids for link in links)


def test_a_figure_is_a_picture_inside_with_its_caption() -> None:
    html = document.figure(lambda ax: ax.plot([1, 2]), "Rejection 1/ε_B and Z_A. More.")
    assert 'alt="Rejection 1/ε_B and Z_A"' in html
    assert 'src="data:image/svg+xml;base64,' in html
    assert "Rejection 1/ε<sub>B</sub> and Z<sub>A</sub>. More." in html


def test_names_with_underscores_stay_what_they_are() -> None:
    assert document.paragraph("jetPt_0 of xε_Bx") == "<p>jetPt_0 of xε_Bx</p>"


def test_nested_values_become_rows() -> None:
    rows = document.listing(
        {"a": {"b": 1, "c": None}, "d": [1, 2], "e": [{"f": "x"}, {"f": "y"}], "g": []}
    ).rows
    assert rows == (
        ("a.b", "1"),
        ("a.c", "–"),
        ("d", "1, 2"),
        ("e[0].f", "x"),
        ("e[1].f", "y"),
        ("g", "–"),
    )


def test_the_date_is_one_element() -> None:
    assert len(re.findall("2026-01-01", re.sub(r"<time.*?</time>", "", whole()))) == 0
    assert whole().count("<time ") == 1
