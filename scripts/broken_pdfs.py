"""PDF files that are damaged, locked or made to hurt whoever reads them."""

import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

from scripts.pdf import assemble, stream

Maker = Callable[[Random], bytes]

_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_FONT = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
_FLATE = b"/Filter /FlateDecode"
#: The fixed padding of passwords, ISO 32000-1, 7.6.3.3.
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def encrypted_pdf(text: str, password: str) -> bytes:
    """A one-page PDF under the standard handler's first revision (RC4 of 40 bits); "" opens for everybody."""
    owner = _rc4(_md5(_padded("owner"))[:5], _padded(password))
    permissions = (-4).to_bytes(4, "little", signed=True)
    key = _md5(_padded(password) + owner + permissions + b"id")[:5]
    user = _rc4(key, _PADDING)
    content = b"BT /F1 11 Tf 50 790 Td (%s) Tj ET" % text.encode("ascii")
    # Each object's key holds its number (4) and its generation (0).
    locked = _rc4(_md5(key + b"\4\0\0\0\0")[:10], content)
    protection = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<%s> <%s>]" % (
        owner.hex().encode(),
        user.hex().encode(),
        b"id".hex().encode(),
        b"id".hex().encode(),
    )
    return assemble([_CATALOG, _PAGES, _page(), stream(locked)], protection)


def _padded(password: str) -> bytes:
    return (password.encode("ascii") + _PADDING)[:32]


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    box = list(range(256))
    j = 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(out)


def _page(contents: bytes = b"4 0 R", resources: bytes = b"") -> bytes:
    return b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %s /Resources << %s %s >> >>" % (
        contents,
        _FONT,
        resources,
    )


def _one_page(*objects: bytes, contents: bytes = b"4 0 R", resources: bytes = b"") -> bytes:
    return assemble([_CATALOG, _PAGES, _page(contents, resources), *objects])


@cache
def _deflated(unit: bytes, megabytes: int) -> bytes:
    """`megabytes` of `unit` repeated, compressed without holding them all."""
    block = (unit * (2**20 // len(unit) + 1))[: 2**20]
    squeeze = zlib.compressobj(6)
    return b"".join([squeeze.compress(block) for _ in range(megabytes)]) + squeeze.flush()


def inflating_text(megabytes: int = 64) -> bytes:
    """A page whose content inflates a thousandfold."""
    return _one_page(stream(_deflated(b"BT /F1 1 Tf (bomb) Tj ET ", megabytes), _FLATE))


def inflating_twice() -> bytes:
    """As above, and compressed once more: half a kilobyte for sixty million."""
    return _one_page(stream(zlib.compress(_deflated(b"BT (a) Tj ET ", 64)), b"/Filter [/FlateDecode /FlateDecode]"))


def many_operators(count: int = 240_000) -> bytes:
    """A content stream that passes any limit of size and keeps its reader busy for several seconds."""
    return _one_page(stream(zlib.compress(b"BT /F1 1 Tf " + b"(a)Tj " * count + b"ET"), _FLATE))


def many_pages(count: int = 20_000) -> bytes:
    """One page, listed `count` times."""
    kids = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"3 0 R " * count, count)
    return assemble([_CATALOG, kids, _page(), stream(b"BT /F1 9 Tf (again) Tj ET")])


def busy_pages(count: int = 400) -> bytes:
    """Pages that are each within every limit, and all show the same slow content."""
    kids = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"3 0 R " * count, count)
    slow = stream(zlib.compress(b"BT /F1 1 Tf " + b"(a)Tj " * 40_000 + b"ET"), _FLATE)
    return assemble([_CATALOG, kids, _page(), slow])


def forms_in_forms(depth: int = 12, width: int = 10) -> bytes:
    """Forms that draw forms, `width` to the power of `depth` in all."""
    entry = b"/Type /XObject /Subtype /Form /Resources << %s /XObject << /X %d 0 R >> >>"
    forms = [stream(b"/X Do " * width, entry % (_FONT, 6 + number)) for number in range(depth)]
    last = stream(b"BT /F1 1 Tf (ha) Tj ET", b"/Type /XObject /Subtype /Form /Resources << %s >>" % _FONT)
    return _one_page(stream(b"/X Do BT (x) Tj ET"), *forms, last, resources=b"/XObject << /X 5 0 R >>")


def _object_stream_bomb(random: Random) -> bytes:
    entries = b"/Type /ObjStm /N 1000000 /First 8000000 " + _FLATE
    return _one_page(stream(_deflated(b"1 0 ", 32), entries), contents=b"9 0 R")


def _deep_tree(random: Random) -> bytes:
    depth = random.randrange(50, 3_000)
    nodes = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 3) for number in range(depth)]
    return assemble([_CATALOG, *nodes, b"<< /Type /Page >>"])


def _doubling_tree(random: Random) -> bytes:
    nodes = [b"<< /Type /Pages /Kids [%d 0 R %d 0 R] >>" % (number + 3, number + 3) for number in range(40)]
    return assemble([_CATALOG, *nodes, b"<< /Type /Page >>"])


