"""Which sound an event started, where its file is, and how long it lasts."""

from __future__ import annotations

import csv
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eegic import _checks
from eegic.audio import SUFFIXES, Audio
from eegic.eeg.epochs import marks_bad
from eegic.series import FeatureSeries

Event = Mapping[str, str]
Sounds = Mapping[Any, str | None] | Callable[[Event], str | None]

_SHOWN = 60  # characters of a name that is too long
_UNLIKE = 0.1  # seconds by which a table and a sound file may disagree


@dataclass(frozen=True)
class Events:
    """The events of one recording.

    Attributes
    ----------
    label : str
        What messages call the recording.
    entities : dict of str to str
        Its ``session``, ``task``, ``run``, as far as it has them.
    rows : tuple of dict, or None
        Of its table; None without one.
    """

    label: str
    entities: dict[str, str]
    rows: tuple[dict[str, str], ...] | None


@dataclass(frozen=True)
class Heard:
    """The start of a sound in a recording.

    Attributes
    ----------
    onset : float
        Seconds from the first sample.
    stimulus : str
    files : tuple of Path
        Where the sound may be found: nowhere, or in one file, or in several that go by its name.
    by : str
        Who says so: ``sounds``, the column of ``events.tsv``, or the table of a manifest.
    duration : float or None
        Seconds, by the table of events.
    """

    onset: float
    stimulus: str
    files: tuple[Path, ...]
    by: str
    duration: float | None = None


class Library:
    """The sound files of a tree, and of its folder of stimuli (which may be elsewhere)."""

    def __init__(self, root: Path, stimuli: Path) -> None:
        self.root, self.stimuli = root, stimuli

    def find(self, text: str) -> tuple[Path, ...]:
        """Files that a text may mean: one, or none, or several when it is ambiguous."""
        wanted = PurePosixPath(text.replace("\\", "/"))
        plain = _composed(wanted.name)
        if not wanted.is_absolute() and ".." not in wanted.parts:
            for folder in (self.stimuli, self.root):
                found = [path for suffix in ("", *SUFFIXES) if (path := self._at(folder, f"{wanted}{suffix}"))]
                if found:
                    return tuple(found[:1] if _composed(found[0].name) == plain else found)
        return tuple(self._by_name.get(plain, ()))

    @staticmethod
    def _at(folder: Path, text: str) -> Path | None:
        """The file of this path in a folder, however its accents are composed."""
        for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
            if _is_there(path := folder / form):
                return path
        return None

    def name(self, file: Path) -> str:
        """The stimulus of a file: its path from the folder of stimuli, or else from the root, without suffix."""
        folder = self.stimuli if file.is_relative_to(self.stimuli) else self.root
        return _composed(file.relative_to(folder).with_suffix("").as_posix())

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """All files by their name, and sound files by their name without suffix too; no hidden folders."""
        by_name: dict[str, list[Path]] = {}
        outside = [] if self.stimuli.is_relative_to(self.root) else [self.stimuli]
        for top in (self.root, *outside):
            for folder, inner, names in os.walk(top):
                inner[:] = sorted(one for one in inner if not one.startswith("."))
                for file in (Path(folder, name) for name in sorted(names)):
                    by_name.setdefault(_composed(file.name), []).append(file)
                    if file.suffix.lower() in SUFFIXES:
                        by_name.setdefault(_composed(file.stem), []).append(file)
        return by_name


def find_heard(
    name: str,
    recordings: Sequence[Events],
    library: Library,
    *,
    sounds: Sounds | None,
    column: str,
    manifest: Sequence[Mapping[str, str]],
    history: list[str],
) -> list[list[Heard]]:
    """What was heard in each recording, in order of time.

    First counts what the caller says in `sounds`, then the sound file in `column`, then the table of a manifest. An
    error lists every event whose sound file was not found.
    """
    if not (sounds is None or callable(sounds) or isinstance(sounds, Mapping)):
        raise TypeError(
            f"sounds: expected a dictionary or a function, got {type(sounds).__name__}. Write {{'bach.wav': 'bach'}}."
        )
    stated = {_plain(str(key)): sound for key, sound in sounds.items()} if isinstance(sounds, Mapping) else sounds
    named: set[str] = set()
    lost: list[str] = []
    heard = []
    for recording in recordings:
        here = _events(recording, library, stated, column, named, lost)
        heard.append(sorted(here or _by_manifest(manifest, name, recording, library), key=lambda one: one.onset))
    if lost:
        listed = "\n  ".join(lost)
        raise ValueError(
            f"{name}: trials without a sound, {len(lost)} in all:\n  {listed}\nSearched in {library.stimuli} and "
            f"{library.root}, and by file name below them. Put the files there, name their folder in `stimuli`, or say "
            "what was heard in `sounds`."
        )
    if not any(heard):
        reasons = "\n  ".join(f"{one.label}: {_why_none(one, column)}" for one in recordings)
        raise ValueError(f"{name}: no event tells which sound it started.\n  {reasons}")
    _check_names(name, [one for here in heard for one in here])
    if isinstance(stated, Mapping) and set(stated) - named:
        history.append(f"sounds: {', '.join(map(repr, sorted(set(stated) - named)))} started at no event")
    return heard


