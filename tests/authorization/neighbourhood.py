"""A small network in which the owner knows people in every way, and a way back to how it was."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import psycopg
from psycopg import sql

from tests.authorization.expectations import SEES, Viewer
from tests.integration.gateway.conftest import Member, Network

RESTORED = ("social_graph", "status", "blog")
KEPT = ("ledger", "claims", "chores")


@dataclass
class Neighbourhood:
    """The members by how they stand to the owner, the owner's posts, and tokens of every scope."""

    network: Network
    members: dict[Viewer, Member]
    posts: dict[tuple[str, str], str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    """Ids of a status and a blog entry that were deleted, and of no account."""
    tokens: dict[tuple[Viewer, str], str] = field(default_factory=dict)
    tables: list[tuple[str, str]] = field(default_factory=list)
    columns: dict[tuple[str, str], sql.Composed] = field(default_factory=dict)

    @property
    def owner(self) -> Member:
        """Whose things are called for."""
        return self.members[Viewer.SELF]

    def remember(self) -> None:
        """Keep how things are now."""
        with psycopg.connect(self.network.settings.database_url, autocommit=True) as conn:
            found = conn.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) AND tablename <> ALL(%s)",
                (list(RESTORED), [*KEPT, "migrations"]),
            )
            self.tables = [(str(schema), str(table)) for schema, table in found]
            conn.execute("CREATE SCHEMA kept")
            for schema, table in self.tables:
                kept, changing = self._names(schema, table)
                # Without what PostgreSQL derives from the rest, and lets nobody write.
                columns = conn.execute(
                    "SELECT column_name FROM information_schema.columns"
                    " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
                    (schema, table),
                ).fetchall()
                names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
                conn.execute(sql.SQL("CREATE TABLE {} AS SELECT {} FROM {}").format(kept, names, changing))
                self.columns[(schema, table)] = names

    def restore(self, conn: psycopg.Connection) -> None:
        """Make things as they were."""
        with conn.transaction():
            conn.execute("SET LOCAL session_replication_role = replica")
            for schema, table in self.tables:
                kept, changed = self._names(schema, table)
                names = self.columns[(schema, table)]
                restore = sql.SQL("DELETE FROM {1}; INSERT INTO {1} ({2}) OVERRIDING SYSTEM VALUE TABLE {0}")
                conn.execute(restore.format(kept, changed, names))

    @staticmethod
    def _names(schema: str, table: str) -> tuple[sql.Identifier, sql.Identifier]:
        return sql.Identifier("kept", f"{schema}_{table}"), sql.Identifier(schema, table)


async def _ok(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, (answer.request.url, answer.text)
    return answer


async def settle(network: Network) -> Neighbourhood:
    """Sign everybody up and let them meet."""
    viewers = [viewer for viewer in Viewer if viewer not in (Viewer.ANONYMOUS, Viewer.APP)]
    signed_up = await network.sign_up(*(viewer.value for viewer in viewers), "between")
    members: dict[Viewer, Member] = dict(zip(viewers, signed_up, strict=False))
    owner, between = members[Viewer.SELF], signed_up[-1]
    await network.befriend(owner, members[Viewer.FRIEND])
    await network.befriend(owner, between)
    await network.befriend(between, members[Viewer.FRIEND_OF_FRIEND])
    for actor, verb, target in (
        (members[Viewer.BLOCKER], "block", owner),
        (owner, "block", members[Viewer.BLOCKED]),
        (members[Viewer.ASKING], "follow", owner),
        (owner, "follow", members[Viewer.ASKED]),
    ):
        await _ok(await actor.http.post(f"/api/v1/accounts/{target.id}/{verb}"))
    found = Neighbourhood(network, members)
    for kind, visibility in SEES:
        found.posts[(kind, visibility)] = await _post(owner, kind, visibility)
    for kind in ("status", "blog"):
        found.gone[kind] = await _post(owner, kind, "public")
        await _ok(await owner.http.delete(f"/api/v1/statuses/{found.gone[kind]}"))
    found.gone |= dict.fromkeys(("account", "draft", "comment"), "99999")
    entry = found.posts[("blog", "public")]
    made = (
        (owner, "draft", "/api/v1/blogs/drafts", {"title": "title", "text": "text"}),
        (members[Viewer.FRIEND], "comment", f"/api/v1/blogs/{entry}/comments", {"text": "text"}),
    )
    for who, kind, path, body in made:
        found.posts[(kind, "")] = str((await _ok(await who.http.post(path, json=body))).json()["id"])
    return found


async def _post(owner: Member, kind: str, visibility: str) -> str:
    if kind == "status":
        text = "to @mentioned" if visibility == "direct" else "about nothing"
        body = {"status": text, "visibility": visibility}
        return str((await _ok(await owner.http.post("/api/v1/statuses", json=body))).json()["id"])
    body = {"title": "title", "text": "text", "visibility": visibility}
    return str((await _ok(await owner.http.post("/api/v1/blogs", json=body))).json()["id"])


@asynccontextmanager
async def open_neighbourhood(network: Network, scopes: list[str]) -> AsyncIterator[Neighbourhood]:
    """Yield the network with a token of each member and of an app for each scope."""
    found = await settle(network)
    with psycopg.connect(network.settings.database_url, autocommit=True) as conn:
        conn.execute("SET search_path TO account")  # where the defaults of its tables find their sequence
        for scope in scopes:
            found.tokens[(Viewer.APP, scope)] = await network.app_token(scope)
            for viewer, member in found.members.items():
                found.tokens[(viewer, scope)] = _issue_token(conn, member.id, network.client_id, scope)
    found.remember()
    yield found


def _issue_token(conn: psycopg.Connection, account_id: str, client_id: str, scope: str) -> str:
    """Give an app a member's token with one scope, as a consent would."""
    token = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO account.tokens (token_hash, app_id, account_id, scopes)"
        " SELECT %s, id, %s, %s FROM account.apps WHERE client_id = %s",
        (hashlib.sha256(token.encode()).digest(), int(account_id), [scope], client_id),
    )
    return token


def issue_session(conn: psycopg.Connection, account_id: str) -> str:
    """Give a member's browser a session, as signing in would."""
    secret = secrets.token_urlsafe(32)
    conn.execute("SET search_path TO account")
    conn.execute(
        "INSERT INTO account.tokens (token_hash, app_id, account_id, scopes) VALUES (%s, 8, %s, %s)",
        (hashlib.sha256(secret.encode()).digest(), int(account_id), ["read", "write", "follow"]),
    )
    return secret
