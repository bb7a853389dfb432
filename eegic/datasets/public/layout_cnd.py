"""Public data sets in CND: whose EEG is there, in which trials a sound played, and where sounds and scores are."""

from __future__ import annotations

from pathlib import Path

from eegic import _checks
from eegic.datasets.public.places import SCORES, Layout, Place, is_sound, listed_stimuli, missing
from eegic.eeg.cnd import Cnd, files_by_key, read_cnd, stimulus_file
from eegic.eeg.cnd_stimuli import as_list
from eegic.eeg.participant import VOLTS

_FOLDERS = ("*", "*/dataCND")  # archives are unpacked with and without a folder of their own
_OWN = ("condition", "silent")


def _participants(place: Place) -> dict[str, Path]:
    folders = [place.root, *(folder for pattern in _FOLDERS for folder in sorted(place.root.glob(pattern)))]
    holding = {folder: files for folder in folders if (files := files_by_key(folder, "dataSub"))}
    if not holding:
        raise missing(place, "recording", [f"{folder}/dataSub*.mat" for folder in (".", *_FOLDERS)])
    if len(holding) > 1:
        raise ValueError(
            f"{place.id}: recordings lie in {' and '.join(map(str, holding))}. Name one of these folders: root=."
        )
    (files,) = holding.values()
    return files


def _files(place: Place, person: str, file: Path) -> list[Path]:
    try:
        return [file, stimulus_file(file, place.path_of("stimuli") if "stimuli" in place.options else None)]
    except FileNotFoundError:  # the file of the participant may hold its stimuli; reading tells
        return [file]


def _participant(place: Place, person: str, file: Path) -> Cnd:
    chosen = place.for_reader(_OWN)
    if "stimuli" in chosen:
        chosen["stimuli"] = place.path_of("stimuli")
    if place.manifest.eeg.unit in VOLTS:
        chosen.setdefault("unit", place.manifest.eeg.unit)
    cnd = read_cnd(file, **chosen)
    condition, silent = (place.options.get(option) for option in _OWN)
    if condition:
        return cnd.in_condition(condition)
    return _heard(cnd, as_list(silent), place) if silent else cnd


def _heard(cnd: Cnd, silent: list[str], place: Place) -> Cnd:
    """The trials in which a sound played."""
    names = list(dict.fromkeys(cnd.conditions))
    quiet = [name for name in names if any(part.casefold() in name.casefold() for part in silent)]
    loud = [name for name in names if name not in quiet]
    if not quiet or not loud:
        raise ValueError(
            f"{place.id}, {cnd.participant.name}: in some trials nothing sounded, but the names of their conditions, "
            f"{_checks.listed(names)}, do not tell which (expected {_checks.listed(silent)} in some of them). Say "
            "which were heard: condition=; all trials are read with silent=None."
        )
    return cnd.in_condition(loud)


def _stimuli(place: Place, person: str | None) -> dict[str, Path]:
    if place.manifest.stimuli:
        return listed_stimuli(place, place.root / "stimuli")
    files = [path for path in place.root.glob("**/*") if is_sound(path) or path.suffix.lower() in SCORES]
    found = _checks.listed(sorted(str(path.relative_to(place.root)) for path in files))
    raise ValueError(
        f"{place.id}: which sound or score is which stimulus is not known, and not guessed by order. Files in "
        f"{place.root}: {found}. Say it in a table {place.manifest.folder / 'stimuli.tsv'} with the columns stim_id "
        "(such as stimulus-01) and path."
    )


CND = Layout(
    _participants,
    _participant,
    _files,
    _stimuli,
    ("unit", "features", "external", "montage", "bads", "tolerance", "on_nan", "stimuli", *_OWN),
)
