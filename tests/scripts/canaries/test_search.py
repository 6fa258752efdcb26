"""The canaries are real ones of their kinds, and the search finds them in every disguise."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from app.core.redaction import redact_text
from scripts.canaries.disguises import search
from scripts.canaries.inputs import plants
from scripts.canaries.kinds import Canary, hatch, iban, luhn

KINDS = [canary.kind for canary in hatch()]


def hatched(kind: str) -> Canary:
    return next(canary for canary in hatch() if canary.kind == kind)


def partly(text: str) -> str:
    """Every other character URL-encoded, needed or not."""
    return "".join(f"%{ord(one):02X}" if number % 2 else one for number, one in enumerate(text))


def in_groups(text: str) -> str:
    return "".join(f"{one}{'- '[number % 2]}" if one.isdigit() else one for number, one in enumerate(text))


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: f"<{text}>",
    "URL-encoded": lambda text: quote(text, safe=""),
    "URL-encoded as a form": quote_plus,
    "URL-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "URL-encoded partly": partly,
    "JSON": lambda text: json.dumps({"x": text}),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"x": text})),
    "JSON, every character escaped": lambda text: "".join(f"\\u{ord(one):04X}" for one in text),
    "Python": repr,
    "bytes": lambda text: repr(text.encode()),
    "HTML": html.escape,
    "other case": str.swapcase,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one": lambda text: base64.b64encode(b"x" + text.encode() + b"yz").decode(),
    "base64 after two": lambda text: base64.b64encode(b"xx" + text.encode() + b"y").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"\xff\xfe" + text.encode()).decode().rstrip("="),
}


def test_there_are_at_least_twelve_kinds_each_new_in_each_run() -> None:
    assert len(set(KINDS)) >= 12
    assert not {canary.bare for canary in hatch()} & {canary.bare for canary in hatch()}


def test_check_digits_are_those_of_the_standards() -> None:
    assert luhn("411111111111111") == "4111111111111111"
    assert iban("DE", "370400440532013000") == "DE89370400440532013000"  # the ISO's own example


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_found_in_every_disguise(kind: str, disguise: str) -> None:
    canary = hatched(kind)
    text = f"before\n{DISGUISES[disguise](canary.bare)} and more\nafter"
    assert {found.kind for found in search(text, [canary])} == {kind}


def test_base64_for_urls_is_found_whatever_letters_it_has() -> None:
    canary = Canary("letters", "~~~???>>>~~~???", "", "")
    encoded = base64.urlsafe_b64encode(canary.bare.encode()).decode()
    assert {"-", "_"} & set(encoded)
    assert list(search(encoded, [canary]))


@pytest.mark.parametrize("kind", [canary.kind for canary in hatch() if canary.digits])
def test_a_number_is_found_in_groups(kind: str) -> None:
    canary = hatched(kind)
    assert list(search(in_groups(canary.bare), [canary]))


@pytest.mark.parametrize("kind", [canary.kind for canary in hatch() if canary.parts])
def test_each_part_alone_is_found(kind: str) -> None:
    canary = hatched(kind)
    for part in canary.parts:
        assert {found.disguise for found in search(f"({part})", [canary])} >= {"in part"}


def test_the_line_that_holds_it_is_told() -> None:
    canary = hatched("e-mail")
    lines = ["first", json.dumps({"request_id": "x", "text": quote(canary.bare)}), "last"]
    assert {found.line for found in search("\n".join(lines), [canary])} == {lines[1]}


def test_nothing_is_found_where_nothing_is() -> None:
    ours, others = hatch(), hatch()
    text = "\n".join(canary.text for canary in others)
    assert list(search(text, ours)) == []


@pytest.mark.parametrize("kind", [canary.kind for canary in hatch() if canary.key != "note"])
def test_a_canary_in_running_text_is_one_that_redaction_knows(kind: str) -> None:
    canary = hatched(kind)
    assert not list(search(redact_text(canary.text), [canary]))


def test_every_kind_is_planted_in_every_input() -> None:
    places = {canary.kind: {plant.place for plant in plants(canary, "s", "m")} for canary in hatch()}
    most = set.union(*places.values())
    assert len(most) > 70
    for kind, own in places.items():
        missing = {
            place
            for place in most - own
            if not place.startswith(("alert, ", "header X-Request-ID", "what to trace, a request"))
        }
        assert missing == set(), kind
    for part in (
        "header Cookie",
        "query, ",
        "path, ",
        "chat text",
        "file name",
        "file content",
        "feedback",
        "provider",
    ):
        assert any(place.startswith(part) for place in most), part
