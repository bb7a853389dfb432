"""A recipe: everything that a training depends on."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from eegic import _checks, _toml, weights
from eegic.codec import CodecConfig
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.training import CodecTraining
from eegic.corpus import Corpus
from eegic.datasets import MelodyGrammar
from eegic.recipes.tables import CORPORA, changed, written
from eegic.surprisal import FlowConfig
from eegic.surprisal.training import FlowTraining
from eegic.training import LoopConfig

KINDS = ("codec", "surprisal")
_NONE = "none"  # TOML has no word for it
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
        corpus: Corpus = _section("data", CORPORA[kind], settings, self.kind)
        return corpus

    def toml(self) -> str:
        """Write the recipe as a file that `read_recipe` reads: all settings, and paths that hold from any folder."""
        table = asdict(self)
        if self.codec is not None and self.codec not in weights.entries():
            path = os.path.expanduser(self.codec)
            table["codec"] = os.path.abspath(path) if os.path.isfile(path) else self.codec
        if "folder" in self.data:
            table["data"]["folder"] = os.path.abspath(os.path.expanduser(self.data["folder"]))
        if self.loop.clip is None:
            table["loop"]["clip"] = _NONE
        return _toml.written(table)


def read_recipe(source: str | os.PathLike[str], changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a TOML file, or take one that comes with eegic.

    Parameters
    ----------
    source : str or Path
        A file, or a name that `presets` lists.
    changes : sequence of str
        Single values instead of those in the file: ``"loop.steps=2000"``, ``"training.noise.noised=both"``. For None,
        of which TOML knows nothing, write "none": ``"loop.clip=none"``.

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
    if isinstance(changes, str) or not all(isinstance(change, str) for change in changes):
        raise TypeError(f'changes: expected a list of texts, such as ["loop.steps=2000"], got {changes!r}.')
    name, table = written(source)
    for change in changes:
        table = changed(table, change)
    try:
        return _recipe(table, name)
    except TypeError as error:  # in a file, a wrong type is a wrong value
        raise ValueError(str(error)) from error


def _recipe(table: dict[str, Any], name: str) -> Recipe:
    kind = str(table.get("kind", ""))
    _known_keys("recipe", table, _TOP, kind)
    codecs = _checks.one_of("kind", kind, KINDS) == "codec"
    training = _table("training", table.get("training", {}))
    if codecs:
        for key, cls in (("noise", LatentNoise), ("linearity", Linearity)):
            if key in training:
                training[key] = _section(f"training.{key}", cls, training[key], kind)
    data = _table("data", table.get("data", {}))
    if "folder" in data:
        _text("data.folder", data["folder"])
    return Recipe(
        kind=kind,
        name=table.get("name", name),
        about=table.get("about", ""),
        network=_section("network", CodecConfig if codecs else FlowConfig, table.get("network", {}), kind),
        training=_section("training", CodecTraining if codecs else FlowTraining, training, kind),
        loop=_section("loop", LoopConfig, table.get("loop", {}), kind),
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


def _section(name: str, cls: type, table: object, kind: str) -> Any:
    """An instance of a record, whose fields are the keys of a table."""
    table = _table(name, table)
    known = {one.name: str(one.type) for one in fields(cls) if one.init}
    _known_keys(name, table, set(known), kind)
    for key, value in table.items():
        _check_shape(f"{name}.{key}", known[key], value)
        if value == _NONE and known[key].endswith("| None"):
            table[key] = None
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


def _known_keys(name: str, table: Mapping[str, Any], known: set[str], kind: str) -> None:
    for key in table:
        if key not in known:
            near = _elsewhere(key, name, kind) or difflib.get_close_matches(key, known, 1)
            meant = " or ".join(map(repr, near))
            hint = f"Did you mean {meant}?" if near else f"Expected some of {_checks.listed(sorted(known), 30)}."
            raise ValueError(f"{name}: {key!r} is no setting here. {hint}")


def _elsewhere(key: str, name: str, kind: str) -> list[str]:
    """A setting with the sections that have it, that of `name` left out."""
    codecs = kind == "codec"
    sections: dict[str, list[type]] = {
        "network": [CodecConfig if codecs else FlowConfig],
        "training": [CodecTraining if codecs else FlowTraining],
        "training.noise": [LatentNoise] if codecs else [],
        "training.linearity": [Linearity] if codecs else [],
        "loop": [LoopConfig],
        "data": list(CORPORA.values()),
        "data.grammar": [MelodyGrammar],
    }
    own = {place: {one.name for cls in some for one in fields(cls) if one.init} for place, some in sections.items()}
    own["data.grammar"].remove("rhythm")  # the corpus draws it
    return [key] * (key in _TOP) + [f"{place}.{key}" for place in own if key in own[place] and place != name]
