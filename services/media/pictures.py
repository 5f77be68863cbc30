"""From the bytes of a file to a picture made anew. The only place that decodes; it runs in the converter's process alone.

Only pixels pass: EXIF with its positions, comments, XMP, colour profiles and whatever is hidden behind the picture stay behind.
Before that, the orientation is applied, and colours are converted to sRGB. Of an animation the first frame is kept.
"""

import warnings
from io import BytesIO

import blurhash
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from services.media.domain import (
    MAX_FRAMES,
    MAX_ORIGINAL_BYTES,
    MAX_PIXELS,
    ORIGINAL_SIDE,
    PREVIEW_SIDE,
    Picture,
    Rendition,
)
from services.media.endings import end_of

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
JPEG_QUALITY = 85
WEBP_QUALITY = 85
WEBP_EFFORT = 3
REDUCING_GAP = 2.0
BLURHASH_SIDE = 24

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation → what turns the picture upright."""
_SRGB = ImageCms.createProfile("sRGB")

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


class NotAPicture(Exception):
    """The file is no picture that is taken here; the message is a sentence that says why."""


def make_picture(content: bytes) -> Picture:
    """Return the picture that a file shows. Raises NotAPicture."""
    try:
        return _make(content)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels() from error
    except MemoryError as error:
        raise NotAPicture("The picture takes too much memory.") from error
    except NotAPicture:
        raise
    except Exception as error:  # decoders fail in many ways on broken files, and none of them is ours to mend
        raise NotAPicture("The file cannot be read as a picture; it may be damaged.") from error


def _make(content: bytes) -> Picture:
    try:
        opened = Image.open(BytesIO(content), formats=FORMATS)  # reads the header only
    except UnidentifiedImageError as error:
        raise NotAPicture("The file is no JPEG, PNG, WebP or GIF picture.") from error
    with opened as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        # Phones put films and previews behind a JPEG; it is cut there. Nobody has a reason to do so with the others.
        if image.format in ("PNG", "WEBP", "GIF") and end_of(content, image.format) != len(content):
            raise NotAPicture("The file is cut, or holds something else behind its picture.")
        if getattr(image, "n_frames", 1) > MAX_FRAMES:
            raise NotAPicture(f"An animation has at most {MAX_FRAMES} frames.")
        extension = "jpg" if image.format in ("JPEG", "MPO") else "webp"
        original = _bare(_upright(image))
    preview = original.copy()
    preview.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    return Picture(extension, _rendition(original, extension), _rendition(preview, extension), _blurhash(preview))


def _too_many_pixels() -> NotAPicture:
    return NotAPicture(f"A picture has at most {MAX_PIXELS // 1_000_000} million pixels.")


def _upright(image: Image.Image) -> Image.Image:
    """Return the first frame in its final size, colours and orientation, as RGB or, where it is transparent, RGBA."""
    profile = image.info.get("icc_profile")
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    frame = image if image.format in ("JPEG", "MPO") else _unindexed(image)
    # In place. Of a JPEG only as many pixels are decoded as are needed. Turned afterwards, when there are fewer.
    frame.thumbnail((ORIGINAL_SIDE, ORIGINAL_SIDE), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    turned = frame.transpose(turn) if turn is not None else frame
    return _opaque(_in_srgb(turned, profile))


def _unindexed(image: Image.Image) -> Image.Image:
    """Return pixels that can be averaged: palettes, bits and 16-bit greys cannot."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if isinstance(profile, bytes) and image.mode in ("RGB", "RGBA", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a damaged profile is as good as none
        if converted is not None:
            return converted
    return image if image.mode == mode else image.convert(mode)


def _opaque(image: Image.Image) -> Image.Image:
    """Return a picture without its transparency where nothing of it is transparent."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image


def _bare(image: Image.Image) -> Image.Image:
    """Return the pixels and nothing else: what a file says besides would be written again."""
    return Image.frombytes(image.mode, image.size, image.tobytes())


def _rendition(image: Image.Image, extension: str) -> Rendition:
    out = BytesIO()
    if extension == "jpg":
        image.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY, progressive=True, optimize=True)
    else:
        image.save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_EFFORT)
    if out.tell() > MAX_ORIGINAL_BYTES:
        raise NotAPicture("The picture has too many details.")
    return Rendition(image.width, image.height, out.getvalue())


def _blurhash(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((BLURHASH_SIDE, BLURHASH_SIDE))
    if small.mode == "RGBA":
        ground = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(ground, small)
    pixels = small.convert("RGB").tobytes()
    width, height = small.size
    rows = [
        [tuple(pixels[at : at + 3]) for at in range(3 * width * row, 3 * width * (row + 1), 3)] for row in range(height)
    ]
    return str(blurhash.encode(rows, components_x=4, components_y=3))
