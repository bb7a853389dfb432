"""From a study.toml to settings, with errors that name the setting, and back."""

from __future__ import annotations

import difflib
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eegic import _checks, _toml
from eegic.study.settings import Data, Feature, Section, Settings

_TAGGED = {"data": "format", "features": "kind"}  # sections of several forms, and the setting that tells which
_HEAD = """# A study for eegic: `eegic check FILE` looks at everything and computes nothing, `eegic run FILE` does it.
# Settings that start with # show their defaults; "none" stands for nothing. Paths are seen from this file.

name = "my study"
"""
_WANTED = {  # what a fault says was expected, in words: of a value, and of each in a list
    "string_type": ("text in quotes", "a list of texts in quotes"),
    "string_too_short": ("text that is not empty", "texts that are not empty"),
    "int_type": ("a whole number", "a list of whole numbers"),
    "int_from_float": ("a whole number", "a list of whole numbers"),
    "float_type": ("a number", "a list of numbers"),
    "finite_number": ("a finite number", "finite numbers"),
    "bool_type": ("true or false", "a list of true or false"),
    "tuple_type": ("a list in brackets", "lists in brackets"),
    "too_short": ("at least one", "at least one in each"),
    "dict_type": ("a table", "tables"),
    "model_type": ("a table", "tables"),
    "model_attributes_type": ("a table", "tables"),
    "greater_than": ("more than {gt:g}", "each more than {gt:g}"),
    "greater_than_equal": ("{ge:g} or more", "each {ge:g} or more"),
    "less_than": ("less than {lt:g}", "each less than {lt:g}"),
    "literal_error": ("{expected}", "{expected}"),
}


@dataclass(frozen=True)
class Study:
    """A study: its settings, and where its file lies.

    Attributes
    ----------
    settings : Settings
        One attribute per section of the file.
    folder : Path
        Paths in the settings are seen from here.
    file : str
        Name of the file, for messages.
    """

    settings: Settings
    folder: Path
    file: str = "study.toml"

    def path(self, text: str) -> Path:
        """A path of the settings."""
        return Path(os.path.abspath(self.folder / Path(text).expanduser()))

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return self.path(self.settings.output.folder)

    @property
    def store(self) -> Path:
        """Folder of what is computed on the way."""
        inner = self.settings.output.store
        return self.out / "store" if inner is None else self.path(inner)

    def toml(self) -> str:
        """All settings, defaults included, as a file that `read_study` reads."""
        return _toml.written(_plain(self.settings.model_dump(mode="json")))

    def __repr__(self) -> str:
        trf = self.settings.trf
        return f"Study({self.settings.name}: {', '.join(trf.added)} beyond {', '.join(trf.baseline)}; {self.folder})"


def read_study(source: str | os.PathLike[str], changes: Sequence[str] = ()) -> Study:
    """Read the settings of a study from its file.

    Parameters
    ----------
    source : path
        A TOML file; `eegic init` writes one.
    changes : sequence of str
        Other values than in the file: ``["trf.tmax=0.5", "null.n=200"]``. For nothing, write ``none``. A table takes
        the place of the whole one in the file: ``data.exclude={}`` empties it, ``data.exclude.03=ill`` adds to it.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If a setting is unknown or cannot be; all such settings are named at once.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "study.toml")
    ...     _ = file.write_text(template("bids"), encoding="utf-8")
    ...     read_study(file, ["trf.tmax=0.4"]).settings.trf.tmax
    0.4
    """
    if isinstance(changes, str) or not all(isinstance(one, str) for one in changes):
        raise TypeError(f'changes: expected a list of texts, such as ["trf.tmax=0.5"], got {changes!r}.')
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / "study.toml"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. `eegic init` writes one to start from.")
    table = _toml.parsed(str(path), path.read_bytes())
    for change in changes:
        keys, value = _toml.change(change, "trf.tmax=0.5", _holds_text)
        table = _toml.placed(table, keys, value)
    return Study(settings_of(table, path.name), Path(os.path.abspath(path)).parent, path.name)


