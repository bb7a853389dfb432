"""The log of a run: a line of JSON for every event, written by every process that takes part."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eegic import _checks

EVENTS = ("run_started", "unit_started", "unit_finished", "warning", "run_finished", "interrupted")
_OWN = ("time", "event", "pid", "host")
_MOST = 4094  # bytes of a line: with a line break on either side it is no longer than a page, and is appended at once
_TEXTS = (2048, 1024, 512, 256, 128, 64)  # characters of each field, tried in turn where a line is too long


class Events:
    """Appends to the log of a run.

    Parameters
    ----------
    path : path
        The file, in a folder that exists; it is made at the first event.

    Notes
    -----
    A line is appended by one call to the system, so that lines of several processes do not mix; one that is killed
    spoils its last line at most. Some network file systems do not promise this to several machines: `read` passes over
    what is damaged, and nothing but the log depends on it. No file stays open, and what is pickled is the path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     events = Events(f"{folder}/events.jsonl")
    ...     events.note("unit_started", stage="tracking", label="sub-03")
    ...     [(event["event"], event["label"]) for event in read(events.path)]
    [('unit_started', 'sub-03')]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def note(self, event: str, **fields: object) -> None:
        """Append a line: the time (UTC), the event, the process, its machine, and the fields.

        Parameters
        ----------
        event : str
            One of `EVENTS`.
        **fields
            What else there is to say. Texts are cut where the line would be longer than 4096 bytes, and say so.
        """
        _checks.one_of("event", event, EVENTS)
        taken = sorted(set(_OWN) & set(fields))
        if taken:
            raise ValueError(f"fields: {_checks.listed(taken)} is what the log itself notes. Choose another name.")
        own = (utc(), event, os.getpid(), platform.node())
        line = _line(dict(zip(_OWN, own, strict=True)), {name: _plain(value) for name, value in fields.items()})
        try:
            _append(self.path, line)
        except OSError as error:
            why = error.strerror or error
            raise type(error)(
                f"{self.path}: cannot be written ({why}). Make room, or choose another folder."
            ) from error


class Tail:
    """Reads what is new in a log since it was read last.

    Parameters
    ----------
    path : path
        The file; it need not be there yet.
    from_end : bool
        Pass over what is there now.
    """

    def __init__(self, path: str | os.PathLike[str], *, from_end: bool = False) -> None:
        self.path = Path(path)
        self._read = self.path.stat().st_size if from_end and self.path.is_file() else 0

    def new(self) -> list[dict[str, Any]]:
        """Return the events of the lines that are whole by now, in order."""
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self._read)
                lines = stream.read()
        except FileNotFoundError:
            return []
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        return list(_parsed(whole.splitlines(keepends=True)))


def read(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the events of a log, in order; what is no whole line of it is passed over."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. A run writes it.")
    with open(path, "rb") as stream:
        yield from _parsed(stream)


def utc() -> str:
    """The time now, as 2026-01-31T12:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(value: object, *, indent: int | None = None) -> bytes:
    """The value as JSON in UTF-8; names of files that are no text in UTF-8 become escapes, and can be read back."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes \udcff, which is JSON too


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and "event" in event:
            yield event


def _line(own: Mapping[str, object], fields: Mapping[str, object]) -> bytes:
    """One line, short enough; a log must not stop a run because there is much to say."""
    line = whole = as_json({**own, **fields})
    for most in _TEXTS:
        if len(line) <= _MOST:
            return line + b"\n"
        line = as_json({**own, **{name: _cut(value, most) for name, value in fields.items()}})
    if len(line) > _MOST:
        line = as_json({**own, "cut": f"{len(fields)} fields of {len(whole)} bytes in all"})
    return line + b"\n"


def _cut(value: object, most: int) -> object:
    text = value if isinstance(value, str) else as_json(value).decode()
    return f"{text[:most]} ... (cut: {len(text)} characters in all)" if len(text) > most else value


def _plain(value: object) -> object:
    """The same in the types of JSON; what has none there is told in words."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if os.fstat(handle).st_size:
            os.lseek(handle, -1, os.SEEK_END)
            if os.read(handle, 1) != b"\n":  # half a line, of a process that was killed or is writing it
                line = b"\n" + line
        written = os.write(handle, line)
    finally:
        os.close(handle)
    if written < len(line):
        raise OSError(f"only {written} of {len(line)} bytes")
