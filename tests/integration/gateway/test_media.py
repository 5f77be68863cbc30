"""Pictures over HTTP: uploading, describing, looking at them, and everything that must not get in or out."""

import asyncio
import socket
from io import BytesIO
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from tests.integration.gateway.conftest import Member, Network
from tests.integration.media.files import MARKER, animation, encode, photo, picture, png_of

MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def hana(shared_network: Network) -> Member:
    [member] = await shared_network.sign_up("media_hana")
    return member


async def upload(
    member: Member, content: bytes, path: str = "/api/v2/media", key: str = "", **fields: str
) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return await member.http.post(path, files={"file": ("a.jpg", content, "image/jpeg")}, data=fields, headers=headers)


async def fetch(network: Network, url: str) -> httpx.Response:
    assert url.startswith(network.url)
    return await network.http.get(url)


@pytest.mark.parametrize("path", ["/api/v2/media", "/api/v1/media"])
async def test_a_photo_is_uploaded_and_seen(shared_network: Network, hana: Member, path: str) -> None:
    answer = await upload(hana, photo(width=1000, height=500), path, description="Tokyo at night", focus="0.5,-0.25")
    assert answer.status_code == 200, answer.text
    media = answer.json()
    assert media["type"] == "image"
    assert media["description"] == "Tokyo at night"
    assert media["meta"]["original"] == {"width": 1000, "height": 500, "size": "1000x500", "aspect": 2.0}
    assert media["meta"]["small"]["size"] == "480x240"
    assert media["meta"]["focus"] == {"x": 0.5, "y": -0.25}
    assert media["remote_url"] is None
    assert len(media["blurhash"]) >= 6
    for url, width in ((media["url"], 1000), (media["preview_url"], 480)):
        seen = await fetch(shared_network, url)
        assert seen.status_code == 200
        assert Image.open(BytesIO(seen.content)).width == width
        assert MARKER.encode() not in seen.content
        assert b"Exif" not in seen.content
        assert seen.headers["content-type"] == "image/jpeg"
        assert seen.headers["x-content-type-options"] == "nosniff"
        assert seen.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert seen.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert seen.headers["content-disposition"].startswith('inline; filename="')
        assert int(seen.headers["content-length"]) == len(seen.content)
        assert (await shared_network.http.head(url)).headers["content-length"] == str(len(seen.content))
    assert (await hana.http.get(f"/api/v1/media/{media['id']}")).json() == media


async def test_large_pictures_arrive_whole(shared_network: Network, hana: Member) -> None:
    noise = Image.effect_noise((1900, 1900), 90).convert("RGB")
    content = encode(noise, "JPEG", quality=97)
    assert 1 * MIB < len(content) < 8 * MIB
    media = (await upload(hana, content)).json()
    seen = await fetch(shared_network, media["url"])
    assert len(seen.content) > MIB, "more than one piece"
    Image.open(BytesIO(seen.content)).load()


async def test_an_address_cannot_be_guessed(shared_network: Network, hana: Member) -> None:
    media = (await upload(hana, encode(picture(), "PNG"))).json()
    name = urlsplit(media["url"]).path.rpartition("/")[2]
    token = name.partition("-")[2].partition(".")[0]
    assert len(token) == 32
    folder = media["url"].removesuffix(name)
    other = "0" * 32
    for wrong in (
        f"original-{other}.webp",
        f"original-{token}.jpg",
        f"original-{token}.html",
        f"original-{token.upper()}.webp",
        f"original-{token[:-1]}.webp",
        f"large-{token}.webp",
        "original",
        token,
        "..%2f..%2fetc%2fpasswd",
        "%00",
    ):
        answer = await fetch(shared_network, folder + wrong)
        assert answer.status_code == 404, wrong
    assert (await fetch(shared_network, media["url"].replace(media["id"], "1"))).status_code == 404