def settings_of(table: Mapping[str, Any], name: str) -> Settings:
    """Settings from a table, or an error that names every wrong one."""
    from pydantic import ValidationError

    try:
        return Settings.model_validate(dict(table))
    except ValidationError as error:
        faults = list(_faults(error, table))
        raise ValueError("\n  ".join([f"{name}: {len(faults)} of its settings cannot be:", *faults])) from None


def template(form: str = "bids") -> str:
    """A study.toml to start from: every section and setting, with what it is for.

    Parameters
    ----------
    form : {"bids", "cnd", "files", "manifest"}
        Where the EEG comes from.
    """
    forms = _forms("data")
    required: dict[str, dict[str, Any]] = {
        "data": {"format": form, "folder": ".", "manifest": "dilibach"},
        "trf": {"baseline": ["envelope", "onsets"], "added": ["ic"]},
    }
    if form == "manifest":
        required["data"]["folder"] = None
    parts = [_HEAD]
    for section in Settings.sections:
        if section == "features":
            parts.append(_features())
            continue
        model = forms[_checks.one_of("form", form, forms)] if section == "data" else _model(section)
        parts.append(f"\n# {model.__doc__}\n[{section}]\n{_lines(model, required.get(section, {}))}")
    return "".join(parts)


def _features() -> str:
    kinds = _forms("features")
    shown = {"envelope": "envelope", "onsets": "onset_strength", "ic": "ic"}
    text = "\n# What is computed from the sounds, each under a name of yours. Kinds: " + ", ".join(kinds) + ".\n"
    for name, kind in shown.items():
        given = {"kind": kind, **({"noise": [0.0, 0.3, 0.6]} if kind == "ic" else {})}
        text += f"\n# {kinds[kind].__doc__}\n[features.{name}]\n{_lines(kinds[kind], given)}"
    text += "\n# [features.surprisal]\n"
    for line in _lines(kinds["files"], {"kind": "files", "files": "features/{stimulus}.npz"}).splitlines():
        text += f"# {line.removeprefix('# ')}\n"
    return text


def _lines(model: type[Section], given: Mapping[str, Any]) -> str:
    text = ""
    for key, field in model.model_fields.items():
        value = given.get(key, None if field.is_required() else field.default)
        line = f"{_toml.name(key)} = {_toml.text('none' if value is None else value)}"
        text += f"{line if key in given and value is not None else f'# {line}'}"
        text += f"  # {field.description}\n" if field.description else "\n"
    return text


def _model(section: str) -> type[Section]:
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, Section)
    return model


def _forms(section: str) -> dict[str, type[Section]]:
    """Forms of a section, by the value of the setting that tells them apart."""
    union: Any = Feature if section == "features" else Data
    forms = {}
    for model in typing.get_args(typing.get_args(union)[0]):
        for value in typing.get_args(model.model_fields[_TAGGED[section]].annotation):
            forms[value] = model
    return forms


