"""Statuses with pictures: posting, showing and deleting them, and what becomes of pictures that nobody posts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from chassis.settings import Settings
from services.media.discarding import Discarding
from services.media.tasks import HANDLERS
from services.media.worker import open_context
from tests.conftest import run_services
from tests.integration.gateway.conftest import Member, Network, open_network
from tests.integration.media.files import encode, picture


class Gallery:
    """A network with pictures, its media worker, and the truth."""

    def __init__(self, network: Network, discarding: Discarding, truth: psycopg.Connection, hana: Member) -> None:
        self.network = network
        self.discarding = discarding
        self.truth = truth
        self.hana = hana

    async def upload(self, member: Member | None = None) -> Any:
        files = {"file": ("a.png", encode(picture(), "PNG"), "image/png")}
        answer = await (member or self.hana).http.post("/api/v2/media", files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, media: list[Any], status: str = "", **fields: object) -> Any:
        answer = await self.hana.http.post(
            "/api/v1/statuses", json={"status": status, "media_ids": [one["id"] for one in media], **fields}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def is_seen(self, media: Any) -> bool:
        return (await self.network.http.get(media["url"])).status_code == 200

    def stored(self, media: Any) -> bool:
        return bool(self.truth.execute("SELECT FROM media.media WHERE id = %s", (int(media["id"]),)).rowcount)

    async def work(self) -> int:
        """Do what the ledgers ask the media worker to do, twice, as it can happen."""
        rows = self.truth.execute(
            "WITH done AS (DELETE FROM status.ledger WHERE task = 'media.discard' RETURNING payload),"
            " done_too AS (DELETE FROM blog.ledger WHERE task = 'media.discard' RETURNING payload)"
            " SELECT payload FROM done UNION ALL SELECT payload FROM done_too"
        ).fetchall()
        for _ in range(2):
            await HANDLERS["media.discard"](self.discarding, [payload for (payload,) in rows])
        return len(rows)

    async def clean(self) -> None:
        """Do the chores until nothing is left."""
        async with self.discarding._pool.connection() as conn:
            for chore in (self.discarding.expire, self.discarding.delete):
                while await chore(conn):
                    pass

    def age(self, media: Any, hours: int) -> Any:
        """Make a picture so old; return it under the id that it has then."""
        old_id = int(media["id"]) - (hours * 3_600_000 << 16)
        self.truth.execute("UPDATE media.media SET id = %s WHERE id = %s", (old_id, int(media["id"])))
        url = media["url"].replace(media["id"], str(old_id))
        return {**media, "id": str(old_id), "url": url}

    def pass_ten_minutes(self) -> None:
        self.truth.execute("UPDATE media.media SET discarded_at = discarded_at - interval '11 minutes'")


@pytest.fixture(scope="module")
async def gallery(module_settings: Settings) -> AsyncIterator[Gallery]:
    settings = module_settings
    names = ("account", "social_graph", "media", "status", "blog", "timeline")
    async with (
        run_services(settings, *names),
        open_network(settings) as network,
        open_context(settings) as discarding,
    ):
        [hana] = await network.sign_up("hana")
        with psycopg.connect(settings.database_url, autocommit=True) as truth:
            yield Gallery(network, discarding, truth, hana)


async def test_a_status_shows_its_pictures_everywhere(gallery: Gallery) -> None:
    one, two = await gallery.upload(), await gallery.upload()
    posted = await gallery.post([two, one], "two pictures")
    assert [media["id"] for media in posted["media_attachments"]] == [two["id"], one["id"]]
    assert posted["media_attachments"][0] == two
    http = gallery.hana.http
    profile = f"/api/v1/accounts/{gallery.hana.id}/statuses"
    for seen in (
        (await http.get(f"/api/v1/statuses/{posted['id']}")).json(),
        (await http.get("/api/v1/statuses", params={"id[]": posted["id"]})).json()[0],
        (await http.get("/api/v1/timelines/home")).json()[0],
        (await http.get("/api/v1/timelines/home")).json()[0],  # now from what is kept
        (await http.get(profile)).json()[0],
    ):
        assert seen["media_attachments"] == posted["media_attachments"]
    changed = await http.put(f"/api/v1/media/{two['id']}", json={"description": "described later"})
    assert changed.status_code == 200
    assert (await http.get("/api/v1/timelines/home")).json()[0]["media_attachments"][0] == changed.json()

    plain = (await http.post("/api/v1/statuses", json={"status": "without"})).json()
    assert plain["media_attachments"] == []
    only = [status["id"] for status in (await http.get(profile, params={"only_media": "true"})).json()]
    assert posted["id"] in only
    assert plain["id"] not in only
    page = await gallery.network.http.get(f"/@hana/{posted['id']}")
    assert f'src="/media/{two["id"]}/preview-' in page.text
    assert 'alt="described later"' in page.text


async def test_pictures_can_do_without_words(gallery: Gallery) -> None:
    posted = await gallery.post([await gallery.upload()])
    assert posted["content"] in ("", "<p></p>")
    assert len(posted["media_attachments"]) == 1
    blank = await gallery.post([await gallery.upload()], " \u200b\n")
    assert blank["content"] == posted["content"]
    alone = await gallery.hana.http.post("/api/v1/statuses", json={"status": ""})
    assert (alone.status_code, alone.json()["field"]) == (422, "status")
    edited = await gallery.hana.http.put(f"/api/v1/statuses/{posted['id']}", json={"status": "some words"})
    assert edited.status_code == 200
    assert edited.json()["media_attachments"] == posted["media_attachments"]


async def test_forms_name_pictures_as_lists(gallery: Gallery) -> None:
    one, two = await gallery.upload(), await gallery.upload()
    answer = await gallery.hana.http.post(
        "/api/v1/statuses", data={"status": "as a form", "media_ids[]": [one["id"], two["id"]]}
    )
    assert [media["id"] for media in answer.json()["media_attachments"]] == [one["id"], two["id"]]


async def test_only_own_free_pictures_can_be_posted(gallery: Gallery) -> None:
    other = await gallery.network.newcomer()
    mine, theirs = await gallery.upload(), await gallery.upload(other)
    used = await gallery.upload()
    await gallery.post([used], "first")
    five = [await gallery.upload() for _ in range(5)]
    for media_ids in (
        [theirs["id"]],
        [mine["id"], theirs["id"]],
        ["12345"],
        [used["id"]],
        [mine["id"], used["id"]],
        [mine["id"], mine["id"]],
        [media["id"] for media in five],
        ["x"],
        ["0"],
        ["-1"],
    ):
        answer = await gallery.hana.http.post("/api/v1/statuses", json={"status": "no", "media_ids": media_ids})
        assert (answer.status_code, answer.json()["field"]) == (422, "media_ids"), (media_ids, answer.text)
    posted = await gallery.post([mine, *five[:3]], "what was refused has taken nothing")
    assert len(posted["media_attachments"]) == 4


async def test_a_picture_hangs_on_one_status_however_many_want_it(gallery: Gallery) -> None:
    media = await gallery.upload()
    answers = await asyncio.gather(
        *(
            gallery.hana.http.post("/api/v1/statuses", json={"status": f"try {number}", "media_ids": [media["id"]]})
            for number in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[422] * 7]


async def test_a_key_posts_pictures_once(gallery: Gallery) -> None:
    media = await gallery.upload()
    body, headers = {"status": "once", "media_ids": [media["id"]]}, {"idempotency-key": "with a picture"}
    first = await gallery.hana.http.post("/api/v1/statuses", json=body, headers=headers)
    again = await gallery.hana.http.post("/api/v1/statuses", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = await gallery.hana.http.post("/api/v1/statuses", json={"status": "once"}, headers=headers)
    assert other.status_code == 422


async def test_a_deleted_status_takes_its_pictures_along(gallery: Gallery) -> None:
    media, kept = await gallery.upload(), await gallery.upload()
    posted, other = await gallery.post([media], "to be deleted"), await gallery.post([kept], "to stay")
    deleted = await gallery.hana.http.delete(f"/api/v1/statuses/{posted['id']}")
    assert deleted.json()["media_attachments"][0]["id"] == media["id"]
    assert await gallery.work() == 1
    assert not await gallery.is_seen(media)
    assert (await gallery.hana.http.get(f"/api/v1/media/{media['id']}")).status_code == 404
    again = await gallery.hana.http.post("/api/v1/statuses", json={"status": "again", "media_ids": [media["id"]]})
    assert (again.status_code, again.json()["field"]) == (422, "media_ids")
    await gallery.clean()
    assert gallery.stored(media), "not before ten minutes"
    gallery.pass_ten_minutes()
    await gallery.clean()
    assert not gallery.stored(media)
    assert await gallery.is_seen(kept)
    shown = await gallery.hana.http.get(f"/api/v1/statuses/{other['id']}")
    assert shown.json()["media_attachments"][0]["id"] == kept["id"]


async def test_what_was_posted_anew_is_not_taken_away(gallery: Gallery) -> None:
    media = await gallery.upload()
    first = await gallery.post([media], "first")
    await gallery.hana.http.delete(f"/api/v1/statuses/{first['id']}")
    await gallery.post([media], "posted anew before the worker came")
    await gallery.work()
    assert await gallery.is_seen(media)


async def test_a_picture_that_is_posted_while_it_is_discarded_comes_back(gallery: Gallery) -> None:
    media = await gallery.upload()
    # Posting has been told that the picture is there; now the worker, which has been told that no status shows it, is faster.
    posted = await gallery.post([media], "a race")
    gallery.truth.execute("UPDATE media.media SET discarded_at = now() WHERE id = %s", (int(media["id"]),))
    assert not await gallery.is_seen(media)
    gallery.pass_ten_minutes()
    await gallery.clean()
    assert await gallery.is_seen(media)
    shown = await gallery.hana.http.get(f"/api/v1/statuses/{posted['id']}")
    assert shown.json()["media_attachments"][0]["id"] == media["id"]


async def test_what_nobody_posts_goes_after_a_day(gallery: Gallery) -> None:
    young, old = gallery.age(await gallery.upload(), 23), gallery.age(await gallery.upload(), 25)
    shown = gallery.age(await gallery.upload(), 26)
    await gallery.post([shown], "old, and shown")
    await gallery.clean()
    assert [await gallery.is_seen(media) for media in (young, old, shown)] == [True, False, True]
    gallery.pass_ten_minutes()
    await gallery.clean()
    assert [gallery.stored(media) for media in (young, old, shown)] == [True, False, True]


async def test_a_text_holds_its_pictures_from_the_draft_on(gallery: Gallery) -> None:
    kept, dropped = gallery.age(await gallery.upload(), 25), gallery.age(await gallery.upload(), 26)
    http, text = gallery.hana.http, f"![a]({kept['url']}) ![b]({dropped['url']})"
    draft = (await http.post("/api/v1/blogs/drafts", json={"title": "t", "text": text})).json()
    await gallery.clean()
    assert await gallery.is_seen(kept)
    entry = (await http.post(f"/api/v1/blogs/drafts/{draft['id']}/publish")).json()
    assert [picture in entry["content"] for picture in (kept["url"], dropped["url"])] == [True, True]
    assert await gallery.work() == 0, "it has only moved"
    path = f"/api/v1/blogs/{entry['id']}"
    await http.put(path, json={"text": f"![a]({kept['url']})"})
    assert await gallery.work() == 1
    assert [await gallery.is_seen(media) for media in (kept, dropped)] == [True, False]
    gallery.pass_ten_minutes()
    await gallery.clean()
    assert [gallery.stored(media) for media in (kept, dropped)] == [True, False]
    await http.delete(path)
    assert await gallery.work() == 1
    assert not await gallery.is_seen(kept)


async def test_drafts_let_go_of_pictures_too(gallery: Gallery) -> None:
    one, two, three = [await gallery.upload() for _ in range(3)]
    http = gallery.hana.http
    text = " ".join(f"![]({media['url']})" for media in (one, two, three))
    path = f"/api/v1/blogs/drafts/{(await http.post('/api/v1/blogs/drafts', json={'text': text})).json()['id']}"
    await http.put(path, json={"text": f"![]({one['url']}) ![]({two['url']})"})
    assert await gallery.work() == 1
    assert [await gallery.is_seen(media) for media in (one, two, three)] == [True, True, False]
    await http.post(f"{path}/publish", json={"title": "t", "text": f"![]({one['url']})"})
    assert await gallery.work() == 1
    assert [await gallery.is_seen(media) for media in (one, two)] == [True, False]
    path = f"/api/v1/blogs/drafts/{(await http.post('/api/v1/blogs/drafts', json={'text': text})).json()['id']}"
    await http.delete(path)
    assert await gallery.work() == 3
    assert await gallery.is_seen(one), "the entry shows it"


async def test_others_texts_hold_nobodys_picture(gallery: Gallery) -> None:
    ken = await gallery.network.newcomer()
    media, on_status = gallery.age(await gallery.upload(), 25), await gallery.upload()
    posted = await gallery.post([on_status])
    text = f"![]({media['url']}) ![]({on_status['url']}) ![](/media/{'9' * 30}/x.png)"
    assert (await ken.http.post("/api/v1/blogs", json={"title": "t", "text": text})).status_code == 200
    await gallery.clean()
    assert not await gallery.is_seen(media)
    await gallery.hana.http.delete(f"/api/v1/statuses/{posted['id']}")
    await gallery.work()
    assert not await gallery.is_seen(on_status)


async def test_pictures_of_profiles_stay_while_they_are_shown(gallery: Gallery) -> None:
    async def show() -> Any:
        files = {"avatar": ("a.png", encode(picture(), "PNG"), "image/png")}
        url = (await gallery.hana.http.patch("/api/v1/accounts/update_credentials", files=files)).json()["avatar"]
        return {"url": url, "id": url.split("/")[-2]}

    media = await show()
    old = gallery.age(media, 25)
    gallery.truth.execute("UPDATE account.accounts SET avatar = replace(avatar, %s, %s)", (media["id"], old["id"]))
    await gallery.discarding.discard([int(old["id"])])
    await gallery.clean()
    assert await gallery.is_seen(old)
    new = await show()
    await gallery.clean()
    assert await gallery.is_seen(old), "it was looked at today"
    gallery.truth.execute("UPDATE media.media SET shown_at = shown_at - interval '1 day'")
    await gallery.clean()
    assert [await gallery.is_seen(one) for one in (old, new)] == [False, True]
    gallery.pass_ten_minutes()
    await gallery.clean()
    assert [gallery.stored(one) for one in (old, new)] == [False, True]


async def test_without_media_statuses_are_shown_without_pictures(settings: Settings) -> None:
    async with (
        run_services(settings, "account", "social_graph", "status", "blog", "timeline"),
        open_network(settings) as network,
    ):
        async with run_services(settings, "media"):
            [hana] = await network.sign_up("hana")
            files = {"file": ("a.png", encode(picture(), "PNG"), "image/png")}
            media = (await hana.http.post("/api/v2/media", files=files)).json()
            body = {"status": "words", "media_ids": [media["id"]]}
            assert (await hana.http.post("/api/v1/statuses", json=body)).status_code == 200
        home = await hana.http.get("/api/v1/timelines/home")
        assert (home.status_code, home.json()[0]["media_attachments"]) == (200, [])
        refused = await hana.http.post("/api/v1/statuses", json={"status": "x", "media_ids": ["5"]})
        assert refused.status_code == 503
        assert (await hana.http.post("/api/v1/statuses", json={"status": "words alone"})).status_code == 200
        assert (await hana.http.post("/api/v2/media", files=files)).status_code == 503
