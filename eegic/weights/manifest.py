"""Checkpoints known by name: those that come with eegic, and published ones, which are fetched on request."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from eegic import _checks

UNKNOWN = "unknown"
WORDS = {"surprisal": "surprisal model", "codec": "codec", "checkpoint": "checkpoint"}  # what messages call a kind


@dataclass(frozen=True)
class Entry:
    """A checkpoint that comes with eegic, or that others publish.

    Parameters
    ----------
    name : str
        What it is called here.
    kind : {"surprisal", "codec"}
        What it holds.
    file : str
        Name of its file.
    repository, revision : str
        Where it lies on the hub of its publishers; ``"unknown"`` for a revision nobody has pinned. Empty for what comes
        with eegic.
    sha256 : str
        Digest of the file, or ``"unknown"``.
    licence : str
        What its publishers allow.
    about : str
        One line, with the paper.
    codec : str, optional
        For a surprisal model: the codec whose latents it was trained on.
    settings : dict
        What the file itself does not say.
    """

    name: str
    kind: str
    file: str
    sha256: str
    licence: str
    about: str
    repository: str = ""
    revision: str = ""
    codec: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@cache
def entries() -> dict[str, Entry]:
    """All checkpoints known by name."""
    text = resources.files("eegic.weights").joinpath("manifest.toml").read_text(encoding="utf-8")
    return {name: Entry(name, **fields) for name, fields in tomllib.loads(text).items()}


def find(entry: Entry, *, download: bool) -> Path:
    """Return the file of a named checkpoint: from eegic itself, from the cache of the hub, or fetched if `download`.

    Raises
    ------
    FileNotFoundError
        If it is not there and was not to be fetched.
    """
    if not entry.repository:
        return Path(str(resources.files("eegic.weights").joinpath("bundled", entry.file)))
    hub = _hub(entry)
    revision = None if entry.revision == UNKNOWN else entry.revision
    cached = hub.try_to_load_from_cache(entry.repository, entry.file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    if not download:
        raise FileNotFoundError(
            f"{entry.name}: not on this machine. Nothing is fetched unless asked: pass download=True, or run `eegic "
            f"weights {entry.name} --download`. Licence: {entry.licence}."
        )
    if os.environ.get("EEGIC_OFFLINE"):
        raise OSError(f"{entry.name}: EEGIC_OFFLINE is set, so nothing is fetched. Unset it, or name a file.")
    try:
        return Path(hub.hf_hub_download(entry.repository, entry.file, revision=revision))
    except Exception as error:  # the hub raises a family of its own for what the network does
        raise OSError(
            f"{entry.name}: {entry.file} of {entry.repository} could not be fetched ({type(error).__name__}: {error}). "
            "Try again, or fetch it by hand and name the file."
        ) from error


def check_digest(name: str, found: str, expected: str | None) -> None:
    """Refuse a file that is not the one expected; None and "unknown" expect nothing."""
    if expected not in (None, UNKNOWN) and found != expected:
        raise ValueError(f"{name}: expected a file of sha256 {expected}, got {found}. It is damaged, or another file.")


def known(name: object, kind: str | None = None) -> Entry | None:
    """The entry of that name, if there is one; a codec "mini" is that of the model "mini"."""
    entry = entries().get(name) if isinstance(name, str) else None
    if entry is None or kind != "codec" or entry.codec is None:
        return entry
    return entries().get(entry.codec, entry)


def unknown_name(source: object, kind: str) -> FileNotFoundError:
    """What to say of a name that is neither a file nor in the manifest; a "checkpoint" is of any kind."""
    names = _checks.listed([name for name, entry in entries().items() if kind in (entry.kind, "checkpoint")], 12)
    return FileNotFoundError(
        f"{source}: no such file, and no {WORDS[kind]} of that name. Give a path, or one of {names}."
    )


def _hub(entry: Entry) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{entry.name}: finding published weights by name needs huggingface_hub: pip install 'eegic[hub]'. "
            f"Or fetch {entry.file} of {entry.repository} by hand and name the file."
        ) from error
    return huggingface_hub
