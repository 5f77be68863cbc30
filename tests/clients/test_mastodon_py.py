"""Mastodon.py, unmodified: a session over the routes that it knows, with its own types and its own paging."""

import asyncio
from datetime import UTC, datetime
from io import BytesIO

import pytest
from mastodon import (
    Mastodon,
    MastodonAPIError,
    MastodonIllegalArgumentError,
    MastodonNotFoundError,
    MastodonUnauthorizedError,
)

from tests.clients.conftest import Stage
from tests.integration.gateway.conftest import PASSWORD, Member
from tests.integration.media.files import photo

REDIRECT = "urn:ietf:wg:oauth:2.0:oob"
SCOPES = ["read", "write", "follow"]


def client(stage: Stage, member: Member) -> Mastodon:
    """Return the client of a member, which trusts nothing that it has not asked for."""
    return Mastodon(access_token=stage.token_of(member), api_base_url=stage.network.url, ratelimit_method="throw")


@pytest.fixture(scope="module")
def hana(stage: Stage) -> Mastodon:
    return client(stage, stage.hana)


@pytest.fixture(scope="module")
def ken(stage: Stage) -> Mastodon:
    return client(stage, stage.ken)


async def test_a_newcomer_signs_up(stage: Stage) -> None:
    url = stage.network.url

    def session() -> tuple[str, str, datetime]:
        client_id, client_secret = Mastodon.create_app(
            "Mastodon.py", scopes=SCOPES, redirect_uris=REDIRECT, api_base_url=url, website="https://client.example"
        )
        api = Mastodon(client_id, client_secret, api_base_url=url)
        token = api.create_account("newhere", PASSWORD, "newhere@example.com", agreement=True, scopes=SCOPES)
        assert api.app_verify_credentials().name == "Mastodon.py"
        api = Mastodon(client_id, client_secret, access_token=token, api_base_url=url)
        me = api.account_verify_credentials()
        with pytest.raises(MastodonIllegalArgumentError, match="taken"):
            Mastodon(client_id, client_secret, api_base_url=url).create_account(
                "newhere", PASSWORD, "other@example.com", agreement=True, scopes=SCOPES
            )
        api.revoke_access_token(allow_http=True)
        with pytest.raises((MastodonUnauthorizedError, MastodonIllegalArgumentError)):
            api.account_verify_credentials()
        return me.acct, me.source.privacy, me.created_at

    acct, privacy, created_at = await stage.run(session)
    assert (acct, privacy) == ("newhere", "public")
    assert abs((datetime.now(UTC) - created_at).total_seconds()) < 120


async def test_a_member_signs_in(stage: Stage) -> None:
    url = stage.network.url

    def session() -> str:
        client_id, client_secret = Mastodon.create_app("Mastodon.py", scopes=SCOPES, api_base_url=url)
        api = Mastodon(client_id, client_secret, api_base_url=url)
        api.log_in("ken@example.com", PASSWORD, scopes=SCOPES)
        return str(api.me().acct)

    assert await stage.run(session) == "ken"


async def test_the_network(stage: Stage, hana: Mastodon) -> None:
    def session() -> None:
        assert hana.retrieve_mastodon_version().startswith("4.2")
        first, second = hana.instance_v1(), hana.instance_v2()
        assert first.uri == second.domain == stage.domain
        assert second.configuration.statuses.max_characters == 150
        assert first.urls.streaming_api.startswith("ws://")
        for empty in (
            hana.instance_peers,
            hana.instance_activity,
            hana.instance_rules,
            hana.custom_emojis,
            hana.announcements,
            hana.trending_tags,
            hana.trending_statuses,
            hana.trending_links,
        ):
            assert list(empty()) == [], empty.__name__

    await stage.run(session)


async def test_accounts(stage: Stage, hana: Mastodon) -> None:
    def session() -> None:
        me = hana.me()
        ken = hana.account_lookup("ken")
        assert hana.account(me.id).acct == "hana"
        assert [one.acct for one in hana.accounts([ken.id, me.id])] == ["ken", "hana"]
        assert [one.acct for one in hana.account_search("ke")] == ["ken"]
        assert [one.acct for one in hana.account_following(me.id)] == ["ken"]
        assert [one.acct for one in hana.account_followers(me.id)] == ["ken"]
        changed = hana.account_update_credentials(display_name="花", note="Mastodon.py", locked=True)
        assert (changed.display_name, changed.source.note) == ("花", "Mastodon.py")
        assert hana.preferences()["posting:default:visibility"] == "public"
        for empty in (hana.account_lists, hana.account_featured_tags):
            assert list(empty(me.id)) == []
        with pytest.raises(MastodonNotFoundError):
            hana.account(99999)

    await stage.run(session)