def _events(
    recording: Events,
    library: Library,
    stated: Sounds | None,
    column: str,
    named: set[str],
    lost: list[str],
) -> list[Heard]:
    """Trials by what the caller says and by the table of events."""
    heard = []
    labels = ("run", "session", "task") if recording.rows is None else (column, "trial_type", "value")
    for number, row in enumerate(({"onset": "0"},) if recording.rows is None else recording.rows):
        event = {**recording.entities, "row": str(number), **row}
        where = recording.label if recording.rows is None else f"{recording.label}, line {number + 2} of events.tsv"
        _check_stretch(event, where)
        said, stimulus = _stated(stated, event, labels, named, where)
        if stimulus is None and (said or is_missing(event.get(column))):
            continue
        onset, length = _seconds(event.get("onset"), f"{where}: onset"), event.get("duration")
        files = _looked_up(event[column] if stimulus is None else stimulus, library, where)
        if stimulus is None and len(files) != 1:
            what = f"may be {' or '.join(map(str, files))}" if files else "is no file there"
            lost.append(f"{where}, {onset:.3f} s: {event[column]!r} {what}")
            continue
        duration = 0.0 if is_missing(length) else _seconds(length, f"{where}: duration")
        name, by = (library.name(files[0]), column) if stimulus is None else (stimulus, "sounds")
        heard.append(Heard(onset, name, files, by, duration if duration > 0 else None))
    return heard


def _looked_up(text: str, library: Library, where: str) -> tuple[Path, ...]:
    try:
        return library.find(text)
    except OSError as error:  # a name that is too long, a folder that may not be read
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
        raise ValueError(
            f"{where}: expected the name of a sound file, got {shown!r}, which cannot be looked up "
            f"({error.strerror}). Correct the table, or say what was heard in `sounds`."
        ) from error


def _check_stretch(event: Event, where: str) -> None:
    """A stretch that is marked as bad ends after it starts."""
    kind, length = event.get("trial_type", ""), event.get("duration")
    if marks_bad(kind) and not is_missing(length) and _seconds(length, f"{where}: duration") < 0:
        raise ValueError(
            f"{where}: duration: expected 0 seconds or more for {kind!r}, got {length!r}. Give the stretch its start "
            "and a positive duration, or leave the row out."
        )


def _stated(
    sounds: Sounds | None, event: Event, labels: Sequence[str], named: set[str], where: str
) -> tuple[bool, str | None]:
    """Whether the caller says what an event started, and what."""
    if sounds is None:
        return False, None
    if isinstance(sounds, Mapping):
        keys = [key for label in labels if (key := _plain(event.get(label, ""))) in sounds]
        if not keys:
            return False, None
        named.update(keys)
        stimulus = None if any(sounds[key] is None for key in keys) else sounds[keys[0]]
    else:
        stimulus = sounds(event)
    if stimulus is not None and (not isinstance(stimulus, str) or not stimulus):
        raise TypeError(f"{where}: sounds: expected the name of a sound, or None for no trial, got {stimulus!r}.")
    return True, stimulus


def _by_manifest(rows: Sequence[Event], name: str, recording: Events, library: Library) -> list[Heard]:
    """Trials by the table of a manifest."""
    place = {"participant": name, "ses": recording.entities.get("session"), "run": recording.entities.get("run")}

    def applies(row: Event, column: str) -> bool:
        text = row.get(column, "*").removeprefix("sub-").removeprefix("ses-").removeprefix("run-")
        return text == "*" or is_missing(text) or _plain(text) == _plain((place[column] or "").removeprefix("sub-"))

    heard = []
    for number, row in enumerate(rows, start=2):
        if all(applies(row, column) for column in place):
            where = f"{recording.label}, line {number} of the table of trials"
            if is_missing(row.get("stim_id")):
                raise ValueError(f"{where}: expected a sound in the column 'stim_id', got {row.get('stim_id')!r}.")
            onset = _seconds(row.get("onset_s"), f"{where}: onset_s")
            files = _looked_up(row["stim_id"], library, where)
            heard.append(Heard(onset, row["stim_id"], files, "the table of trials"))
    return heard


def _why_none(recording: Events, column: str) -> str:
    """What a recording says instead of sounds, and what to do."""
    if recording.rows is None:
        label = recording.entities.get("run") or recording.entities.get("task", "")
        return (
            "no events.tsv. If it is one sound from its first sample on, say which, by its run or task: "
            f"sounds={{{label!r}: 'name of the sound'}}."
        )
    if not recording.rows:
        return "events.tsv has no rows. Without the table, the recording would count as one event at its first sample."
    kinds = Counter(row.get("trial_type", row.get("value", "n/a")) for row in recording.rows)
    listed = ", ".join(f"{kind!r} ({n})" for kind, n in kinds.most_common(8))
    what = f"{column} is always n/a" if any(column in row for row in recording.rows) else f"no column {column!r}"
    return (
        f"{what}; {len(recording.rows)} events: {listed}. Say which of them start which sound in `sounds`, or name the "
        "column of the sound files in `stimulus_column`."
    )


