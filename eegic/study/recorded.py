"""What headers and tables tell of each sound and participant: channels, rate, length, and when sounds start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from eegic import _checks
from eegic.audio import SUFFIXES
from eegic.study.ground import Ground
from eegic.study.settings import FilesData
from eegic.study.sources import Bids, Recordings, raw_of

_ESTIMATED = ("MP3", "OGG")  # formats that tell their length only when they are decoded
_BESIDE = (".tsv", ".csv", ".txt", ".json", ".vhdr", ".vmrk", *SUFFIXES)  # of files that hold no EEG
_LEAST = 1000  # bytes that a recording has; less may be alike by chance


@dataclass(frozen=True)
class Sound:
    """What its header tells of a sound; no rate and no channels where it is a score, which will be rendered."""

    seconds: float
    sfreq: float = 0.0
    n_channels: int = 0


@dataclass(frozen=True)
class Person:
    """What headers and tables tell; nothing where only the EEG itself does.

    Attributes
    ----------
    stimuli : tuple of str, or None
        What was heard, if that is known.
    n_bytes : int
        Of the files.
    ch_names : tuple of str
        Channels of EEG, by the names of the analysis.
    sfreq, seconds : float
        Rate of the recordings in hertz, and how long they are together.
    """

    stimuli: tuple[str, ...] | None
    n_bytes: int
    ch_names: tuple[str, ...] = ()
    sfreq: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Start:
    """Of a sound; its length in seconds, as far as a table tells."""

    onset: float
    stimulus: str
    duration: float | None = None


@dataclass(frozen=True)
class _Recording:
    """A recording, opened and not loaded, and the sounds that start in it, in order."""

    label: str
    raw: Any
    starts: tuple[_Start, ...]


def sounds_of(ground: Ground, problems: list[str]) -> Iterator[tuple[str, Sound]]:
    """Each sound that somebody may have heard, and donors; what is wrong with one is a problem."""
    import soundfile

    for name in ground.used_sounds:
        path = ground.sounds[name]
        try:
            yield name, _sound(ground, path)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: the suffix .raw says "no header"
            problems.append(f"sounds {name}: {path} cannot be read as sound ({error})")
        except (OSError, ValueError, ImportError) as error:
            problems.append(f"sounds {name}: {error}")


def _sound(ground: Ground, path: Path) -> Sound:
    """By the header, or by the notes of a score that will be rendered."""
    import soundfile

    from eegic.audio import read_audio
    from eegic.datasets.public.places import SCORES
    from eegic.datasets.scores.midi import read_midi

    rendered = ground.manifest and ground.study.settings.sounds.channel == "mean"
    if rendered and path.suffix.lower() in SCORES:
        return Sound(read_midi(path).duration)
    with soundfile.SoundFile(path) as file:
        sound = Sound(file.frames / file.samplerate, float(file.samplerate), file.channels)
        whole = "(should be" not in file.extra_info and _goes_to_its_end(file)  # in the words of libsndfile
    if not whole:
        read_audio(path)  # which says what is wrong, if it is
    return sound


def _goes_to_its_end(file: Any) -> bool:
    """Whether there is a last sample, as far as it can be found without decoding all."""
    import soundfile

    if not file.frames or file.format in _ESTIMATED or not file.seekable():
        return bool(file.frames)
    try:
        file.seek(file.frames - 1)
        return len(file.read(1)) == 1
    except soundfile.LibsndfileError:
        return False


def copies(ground: Ground) -> Iterator[str]:
    """Who has the same recording as others, in words: by the digest of what is the largest of their own files."""
    n_owners = Counter(ground.recordings)
    owners: dict[str, list[str]] = {}
    for who in ground.people:
        with suppress(ValueError):  # told of each
            sizes = {
                name: path.stat().st_size
                for name, path in ground.survey(who)[1].items()
                if n_owners[path] == 1 and path.is_file() and _may_be_eeg(path)
            }
            largest = max(sizes, key=sizes.__getitem__, default="")
            digest = ground.inputs.get(f"eeg/{largest}")
            if digest and sizes[largest] >= _LEAST:
                owners.setdefault(digest, []).append(f"sub-{who}")
    for alike in owners.values():
        if len(alike) > 1:
            *first, last = alike
            one = "one" if len(alike) == 2 else "all but one"
            yield f"{', '.join(first)} and {last} have the same recording: exclude {one} in data.exclude"


def _may_be_eeg(path: Path) -> bool:
    """Whether a file is not one that lies beside recordings, and may be the same for all."""
    return path.suffix.lower() not in _BESIDE and not path.name.lower().startswith("datastim")


def people_of(ground: Ground, sounds: Mapping[str, float], problems: list[str]) -> Iterator[tuple[str, Person]]:
    """Everybody whose files can be looked at; what is wrong with them, and with those of others, is a problem."""
    for who in ground.people:
        try:
            stimuli, files = ground.survey(who)
            size = sum(path.stat().st_size for path in files.values())
            recordings = list(_recordings(ground, who))
            for one in recordings:
                _check_whole(one)
        except Exception as error:  # of whatever reads the files
            problems.append(f"eeg sub-{who}: {error}")
            continue
        lost = [] if isinstance(ground.source, Recordings) else sorted({*(stimuli or ())} - {*ground.sounds})
        if lost and ground.sounds:  # of other recordings the stage tells it
            problems.append(f"eeg sub-{who}: heard {_checks.listed(lost, 4)}, of which there is no sound")
        for one in recordings:
            fault = _outside(ground, one, sounds) or _overlap(ground, one, sounds)
            problems += [f"eeg {one.label}: {fault}"] if fault else []
        yield who, _person(ground, stimuli, size, recordings)


def _person(ground: Ground, stimuli: tuple[str, ...] | None, size: int, recordings: list[_Recording]) -> Person:
    if not recordings:
        return Person(stimuli, size)
    if isinstance(ground.source, Recordings):  # of the sounds of triggers, those that were played
        stimuli = tuple(dict.fromkeys(start.stimulus for one in recordings for start in one.starts))
    sfreq = float(recordings[0].raw.info["sfreq"])
    seconds = sum(one.raw.n_times / float(one.raw.info["sfreq"]) for one in recordings)
    return Person(stimuli, size, _channels(ground, recordings[0].raw), sfreq, seconds)


def _channels(ground: Ground, raw: Any) -> tuple[str, ...]:
    """Channels of EEG: as the settings call them and say of their types; in BIDS, whose tables may tell, all."""
    data = ground.study.settings.data
    if not isinstance(data, FilesData):
        return tuple(raw.ch_names)
    names = [data.rename.get(name, name) for name in raw.ch_names]
    kinds = [data.channel_types.get(name, kind) for name, kind in zip(names, raw.get_channel_types(), strict=True)]
    return tuple(name for name, kind in zip(names, kinds, strict=True) if kind == "eeg")


def _recordings(ground: Ground, who: str) -> Iterator[_Recording]:
    """None where files tell nothing before they are loaded."""
    source = ground.source
    if isinstance(source, Recordings):
        with _named(source.recording(who)):
            raw = raw_of(source, who)
        onsets = _onsets(source, who, raw)
        onsets = onsets if source.only is None else onsets.only(source.only)
        starts = [_Start(float(t), name) for t, name in zip(onsets.seconds, onsets.stimuli, strict=True)]
        yield _Recording(f"sub-{who}", raw, tuple(starts))
    elif isinstance(source, Bids):
        yield from _of_bids(source, who)


def _onsets(source: Recordings, who: str, raw: Any) -> Any:
    from eegic.eeg import find_onsets
    from eegic.eeg.tables import onsets_from

    table = source.table(who)
    if table is None:
        return find_onsets(raw, source.codes(), stim_channel=source.data.stim_channel, missing=source.data.missing)
    return onsets_from(table, f"sub-{who}")


def _of_bids(source: Bids, who: str) -> Iterator[_Recording]:
    import mne

    from eegic.eeg.bids import surveyed

    chosen = source.chosen()
    entities = {entity: chosen.pop(entity) for entity in ("task", "session", "run", "acquisition")}
    column = chosen.pop("stimulus_column")
    _, recordings, heard, _ = surveyed(source.root, who, entities, column=column, only=source.only, **chosen)
    for recording, here in zip(recordings, heard, strict=True):
        with _named(_there(recording.file)):
            raw = mne.io.read_raw(recording.file, preload=False, verbose="error")
        starts = tuple(_Start(one.onset, one.stimulus, one.duration) for one in here)
        yield _Recording(recording.events.label, raw, starts)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Name the file that cannot be opened: what reads it says what it stumbled over, often not where."""
    try:
        yield
    except (ImportError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(
            f"{file}: cannot be opened ({type(error).__name__}: {error}). It is damaged, or no "
            f"{file.suffix.lstrip('.').upper()}: copy it again from its source."
        ) from error


def _there(file: Path) -> Path:
    if not file.exists():
        raise FileNotFoundError(f"{file}: a link to a file that is not here. Fetch it (e.g. `datalad get`).")
    return file


def _check_whole(one: _Recording) -> None:
    """The last sample can be read: headers promise it also in files that were cut short."""
    last = one.raw.n_times - 1
    try:
        one.raw.get_data([0], last, last + 1, verbose="error")
    except Exception as error:  # a broken file can raise anything
        end = one.raw.n_times / float(one.raw.info["sfreq"])
        raise ValueError(
            f"its header promises {end:.3f} s, which cannot be read to the end ({type(error).__name__}: {error}). The "
            "file is damaged or cut short: copy it again from its source."
        ) from error


def _length(start: _Start, sounds: Mapping[str, float]) -> float:
    """Seconds that a sound lasts; 0 where nothing tells."""
    return sounds.get(start.stimulus, start.duration or 0.0)


def _outside(ground: Ground, one: _Recording, sounds: Mapping[str, float]) -> str:
    """What to say of sounds that start or end outside of their recording; nothing if none does."""
    sfreq, n_times = float(one.raw.info["sfreq"]), one.raw.n_times
    tolerance = ground.study.settings.data.tolerance
    slack = 1 if tolerance is None else round(tolerance * sfreq)

    def is_out(start: _Start) -> bool:
        first = round(start.onset * sfreq)
        return not 0 <= first < n_times or first + round(_length(start, sounds) * sfreq) - n_times > slack

    out = [start for start in one.starts if is_out(start)]
    if not out:
        return ""
    first, more = out[0], f" ({len(out)} of {len(one.starts)} trials do not fit)" if len(one.starts) > 1 else ""
    late = all(start.onset >= n_times / sfreq for start in one.starts if start.onset != 0)
    advice = "Are onsets in milliseconds? Write seconds." if late else "Is the recording whole, and the table its own?"
    return (
        f"{first.stimulus} starts at {first.onset:.3f} s and lasts {_length(first, sounds):.3f} s, but the recording "
        f"runs from 0 to {n_times / sfreq:.3f} s{more}. {advice}"
    )


def _overlap(ground: Ground, one: _Recording, sounds: Mapping[str, float]) -> str:
    """What to say of the first sound that has not ended when the next one starts; nothing if there is none."""
    step, tolerance = 1 / float(one.raw.info["sfreq"]), ground.study.settings.data.tolerance
    slack = 0.5 * step + (step if tolerance is None else tolerance)
    for start, after in pairwise(one.starts):
        end = start.onset + _length(start, sounds)
        if after.onset < end - slack:
            return (
                f"{after.stimulus} starts at {after.onset:.3f} s, before {start.stimulus} ends ({end:.3f} s). Is an "
                "onset one too many, or a sound not what was played? If all is well, say so in data.tolerance."
            )
    return ""
