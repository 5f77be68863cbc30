"""toot, unmodified, as people type it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from toot import App, User, api

from tests.clients.conftest import Stage
from tests.integration.gateway.conftest import PASSWORD, Member
from tests.integration.media.files import encode, photo, picture

COMMANDS = Path(__file__).with_name("toot_commands.py")
MAX_LINE = 16 * 1024 * 1024
SECONDS = 600


class Toot:
    """The command of members who share a home."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and what is said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        async with asyncio.timeout(SECONDS):
            answer = await self._process.stdout.readline()
        code, said = json.loads(answer)
        return code, said

    async def __call__(self, *arguments: str) -> str:
        """Return what is said by a command that succeeds."""
        code, said = await self.run(*arguments)
        assert code == 0, (arguments, said)
        assert "Traceback" not in said, (arguments, said)
        return said

    async def read(self, *arguments: str) -> Any:
        """Return the JSON that a command prints."""
        return json.loads(await self(*arguments, "--json"))


def remember(home: Path, stage: Stage, members: Sequence[Member]) -> None:
    """Write the file in which toot keeps its accounts."""
    users = {
        f"{member.handle}@{stage.domain}": {
            "instance": stage.domain,
            "username": member.handle,
            "access_token": stage.token_of(member),
        }
        for member in members
    }
    apps = {
        stage.domain: {
            "base_url": stage.network.url,
            "client_id": "1",
            "client_secret": "none",
            "instance": stage.domain,
        }
    }
    (home / "toot").mkdir()
    (home / "toot" / "config.json").write_text(
        json.dumps({"apps": apps, "users": users, "active_user": next(iter(users))})
    )


