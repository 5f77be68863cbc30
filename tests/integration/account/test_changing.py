"""What members change of their accounts: exactly that, and a version that says when others see a difference."""

import asyncio

import pytest
from kodama.account.v1 import account_pb2
from kodama.account.v1 import account_service_pb2 as pb
from kodama.status.v1 import status_pb2

from chassis import caller
from chassis.errors import InvalidField, NotFound
from tests.integration.account.conftest import Account


async def member(account: Account) -> account_pb2.Account:
    request = pb.BatchImportAccountsRequest(accounts=[pb.ImportedAccount(handle="hana", display_name="花子")])
    answer = await account.ask(account.accounts.BatchImportAccounts, request, caller.OPERATOR)
    [made] = answer.accounts
    assert isinstance(made, account_pb2.Account)
    return made


async def change(account: Account, request: pb.UpdateAccountRequest) -> pb.UpdateAccountResponse:
    answer = await account.ask(account.accounts.UpdateAccount, request)
    assert isinstance(answer, pb.UpdateAccountResponse)
    return answer


async def read(account: Account, account_id: int) -> account_pb2.Account:
    answer = await account.ask(account.accounts.BatchGetAccounts, pb.BatchGetAccountsRequest(account_ids=[account_id]))
    [found] = answer.accounts
    assert isinstance(found, account_pb2.Account)
    return found


async def test_only_what_is_named_changes(account: Account) -> None:
    hana = await member(account)
    assert (hana.version, hana.is_bot, hana.is_discoverable) == (1, False, True)
    changed = await change(account, pb.UpdateAccountRequest(account_id=hana.id, note=" こんにちは\r\n世界 "))
    assert (changed.account.note, changed.account.display_name, changed.account.version) == (
        "こんにちは\n世界",
        "花子",
        2,
    )
    assert changed.account == await read(account, hana.id)
    changed = await change(account, pb.UpdateAccountRequest(account_id=hana.id, display_name="", is_bot=True))
    assert (changed.account.display_name, changed.account.is_bot, changed.account.version) == ("hana", True, 3)
    changed = await change(account, pb.UpdateAccountRequest(account_id=hana.id, note="", is_discoverable=False))
    assert (changed.account.note, changed.account.is_discoverable, changed.account.version) == ("", False, 4)


async def test_the_version_stays_where_nobody_sees_a_difference(account: Account) -> None:
    hana = await member(account)
    for request in (
        pb.UpdateAccountRequest(account_id=hana.id),
        pb.UpdateAccountRequest(account_id=hana.id, display_name="花子", note="", is_bot=False),
        pb.UpdateAccountRequest(
            account_id=hana.id,
            default_visibility=status_pb2.VISIBILITY_FRIENDS,
            default_sensitive=True,
            default_language="pt-BR",
        ),
    ):
        assert (await change(account, request)).account == hana
    found = await account.ask(
        account.accounts.BatchGetAccountSettings, pb.BatchGetAccountSettingsRequest(account_ids=[hana.id, 17])
    )
    assert list(found.settings) == [
        account_pb2.AccountSettings(
            account_id=hana.id,
            default_visibility=status_pb2.VISIBILITY_FRIENDS,
            default_sensitive=True,
            default_language="pt-BR",
        )
    ]
    assert list(found.accounts) == [hana]
    defaults = await account.ask(
        account.accounts.BatchGetDefaultVisibilities,
        pb.BatchGetDefaultVisibilitiesRequest(account_ids=[hana.id, 17]),
        caller.STATUS,
    )
    assert dict(defaults.visibilities) == {hana.id: status_pb2.VISIBILITY_FRIENDS}


async def test_of_changes_at_once_none_is_lost(account: Account) -> None:
    hana = await member(account)
    await asyncio.gather(
        change(account, pb.UpdateAccountRequest(account_id=hana.id, note="n")),
        change(account, pb.UpdateAccountRequest(account_id=hana.id, is_bot=True)),
        change(account, pb.UpdateAccountRequest(account_id=hana.id, display_name="H")),
        change(account, pb.UpdateAccountRequest(account_id=hana.id, default_sensitive=True)),
    )
    now = await read(account, hana.id)
    assert (now.note, now.is_bot, now.display_name, now.version) == ("n", True, "H", 4)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.UpdateAccountRequest(display_name="x" * 61), "display_name"),
        (pb.UpdateAccountRequest(display_name="\u3164"), "display_name"),
        (pb.UpdateAccountRequest(display_name="a\nb"), "display_name"),
        (pb.UpdateAccountRequest(note="x" * 501), "note"),
        (pb.UpdateAccountRequest(note="a\0"), "note"),
        (pb.UpdateAccountRequest(default_visibility=status_pb2.VISIBILITY_UNSPECIFIED), "default_visibility"),
        (pb.UpdateAccountRequest(default_language="Japanese!"), "default_language"),
        (pb.UpdateAccountRequest(default_language="ja\n"), "default_language"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_changes(
    account: Account, request_: pb.UpdateAccountRequest, field: str
) -> None:
    hana = await member(account)
    request_.account_id = hana.id
    request_.is_bot = True
    with pytest.raises(InvalidField) as error:
        await change(account, request_)
    assert error.value.metadata == {"field": field}
    assert await read(account, hana.id) == hana


async def test_nobody_is_not_changed(account: Account) -> None:
    with pytest.raises(NotFound):
        await change(account, pb.UpdateAccountRequest(account_id=17, note="x"))
