"""No write can be forgotten: what the gateway changes, it changes with the client's Idempotency-Key, which is kept with the effect."""

import ast
import re
from pathlib import Path

from google.protobuf.descriptor import Descriptor

from tests.architecture.test_deadlines import rpc_requests

ROOT = Path(__file__).parents[2]
CLIENTS = [*(ROOT / "services/gateway").glob("*_calls.py"), ROOT / "services/gateway/clients.py"]
READS = re.compile(
    r"(Batch)?(Get|Find|Count|List|Filter|Pull|Verify|Download|Explain)[A-Z]|Relate$|Search[A-Z]|Check([A-Z]|$)"
)
"""The names of RPCs that change nothing."""

WITHOUT_KEY = {
    "CreateApp": "nobody calls, and a key that others can guess would give them the secret; a second app does no harm",
    "Authorize": "the answer is a secret, which is not stored; a second code does no harm",
    "IssueToken": "the answer is a secret, which is not stored; a second token does no harm, and of a code there is none",
    "IssueAccountToken": "the answer is a secret, which is not stored; a second token does no harm",
    "ConfirmEmail": "confirming what is confirmed changes nothing, and the answer is empty",
    "OpenSession": "the answer is a secret, which is not stored; a second session does no harm",
    "EndSession": "ending what has ended changes nothing, and the answer is empty",
    "RevokeToken": "ending what has ended changes nothing, and the answer is empty",
}
"""RPC of the gateway → why it is a write without a key."""

IN_ONE_STATEMENT = {
    "CreateStatus": "services/status/store.py",
    "BatchCreateStatuses": "services/status/posting_store.py",
    "CreateBlogEntry": "services/blog/store.py",
}
"""RPC → where its key is claimed in the one statement that does everything."""

IN_A_STREAM = {
    "UploadMedia": "services/media/servicer.py",
}
"""RPC that takes a stream → where the whole of it is written under its key."""

REQUESTS = rpc_requests()


def takes_keys(request: Descriptor) -> bool:
    """Tell whether a request, or each of those that a batch is made of, has a field for a key."""
    parts = [field.message_type for field in request.fields if field.name == "requests" and field.message_type]
    return any("request_id" in message.fields_by_name for message in (request, *parts))


KEYED = {name for name, request in REQUESTS.items() if takes_keys(request)}


def handed_to(adapter: str) -> set[str]:
    """The RPCs that the gateway's clients hand to `self._read` or `self._write`."""
    trees = (ast.parse(path.read_text("utf-8")) for path in CLIENTS)
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        call.args[0].attr
        for call in calls
        if ast.unparse(call.func) == f"self.{adapter}" and call.args and isinstance(call.args[0], ast.Attribute)
    }


def decorated() -> set[str]:
    """The RPCs that are written with `once`."""
    return {
        node.name
        for path in (ROOT / "services").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(each).startswith("once(") for each in node.decorator_list)
    }


def test_what_the_gateway_writes_takes_a_key() -> None:
    written = handed_to("_write") | handed_to("_write_stream")
    assert len(written) > 10
    assert written - KEYED == WITHOUT_KEY.keys()


def test_what_the_gateway_reads_changes_nothing() -> None:
    read = handed_to("_read") | handed_to("_read_stream")
    assert len(read) > 10
    assert {name for name in read if not READS.match(name)} == set()
    assert read & KEYED == set()


def test_the_gateway_calls_nothing_in_another_way() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "services/gateway").rglob("*.py"))
    named = {name for name in REQUESTS if re.search(rf"self\._\w+\.{name}\b", text)}
    assert named == set().union(*map(handed_to, ("_read", "_write", "_read_stream", "_write_stream")))


def test_every_key_is_kept_with_the_effect() -> None:
    assert decorated() & (IN_ONE_STATEMENT.keys() | IN_A_STREAM.keys()) == set()
    assert decorated() | IN_ONE_STATEMENT.keys() | IN_A_STREAM.keys() == KEYED
    for path in IN_ONE_STATEMENT.values():
        assert "try_claim(" in (ROOT / path).read_text("utf-8")
    for path in IN_A_STREAM.values():
        assert "self.writes.run(" in (ROOT / path).read_text("utf-8")
