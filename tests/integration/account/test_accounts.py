"""Reading and importing accounts against the real schema."""

import asyncio

import psycopg
import pytest
from kodama.account.v1 import account_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, KodamaError
from tests.integration.account.conftest import Account


async def bring_in(account: Account, *members: pb.ImportedAccount) -> pb.BatchImportAccountsResponse:
    request = pb.BatchImportAccountsRequest(accounts=members)
    response = await account.ask(account.accounts.BatchImportAccounts, request, caller.OPERATOR)
    assert isinstance(response, pb.BatchImportAccountsResponse)
    return response


def member(handle: str, **fields: str) -> pb.ImportedAccount:
    return pb.ImportedAccount(handle=handle, **fields)


async def test_import_answers_in_order_and_makes_nobody_twice(account: Account) -> None:
    first = await bring_in(account, member("b", display_name="Bee", note="hm", locale="en"), member("a"))
    assert [(each.handle, each.display_name, each.note, each.locale) for each in first.accounts] == [
        ("b", "Bee", "hm", "en"),
        ("a", "a", "", "ja"),
    ]
    assert first.created == 2
    second = await bring_in(account, member("c"), member("a", display_name="Other"), member("c"), member("b"))
    assert [each.handle for each in second.accounts] == ["c", "a", "c", "b"]
    assert second.created == 1
    assert second.accounts[1] == first.accounts[1]
    assert second.accounts[0] == second.accounts[2]
    assert (await bring_in(account)).created == 0


async def test_imported_members_have_no_credentials(account: Account) -> None:
    await bring_in(account, member("a"), member("b"))
    assert account.query("SELECT email, email_key, password_hash FROM accounts") == [(None, None, None)] * 2


async def test_imports_at_once_agree(account: Account) -> None:
    names = [f"m{i}" for i in range(300)]
    answers = await asyncio.gather(
        *(bring_in(account, *(member(name) for name in (names if i % 2 else reversed(names)))) for i in range(6))
    )
    assert sum(answer.created for answer in answers) == 300
    assert len({each.id for answer in answers for each in answer.accounts}) == 300
    for i, answer in enumerate(answers):
        assert [each.handle for each in answer.accounts] == (names if i % 2 else names[::-1])


async def test_an_import_finds_whom_somebody_else_was_just_making(account: Account) -> None:
    async with await psycopg.AsyncConnection.connect(account.settings.service_database_url("account")) as other:
        made = await other.execute(
            "INSERT INTO accounts (handle, display_name, locale) VALUES ('b', 'b', 'ja') RETURNING id"
        )
        row = await made.fetchone()
        waiting = asyncio.create_task(bring_in(account, member("a"), member("b"), member("c")))
        async with asyncio.timeout(10):
            while not account.query("SELECT FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        await other.commit()
    imported = await waiting
    assert [each.handle for each in imported.accounts] == ["a", "b", "c"]
    assert row == (imported.accounts[1].id,)
    assert imported.created == 2


async def test_one_wrong_member_stops_the_import_and_is_named(account: Account) -> None:
    with pytest.raises(InvalidField, match="Account 2 of the import") as error:
        await bring_in(account, member("a"), member("B"), member("c"))
    assert error.value.metadata["field"] == "accounts[1].handle"
    assert account.query("SELECT count(*) FROM accounts") == [(0,)]


async def test_batches_leave_out_who_does_not_exist(account: Account) -> None:
    a, b = (await bring_in(account, member("a"), member("b"))).accounts
    by_id = await account.ask(
        account.accounts.BatchGetAccounts, pb.BatchGetAccountsRequest(account_ids=[b.id, 0, -1, 2**63 - 1, b.id, a.id])
    )
    assert sorted(by_id.accounts, key=lambda each: each.handle) == [a, b]
    by_handle = await account.ask(
        account.accounts.BatchFindAccounts,
        pb.BatchFindAccountsRequest(handles=["b", "B", "", "x\0", "nobody", "a" * 99]),
    )
    assert list(by_handle.accounts) == [b]
    nobody = await account.ask(account.accounts.BatchFindAccounts, pb.BatchFindAccountsRequest(handles=["\0"]))
    assert not nobody.accounts


async def test_pages_go_through_everybody_once(account: Account) -> None:
    made = (await bring_in(account, *(member(f"m{i}") for i in range(7)))).accounts
    seen, token = [], ""
    for size in (3, 3, 3):
        request = pb.ListAccountsRequest(page_size=size, page_token=token)
        page = await account.ask(account.accounts.ListAccounts, request, caller.OPERATOR)
        seen += page.accounts
        token = page.next_page_token
    assert token == ""
    assert seen == sorted(made, key=lambda each: each.id)
    exact = await account.ask(account.accounts.ListAccounts, pb.ListAccountsRequest(page_size=7), caller.OPERATOR)
    assert (len(exact.accounts), exact.next_page_token) == (7, "")
    with pytest.raises(InvalidField):
        await account.ask(account.accounts.ListAccounts, pb.ListAccountsRequest(page_token="x"), caller.OPERATOR)


async def test_batches_have_bounds(account: Account) -> None:
    for method, request, role in (
        (account.accounts.BatchGetAccounts, pb.BatchGetAccountsRequest(account_ids=range(1001)), caller.GATEWAY),
        (account.accounts.BatchFindAccounts, pb.BatchFindAccountsRequest(handles=["a"] * 1001), caller.GATEWAY),
        (
            account.accounts.BatchImportAccounts,
            pb.BatchImportAccountsRequest(accounts=[member("a")] * 1001),
            caller.OPERATOR,
        ),
    ):
        with pytest.raises(InvalidField, match="at most 1000"):
            await account.ask(method, request, role)
    full = await bring_in(account, *(member(f"m{i}") for i in range(1000)))
    assert full.created == 1000


async def test_who_may_read(account: Account) -> None:
    allowed = {
        "BatchGetAccounts": {caller.GATEWAY, caller.SOCIAL_GRAPH, caller.OPERATOR},
        "BatchFindAccounts": {caller.GATEWAY, caller.STATUS, caller.OPERATOR},
        "BatchImportAccounts": {caller.OPERATOR},
        "ListAccounts": {caller.OPERATOR},
        "SearchAccounts": {caller.GATEWAY},
        "BatchGetAccountSettings": {caller.GATEWAY},
        "BatchGetDefaultVisibilities": {caller.STATUS},
    }
    for method, roles in allowed.items():
        for role in caller.ROLES:
            asked = account.ask(getattr(account.accounts, method), getattr(pb, f"{method}Request")(), role)
            if role in roles:
                await asked
            else:
                with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                    await asked
