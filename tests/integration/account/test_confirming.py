"""Confirmation by e-mail against the real schema and a real mail server: what is due is sent, and nothing is lost on the way."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from kodama.account.v1 import account_service_pb2 as pb
from kodama.account.v1 import account_service_pb2_grpc, oauth_service_pb2_grpc
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from structlog.testing import capture_logs

from chassis import caller
from chassis.database import Pool, connection, make_pool
from chassis.errors import AlreadyExists, InvalidField, KodamaError, NotFound, PermissionDenied
from chassis.idempotency import Writes
from chassis.process import open_server
from chassis.rpc import call, open_channel
from chassis.settings import Settings
from services.account import confirmation_store
from services.account.__main__ import build
from services.account.confirming import Confirming
from services.account.domain import secret_hash
from services.account.mail_server import MailServer
from services.account.mailing import BATCH, Mailing, Sender
from services.account.passwords import Passwords
from services.account.signing_up import SigningUp
from tests.integration.account.mail_box import MailBox, open_mail_box

NOBODY = "smtp://127.0.0.1:1"


@dataclass
class Post:
    """The use cases as the service wires them, on a database of their own."""

    settings: Settings
    pool: Pool
    box: MailBox
    confirming: Confirming
    writes: Writes
    signing_up: SigningUp

    def mailing(self, url: str = "") -> Mailing:
        return Mailing(
            self.pool, MailServer(url or self.box.url), Sender("Kodama", "kodama@example.org", "https://kodama.example")
        )

    async def sign_up(self, handle: str, email: str = "", locale: str = "en") -> int:
        made: list[int] = []

        async def do(write: Any) -> pb.CreateAccountResponse:
            account = await self.signing_up.sign_up(
                write, handle, email or f"{handle}@example.com", "correct horse", locale, ""
            )
            made.append(account.id)
            return pb.CreateAccountResponse()

        await self.writes.run(pb.CreateAccountRequest(), 0, pb.CreateAccountResponse, do)
        return made[0]

    async def ask_again(self, account_id: int, email: str = "") -> None:
        async def do(write: Any) -> pb.ResendConfirmationResponse:
            await self.confirming.ask_again(write, account_id, email)
            return pb.ResendConfirmationResponse()

        await self.writes.run(pb.ResendConfirmationRequest(), 0, pb.ResendConfirmationResponse, do)

    def sql(self, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.service_database_url("account"), autocommit=True) as conn:
            cursor = conn.execute(text.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def confirmed(self) -> set[str]:
        return {handle for (handle,) in self.sql("SELECT handle FROM accounts WHERE confirmed_at IS NOT NULL")}

    def later(self, seconds: int) -> None:
        """Let everything be so much longer ago."""
        self.sql(
            "UPDATE email_confirmations SET next_attempt_at = next_attempt_at - make_interval(secs => %s),"
            " issued_at = issued_at - make_interval(secs => %s), sent_at = sent_at - make_interval(secs => %s)",
            seconds,
            seconds,
            seconds,
        )


@pytest.fixture
async def post(settings: Settings) -> AsyncIterator[Post]:
    passwords = Passwords()
    async with (
        open_mail_box() as box,
        make_pool(settings.service_database_url("account"), size=6, application="test") as pool,
    ):
        writes = Writes(pool, settings.derive("idempotency"))
        signing_up = SigningUp(passwords, is_open=True, confirms_email=True)
        yield Post(settings, pool, box, Confirming(pool), writes, signing_up)
    passwords.close()


async def test_a_mail_is_sent_once_and_its_link_confirms(post: Post) -> None:
    await post.sign_up("hana")
    assert await post.mailing().send_due() == 1
    assert await post.mailing().send_due() == 0
    [mail] = post.box.mails
    assert post.box.recipients == ["hana@example.com"]
    assert mail["from"] == "Kodama <kodama@example.org>"
    assert mail["auto-submitted"] == "auto-generated"
    assert "https://kodama.example/auth/confirm?token=" in mail.get_content()
    token = post.box.token()
    assert len(token) == 43  # 256 bit
    assert post.sql("SELECT token_hash FROM email_confirmations") == [(secret_hash(token),)]
    assert post.confirmed() == set()
    assert post.sql("SELECT count(*) FROM search_keys") == [(0,)]
    for _ in range(2):  # pressed twice
        await post.confirming.confirm(token)
    assert post.confirmed() == {"hana"}
    assert post.sql("SELECT key FROM search_keys") == [("hana",)]


async def test_a_japanese_member_is_written_to_in_japanese(post: Post) -> None:
    await post.sign_up("hana", locale="ja")
    await post.mailing().send_due()
    [mail] = post.box.mails
    assert "メールアドレスの確認" in mail["subject"]
    assert "ボタンを押してください" in mail.get_content()
    assert post.box.token()


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 5000, "\0", "花"])
async def test_an_unknown_token_confirms_nobody(post: Post, token: str) -> None:
    await post.sign_up("hana")
    await post.mailing().send_due()
    with pytest.raises(NotFound):
        await post.confirming.confirm(token)
    assert post.confirmed() == set()


async def test_a_link_ends_after_two_days(post: Post) -> None:
    await post.sign_up("hana")
    await post.mailing().send_due()
    post.later(confirmation_store.LINK_SECONDS + 1)
    with pytest.raises(NotFound) as late:
        await post.confirming.confirm(post.box.token())
    with pytest.raises(NotFound) as unknown:
        await post.confirming.confirm("x" * 43)
    assert late.value.message == unknown.value.message


async def test_who_dies_after_sending_sends_a_second_mail_and_never_none(post: Post) -> None:
    await post.sign_up("hana")
    async with connection(post.pool) as conn:  # a sender that is killed once it has taken the mail up
        assert len(await confirmation_store.claim_due(conn, [secret_hash("lost")])) == 1
    assert await post.mailing().send_due() == 0
    post.later(confirmation_store.LEASE_SECONDS + 1)
    assert await post.mailing().send_due() == 1
    await post.confirming.confirm(post.box.token())
    assert post.confirmed() == {"hana"}


async def test_two_senders_share_what_is_due(post: Post) -> None:
    for number in range(8):
        await post.sign_up(f"m{number}")
    done = await asyncio.gather(*(post.mailing().send_due() for _ in range(4)))
    assert sum(done) == 8
    assert sorted(post.box.recipients) == [f"m{number}@example.com" for number in range(8)]


async def test_a_turn_is_bounded(post: Post) -> None:
    post.sql(
        "WITH made AS (INSERT INTO accounts (handle, display_name, locale, email, email_key, confirmed_at)"
        " SELECT 'm' || n, 'm', 'en', n || '@x.example', n || '@x.example', NULL FROM generate_series(1, %s) AS n RETURNING id)"
        " INSERT INTO email_confirmations (account_id) SELECT id FROM made",
        BATCH + 3,
    )
    assert [await post.mailing().send_due() for _ in range(3)] == [BATCH, 3, 0]
    assert len(set(post.box.recipients)) == BATCH + 3


async def test_a_server_that_is_away_is_tried_again_more_and_more_seldom(post: Post) -> None:
    await post.sign_up("hana")
    pauses = []
    with capture_logs() as logs:
        for _ in range(9):
            assert await post.mailing(NOBODY).send_due() == 1
            assert await post.mailing(NOBODY).send_due() == 0
            [(pause,)] = post.sql("SELECT extract(epoch FROM next_attempt_at - now())::int FROM email_confirmations")
            pauses.append(round(pause, -1))
            post.later(3601)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert all("hana" not in str(entry) for entry in logs)
    assert {entry["event"] for entry in logs} == {"mail server not reached"}
    assert await post.mailing().send_due() == 1
    await post.confirming.confirm(post.box.token())
    assert post.confirmed() == {"hana"}


async def test_a_password_goes_to_no_other_machine_in_the_clear(post: Post) -> None:
    await post.sign_up("hana")
    async with open_mail_box("127.0.0.2") as elsewhere:  # which counts as another machine
        url = elsewhere.url.replace("//", "//kodama:hunter2@")
        assert await post.mailing(url).send_due() == 1
        assert (elsewhere.attempts, elsewhere.mails) == (0, [])
        [(error,)] = post.sql("SELECT last_error FROM email_confirmations")
        assert "STARTTLS" in error
        assert "hunter2" not in error
        post.later(3600)
        # Without one, mails go where TLS is not offered.
        assert (await post.mailing(elsewhere.url).send_due(), len(elsewhere.mails)) == (1, 1)


async def test_attempts_end(post: Post) -> None:
    await post.sign_up("hana")
    post.sql("UPDATE email_confirmations SET attempts = %s", confirmation_store.MAX_ATTEMPTS - 1)
    await post.mailing(NOBODY).send_due()
    [(due, error)] = post.sql("SELECT next_attempt_at, last_error FROM email_confirmations")
    assert due is None
    assert error.startswith("SMTPConnectError")


async def test_a_refused_recipient_does_not_keep_the_others(post: Post) -> None:
    post.box.refused = {"m1@example.com"}
    for number in range(3):
        await post.sign_up(f"m{number}")
    await post.sign_up("weird", "a..b@example.com")
    assert await post.mailing().send_due() == 4
    assert {"m0@example.com", "m2@example.com"} <= set(post.box.recipients)
    failed = post.sql(
        "SELECT handle, last_error FROM email_confirmations JOIN accounts ON id = account_id WHERE sent_at IS NULL"
    )
    assert "m1" in dict(failed)
    assert "550" in dict(failed)["m1"]


async def test_a_mail_that_is_refused_for_now_is_tried_again(post: Post) -> None:
    await post.sign_up("hana")
    post.box.refusal = "451 later"
    assert await post.mailing().send_due() == 1
    assert post.box.mails == []
    post.box.refusal = ""
    post.later(61)
    assert (await post.mailing().send_due(), len(post.box.mails)) == (1, 1)


async def test_asking_again_has_a_pace_and_the_newest_mail_counts(post: Post) -> None:
    hana = await post.sign_up("hana")
    await post.mailing().send_due()
    for _ in range(3):
        await post.ask_again(hana)
    assert await post.mailing().send_due() == 0
    post.later(confirmation_store.PACE_SECONDS + 1)
    assert await post.mailing().send_due() == 1
    assert await post.mailing().send_due() == 0
    with pytest.raises(NotFound):
        await post.confirming.confirm(post.box.token(0))
    await post.confirming.confirm(post.box.token(1))
    with pytest.raises(PermissionDenied, match="awaiting confirmation"):
        await post.ask_again(hana)


async def test_who_asks_again_while_the_mail_is_on_its_way_gets_a_second_one(post: Post) -> None:
    hana = await post.sign_up("hana")
    post.box.hold = asyncio.Event()
    sending = asyncio.create_task(post.mailing().send_due())
    async with asyncio.timeout(10):
        while not post.box.attempts:
            await asyncio.sleep(0.01)
    await post.ask_again(hana)
    post.box.hold.set()
    await sending
    assert await post.mailing().send_due() == 1
    assert len(post.box.mails) == 2
    await post.confirming.confirm(post.box.token())


async def test_another_address_ends_the_link_to_the_old_one(post: Post) -> None:
    hana = await post.sign_up("hana", "wrong@example.com")
    await post.sign_up("ken", "ken@example.com")
    await post.mailing().send_due()
    old = next(number for number, address in enumerate(post.box.recipients) if address == "wrong@example.com")
    with pytest.raises(AlreadyExists) as taken:
        await post.ask_again(hana, "KEN@example.com")
    assert taken.value.metadata["field"] == "email"
    with pytest.raises(InvalidField) as wrong:
        await post.ask_again(hana, "nonsense")
    assert wrong.value.metadata["field"] == "email"
    await post.ask_again(hana, "right@example.com")
    with pytest.raises(NotFound):
        await post.confirming.confirm(post.box.token(old))
    post.later(confirmation_store.PACE_SECONDS + 1)
    await post.mailing().send_due()
    assert post.box.recipients[-1] == "right@example.com"
    await post.confirming.confirm(post.box.token())
    assert post.confirmed() == {"hana"}


async def test_an_old_link_never_confirms_a_new_address(post: Post) -> None:
    """Of a press of the old button and a change of the address at once, either comes first; never is the new address confirmed by it."""
    for number in range(12):
        account_id = await post.sign_up(f"m{number}")
        await post.mailing().send_due()
        token = post.box.token()
        await asyncio.gather(
            post.confirming.confirm(token),
            post.ask_again(account_id, f"victim{number}@example.com"),
            return_exceptions=True,
        )
    assert post.sql("SELECT count(*) FROM accounts WHERE confirmed_at IS NOT NULL AND email LIKE 'victim%%'") == [(0,)]


async def test_who_never_confirms_is_deleted_after_a_week(post: Post) -> None:
    late, waiting, member = [await post.sign_up(handle) for handle in ("late", "waiting", "member")]
    await post.mailing().send_due()
    at = post.box.recipients.index("member@example.com")
    await post.confirming.confirm(post.box.token(at))
    post.sql("INSERT INTO tokens (token_hash, app_id, account_id, scopes) VALUES (sha256('x'), 4, %s, '{read}')", late)
    post.sql("UPDATE accounts SET created_at = created_at - interval '8 days' WHERE id <> %s", waiting)
    async with connection(post.pool) as conn:
        assert await confirmation_store.forget_confirmations(conn) == 1
        assert await confirmation_store.forget_confirmations(conn) == 0
    assert {row[0] for row in post.sql("SELECT id FROM accounts")} == {waiting, member}
    assert post.sql("SELECT count(*) FROM tokens WHERE account_id = %s", late) == [(0,)]
    await post.sign_up("late")  # handle and address are free again
    post.sql("UPDATE accounts SET confirmed_at = confirmed_at - interval '3 days'")
    async with connection(post.pool) as conn:
        assert await confirmation_store.forget_confirmations(conn) == 1
    assert post.sql("SELECT count(*) FROM email_confirmations WHERE account_id = %s", member) == [(0,)]


async def test_an_address_that_is_taken_meanwhile_is_refused(post: Post) -> None:
    one, other = await post.sign_up("one"), await post.sign_up("other")
    answers = await asyncio.gather(
        post.ask_again(one, "same@example.com"), post.ask_again(other, "SAME@example.com"), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyExists", "NoneType"]


async def test_without_a_mail_server_the_process_refuses_to_start(settings: Settings) -> None:
    base = {
        "KODAMA_SECRET": settings.secret,
        "KODAMA_DATABASE_URL": settings.database_url,
        "KODAMA_CONFIRM_EMAIL": "true",
    }
    for added, sentence in (
        ({}, "KODAMA_SMTP_URL"),
        ({"KODAMA_SMTP_URL": "smtp://user:hunter2@127.0.0.1:25"}, "KODAMA_MAIL_FROM"),
        ({"KODAMA_SMTP_URL": "http://user:hunter2@127.0.0.1"}, "must be smtp://"),
    ):
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.account"],
            env=base | added,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2, ended.stderr
        assert sentence in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        assert "hunter2" not in ended.stderr


async def test_tokens_say_who_awaits_confirmation_and_only_the_gateway_confirms(settings: Settings, post: Post) -> None:
    hana = await post.sign_up("hana")
    post.sql("INSERT INTO tokens (token_hash, app_id, account_id, scopes) VALUES (sha256('x'), 4, %s, '{read}')", hana)
    post.sql("INSERT INTO tokens (token_hash, app_id, scopes) VALUES (sha256('y'), 4, '{read}')")
    async with open_server("account", settings, build):
        channel = open_channel(settings.address("account"), "kodama.account.v1.AccountService")
        oauth = oauth_service_pb2_grpc.OAuthServiceStub(channel)
        accounts = account_service_pb2_grpc.AccountServiceStub(channel)
        gateway = caller.Signer(caller.GATEWAY, settings.derive("rpc"))

        async def waits(token: str) -> bool:
            request = oauth_pb.VerifyTokenRequest(access_token=token)
            one = (await call(oauth.VerifyToken, request, gateway, timeout_seconds=5)).token.awaits_confirmation
            batch = oauth_pb.BatchVerifyTokensRequest(token_hashes=[secret_hash(token)])
            [many] = (await call(oauth.BatchVerifyTokens, batch, gateway, timeout_seconds=5)).tokens
            assert many.token.awaits_confirmation == one
            return one

        assert (await waits("x"), await waits("y")) == (True, False)
        found = await call(
            accounts.BatchGetAccounts, pb.BatchGetAccountsRequest(account_ids=[hana]), gateway, timeout_seconds=5
        )
        assert list(found.accounts) == []
        await post.mailing().send_due()
        request = pb.ConfirmEmailRequest(token=post.box.token())
        for role in caller.ROLES - {caller.GATEWAY}:
            with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                await call(
                    accounts.ConfirmEmail, request, caller.Signer(role, settings.derive("rpc")), timeout_seconds=5
                )
        await call(accounts.ConfirmEmail, request, gateway, timeout_seconds=5)
        assert await waits("x") is False
        await channel.close()
