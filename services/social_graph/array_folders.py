"""Folders of numpy arrays that are whole or not there: written beside their place, checked, renamed into it.

A process that dies while it writes leaves a draft that nobody reads. What was cut short or changed afterwards is recognised by its
length and checksum. Arrays are mapped, so that the processes of a machine share their pages.
"""

import errno
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20

Array = npt.NDArray[Any]


class FolderDamaged(Exception):
    """A folder of arrays is not there or not what was written; the message says in which way."""


class File(msgspec.Struct, frozen=True):
    """What a file of a folder has to be."""

    size: int
    """In bytes."""
    checksum: int
    """CRC-32."""


class Manifest(msgspec.Struct, frozen=True):
    """What a folder has to hold."""

    format: int
    files: dict[str, File]


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Lend a folder to save `.npy` files in, which stands at `folder` when the block has ended without an exception.

    It is readable by this account only. Raises FileExistsError where one stands there already, OSError where the disk does not take it.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        yield draft
        files = {path.name: _sealed(path) for path in sorted(draft.iterdir())}
        (draft / MANIFEST).write_bytes(msgspec.json.encode(Manifest(FORMAT, files)))
        (draft / MANIFEST).chmod(0o600)
        _sync(draft / MANIFEST)
        _sync(draft)
        _move(draft, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _move(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(folder) from error
        raise


def save_into(draft: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays by their names into the folder that `writing` lends. Raises OSError where the disk does not take it."""
    for name, array in arrays.items():
        np.save(draft / f"{name}.npy", array)


def map_into(draft: Path, name: str, size: int) -> npt.NDArray[np.int32]:
    """Return an array of so many int32 in the folder that `writing` lends. What is written to it goes to its file."""
    return np.lib.format.open_memmap(draft / f"{name}.npy", mode="w+", dtype=np.int32, shape=(size,))


def load_arrays(folder: Path) -> dict[str, Array]:
    """Map the arrays of a folder, by their names, after looking whether they are what was written. Raises FolderDamaged."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        if manifest.format != FORMAT:
            raise FolderDamaged(f"{folder.name} has format {manifest.format}, not {FORMAT}")
        for name, file in manifest.files.items():
            if _measure(folder / name) != file:
                raise FolderDamaged(f"{name} of {folder.name} is not what was written")
        return {
            name.removesuffix(".npy"): np.load(folder / name, mmap_mode="r", allow_pickle=False)
            for name in manifest.files
        }
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise FolderDamaged(f"{folder.name} cannot be read: {error}") from error


def is_abandoned_draft(path: Path) -> bool:
    """Tell whether a path is a draft of a process that is gone."""
    found = re.fullmatch(r"\..+\.([0-9]+)", path.name)
    return found is not None and not Path(f"/proc/{found[1]}").exists()


def _sealed(path: Path) -> File:
    path.chmod(0o600)
    _sync(path)
    return _measure(path)


def _measure(path: Path) -> File:
    checksum = size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
            size += len(chunk)
    return File(size, checksum)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
