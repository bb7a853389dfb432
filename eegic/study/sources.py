"""Where the EEG of a study lies, who is in it, which files belong to whom, and how they are read."""

from __future__ import annotations

import glob
import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic import _checks
from eegic.study.reading import Study
from eegic.study.settings import BidsData, CndData, FilesData, ManifestData

if TYPE_CHECKING:
    from eegic.eeg import Participant
    from eegic.series import FeatureSeries

    Heard = tuple[Participant, dict[str, FeatureSeries]]  # and the features that the data set ships

Names = tuple[str, ...] | None  # of the only sounds that count; None for all
Surveyed = tuple[tuple[str, ...] | None, dict[str, Path]]  # sounds, if they are known, and files by name

_SPLIT = re.compile(r"_split-\d+")
_LABEL = "[A-Za-z0-9]+"  # of a participant, as BIDS has it
_NAMED_IN_VHDR = re.compile(r"^(?:DataFile|MarkerFile)=(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Bids:
    """A BIDS folder."""

    data: BidsData
    root: Path
    stimuli: Path | None  # folder of the sounds
    only: Names = None

    def everyone(self) -> list[str]:
        """Ids of all participants."""
        return sorted(path.name.removeprefix("sub-") for path in self.root.glob("sub-*") if path.is_dir())

    def survey(self, who: str) -> Surveyed:
        """Sounds that a participant may have heard, if that is known without reading EEG; files by what they are."""
        from eegic.eeg.bids import survey_bids

        stimuli, files, sounds = survey_bids(self.root, who, **self.chosen(), only=self.only)
        # sounds of which nothing else is known say how long trials last
        known = [] if self.stimuli is None else [path for path in sounds if path.is_relative_to(self.stimuli)]
        files = [*files, *(path for path in sounds if path not in known)]
        return stimuli, {_name(path, self.root): path for path in files}

    def read(self, who: str, durations: Mapping[str, float]) -> Heard:
        """The participant, and what the data set ships."""
        from eegic.eeg import read_bids

        options = self.data.given(
            *_OURS, "task", "session", "run", "acquisition", "stimulus_column", "trials", "sounds"
        )
        return read_bids(self.root, who, **self.chosen(), durations=durations, only=self.only, **options), {}

    def chosen(self) -> dict[str, Any]:
        """What says which recordings and sounds are meant, as `read_bids` wants it."""
        data = self.data
        return {
            **{key: getattr(data, key) for key in ("task", "session", "run", "acquisition", "stimulus_column")},
            "trials": None if data.trials is None else self.root / data.trials,
            "sounds": data.sounds or None,
            "stimuli": self.stimuli,
        }


@dataclass(frozen=True)
class CndFolder:
    """A CND folder."""

    data: CndData
    root: Path
    only: Names = None

    @cached_property
    def _recordings(self) -> dict[str, Path]:
        from eegic.eeg.cnd import files_by_key

        found = files_by_key(self.root, "dataSub") or files_by_key(self.root / "dataCND", "dataSub")
        return {key.zfill(2): path for key, path in found.items()}

    def everyone(self) -> list[str]:
        """Ids of all participants."""
        return sorted(self._recordings)

    def survey(self, who: str) -> Surveyed:
        """As of `Bids`; only the files themselves tell what was heard."""
        from eegic.eeg.cnd import stimulus_file

        recording = self._recordings[who]
        try:
            files = [recording, stimulus_file(recording, None)]
        except FileNotFoundError:  # it may hold its stimuli itself; reading tells
            files = [recording]
        return None, {_name(path, self.root): path for path in files}

    def read(self, who: str, durations: Mapping[str, float]) -> Heard:
        """The participant, and what the data set ships."""
        from eegic.eeg import read_cnd

        options = self.data.given(*_OURS, "conditions")
        cnd = read_cnd(self._recordings[who], **options, name=f"sub-{who}")
        if self.data.conditions:
            cnd = cnd.in_condition(self.data.conditions)
        if cnd.features:  # of all sounds, also of those that this one did not hear
            for name in self.only or ():
                _checks.one_of("sounds.only", name, dict.fromkeys((*cnd.features, *cnd.participant.stimuli)))
        return _kept(cnd.participant, self.only), cnd.features


@dataclass(frozen=True)
class Recordings:
    """A recording per participant, in whatever format."""

    data: FilesData
    root: Path
    only: Names = None

    @cached_property
    def _recordings(self) -> dict[str, Path]:
        return {who: path for who, path in self._called.items() if re.fullmatch(_LABEL, who)}

    @cached_property
    def _called(self) -> dict[str, Path]:
        """Files by what stands in their names for the participant."""
        parts = Path(self.data.recordings).as_posix().split("{participant}")
        start, end = re.escape(parts[0]), r"\1".join(map(re.escape, parts[1:]))
        pattern = re.compile(f"{start}([^/]+){end}")
        found = {}
        for path in sorted(self.root.glob("*".join(map(glob.escape, parts)))):
            fits = pattern.fullmatch(path.relative_to(self.root).as_posix())
            if fits and not _goes_on(path):
                found[unicodedata.normalize("NFC", fits[1])] = path
        return found

    @property
    def nameless(self) -> dict[str, Path]:
        """Files that would be recordings, if what stands for the participant were an id."""
        return {who: path for who, path in self._called.items() if who not in self._recordings}

    def everyone(self) -> list[str]:
        """Ids of all participants, also of those whose table alone is there."""
        return sorted({*self._recordings, *self._tabled}) if self._recordings else []

    @cached_property
    def _tabled(self) -> list[str]:
        """Ids of those who have a table of what they heard."""
        start, found, end = (self.data.trials or "").partition("{participant}")
        if not found or "{participant}" in end:
            return []
        paths = [path.relative_to(self.root).as_posix() for path in self.root.glob(f"{start}*{end}")]
        ids = [path[len(start) : len(path) - len(end)] for path in paths]
        return [who for who in ids if re.fullmatch(_LABEL, who)]

    def survey(self, who: str) -> Surveyed:
        """As of `Bids`."""
        table = self.table(who)
        if who not in self._recordings:
            expected = self.root / self.data.recordings.replace("{participant}", who)
            raise FileNotFoundError(f"sub-{who}: {table} says what was heard, but there is no recording {expected}.")
        recording = self._recordings[who]
        heard = self._stimuli(table)
        if self.only is not None:
            heard = _heard(f"sub-{who}", heard, self.only)
        files = [*_parts(recording), *([] if table is None else [table])]
        return heard, {_name(path, self.root): path for path in files}

    def read(self, who: str, durations: Mapping[str, float]) -> Heard:
        """The participant, and what the data set ships."""
        from eegic.eeg import read_participant

        table = self.table(who)
        trials: Any = self.codes() if table is None else table
        options = self.data.given(*_OURS, "recordings", "trials", "triggers")
        options |= {"rename": self.data.rename or None, "channel_types": self.data.channel_types or None}
        options |= {"name": f"sub-{who}", "only": self.only}
        return read_participant(self._recordings[who], trials, dict(durations), **options), {}

    def recording(self, who: str) -> Path:
        """File of a participant."""
        return self._recordings[who]

    def codes(self) -> dict[str, str] | dict[int, str]:
        """Sounds by trigger; those of a stim channel are numbers, those of annotations texts."""
        if self.data.stim_channel is None:
            return dict(self.data.triggers)
        return {int(code): name for code, name in self.data.triggers.items()}

    def table(self, who: str) -> Path | None:
        """Where it stands what a participant heard; None if triggers tell."""
        return None if self.data.trials is None else self.root / self.data.trials.replace("{participant}", who)

    def _stimuli(self, table: Path | None) -> tuple[str, ...]:
        from eegic.eeg.tables import onsets_from

        if table is None:
            return tuple(dict.fromkeys(self.data.triggers.values()))
        if not table.is_file():
            raise FileNotFoundError(f"{table}: missing. It should say what was heard when.")
        return tuple(dict.fromkeys(onsets_from(table, table.parent.name).stimuli))


def _goes_on(path: Path) -> bool:
    """Whether a file is a later part of a long FIF, the first of which is there."""
    first = _first_part(path)
    return first != path and first.is_file()


def _first_part(path: Path) -> Path:
    """Of a long FIF: ``name.fif`` of ``name-1.fif``, ``name_split-01_eeg.fif`` of ``name_split-02_eeg.fif``."""
    if path.suffix != ".fif":
        return path
    stem = _SPLIT.sub("_split-01", path.stem) if _SPLIT.search(path.stem) else re.sub(r"-\d+$", "", path.stem)
    return path.with_name(f"{stem}.fif")


def _parts(recording: Path) -> list[Path]:
    """All files of a recording, which may be a folder, have its numbers beside its header, or go on in parts."""
    if recording.is_dir():
        return [path for path in sorted(recording.rglob("*")) if path.is_file()]
    suffix, beside = recording.suffix.lower(), []
    if suffix == ".vhdr":
        header = recording.read_text(encoding="utf-8", errors="replace")
        names = [name.replace("$b", recording.stem) for name in _NAMED_IN_VHDR.findall(header)]
        beside = [recording.parent / name for name in names]
    elif suffix == ".set":
        own = recording.with_suffix(".fdt")  # after the .set was renamed, it may name any
        beside = [own] if own.is_file() else sorted(recording.parent.glob("*.fdt"))
    elif suffix == ".fif":
        start = glob.escape(recording.stem.partition("_split-01")[0])
        beside = [path for path in sorted(recording.parent.glob(f"{start}[-_]*.fif")) if _first_part(path) == recording]
        beside = [path for path in beside if path != recording]
    else:  # other formats may keep header and numbers apart
        same = sorted(recording.parent.glob(f"{glob.escape(recording.stem)}.*"))
        beside = [path for path in same if path != recording]
    return [recording, *(path for path in beside if path.is_file())]


@dataclass(frozen=True)
class Known:
    """A data set with a manifest, as it was downloaded."""

    data: ManifestData
    manifest: Any
    root: Path
    only: Names = None

    def everyone(self) -> list[str]:
        """Ids of all participants."""
        from eegic.datasets.public.loaders import participants_of

        return participants_of(self.manifest, self.root)

    def survey(self, who: str) -> Surveyed:
        """As of `Bids`."""
        from eegic.datasets.public.loaders import files_of

        return None, {_name(path, self.root): path for path in files_of(self.manifest, who, self.root)}

    def sounds(self) -> dict[str, Path]:
        """Files of the sounds, or of the scores, by name; none where it is not known which they are."""
        from eegic.datasets.public.loaders import stimulus_files

        try:
            return stimulus_files(self.manifest, self.root)
        except (ValueError, OSError) as error:
            warnings.warn(f"{self.manifest.id}: no sounds ({error})", stacklevel=2)
            return {}

    def read(self, who: str, durations: Mapping[str, float]) -> Heard:
        """The participant, and what the data set ships."""
        from eegic.datasets.public.loaders import load_participant
        from eegic.eeg import Cnd

        options = self.data.given(*_OURS, "manifest")
        found = load_participant(self.manifest, who, self.root, **{k: v for k, v in options.items() if v is not None})
        person, features = (found.participant, found.features) if isinstance(found, Cnd) else (found, {})
        return _kept(person, self.only), features


def _kept(person: Participant, only: Names) -> Participant:
    """The trials of some sounds; which somebody heard only the EEG tells here."""
    return person if only is None else person.only(_heard(person.name, person.stimuli, only))


def _heard(name: str, stimuli: tuple[str, ...], only: tuple[str, ...]) -> tuple[str, ...]:
    """What somebody heard of the sounds that count."""
    heard = tuple(stimulus for stimulus in stimuli if stimulus in only)
    if not heard:
        raise ValueError(
            f"{name}: heard none of {_checks.listed(only, 4)}, but {_checks.listed(dict.fromkeys(stimuli), 4)}. "
            "Correct sounds.only, or leave the participant out in data.exclude."
        )
    return heard


def raw_of(source: Source, who: str) -> Any:
    """The recording of a participant, opened and not loaded; None where that tells nothing, or there are several."""
    import mne

    if isinstance(source, Recordings):
        return mne.io.read_raw(source.recording(who), preload=False, verbose="error")
    if isinstance(source, Bids):
        files = [
            path for path in source.survey(who)[1].values() if re.search(r"_eeg\.(vhdr|set|edf|bdf|fif)$", path.name)
        ]
        return mne.io.read_raw(files[0], preload=False, verbose="error") if len(files) == 1 else None
    return None


Source = Bids | CndFolder | Recordings | Known
_OURS = ("format", "folder", "participants", "exclude")  # settings that say whom to read, not how


def source_of(study: Study) -> Source:
    """Where the EEG of a study comes from."""
    data, only = study.settings.data, study.settings.sounds.only or None
    if isinstance(data, ManifestData):
        from eegic.datasets.public.fetch import data_root
        from eegic.datasets.public.manifest import load_manifest

        path = study.path(data.manifest)
        manifest = load_manifest(path if path.is_dir() else data.manifest)
        root = data_root(manifest) if data.folder is None else study.path(data.folder)
        return Known(data, manifest, _there(root, f"eegic data fetch {manifest.id}"), only)
    root = _there(study.path(data.folder), "data.folder says where it is")
    if isinstance(data, BidsData):
        return Bids(data, root, sound_folder(study), only)
    return CndFolder(data, root, only) if isinstance(data, CndData) else Recordings(data, root, only)


def sound_folder(study: Study) -> Path | None:
    """Folder of the sound files; None where there is none and none was named."""
    named = study.settings.sounds.folder
    if named is not None:
        return _there(study.path(named), "sounds.folder says where they are")
    data = study.settings.data
    if isinstance(data, ManifestData):
        return None  # it says itself
    usual = None if data.folder is None else study.path(data.folder) / "stimuli"
    return usual if usual is not None and usual.is_dir() else None


def declared(study: Study, source: Source, before: Iterable[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Ids of those who are in the study, and of those who are not, with the reason.

    Who was in it `before` may be left out, though nothing is there any more.
    """
    data = study.settings.data
    there = source.everyone()
    if not there:
        raise FileNotFoundError(f"{study.file}: no participant in {source.root}. {_layout(study)}")
    excluded = {who.removeprefix("sub-"): why for who, why in data.exclude.items()}
    known = dict.fromkeys([*there, *(source.nameless if isinstance(source, Recordings) else ()), *before])
    for who in excluded:
        _checks.one_of(f"{study.file}: data.exclude", who, known)
    if data.participants == "all":
        chosen = there
        _all_named(study, source)
    else:
        chosen = [_known(study, who, there) for who in data.participants]
        _checks.unique_names(f"{study.file}: data.participants", chosen, len(chosen), "participant")
    left = [who for who in chosen if who not in excluded]
    if not left:
        raise ValueError(f"{study.file}: data: nobody is left, of {len(there)} participants. Look at data.exclude.")
    for who in left:
        if not re.fullmatch(_LABEL, who):
            raise ValueError(f"{study.file}: {who!r}: {_ID} Rename the files, or leave them out in data.exclude.")
    return left, excluded


_ID = "expected an id of letters (A to Z) and digits, such as '01'."


def _known(study: Study, who: str, there: list[str]) -> str:
    return _checks.one_of(f"{study.file}: data.participants", who.removeprefix("sub-"), there)


def _all_named(study: Study, source: Source) -> None:
    """Leave nobody out in silence because of how a file is called."""
    if isinstance(source, Recordings) and source.nameless:
        who, path = next(iter(source.nameless.items()))
        raise ValueError(
            f"{study.file}: {path}: {who!r} stands for the participant; {_ID} Rename the file, write data.recordings "
            "so that it does not fit, or list those who are meant in data.participants."
        )


def _there(folder: Path, advice: str) -> Path:
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder}: expected a folder, got {'a file' if folder.exists() else 'nothing'}; {advice}."
        )
    return folder


def _layout(study: Study) -> str:
    data = study.settings.data
    if isinstance(data, FilesData):
        return f"Expected files such as {data.recordings.replace('{participant}', '01')} (ids of letters and digits)."
    return "Expected folders such as sub-01." if isinstance(data, BidsData) else "Expected files such as dataSub1.mat."


def _name(path: Path, root: Path) -> str:
    """What a file is called wherever the data set lies."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
