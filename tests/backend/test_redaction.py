"""Secrets and personal data are taken out wherever they stand; what only looks like them stays."""

import json
import random
import time
import urllib.parse
import uuid
from collections.abc import Iterator

import pytest

from app.core import redaction
from app.core.redaction import redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mBc"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nq83vEjRWeJ\n-----END RSA PRIVATE KEY-----"

#: (what, text, the part that must be gone)
SECRETS = [
    ("e-mail", "mail anna.rossi+spam@example.org now", "anna.rossi"),
    ("e-mail in another script", "mail для@пример.рф now", "для"),
    ("card", "paid by 4111111111111111.", "4111"),
    ("card with spaces", "paid by 4111 1111 1111 1111 12/27", "1111"),
    ("card with hyphens", "paid by 5500-0055-5555-5559", "5500"),
    ("card of 15 digits", "paid by 3782 822463 10005", "3782"),
    ("card of 19 digits", "paid by 6304000000000000000", "6304"),
    ("card after other digits", "order 123 4111111111111111", "4111"),
    ("card in a file name", "scan_4111111111111111.pdf", "4111"),
    ("IBAN", "to GB29NWBK60161331926819.", "NWBK"),
    ("IBAN with spaces and words after it", "to DE89 3704 0044 0532 0130 00 please", "3704"),
    ("IBAN in lower case", "to it60x0542811101000000123456", "x0542"),
    ("JWT", f"sent {JWT}", "eyJ"),
    ("bearer", "got Bearer abcdef123456", "abcdef"),
    ("basic", "got Basic dXNlcjpwYXNzd29yZA==", "dXNl"),
    ("OpenAI's key", "with sk-proj-abcdefgh12345678", "abcdefgh"),
    ("AWS' key", "with AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("GitHub's token", "with ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefgh"),
    ("Slack's token", "with xoxb-1234-abcdefgh", "abcdefgh"),
    ("Google's key", "with AIzaSyA-abcdefghijklmnopqrstuvwxyz12345", "abcdefgh"),
    ("private key", f"read {PEM} from a file", "MIIE"),
    ("private key that was cut", f"read {PEM[:50]}", "MIIE"),
    ("phone", "call +39 333 123 4567 now", "333"),
    ("phone without spaces", "call +14155552671", "4155"),
    ("password in a URL", "mongodb://root:hunter2@db:27017/x", "hunter2"),
    ("password by name", "connect(password=hunter2, port=1)", "hunter2"),
    ("password in JSON", '{"password": "hunter2 and more", "a": 1}', "hunter2"),
    ("password in a dict", "{'userPassword': 'hunter2'}", "hunter2"),
    ("password in JSON in JSON", r"{\"password\": \"hunter2\"}", "hunter2"),
    ("header of ASGI", "[(b'authorization', b'hunter2')]", "hunter2"),
    ("header", "Authorization: ApiKey hunter2 and more", "hunter2"),
    ("cookies", "Cookie: session=hunter2; other=hunter2", "hunter2"),
    ("key in a query", "GET /x?api_key=hunter2&y=1 failed", "hunter2"),
    ("key in words", "the api key: hunter2", "hunter2"),
    ("token in a query", "GET /x?access_token=hunter2 failed", "hunter2"),
]

INNOCENT = [
    "0af7651916cd43dd8448eb211c80319c",
    "12345678901234567890123456789012",
    "41111107-1111-4111-8abc-446655440000",  # without its hyphens, and half of it, a card number
    "order 4111111111111112 and DE89370400440532013001",  # neither's check digits are right
    "2026-11-24T23:00:36.123456Z",
    "2026-11-24 23:00:36+01:00",
    "at 1764025236123456789 ns",
    "took 0.4111111111111111 s",
    "off by +12.34567890 ms",
    "tokens=512 max_tokens: 512 input_tokens=12",
    '{"tokens": {"input": 512}}',
    "basic authentication failed",
    "no bearer token given",
    "disk 85% full, see http://host:8000/path?x=1",
    "tokenizer: fast, secretariat: closed, author: Anna",
    "task-force-of-something-quite-long",
    "10 20 30 40 50 60 70 80 90 100",
    "127.0.0.1:8000 answered",
    "the key: documents",
    "password: null, token: None",
]


@pytest.mark.parametrize(("what", "text", "secret"), SECRETS, ids=[what for what, _, _ in SECRETS])
def test_a_secret_is_taken_out_of_a_text(what: str, text: str, secret: str) -> None:
    told = redact_text(text)
    assert secret not in told
    assert "[redacted:" in told
    assert redact_text(told) == told


@pytest.mark.parametrize(("what", "text", "secret"), SECRETS, ids=[what for what, _, _ in SECRETS])
def test_it_is_found_url_encoded_too(what: str, text: str, secret: str) -> None:
    once = urllib.parse.quote(text, safe="")
    for encoded in (once, urllib.parse.quote(once, safe=""), "".join(f"%{byte:02x}" for byte in text.encode())):
        assert secret not in urllib.parse.unquote(urllib.parse.unquote(redact_text(f"GET /x?q={encoded} failed")))


def test_it_is_found_behind_json_escapes() -> None:
    assert "anna" not in redact_text(r'{"who": "anna\u0040example.org"}')


def test_what_stands_around_it_stays() -> None:
    assert redact_text("from anna@example.org, to +39 333 123 4567: sent") == (
        "from [redacted:email], to [redacted:phone]: sent"
    )
    assert redact_text("GET /x?q=anna%40example.org&page=2 took 3 s") == "GET /x?q=[redacted:email]&page=2 took 3 s"


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert redact_text(text) == text


def test_identifiers_are_never_mistaken_for_anything() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        number = uuid.UUID(int=chance.getrandbits(128), version=4)
        assert redact_text(f"{number} {number.hex}") == f"{number} {number.hex}"


@pytest.mark.parametrize(
    "key",
    [
        "password", "PASSWORD", "dbPassword", "passwd", "X-Api-Key", "apiKey", "APIKey", "api_key", "user_hash_key",
        "Set-Cookie", "authorization", "access-token", "refreshToken", "client_secret", "clientsecret", "PRIVATE_KEY",
    ],
)  # fmt: skip
def test_the_name_of_a_key_is_enough_in_any_nesting(key: str) -> None:
    value = {"a": [{"b": {key: "hunter2", "kept": "x"}}], "headers": [(key, "hunter2")]}
    assert "hunter2" not in json.dumps(redact(value))
    assert redact(value)["a"][0]["b"]["kept"] == "x"
    assert value["a"][0]["b"][key] == "hunter2"  # type: ignore[index]


def test_numbers_and_absences_stay_under_the_names_of_tokens_and_secrets() -> None:
    value = {"tokens": {"input": 5, "output": 7}, "input_tokens": 12, "max_tokens": 3, "api_key": None, "password": ""}
    assert redact(value) == value
    assert redact({"password": 123456})["password"] == "[redacted:secret]"


def test_a_card_number_that_is_an_integer_is_one_too() -> None:
    assert redact({"n": 4111111111111111})["n"] == "[redacted:card]"
    assert redact({"bytes": 4123456789012, "at": 1764025236123456789}) == {
        "bytes": 4123456789012,
        "at": 1764025236123456789,
    }


@pytest.mark.parametrize("escape", [r"\n", r"\\n", r"\t", r"\x0a", r"\u000a", "%0A"])
@pytest.mark.parametrize("secret", ["5555555555554444", "DE89370400440532013000", "anna@example.org"])
def test_a_secret_right_after_an_escape_is_found(escape: str, secret: str) -> None:
    assert secret not in redact_text(f"first line{escape}{secret}")


def test_keys_are_looked_at_as_well() -> None:
    assert "anna" not in json.dumps(redact({"anna@example.org": 1}))


def test_what_never_ends_or_is_huge_costs_little() -> None:
    endless: dict[str, object] = {"text": "anna@example.org"}
    endless["again"] = endless
    begun = time.thread_time()
    assert "anna" not in json.dumps(redact(endless))
    for hostile in ("a@", "123 ", "+1 ", "%41", "token=", "eyJa.", "de89 ", "\\u0041", "password='\\", "://", "key-"):
        redact_text(hostile * (32_000 // len(hostile)))
    assert time.thread_time() - begun < 5


@pytest.fixture
def _off() -> Iterator[None]:
    redaction.switch(False)
    yield
    redaction.switch(True)


@pytest.mark.usefixtures("_off")
def test_it_can_be_switched_off_to_prove_that_a_search_would_find_something() -> None:
    assert redact_text("anna@example.org") == "anna@example.org"
    assert redact({"password": "hunter2"}) == {"password": "hunter2"}
