"""How recipes are written: TOML files, the ones that come with eegic, bases, and changes of single values."""

from __future__ import annotations

import difflib
import os
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from eegic import _checks, _toml
from eegic.corpus import SoundFolder
from eegic.datasets import MelodyCorpus

CORPORA = {"melodies": MelodyCorpus, "folder": SoundFolder}
_TEXTS = {"name", "about", "licence", "codec", "data.folder"}
_MOST_BASES = 8


def presets() -> dict[str, str]:
    """Names of the recipes that come with eegic, and what each is for."""
    return {name: str(_based(_preset(name), name)["about"]) for name in _names()}


def written(source: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Name of a recipe and what it says, that of its bases included, from a file or by its name."""
    known = _names()
    path = Path(source)
    if isinstance(source, str) and source in known:
        name, table = source, _preset(source)
    elif path.is_file():
        name, table = path.stem, _toml.parsed(str(path), path.read_bytes())
    else:
        near = difflib.get_close_matches(str(source), known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise FileNotFoundError(
            f"{source}: no such file, and no recipe of that name: {_checks.listed(known, 30)}.{hint}"
        )
    return name, _based(table, name)


def changed(table: dict[str, Any], change: str) -> dict[str, Any]:
    """A table with ``section.key=value``; what is no TOML value is taken as text."""
    keys, value = _toml.change(change, "loop.steps=2000", _TEXTS.__contains__)
    if keys[0] == "base":
        raise ValueError(f'--set: {change!r} comes too late for a base. Write base = "NAME" in a file of your own.')
    return _merged(table, _toml.nested(table, keys, value))


def _presets() -> Any:
    return resources.files("eegic.recipes").joinpath("presets")


def _names() -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in _presets().iterdir() if file.name.endswith(".toml"))


def _preset(name: str) -> dict[str, Any]:
    return _toml.parsed(name, _presets().joinpath(f"{name}.toml").read_bytes())


def _based(table: dict[str, Any], name: str, depth: int = 0) -> dict[str, Any]:
    """A table with what it leaves open from the recipe that it is based on."""
    table = dict(table)
    base = table.pop("base", None)
    if base is None:
        return table
    if depth == _MOST_BASES or base not in _names():
        raise ValueError(f"{name}: base = {base!r} is no recipe that comes with eegic, or leads back to itself.")
    return _merged(_based(_preset(base), base, depth + 1), table)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """One table over another; of a corpus that is exchanged only what the new one takes, too, is left."""
    merged = dict(below)
    corpus = above.get("corpus", below.get("corpus"))
    if corpus != below.get("corpus") and str(corpus) in CORPORA:
        taken = {one.name for one in fields(CORPORA[str(corpus)])}
        merged = {key: value for key, value in below.items() if key in taken}
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
