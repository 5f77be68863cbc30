"""Signing up against the real schema."""

import asyncio
import importlib
from typing import Any

import pytest
from argon2 import PasswordHasher
from kodama.account.v1 import account_service_pb2 as pb
from kodama.account.v1 import account_service_pb2_grpc

from chassis import caller
from chassis.errors import AlreadyExists, InvalidField, KodamaError, PermissionDenied
from chassis.process import open_server
from chassis.rpc import call, open_channel
from chassis.settings import Settings
from tests.integration.account.conftest import Account


def form(handle: str = "taro", **fields: Any) -> pb.CreateAccountRequest:
    filled = {"email": f"{handle}@example.com", "password": "correct horse", **fields}
    return pb.CreateAccountRequest(handle=handle, **filled)


async def test_a_member_signs_up(account: Account) -> None:
    made = (
        await account.ask(account.accounts.CreateAccount, form(display_name=" 太郎 ", email="Taro@Example.com"))
    ).account
    assert (made.handle, made.display_name, made.note, made.locale) == ("taro", "太郎", "", "ja")
    assert made.id > 0
    assert made.created_at_ms > 1_700_000_000_000
    ((email, key, hashed),) = account.query(
        "SELECT email, email_key, password_hash FROM accounts WHERE id = %s", made.id
    )
    assert (email, key) == ("Taro@Example.com", "taro@example.com")
    assert PasswordHasher().verify(hashed, "correct horse")


async def test_handles_and_addresses_are_unique(account: Account) -> None:
    await account.ask(account.accounts.CreateAccount, form())
    with pytest.raises(AlreadyExists) as error:
        await account.ask(account.accounts.CreateAccount, form(email="other@example.com"))
    assert error.value.metadata == {"field": "handle"}
    with pytest.raises(AlreadyExists) as error:
        await account.ask(account.accounts.CreateAccount, form("jiro", email="TARO@EXAMPLE.COM"))
    assert error.value.metadata == {"field": "email"}
    assert "TARO" not in error.value.message
    with pytest.raises(AlreadyExists) as error:
        await account.ask(account.accounts.CreateAccount, form())
    assert error.value.metadata == {"field": "handle", "also": "email"}
    assert account.query("SELECT count(*) FROM accounts") == [(1,)]


async def test_of_many_at_once_exactly_one_gets_the_handle(account: Account) -> None:
    answers = await asyncio.gather(
        *(account.ask(account.accounts.CreateAccount, form(email=f"{i}@example.com")) for i in range(12)),
        return_exceptions=True,
    )
    taken = [answer for answer in answers if isinstance(answer, AlreadyExists)]
    assert len(taken) == 11
    assert {error.metadata["field"] for error in taken} == {"handle"}
    assert account.query("SELECT count(*) FROM accounts") == [(1,)]


async def test_of_many_at_once_exactly_one_gets_the_address(account: Account) -> None:
    answers = await asyncio.gather(
        *(account.ask(account.accounts.CreateAccount, form(f"m{i}", email="One@example.com")) for i in range(8)),
        return_exceptions=True,
    )
    taken = [answer for answer in answers if isinstance(answer, AlreadyExists)]
    assert len(taken) == 7
    assert {error.metadata["field"] for error in taken} == {"email"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (form("Taro"), "handle"),
        (form("a\0"), "handle"),
        (form(email=""), "email"),
        (form(password="short"), "password"),
        (form(locale="de"), "locale"),
        (form(display_name="\0"), "display_name"),
    ],
)
async def test_a_wrong_form_names_its_field_and_leaves_nothing(
    account: Account, request_: pb.CreateAccountRequest, field: str
) -> None:
    with pytest.raises(InvalidField) as error:
        await account.ask(account.accounts.CreateAccount, request_)
    assert error.value.metadata == {"field": field}
    assert account.query("SELECT count(*) FROM accounts") == [(0,)]


async def test_a_closed_network_takes_nobody(settings: Settings) -> None:
    closed = settings.model_copy(update={"registrations_open": False})
    build = importlib.import_module("services.account.__main__").build
    async with open_server("account", closed, build):
        channel = open_channel(settings.address("account"), "kodama.account.v1.AccountService")
        stub = account_service_pb2_grpc.AccountServiceStub(channel)
        signer = caller.Signer(caller.GATEWAY, settings.derive("rpc"))
        with pytest.raises(PermissionDenied, match="does not take new members"):
            await call(stub.CreateAccount, form(), signer, timeout_seconds=5)
        await channel.close()


async def test_only_the_gateway_signs_members_up(account: Account) -> None:
    for role in caller.ROLES - {caller.GATEWAY}:
        with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
            await account.ask(account.accounts.CreateAccount, form(), role)
    assert account.query("SELECT count(*) FROM accounts") == [(0,)]
