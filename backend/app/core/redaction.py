"""What must not be stored, taken out of whatever is about to be: secrets by the name of their key, and by their form.

Forms: e-mail addresses, card numbers (Luhn), IBANs (mod 97), international phone numbers, JWTs, bearer and basic
credentials, providers' keys, private key blocks, passwords in URLs; URL-encoded and JSON-escaped ones too. Identifiers
(UUIDs, trace ids), timestamps, durations and counts of tokens stay.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

#: Deeper values are not walked but taken out: nothing that is logged on purpose is nested like that.
MAX_DEPTH = 24
#: Longer texts hardly come again (characters).
REPEATING_CHARS = 120
#: Countries' IBAN lengths (SWIFT's IBAN registry, release 97). Without them one hex id in a thousand would be an IBAN.
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})([0-9]{2})",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30",
    )
}

#: None of these in a serialised line, and it cannot hold what is looked for: the common line pays for nothing else.
#: All of them plain text, because the engine then skips to their first letters.
_hint = re.compile(
    rb"@|%|\+|\\|token|auth|cookie|passw|passp|pwd|secret|credential|key|bearer|basic|jwt|eyj|sk-|sk_|rk_|akia|asia|"
    rb"ghp_|gho_|ghs_|ghu_|ghr_|github_pat|xox|xapp-|aiza|glpat-|glsa_|hf_"
)
_SHAPE = bytes(48 if chr(c).isdigit() and c < 128 else 97 if chr(c).isalpha() and c < 128 else 46 for c in range(256))
_IBAN_SHAPE, _LONG_NUMBER = b".aa00", b"0" * 13

_SECRET_PARTS = (
    "authorization", "password", "passwd", "passphrase", "credential", "cookie",
    "apikey", "accesskey", "privatekey", "signingkey", "encryptionkey", "accountkey", "subscriptionkey", "hashkey",
)  # fmt: skip
_camel = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_KEY = (
    r"(?i)((?<![\w-])[\w-]*?(?:passw|passphrase|pwd|secret|credential|auth|token|cookie|"
    r"(?:api|access|private|signing|encryption|account|subscription|hash)[-_ ]?key)[\w-]*+)"
)
_SEPARATOR = r"((?:\\*[\"'])?\s{0,8}(?:[:=]>?|,(?=\s{0,8}b?\\*[\"']))\s{0,8}"
_quoted_value = re.compile(_KEY + _SEPARATOR + r"b?\\*([\"']))((?:\\.|(?!\3)[^\\])+)", re.DOTALL)
_plain_value = re.compile(_KEY + _SEPARATOR + r")()(?!b?\\*[\"'])([^\s,;&\"'<>)\]}\\]+)")
_header = re.compile(r"(?i)((?<![\w-])(?:(?:proxy-)?authorization|(?:set-)?cookie)\s{0,8}[:=]\s{0,8})([^\r\n\"'\]}]+)")
_encoded = re.compile(
    r"(?<![^\s\"'<>])(?:(?!%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})[^\s\"'<>])*+(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})"
    r"[^\s\"'<>]*+"
)
_escape = re.compile(r"\\u00([0-7][0-9A-Fa-f])")
#: What stands for one character in text that quotes a text; its last letter begins no word.
_sequence = re.compile(r"(\\+(?:[abfnrtv0]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})|%[0-9A-Fa-f]{2})")
_private_key = re.compile(
    r"-----BEGIN[A-Z0-9 +]{0,40}PRIVATE[ +]KEY.*?(?:-----END[A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z +]{0,10}-----|\Z)",
    re.DOTALL,
)
_user_info = re.compile(r"(?i)([a-z][a-z0-9+.-]{1,20}://)[^\s/\"'<>]*@")
_email = re.compile(r"(?<![\w.+'-])[\w.+'-]++@[\w-]++(?:\.[\w-]++)+")
_jwt = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{4,}+(?:\.[\w-]*+)+")
_bearer = re.compile(
    r"(?i)\b(bearer[ +:=]{1,4})(?!(?:authentication|authorization|credentials|tokens?|scheme)(?![\w.~+/=-]))"
    r"[\w.~+/=-]{6,}"
)
_basic = re.compile(r"(?i)\b(basic[ +:=]{1,4})([A-Za-z0-9+/_-]{6,}={0,2})")
_provider_key = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{12,}|[sr]k_(?:live|test)_\w{8,}|A(?:KIA|SIA)[0-9A-Z]{12,}|gh[pousr]_\w{16,}|"
    r"github_pat_\w{16,}|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|AIza[\w-]{20,}|glpat-[\w-]{12,}|glsa_\w{12,}|hf_\w{16,})"
)
_uuid_or_digits = re.compile(
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|"
    r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9]{3,19}(?:[ +-][0-9]{3,19})*+(?![0-9A-Za-z])"
)
_iban_start = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}")
_iban_rest = {
    length: re.compile(rf"(?:[ +]?[0-9A-Za-z]){{{length - 4}}}(?![0-9A-Za-z])")
    for length in set(_IBAN_LENGTHS.values())
}
_phone = re.compile(r"(?<![0-9A-Za-z])\+[1-9](?:[ .()/+-]{0,2}[0-9]){7,14}(?![0-9A-Za-z])")


class _Switch:
    on = True


def switch(on: bool) -> None:
    """Turns redaction on or off for the process (`LOG_REDACTION`)."""
    _Switch.on = on


def is_on() -> bool:
    """Whether anything is redacted at all."""
    return _Switch.on


def suspicious(data: bytes) -> bool:
    """Whether these bytes (text, or lines of JSON) could hold anything to redact. No means no; yes means look."""
    if _hint.search(data.lower()):
        return True
    return _IBAN_SHAPE in data.translate(_SHAPE) or _LONG_NUMBER in data.translate(_SHAPE, b" -")


def redact_text(text: str) -> str:
    """The text with whatever has the form of a secret or of personal data replaced by `[redacted:<what>]`."""
    if not _Switch.on or not suspicious(b" " + text.encode("utf-8", "replace")):
        return text
    if "%" in text or "\\u" in text:
        text = _encoded.sub(_decode_and_redact, text)
    text = _redact_plain(text)
    if "\\" in text or "%" in text:
        parts = _sequence.split(text)
        text = "".join(part if number % 2 else _redact_plain(part) for number, part in enumerate(parts))
    return text


def redact(value: Any) -> Any:
    """A copy of a value (dicts, lists and text, nested) without secrets: by key, and by form in every text."""
    return _walk(value, 0) if _Switch.on else value


@lru_cache(4096)
def _repeating_text(text: str) -> str:
    """Names, file names and the like, which come again with each line of their kind."""
    return redact_text(text)


def _walk(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value) if len(value) > REPEATING_CHARS else _repeating_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # Counts of bytes and nanoseconds have 13 and 14 digits too, cards of that length are hardly in use any more.
        return "[redacted:card]" if value >= 10**14 and _is_card(str(value)) else value
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth >= MAX_DEPTH:
        return "[redacted:too deep]"
    if isinstance(value, Mapping):
        return {
            _repeating_text(key) if isinstance(key, str) else key: _hide(item, depth)
            if isinstance(key, str) and is_secret_key(key) and not (_counts_tokens(key) and _is_number(item))
            else _walk(item, depth + 1)
            for key, item in value.items()
        }
    if len(value) == 2 and isinstance(value[0], str) and is_secret_key(value[0]):  # a header, as ASGI has them
        return [value[0], _hide(value[1], depth)]
    return [_walk(item, depth + 1) for item in value]


def _hide(item: Any, depth: int) -> Any:
    """What stands under a secret key; what says only that there is none stays."""
    if item is None or isinstance(item, bool) or item == "":
        return item
    return "[redacted:secret]"


def _is_number(item: Any) -> bool:
    """A number, or numbers by name, such as counts of tokens."""
    if isinstance(item, Mapping):
        return all(_is_number(one) for one in item.values())
    return isinstance(item, int | float) or (isinstance(item, str) and item.replace(".", "", 1).isdigit())


@lru_cache(4096)
def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is secret, in any case, hyphenated, underscored or camelCase."""
    words = re.split(r"[^a-z0-9]+", _camel.sub("_", key).lower())
    flat = "".join(words)
    return (
        any(part in flat for part in _SECRET_PARTS)
        or flat.endswith(("token", "secret"))
        or not {"token", "tokens", "secret", "secrets", "auth", "pwd", "jwt"}.isdisjoint(words)
    )


