"""toot and Mastodon.py, unmodified, sign a member in as they do everywhere: through the page, and by password where that is allowed."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from mastodon import Mastodon, MastodonIllegalArgumentError

from chassis.settings import SERVICES
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import PASSWORD, Member, Network, open_network
from tests.integration.gateway.signing_in import OOB, decide, sent_to

CALLBACK = "https://client.example/callback"
SCOPES = ["read", "write", "follow"]


@pytest.fixture(scope="module")
async def network(postgres_url: str, template_database: str) -> AsyncIterator[Network]:
    """A network of its own, which allows the password grant."""
    with fresh_settings(postgres_url, template_database) as fresh:
        settings = fresh.model_copy(update={"password_grant": True})
        async with run_services(settings, *SERVICES), open_network(settings) as opened:
            yield opened


@pytest.fixture(scope="module")
async def hana(network: Network) -> Member:
    [member] = await network.sign_up("hana")
    return member


async def shown_code(network: Network, member: Member, address: str) -> str:
    """Follow an address as a browser, sign in, and read the code from the page."""
    page = await decide(network, member, dict(parse_qsl(urlsplit(address).query)))
    match = re.search(r'<code class="code">([^<]+)</code>', page.text)
    assert match is not None, page.text
    return match[1]


async def test_mastodon_py_by_the_page(network: Network, hana: Member) -> None:
    def begin(uri: str) -> tuple[Mastodon, str]:
        api = Mastodon(
            *Mastodon.create_app("M", scopes=SCOPES, redirect_uris=[CALLBACK, OOB], api_base_url=network.url),
            api_base_url=network.url,
        )
        return api, api.auth_request_url(
            redirect_uris=uri, scopes=SCOPES, force_login=True, state="s", lang="ja", allow_http=True
        )

    def end(api: Mastodon, code: str, uri: str) -> str:
        api.log_in(code=code, redirect_uri=uri, scopes=SCOPES, allow_http=True)
        acct = str(api.account_verify_credentials().acct)
        api.revoke_access_token(allow_http=True)
        return acct

    api, address = await asyncio.to_thread(begin, CALLBACK)
    place, query = sent_to(await decide(network, hana, dict(parse_qsl(urlsplit(address).query))))
    assert (place, query["state"]) == (CALLBACK, "s")
    assert await asyncio.to_thread(end, api, query["code"], CALLBACK) == "hana"

    api, address = await asyncio.to_thread(begin, OOB)
    code = await shown_code(network, hana, address)
    assert await asyncio.to_thread(end, api, code, OOB) == "hana"
    with pytest.raises(MastodonIllegalArgumentError):
        await asyncio.to_thread(end, api, code, OOB)


async def test_mastodon_py_by_password(network: Network, hana: Member) -> None:
    def session(password: str) -> str:
        api = Mastodon(*Mastodon.create_app("M", scopes=SCOPES, api_base_url=network.url), api_base_url=network.url)
        api.log_in("hana@example.com", password, scopes=SCOPES, allow_http=True)
        return str(api.account_verify_credentials().acct)

    assert await asyncio.to_thread(session, PASSWORD) == hana.handle
    with pytest.raises(MastodonIllegalArgumentError):
        await asyncio.to_thread(session, "wrong password")


async def toot(home: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start toot with a home of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("toot")),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=inherited | {"XDG_CONFIG_HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
    )


async def test_toot_by_the_page(network: Network, hana: Member, tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        process = await toot(tmp_path, "login", "-i", network.url)
        assert process.stdin is not None
        assert process.stdout is not None
        said = await process.stdout.readuntil(b"Login URL:\n")
        address = (await process.stdout.readline()).decode().strip()
        process.stdin.write(b"n\n")
        process.stdin.write(f"{await shown_code(network, hana, address)}\n".encode())
        rest, _ = await process.communicate()
    assert process.returncode == 0, said + rest
    assert "Successfully logged in" in rest.decode()
    async with asyncio.timeout(60):
        who = await toot(tmp_path, "whoami")
        text, _ = await who.communicate()
    assert "@hana" in text.decode()


async def test_toot_by_password(network: Network, hana: Member, tmp_path: Path) -> None:
    for password, code in ((PASSWORD, 0), ("wrong password", 1)):
        async with asyncio.timeout(60):
            process = await toot(
                tmp_path, "login_cli", "-i", network.url, "-e", f"{hana.handle}@example.com", "-p", password
            )
            text, _ = await process.communicate()
        assert process.returncode == code, text
        assert ("Successfully logged in" in text.decode()) == (code == 0)
