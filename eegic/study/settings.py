"""What can stand in a study.toml: every section, every setting, its default and what it is for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from eegic import _checks, _toml

NONE = "none"  # TOML has no word for it
Text = Annotated[str, Field(strict=True)]
SomeText = Annotated[str, Field(strict=True, min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Level = Annotated[float, Field(strict=True, ge=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Flag = Annotated[bool, Field(strict=True)]
Texts = tuple[Text, ...]
SomeTexts = Annotated[Texts, Field(min_length=1)]
Grid = Annotated[tuple[NotNegative, ...], Field(min_length=1)]


class Section(BaseModel):
    """A table of settings: unknown keys are errors, and "none" stands for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        allowed = {key for key, field in cls.model_fields.items() if NoneType in get_args(field.annotation)}
        return {key: None if value == NONE and key in allowed else value for key, value in given.items()}

    def given(self, *without: str) -> dict[str, Any]:
        """Settings as arguments of a function, some of them left out."""
        return {key: getattr(self, key) for key in type(self).model_fields if key not in without}


def _once(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ValueError(f"expected each {what} once, got {_checks.listed(twice)} more than once.")
    return names


class _Data(Section):
    folder: Text = Field(".", description="Where the data set lies, seen from this file.")
    participants: Literal["all"] | Texts = Field("all", description='"all", or a list of ids, in quotes: ["01", "02"].')
    exclude: dict[str, SomeText] = Field({}, description='Who is left out, and why: { "07" = "fell asleep" }.')
    montage: Text | None = Field(
        None, description="Electrode positions by the name of a montage, instead of the files'."
    )
    tolerance: Positive | None = Field(
        None, description="Seconds by which EEG may end before its sound does. none: one sample."
    )
    on_nan: Literal["raise", "mask"] = Field("raise", description="What to do about NaN in the EEG: raise or mask.")


class BidsData(_Data):
    """EEG in a BIDS folder."""

    format: Literal["bids"]
    task: Text | None = Field(None, description="Which task; needed where there are several.")
    session: Text | None = Field(None, description="Which session; none for all.")
    run: Text | None = Field(None, description="Which run; none for all.")
    acquisition: Text | None = Field(None, description="Which acquisition; needed where there are several versions.")
    stimulus_column: Text = Field("stim_file", description="Column of events.tsv that names the sound.")
    trials: Text | None = Field(None, description="A table of trials, for recordings whose events name no sound.")
    sounds: dict[str, Text] = Field(
        {}, description='What started at events that do not say: { "song 1" = "bach" }, by trial_type or value.'
    )


class CndData(_Data):
    """EEG in a CND folder (dataSub1.mat, ..., dataStim.mat)."""

    format: Literal["cnd"]
    unit: Literal["V", "mV", "uV", "µV", "nV"] = Field("uV", description="Unit of the EEG, which CND does not store.")
    external: Texts = Field((), description='External channels to append, such as ["Mastoids"].')
    conditions: Texts = Field((), description="Keep the trials of these conditions only; all if empty.")


class FilesData(_Data):
    """One recording per participant, in any format that MNE opens, and a table of what was heard."""

    format: Literal["files"]
    recordings: Text = Field("{participant}_eeg.fif", description="Recording of a participant, below the folder.")
    trials: Text | None = Field(
        "{participant}_events.tsv",
        description="Table with the columns onset (seconds) and stimulus; none for triggers.",
    )
    triggers: dict[str, Text] = Field({}, description='Sounds by trigger, instead of a table: { "1" = "bach" }.')
    stim_channel: Text | None = Field(
        None, description='Channel that holds the triggers as numbers, such as "Status"; none for annotations.'
    )
    missing: Literal["raise", "drop"] = Field(
        "raise", description="What to do about a sound of triggers that somebody did not get: raise, or drop the trial."
    )
    unit: Literal["V", "mV", "uV", "µV", "nV"] = Field("V", description="Unit of files that do not name theirs.")
    bads: Texts = Field((), description="Channels that are bad in everybody.")
    rename: dict[str, Text] = Field({}, description='New names of channels: { "EEG Fp1-REF" = "Fp1" }.')
    channel_types: dict[str, Text] = Field({}, description='Types that files do not tell: { "EXG1" = "eog" }.')

    @model_validator(mode="after")
    def _one_source(self) -> FilesData:
        if bool(self.triggers) == (self.trials is not None):
            raise ValueError(
                'expected trials (a table) or triggers, one of the two. Write trials = "none" for triggers.'
            )
        words = [code for code in self.triggers if not re.fullmatch(r"-?\d+", code, re.ASCII)]
        if words and self.stim_channel is not None:
            raise ValueError(
                f"triggers: a stim channel holds whole numbers, got {words[0]!r}. "
                "For annotations, leave out stim_channel."
            )
        return self

    @field_validator("recordings")
    @classmethod
    def _per_person(cls, recordings: str) -> str:
        if "{participant}" not in recordings:
            raise ValueError("expected {participant} in it, to know whose file is whose.")
        if PurePath(recordings).is_absolute():
            raise ValueError("expected a path below data.folder. Name the folder there.")
        return recordings


class ManifestData(_Data):
    """A data set that eegic knows by name (`eegic data list`), as it was downloaded."""

    format: Literal["manifest"]
    manifest: Text = Field(description="Its id.")
    folder: Text | None = Field(None, description="Where it lies; none for where `eegic data fetch` puts it.")  # type: ignore[assignment]


Data = Annotated[BidsData | CndData | FilesData | ManifestData, Field(discriminator="format")]


class Sounds(Section):
    """What was played."""

    folder: Text | None = Field(
        None, description="Where the sound files lie, seen from this file; none for stimuli in the folder of the data."
    )
    only: Texts = Field(
        (),
        description="Analyse the trials of these sounds only, by name (path below the folder, no suffix); all if "
        "empty.",
    )
    files: dict[str, Text] = Field({}, description='Files of sounds called otherwise: { "stimulus-01" = "a/b.wav" }.')
    channel: Literal["mean"] | Annotated[int, Field(strict=True, ge=0)] = Field(
        "mean", description="mean of the channels, or the number of one (0 is the left)."
    )


class Envelope(Section):
    """Broadband envelope of the sound."""

    kind: Literal["envelope", "envelope_derivative"]
    method: Literal["hilbert", "gammatone"] = Field("hilbert", description="hilbert, or gammatone: as the ear filters.")


class Onsets(Section):
    """How fast bands of the sound get louder."""

    kind: Literal["onset_strength"]
    n_bands: Count = Field(28, description="Bands of the filter bank.")
    fmin: Positive = Field(50.0, description="Centre of the lowest, in hertz.")
    fmax: Positive = Field(5000.0, description="Centre of the highest, in hertz.")
    floor_db: Number = Field(-60.0, description="What counts as silence, in dB below the loudest.")


class Spectrogram(Section):
    """Envelopes of the bands of a gammatone filter bank."""

    kind: Literal["gammatone_spectrogram"]
    n_bands: Count = Field(28, description="Bands of the filter bank.")
    fmin: Positive = Field(50.0, description="Centre of the lowest, in hertz.")
    fmax: Positive = Field(5000.0, description="Centre of the highest, in hertz.")
    compression: Positive = Field(0.6, description="Exponent of loudness.")


class InformationContent(Section):
    """How surprising each moment of a sound is to a model, one feature per noise level."""

    kind: Literal["ic"]
    model: Text = Field("mini", description="A surprisal model: a file, or a name of `eegic weights`.")
    codec: Text | None = Field(None, description="Its codec; none for the one that the model names.")
    noise: tuple[Level, ...] = Field(
        (0.3,), min_length=1, description="Noise levels, from 0 (every detail) to below 1."
    )
    mode: Literal["fast", "exact", "reference"] = Field("fast", description="fast (with error bars), exact, reference.")
    at: Literal["expectation", "ode"] = Field("expectation", description="Point at a noise level.")
    stamp: Literal["onset", "end", "reference"] = Field("onset", description="Time of a value within its frame.")
    unit: Literal["nats", "bits"] = Field("nats", description="nats or bits.")
    chunk: Literal["reference", "overlap"] = Field("reference", description="How sounds above 60 s are encoded.")
    centre: Flag = Field(True, description="Subtract the mean over a participant's sounds: outside of sounds is 0.")

    @field_validator("noise")
    @classmethod
    def _each_once(cls, noise: tuple[float, ...]) -> tuple[float, ...]:
        if len({f"{level:g}" for level in noise}) < len(noise):
            raise ValueError("expected each level once. They are told apart by six digits.")
        return noise


class Stored(Section):
    """A feature that you bring: one file per sound."""

    kind: Literal["files"]
    files: Text = Field(
        description="FeatureSeries (.npz), or a table (.tsv, .csv) with a column time and one per feature; {stimulus} "
        "stands for the sound."
    )
    columns: Texts = Field((), description="Which features of it; all if empty.")
    placed: Literal["as it is", "impulse", "hold", "linear"] = Field(
        "as it is",
        description="impulse: values at events; hold: until the next; linear; as it is: at the rate of the EEG.",
    )
    centre: Flag = Field(False, description="Subtract the mean over a participant's sounds.")

    @field_validator("files")
    @classmethod
    def _per_sound(cls, files: str) -> str:
        if "{stimulus}" not in files:
            raise ValueError("expected {stimulus} in it, to know which file belongs to which sound.")
        return files


class Shipped(Section):
    """A feature that comes with the EEG (the stimulus file of CND)."""

    kind: Literal["data"]
    columns: Texts = Field(min_length=1, description="Its names in the data set.")
    centre: Flag = Field(False, description="Subtract the mean over a participant's sounds.")


Feature = Annotated[
    Envelope | Onsets | Spectrogram | InformationContent | Stored | Shipped, Field(discriminator="kind")
]
_NAME = re.compile(r"(?! )[\w .-]+(?<! )")  # of a feature; files are called by it


def columns(name: str, feature: Feature) -> list[str]:
    """What is computed on its own of a feature: itself, or itself with each noise level."""
    return [f"{name} {level:g}" for level in feature.noise] if isinstance(feature, InformationContent) else [name]


def _known_columns(name: str, feature: Feature) -> tuple[str, ...] | None:
    """What models call the columns of a feature; None where only its values tell."""
    if isinstance(feature, Shipped):
        return feature.columns
    if isinstance(feature, Stored) and len(feature.columns) != 1:
        return feature.columns or None
    return None if isinstance(feature, Spectrogram) else tuple(columns(name, feature))


class Preprocessing(Section):
    """From recordings to what is analysed; see `preprocess`."""

    skip: Flag = Field(
        False,
        description="true: the recordings are preprocessed already, at the rate sfreq; nothing else below counts.",
    )
    reference: Literal["average", "REST"] | Texts | None = Field(
        "average", description='average, REST, channels such as ["M1", "M2"], or none for that of the recording.'
    )
    l_freq: Positive | None = Field(1.0, description="High-pass in hertz, or none.")
    h_freq: Positive | None = Field(8.0, description="Low-pass in hertz, or none.")
    order: Count = Field(2, description="Of each Butterworth filter, before it is run forwards and backwards.")
    sfreq: Positive = Field(64.0, description="Sampling rate of the analysis in hertz.")
    bad_channels: Literal["find", "keep"] | Texts = Field(
        "find", description="find, keep those marked, or names to add."
    )
    max_sd: Positive = Field(3.0, description="Bad above so many SDs of the typical channel.")
    min_sd: Positive = Field(1 / 6, description="Bad below.")
    min_correlation: Number = Field(0.5, description="Bad where the correlation with neighbours is lower.")
    max_share: Share = Field(0.25, description="Of trials in which a good channel may be unlike its neighbours.")
    interpolate: Flag = Field(True, description="Replace bad channels by what their neighbours say.")
    settle: NotNegative | None = Field(None, description="Seconds by which masked stretches grow; none: by the filter.")
    bridge: Flag = Field(False, description="Let the filter bridge NaN, which stays masked, instead of refusing it.")

    @model_validator(mode="after")
    def _band(self) -> Preprocessing:
        if self.skip:
            return self
        for name, cutoff in (("l_freq", self.l_freq), ("h_freq", self.h_freq)):
            if cutoff is not None and cutoff >= self.sfreq / 2:
                raise ValueError(
                    f"expected {name} below {self.sfreq / 2:g} Hz, half of sfreq, got {cutoff:g}. Lower it, or raise "
                    "sfreq."
                )
        if self.l_freq is not None and self.h_freq is not None and self.l_freq >= self.h_freq:
            raise ValueError(f"expected l_freq below h_freq, got {self.l_freq:g} and {self.h_freq:g}.")
        return self


class Trf(Section):
    """The models; see `cortical_tracking`."""

    baseline: Texts = Field(min_length=1, description="Features that have to be beaten, by the names given above.")
    added: Texts = Field(min_length=1, description="Features whose gain is asked for.")
    models: dict[str, SomeTexts] = Field(
        {},
        description='Which columns a model adds: { both = ["ic 0", "ic 0.3"] }; if empty each is a model of its own.',
    )
    tmin: Number = Field(0.0, description="First lag in seconds; positive means the EEG follows the sound.")
    tmax: Number = Field(0.6, description="Last lag.")
    alphas: Grid | None = Field(None, description="Grid of regularisation; none for the usual one.")
    n_folds: Count | None = Field(None, description="none holds out one sound at a time.")
    gap: NotNegative | None = Field(None, description="Seconds between training and test within one recording.")
    per_channel: Flag = Field(False, description="A regularisation for each channel.")
    penalty: Literal["ridge", "smooth"] = Field("ridge", description="ridge or smooth (along lags).")
    autocorrelation: Positive = Field(1.0, description="Seconds after which EEG has forgotten; for gaps.")
    accept_drift: Flag = Field(False, description="Accept slow drift where the null would be misled by it.")

    @field_validator("baseline", "added")
    @classmethod
    def _each_once(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        return _once(features, "feature")

    @field_validator("models")
    @classmethod
    def _columns_once(cls, models: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {model: _once(columns, "column of a model") for model, columns in models.items()}

    @model_validator(mode="after")
    def _in_order(self) -> Trf:
        if self.tmin >= self.tmax:
            raise ValueError(f"expected tmin below tmax, got {self.tmin:g} and {self.tmax:g}.")
        both = sorted(set(self.baseline) & set(self.added))
        if both:
            raise ValueError(f"{', '.join(both)} stands in baseline and in added, and could add nothing to itself.")
        return self


class Null(Section):
    """What Δr would be by chance; see `cortical_tracking`."""

    kind: Literal["repair", "pseudo", "shift", "events"] = Field(
        "repair", description="repair, pseudo, shift or events: which surrogates of the added features."
    )
    n: Count = Field(1000, description="Surrogates; the smallest p-value is 1 / (n + 1).")
    conditional: Flag = Field(True, description="Exchange only what the baseline does not explain.")
    refit_alpha: Flag = Field(True, description="Search the regularisation anew for each surrogate.")
    unheard: Texts = Field((), description="For pseudo: sounds, by name, that nobody heard.")

    @model_validator(mode="after")
    def _donors(self) -> Null:
        if (self.kind == "pseudo") != bool(self.unheard):
            raise ValueError(
                'kind = "pseudo" and unheard = [...] go together: sounds that nobody heard are its donors.'
            )
        return self


class Group(Section):
    """Participants together; see `group_test` and `mixed_model`."""

    over: Literal["median", "mean"] = Field("median", description="How the channels of a region become one value.")
    n_flips: Count = Field(10_000, description="At most so many sign flips.")
    level: Share = Field(0.05, description="Of significance.")
    regions: dict[str, Texts] = Field({}, description='Channels by region: { front = ["Fz", "FCz"] }.')
    mixed: Text | None = Field(
        "",
        description='Mixed model, such as "corrected ~ 0 + model"; "" for the usual formula, none for no model.',
    )
    allow_missing: Flag = Field(False, description="Go on with those who are there if somebody failed.")


class Report(Section):
    """What is told."""

    about: Text | None = Field(None, description="What the models and the data are; reports open with it.")
    participants: Flag = Field(True, description="A report for each participant, besides that of the group.")


class Output(Section):
    """Where results go."""

    folder: SomeText = Field("results", description="Seen from this file. One study, one folder.")
    store: SomeText | None = Field(
        None, description="Folder of what is computed on the way; none for store in the folder."
    )


class Run(Section):
    """What all computations share."""

    seed: Annotated[int, Field(strict=True, ge=0)] = Field(0, description="Every random draw follows from it.")
    device: Text = Field("auto", description="For models of sound: auto (CUDA if there is one), cpu, cuda or cuda:1.")


class Settings(Section):
    """Everything that a study is."""

    sections: ClassVar[tuple[str, ...]] = (
        "data", "sounds", "features", "preprocessing", "trf", "null", "group", "report", "output", "run",
    )  # fmt: skip
    name: SomeText = Field("study", description="What the data set of the results is called.")
    data: Data
    sounds: Sounds = Sounds.model_validate({})
    features: dict[str, Feature] = Field(min_length=1, description="Expected a table [features.NAME] for each feature.")
    preprocessing: Preprocessing = Preprocessing.model_validate({})
    trf: Trf
    null: Null = Null.model_validate({})
    group: Group = Group.model_validate({})
    report: Report = Report.model_validate({})
    output: Output = Output.model_validate({})
    run: Run = Run.model_validate({})

    @field_validator("features")
    @classmethod
    def _told_apart(cls, features: dict[str, Feature]) -> dict[str, Feature]:
        faults = [
            f"{name!r}: expected letters, digits, spaces, '_', '.' and '-', and no space at either end: files are "
            "called by it. Rename it."
            for name in features
            if not _NAME.fullmatch(name) or name in (".", "..")
        ]
        faults += _alike(features)
        if faults:
            raise ValueError("\n".join(faults))
        return features

    @model_validator(mode="after")
    def _features_known(self) -> Settings:
        faults = [
            f"trf.{side}: {name!r} is no feature. Expected some of {', '.join(self.features)}; a table "
            f"[features.{_toml.name(name)}] would make it one."
            for side in ("baseline", "added")
            for name in getattr(self.trf, side)
            if name not in self.features
        ]
        if isinstance(self.data, (BidsData, FilesData)):
            faults += [
                f'features.{name}: kind = "data" is for CND, whose files hold features.'
                for name, feature in self.features.items()
                if isinstance(feature, Shipped)
            ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @model_validator(mode="after")
    def _columns_known(self) -> Settings:
        of = {name: _known_columns(name, feature) for name, feature in self.used.items()}
        n = Counter(column for own in of.values() for column in own or ())
        faults = [
            f"trf: two columns of the features are called {column!r}. Rename one." for column in n if n[column] > 1
        ]
        added = [of[name] for name in self.trf.added]
        known = [column for own in added for column in own or ()]
        faults += [
            f"trf.models.{model}: {column!r} is no column of what is added: {_checks.listed(known, 12)}."
            for model, own in self.trf.models.items()
            for column in own
            if column not in known and None not in added
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def used(self) -> dict[str, Feature]:
        """Features that the models use."""
        return {name: self.features[name] for name in (*self.trf.baseline, *self.trf.added)}


def _alike(features: dict[str, Feature]) -> Iterator[str]:
    """Features that are called alike, or parts of them, where capitals do not count: on some disks they do not."""
    taken: dict[str, str] = {}
    for name, feature in features.items():
        owners = {taken.setdefault(one.casefold(), name): one for one in (name, *columns(name, feature))}
        for other, one in owners.items():
            if other != name:
                yield f"{other!r} and {name!r} would share the name {one!r}, as capitals do not count. Rename one."
