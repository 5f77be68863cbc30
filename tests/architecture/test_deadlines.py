"""Every RPC is called through chassis.rpc, which signs it and never lets it run without a deadline."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

ROOT = Path(__file__).parents[2]
FOLDERS = ("chassis", "services", "deploy")
CALLING = ROOT / "services/gateway/calling.py"
PATIENT = "services.cli.patience"
CALLERS = {
    "chassis.rpc": frozenset({"call", "call_stream", "call_with_stream"}),
    PATIENT: frozenset({"call_patiently", "call_in_parts"}),
}
"""Who makes calls for others, by module."""

EXCEPTIONS = {
    ("services/cli/health_command.py", "stub.Check"): "an unsigned probe, as any supervisor sends it; with a timeout",
}
"""(file, function called) → why it is called directly, always with a timeout."""


def rpc_requests() -> dict[str, Any]:
    """Return the descriptor of the request of each RPC of all services, and of health checks."""
    stubs = ROOT / "protos" / "gen"
    modules = [
        importlib.import_module(".".join(path.relative_to(stubs).with_suffix("").parts))
        for path in sorted(stubs.rglob("*_service_pb2.py"))
    ]
    services = [service for module in (*modules, health_pb2) for service in module.DESCRIPTOR.services_by_name.values()]
    return {method.name: method.input_type for service in services for method in service.methods}


RPCS = frozenset(rpc_requests())


class Reader:
    """Finds, in one module, where an RPC is used otherwise than as what chassis.rpc is to call."""

    def __init__(self, source: str) -> None:
        self._tree = ast.parse(source)
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        self._trusted = {
            alias.asname or alias.name
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name in CALLERS.get(node.module or "", ())
        }
        self._trusted |= {name for node in ast.walk(self._tree) if (name := self._adapter(node)) is not None}
        if any(self._heirs()):
            self._trusted |= Reader(CALLING.read_text("utf-8")).adapters()

    def adapters(self) -> set[str]:
        """Return how the methods of this module are called that hand an RPC on to chassis.rpc."""
        return {name for name in self._trusted if name.startswith("self.")}

    def _heirs(self) -> Iterator[ast.AST]:
        """Yield the classes that are made on the gateway's Calling, or on what is."""
        imported = {
            alias.asname or alias.name
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("services.gateway.")
            for alias in node.names
            if alias.name == "Calling" or alias.name.endswith("Calls")
        }
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in imported for base in node.bases):
                yield node

    def violations(self) -> Iterator[tuple[int, str, bool]]:
        """Yield line, code, and whether the RPC is called directly with a timeout."""
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Attribute) or node.attr not in RPCS:
                continue
            parent = self._parents[node]
            if isinstance(parent, ast.Call) and parent.func is node:
                yield node.lineno, ast.unparse(node), any(keyword.arg == "timeout" for keyword in parent.keywords)
            elif not self._is_handed_to_caller(node, parent):
                yield node.lineno, ast.unparse(node), False

    def _is_handed_to_caller(self, node: ast.Attribute, parent: ast.AST) -> bool:
        return isinstance(parent, ast.Call) and parent.args[:1] == [node] and self._name_of(parent) in self._trusted

    @staticmethod
    def _name_of(call: ast.Call) -> str:
        """Return `call` for `call(...)` and `self._read` for `self._read(...)`."""
        return ast.unparse(call.func)

    def _adapter(self, node: ast.AST) -> str | None:
        """Return how a function is called that does nothing with its first parameter but hand it to chassis.rpc."""
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        is_method = names[:1] == ["self"]
        if len(names) <= is_method:
            return None
        method = names[is_method]
        uses = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == method]
        calls = [self._parents[use] for use in uses]
        trusted = all(
            isinstance(call, ast.Call) and call.args[:1] == [use] and self._name_of(call) in self._trusted
            for use, call in zip(uses, calls, strict=True)
        )
        return (f"self.{node.name}" if is_method else node.name) if uses and trusted else None


