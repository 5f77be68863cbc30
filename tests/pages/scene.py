"""A few friends and what they say: what the pages are looked at with."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.pages.conftest import Client, Site


@dataclass(frozen=True)
class Person:
    """A member of the scene."""

    handle: str
    name: str
    note: str = ""


PEOPLE = (
    Person("sakura", "桜井 さくら", "朝の散歩と、図書館と、珈琲。\nうさぎを飼っています。"),
    Person("haruto", "はると", "山と写真。週末は奥多摩。"),
    Person("emma", "Emma Whitfield", "Moved to Kyoto for a year, stayed for eleven."),
    Person("kenji", "健二", "パン屋の朝は早い。"),
    Person("mizuki", "みずき"),
    Person("oliver", "Oliver Grant", "Birds, mostly. Sometimes jazz."),
    Person("aoi", "葵"),
    Person("yui", "ゆい", "絵日記。"),
    Person("ren", "蓮"),
    Person("sota", "そうた", "鉄道と地図。"),
)
FRIENDS = (
    *(("sakura", "haruto"), ("sakura", "emma"), ("sakura", "kenji"), ("haruto", "mizuki"), ("emma", "mizuki")),
    *(("kenji", "mizuki"), ("haruto", "oliver"), ("emma", "oliver"), ("emma", "kenji"), ("kenji", "aoi")),
    *(("aoi", "yui"), ("haruto", "emma"), ("ren", "sakura"), ("ren", "sota"), ("haruto", "sota")),
)
POSTS = (
    ("kenji", "今日の食パン、いちばんの出来。朝いちばんに来た人だけが知っています。"),
    ("haruto", "雲取山の上、気温3度。空がとても近い。"),
    ("emma", "Found a second-hand copy of The Pillow Book, with somebody's pressed maple leaf in it."),
    ("ren", "やっと試験が終わった!"),
    ("sakura", "図書館の帰り道、金木犀がまだ少しだけ香っていた。"),
    ("haruto", "下山。足がもう歩きたくないと言っています 🥾"),
    ("emma", "To whoever left a thermos of hojicha on the bench at Demachiyanagi: thank you, it was still warm. 🍵"),
    ("kenji", "明日は栗のデニッシュを焼きます。"),
)
ENTRY = (
    "emma",
    "Eleven autumns",
    "The first year I counted the days. By the third I counted *maples*.\n\n"
    "> 秋深き隣は何をする人ぞ\n\nThis morning the river was the colour of tea, and the heron stood where it always stands.\n\n"
    "## What I keep\n\n- the sound of the 6:40 train\n- persimmons on the neighbours' wall\n- **walking home slowly**",
)


async def settle(site: Site) -> dict[str, Client]:
    """Sign everybody up, let them be friends and write; return a client for each."""
    clients: dict[str, Client] = {}
    for person in PEOPLE:
        clients[person.handle] = Client(site, await site.sign_up(person.handle, "ja"))
        form = {"display_name": person.name, "note": person.note}
        await clients[person.handle].post("/settings/profile", form)
    ids = {person.handle: await site.id_of(person.handle) for person in PEOPLE}
    await site.world.import_friendships([(ids[one], ids[other]) for one, other in FRIENDS])
    await _talk(site, clients, ids)
    return clients


async def _talk(site: Site, clients: dict[str, Client], ids: dict[str, int]) -> None:
    author, title, text = ENTRY
    entry = {"title": title, "text": text, "visibility": "friends", "action": "publish"}
    posted = [await site.world.post(ids[handle], words, 1) for handle, words in POSTS[:6]]
    await clients[author].post("/blog/write", entry)
    posted += [await site.world.post(ids[handle], words, 1) for handle, words in POSTS[6:]]
    for liker, number in (("sakura", 6), ("kenji", 6), ("haruto", 6), ("sakura", 1), ("emma", 4), ("ren", 4)):
        await clients[liker].post(f"/statuses/{posted[number]}/favourite")
    reply = {"status": "@sakura まだ咲いているんですね。明日、遠回りして帰ります。", "visibility": "public"}
    await clients["haruto"].post("/statuses", {**reply, "in_reply_to_id": str(posted[4])})
    await clients["oliver"].post(f"/members/{ids['sakura']}/ask")


async def wait_for_suggestions(site: Site, client: Client, handles: Sequence[str]) -> None:
    """Have everybody's suggestions computed, and wait until somebody is shown these members."""
    for account_id in [await site.id_of(person.handle) for person in PEOPLE]:
        site.world.query(
            "INSERT INTO social_graph.ledger (task, queue, payload)"
            " VALUES ('suggestions.refresh', 'suggestions', jsonb_build_object('account_id', %s::bigint)) RETURNING id",
            account_id,
        )
    for _ in range(200):
        page = (await client.get("/suggestions")).text
        if all(f"@{handle}" in page for handle in handles):
            return
    raise AssertionError("no suggestions were computed")