def _faults(error: Any, table: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting that is wrong."""
    faults: dict[tuple[str, ...], list[Any]] = {}
    for one in error.errors():
        faults.setdefault(tuple(str(key) for key in _keys(one["loc"], table)), []).append(one)
    for keys, several in faults.items():
        name, kind = ".".join(keys), several[0]["type"]
        if kind == "extra_forbidden":
            yield f"{name}: no such setting. {_instead(keys, table)}"
        elif kind == "missing":
            yield f"{name}: missing. {_about(keys, table) or f'Expected a table [{name}].'}"
        elif kind.startswith("union_tag"):
            yield _untold(keys, table)
        elif kind == "value_error":
            for line in several[0]["msg"].removeprefix("Value error, ").splitlines():
                yield f"{name}: {line}" if name else line
        else:
            yield f"{name}: {_refused(keys, several, table)}"


def _refused(keys: Sequence[str], several: Sequence[Any], table: Mapping[str, Any]) -> str:
    """What was expected of a value, which may be one of several kinds, and what came."""
    value = _value(keys, table)
    if value:  # a list is also said to be too short where what stands in it is wrong
        several = [one for one in several if one["type"] != "too_short"]
    wanted = dict.fromkeys(
        _WANTED[one["type"]][isinstance(one["loc"][-1], int)].format(**one.get("ctx", {})) for one in several
    )
    words = [word.strip("'") for one in wanted for word in re.findall(r"'[^']+'", one)]
    told = f"expected {' or '.join(wanted)}, got {_toml.text(value)}.{_near(value, words)}"
    listed = all(one["type"] == "literal_error" for one in several)  # the choices say what it is for
    return told if listed else f"{told} {_about(keys, table)}".rstrip()


def _untold(keys: Sequence[str], table: Mapping[str, Any]) -> str:
    """A section that does not say, or not rightly, which of its forms it has."""
    tag, forms = _TAGGED[keys[0]], _forms(keys[0])
    value = _value((*keys, tag), table)
    choices = f"xpected one of {_checks.listed(forms, 12)}"
    if value is None:
        return f"{'.'.join(keys)}.{tag}: missing. E{choices}."
    return f"{'.'.join(keys)}.{tag}: e{choices}, got {_toml.text(value)}.{_near(value, forms)}"


def _instead(keys: Sequence[str], table: Mapping[str, Any]) -> str:
    """Where a setting stands that was looked for, or what there is."""
    known = _known(keys[:-1], table)
    near = _elsewhere(keys[-1], known) or difflib.get_close_matches(keys[-1], known, 1)
    return f"Did you mean {' or '.join(near)}?" if near else f"Expected some of {_checks.listed(known, 30)}."


def _near(value: Any, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(value, list(choices), 1) if isinstance(value, str) else []
    return f" Did you mean {near[0]!r}?" if near else ""


def _value(keys: Sequence[str], table: Mapping[str, Any]) -> Any:
    """What stands in the file; None for nothing."""
    within: Any = table
    for key in keys:
        within = within.get(key) if isinstance(within, Mapping) else None
    return within


def _keys(place: Sequence[Any], table: Mapping[str, Any]) -> Iterator[Any]:
    """The place of a setting in the file: without what pydantic adds of its own."""
    depth = {"data": 1, "features": 2}.get(str(place[0]), 0) if place else 0
    within: Any = table
    for number, key in enumerate(place):
        if depth and number == depth:  # the form of the section
            continue
        if isinstance(within, Mapping) and (key in within or number == len(place) - 1 or isinstance(key, str)):
            if key not in within and _is_type(str(key)):
                return
            yield key
            within = within.get(key, {})
        else:
            return


def _is_type(key: str) -> bool:
    return "[" in key or "-" in key or key in ("str", "int", "float", "bool", "none")


def _known(keys: Sequence[str], table: Mapping[str, Any]) -> list[str]:
    """Settings of a section."""
    model = _model_at(keys, table)
    return list(model.model_fields) if model is not None else []


def _model_at(keys: Sequence[str], table: Mapping[str, Any]) -> type[Section] | None:
    if not keys:
        return Settings
    if keys[0] in _TAGGED:
        return _forms(keys[0]).get(str(_value((*keys, _TAGGED[keys[0]]), table)))
    return _model(keys[0]) if keys[0] in Settings.sections else None


def _about(keys: Sequence[str], table: Mapping[str, Any]) -> str:
    """What a setting is for."""
    model = _model_at(keys[:-1], table)
    field = model.model_fields.get(keys[-1]) if model is not None and keys else None
    return str(field.description) if field is not None and field.description else ""


def _elsewhere(key: str, known: Sequence[str]) -> list[str]:
    """Sections that have a setting of this very name, which this one has not."""
    places = []
    for section in Settings.sections:
        if section not in _TAGGED and key in _model(section).model_fields and key not in known:
            places.append(f"{section}.{key}")
    return places


def _holds_text(name: str) -> bool:
    """Whether a setting is words, so that a folder called 2024 is no number."""
    section, _, key = name.rpartition(".")
    if not section:
        return key == "name"
    top = section.partition(".")[0]
    models = set(_forms(top).values()) if top in _TAGGED else {_model(top)} if top in Settings.sections else set()
    fields = [model.model_fields[key] for model in models if key in model.model_fields]
    return bool(fields) and all(_is_text(field.annotation) for field in fields)


def _is_text(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return all(_is_text(one) for one in typing.get_args(annotation) if one is not types.NoneType)
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_text(typing.get_args(annotation)[0])
    return annotation is str


def _plain(value: Any) -> Any:
    """With "none" where there is nothing."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return "none" if value is None else value