def found() -> dict[tuple[str, str], tuple[int, bool]]:
    """Return (file, code) → (line, has a timeout) of everything in the repository that does not go through chassis.rpc."""
    return {
        (path.relative_to(ROOT).as_posix(), code): (line, has_timeout)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, code, has_timeout in Reader(path.read_text("utf-8")).violations()
    }


def test_every_rpc_is_called_through_the_chassis() -> None:
    wrong = [f"{file}:{line}: {code}" for (file, code), (line, _) in found().items() if (file, code) not in EXCEPTIONS]
    assert not wrong, "Call RPCs through chassis.rpc.call or call_stream:\n" + "\n".join(wrong)


def test_every_exception_is_needed_and_has_a_timeout() -> None:
    direct = found()
    assert not EXCEPTIONS.keys() - direct.keys()
    assert all(direct[exception][1] for exception in EXCEPTIONS)


def test_the_rpcs_are_known() -> None:
    assert {"CreateStatus", "Relate", "StreamFriendIds", "VerifyToken", "CompleteWork", "Check"} <= RPCS


IMPORTED = "from chassis.rpc import call, call_stream\n"

PLANTED = {
    "direct": "async def f(stub):\n    await stub.Relate(request)",
    "direct with a timeout": "async def f(stub):\n    await stub.Relate(request, timeout=1)",
    "direct stream": "async def f(stub):\n    async for x in stub.StreamFriendIds(request):\n        pass",
    "own attribute": "async def f(self):\n    await self._stub.Relate(request)",
    "future": "def f(stub):\n    return stub.Relate.future(request)",
    "under another name": "async def f(stub):\n    relate = stub.Relate\n    await relate(request)",
    "partial": "def f(stub):\n    return partial(stub.Relate, timeout=None)",
    "through somebody else": "async def f(stub):\n    await ask(stub.Relate, request)",
    "as another argument": "async def f(stub):\n    await call(request, stub.Relate)",
    "through a method that is named like the gateway's": (
        "class C:\n    async def f(self):\n        await self._read(self._stub.Relate, request)"
    ),
    "through an adapter that calls it": (
        "async def ask(method, request):\n    return await method(request)\nasync def f(stub):\n    await ask(stub.Relate, 1)"
    ),
    "through an adapter that sometimes calls it": (
        "async def ask(method, request):\n    await call(method, request)\n    await method(request)\n"
        "async def f(stub):\n    await ask(stub.Relate, 1)"
    ),
}

FINE = {
    "call": "async def f(stub):\n    await call(stub.Relate, request, signer, timeout_seconds=1)",
    "stream": "async def f(stub):\n    async for x in call_stream(stub.StreamFriendIds, request, s, timeout_seconds=1):\n        pass",
    "adapter": (
        "class C:\n    async def _read(self, method, request):\n        return await call(method, request, s, timeout_seconds=1)\n"
        "    async def f(self):\n        await self._read(self._stub.Relate, request)"
    ),
    "client of the gateway": (
        "from services.gateway.calling import Calling\n"
        "class C(Calling):\n    async def f(self):\n        await self._read(self._stub.Relate, request)"
    ),
    "servicer": "class S:\n    async def Relate(self, request, context):\n        return None",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(source: str) -> None:
    assert list(Reader(IMPORTED + source).violations())


@pytest.mark.parametrize("source", FINE.values(), ids=FINE.keys())
def test_what_is_fine_is_left_alone(source: str) -> None:
    assert not list(Reader(IMPORTED + source).violations())


def test_a_function_of_the_same_name_is_not_the_chassis() -> None:
    source = "async def f(stub):\n    await call(stub.Relate, request)"
    assert list(Reader(source).violations())
    assert not list(Reader(IMPORTED + source).violations())


def test_who_calls_patiently_calls_through_the_chassis() -> None:
    tree = ast.parse((ROOT / f"{PATIENT.replace('.', '/')}.py").read_text("utf-8"))
    called = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]) == "method"
    }
    assert called == {"call", *CALLERS[PATIENT]}
