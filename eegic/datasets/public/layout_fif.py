"""Public data sets in FIF files, whose layouts are their own: alice and openmiir."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eegic.datasets.public.places import Layout, Place, missing
from eegic.eeg.participant import Participant
from eegic.eeg.read import read_participant
from eegic.eeg.triggers import Onsets

if TYPE_CHECKING:
    import mne

_OPTIONS = ("durations", "rename", "channel_types", "montage", "bads", "unit", "tolerance", "on_nan")

# ---- alice: eeg/S01/S01_alice-raw.fif, with an annotation "1" to "12" where stimuli/1.wav to 12.wav start -----------

_SEGMENTS = [str(number) for number in range(1, 13)]
_ALICE = "eeg/S*/S*_alice-raw.fif"


def _alice_participants(place: Place) -> dict[str, Path]:
    found = {path.parent.name: path for path in place.root.glob(_ALICE) if path.name.startswith(f"{path.parent.name}_")}
    if not found:
        raise missing(place, "recording", [_ALICE])
    return found


def _alice_participant(place: Place, person: str, file: Path) -> Participant:
    """Segments of the story that a listener heard; some recordings miss the first."""
    chosen = place.for_reader(("durations",))
    seconds = place.options.get("durations") or _durations(_alice_stimuli(place, person))
    codes = {segment: segment for segment in _SEGMENTS}
    return read_participant(file, codes, seconds, name=person, missing="drop", **chosen)


def _alice_stimuli(place: Place, person: str | None) -> dict[str, Path]:
    found = {name: path for name in _SEGMENTS if (path := place.root / "stimuli" / f"{name}.wav").is_file()}
    if not found:
        raise missing(place, "sound", ["stimuli/1.wav to stimuli/12.wav"])
    return found


# ---- openmiir: eeg/mne/P01-raw.fif with codes in STI 014, and audio/full.v1 or v2/S01_....wav with cue clicks -------

_OPENMIIR = ("eeg/mne/P*-raw.fif", "P*-raw.fif")
_STIMULI = (1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24)
_CHANGED = (1, 2, 11, 12, 22)  # stimuli of which participants up to P08 heard a first version; the others stayed
_LAST_OF_FIRST = 8
_PERCEPTION, _AUDIO_ONSET = 1, 1000  # the last digit of a trial's code, and the code of the sound card's own mark
_MASTOIDS = ("EXG5", "EXG6")  # in the files of some participants only


def _openmiir_participants(place: Place) -> dict[str, Path]:
    for pattern in _OPENMIIR:
        found = {path.name.split("-")[0]: path for path in place.root.glob(pattern)}
        found = {name: path for name, path in found.items() if re.fullmatch(r"P\d+", name)}
        if found:
            return found
    raise missing(place, "recording", _OPENMIIR)


def _openmiir_participant(place: Place, person: str, file: Path) -> Participant:
    """Trials in which music played; in those of imagination nothing sounds but a cue."""
    import mne

    chosen = place.for_reader(("durations", "channel_types"))
    raw = mne.io.read_raw_fif(file, verbose="error")
    kinds = {channel: "misc" for channel in _MASTOIDS if channel in raw.ch_names}
    kinds |= place.options.get("channel_types") or {}
    sounds = _openmiir_stimuli(place, person)
    onsets = _perceived(raw, {_number(name): name for name in sounds}, f"{place.id}, {person}")
    seconds = place.options.get("durations") or _durations(sounds)
    return read_participant(raw, onsets, seconds, name=person, channel_types=kinds, **chosen)


def _openmiir_stimuli(place: Place, person: str | None) -> dict[str, Path]:
    """Sounds with cue clicks; for a participant, in the version that was played then."""
    found = {}
    for version in ("full.v1", "full.v2"):
        for path in sorted(place.root.glob(f"audio/{version}/S[0-9][0-9]_*.wav")):
            asked = _version(person, _number(path.name)) if person else version
            own = version == "full.v2" or _number(path.name) in _CHANGED  # the others are links to full.v2
            if asked == version and own and path.is_file():
                found[f"{version}/{path.stem}"] = path
    if not found:
        raise missing(place, "sound", ["audio/full.v1/S*.wav", "audio/full.v2/S*.wav"])
    return found


def _number(name: str) -> int:
    """Of a stimulus: 1 of full.v2/S01_Chim Chim Cheree_lyrics."""
    return int(Path(name).name[1:3])


def _version(person: str, number: int) -> str:
    return "full.v1" if int(person[1:]) <= _LAST_OF_FIRST and number in _CHANGED else "full.v2"


def _perceived(raw: mne.io.BaseRaw, sounds: Mapping[int, str], where: str) -> Onsets:
    """When music started: at the sound card's mark after the code of the trial.

    Without that mark the start is not known to the sample, and the trial is left out.
    """
    import mne

    events = mne.find_events(raw, "STI 014", shortest_event=0, verbose="error")
    codes = [int(code) for code in events[:, 2]]
    trials = [i for i, code in enumerate(codes) if code // 10 in _STIMULI and code % 10 == _PERCEPTION]
    marked = [i for i in trials if codes[i + 1 : i + 2] == [_AUDIO_ONSET]]
    if not marked:
        raise ValueError(
            f"{where}: expected trials of perception in STI 014, each a code of ten times the stimulus plus 1 and then "
            f"the sound card's mark, {_AUDIO_ONSET}; got {len(trials)} such codes without the mark after them, among "
            f"the codes {sorted(set(codes))}. Is the file as it was published?"
        )
    lost = sorted({codes[i] // 10 for i in marked} - set(sounds))
    if lost:
        files = ", ".join(f"S{number:02d}_*.wav" for number in lost)
        raise ValueError(
            f"{where}: trials without a sound. Searched in audio/full.v1 and full.v2: {files}. Fetch them."
        )
    seconds = (events[[i + 1 for i in marked], 0] - raw.first_samp) / raw.info["sfreq"]
    left = len(trials) - len(marked)
    notes = (f"{left} trials left out, whose start the sound card did not mark",) if left else ()
    return Onsets(seconds.astype(np.float64), tuple(sounds[codes[i] // 10] for i in marked), notes)


def _parts(file: Path) -> list[Path]:
    """A recording and the files in which it goes on."""
    return [file, *sorted(file.parent.glob(f"{file.stem}-[0-9]*.fif"))]


def _durations(files: Mapping[str, Path]) -> dict[str, float]:
    """Seconds that sounds last."""
    import soundfile

    return {name: float(soundfile.info(path).duration) for name, path in files.items()}


def _alice_files(place: Place, person: str, file: Path) -> list[Path]:
    return [*_parts(file), *_alice_stimuli(place, person).values()]


def _openmiir_files(place: Place, person: str, file: Path) -> list[Path]:
    return [*_parts(file), *_openmiir_stimuli(place, person).values()]


ALICE = Layout(_alice_participants, _alice_participant, _alice_files, _alice_stimuli, _OPTIONS)
OPENMIIR = Layout(_openmiir_participants, _openmiir_participant, _openmiir_files, _openmiir_stimuli, _OPTIONS)
