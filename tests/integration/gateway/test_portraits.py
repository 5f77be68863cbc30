"""Avatars and headers: uploaded, seen by everybody, replaced, taken away; and what is no picture leaves everything as it was."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.integration.gateway.conftest import Member, Network
from tests.integration.media.files import MARKER, animation, encode, photo, picture

PATCH = "/api/v1/accounts/update_credentials"
PNG = encode(picture(), "PNG")


@pytest.fixture
async def member(shared_network: Network) -> Member:
    return await shared_network.newcomer()


async def change(member: Member, *, key: str = "", code: int = 200, fields: Any = None, **files: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    parts = {name: (f"{name}.jpg", content, "image/jpeg") for name, content in files.items()}
    answer = await member.http.patch(PATCH, files=parts, data=fields or {}, headers=headers)
    assert answer.status_code == code, answer.text
    return answer.json()


async def seen_by_others(network: Network, member: Member) -> Any:
    return (await (await network.newcomer()).http.get(f"/api/v1/accounts/{member.id}")).json()


async def image_at(network: Network, url: str) -> Image.Image:
    assert url.startswith(network.url)
    answer = await network.http.get(url)
    assert answer.status_code == 200, url
    assert MARKER.encode() not in answer.content
    return Image.open(BytesIO(answer.content))


async def test_both_are_uploaded_and_everybody_sees_them(shared_network: Network, member: Member) -> None:
    drawn = (await member.http.get("/api/v1/accounts/verify_credentials")).json()
    assert drawn["avatar"].endswith(".svg")
    own = await change(
        member, avatar=photo(width=1000, height=1000), header=photo(width=1500, height=500), fields={"note": "Hello"}
    )
    assert (await image_at(shared_network, own["avatar"])).size == (480, 480)
    assert (await image_at(shared_network, own["header"])).size == (1500, 500)
    assert (own["avatar_static"], own["header_static"], own["source"]["note"]) == (
        own["avatar"],
        own["header"],
        "Hello",
    )
    others = await seen_by_others(shared_network, member)
    assert (others["avatar"], others["header"]) == (own["avatar"], own["header"])


async def test_home_timelines_show_the_new_one_at_once(shared_network: Network, member: Member) -> None:
    friend = await shared_network.newcomer()
    await shared_network.befriend(member, friend)
    await member.http.post("/api/v1/statuses", json={"status": "look"})
    await friend.http.get("/api/v1/timelines/home")
    own = await change(member, avatar=PNG)
    [status] = (await friend.http.get("/api/v1/timelines/home")).json()
    assert status["account"]["avatar"] == own["avatar"]


async def test_of_an_animation_the_first_picture_is_taken(shared_network: Network, member: Member) -> None:
    own = await change(member, avatar=animation(5))
    image = await image_at(shared_network, own["avatar"])
    assert getattr(image, "n_frames", 1) == 1
    red, green, _ = image.convert("RGB").getpixel((8, 8))  # type: ignore[misc]  # a pixel of three numbers
    assert red > green


@pytest.mark.parametrize("which", ["avatar", "header"])
async def test_it_is_taken_away_and_the_drawn_one_is_back(shared_network: Network, member: Member, which: str) -> None:
    drawn = (await member.http.get("/api/v1/accounts/verify_credentials")).json()
    own = await change(member, avatar=PNG, header=PNG)
    answer = await member.http.delete(f"/api/v1/profile/{which}")
    assert answer.status_code == 200
    other = "header" if which == "avatar" else "avatar"
    assert (answer.json()[which], answer.json()[other]) == (drawn[which], own[other])
    assert answer.json()["source"]["note"] == ""
    assert (await member.http.delete(f"/api/v1/profile/{which}")).status_code == 200, "twice is as good as once"


async def test_what_is_no_picture_names_the_file_and_changes_nothing(shared_network: Network, member: Member) -> None:
    before = (await member.http.get("/api/v1/accounts/verify_credentials")).json()
    for name in ("avatar", "header"):
        bad: Any = {name: b"no picture"}
        refused = await change(member, code=422, fields={"display_name": "New"}, **bad)
        assert refused["field"] == name
    assert (await member.http.get("/api/v1/accounts/verify_credentials")).json() == before
    ignored = await member.http.patch(PATCH, data={"avatar": "text, no file", "bot": "true"})
    assert (ignored.status_code, ignored.json()["avatar"], ignored.json()["bot"]) == (200, before["avatar"], True)


async def test_a_key_stands_for_both_pictures(member: Member) -> None:
    first = await change(member, key="k", avatar=PNG, header=photo())
    again = await change(member, key="k", avatar=PNG, header=photo())
    assert (again["avatar"], again["header"]) == (first["avatar"], first["header"])
    await change(member, key="k", code=422, avatar=photo(), header=photo())
