"""A recipe: everything that a training depends on."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from eegic import _checks
from eegic.codec import CodecConfig
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.training import CodecTraining
from eegic.corpus import Corpus
from eegic.recipes.tables import CORPORA, changed, written
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


@dataclass(frozen=True)
class Recipe:
    """What to train, on what, and how.

    Parameters
    ----------
    kind : {"codec", "surprisal"}
        What is trained.
    name : str
        Of the model; its file is ``NAME.safetensors``, so no path.
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
        For a surprisal model of simulated melodies: how many new ones its card is to tell about; 0 for none, and for
        whatever else is trained.
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

    def __post_init__(self) -> None:
        _check_name(_text("name", self.name))
        for key in ("about", "licence"):
            _text(key, getattr(self, key))
        object.__setattr__(self, "limits", _sentences("limits", self.limits))
        if self.codec is not None and not _text("codec", self.codec).strip():
            raise ValueError("codec: expected a name or a path, got ''. Name a codec, or leave the setting out.")
        if _checks.count("melodies", self.melodies, minimum=0):
            self._check_melodies()

    def _check_melodies(self) -> None:
        """Refuse to be asked about melodies where the card cannot tell about any."""
        if self.kind == "codec":
            what = "a codec, whose card tells of no notes"
        elif self.data.get("corpus") == "folder":
            what = "a folder of recordings, for the true surprisal of their notes is not known"
        else:
            return
        raise ValueError(
            f"melodies: expected 0 for {what}, got {self.melodies}. Take it out, or pass --set melodies=0."
        )

    def corpus(self) -> Corpus:
        """The sound to learn from."""
        settings = dict(self.data)
        kind = _checks.one_of("data.corpus", settings.pop("corpus", "melodies"), CORPORA)
        if kind == "folder" and "folder" not in settings:
            raise ValueError(
                'data: expected folder = "PATH" with your recordings. Pass --set data.folder=PATH, or take simulated '
                "melodies with --set data.corpus=melodies."
            )
        corpus: Corpus = _section("data", CORPORA[kind], settings)
        return corpus


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

    Raises
    ------
    ValueError
        If the recipe says what cannot be followed. The setting is named with its section, ``loop.steps``.
    FileNotFoundError
        If there is neither such a file nor such a name.

    Examples
    --------
    >>> read_recipe("small-both", ["loop.steps=500"]).loop.steps
    500
    """
    name, table = written(source)
    for change in changes:
        table = changed(table, change)
    try:
        return _recipe(table, name)
    except TypeError as error:  # in a file, a wrong type is a wrong value
        raise ValueError(str(error)) from error


def _recipe(table: dict[str, Any], name: str) -> Recipe:
    _known_keys("recipe", table, _TOP)
    kind = _checks.one_of("kind", table.get("kind", ""), KINDS)
    codecs = kind == "codec"
    training = _table("training", table.get("training", {}))
    if codecs:
        for key, cls in (("noise", LatentNoise), ("linearity", Linearity)):
            if key in training:
                training[key] = _section(f"training.{key}", cls, training[key])
    data = _table("data", table.get("data", {}))
    if "folder" in data:
        _text("data.folder", data["folder"])
    return Recipe(
        kind=kind,
        name=table.get("name", name),
        about=table.get("about", ""),
        network=_section("network", CodecConfig if codecs else FlowConfig, table.get("network", {})),
        training=_section("training", CodecTraining if codecs else FlowTraining, training),
        loop=_section("loop", LoopConfig, table.get("loop", {})),
        data=data,
        licence=table.get("licence", "unknown"),
        limits=table.get("limits", ()),
        melodies=table.get("melodies", 0),
        codec=table.get("codec"),
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{name}: expected text, such as "{value}", got {value!r}.')
    return value


def _sentences(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name}: expected a list of sentences, got {value!r}. Put it in square brackets.")
    return tuple(_text(name, one) for one in value)


def _check_name(name: str) -> None:
    """Refuse a name by which files would land elsewhere than in the folder of the training."""
    if not name.strip(" .") or not name.isprintable() or any(sign in name for sign in "/\\:"):
        raise ValueError(
            f"name: expected a plain file name without a folder, such as my-codec, got {name!r}. Say where with --out."
        )


def _section(name: str, cls: type, table: object) -> Any:
    """An instance of a record, whose fields are the keys of a table."""
    table = _table(name, table)
    known = {one.name: str(one.type) for one in fields(cls) if one.init}
    _known_keys(name, table, set(known))
    for key, value in table.items():
        _check_shape(f"{name}.{key}", known[key], value)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    try:
        return cls(**given)
    except (ValueError, TypeError, OverflowError) as error:
        joint = "." if str(error).partition(":")[0] in known else ": "
        raise ValueError(f"{name}{joint}{error}") from error


def _check_shape(name: str, annotation: str, value: object) -> None:
    """Say that a list, or a table, was expected; of the rest the record itself knows better what it takes."""
    if annotation.startswith("dict"):
        _table(name, value)
    elif annotation.startswith("str | Sequence"):
        if not isinstance(value, (str, list, tuple)):
            raise ValueError(f"{name}: expected text or a list of texts, got {value!r}.")
    elif annotation.startswith("tuple") and not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}: expected a list, such as [{value}], got {value!r}.")


def _table(name: str, table: object) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise ValueError(f"{name}: expected a table of settings, got {table!r}.")
    return dict(table)


def _known_keys(name: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Expected some of {_checks.listed(sorted(known), 30)}."
            raise ValueError(f"{name}: {key!r} is no setting here. {hint}")
