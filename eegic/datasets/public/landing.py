"""How files take their places: drafts, digests, room on the disk, and one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eegic import _checks, _files

ALGORITHMS = {"sha256": 64, "md5": 32}  # and the length of their digests in hexadecimal
_PATIENCE = 3.0  # seconds; who waits longer for another process is told


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is there.

    Parameters
    ----------
    size : int, optional
        Bytes.
    algo : {"sha256", "md5"}, optional
        Kind of digest.
    digest : str, optional
        In hexadecimal.
    """

    size: int | None = None
    algo: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            _checks.count("size", self.size, minimum=0)
        if (self.algo is None) != (self.digest is None):
            raise ValueError(f"digest: expected algo and digest, or neither; got {self.algo!r} and {self.digest!r}.")
        if self.algo is not None and self.digest is not None:
            length = ALGORITHMS[_checks.one_of("algo", self.algo, ALGORITHMS)]
            if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", self.digest):
                raise ValueError(f"digest: expected {length} hexadecimal digits for {self.algo}, got {self.digest!r}.")
            object.__setattr__(self, "digest", self.digest.lower())

    def fault(self, path: Path) -> str:
        """Say what is wrong with the file, or nothing if all that is known is right."""
        return self.size_fault(path) or self.digest_fault(path)

    def size_fault(self, path: Path) -> str:
        """Say that the size is wrong, if it is."""
        size = path.stat().st_size
        return "" if self.size in (None, size) else f"expected {self.size} bytes, got {size}"

    def digest_fault(self, path: Path) -> str:
        """Say that the digest is wrong, if it is; the file is read from end to end."""
        if self.algo is None:
            return ""
        found = digest_of(path, self.algo)
        return "" if found == self.digest else f"expected {self.algo} {self.digest}, got {found}"


def digest_of(path: Path, algo: str = "sha256") -> str:
    """Digest of a file in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algo, usedforsecurity=False)).hexdigest()


def part_of(target: Path) -> Path:
    """Where the bytes of a file lie until it is complete."""
    return beside(target, ".part")


def beside(target: Path, suffix: str) -> Path:
    """A hidden file that goes with a file."""
    return target.with_name(f".{target.name}{suffix}")


def bad_of(target: Path) -> Path:
    """Where a file is kept that is not the one expected."""
    return target.with_name(target.name + ".bad")


def make_folder(folder: Path, target: Path) -> None:
    """Make a folder and those above it, or say that `target` cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"{target}: cannot be written ({error.strerror}). Choose a folder that can be.") from error


def settle(draft: Path, target: Path) -> None:
    """Give a finished file its final name; afterwards it is on disk, under that name."""
    with open(draft, "rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(draft, target)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def alone(lock: Path, others: str) -> Iterator[None]:
    """Keep other processes out; while one is at work, wait until it has ended, and say after some seconds what for.

    Parameters
    ----------
    lock : Path
        The file that whoever is at work holds.
    others : str
        What another process is doing then, as the beginning of a sentence.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=_PATIENCE)
    except Timeout:
        warnings.warn(
            f"{others}, and holds {lock}. Waiting until it has ended. If you know that there is none, stop this one, "
            "delete that file and run again.",
            stacklevel=4,
        )
        held.acquire()
    try:
        yield
    finally:
        held.release()


def check_space(folder: Path, target: Path, needed: int) -> None:
    """Find out before writing whether so many bytes more have room in a folder."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{target}: {needed} bytes more are needed ({amount(needed)}), but {free} are free on the disk of "
            f"{folder} ({amount(free)}). Make room, or choose another folder."
        )


@contextlib.contextmanager
def minding_full_disk(target: Path, needed: int | None, kept: str) -> Iterator[None]:
    """Say which file was being written, how many bytes it needs, and what is `kept`, where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _files.NO_ROOM:
            raise
        size = "" if needed is None else f" of {needed} bytes"
        raise OSError(
            error.errno, f"{target}{size} does not fit on the disk ({error.strerror}). {kept} Make room and run again."
        ) from error


def write_all(stream: Any, chunk: bytes) -> None:
    """Write every byte of a chunk to an unbuffered stream, which may take fewer at a time."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[stream.write(rest) :]


def amount(n_bytes: int) -> str:
    """So many bytes, in the unit people use.

    Examples
    --------
    >>> amount(20080811408)
    '20.1 GB'
    """
    number = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.4g} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