async def test_friendship(stage: Stage, hana: Mastodon) -> None:
    mio = client(stage, stage.mio)

    def session() -> None:
        hana_id, mio_id = hana.me().id, mio.me().id
        assert hana.account_follow(mio_id).requested is True
        assert [one.acct for one in mio.follow_requests()] == ["hana"]
        assert mio.follow_request_authorize(hana_id).following is True
        [relationship] = hana.account_relationships(mio_id)
        assert relationship.following
        assert relationship.followed_by
        assert {one.acct for one in hana.account_followers(hana_id, limit=1)} < {"ken", "mio"}
        first = hana.account_followers(hana_id, limit=1)
        assert {one.acct for one in hana.fetch_remaining(first)} == {"ken", "mio"}
        assert hana.account_remove_from_followers(mio_id).following is False
        hana.account_follow(mio_id)
        assert mio.follow_request_reject(hana_id).followed_by is False
        hana.account_follow(mio_id)
        assert hana.account_unfollow(mio_id).requested is False
        assert hana.account_block(mio_id).blocking is True
        assert [one.acct for one in hana.blocks()] == ["mio"]
        assert hana.account_unblock(mio_id).blocking is False
        assert hana.account_mute(mio_id, duration=60).muting is True
        assert [one.acct for one in hana.mutes()] == ["mio"]
        assert hana.account_unmute(mio_id).muting is False
        assert [one.accounts for one in hana.account_familiar_followers(mio_id)] == [[]]

    await stage.run(session)


async def test_statuses(stage: Stage, hana: Mastodon, ken: Mastodon) -> None:
    def session() -> None:
        hello = hana.status_post("おはよう", visibility="private", language="ja", idempotency_key="one")
        assert hana.status_post("おはよう", visibility="private", language="ja", idempotency_key="one").id == hello.id
        assert ken.status(hello.id).content == "<p>おはよう</p>"
        answer = ken.status_reply(hello, "おはよう、花さん", untag=True)
        assert answer.in_reply_to_id == hello.id
        context = hana.status_context(hello.id)
        assert [one.id for one in context.descendants] == [answer.id]
        assert [one.id for one in ken.status_context(answer.id).ancestors] == [hello.id]
        liked = ken.status_favourite(hello.id)
        assert (liked.favourited, liked.favourites_count) == (True, 1)
        assert [one.acct for one in hana.status_favourited_by(hello.id)] == ["ken"]
        assert [one.id for one in ken.favourites()] == [hello.id]
        assert ken.status_unfavourite(hello.id).favourited is False
        assert list(hana.status_reblogged_by(hello.id)) == []
        assert hana.status_source(hello.id).text == "おはよう"
        edited = hana.status_update(hello.id, "おはようございます")
        assert edited.content == "<p>おはようございます</p>"
        assert len(hana.status_history(hello.id)) == 2
        assert [one.id for one in hana.account_statuses(hana.me().id, limit=2)] == [hello.id]
        assert hana.status_delete(hello.id).text == "おはようございます"
        with pytest.raises(MastodonNotFoundError):
            ken.status(hello.id)
        with pytest.raises(MastodonAPIError, match="150"):
            hana.status_post("x" * 151)
        with pytest.raises(MastodonAPIError, match=" here"):
            hana.status_reblog(answer.id)

    await stage.run(session)


async def test_pages(stage: Stage, hana: Mastodon, ken: Mastodon) -> None:
    def session() -> None:
        posted = [hana.status_post(f"page {number}").id for number in range(7)][::-1]
        for read in (ken.timeline_home, lambda **window: ken.account_statuses(hana.me().id, **window)):
            first = read(limit=3)
            assert [one.id for one in first] == posted[:3]
            second = ken.fetch_next(first)
            assert second is not None
            assert [one.id for one in second] == posted[3:6]
            assert [one.id for one in ken.fetch_previous(second) or ()] == posted[:3]
            assert [one.id for one in ken.fetch_remaining(first)][:7] == posted
            assert [one.id for one in read(since_id=posted[1])] == posted[:1]

    await stage.run(session)


async def test_searching_and_suggestions(stage: Stage, hana: Mastodon) -> None:
    def session() -> None:
        status = hana.status_post("to be found")
        found = hana.search_v2("ken")
        assert "ken" in [one.acct for one in found.accounts]
        assert list(found.hashtags) == []
        assert [one.id for one in hana.search_v2(status.url).statuses] == [status.id]
        assert list(hana.suggestions()) == []

    await stage.run(session)