@lru_cache(4096)
def _counts_tokens(key: str) -> bool:
    flat = key.lower()
    return "token" in flat and not any(part in flat for part in _SECRET_PARTS)


def _decode_and_redact(match: re.Match[str]) -> str:
    """Looks at a run of characters as what it says; one without anything to hide stays as it was."""
    decoded = match[0]
    for _ in range(3):  # encoded again by each proxy on the way
        further = _escape.sub(lambda escape: chr(int(escape[1], 16)), unquote(decoded))
        if further == decoded:
            break
        decoded = further
    redacted = _redact_plain(decoded)
    return match[0] if redacted == decoded else redacted


def _redact_plain(text: str) -> str:
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _redact_ibans(text) if _iban_start.search(text) else text


def _value(match: re.Match[str]) -> str:
    key, separator, _, content = match.groups()
    if content.startswith("[redacted") or content in ("None", "null", "True", "False", "true", "false"):
        return match[0]
    if not is_secret_key(key) or (_counts_tokens(key) and (content[0] in "{[" or _is_number(content))):
        return match[0]
    return f"{key}{separator}[redacted:secret]"


def _header_value(match: re.Match[str]) -> str:
    done = re.match(r"(?i)(?:(?:bearer|basic)\s+)?\[redacted", match[2])
    return match[0] if done else f"{match[1]}[redacted:secret]"


