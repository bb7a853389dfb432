"""A recipe: everything that a training depends on, in one TOML file."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from eegic import _checks
from eegic.codec import CodecConfig
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.training import CodecTraining
from eegic.corpus import Corpus, SoundFolder
from eegic.datasets import MelodyCorpus
from eegic.surprisal import FlowConfig
from eegic.surprisal.training import FlowTraining
from eegic.training import LoopConfig

KINDS = ("codec", "surprisal")
_TOP = {
    "kind",
    "about",
    "name",
    "licence",
    "limits",
    "melodies",
    "base",
    "codec",
    "network",
    "training",
    "loop",
    "data",
}
_MOST_BASES = 8
_CORPORA = {"melodies": MelodyCorpus, "folder": SoundFolder}


@dataclass(frozen=True)
class Recipe:
    """What to train, on what, and how.

    Parameters
    ----------
    kind : {"codec", "surprisal"}
        What is trained.
    name : str
        Of the model; its file is ``NAME.safetensors``.
    about : str
        What the recipe is for.
    network : CodecConfig or FlowConfig
        Sizes.
    training : CodecTraining or FlowTraining
        The loss.
    loop : LoopConfig
        Steps, rates, seed.
    data : dict
        Of the corpus: ``corpus = "melodies"`` with what `MelodyCorpus` takes, or ``corpus = "folder"`` with what
        `SoundFolder` takes.
    licence : str
        Under which the model is given away.
    limits : tuple of str
        What the model is not, in sentences, for its card.
    melodies : int
        For a surprisal model of simulated melodies: how many new ones its card is to tell about; 0 for none.
    codec : str, optional
        For a surprisal model: whose latents it learns; a name or a path. For a codec: where to start.
    """

    kind: str
    name: str
    about: str
    network: CodecConfig | FlowConfig
    training: CodecTraining | FlowTraining
    loop: LoopConfig
    data: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "unknown"
    limits: tuple[str, ...] = ()
    melodies: int = 0
    codec: str | None = None

    def corpus(self) -> Corpus:
        """The sound to learn from."""
        settings = dict(self.data)
        kind = _checks.one_of("data.corpus", settings.pop("corpus", "melodies"), _CORPORA)
        if kind == "folder" and "folder" not in settings:
            raise ValueError(
                'data: expected folder = "PATH" with your recordings. Pass --set data.folder=PATH, or take simulated '
                "melodies with --set data.corpus=melodies."
            )
        corpus: Corpus = _section("data", _CORPORA[kind], settings)
        return corpus


def presets() -> dict[str, str]:
    """Names of the recipes that come with eegic, and what each is for."""
    return {name: str(_based(_preset(name), name)["about"]) for name in _names()}


def read_recipe(source: str | os.PathLike[str], changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a TOML file, or take one that comes with eegic.

    Parameters
    ----------
    source : str or Path
        A file, or a name that `presets` lists.
    changes : sequence of str
        Single values instead of those in the file: ``"loop.steps=2000"``, ``"training.noise.noised=both"``.

    Returns
    -------
    Recipe

    Examples
    --------
    >>> read_recipe("small-both", ["loop.steps=500"]).loop.steps
    500
    """
    known = presets()
    path = Path(source)
    if isinstance(source, str) and source in known:
        name, table = source, _preset(source)
    elif path.is_file():
        name, table = path.stem, _parsed(str(path), path.read_bytes())
    else:
        near = difflib.get_close_matches(str(source), known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise FileNotFoundError(
            f"{source}: no such file, and no recipe of that name: {_checks.listed(known, 30)}.{hint}"
        )
    table = _based(table, name)
    for change in changes:
        _change(table, change)
    return _recipe(table, name)


def _recipe(table: dict[str, Any], name: str) -> Recipe:
    _known_keys("recipe", table, _TOP)
    kind = _checks.one_of("kind", table.get("kind", ""), KINDS)
    codecs = kind == "codec"
    training = _table("training", table.get("training", {}))
    if codecs:
        for key, cls in (("noise", LatentNoise), ("linearity", Linearity)):
            if key in training:
                training[key] = _section(f"training.{key}", cls, training[key])
    return Recipe(
        kind=kind,
        name=str(table.get("name", name)),
        about=str(table.get("about", "")),
        network=_section("network", CodecConfig if codecs else FlowConfig, table.get("network", {})),
        training=_section("training", CodecTraining if codecs else FlowTraining, training),
        loop=_section("loop", LoopConfig, table.get("loop", {})),
        data=_table("data", table.get("data", {})),
        licence=str(table.get("licence", "unknown")),
        limits=tuple(str(limit) for limit in table.get("limits", ())),
        melodies=_checks.count("melodies", table.get("melodies", 0), minimum=0),
        codec=None if table.get("codec") is None else str(table["codec"]),
    )


def _section(name: str, cls: type, table: object) -> Any:
    """An instance of a record, whose fields are the keys of a table."""
    table = _table(name, table)
    known = {one.name: str(one.type) for one in fields(cls) if one.init}
    _known_keys(name, table, set(known))
    for key, value in table.items():
        if known[key].startswith("tuple") and not isinstance(value, (list, tuple)):
            raise TypeError(f"{name}.{key}: expected a list, such as [{value}], got {value!r}.")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    try:
        return cls(**given)
    except (ValueError, TypeError) as error:
        joint = "." if str(error).partition(":")[0] in known else ": "
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}{joint}{error}") from error


def _table(name: str, table: object) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise TypeError(f"{name}: expected a table of settings, got {table!r}.")
    return dict(table)


def _known_keys(name: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Expected some of {_checks.listed(sorted(known), 30)}."
            raise ValueError(f"{name}: {key!r} is no setting here. {hint}")


def _change(table: dict[str, Any], change: str) -> None:
    """Apply ``section.key=value``; what is no TOML value is taken as text."""
    key, equals, text = change.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not last:
        raise ValueError(f"--set: expected section.key=value, such as loop.steps=2000, got {change!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ValueError(f"--set: {section!r} in {change!r} is a value, not a section.")
    table[last] = value


def _presets() -> Any:
    return resources.files("eegic.recipes").joinpath("presets")


def _names() -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in _presets().iterdir() if file.name.endswith(".toml"))


def _preset(name: str) -> dict[str, Any]:
    return _parsed(name, _presets().joinpath(f"{name}.toml").read_bytes())


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: cannot be read as TOML ({error}). Mend the file.") from error


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
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
