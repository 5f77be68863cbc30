"""SQL is literal text with parameters, never built from strings: no value can become a part of a statement."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("chassis", "services", "deploy")
RUNNING = frozenset({"execute", "executemany", "copy", "stream"})
"""Methods of psycopg whose first argument is SQL. `copy()` and `stream()` without one are somebody else's."""

EXCEPTIONS = {
    ("chassis/migrate.py", "migration.text.encode()"): "migrations are files of this repository, kept by checksum",
}
"""(file, argument) → why it is safe."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.Module


class Reader:
    """Finds, in one module, what is handed to psycopg as SQL and is not literal."""

    def __init__(self, source: str) -> None:
        self._tree = ast.parse(source)
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        self._resolving: set[str] = set()

    def violations(self) -> Iterator[tuple[int, str]]:
        """Yield line and code of each."""
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Attribute) or node.attr not in RUNNING:
                continue
            parent = self._parents[node]
            if not isinstance(parent, ast.Call) or parent.func is not node:
                if node.attr.startswith("execute"):  # handed on, to be called with what is not seen here
                    yield node.lineno, ast.unparse(parent)
                continue
            query = self._query_of(parent)
            if query is not None and not self._is_query(query, self._scope_of(parent)):
                yield query.lineno, ast.unparse(query)

    @staticmethod
    def _query_of(call: ast.Call) -> ast.expr | None:
        if call.args:
            return call.args[0]
        return next((keyword.value for keyword in call.keywords if keyword.arg in ("query", "statement", None)), None)

    def _is_query(self, node: ast.expr, scope: Scope) -> bool:
        return self._is_literal(node, scope) or self._is_composed(node, scope)

    def _is_literal(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.IfExp):
            return self._is_literal(node.body, scope) and self._is_literal(node.orelse, scope)
        if isinstance(node, ast.Name):
            values = self._values_of(node.id, scope)
            return bool(values) and all(value is not None and self._is_text(value) for value in values)
        return self._is_text(node)

    def _is_composed(self, node: ast.expr, scope: Scope) -> bool:
        """`sql.SQL(literal)`, with or without `.format(...)`, which quotes everything that it is given."""
        if isinstance(node, ast.Name):
            if node.id in self._resolving:  # `q = q.format(...)`: composed where everything else that is bound to q is
                return True
            self._resolving.add(node.id)
            values = self._values_of(node.id, scope)
            composed = [isinstance(value, ast.Call) and self._is_composed(value, scope) for value in values]
            self._resolving.remove(node.id)
            return bool(composed) and all(composed)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        if ast.unparse(node.func) == "sql.SQL":
            return len(node.args) == 1 and self._is_literal(node.args[0], scope)
        return node.func.attr == "format" and self._is_composed(node.func.value, scope)

    def _is_text(self, node: ast.expr) -> bool:
        if isinstance(node, ast.IfExp):
            return self._is_text(node.body) and self._is_text(node.orelse)
        return isinstance(node, ast.Constant) and isinstance(node.value, str)

    def _values_of(self, name: str, scope: Scope) -> list[ast.expr | None]:
        """Return all that a name is bound to in a function, None for what cannot be told; empty where it is not its own."""
        if isinstance(scope, ast.Module) or name in _parameters(scope):
            return []
        stores = [
            node
            for node in ast.walk(scope)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        ]
        return [value for store in stores for value in self._stored(store)]

    def _stored(self, store: ast.Name) -> list[ast.expr | None]:
        parent = self._parents[store]
        if isinstance(parent, ast.Assign) and store in parent.targets:
            return [parent.value]
        if isinstance(parent, ast.AnnAssign):
            return [parent.value]
        if isinstance(parent, ast.For) and isinstance(parent.iter, ast.Tuple | ast.List) and parent.target is store:
            return list(parent.iter.elts)
        return [None]

    def _scope_of(self, node: ast.AST) -> Scope:
        while not isinstance(node, Function | ast.Module):
            node = self._parents[node]
        return node


def _parameters(function: Function) -> set[str]:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in named if argument is not None}


def found() -> dict[tuple[str, str], int]:
    """Return (file, code) → line of everything in the repository that is not literal."""
    return {
        (path.relative_to(ROOT).as_posix(), code): line
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, code in Reader(path.read_text("utf-8")).violations()
    }


def test_sql_is_literal() -> None:
    wrong = [f"{file}:{line}: {code}" for (file, code), line in found().items() if (file, code) not in EXCEPTIONS]
    assert not wrong, "SQL must be literal text with parameters, or sql.SQL(...).format(...):\n" + "\n".join(wrong)


def test_every_exception_is_needed() -> None:
    assert not EXCEPTIONS.keys() - found().keys()


PLANTED = {
    "f-string": 'c.execute(f"SELECT {x}")',
    "f-string without values": 'c.execute(f"SELECT 1")',
    "concatenation": 'c.execute("SELECT " + x)',
    "percent": 'c.execute("SELECT %s" % x)',
    "format": 'c.execute("SELECT {}".format(x))',
    "join": 'c.execute(" ".join(["SELECT", x]))',
    "replace": 'c.execute("SELECT x".replace("x", x))',
    "bytes": 'c.execute(b"SELECT 1")',
    "encoded": "c.execute(x.encode())",
    "parameter": "c.execute(x)",
    "attribute": "c.execute(self.query)",
    "subscript": 'c.execute(QUERIES["x"])',
    "global": "c.execute(QUERY)",
    "keyword": 'c.execute(query=f"SELECT {x}")',
    "star": "c.execute(*x)",
    "double star": "c.execute(**x)",
    "await": 'await c.execute(f"SELECT {x}")',
    "executemany": 'c.executemany(f"INSERT {x}", rows)',
    "copy": 'c.copy(f"COPY {x} FROM STDIN")',
    "stream": 'c.stream(f"SELECT {x}")',
    "one branch": 'c.execute("SELECT 1" if y else x)',
    "name": 'q = f"SELECT {x}"\n    c.execute(q)',
    "name, once wrong": 'q = "SELECT 1"\n    q = q + x\n    c.execute(q)',
    "augmented name": 'q = "SELECT 1"\n    q += x\n    c.execute(q)',
    "unpacked name": 'q, r = "SELECT 1", x\n    c.execute(q)',
    "walrus": "c.execute(q := x)",
    "loop over names": "for q in x:\n        c.execute(q)",
    "loop over one wrong": 'for q in ("SELECT 1", x):\n        c.execute(q)',
    "with": "with x as q:\n        c.execute(q)",
    "SQL of a value": "c.execute(sql.SQL(x))",
    "SQL of an f-string": 'c.execute(sql.SQL(f"SELECT {x}").format())',
    "composed name": "q = sql.SQL(x)\n    c.execute(q.format())",
    "formatted again": 'q = f"SELECT {x}"\n    q = q.format(x)\n    c.execute(q)',
    "composed by addition": 'c.execute(sql.SQL("SELECT ") + x)',
    "handed on": "run = c.execute\n    run(x)",
    "nested": 'def inner():\n        c.execute(f"SELECT {x}")',
}

FINE = {
    "literal": 'c.execute("SELECT 1")',
    "implicit concatenation": 'c.execute("SELECT 1" " FROM x", (x,))',
    "branches": 'c.execute("SELECT 1" if y else "SELECT 2" if z else "SELECT 3")',
    "name": 'q = "SELECT 1"\n    c.execute(q)',
    "two names": 'q = "SELECT 1"\n    r: str = "SELECT 2"\n    c.execute(q if y else r)',
    "composed": 'c.execute(sql.SQL("SELECT {}").format(sql.Identifier(x)))',
    "composed branches": 'q = sql.SQL("A {}" if y else "B {}")\n    c.execute(q.format(x))',
    "composed again": 'q = sql.SQL("SELECT {}")\n    q = q.format(x)\n    c.execute(q)',
    "loop": 'for q in ("SELECT 1", "SELECT 2"):\n        c.execute(sql.SQL(q))',
    "copy of a set": "y = c.copy()",
    "stream of a request": "y = c.stream()",
}


def _violations(body: str) -> list[tuple[int, str]]:
    return list(Reader(f"async def f(c, x, y, z):\n    {body}\n").violations())


@pytest.mark.parametrize("body", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(body: str) -> None:
    assert _violations(body)


@pytest.mark.parametrize("body", FINE.values(), ids=FINE.keys())
def test_what_is_fine_is_left_alone(body: str) -> None:
    assert not _violations(body)