async def test_notifications_and_markers(stage: Stage, hana: Mastodon, ken: Mastodon) -> None:
    status = await asyncio.to_thread(lambda: hana.status_post("nice"))
    await asyncio.to_thread(lambda: ken.status_favourite(status.id))
    await stage.world.drain()

    def session() -> None:
        hana.notifications_clear()
        ken.status_unfavourite(status.id)
        ken.status_reply(status, "yes")

    await stage.run(session)
    await stage.world.drain()

    def reading() -> None:
        [mention] = hana.notifications()
        assert (mention.type, mention.account.acct) == ("mention", "ken")
        assert hana.notifications(mention.id).id == mention.id
        assert hana.notifications_unread_count().count == 1
        assert list(hana.notifications(types=["follow"])) == []
        hana.markers_set("notifications", mention.id)
        assert str(hana.markers_get("notifications")["notifications"].last_read_id) == str(mention.id)
        hana.notifications_dismiss(mention.id)
        assert list(hana.notifications()) == []

    await stage.run(reading)


async def test_a_comment_is_a_mention_in_a_blog_entry(stage: Stage, hana: Mastodon) -> None:
    entry = await stage.world.write(int(stage.hana.id))
    await stage.world.comment(int(stage.ken.id), entry, "いいね")
    await stage.world.drain()

    def reading() -> None:
        [told] = hana.notifications(types=["mention"])
        assert (told.type, told.account.acct, told.status.id) == ("mention", "ken", str(entry))
        assert "いいね" in told["comment"]["content"]
        assert hana.status(told.status.id).url == told.status.url
        hana.notifications_dismiss(told.id)

    await stage.run(reading)


async def test_what_is_empty(stage: Stage, hana: Mastodon) -> None:
    def session() -> None:
        for empty in (
            hana.lists,
            hana.bookmarks,
            hana.filters,
            hana.filters_v2,
            hana.conversations,
            hana.followed_tags,
            hana.endorsements,
            hana.featured_tags,
            hana.featured_tag_suggestions,
            hana.domain_blocks,
            hana.scheduled_statuses,
            hana.timeline_public,
            hana.directory,
        ):
            assert list(empty()) == [], empty.__name__
        assert list(hana.timeline_hashtag("花")) == []

    await stage.run(session)


async def test_avatars_and_headers(stage: Stage, hana: Mastodon, ken: Mastodon) -> None:
    def session() -> None:
        drawn = hana.me()
        changed = hana.account_update_credentials(
            avatar=BytesIO(photo()), avatar_mime_type="image/jpeg", header=photo(), header_mime_type="image/jpeg"
        )
        seen = ken.account(changed.id)
        assert (seen.avatar, seen.header_static) == (changed.avatar, changed.header)
        assert "/media/" in seen.avatar
        assert "/media/" in seen.header
        hana.account_delete_avatar()
        hana.account_delete_header()
        assert (ken.account(changed.id).avatar, ken.account(changed.id).header) == (drawn.avatar, drawn.header)

    await stage.run(session)


async def test_pictures(stage: Stage, hana: Mastodon, ken: Mastodon) -> None:
    def session() -> None:
        media = hana.media_post(
            BytesIO(photo()), "image/jpeg", description="a photo", focus=(0.5, -0.5), synchronous=True
        )
        assert (media.type, media.description, media.meta.focus.x) == ("image", "a photo", 0.5)
        assert hana.media(media.id).url == media.url
        assert hana.media_update(media.id, description="a better word").description == "a better word"
        posted = hana.status_post("", media_ids=[media])
        [shown] = ken.status(posted.id).media_attachments
        assert (shown.id, shown.description, shown.meta.original.width) == (media.id, "a better word", 64)
        [seen] = [status for status in ken.timeline_home() if status.id == posted.id]
        assert seen.media_attachments[0].preview_url == media.preview_url
        assert [status.id for status in ken.account_statuses(posted.account, only_media=True)] == [posted.id]
        for hostile in (b"no picture", photo()[:300]):
            with pytest.raises(MastodonAPIError, match="422"):
                hana.media_post(BytesIO(hostile), "image/jpeg")
        with pytest.raises(MastodonAPIError, match="Another status"):
            hana.status_post("again", media_ids=[media.id])
        assert hana.status_delete(posted.id).media_attachments[0].id == media.id

    await stage.run(session)
