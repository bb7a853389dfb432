"""Files that are either the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, or the share of a user, is full
DRAFT = re.compile(r"\..+-[0-9a-f]{16}(\.[^.]+)?")  # what `replacing` calls a file that is not whole yet
# what a damaged archive makes zipfile, zlib and the reader of array headers raise
_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there once the block has ended well.

    The file is flushed to disk before the move, the folder after it; if the block raises, the draft is removed.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target}: expected the name of a file to write, got a folder. Name a file in it.")
    draft = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(8)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(exist_ok=False)  # with the permissions of any new file; tempfile's are private, results are shared
    except OSError as error:  # it names the draft, which nobody asked for
        raise type(error)(f"{target}: cannot be written ({error.strerror}). Choose a folder that can be.") from error
    try:
        yield draft
        _flush(draft, os.O_RDWR)
        os.replace(draft, target)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _flush(target.parent, os.O_RDONLY)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(target.parent).free
        raise OSError(
            error.errno, f"{target}: not written ({error.strerror}); {free} bytes are free. Make room, then try again."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], *, compress: bool = True) -> None:
    """Write `arrays` as an .npz file, atomically and without pickle; the same arrays give the same bytes.

    EEG is better not compressed: its noise takes as much space, and many times as long.
    """
    save = np.savez_compressed if compress else np.savez
    with replacing(path) as draft, open(draft, "wb") as stream:
        save(stream, allow_pickle=False, **arrays)


def read_npz(
    path: str | os.PathLike[str],
    schema: str,
    keys: tuple[str, ...],
    *,
    optional: tuple[str, ...] = (),
    others: bool = False,
) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz file of the given schema, and all `others` if asked; nothing is unpickled.

    Where arrays are `optional`, no others may stand in the file: one whose name is damaged must not pass for absent.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected an .npz file, got a folder. Name a file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    with open(path, "rb") as stream:
        _check_archive(path, stream.read(8))
        stream.seek(0)
        try:
            stored = np.load(stream, allow_pickle=False)
            wanted = stored.files if others else ("schema", *keys, *optional)
            arrays = {key: _array(key, stored[key]) for key in wanted if key in stored.files}
            strange = sorted(set(stored.files) - set(arrays)) if optional else []
        except _UNREADABLE as error:
            why = str(error) or type(error).__name__
            if "allow_pickle" in why:
                why = "it holds Python objects, which are not unpickled: that could run code"
            raise ValueError(f"{path}: cannot be read as an .npz file ({why}). Write it again.") from error
    found = str(arrays.pop("schema", "none"))
    missing = [key for key in keys if key not in arrays]
    if found != schema or missing or strange:
        lacks = f" without {', '.join(missing)}" if missing else ""
        adds = f" with {', '.join(map(repr, strange))}" if strange else ""
        own = found.removeprefix("eegic.").split("/")[0]
        advice = f" `{own}.load` reads it." if found.startswith("eegic.") and found != schema else ""
        raise ValueError(f"{path}: expected a file of schema {schema!r}, got {found!r}{lacks}{adds}.{advice}")
    return arrays


def _check_archive(path: Path, head: bytes) -> None:
    """Say what the file is if it is no archive; numpy would take it for a pickle."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return
    if not head:
        what = "an empty file"
    elif head.startswith(b"\x93NUMPY"):
        what = "a single array"
    else:
        what = f"a file that begins with {head!r}"
    raise ValueError(f"{path}: expected an .npz file, got {what}. Name a file that was saved here, or save it again.")


def _array(key: str, array: object) -> np.ndarray:
    """Refuse what is no array: numpy gives bytes for a member of another kind."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{key!r} is no array")
    return array


def _flush(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