@asynccontextmanager
async def open_toot(home: Path) -> AsyncIterator[Toot]:
    """Run toot for those who live in a folder, until the block ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(COMMANDS),
        env=inherited | {"XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "NO_COLOR": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
    )
    try:
        yield Toot(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture(scope="module")
async def toot(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Toot]:
    """The command, which knows Hana and Ken."""
    home = tmp_path_factory.mktemp("toot")
    remember(home, stage, [stage.hana, stage.ken])
    async with open_toot(home) as opened:
        yield opened


async def test_signing_in_and_out(stage: Stage, tmp_path: Path) -> None:
    where = ("login_cli", "--instance", stage.network.url, "--email", "hana@example.com", "--password")
    async with open_toot(tmp_path) as toot:
        code, said = await toot.run(*where, "wrong password")
        assert code != 0
        assert "Login failed" in said
        assert "Successfully logged in" in await toot(*where, PASSWORD)
        assert "@hana" in await toot("whoami")
        await toot("logout", f"hana@{stage.domain}")
        assert (await toot.run("whoami"))[0] != 0


async def test_who_and_where(toot: Toot, stage: Stage) -> None:
    assert "@hana" in await toot("whoami")
    assert (await toot.read("whoami"))["source"]["privacy"] == "public"
    assert "@ken" in await toot("whois", "ken")
    assert "@mio" in await toot("whois", f"@mio@{stage.domain}")
    assert stage.domain in await toot("instance")
    assert stage.domain in await toot("instance", stage.network.url)
    assert f"hana@{stage.domain}" in await toot("auth")
    code, said = await toot.run("whois", "nobody")
    assert code != 0
    assert "not found" in said.lower()


async def test_posting_and_reading(toot: Toot, stage: Stage) -> None:
    assert "Toot posted" in await toot("post", "おはよう from toot", "--visibility", "private")
    posted = await toot.read("post", "with numbers", "-l", "en")
    home = await toot("--as", f"ken@{stage.domain}", "timelines", "home", "--no-pager")
    assert "おはよう from toot" in home
    assert "with numbers" in home
    assert "with numbers" in await toot("timeline", "--once")
    assert "with numbers" in await toot("timelines", "account", "hana", "--no-pager")
    assert "with numbers" in await toot("status", posted["id"])
    answer = await toot.read("--as", f"ken@{stage.domain}", "post", "an answer", "--reply-to", posted["id"])
    assert answer["in_reply_to_id"] == posted["id"]
    thread = await toot("thread", posted["id"])
    assert thread.index("with numbers") < thread.index("an answer")
    code, said = await toot.run("post", "x" * 151)
    assert code != 0
    assert "150" in said


async def test_pages_go_on(stage: Stage) -> None:
    for number in range(6):
        await stage.ken.http.post("/api/v1/statuses", json={"status": f"page number {number}"})

    def scroll() -> list[str]:
        app = App(stage.domain, stage.network.url, "1", "none")
        user = User(stage.domain, "ken", stage.token_of(stage.ken))
        pages = api.account_timeline_generator(app, user, "ken", limit=2)
        return [status["content"] for page in islice(pages, 3) for status in page]

    assert await stage.run(scroll) == [f"<p>page number {number}</p>" for number in range(5, -1, -1)]


async def test_favourites(toot: Toot, stage: Stage) -> None:
    posted = await toot.read("post", "to be liked")
    ken = ("--as", f"ken@{stage.domain}")
    await toot(*ken, "favourite", posted["id"])
    assert (await toot.read("status", posted["id"]))["favourites_count"] == 1
    assert "to be liked" in await toot(*ken, "timelines", "favourites", "--no-pager")
    await toot(*ken, "unfavourite", posted["id"])
    assert (await toot.read("status", posted["id"]))["favourites_count"] == 0


async def test_deleting(toot: Toot) -> None:
    posted = await toot.read("post", "to be deleted")
    assert "deleted" in await toot("delete", posted["id"])
    code, said = await toot.run("status", posted["id"])
    assert code != 0
    assert "no such status" in said


async def test_what_is_not_there_says_why(toot: Toot) -> None:
    posted = await toot.read("post", "to stay")
    for verb in ("reblog", "bookmark", "pin"):
        code, said = await toot.run(verb, posted["id"])
        assert code != 0
        assert " here" in said, said
    for verb in ("unreblog", "unbookmark", "unpin"):
        await toot(verb, posted["id"])
    await toot("reblogged-by", posted["id"])
    await toot("bookmarks", "--once")
    await toot("lists", "list")
    await toot("tags", "followed")
    await toot("tags", "featured")
    await toot("timelines", "public", "--no-pager")
    await toot("timelines", "tag", "花", "--no-pager")


async def test_friendship(toot: Toot, stage: Stage) -> None:
    mio_home = ("--as", f"ken@{stage.domain}")
    assert (await toot.read("follow", "mio"))["requested"] is True
    await stage.mio.http.post(f"/api/v1/follow_requests/{stage.hana.id}/authorize")
    assert "@mio" in await toot("following")
    assert "@ken" in await toot("followers")
    assert (await toot.read("unfollow", "mio"))["following"] is False
    await stage.mio.http.post(f"/api/v1/accounts/{stage.ken.id}/follow")
    assert "@mio" in await toot(*mio_home, "follow-requests", "list")
    await toot(*mio_home, "follow-requests", "accept", "mio")
    assert {one["acct"] for one in await toot.read(*mio_home, "followers")} >= {"hana", "mio"}
    await stage.ken.http.post(f"/api/v1/accounts/{stage.mio.id}/unfollow")
    await stage.mio.http.post(f"/api/v1/accounts/{stage.ken.id}/follow")
    await toot(*mio_home, "follow-requests", "reject", "mio")
    assert "@mio" not in await toot(*mio_home, "followers")


async def test_blocking_and_muting(toot: Toot) -> None:
    assert (await toot.read("block", "mio"))["blocking"] is True
    assert "@mio" in await toot("blocked")
    assert (await toot.read("unblock", "mio"))["blocking"] is False
    assert (await toot.read("mute", "mio"))["muting"] is True
    assert "@mio" in await toot("muted")
    assert (await toot.read("unmute", "mio"))["muting"] is False
    assert "@mio" not in await toot("muted")


async def test_searching(toot: Toot, stage: Stage) -> None:
    assert "ken" in await toot("search", "ken")
    posted = await toot.read("post", "to be found")
    found = await toot.read("search", posted["url"], "--resolve")
    assert [status["id"] for status in found["statuses"]] == [posted["id"]]
    assert "@ken" in await toot("search", f"@ken@{stage.domain}", "--type", "accounts")


async def test_notifications(toot: Toot, stage: Stage) -> None:
    posted = await toot.read("post", "something nice")
    await stage.ken.http.post(f"/api/v1/statuses/{posted['id']}/favourite")
    await stage.world.drain()
    assert "ken favourited your status" in await toot("notifications")
    await toot("notifications", "--clear")
    assert "favourited" not in await toot("notifications")
    entry = await stage.world.write(int(stage.hana.id))
    await stage.world.comment(int(stage.ken.id), entry)
    await stage.world.drain()
    assert "ken mentioned you" in await toot("notifications")


async def test_changing_oneself(toot: Toot) -> None:
    await toot("update-account", "--display-name", "花", "--note", "From toot.", "--privacy", "private")
    changed = await toot.read("whoami")
    assert (changed["display_name"], changed["source"]["note"]) == ("花", "From toot.")
    assert changed["source"]["privacy"] == "private"
    await toot("update-account", "--display-name", "Hana", "--privacy", "public")


async def test_avatars_and_headers(toot: Toot, tmp_path: Path) -> None:
    avatar, header = tmp_path / "avatar.png", tmp_path / "header.jpg"
    avatar.write_bytes(encode(picture(), "PNG"))
    header.write_bytes(photo())
    await toot("update-account", "--avatar", str(avatar), "--header", str(header))
    changed = await toot.read("whoami")
    assert "/media/" in changed["avatar"]
    assert "/media/" in changed["header"]


async def test_pictures(toot: Toot, tmp_path: Path) -> None:
    one, two = tmp_path / "cat.png", tmp_path / "photo.jpg"
    one.write_bytes(encode(picture(), "PNG"))
    two.write_bytes(photo())
    uploaded = await toot("upload", str(one), "--description", "a cat")
    assert "Successfully uploaded media ID" in uploaded
    posted = await toot.read(
        "post",
        "with pictures",
        "-m",
        str(one),
        "-d",
        "a cat",
        "-m",
        str(two),
        "-d",
        "a photo",
        "--visibility",
        "private",
    )
    assert [media["description"] for media in posted["media_attachments"]] == ["a cat", "a photo"]
    shown = "".join((await toot("status", posted["id"])).split())  # toot breaks long lines
    assert all(media["url"] in shown for media in posted["media_attachments"])
    code, said = await toot.run("upload", str(Path(__file__)))
    assert code != 0
    assert "no JPEG" in said
