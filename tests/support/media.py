"""Images and PDFs, whole and broken."""

import io
import random
import struct
import zlib

from PIL import Image

PAPER = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Size 4/Root 1 0 R>>\n%%EOF\n"
)


def make_image(kind, size=(8, 8), mode=None, **options):
    """The bytes of an image in one of Pillow's formats; ``size`` is in pixels."""
    made = io.BytesIO()
    noise = Image.frombytes("L", size, random.Random(1).randbytes(size[0] * size[1]))
    noise.convert(mode or ("P" if kind == "GIF" else "RGB")).save(made, kind, **options)
    return made.getvalue()


def make_animation(kind):
    pictures = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    made = io.BytesIO()
    pictures[0].save(made, kind, save_all=True, append_images=pictures[1:])
    return made.getvalue()


def make_png_header(width, height):
    """A PNG that claims this size, with hardly any data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