async def test_a_picture_is_described_by_its_owner(shared_network: Network, hana: Member) -> None:
    media = (await upload(hana, animation(3))).json()
    assert (media["description"], "focus" in media["meta"]) == (None, False)
    path = f"/api/v1/media/{media['id']}"
    changed = await hana.http.put(path, json={"description": "三匹の猫", "focus": "1.0,-1"})
    assert (changed.status_code, changed.json()["description"]) == (200, "三匹の猫")
    assert changed.json()["meta"]["focus"] == {"x": 1.0, "y": -1.0}
    only_focus = await hana.http.put(path, data={"focus": "0,0"})
    assert (only_focus.json()["description"], only_focus.json()["meta"]["focus"]["x"]) == ("三匹の猫", 0.0)
    assert (await hana.http.put(path, json={"description": ""})).json()["description"] is None
    assert (await hana.http.get(path)).json()["meta"]["focus"] == {"x": 0.0, "y": 0.0}

    other = await shared_network.newcomer()
    for answer in (
        await other.http.get(path),
        await other.http.put(path, json={"description": "mine"}),
        await hana.http.get("/api/v1/media/12345"),
        await hana.http.put("/api/v1/media/12345", json={}),
        await hana.http.put("/api/v1/media/abc", json={}),
    ):
        assert answer.status_code == 404
    assert (await hana.http.get(path)).json()["description"] is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"description": "x" * 1501}, "description"),
        ({"description": "x" * 7000}, "description"),
        ({"focus": "2,0"}, "focus"),
        ({"focus": "0;0"}, "focus"),
        ({"focus": "nan,nan"}, "focus"),
        ({"focus": "1e9,0"}, "focus"),
        ({"focus": "0," + "9" * 70}, "focus"),
    ],
)
async def test_wrong_words_name_their_field(hana: Member, fields: dict[str, str], field: str) -> None:
    answer = await upload(hana, encode(picture(), "PNG"), **fields)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert (await upload(hana, encode(picture(), "PNG"), description="x" * 1500)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg onload=alert(1)>",
        photo()[:300],
        png_of(1, 1_000_000_000),
        encode(picture(), "PNG") + b"PK\3\4",
    ],
    ids=["empty", "text", "svg", "cut", "bomb", "polyglot"],
)
async def test_hostile_files_are_a_422_that_names_the_file(hana: Member, content: bytes) -> None:
    answer = await upload(hana, content)
    assert (answer.status_code, answer.json()["field"]) == (422, "file"), answer.text


async def test_what_is_no_upload_is_refused(hana: Member) -> None:
    for answer in (
        await hana.http.post("/api/v2/media", json={"file": "x"}),
        await hana.http.post("/api/v2/media"),
        await hana.http.post("/api/v2/media", data={"file": "x"}),
        await hana.http.post("/api/v2/media", files={"picture": ("a.png", encode(picture(), "PNG"), "image/png")}),
    ):
        assert (answer.status_code, answer.json()["field"]) == (422, "file"), answer.text
    cut = await hana.http.post(
        "/api/v2/media",
        content=b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert cut.status_code == 400


async def test_the_largest_file_and_one_byte_more(hana: Member) -> None:
    assert (await upload(hana, photo() + bytes(8 * MIB - len(photo())))).status_code == 200
    more = await upload(hana, photo() + bytes(8 * MIB - len(photo()) + 1))
    assert (more.status_code, more.json()["field"]) == (422, "file")
    far_more = await upload(hana, bytes(9 * MIB))
    assert far_more.status_code == 413
    other = await hana.http.post("/api/v1/statuses", files={"file": ("a", bytes(2 * MIB), "image/png")})
    assert other.status_code == 413, "other routes keep their bound"


async def test_the_same_key_uploads_once(hana: Member) -> None:
    content = encode(picture(), "PNG")
    first, again = await upload(hana, content, key="one"), await upload(hana, content, key="one")
    assert first.json() == again.json()
    assert (await upload(hana, content, key="two")).json()["id"] != first.json()["id"]
    other = await upload(hana, encode(picture(65), "PNG"), key="one")
    assert (other.status_code, "another" in other.json()["error"]) == (422, True)


async def test_pictures_need_their_scope(shared_network: Network) -> None:
    [reader] = await shared_network.sign_up("media_reader", scopes="read write:statuses")
    for answer in (
        await upload(reader, encode(picture(), "PNG")),
        await reader.http.get("/api/v1/media/5"),
        await reader.http.put("/api/v1/media/5"),
    ):
        assert answer.status_code == 403
    [writer] = await shared_network.sign_up("media_writer", scopes="write:media")
    assert (await upload(writer, encode(picture(), "PNG"))).status_code == 200


async def test_a_client_that_goes_away_leaves_no_place_taken(shared_network: Network, hana: Member) -> None:
    host, port = urlsplit(shared_network.url).netloc.split(":")
    head = (
        f"POST /api/v2/media HTTP/1.1\r\nHost: x\r\nAuthorization: {hana.http.headers['authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 4000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )

    def begin_and_leave() -> None:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode() + bytes(1000))

    for _ in range(40):  # more than there are places
        await asyncio.to_thread(begin_and_leave)
    assert (await upload(hana, encode(picture(), "PNG"))).status_code == 200
