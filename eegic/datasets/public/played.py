"""What one listener heard, where a data set holds it as a single sound file in step with the recording.

Songs that are broken off when the listener responds last as long as they were heard: the sound of each trial is then a
stretch of that file, and no two listeners share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eegic import _checks
from eegic.audio import Audio, read_audio
from eegic.datasets.public.places import Place, missing
from eegic.eeg.heard import Library, is_missing, read_table

OPTIONS = ("heard", "until")  # the file in step with the recording, and the events that end a trial
_CUT = "derivatives/eegic/heard"


class Stretch(NamedTuple):
    """A trial in the sound that was heard."""

    row: int
    name: str
    onset: float
    seconds: float
    song: Path | None  # the file that started


def trials(place: Place, person: str) -> dict[str, Any]:
    """Arguments for `read_bids`: which event started which stretch, and how long each is."""
    stretches = _stretches(place, person, _source(place, person))
    names = {str(one.row): one.name for one in stretches}

    def sounds(event: Mapping[str, str]) -> str | None:
        return names.get(event["row"])

    return {"sounds": sounds, "durations": {one.name: one.seconds for one in stretches}}


def cut(place: Place, person: str) -> dict[str, Path]:
    """Write the sound of each trial, where it is not there yet, and return the files by stimulus."""
    import soundfile

    source = _source(place, person)
    files = {}
    with soundfile.SoundFile(source) as stream:
        for one in _stretches(place, person, source):
            path = place.root / _CUT / f"{one.name}.flac"
            stream.seek(round(one.onset * stream.samplerate))
            samples = stream.read(round(one.seconds * stream.samplerate), dtype="float32", always_2d=True)
            if not (path.is_file() and _holds(path, samples)):
                Audio(samples, stream.samplerate, one.name).write(path)
            files[one.name] = path
    return files


def files(place: Place, person: str) -> list[Path]:
    """Sound files on which the lengths of trials depend."""
    source = _source(place, person)
    return [source, *(one.song for one in _stretches(place, person, source) if one.song is not None)]


def _holds(path: Path, samples: np.ndarray) -> bool:
    """Whether a sound file is this sound, as far as 24 bits tell."""
    try:
        there = read_audio(path).samples
    except ValueError:  # damaged
        return False
    return there.shape == samples.shape and bool(np.allclose(there, samples, rtol=0, atol=2.0**-22))


def _source(place: Place, person: str) -> Path:
    """The sound file of a listener."""
    wanted = str(place.options["heard"]).replace("{participant}", f"sub-{person}")
    named = sorted(place.root.glob(wanted))
    found = [path for path in named if path.exists()]
    if not found:
        raise missing(place, f"recording of what sub-{person} heard", [wanted], links=bool(named))
    if len(found) > 1:
        names = _checks.listed(str(path.relative_to(place.root)) for path in found)
        raise ValueError(f"{place.id}: expected one recording of what sub-{person} heard ({wanted}), got {names}.")
    return found[0]


def _stretches(place: Place, person: str, source: Path) -> list[Stretch]:
    """Trials by the table of events, each until the sound ends, the next starts, or an event ends it."""
    import soundfile

    table, rows = _events(place, person)
    library = Library(place.root, place.path_of("stimuli"))
    column = place.options.get("stimulus_column", "stim_file")
    until = place.options.get("until", ())
    ends = {until} if isinstance(until, str) else {str(kind) for kind in until}
    length = float(soundfile.info(source).duration)
    started = [i for i, row in enumerate(rows) if not is_missing(row.get(column))]
    stops = sorted(
        [_onset(rows[i], table, i) for i in started]
        + [_onset(row, table, i) for i, row in enumerate(rows) if ends & {row.get("trial_type"), row.get("value")}]
    )
    stretches = []
    for i in started:
        onset, files = _onset(rows[i], table, i), library.find(rows[i][column])
        stop = min([length, *(stop for stop in stops if stop > onset)])
        song = files[0] if len(files) == 1 else None
        if song is not None and song.exists():
            stop = min(stop, onset + float(soundfile.info(song).duration))
        if stop <= onset:
            raise ValueError(
                f"{table}, line {i + 2}: {rows[i][column]!r} starts at {onset:.3f} s, but {source} ends at "
                f"{length:.3f} s. Do both belong together?"
            )
        name = Path(rows[i][column]).stem if song is None else library.name(song)
        known = song if song is not None and song.exists() else None
        stretches.append(Stretch(i, f"sub-{person}/{name}", onset, stop - onset, known))
    return _apart(stretches)


def _apart(stretches: list[Stretch]) -> list[Stretch]:
    """Number the stretches of a song that was heard more than once: they need not last as long."""
    counts, seen, apart = Counter(one.name for one in stretches), Counter[str](), []
    for one in stretches:
        seen[one.name] += 1
        apart.append(one._replace(name=f"{one.name} ({seen[one.name]})") if counts[one.name] > 1 else one)
    return apart


def _events(place: Place, person: str) -> tuple[Path, tuple[dict[str, str], ...]]:
    tables = sorted((place.root / f"sub-{person}").glob("**/eeg/*_events.tsv"))
    if len(tables) != 1:
        raise ValueError(
            f"{place.id}, sub-{person}: expected one recording with a table of events, in step with the sound, got "
            f"{_checks.listed(path.name for path in tables)}. Read it without that sound: heard=None."
        )
    return tables[0], read_table(tables[0])


def _onset(row: Mapping[str, str], table: Path, number: int) -> float:
    try:
        return float(row["onset"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{table}, line {number + 2}: onset: expected seconds, got {row.get('onset')!r}.") from error