def _check_names(name: str, heard: Sequence[Heard]) -> None:
    """Refuse one name for two files, such as bach.wav and bach.flac."""
    files: dict[str, tuple[Path, ...]] = {}
    for one in heard:
        if files.setdefault(one.stimulus, one.files) != one.files:
            both = " and ".join(map(str, (*files[one.stimulus], *one.files)))
            raise ValueError(f"{name}: {both} would both be called {one.stimulus!r}. Name them apart in `sounds`.")


def sound_lengths(
    name: str, heard: Sequence[Heard], durations: Mapping[str, object] | None, history: list[str]
) -> dict[str, float]:
    """Seconds that each sound lasts: as given, or else by its file, or else by the table of events."""
    if not (durations is None or isinstance(durations, Mapping)):
        raise TypeError(f"durations: expected a dictionary from sound to seconds, got {type(durations).__name__}.")
    lengths, unknown, unlike = {}, [], []
    for stimulus in dict.fromkeys(one.stimulus for one in heard):
        files = next(one.files for one in heard if one.stimulus == stimulus)
        said = [one.duration for one in heard if one.stimulus == stimulus and one.duration is not None]
        if durations and stimulus in durations:
            lengths[stimulus] = _length_given(stimulus, durations[stimulus])
            continue
        in_file, problem = _length_of_file(files)
        if in_file is not None:
            lengths[stimulus] = in_file
            if said and abs(np.median(said) - in_file) > max(_UNLIKE, 0.01 * in_file):
                unlike.append(f"{stimulus} {np.median(said):.2f} s (file {in_file:.2f} s)")
        elif said:
            lengths[stimulus] = min(said)
            until = f" to {max(said):.3f} s, of which the shortest was taken" if max(said) > min(said) else ""
            history.append(f"{stimulus}: {problem}; by events.tsv it lasts {min(said):.3f} s{until}")
        else:
            unknown.append(f"{stimulus!r}: {problem}, and events.tsv has no duration")
    if unknown:
        listed = "\n  ".join(unknown)
        raise ValueError(
            f"{name}: how long do these sounds last?\n  {listed}\nSay it in `durations`, in seconds or by the sounds "
            "themselves, or name the folder of the sound files in `stimuli`."
        )
    if unlike:
        text = f"by events.tsv sounds last otherwise than by their files, which were believed: {', '.join(unlike)}"
        history.append(text)
        warnings.warn(f"{name}: {text}. Are they the right files? `durations` settles it.", stacklevel=3)
    return lengths


def _length_given(stimulus: str, value: object) -> float:
    if isinstance(value, Audio):
        return value.duration
    if isinstance(value, FeatureSeries):
        if value.n_times < 2 or np.ptp(np.diff(value.times)) > 1e-3 * value.step:
            raise ValueError(f"durations[{stimulus!r}]: irregular times do not tell how long the sound lasts. Say it.")
        return float(value.times[-1] + value.step)
    return _checks.positive(f"durations[{stimulus!r}]", value, "seconds")  # type: ignore[arg-type]


def _length_of_file(files: Sequence[Path]) -> tuple[float | None, str]:
    """Seconds that a sound file lasts, or why that is not known."""
    import soundfile

    if len(files) != 1:
        return None, f"{len(files)} files go by this name" if files else "no sound file of this name"
    if not files[0].exists():
        return None, f"{files[0]} is a link to a file that is not here (fetch it, e.g. with `datalad get`)"
    try:
        seconds = float(soundfile.info(files[0]).duration)
    except soundfile.LibsndfileError as error:
        return None, f"{files[0]} cannot be read as sound ({error.error_string.rstrip('.')})"
    return (seconds, "") if seconds > 0 else (None, f"{files[0]} holds no sound")


def read_table(path: Path) -> tuple[dict[str, str], ...]:
    """Rows of a table whose columns are separated by tabs."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE, restval="n/a", restkey=""))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text ({error}). Save the table again as UTF-8.") from error
    for number, row in enumerate(rows, start=2):
        if any(row.pop("", ())):
            raise ValueError(f"{path}, line {number}: more cells than columns. Separate columns by single tabs.")
    return tuple({column.strip(): cell.strip().strip('"') for column, cell in row.items()} for row in rows)


def is_missing(text: str | None) -> bool:
    """Whether a cell is empty."""
    return text is None or text.casefold() in ("", "n/a", "nan")


def _seconds(text: str | None, where: str) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        seconds = np.nan
    if not np.isfinite(seconds):
        raise ValueError(f"{where}: expected seconds with a decimal point, got {text!r}.")
    return seconds


def _plain(text: str) -> str:
    """One way to write numbers: '01', '1' and '1.0' are one label."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def _composed(text: str) -> str:
    """One way to write accents: file systems take letters apart that tables hold whole."""
    return unicodedata.normalize("NFC", text)


def _is_there(path: Path) -> bool:
    return path.is_file() or path.is_symlink()  # a link whose content was not fetched still says which sound it is
