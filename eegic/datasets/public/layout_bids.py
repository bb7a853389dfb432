"""Public data sets in BIDS: whose EEG is there, what they heard, and where the sounds are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eegic import _checks
from eegic.datasets.public import played
from eegic.datasets.public.places import Layout, Place, is_sound, listed_stimuli, missing, natural
from eegic.eeg.bids import read_bids, survey_bids
from eegic.eeg.cnd_stimuli import as_list
from eegic.eeg.heard import Library
from eegic.eeg.participant import Participant

_RECORDINGS = (".vhdr", ".set", ".edf", ".bdf", ".fif")
_SURVEYED = ("task", "session", "run", "acquisition", "sounds", "stimulus_column", "stimuli", "trials")
_TELLS = {"sounds", "durations", "trials", "stimuli", "heard"}  # options that say what was heard


def _participants(place: Place) -> dict[str, Path]:
    found, links = {}, False
    for folder in place.root.glob("sub-*"):
        files = [path for path in folder.glob("**/eeg/*_eeg.*") if path.suffix.lower() in _RECORDINGS]
        if any(path.exists() for path in files):
            found[folder.name.removeprefix("sub-")] = folder
        links = links or bool(files)
    if not found:
        searched = [f"sub-*/**/eeg/*_eeg{suffix}" for suffix in _RECORDINGS]
        raise missing(place, "recording", searched, links=links)
    return found


def _participant(place: Place, person: str, folder: Path) -> Participant:
    read = read_bids(place.root, person, **_arguments(place, person))
    return _with_bads(read, as_list(place.options.get("bads") or ()))


def _files(place: Place, person: str, folder: Path) -> list[Path]:
    told = _arguments(place, person)
    _, files, sounds = survey_bids(place.root, person, **{key: told[key] for key in _SURVEYED if key in told})
    return [*files, *(played.files(place, person) if place.options.get("heard") else sounds)]


def _arguments(place: Place, person: str) -> dict[str, Any]:
    """What `read_bids` is to be told."""
    chosen = place.for_reader((*played.OPTIONS, "bads"))
    if "stimuli" in chosen:
        chosen["stimuli"] = place.path_of("stimuli")
    if "trials" in chosen:
        chosen["trials"] = place.path_of("trials")
    elif place.manifest.trials:
        chosen["trials"] = place.manifest.folder / "trials.tsv"
    if isinstance(chosen.get("sounds"), Mapping):  # TOML has no None
        chosen["sounds"] = {key: sound or None for key, sound in chosen["sounds"].items()}
    if place.manifest.stimuli_audio_included is False and not _TELLS & {*place.given, *chosen}:
        raise ValueError(
            f"{place.id}: no sound comes with this data set, so it does not tell what was heard and how long. If you "
            "have the sounds, say which event started which, and how long they are: sounds={event: name}, "
            "durations={name: Audio}; see `eegic.eeg.read_bids`."
        )
    if place.options.get("heard") and not {"sounds", "trials"} & place.given.keys():
        heard = played.trials(place, person)
        chosen |= {**heard, "durations": {**heard["durations"], **(chosen.get("durations") or {})}}
    return chosen


def _with_bads(person: Participant, bads: Sequence[str]) -> Participant:
    """Mark channels as bad that the files call good."""
    if not bads:
        return person
    for channel in bads:
        _checks.one_of(f"{person.name}: bads", channel, person.ch_names)
    info = person.info.copy()
    info["bads"] = [channel for channel in person.ch_names if channel in (*person.bads, *bads)]
    return replace(person, info=info, history=(*person.history, f"marked as bad: {', '.join(bads)}"))


def _stimuli(place: Place, person: str | None) -> dict[str, Path]:
    if place.options.get("heard"):
        people = sorted(_participants(place), key=natural) if person is None else [person]
        return {name: path for one in people for name, path in played.cut(place, one).items()}
    folder = place.path_of("stimuli")
    if place.manifest.stimuli:
        return listed_stimuli(place, folder)
    library = Library(place.root, folder)
    found: dict[str, Path] = {}
    named = sorted(path for path in folder.glob("**/*") if is_sound(path))
    for path in filter(Path.exists, named):
        other = found.setdefault(library.name(path), path)
        if other != path:
            raise ValueError(
                f"{place.id}: {other} and {path} would both be called {library.name(path)!r}. Keep the one that was "
                "played."
            )
    if not found:
        raise missing(place, "sound", [f"{folder}/**/*"], links=bool(named))
    return found


BIDS = Layout(
    _participants,
    _participant,
    _files,
    _stimuli,
    (*_SURVEYED, "durations", "montage", "tolerance", "on_nan", "bads", *played.OPTIONS),
)
