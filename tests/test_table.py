from __future__ import annotations

from tfaas_nb.table import Table, folded


def test_text_is_aligned_numbers_to_the_right() -> None:
    table = Table(("name", "value"), (("a", 1.0), ("longer", 123.456)), caption="Two rows")
    assert repr(table).splitlines() == [
        "Two rows",
        "name    value",
        "a           1",
        "longer  123.5",
    ]


def test_a_missing_value_is_a_dash_and_the_column_stays_numeric() -> None:
    assert repr(Table(("n",), ((None,), (12,)))).splitlines() == [" n", " –", "12"]


def test_whole_numbers_are_shown_whole() -> None:
    table = Table(("n",), ((20000.0,), (12345.6,), (2.0e9,), (float("nan"),)))
    assert [line.strip() for line in repr(table).splitlines()[1:]] == [
        *("20000", "1.235e+04", "2e+09", "nan")
    ]


def test_columns_without_names_have_no_head() -> None:
    assert "<thead" not in Table(("", ""), (("a", "b"),))._repr_html_()


def test_a_short_caption_is_one_line_however_narrow_the_table() -> None:
    assert "nowrap" in Table(("n",), ((1,),), "a caption")._repr_html_()
    assert "nowrap" not in Table(("n",), ((1,),), "word " * 30)._repr_html_()


def test_a_table_without_rows_shows_its_columns() -> None:
    table = Table(("epoch", "loss"), ())
    assert repr(table) == "epoch  loss"
    assert "<tbody></tbody>" in table._repr_html_()


def test_html_escapes_what_it_shows() -> None:
    html = Table(("<b>",), (("<script>",),), caption="a & b")._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "a &amp; b" in html


def test_html_aligns_as_text_does() -> None:
    html = Table(("name", "value"), (("a", 1.5),))._repr_html_()
    assert html.count("text-align:left") == 2
    assert html.count("text-align:right") == 2
    assert ">1.5</td>" in html


def test_html_has_a_caption_only_when_there_is_one() -> None:
    assert "<caption" not in Table(("a",), ())._repr_html_()


def test_a_folded_table_waits_for_a_click() -> None:
    table = Table(("a",), (("1",),))
    assert folded("all <of> it", table) == (
        f"<details><summary>all &lt;of&gt; it</summary>{table._repr_html_()}</details>"
    )


def test_tables_have_the_colours_of_the_page() -> None:
    html = Table(("a", "b"), (("1", 2.0),), "c")._repr_html_()
    assert "color" not in html
    assert "background" not in html
