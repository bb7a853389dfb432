"""One run per folder: who works in it stands in a file there, and whoever died holds it no longer."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

SCHEMA = "eegic.study.lock/1"
_YOUNG = 60.0  # seconds in which a file that says nothing may still be about to say something
_PATIENCE = 10.0  # seconds to wait for another process that examines the lock, which takes milliseconds


class Locked(RuntimeError):
    """Another run is at work in the folder, or may be."""


class Lock:
    """Keep other runs out of a folder while a block lasts.

    Parameters
    ----------
    folder : Path
        It is made if it is missing.

    Attributes
    ----------
    took_over : str or None
        Whose lock was taken over, in words, if that run had died.

    Notes
    -----
    The file ``.lock`` in the folder says which process holds it: its number and when it began, the machine, and the
    boot of the machine. A lock is taken over if it comes from this machine (by its name) and the machine was booted
    since, the process is gone, or its number has gone to another process. Of a process elsewhere, be it on another
    machine or in another container, nothing can be said from here: the error tells which file to delete once it is
    clear that it has ended. So it does on Windows, for any lock that was not released.

    A file that cannot be read as a lock was left by a kill in the moment of writing, or by a full disk. It counts as
    held for a minute, then it is taken over.

    Two processes that find the same dead lock cannot both take it: it is examined, removed and made anew under a
    second lock, ``.lock.guard``, of the system's own kind, which the system releases when a process ends. That file
    stays in the folder. Where a network disk does not pass such locks on between machines, the first one still does:
    it is made only if there is none.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Lock(folder) as lock:
    ...     (folder / ".lock").exists(), lock.took_over
    (True, None)
    >>> (folder / ".lock").exists()
    False
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / ".lock"
        self.took_over: str | None = None
        self._written = b""

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock.guard", timeout=_PATIENCE, poll_interval=0.005):
                self._take()
        except Timeout as error:
            raise Locked(f"{self.folder}: another run is just beginning there. Try again in a moment.") from error
        except OSError as error:
            raise type(error)(
                f"{self.folder}: cannot be written to ({error.strerror or error}). Name another folder, or change its "
                "permissions."
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _content(self.path) == self._written and json.loads(self._written)["pid"] == os.getpid():
            self.path.unlink()

    def _take(self) -> None:
        found = _content(self.path)
        self.took_over = None if found is None else self._examined(found)
        self.path.unlink(missing_ok=True)
        self._written = json.dumps(_myself(), indent=1).encode("ascii")
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError as error:  # made by a machine that does not see the guard
            raise Locked(f"{self.folder}: another run has just begun there. Wait until it ends.") from error
        try:
            with open(handle, "wb") as stream:
                stream.write(self._written)
        except OSError:  # the disk is full: half a lock would keep the next run waiting
            self.path.unlink(missing_ok=True)
            raise

    def _examined(self, content: bytes) -> str:
        """Why a lock may be taken over, or refuse."""
        holder = _parsed(content)
        if holder is None:
            age = time.time() - self.path.stat().st_mtime
            if age < _YOUNG:
                raise Locked(
                    f"{self.path}: cannot be read as a lock. Perhaps another run is just beginning there: try again in "
                    "a minute, or delete this file if no run is at work."
                )
            return "a lock that could not be read"
        who = f"process {holder['pid']} on {holder['host']}, since {holder['started']}: {holder['command']}"
        why = _fate(holder)
        if why == "unseen":
            raise Locked(
                f"{self.folder}: another run is at work there ({who}). Whether it still is cannot be seen from here. "
                f"Look on {holder['host']} whether there is a process {holder['pid']}; if there is none, delete "
                f"{self.path} and run again."
            )
        if why == "alive":
            raise Locked(
                f"{self.folder}: another run is at work there ({who}). Wait until it ends, or name another folder."
            )
        return f"the lock of {who} ({why})"


def holder(folder: Path) -> tuple[dict[str, Any], str] | None:
    """Whose lock lies in a folder, and what became of them: "alive", "unseen" (from here), or how they ended."""
    try:
        found = _parsed(_content(folder / ".lock") or b"")
    except OSError:
        return None
    return None if found is None else (found, _fate(found))


def _myself() -> dict[str, Any]:
    """By what a process is told from all others, and what people want to know of it."""
    return {
        "schema": SCHEMA,
        "pid": os.getpid(),
        "host": platform.node(),
        "boot": _boot(),
        "pids": _pids(),
        "process_start": _process(os.getpid())[1],
        "started": datetime.now(UTC).isoformat(),
        "command": shlex.join(sys.argv),
    }


def _fate(holder: dict[str, Any]) -> str:
    """What became of a process: "alive", "unseen" (from here), or how it ended."""
    if holder["host"] != platform.node():
        return "unseen"
    if holder["boot"] and _boot() and holder["boot"] != _boot():
        return "the machine was booted since"
    if os.name != "posix" or holder["pids"] != _pids():
        return "unseen"
    try:
        os.kill(holder["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return "it is gone"
    except PermissionError:
        pass  # it lives, under another name of a user
    state, start = _process(holder["pid"])
    if state in ("Z", "X"):
        return "it is dead"
    if start and holder["process_start"] and start != holder["process_start"]:
        return "its number is that of another process now"
    return "alive"


def _boot() -> str:
    """By what Linux tells this boot of the machine from others; elsewhere nothing."""
    return _text(Path("/proc/sys/kernel/random/boot_id")).strip()


def _pids() -> str:
    """In which room of process numbers this process lives: containers have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str]:
    """State of a process (Z: dead, but not yet buried), and when it began, in ticks; empty if not told."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()  # what stands before is its name
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    """What a lock says; None if it is damaged."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return None
    texts = ("host", "boot", "pids", "process_start", "started", "command")
    if not isinstance(told, dict) or told.get("schema") != SCHEMA or type(told.get("pid")) is not int:
        return None
    return told if told["pid"] > 0 and all(isinstance(told.get(name), str) for name in texts) else None
