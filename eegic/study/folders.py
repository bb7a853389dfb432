"""Folders that are written in one go, sealed with digests of their files, and checked when they are read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eegic import _checks, _files
from eegic.study.digests import digest_of

SEAL = "entry.json"
_BEGUN = ".begun"  # lies in a draft until it is sealed: one that was swept away and made anew has none
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
_OF_THE_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}  # put there by looking at a folder


def new_draft(target: Path) -> Path:
    """Make a folder beside the place it is meant for, with the permissions of any new one and a hidden mark in it."""
    draft = target.with_name(f".draft-{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        (draft / _BEGUN).touch()
    except OSError as error:  # it names the draft, which nobody asked for
        raise type(error)(f"{target}: cannot be written ({error.strerror}). Choose a folder that can be.") from error
    return draft


def seal(draft: Path, told: dict[str, object]) -> None:
    """Bring the files of a draft to disk, and write last, in its seal, what they are."""
    if os.path.lexists(draft / SEAL):
        raise ValueError(f"{draft / SEAL}: this name is taken by what the store tells of an entry. Choose another.")
    try:
        (draft / _BEGUN).unlink()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{draft}: removed by another run before it was whole. Run again.") from error
    files = {}
    for name in sorted(_names(draft)):
        n_bytes = _n_bytes(draft, name)
        with open(draft / name, "r+b") as stream:  # Windows flushes only what could be written
            files[name] = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": n_bytes}
            os.fsync(stream.fileno())
    with _files.replacing(draft / SEAL) as path:
        path.write_bytes(_render({**told, "files": files}))
    for folder, _, _ in os.walk(draft):
        _flush_folder(folder)


def publish(draft: Path, target: Path) -> None:
    """Give a draft its name; what had it is moved aside before, and back if that was in vain."""
    try:
        os.rename(draft, target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        aside = target.with_name(f".old-{secrets.token_hex(8)}")
        with suppress(FileNotFoundError):  # another writer has moved it aside meanwhile
            os.rename(target, aside)
        try:
            publish(draft, target)
        except BaseException:
            if not os.path.lexists(target):
                with suppress(OSError):
                    os.rename(aside, target)
            raise
        remove(aside)
    _flush_folder(target.parent)


def verified(path: Path, schema: str, *, content: bool = True) -> dict[str, Any]:
    """Return what the seal of a folder tells, or say in a ValueError or OSError why it cannot be relied on.

    Without `content`, names and sizes of files are compared, and not what is in them.
    """
    if path.is_symlink() or not path.is_dir():
        raise ValueError("it is no folder")
    if not (path / SEAL).is_file():
        raise ValueError(f"it has no {SEAL}")
    text = (path / SEAL).read_bytes()
    try:
        told = json.loads(text)
        whole = text == _render({name: value for name, value in told.items() if name != "sha256"})
    except (ValueError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"its {SEAL} is not as it was written")
    if told.get("schema") != schema:
        raise ValueError(f"its {SEAL} is not of schema {schema!r}")
    _compare(told["files"], path, content)
    return dict(told)


def size(folder: Path) -> int:
    """Return how many bytes the files in a folder have."""
    return sum(os.lstat(folder / name).st_size for name in _names(folder))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder as far as possible; a later `sweep` tries again."""
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def lack_of_room(error: BaseException | None) -> str | None:
    """Whether an error, or one that it comes from, says that the disk is full: in its words."""
    while error is not None:
        if isinstance(error, OSError):
            if error.errno in _files.NO_ROOM:
                return error.strerror
            if error.errno is None and re.search(r"requested and \d+ written", str(error)):  # numpy
                return str(error)
        error = error.__cause__ or error.__context__
    return None


def _render(told: Mapping[str, object]) -> bytes:
    """The content of a seal, a digest of all the rest included."""
    whole = {**told, "sha256": digest_of(dict(told))}
    return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode("ascii")


def _compare(told: dict[str, dict[str, Any]], path: Path, content: bool) -> None:
    """Refuse a folder that does not hold just the files that were written."""
    present = set(_names(path)) - {SEAL}
    missing, strange = sorted(set(told) - present), sorted(present - set(told))
    if missing or strange:
        raise ValueError(f"missing: {_checks.listed(missing, 4)}; left over: {_checks.listed(strange, 4)}")
    for name, written in told.items():
        n_bytes = _n_bytes(path, name)
        if n_bytes != written["bytes"]:
            raise ValueError(f"{name!r} has {n_bytes} bytes, not {written['bytes']}")
        if content:
            with open(path / name, "rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != written["sha256"]:
                raise ValueError(f"the content of {name!r} has changed")


def _names(folder: Path) -> Iterator[str]:
    """Names of all that lies in a folder and in those in it, save folders; with forward slashes."""
    for at, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        for name in (*names, *links):
            if name not in _OF_THE_SYSTEM:
                yield (Path(at) / name).relative_to(folder).as_posix()


def _n_bytes(folder: Path, name: str) -> int:
    """Size of a file; refuse what is none."""
    found = os.lstat(folder / name)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name!r} is no plain file")
    return found.st_size


def _flush_folder(folder: str | os.PathLike[str]) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _raise(error: OSError) -> None:
    raise error