def _basic_value(match: re.Match[str]) -> str:
    """`basic` is a word too: only what decodes to `user:password` is a credential."""
    try:
        decoded = base64.b64decode(match[2] + "=" * (-len(match[2]) % 4), altchars=b"-_")
    except (binascii.Error, ValueError):
        return match[0]
    return f"{match[1]}[redacted:credentials]" if b":" in decoded else match[0]


def _is_card(digits: str) -> bool:
    """13 to 19 digits of an issuer's range (ISO/IEC 7812: travel 3, banks 2 (22 to 27), 4, 5, 6) that pass Luhn."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    if digits[0] == "2" and not (len(digits) == 16 and "22" <= digits[:2] <= "27"):
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + position % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _cards(match: re.Match[str]) -> str:
    """Groups of digits: a card number may be any of them in a row, with a date or a code before or after."""
    text = match[0]
    if len(text) < 13 or not _is_digits(text):
        return text
    groups = [(found.start(), found.end()) for found in re.finditer(r"[0-9]+", text)]
    parts, position, first = [], 0, 0
    while first < len(groups):
        for last in range(min(len(groups), first + 6) - 1, first - 1, -1):
            start, end = groups[first][0], groups[last][1]
            if _is_card(re.sub(r"[ +-]", "", text[start:end])):
                parts += [text[position:start], "[redacted:card]"]
                position, first = end, last
                break
        first += 1
    return "".join([*parts, text[position:]])


def _is_digits(text: str) -> bool:
    """No UUID: its letters, or its five groups of 8, 4, 4, 4 and 12, say so."""
    parts = text.split("-")
    return [len(part) for part in parts] != [8, 4, 4, 4, 12] and re.fullmatch(r"[0-9 +-]+", text) is not None


def _phone_number(match: re.Match[str]) -> str:
    """One point and no other separator: a signed decimal number."""
    return match[0] if re.fullmatch(r"\+[0-9]+\.[0-9]+", match[0]) else "[redacted:phone]"


def _redact_ibans(text: str) -> str:
    parts, position = [], 0
    for found in _iban_start.finditer(text):
        length = _IBAN_LENGTHS.get(found[0][:2].upper())
        rest = _iban_rest[length].match(text, found.end()) if length and found.start() >= position else None
        if rest:
            letters = re.sub(r"[ +]", "", found[0] + rest[0]).upper()
            if int("".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])) % 97 == 1:
                parts += [text[position : found.start()], "[redacted:iban]"]
                position = rest.end()
    return "".join([*parts, text[position:]])


#: In this order: what is long and holds others first.
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_private_key, "[redacted:private key]"),
    (_bearer, r"\1[redacted:bearer]"),
    (_basic, _basic_value),
    (_header, _header_value),
    (_quoted_value, _value),
    (_plain_value, _value),
    (_jwt, "[redacted:jwt]"),
    (_provider_key, "[redacted:key]"),
    (_user_info, r"\1[redacted:credentials]@"),
    (_email, "[redacted:email]"),
    (_uuid_or_digits, _cards),
    (_phone, _phone_number),
)
