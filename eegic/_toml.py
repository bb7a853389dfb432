"""Tables of settings: read from TOML, written as TOML, changed by one value, laid over each other."""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

_PART = r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s."'=][^.=]*)\s*"""  # of a key: in quotes, or up to the next dot
_KEY = re.compile(rf"{_PART}(?:\.{_PART})*=")


def parsed(name: str, content: bytes) -> dict[str, Any]:
    """The table that a file holds; `name` is for the error."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: cannot be read as TOML ({error}). Mend the file.") from error


def written(table: Mapping[str, Any], within: str = "") -> str:
    """Write a table as TOML; what is None is left out."""
    values, tables = [], []
    for key, value in table.items():
        if isinstance(value, Mapping):
            tables.append(f"\n[{within}{name(key)}]\n{written(value, f'{within}{name(key)}.')}")
        elif value is not None:
            values.append(f"{name(key)} = {text(value)}\n")
    return "".join(values + tables)


def name(key: str) -> str:
    """A key as TOML wants it: bare where it can be."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)


def text(value: Any) -> str:
    """A value as TOML wants it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name(key)} = {text(one)}" for key, one in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(text, value))}]"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON lets pass


def change(given: str, example: str, is_text: Callable[[str], bool]) -> tuple[tuple[str, ...], Any]:
    """Place and value of ``section.key=value``; what is no TOML value is taken as text.

    Keys that hold dots stand in quotes, as in TOML: ``features."ic 0.5".kind=ic``.

    Parameters
    ----------
    given, example : str
        What was written, and what could have been.
    is_text : callable
        Whether the setting of that name holds words, so that a folder 2024 is no number.
    """
    place = _KEY.match(given)
    keys = _keys(place[0]) if place else ()
    if place is None or not all(keys):
        raise ValueError(f"--set: expected section.key=value, such as {example}, got {given!r}.")
    said = given[place.end() :]
    try:
        value = tomllib.loads(f"value = {said}")["value"]
    except tomllib.TOMLDecodeError:
        return keys, said.strip()
    return keys, said.strip() if is_text(".".join(keys)) and not isinstance(value, str) else value


def _keys(place: str) -> tuple[str, ...]:
    """What stands between the dots, without quotes; empty where it is no key."""
    return tuple(_key(part.strip()) for part in re.findall(_PART, place))


def _key(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        return str(tomllib.loads(f"key = {part}")["key"])
    except tomllib.TOMLDecodeError:
        return ""


def nested(table: Mapping[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """One value as a table of tables, to be laid over `table`, whose sections it may not cross."""
    within: Any = table
    for section in keys[:-1]:
        within = within.get(section, {})
        if not isinstance(within, Mapping):
            raise ValueError(f"--set: {section!r} in {'.'.join(keys)!r} is a value, not a section.")
    result: dict[str, Any] = {keys[-1]: value}
    for section in reversed(keys[:-1]):
        result = {section: result}
    return result


def placed(table: Mapping[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The table with one value in its place, whatever stood there: also a table gives way to a table."""
    nested(table, keys, value)  # refuses to cross a value
    first, *rest = keys
    return {**table, first: placed(table.get(first, {}), tuple(rest), value) if rest else value}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
