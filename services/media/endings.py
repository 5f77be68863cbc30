"""Where the file of a picture ends, by its format: what is behind that is not the picture's, and could be anything."""

PNG_HEADER, PNG_CHUNK_FRAME = 8, 12
GIF_HEADER, GIF_PALETTE_FLAG = 13, 0x80
GIF_IMAGE, GIF_EXTENSION, GIF_TRAILER = 0x2C, 0x21, 0x3B


def end_of(content: bytes, kind: str) -> int:
    """Return where a PNG, GIF or WEBP file ends. Raises ValueError where it ends before that, or cannot be followed."""
    try:
        return {"PNG": _end_of_png, "GIF": _end_of_gif, "WEBP": _end_of_webp}[kind](content)
    except IndexError as error:
        raise ValueError("the file is cut") from error


def _end_of_png(content: bytes) -> int:
    """Follow the chunks: length, type, data, checksum (PNG specification, 5.3)."""
    at, kind = PNG_HEADER, b""
    while kind != b"IEND":
        if at + PNG_CHUNK_FRAME > len(content):
            raise ValueError("the file is cut")
        kind = content[at + 4 : at + 8]
        at += PNG_CHUNK_FRAME + int.from_bytes(content[at : at + 4], "big")
    return at


def _end_of_gif(content: bytes) -> int:
    """Follow the blocks to the trailer (GIF89a specification, appendix A and B)."""
    at = GIF_HEADER + _palette_bytes(content[10])
    while (kind := content[at]) != GIF_TRAILER:
        if kind == GIF_IMAGE:
            at += 10 + _palette_bytes(content[at + 9]) + 1
        elif kind == GIF_EXTENSION:
            at += 2
        else:
            raise ValueError("a block of an unknown kind")
        while content[at]:  # data in pieces, each with its length before it; an empty one ends them
            at += 1 + content[at]
        at += 1
    return at + 1


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & GIF_PALETTE_FLAG else 0


def _end_of_webp(content: bytes) -> int:
    """Read the length of the RIFF container; it is padded to an even one (WebP container specification)."""
    size = int.from_bytes(content[4:8], "little")
    return 8 + size + (size & 1)
