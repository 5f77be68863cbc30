"""What becomes of files: pictures of every kind, and files that mean harm. Decoded in this process, as the converter does in its own."""

import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from services.media.domain import Picture
from services.media.pictures import NotAPicture, make_picture
from tests.integration.media.files import MARKER, animation, chunk, encode, exif, photo, picture, png_of, png_with_texts


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def is_red(color: object) -> bool:
    return isinstance(color, tuple) and color[0] > 180 and max(color[1:3]) < 90


def is_blue(color: object) -> bool:
    return isinstance(color, tuple) and color[2] > 180 and max(color[:2]) < 90


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_pictures_are_made_anew(kind: str) -> None:
    made = make_picture(encode(picture(1000, 600), kind))
    assert made.extension == ("jpg" if kind == "JPEG" else "webp")
    original, preview = opened(made.original.content), opened(made.preview.content)
    assert original.size == (made.original.width, made.original.height) == (1000, 600)
    assert preview.size == (made.preview.width, made.preview.height) == (480, 288)
    for image in (original, preview):
        assert is_red(image.convert("RGB").getpixel((5, 5)))
        assert is_blue(image.convert("RGB").getpixel((image.width - 5, 5)))
    assert 6 <= len(made.blurhash) <= 30


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_is_understood(mode: str) -> None:
    image = Image.new("I;16", (64, 48), 40_000) if mode == "I;16" else picture(mode=mode)
    made = make_picture(encode(image, "JPEG" if mode == "CMYK" else "PNG"))
    color = opened(made.original.content).convert("RGB").getpixel((5, 5))
    if mode in ("P", "RGBA", "CMYK"):
        assert is_red(color)
    elif mode == "I;16":
        assert isinstance(color, tuple)
        assert all(abs(value - 156) < 6 for value in color), "40,000 of 65,535"


def test_large_pictures_are_made_smaller_and_small_ones_stay() -> None:
    large = make_picture(encode(picture(3000, 1500), "JPEG"))
    assert (large.original.width, large.original.height) == (2048, 1024)
    small = make_picture(encode(Image.new("RGB", (1, 1)), "PNG"))
    assert (small.original.width, small.preview.height) == (1, 1)
    wide = make_picture(encode(Image.new("L", (5000, 1)), "PNG"))
    assert (wide.original.width, wide.original.height) == (2048, 1)


def test_transparency_is_kept_where_there_is_some() -> None:
    image = picture(mode="RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    assert opened((make_picture(encode(image, "PNG"))).original.content).mode == "RGBA"
    assert opened((make_picture(encode(picture(mode="RGBA"), "PNG"))).original.content).mode == "RGB"


@pytest.mark.parametrize(
    ("orientation", "red_at"), [(1, "left"), (3, "right"), (6, "top"), (8, "bottom"), (2, "right")]
)
def test_photos_are_turned_upright(orientation: int, red_at: str) -> None:
    made = make_picture(photo(orientation))
    image = opened(made.original.content)
    assert image.size == ((64, 48) if red_at in ("left", "right") else (48, 64))
    edges = {"left": (3, 20), "right": (image.width - 4, 20), "top": (20, 3), "bottom": (20, image.height - 4)}
    assert is_red(image.getpixel(edges[red_at]))
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[red_at]
    assert is_blue(image.getpixel(edges[opposite]))


def bare(made: Picture) -> None:
    """Nothing but pixels: no marker, no EXIF, no profile, no text, no comment."""
    for content in (made.original.content, made.preview.content):
        assert MARKER.encode() not in content
        assert MARKER[:10].encode() not in content
        image = opened(content)
        assert not image.getexif()
        assert {"exif", "icc_profile", "comment", "xmp", "photoshop"} & set(image.info) == set()
        assert not any(tag in content for tag in (b"Exif\0", b"ICC_PROFILE", b"EXIF", b"ICCP", b"XMP "))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_nothing_but_pixels_comes_out(kind: str) -> None:
    options: dict[str, object] = {"exif": exif().tobytes()} if kind == "WEBP" else {"comment": MARKER.encode()}
    content = {"JPEG": photo, "PNG": png_with_texts}.get(kind, lambda: encode(picture(), kind, **options))()
    assert MARKER.encode() in content
    bare(make_picture(content))


def test_colours_of_other_profiles_become_ours() -> None:
    lab_like = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    bare(make_picture(encode(picture(), "JPEG", icc_profile=lab_like)))
    made = make_picture(encode(picture(), "JPEG", icc_profile=b"no profile at all"))
    assert is_red(opened(made.original.content).getpixel((5, 5)))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept(kind: str) -> None:
    image = opened((make_picture(animation(200, kind))).original.content)
    assert is_red(image.convert("RGB").getpixel((5, 5)))
    assert getattr(image, "n_frames", 1) == 1
    with pytest.raises(NotAPicture, match="200 frames"):
        make_picture(animation(201, kind))


def test_what_a_phone_puts_behind_a_photo_is_dropped() -> None:
    made = make_picture(photo() + b"\0\0\0\x18ftypmp42" + MARKER.encode())
    bare(made)


CUT = [encode(picture(600, 400), kind)[:-200] for kind in ("JPEG", "PNG", "WEBP", "GIF")]
ZIP = b"PK\x05\x06" + bytes(18)

HOSTILE = {
    "nothing that is known": b"hello, world" * 100,
    "a page": b"<!DOCTYPE html><script>alert(1)</script>",
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "a TIFF": encode(picture(), "TIFF"),
    "a BMP": encode(picture(), "BMP"),
    "an EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "one byte": b"\xff",
    "a head alone": b"\x89PNG\r\n\x1a\n",
    "a script that begins as a GIF": b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)",
    "a GIF with a script behind": encode(picture(), "GIF") + b"*/=1;alert(1)",
    "a PNG with a ZIP behind": encode(picture(), "PNG") + ZIP,
    "a WebP with a ZIP behind": encode(picture(), "WEBP") + ZIP,
    "1 x 1,000,000,000": png_of(1, 1_000_000_000),
    "1,000,000,000 x 1": png_of(1_000_000_000, 1),
    "2**31-1 squared": png_of(2**31 - 1, 2**31 - 1),
    "no pixels": png_of(0, 0),
    "40 million and some": png_of(6325, 6325, bytes(6326 * 6325)),
    "more than it says": png_of(10, 10, bytes(50_000_000)),
    "less than it says": png_of(5000, 5000, b"\0"),
    "a wrong checksum": encode(picture(), "PNG")[:29] + bytes(4) + encode(picture(), "PNG")[33:],
    "texts without end": png_of(4, 4, bytes(20), *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20)))] * 9),
    "a GIF frame far outside": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;",
    "a WebP that lies about its size": b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff",
    **{f"cut: {content[:4]!r}": content for content in CUT},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_refused(what: str) -> None:
    if what == "more than it says":  # what is behind the last row is never decoded
        assert (make_picture(HOSTILE[what])).original.width == 10
        return
    with pytest.raises(NotAPicture):
        make_picture(HOSTILE[what])


def test_forty_million_pixels_are_taken() -> None:
    made = make_picture(png_of(8000, 5000, bytes(8001 * 5000)))
    assert (made.original.width, made.original.height) == (2048, 1280)