def _loop(random: Random) -> bytes:
    return random.choice(
        [
            assemble([_CATALOG, b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"]),
            assemble([_CATALOG, b"<< /Type /Pages /Kids [3 0 R] >>", b"<< /Type /Pages /Kids [2 0 R] >>"]),
            assemble([_CATALOG, b"3 0 R", b"2 0 R"]),
            assemble([b"1 0 R"]),
            _one_page(b"<< /Length 4 0 R >>\nstream\nBT ET\nendstream"),
            _one_page(stream(b"BT ET", b"/Filter 4 0 R")),
            _one_page(contents=b"[4 0 R]", resources=b"/XObject 4 0 R").replace(b"xref\n0 4", b"xref\n0 9"),
            _one_page(b"[4 0 R 4 0 R]"),
            assemble([_CATALOG, _PAGES, _page(), stream(b"")], b"/Prev 9 /XRefStm 9"),
        ]
    )


def _fonts(random: Random) -> bytes:
    mapping = b"begincmap\n1 begincodespacerange <00> <FFFF> endcodespacerange\n"
    mapping += b"1 beginbfrange\n<0000> <FFFF> <0000>\nendbfrange\n" * random.choice([1, 5_000])
    font = b"/Font << /F1 << /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 5 0 R >> >>"
    page = _page().replace(_FONT, font)
    shown = stream(b"BT /F1 1 Tf <00010002> Tj ET")
    return assemble([_CATALOG, _PAGES, page, shown, stream(zlib.compress(mapping), _FLATE)])


def _nonsense_operators(random: Random) -> bytes:
    unit = random.choice([b"[", b"(", b"<", b"<</a ", b"/", b"%a\n", b"BI /W 1 ID ", b"1 ", b"q ", b"T* ", b'" '])
    content = b"BT /F1 1 Tf (a) Tj " + unit * random.randrange(1_000, 30_000) + b"(b) Tj ET"
    return _one_page(stream(zlib.compress(content), _FLATE))


def _lies(random: Random) -> bytes:
    file = _one_page(stream(b"BT /F1 9 Tf (lies) Tj ET"))
    number = str(random.choice([-1, 0, 7, 2**31, 2**63, 10**30])).encode()
    old = random.choice([b"/Length 24", b"/Count 1", b"0000000009", b"/Size 5", b"startxref\n", b"/Kids [3 0 R]"])
    new = {b"startxref\n": b"startxref\n" + number, b"/Kids [3 0 R]": b"/Kids " + number}
    return file.replace(old, new.get(old, old.partition(b" ")[0] + b" " + number))


def _predictor(random: Random) -> bytes:
    columns = random.choice([1, 200_000, 10**9])
    entries = b"%s /DecodeParms << /Predictor %d /Columns %d >>" % (_FLATE, random.choice([2, 12, 15]), columns)
    return _one_page(stream(zlib.compress(b"\4" * 200_000), entries))


def _other_filters(random: Random) -> bytes:
    filter_, content = random.choice(
        [
            (b"/LZWDecode", b"\x80\x0b\x60\x50" * 20_000),
            (b"/ASCII85Decode", b"z" * 200_000 + b"~>"),
            (b"/RunLengthDecode", b"\x81 " * 400_000),
            (b"[" + b"/ASCIIHexDecode " * 100 + b"]", b"41" * 100),
            (b"/NoSuchDecode", b"BT ET"),
            (b"/JBIG2Decode", b"\0" * 100),
        ]
    )
    return _one_page(stream(content, b"/Filter " + filter_))


def _no_table(random: Random) -> bytes:
    body = random.choice([b"startxref\n", b"obj endobj 1 0 obj ", b"1 0 obj\n<< >>\nendobj\n", b"\n", b"trailer << "])
    return b"%PDF-1.7\n" + body * random.randrange(10, 20_000)


#: What each is, and how it is made. The random ones differ from call to call.
HOSTILE: dict[str, Maker] = {
    "PDF with a password": lambda random: encrypted_pdf("locked", "secret"),
    "PDF that is encrypted and opens without a password": lambda random: encrypted_pdf("open to all", ""),
    "PDF with a content stream that inflates to 64 MB": lambda random: inflating_text(),
    "PDF with a stream that inflates twice": lambda random: inflating_twice(),
    "PDF with twenty thousand pages": lambda random: many_pages(),
    "PDF with forms in forms": lambda random: forms_in_forms(),
    "PDF with an object stream that inflates": _object_stream_bomb,
    "PDF with a page tree of great depth": _deep_tree,
    "PDF with a page tree that doubles at each level": _doubling_tree,
    "PDF with references in a circle": _loop,
    "PDF with a font's mapping that explodes": _fonts,
    "PDF with nonsense for content": _nonsense_operators,
    "PDF with wrong lengths, counts and offsets": _lies,
    "PDF with a predictor over too much": _predictor,
    "PDF with unusual filters": _other_filters,
    "PDF without a usable table of objects": _no_table,
}
#: Those that take seconds to refuse, and are for tests that mean to wait.
SLOW: dict[str, Maker] = {
    "PDF with a page of very many operators": lambda random: many_operators(),
    "PDF with hundreds of slow pages": lambda random: busy_pages(),
}
