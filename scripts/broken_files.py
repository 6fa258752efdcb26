"""Files that are broken, mislabelled or hostile, as uploads for tests: endless, and the same for the same seed."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from scripts import broken_pdfs
from scripts.pdf import pdf


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """An upload: `name` may be anything or "", `content_type` missing, and `why` says what is wrong with it."""

    name: str
    content_type: str | None
    content: bytes
    why: str


Made = tuple[str, bytes, str]
"""An extension, the content and what is wrong with it."""
Maker = Callable[[Random], Made]

_WORDS = "Alerts wake people; dashboards inform them. Caffè, 東京, ½ €, emoji 🙂. "
#: A small, valid file of each format, by extension.
VALID: dict[str, bytes] = {
    ".txt": (_WORDS * 5).encode(),
    ".md": f"---\ntitle: Valid\n---\n# First\n{_WORDS}\n\n```sh\n# code\n```\n\n## Second\n{_WORDS}".encode(),
    ".html": f"<!doctype html><title>Valid</title><h1>First</h1><p>{_WORDS}<ul><li>one<li>two</ul>".encode(),
    ".csv": b'name,city,note\nRossi,Roma,"said ""yes"", twice"\nBianchi,Milano,\n',
    ".json": json.dumps({"title": "Valid", "items": [{"id": 1, "text": _WORDS}, None, True, 1.5e3]}).encode(),
    ".pdf": pdf(_WORDS * 20, "Valid"),
}
TYPES = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".html": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".pdf": "application/pdf",
}
_EXTENSIONS = tuple(VALID)
_STRANGE_TYPES = (None, "", "application/octet-stream", "text/plain; charset=klingon", "x" * 5_000, "image/png")


def broken_files(seed: int) -> Iterator[BrokenFile]:
    """Yield files without end; the same `seed` gives the same files in the same order.

    Most are a few kilobytes, none is over 2 MB. None of them takes a careful reader more than a second or two;
    those that take longer stand apart in `broken_pdfs.SLOW`.
    """
    random = Random(seed)  # noqa: S311
    while True:
        extension, content, why = random.choice(_MAKERS)(random)
        name, naming = _name(random, extension)
        declared = TYPES.get(extension) if random.random() < 0.7 else random.choice(_STRANGE_TYPES)
        yield BrokenFile(name, declared, content, f"{why}, {naming}" if naming else why)


def _name(random: Random, extension: str) -> tuple[str, str]:
    if random.random() < 0.7:
        return f"file{extension}", ""
    return random.choice(
        [
            ("", "no name"),
            ("file", "a name without extension"),
            (f"../../../../etc/passwd{extension}", "a name that climbs"),
            (f"..\\..\\windows\\win.ini{extension}", "a name that climbs, with backslashes"),
            (f"/etc/cron.d/x{extension}", "an absolute name"),
            (f"a\r\nX-Injected: yes\r\n{extension}", "a name with line ends"),
            (f"a\0b{extension}", "a name with a NUL"),
            (f"\u202egnp.{extension}", "a name that reads backwards"),
            (f"файл-文件-🙂{extension}", "a name beyond ASCII"),
            ("x" * 10_000 + extension, "a name of 10,000 characters"),
            (extension, "a name that is only an extension"),
            (f"file{extension}.", "a name that ends in a dot"),
            (f"file{extension.upper()} ", "a name in capitals and with a space"),
            ("....", "a name of dots"),
            (f'"; filename="other.exe{extension}', "a name that closes its quotes"),
            (f"{{{{7*7}}}}${{x}}%s%n<script>{extension}", "a name for templates"),
        ]
    )


def _damaged(damage: Callable[[Random, bytearray], str]) -> Maker:
    """Make a maker that does `damage` to a valid file of any format."""

    def make(random: Random) -> Made:
        extension = random.choice(_EXTENSIONS)
        content = bytearray(VALID[extension])
        why = damage(random, content)
        return extension, bytes(content), f"valid {extension}, {why}"

    return make


def _truncate(random: Random, content: bytearray) -> str:
    del content[random.randrange(len(content)) :]
    return "cut off"


def _flip(random: Random, content: bytearray) -> str:
    for _ in range(random.choice([1, 3, 30])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return "bits flipped"


def _drop(random: Random, content: bytearray) -> str:
    start = random.randrange(len(content))
    del content[start : start + random.randrange(1, 60)]
    return "a part missing"


def _repeat(random: Random, content: bytearray) -> str:
    start = random.randrange(len(content))
    content[start:start] = content[start : start + random.randrange(1, 60)] * random.randrange(1, 300)
    return "a part repeated"


def _insert(random: Random, content: bytearray) -> str:
    start = random.randrange(len(content) + 1)
    what, inserted = random.choice(
        [
            ("NULs", b"\0" * 9),
            ("Latin-1", "caffè".encode("latin-1")),
            ("half a surrogate pair", b"\xed\xa0\x80"),
            ("an overlong slash", b"\xc0\xaf"),
            ("a byte order mark", b"\xef\xbb\xbf"),
            ("UTF-16", "mixed".encode("utf-16")),
            ("control characters", bytes(range(1, 32))),
            ("random bytes", random.randbytes(50)),
        ]
    )
    content[start:start] = inserted
    return f"with {what} inside"


def _recode(random: Random, content: bytearray) -> str:
    encoding = random.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"])
    content[:] = content.decode("utf-8", "replace").encode(encoding, "replace")
    if random.random() < 0.3:
        content.pop()
        return f"in {encoding} with a byte missing"
    return f"in {encoding}"


def _mark(random: Random, content: bytearray) -> str:
    marks = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\xef\xbb\xbf" * 2]
    content[:0] = random.choice(marks)
    if random.random() < 0.3:
        del content[4:]
    return "behind a byte order mark"


def _mislabelled(random: Random) -> Made:
    extension, other = random.sample(_EXTENSIONS, 2)
    return other, VALID[extension], f"{extension} under the name of {other}"


def _no_text(random: Random) -> Made:
    content = random.choice([b"", b" ", b"\n" * 5_000, b"\0" * 5_000, b"\xef\xbb\xbf", b"\xff\xfe", b"%PDF-", b"{}"])
    return random.choice(_EXTENSIONS), content, "no text"


def _noise(random: Random) -> Made:
    return random.choice(_EXTENSIONS), random.randbytes(random.randrange(1, 5_000)), "random bytes"


def _one_line(random: Random) -> Made:
    unit = random.choice(["a", " ", "word ", "🙂", "a\u0301", "\u200b", "<", "&", '"', ",", "#", "=", "- ", "\t"])
    content = (unit * random.choice([500, 30_000, 150_000])).encode()
    return random.choice(_EXTENSIONS[:-1]), content, f"one line of {unit!r}"


def _json(random: Random) -> Made:
    many = random.choice([60, 990, 5_000, 50_000])
    what, content = random.choice(
        [
            ("arrays in arrays", "[" * many + "]" * many),
            ("objects in objects", '{"a":' * many + "1" + "}" * many),
            ("arrays that never close", "[" * many),
            ("a wide array", "[" + "[]," * many + "0]"),
            ("a wide object", "{" + ",".join(f'"{number}":{{}}' for number in range(many)) + "}"),
            ("a huge integer", '{"n":' + "9" * many + "}"),
            ("a huge exponent", '{"n":1e' + "9" * many + "}"),
            ("lone surrogates", '["\\ud800", "\\udfff\\ud800", {"\\udc00": "text"}]'),
            ("a string that never closes", '["' + '\\"' * many),
            ("a key of great length", '{"' + "k" * many + '":[' + "1," * 999 + "1]}"),
            ("names that meet", "{" + '"a":1,' * many + '"a":2}'),
            ("no number", "[NaN, Infinity, -Infinity]"),
            ("escaped NULs", '{"\\u0000": "\\u0000"}'),
            ("a comma too many", "[1,2,]"),
        ]
    )
    return ".json", content.encode(), what


def _csv(random: Random) -> Made:
    many = random.choice([10, 900, 9_000])
    what, content = random.choice(
        [
            ("a quote that never closes", 'a,b\n1,"' + "x,y\n" * many),
            ("text after a quote", 'a,b\n"1"2,3\n' * many),
            ("100,000 columns", ",".join(["c"] * 100_000)),
            ("empty columns", "," * 100_000),
            ("a huge cell", "a,b\n" + "x" * 200_000 + ",1\n"),
            ("ragged rows", "\n".join("v," * (number % 50) for number in range(min(many, 900)))),
            ("a header without end", ",".join(f"{'h' * 500}{number}" for number in range(900)) + "\n" + "1," * 899),
            ("quotes only", '"' * many),
            ("bare carriage returns", "a,b\r1,2\r" * many),
            ("blank rows", " , \n" * many),
        ]
    )
    return ".csv", content.encode(), what


def _html(random: Random) -> Made:
    many = random.choice([10, 900, 9_000])
    what, content = random.choice(
        [
            ("elements in elements", "<div>" * many + "text"),
            ("tables in tables", "<table><tr><td>" * many + "text"),
            ("an open comment", "<p>text<!--" + "-" * many),
            ("open declarations", "<p>text" + "<![" * many),
            ("an open script", "<p>text<script>" + "</scrip" * many),
            ("an open attribute", '<p>text<a href="' + "x " * many),
            ("attributes", "<p " + " ".join(f"a{number}=1" for number in range(many)) + ">text"),
            ("huge character references", "&#" + "9" * many + ";&#xffffffff;&#0;&#xd800;text"),
            ("bare signs", "<" * many + "&" * many),
            ("processing instructions", "<?" * many + "text"),
            ("an open title", "<title>" + "t " * many + "<p>text"),
            ("end tags", "</p></svg></script></h1>" * many + "text"),
            ("headings in headings", "<h1>" * many + "text"),
        ]
    )
    return ".html", content.encode(), what


def _markdown(random: Random) -> Made:
    many = random.choice([10, 900, 9_000])
    what, content = random.choice(
        [
            ("an open fence", "```\n# no heading\n" * (2 * (many // 2) + 1)),
            ("an open front matter", "---\n" + "title: x\n" * many),
            ("headings only", "# heading\n" * many),
            ("a heading of great length", "# " + "word " * many),
            ("hashes", "# " + "#" * many + " #" * many + "x"),
            ("underlines", "a\n===\n" * many),
            ("quotes in quotes", "> " * many + "text"),
        ]
    )
    return ".md", content.encode(), what


def _pdf(random: Random) -> Made:
    what = random.choice(list(broken_pdfs.HOSTILE))
    return ".pdf", broken_pdfs.HOSTILE[what](random), what


def _archive(random: Random) -> Made:
    start = random.choice([b"PK\3\4", b"\x1f\x8b\x08\0", b"\x89PNG\r\n\x1a\n", b"MZ", b"\x7fELF", b"GIF89a"])
    return random.choice([".zip", ".exe", ".png", *_EXTENSIONS]), start + zlib.compress(b"\0" * 99_999), "no text file"


_DAMAGED = [_damaged(how) for how in (_truncate, _flip, _drop, _repeat, _insert, _recode, _mark)]
_MAKERS: list[Maker] = [
    *_DAMAGED,
    *_DAMAGED,
    _mislabelled,
    _no_text,
    _noise,
    _archive,
    _one_line,
    _json,
    _csv,
    _html,
    _markdown,
    _pdf,
]
