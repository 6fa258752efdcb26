"""The canaries: made-up secrets, personal data and private sentences, new ones in each run, so that a hit is a leak."""

import base64
import json
import random
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass

_WORDS = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "glade", "heron", "indigo", "juniper", "kelp", "lichen")


@dataclass(frozen=True)
class Canary:
    """One of a kind. `text` is how it stands in running text, `bare` the secret itself, `key` what it is a value of.

    `parts` are pieces that must not be found either. A `formless` one looks like any other word by itself; one of
    `digits` alone may be written in groups.
    """

    kind: str
    bare: str
    text: str
    key: str
    parts: tuple[str, ...] = ()
    formless: bool = False
    digits: bool = False

    @property
    def slug(self) -> str:
        """The kind as a piece of a request id."""
        return self.kind.replace(" ", "-")


def hatch() -> list[Canary]:
    """One canary of each kind."""
    return [make() for make in _KINDS]


def _token(length: int = 20) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def _digits(length: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(length))


def _email() -> Canary:
    local, domain = f"mara.{_token(12)}", f"{_token(12)}.example"
    address = f"{local}@{domain}"
    return Canary("e-mail", address, f"write to {address} please", "email", (local, domain))


def luhn(digits: str) -> str:
    """The digits with the check digit that makes them a card number."""
    doubled = [int(digit) * 2 if index % 2 == 0 else int(digit) for index, digit in enumerate(reversed(digits))]
    return digits + str(-sum(number - 9 if number > 9 else number for number in doubled) % 10)


def _card() -> Canary:
    number = luhn(f"4{_digits(14)}")
    return Canary("card", number, f"charge {number} today", "card_number", digits=True)


def _spaced_card() -> Canary:
    number = luhn(f"51{_digits(13)}")
    spaced = " ".join(number[at : at + 4] for at in range(0, 16, 4))
    return Canary("card in groups", number, f"charge {spaced} today", "card", digits=True)


def iban(country: str, account: str) -> str:
    """The account with the check digits that make it an IBAN (ISO 13616)."""
    number = int("".join(str(int(letter, 36)) for letter in f"{account}{country}00"))
    return f"{country}{98 - number % 97:02d}{account}"


def _iban() -> Canary:
    number = iban("DE", _digits(18))
    return Canary("IBAN", number, f"pay to {number} by Friday", "iban", (number[4:],))


def _phone() -> Canary:
    digits = f"3{_digits(9)}"
    written = f"+39 {digits[:3]} {digits[3:6]} {digits[6:]}"
    return Canary("phone", f"+39{digits}", f"call {written} tonight", "phone", (digits,), digits=True)


def _password() -> Canary:
    word = f"Hx{_token(14)}"
    return Canary("password", word, f"password={word}", "password", (word[:10],), formless=True)


def _api_key() -> Canary:
    key = f"sk-proj-{_token(40)}"
    return Canary("API key", key, f"use {key} for it", "api_key", (key[8:28], key[28:]))


def _own_key() -> Canary:
    secret = secrets.token_urlsafe(32)
    key = f"sk-specola-{secrets.token_hex(8)}-{secret}"
    return Canary("key of this service", key, f"use {key} for it", "key", (secret, secret[:20]))


def _cloud_key() -> Canary:
    key = "AKIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
    return Canary("cloud key", key, f"the id is {key} there", "aws_access_key_id", (key[4:],))


def _bearer() -> Canary:
    token = _token(40)
    return Canary("bearer token", token, f"Bearer {token}", "token", (token[:20], token[20:]), formless=True)


def _basic() -> Canary:
    password = _token(16)
    encoded = base64.b64encode(f"mara:{password}".encode()).decode()
    return Canary("basic credentials", encoded, f"Basic {encoded}", "authorization", (password,), formless=True)


def _jwt() -> Canary:
    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    payload, signature = part({"sub": _token(16)}), _token(43)
    token = ".".join((part({"alg": "HS256", "typ": "JWT"}), payload, signature))
    return Canary("JWT", token, f"the session is {token} now", "jwt", (payload, signature))


def _cookie() -> Canary:
    value = _token(32)
    return Canary("cookie", value, f"Cookie: session={value}", "cookie", (value[:16],), formless=True)


def _private_key() -> Canary:
    lines = [base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(4)]
    block = "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"))
    return Canary("private key", block, f"key:\n{block}\n", "private_key", tuple(lines))


def _url() -> Canary:
    word = _token(16)
    address = f"postgres://mara:{word}@db.example/books"
    return Canary("password in a URL", address, f"connect to {address} first", "database_url", (word,))


def _sentence(kind: str, frame: str) -> Callable[[], Canary]:
    def make() -> Canary:
        names = [f"{random.choice(_WORDS)}{_token(6)}" for _ in range(4)]  # noqa: S311 - `_token` makes them unique
        sentence = frame.format(*names)
        half = sentence.index(" ", len(sentence) // 2)
        return Canary(kind, sentence, sentence, "note", (sentence[:half], sentence[half + 1 :]), formless=True)

    return make


_KINDS: tuple[Callable[[], Canary], ...] = (
    _email, _card, _spaced_card, _iban, _phone, _password, _api_key, _own_key, _cloud_key, _bearer, _basic, _jwt,
    _cookie, _private_key, _url,
    _sentence("sentence in a prompt", "Why did {} of the {} harbour leave {} to her sister in {}?"),
    _sentence("sentence in a document", "The board of {} will sell the {} mill to {} before {} hears of it."),
)  # fmt: skip
