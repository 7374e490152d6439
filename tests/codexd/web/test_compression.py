"""Compressed bodies: what is read, and what is refused and how."""

import gzip
import sys
import zlib

import pytest

from codexd import bounds
from codexd.errors import RequestInvalid, RequestTooLarge
from codexd.web.compression import decompress, read_encodings

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'{"model": "gpt-5.5"}' * 100


def with_long_window(data):
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return compressor.compress(data) + compressor.flush()


def skippable(data):
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize(
    ("header", "encodings"),
    [
        ("", []),
        ("identity", []),
        (" Identity , ", []),
        ("GZIP ", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("X-Gzip", ["gzip"]),
        ("Zstd", ["zstd"]),
        ("gzip, zstd", ["gzip", "zstd"]),
        ("gzip,identity,deflate", ["gzip", "deflate"]),
    ],
)
def test_headers(header, encodings):
    assert read_encodings(header) == encodings


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("br", "'br' is not supported; send gzip, deflate, zstd or no compression"),
        ("gzip, br", "'br' is not supported"),
        ("compress", "'compress' is not supported"),
        ("gzip, gzip, gzip, gzip, gzip", "must not name more than 4 encodings"),
    ],
)
def test_headers_that_are_refused(header, words):
    with pytest.raises(RequestInvalid, match=words):
        read_encodings(header)


@pytest.mark.parametrize(
    ("encodings", "body"),
    [
        (["gzip"], gzip.compress(BODY)),
        (["deflate"], zlib.compress(BODY)),
        (["zstd"], zstd.compress(BODY)),
        (["zstd"], zstd.compress(BODY, level=22)),
        (["gzip", "zstd"], zstd.compress(gzip.compress(BODY))),
        (["zstd", "gzip"], gzip.compress(zstd.compress(BODY))),
        (["gzip"], gzip.compress(BODY[:7]) + gzip.compress(BODY[7:])),
        (["zstd"], zstd.compress(BODY[:7]) + skippable(b"x") + zstd.compress(BODY[7:])),
        ([], BODY),
    ],
    ids=["gzip", "deflate", "zstd", "zstd 22", "zstd of gzip", "gzip of zstd", "members", "frames", "plain"],
)
def test_bodies(encodings, body):
    assert decompress(body, encodings) == BODY


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_an_empty_document(name):
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[name]
    assert decompress(compress(b""), [name]) == b""


@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("gzip", b"{}", "not gzip"),
        ("zstd", b"{}", "not zstd"),
        ("zstd", BODY, "not zstd"),
        ("deflate", BODY, "not deflate"),
        ("gzip", gzip.compress(BODY)[:-9], "cut short"),
        ("zstd", zstd.compress(BODY)[:-3], "cut short"),
        ("gzip", b"", "cut short"),
        ("zstd", b"", "cut short"),
        ("zstd", zstd.compress(BODY) + b"rest of it", "not zstd"),
        ("gzip", gzip.compress(BODY) + b"rest", "not gzip"),
        ("gzip", gzip.compress(b"") * (bounds.BODY_FRAMES + 1), "more than 64 frames"),
        ("zstd", with_long_window(BODY), "not zstd"),
    ],
)
def test_bodies_that_are_not_what_they_say(encoding, body, words):
    with pytest.raises(RequestInvalid, match=words):
        decompress(body, [encoding])


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_bombs(compress):
    name = "gzip" if compress is gzip.compress else "zstd"
    with pytest.raises(RequestTooLarge):
        decompress(compress(b" " * (bounds.BODY_BYTES + 1)), [name])
    half = compress(b" " * (bounds.BODY_BYTES // 2 + 1))
    with pytest.raises(RequestTooLarge):
        decompress(half + half, [name])
    assert len(decompress(compress(b" " * bounds.BODY_BYTES), [name])) == bounds.BODY_BYTES
