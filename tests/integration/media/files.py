"""Files to upload: pictures as phones and programs make them, and files that mean harm."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

MARKER = "KODAMA-MARKER-35.6762N"
"""What a file says besides its pixels; it must never come out again."""


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture with a red left and a blue right half."""
    image = Image.new("RGB", (width, height), "blue")
    ImageDraw.Draw(image).rectangle((0, 0, width // 2 - 1, height), fill="red")
    return image.convert(mode)


def exif(orientation: int = 1) -> Image.Exif:
    """What a phone says of a photo: where and with what it was taken, and how it was held."""
    said = Image.Exif()
    said[0x0112] = orientation
    said[0x010E] = MARKER
    said.get_ifd(0x8825).update(
        {
            1: "N",
            2: (IFDRational(35), IFDRational(40), IFDRational(34)),
            3: "E",
            4: (IFDRational(139), IFDRational(39), IFDRational(1)),
            0x1D: MARKER[:10],
            0x1B: MARKER.encode(),
        }
    )
    return said


def photo(orientation: int = 1, width: int = 64, height: int = 48) -> bytes:
    """A JPEG with a position, a comment, XMP and a colour profile that all hold the marker."""
    plain = encode(picture(width, height), "JPEG", quality=95, exif=exif(orientation), comment=MARKER.encode())
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + f"<x>{MARKER}</x>".encode()
    profile = b"ICC_PROFILE\0\x01\x01" + MARKER.encode().ljust(128, b"\0")
    segments = b"".join(
        marker + struct.pack(">H", len(data) + 2) + data
        for marker, data in ((b"\xff\xe1", xmp), (b"\xff\xe2", profile))
    )
    return plain[:2] + segments + plain[2:]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, data: bytes = b"", *chunks: bytes) -> bytes:
    """A grey PNG that says to be so large, with this data."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def png_with_texts() -> bytes:
    """A PNG with texts, EXIF and a date that hold the marker."""
    data = b"".join(b"\0" + bytes(range(40)) for _ in range(30))
    texts = chunk(b"tEXt", b"Comment\0" + MARKER.encode()), chunk(b"eXIf", exif().tobytes().removeprefix(b"Exif\0\0"))
    return png_of(40, 30, data, *texts)


def animation(frames: int, kind: str = "GIF", size: int = 16) -> bytes:
    """An animation; its first frame is red, its others green."""
    others = [Image.new("RGB", (size, size), (0, 128 + number % 100, 0)) for number in range(frames - 1)]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encode(
        Image.new("RGB", (size, size), "red"), kind, save_all=True, append_images=others, duration=50, **options
    )
