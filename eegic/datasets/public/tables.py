"""The tables of a manifest: text cells under known columns, read strictly and written the same everywhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eegic import _checks, _files

Row = dict[str, str]

UNKNOWN: Final = "unknown"
_EMPTY = ("", "n/a", UNKNOWN)
_LABEL = re.compile(r"[A-Za-z0-9]+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold.

    Attributes
    ----------
    needed, more : tuple of str
        Those that must be there, and those that may be.
    key : str
        The column by which rows are told apart; "" where rows may be alike.
    people : str
        The column that holds participants; "" for none.
    numbers, paths : tuple of str
        Columns of numbers with a decimal point, and of relative paths.
    others : bool
        Whether columns of any other name are welcome.
    """

    needed: tuple[str, ...]
    more: tuple[str, ...] = ()
    key: str = ""
    people: str = ""
    numbers: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    others: bool = False


FILES = Columns(
    needed=("path", "bytes", "algo", "digest", "role"),
    more=("participant", "source_path", "archive"),
    key="path",
    people="participant",
    paths=("path", "source_path", "archive"),
)
PARTICIPANTS = Columns(needed=("participant_id",), key="participant_id", people="participant_id", others=True)
STIMULI = Columns(
    needed=("stim_id",),
    more=("path", "duration_s", "sfreq", "kind", "title", "composer", "licence", "digest", "score"),
    key="stim_id",
    numbers=("duration_s", "sfreq"),
    paths=("path", "score"),
)
TRIALS = Columns(
    needed=("participant", "stim_id"),
    more=("ses", "run", "trial", "onset_s", "padding_s", "condition", "presentation_order"),
    people="participant",
    numbers=("onset_s", "padding_s", "presentation_order"),
)
CHANNELS = Columns(needed=("name",), more=("type", "x", "y", "z"), key="name", numbers=("x", "y", "z"))
TABLES = {
    "files": FILES,
    "participants": PARTICIPANTS,
    "stimuli": STIMULI,
    "trials": TRIALS,
    "channels": CHANNELS,
}


def read_rows(path: Path, columns: Columns) -> tuple[Row, ...]:
    """Rows of a table, as texts; none where there is no such file.

    Participants lose the prefix ``sub-`` and nothing else: ``001`` stays ``001``. A byte order mark and line ends of
    Windows are read over; for whatever else is wrong, the error names the line.
    """
    if not path.is_file():
        return ()
    head, *lines = _lines(path)
    names = _header(path, head, columns)
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        cells = line.split("\t")
        if not line.strip():
            raise ValueError(f"{where}: an empty row. Delete it.")
        if len(cells) != len(names):
            raise ValueError(
                f"{where}: expected {len(names)} cells, got {len(cells)}. Separate them by single tabs, and write n/a "
                "where there is nothing to tell."
            )
        row = _checked(dict(zip(names, cells, strict=True)), columns, where)
        if columns.key and (first := seen.setdefault(row[columns.key], number)) != number:
            raise ValueError(f"{where}: {columns.key} {row[columns.key]!r} stands in line {first} already. Keep one.")
        rows.append(row)
    return tuple(rows)


def write_rows(path: Path, columns: Columns, rows: Iterable[Mapping[str, str]]) -> None:
    """Write a table: the known columns that rows have, in their order, then others; UTF-8, LF."""
    rows = [dict(row) for row in rows]
    given = {name for row in rows for name in row}
    known = (*columns.needed, *columns.more)
    names = [name for name in known if name in given or name in columns.needed] + sorted(given - set(known))
    # an empty cell says more than n/a in tables of files only
    lines = [[row.get(name, "" if columns is FILES else "n/a") for name in names] for row in rows]
    for cell in (cell for line in (names, *lines) for cell in line):
        if not isinstance(cell, str) or re.search(r"[\t\r\n\0]", cell):
            raise ValueError(f"{path.name}: {cell!r} holds a tab or a line end, which no table can. Rename it.")
    text = "\n".join("\t".join(line) for line in (names, *lines))
    with _files.replacing(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8", newline="\n")


def is_known(text: str | None) -> bool:
    """Whether a cell tells anything."""
    return text is not None and text not in _EMPTY


def inside(text: str) -> str:
    """Return a relative path with forward slashes that stays in its folder, or say what it is instead."""
    if not text or text.startswith("/") or "\\" in text or re.match(r"[A-Za-z]:", text):
        what = "a path that is relative, with forward slashes"
    elif any(part in ("", ".", "..") for part in text.split("/")):
        what = "a path that stays in its folder, without '.', '..' and empty parts"
    elif re.search(r"[\x00-\x1f\x7f]", text):
        what = "a path without control characters"
    elif re.search(r"[\ud800-\udfff]", text):
        what = "a name that is UTF-8"
    else:
        return text
    raise ValueError(f"expected {what}, got {text!r}.")


def label(text: str) -> str:
    """Return the label of a participant without ``sub-``, as text, or say that letters and digits were expected."""
    plain = text.removeprefix("sub-")
    if not _LABEL.fullmatch(plain):
        raise ValueError(f"expected a participant of letters and digits, such as '01', got {text!r}.")
    return plain


def meant(word: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a word that is not known."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"Expected some of {_checks.listed(known, 30)}."


def _lines(path: Path) -> list[str]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {number}: expected UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if len(lines) > 1 and not lines[-1] else lines)]


def _header(path: Path, head: str, columns: Columns) -> list[str]:
    """The names of the columns."""
    names, known = head.split("\t"), (*columns.needed, *columns.more)
    where = f"{path}, line 1"
    for name in names:
        if not name.strip() or names.count(name) > 1:
            raise ValueError(f"{where}: expected a name of its own for each column, got {_checks.listed(names, 30)}.")
        if name not in known and not columns.others:
            raise ValueError(f"{where}: {name!r} is no column here. {meant(name, known)}")
    missing = [name for name in columns.needed if name not in names]
    if missing:
        raise ValueError(f"{where}: expected the columns {', '.join(columns.needed)}; {', '.join(missing)} is missing.")
    return names


def _checked(row: Row, columns: Columns, where: str) -> Row:
    """A row whose cells are what their columns are to hold."""
    for name in filter(None, {columns.key, *columns.needed[:1]}):
        if not is_known(row[name]):
            raise ValueError(f"{where}: {name}: expected a name, got {row[name]!r}. Fill it in, or delete the row.")
    for name in columns.numbers:
        if is_known(row.get(name)) and not _NUMBER.fullmatch(row[name]):
            hint = " Write a decimal point." if "," in row[name] else ""
            raise ValueError(f"{where}: {name}: expected a number, got {row[name]!r}.{hint}")
    try:
        for name in columns.paths:
            if is_known(row.get(name)):
                inside(row[name])
        if columns.people and row.get(columns.people, "*") not in ("*", ""):
            row[columns.people] = label(row[columns.people])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return row
