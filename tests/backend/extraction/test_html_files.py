"""HTML: what a reader of the page would see, and nothing else."""

from app.services.extraction import Limits, Section, extract

from .conftest import Refusals

PAGE = b"""<!doctype html>
<html><head><meta charset="utf-8"><title>Caf\xc3\xa9 &amp; bar</title>
<style>p { color: red }</style><script>var hidden = "<p>not text</p>";</script></head>
<body><p>Before   the
first heading.</p>
<h1>Opening <em>hours</em></h1>
<p>From 9<br>to 5.</p><ul><li>Monday<li>Tuesday</ul>
<noscript>Turn on scripts</noscript><svg><title>icon</title><text>drawn</text></svg>
<h2>Prices</h2><table><tr><th>Coffee</th><td>1 &euro;</td></tr><tr><td>Tea</td><td>2&nbsp;&#8364;</td></tr></table>
<pre>kept
  as is</pre><!-- hidden --></body></html>"""


def test_title_headings_and_text_are_kept(limits: Limits) -> None:
    found = extract(PAGE, "html", limits)
    assert found.title == "Café & bar"
    assert found.sections == [
        Section("", "Before the first heading."),
        Section("Opening hours", "From 9\nto 5.\n\nMonday\nTuesday"),
        Section("Prices", "Coffee 1 €\n\nTea 2 €\n\nkept\n  as is"),
    ]


def test_scripts_styles_comments_and_drawings_are_not_text(limits: Limits) -> None:
    text = extract(PAGE, "html", limits).text
    for hidden in ("not text", "color", "Turn on", "icon", "drawn", "hidden"):
        assert hidden not in text


def test_without_a_title_the_first_heading_is_it(limits: Limits) -> None:
    assert extract(b"<p>x<h2>Heading</h2>text", "html", limits).title == "Heading"


def test_tags_that_are_never_closed_lose_no_text(limits: Limits) -> None:
    text = extract(b"<title>T<body><h1>Head<p>para <b>bold<div>more</h2></section>end", "html", limits).text
    for word in ("Head", "para", "bold", "more", "end"):
        assert word in text


def test_an_open_title_before_the_first_heading_loses_no_text(limits: Limits) -> None:
    assert "para" in extract(b"<title>T<p>para<h1>Head</h1>end", "html", limits).text


def test_the_title_of_a_drawing_is_not_the_page_s(limits: Limits) -> None:
    found = extract(b"<title>T</title><svg><title>icon</svg>text", "html", limits)
    assert (found.title, found.text) == ("T", "text")


def test_a_title_that_swallows_the_page_is_text_too(limits: Limits) -> None:
    assert "the page" in extract(b"<title>T the <b>bold</b> and the page", "html", limits).text


def test_a_block_inside_a_heading_is_part_of_it(limits: Limits) -> None:
    found = extract(b"<h2><div>Opening</div><br>hours</h2>From 9 to 5.", "html", limits)
    assert found.sections == [Section("Opening hours", "From 9 to 5.")]


def test_an_end_without_its_start_hides_nothing(limits: Limits) -> None:
    assert extract(b"</svg></script></style>seen", "html", limits).text == "seen"


def test_depth_costs_neither_recursion_nor_memory(limits: Limits) -> None:
    assert extract(b"<div>" * 100_000 + b"deep", "html", limits).text == "deep"


def test_a_page_of_scripts_alone_is_empty(refused: Refusals) -> None:
    error = refused(b"<html><script>alert(1)</script></html>", "html")
    assert error.reason == "empty"
    assert "no text" in str(error)


def test_too_much_text_is_refused_with_the_line(refused: Refusals) -> None:
    error = refused(b"<p>word</p>\n" * 1_000, "html", Limits(max_text_chars=1_000))
    assert error.reason == "too_long"
    assert "line 2" in str(error)


def test_a_reference_to_a_number_without_end_is_refused(refused: Refusals) -> None:
    error = refused(b"<p>&#" + b"9" * 10_000 + b";", "html")
    assert error.reason == "unreadable"
    assert "cannot be read as html" in str(error)
