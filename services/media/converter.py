"""`python -m services.media.converter`: reads one file from standard input, writes one picture, or why there is none, and ends.

It is given no environment, and gives up its rights before it reads the first byte. What it says is checked by who started it.
"""

import sys

import msgspec
from PIL import Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

from services.media.domain import MAX_FILE_BYTES, Picture, Refusal
from services.media.pictures import NotAPicture, make_picture
from services.media.sandbox import give_up_rights

PLUGINS = (MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""Imported beforehand, because Pillow would do it when it needs them; EXIF is read with the plugin for TIFF."""


def main() -> None:
    """Convert one file."""
    Image.preinit()  # imports the plugins of the other formats
    give_up_rights()
    answer = convert(sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


def convert(content: bytes) -> Picture | Refusal:
    """Return the picture, or why there is none."""
    try:
        return make_picture(content)
    except NotAPicture as error:
        return Refusal(str(error))


if __name__ == "__main__":
    main()
