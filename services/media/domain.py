"""What a picture is here, and what may be said of one."""

from dataclasses import dataclass

import msgspec

from chassis import characters, ids
from chassis.errors import InvalidField

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_FRAMES = 200
ORIGINAL_SIDE = 2048
PREVIEW_SIDE = 480
MAX_ORIGINAL_BYTES = 8 * 1024 * 1024
MAX_PREVIEW_BYTES = 1024 * 1024
MAX_BLURHASH_LENGTH = 30
MAX_DESCRIPTION_CHARACTERS = 1500
MAX_DESCRIPTION_BYTES = 6000
SIGNATURES = {"jpg": b"\xff\xd8\xff", "webp": b"RIFF"}
"""Extension → how every file of ours begins."""


class Rendition(msgspec.Struct, frozen=True):
    """One form of a picture, with its size in pixels."""

    width: int
    height: int
    content: bytes

    def is_within(self, side: int, size: int) -> bool:
        """Tell whether it is at most so many pixels wide and high, and so many bytes long."""
        return 1 <= self.width <= side and 1 <= self.height <= side and 1 <= len(self.content) <= size


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A picture that has been made anew from the pixels of a file."""

    extension: str
    original: Rendition
    preview: Rendition
    blurhash: str

    def is_sound(self) -> bool:
        """Tell whether it is what a converter can have made: it ran on hostile input, and is not believed."""
        begin = SIGNATURES.get(self.extension)
        return (
            begin is not None
            and self.original.is_within(ORIGINAL_SIDE, MAX_ORIGINAL_BYTES)
            and self.preview.is_within(PREVIEW_SIDE, MAX_PREVIEW_BYTES)
            and self.original.content.startswith(begin)
            and self.preview.content.startswith(begin)
            and len(self.blurhash) <= MAX_BLURHASH_LENGTH
            and self.blurhash.isascii()
            and self.blurhash.isprintable()
        )


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Why a file is no picture that is taken here, in a sentence for people."""

    reason: str


@dataclass(frozen=True)
class Focus:
    """The point that stays in view where a picture is cropped, from -1 (left, bottom) to 1 (right, top)."""

    x: float
    y: float


@dataclass(frozen=True)
class NewMedia:
    """What the uploader says of a picture: checked and clean."""

    account_id: int
    description: str
    focus: Focus | None


@dataclass(frozen=True)
class Media:
    """A stored picture, without its bytes."""

    id: int
    account_id: int
    token: str
    extension: str
    width: int
    height: int
    preview_width: int
    preview_height: int
    description: str
    focus_x: float | None
    focus_y: float | None
    blurhash: str

    @property
    def created_at_ms(self) -> int:
        """Unix time in milliseconds; part of the id."""
        return ids.created_at_ms(self.id)


def check_new_media(account_id: int, description: str, focus: Focus | None) -> NewMedia:
    """Return what is said of a picture. Raises InvalidField, which names the field, where it may not be."""
    if account_id <= 0:
        raise InvalidField("account_id", "A picture needs an owner.")
    return NewMedia(account_id, check_description(description), check_focus(focus))


def check_description(text: str) -> str:
    """Return a description as it is stored. Raises InvalidField where it is too long or unacceptable."""
    too_long = InvalidField("description", f"A description has at most {MAX_DESCRIPTION_CHARACTERS} characters.")
    if len(text.encode()) > MAX_DESCRIPTION_BYTES:
        raise too_long
    try:
        cleaned = characters.clean(text)
    except characters.UnacceptableText as error:
        raise InvalidField("description", f"The description {error}.") from error
    if len(cleaned) > MAX_DESCRIPTION_CHARACTERS or len(cleaned.encode()) > MAX_DESCRIPTION_BYTES:
        raise too_long
    return cleaned


def check_focus(focus: Focus | None) -> Focus | None:
    """Return a focus. Raises InvalidField where it lies outside of the picture, or nowhere."""
    if focus is not None and not (-1 <= focus.x <= 1 and -1 <= focus.y <= 1):
        raise InvalidField("focus", "A focus is two numbers from -1 to 1.")
    return focus
