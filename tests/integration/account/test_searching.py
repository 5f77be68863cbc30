"""Finding accounts by the beginnings of their names, through the index."""

import psycopg
import pytest
from kodama.account.v1 import account_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField
from tests.integration.account.conftest import Account


async def bring_in(account: Account, *members: tuple[str, str]) -> None:
    request = pb.BatchImportAccountsRequest(
        accounts=[pb.ImportedAccount(handle=handle, display_name=name) for handle, name in members]
    )
    await account.ask(account.accounts.BatchImportAccounts, request, caller.OPERATOR)


async def search(account: Account, query: str, *, limit: int = 0, offset: int = 0) -> list[str]:
    request = pb.SearchAccountsRequest(query=query, limit=limit, offset=offset)
    answer = await account.ask(account.accounts.SearchAccounts, request)
    return [found.handle for found in answer.accounts]


async def test_names_are_found_by_the_beginnings_of_their_words(account: Account) -> None:
    await bring_in(
        account, ("hana", "山田 花子"), ("hana_ko", "Hanako O'Neill"), ("taro", "Ｔａｒｏ　花"), ("zoe", "Zoë Straße")
    )
    for query, found in (
        ("hana", ["hana", "hana_ko"]),
        ("HANA", ["hana", "hana_ko"]),
        ("@hana_", ["hana", "hana_ko"]),
        ("hana_ko", ["hana_ko"]),
        ("ko", ["hana_ko"]),
        ("o’neill", ["hana_ko"]),
        ("花", ["taro", "hana"]),
        ("田花子", []),
        ("田 花子", ["hana"]),
        ("子", ["hana"]),
        ("taro", ["taro"]),
        ("STRASSE", ["zoe"]),
        ("zoe", ["zoe"]),
        ("zoë s", ["zoe"]),
        ("ana", []),
        ("%", []),
        ("_", []),
        ("", []),
        ("\0", []),
        ("a\U0010ffff", []),
        ("nobody", []),
    ):
        assert await search(account, query) == found, query


async def test_the_whole_handle_comes_first_and_the_rest_in_pages(account: Account) -> None:
    await bring_in(account, *((f"ann{number:03}", f"Ann {number}") for number in range(120)), ("ann", "Zzz"))
    first = await search(account, "ann", limit=50)
    assert first[0] == "ann"
    second = await search(account, "ann", limit=50, offset=50)
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    assert len(await search(account, "ann")) == 40


async def test_who_does_not_want_to_be_found_is_found_by_the_whole_handle_only(account: Account) -> None:
    await bring_in(account, ("hana", "花子"), ("hanako", "花子"))
    [member] = (
        await account.ask(account.accounts.BatchFindAccounts, pb.BatchFindAccountsRequest(handles=["hana"]))
    ).accounts
    change = pb.UpdateAccountRequest(account_id=member.id, is_discoverable=False)
    await account.ask(account.accounts.UpdateAccount, change)
    assert await search(account, "花子") == ["hanako"]
    assert await search(account, "han") == ["hanako"]
    assert await search(account, "@Hana") == ["hana", "hanako"]
    back = pb.UpdateAccountRequest(account_id=member.id, is_discoverable=True, display_name="Flora")
    await account.ask(account.accounts.UpdateAccount, back)
    assert await search(account, "flor") == ["hana"]
    assert await search(account, "花子") == ["hanako"]


async def test_a_search_is_read_from_the_index(account: Account) -> None:
    await bring_in(account, *((f"m{number}", f"Member {number}") for number in range(1000)))
    with psycopg.connect(account.settings.database_url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE account.search_keys")
    plan = account.query(
        "EXPLAIN SELECT key, account_id FROM search_keys WHERE key >= 'mem' AND key < 'mem~' ORDER BY key, account_id LIMIT 160"
    )
    assert any("search_keys_pkey" in line for (line,) in plan)
    assert not any("Sort" in line for (line,) in plan)


async def test_what_cannot_be_searched(account: Account) -> None:
    for field, request in (
        ("query", pb.SearchAccountsRequest(query="x" * 201)),
        ("limit", pb.SearchAccountsRequest(query="x", limit=81)),
        ("limit", pb.SearchAccountsRequest(query="x", limit=-1)),
        ("offset", pb.SearchAccountsRequest(query="x", offset=1001)),
        ("offset", pb.SearchAccountsRequest(query="x", offset=-1)),
    ):
        with pytest.raises(InvalidField) as error:
            await account.ask(account.accounts.SearchAccounts, request)
        assert error.value.metadata == {"field": field}
