"""What is wrong with a ``dataset.toml``, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eegic.datasets.public import tables
from eegic.datasets.public.models import Eeg, Loader, Manifest, Record, Source


def complaints(error: ValidationError, about: Any, path: Path, text: str) -> Iterator[str]:
    """What is wrong with a file, with the line of each."""
    wrong: dict[tuple[str | int, ...], list[Any]] = {}
    for one in error.errors():
        wrong.setdefault(_place(one, about), []).append(one)
    for place, some in wrong.items():
        yield f"{path}, line {line_of(text, place)}: {'.'.join(map(str, place))}{_said(place, some)}"


def _place(error: Mapping[str, Any], about: Any) -> tuple[str | int, ...]:
    """Where something is wrong, without the names of the kinds that were tried."""
    place: list[str | int] = []
    for part in error["loc"]:
        inner = isinstance(about, tuple) if isinstance(part, int) else isinstance(about, dict) and part in about
        if not inner and error["type"] != "missing":
            break
        place.append(part)
        about = about[part] if inner else None
    return tuple(place)


def _said(place: tuple[str | int, ...], errors: list[Any]) -> str:
    """What was expected of a setting, and what came."""
    if errors[0]["type"] == "extra_forbidden":
        sections: dict[str | int, type[Record]] = {"eeg": Eeg, "source": Source, "loader": Loader}
        section = sections.get(place[0], Manifest) if place[1:] else Manifest
        known = [field.alias or name for name, field in section.model_fields.items() if name != "folder"]
        return f" is no setting here. {tables.meant(str(place[-1]), known)}"
    if errors[0]["type"] == "missing":
        return " is missing. Add it."
    said = dict.fromkeys(re.sub("^(Value error, expected|Input should be) ", "", one["msg"]) for one in errors)
    if errors[0]["type"] == "value_error":  # it says itself what came
        return f": expected {', or '.join(said)}"
    return f": expected {' or '.join(said)}, got {errors[0]['input']!r}."


def line_of(text: str, place: tuple[str | int, ...]) -> int:
    """The line of a file in which a setting stands, counted from 1, or where the section that holds it starts."""
    here: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    best, line = -1, 1
    for number, content in enumerate(text.split("\n"), start=1):
        found: tuple[str | int, ...] = ()
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", content):
            here = tuple(header[2].split("."))
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                here = (*here, counts[header[2]])
            found = here
        elif key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", content):
            found = (*here, key[1])
        if found and found == place[: len(found)] and len(found) > best:
            best, line = len(found), number
    return line
