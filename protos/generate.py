"""Generate the Python stubs in `protos/gen` from the protos: the only way they are made.

    python protos/generate.py           write the stubs
    python protos/generate.py --check   exit 1 where the checked-in stubs differ from what the protos say

The generator (grpcio-tools) is pinned to the oldest supported version, because stubs refuse to load on an older runtime than
their generator.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent
GENERATED = ROOT / "gen"


def generate(target: Path) -> None:
    """Write all stubs below `target`, which must be empty. Raises RuntimeError where protoc refuses a proto."""
    protos = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "kodama").rglob("*.proto"))
    well_known = str(resources.files("grpc_tools") / "_proto")
    plugins = Path(sys.executable).parent
    code = protoc.main(
        [
            "protoc",
            f"--proto_path={ROOT}",
            f"--proto_path={well_known}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
            *protos,
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    for package in [target / "kodama", *(path for path in (target / "kodama").rglob("*") if path.is_dir())]:
        (package / "__init__.py").write_text('"""Generated contracts; see protos/generate.py."""\n')


def differences(left: Path, right: Path) -> list[str]:
    """Return the relative names of files that are missing on a side or differ, ignoring bytecode."""
    names = {
        path.relative_to(side).as_posix()
        for side in (left, right)
        for path in side.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    return sorted(
        name
        for name in names
        if not (left / name).is_file()
        or not (right / name).is_file()
        or not filecmp.cmp(left / name, right / name, shallow=False)
    )


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        if arguments.check:
            stale = differences(fresh, GENERATED)
            for name in stale:
                print(f"protos/gen/{name} is not what the protos say; run `make protos`", file=sys.stderr)
            return 1 if stale else 0
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
