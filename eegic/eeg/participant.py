"""The nouns of EEG: a trial starts when its sound starts; a participant is trials plus an `mne.Info`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg import stored, stored_participant
from eegic.eeg.epochs import annotated_bad, before_cutting, held_twice

if TYPE_CHECKING:
    import mne

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "nV": 1e-9}
_SCHEMA = "eegic.Participant/1"
_BLOCK, _BLOCKS = 1.0, 16  # seconds within which drift is no matter, and how many of them tell the magnitude
# volts: between the noise of amplifiers and EEG taken a thousand times too large lies the median magnitude of EEG
_TYPICAL, _PLAUSIBLE = 1e-5, (5e-8, 3e-3)


@dataclass(frozen=True, eq=False)
class Trial:
    """One presentation of one sound.

    Attributes
    ----------
    eeg : ndarray of float64, shape (n_times, n_channels)
        Volts; sample 0 is the start of the sound.
    stimulus : str
        Which sound was heard; trials of the same sound carry the same name.
    mask : ndarray of bool, shape (n_times,)
        True where the sample may be used.
    """

    eeg: np.ndarray
    stimulus: str
    mask: np.ndarray

    @property
    def n_times(self) -> int:
        """Number of samples."""
        return len(self.eeg)


@dataclass(frozen=True, eq=False)
class Participant:
    """One listener: trials, and the channels they were recorded with.

    Build it with `from_arrays` or `from_epochs`; `save` and `load` keep it in a file.

    Attributes
    ----------
    name : str
        Identity of the participant, e.g. ``"sub-01"``.
    trials : tuple of Trial
        In the order of presentation.
    info : mne.Info
        Channel names, positions, bad channels and sampling rate.
    history : tuple of str
        What was done to the recording, in order: crops, filters, repairs.
    """

    name: str
    trials: tuple[Trial, ...]
    info: mne.Info
    history: tuple[str, ...] = ()

    @property
    def sfreq(self) -> float:
        """Sampling rate of the EEG in hertz."""
        return float(self.info["sfreq"])

    @property
    def ch_names(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns of each trial."""
        return tuple(self.info["ch_names"])

    @property
    def bads(self) -> tuple[str, ...]:
        """Channels marked as bad."""
        return tuple(self.info["bads"])

    @property
    def stimuli(self) -> tuple[str, ...]:
        """Which sound each trial presented."""
        return tuple(trial.stimulus for trial in self.trials)

    @property
    def eeg(self) -> list[np.ndarray]:
        """EEG of each trial in volts, each of shape (n_times, n_channels); bad channels are NaN throughout.

        What is NaN throughout takes part in nothing and gets NaN as its result. Pass `masks` along: samples that may
        not be used are still there.
        """
        if not self.bads:
            return [trial.eeg for trial in self.trials]
        bad = np.isin(self.ch_names, self.bads)
        return [np.where(bad, np.nan, trial.eeg) for trial in self.trials]

    @property
    def masks(self) -> list[np.ndarray]:
        """Which samples of each trial may be used, each of shape (n_times,)."""
        return [trial.mask for trial in self.trials]

    def only(self, stimuli: str | Iterable[str]) -> Participant:
        """Return the trials of these sounds only.

        Parameters
        ----------
        stimuli : str or iterable of str
            Their names. Each has to be one that was heard.

        Examples
        --------
        >>> eeg = [1e-5 * np.random.default_rng(i).standard_normal((640, 2)) for i in range(3)]
        >>> person = Participant.from_arrays(eeg, ["bach", "holst", "bach"], 64.0, ch_names=["Fz", "Cz"], name="sub-01")
        >>> person.only("bach")
        Participant(sub-01: 2 trials of 1 sounds, 20 s, 2 channels at 64 Hz)
        """
        wanted = {
            _checks.one_of("only", name, dict.fromkeys(self.stimuli))
            for name in ([stimuli] if isinstance(stimuli, str) else stimuli)
        }
        if not wanted:
            raise ValueError(f"{self.name}: only: expected at least one sound, got none.")
        kept = tuple(trial for trial in self.trials if trial.stimulus in wanted)
        if len(kept) == len(self.trials):
            return self
        note = f"{len(self.trials) - len(kept)} of {len(self.trials)} trials left out: other sounds"
        return replace(self, trials=kept, history=(*self.history, note))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one .npz file: arrays, and a JSON text under ``about``. Atomic; nothing is pickled.

        The EEG of trial 0 is ``eeg 0``, in volts and to the last bit. Of `info` that is kept which results keep: names,
        positions, digitised points, bad channels, rate, filters, and whether the reference was changed; who was
        recorded, and when, is not. The same participant gives the same bytes.
        """
        stored.write(path, stored_participant.pack(vars(self)), _SCHEMA, stored_participant.unpack, compress=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Participant:
        """Read what `save` wrote; nothing is unpickled. A file whose parts do not fit each other is refused."""
        fields = stored.read(path, _SCHEMA, stored_participant.unpack)
        return cls(**{**fields, "trials": tuple(_trial(*parts) for parts in fields["trials"])})

    def __repr__(self) -> str:
        """Size of the recording."""
        seconds = sum(trial.n_times for trial in self.trials) / self.sfreq
        bads = f", bad: {', '.join(self.bads)}" if self.bads else ""
        return (
            f"Participant({self.name}: {len(self.trials)} trials of {len(set(self.stimuli))} sounds, {seconds:.0f} s, "
            f"{len(self.ch_names)} channels at {self.sfreq:g} Hz{bads})"
        )

    @classmethod
    def from_arrays(
        cls,
        eeg: Iterable[object],
        stimuli: Iterable[str],
        sfreq: float,
        *,
        ch_names: Sequence[str] | None = None,
        montage: str | mne.channels.DigMontage | None = None,
        masks: Iterable[object] | None = None,
        bads: Sequence[str] = (),
        unit: str = "V",
        on_nan: str = "raise",
        name: str = "participant",
        history: Sequence[str] = (),
    ) -> Participant:
        """Build a participant from one array per trial.

        Parameters
        ----------
        eeg : iterable of array_like, each of shape (n_times, n_channels)
            One per trial, starting when the sound starts; lengths may differ.
        stimuli : iterable of str
            Which sound each trial presented.
        sfreq : float
            Sampling rate in hertz.
        ch_names : sequence of str, optional
            By default the names of `montage` when it has as many channels, otherwise ``EEG001``, ``EEG002``, ...
        montage : str or mne.channels.DigMontage, optional
            Electrode positions, or the name of a standard montage such as ``"biosemi64"``.
        masks : iterable of array_like of bool, each of shape (n_times,), optional
            True where a sample may be used.
        bads : sequence of str
            Channels to mark as bad.
        unit : {"V", "mV", "uV", "µV", "nV"}
            Unit of `eeg`. Inside, everything is volts.
        on_nan : {"raise", "mask"}
            What to do with samples that are NaN in some but not all channels of a trial: refuse them, or leave those
            samples out through the mask. A channel that is NaN throughout a trial must be named in `bads`.
        name : str
            Identity of the participant.
        history : sequence of str
            What was done to the recording before.

        Returns
        -------
        Participant
            `history` counts the samples that NaN cost each trial.

        Warns
        -----
        UserWarning
            When the median magnitude of the EEG within a second is above 3 mV or below 50 nV, as in the wrong unit.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> eeg = [10 * rng.standard_normal((640, 3)), 10 * rng.standard_normal((512, 3))]
        >>> Participant.from_arrays(eeg, ["bach", "holst"], 64.0, ch_names=["Fz", "Cz", "Pz"], unit="uV", name="sub-01")
        Participant(sub-01: 2 trials of 2 sounds, 18 s, 3 channels at 64 Hz)
        """
        sfreq = _checks.positive("sfreq", sfreq, "hertz")
        _checks.one_of("unit", unit, VOLTS)
        _checks.one_of("on_nan", on_nan, ("raise", "mask"))
        if isinstance(stimuli, str):
            raise TypeError(f"{name}: expected one stimulus per trial, got the text {stimuli!r}. Write [{stimuli!r}].")
        # in order, whatever they come in: a pandas Series counts by label, a generator not at all
        stimuli, masks, arrays = list(stimuli), None if masks is None else list(masks), []
        for i, given in enumerate(eeg):
            arrays.append(_checks.real_array(f"{name}, trial {i}", given, 2, axes="(n_times, n_channels)"))
            if unit != "V":
                arrays[-1] *= VOLTS[unit]
        if not arrays:
            raise ValueError(f"{name}: expected at least one trial, got none. Give one array per trial.")
        if len(stimuli) != len(arrays):
            raise ValueError(f"{name}: expected one stimulus per trial ({len(arrays)}), got {len(stimuli)}.")
        if masks is not None and len(masks) != len(arrays):
            raise ValueError(f"{name}: expected one mask per trial ({len(arrays)}), got {len(masks)}.")
        sizes = {array.shape[1] for array in arrays}
        if len(sizes) > 1:
            raise ValueError(
                f"{name}: every trial needs the same channels, got {sorted(sizes)} channels. Arrays are "
                "(n_times, n_channels): transpose them if need be."
            )
        if all(array.shape[1] > array.shape[0] > 0 for array in arrays):
            raise ValueError(
                f"{name}: expected (n_times, n_channels), got shape {arrays[0].shape}: more channels than samples. "
                "Transpose the arrays."
            )
        info = _info(ch_names, montage, sizes.pop(), sfreq, bads, name)
        keep = [i for i, channel in enumerate(info["ch_names"]) if channel not in info["bads"]]
        if not keep:
            raise ValueError(f"{name}: every channel is in `bads`. Keep one, or leave the participant out.")
        trials, notes = [], list(history)
        for i, array in enumerate(arrays):
            mask = np.ones(len(array), bool) if masks is None else _mask(masks[i], len(array), f"{name}, trial {i}")
            good = array if len(keep) == array.shape[1] else array[:, keep]
            gaps = _gaps(good, [info["ch_names"][k] for k in keep], f"{name}, trial {i}", on_nan)
            trials.append(_trial(array, stimuli[i], mask & ~gaps))
            if (n_gaps := int((mask & gaps).sum())) > 0:
                notes.append(f"trial {i} ({stimuli[i]}): {n_gaps} samples masked, NaN in a channel")
        _warn_if_not_volts(trials, keep, sfreq, unit, name)
        return cls(name, tuple(trials), info, tuple(notes))

    @classmethod
    def from_epochs(
        cls,
        epochs: mne.Epochs,
        stimuli: Iterable[str] | None = None,
        *,
        durations: Mapping[str, float] | None = None,
        on_nan: str = "raise",
        name: str = "participant",
    ) -> Participant:
        """Build a participant from `mne.Epochs` whose time zero is the start of the sound.

        Parameters
        ----------
        epochs : mne.Epochs
            EEG channels are taken, others left; samples before time zero are dropped. Stretches annotated ``BAD_...``
            are masked, and so is, in the later of two epochs that overlap, what the earlier one holds. Projections that
            are not yet applied, such as an average reference, are applied.
        stimuli : iterable of str, optional
            Which sound each epoch presented; by default the name of its event.
        durations : dict of str to float, optional
            Seconds to keep of the trials of a sound, for sounds shorter than the epochs. Every sound it names must be
            one of this participant's.
        on_nan : {"raise", "mask"}
            As in `from_arrays`.
        name : str
            Identity of the participant.

        Returns
        -------
        Participant
            `history` says what the epochs had been through: baseline, filters, projections, epochs dropped, and what
            was left out around the sounds.
        """
        _check_epochs(epochs, name)
        epochs = epochs.copy().load_data()  # drops what is to be dropped, before anything is counted
        if not len(epochs):
            raise ValueError(f"{name}: no epoch is left. `epochs.drop_log` says why each was dropped.")
        epochs.apply_proj(verbose="error").pick("eeg", exclude=())
        history = before_cutting(epochs)
        sfreq = float(epochs.info["sfreq"])
        if epochs.tmin > 0.5 / sfreq or epochs.tmax < 0:
            raise ValueError(
                f"{name}: expected epochs that contain time zero, the start of the sound, but they run from "
                f"{epochs.tmin:g} to {epochs.tmax:g} s. Cut them with tmin <= 0."
            )
        if stimuli is None:
            label = {code: event for event, code in epochs.event_id.items()}
            stimuli = [label[code] for code in epochs.events[:, 2]]
        stimuli = list(stimuli)
        if len(stimuli) != len(epochs):
            raise ValueError(
                f"{name}: expected one stimulus per epoch ({len(epochs)}), got {len(stimuli)}. Epochs may have been "
                "dropped: `epochs.selection` lists those that are left."
            )
        onset = int(np.argmin(np.abs(epochs.times)))
        data = epochs.get_data(copy=False).transpose(0, 2, 1)[:, onset:]
        usable = ~annotated_bad(epochs)[:, onset:]
        durations = _durations(durations, stimuli, name)
        lengths = [_length(s, data.shape[1], sfreq, durations, name) for s in stimuli]
        for sound, n in dict(zip(stimuli, lengths, strict=True)).items():
            if n < data.shape[1]:
                history.append(f"{(data.shape[1] - n) / sfreq:.3f} s after {sound} left out")
        trials = [trial[:n] for trial, n in zip(data, lengths, strict=True)]
        masks = [mask[:n] for mask, n in zip(usable, lengths, strict=True)]
        for number, other, shared in held_twice(trials, epochs.events[:, 0]):
            masks[number][shared] = False
            twice = f"trial {number} ({stimuli[number]}): {(shared.stop - shared.start) / sfreq:.3f} s masked, which "
            history.append(f"{twice}trial {other} holds")
            warnings.warn(
                f"{name}, {twice}trial {other} ({stimuli[other]}) holds: the epochs overlap. Give `durations`, or cut "
                "shorter epochs.",
                stacklevel=2,
            )
        person = cls.from_arrays(
            trials,
            stimuli,
            sfreq,
            ch_names=epochs.ch_names,
            montage=epochs.get_montage(),
            masks=masks,
            bads=epochs.info["bads"],
            on_nan=on_nan,
            name=name,
            history=history,
        )
        return replace(person, info=as_recorded(person.info, epochs.info))


def electrode_positions(montage: str | mne.channels.DigMontage) -> mne.channels.DigMontage:
    """Return a montage, or the standard one of this name."""
    import mne

    if isinstance(montage, mne.channels.DigMontage):
        return montage
    if not isinstance(montage, str):
        raise TypeError(
            f"montage: expected the name of a standard montage or a DigMontage, got {type(montage).__name__}. "
            "`mne.channels.make_dig_montage(ch_pos)` makes one of positions."
        )
    try:
        return mne.channels.make_standard_montage(montage)
    except ValueError:
        # asked only now: mne also reads older names that it no longer lists, such as standard_1020
        _checks.one_of("montage", montage, mne.channels.get_builtin_montages())
        raise


def _check_epochs(epochs: object, name: str) -> None:
    import mne

    if not isinstance(epochs, mne.BaseEpochs):
        raise TypeError(
            f"{name}: expected mne.Epochs, got {type(epochs).__name__}. Cut a recording at its sounds: "
            "`mne.Epochs(raw, events, event_id, tmin=0, tmax=..., baseline=None)`."
        )
    kinds = epochs.get_channel_types(unique=True)
    if "eeg" not in kinds:
        raise ValueError(
            f"{name}: expected EEG channels, got channels of type {', '.join(kinds)}. Say which hold EEG: "
            "`epochs.set_channel_types({name: 'eeg'})`."
        )


def _durations(durations: object, stimuli: Sequence[str], name: str) -> Mapping[str, float]:
    if durations is None:
        return {}
    if not isinstance(durations, Mapping):
        raise TypeError(
            f"{name}: durations: expected a dictionary from sound to seconds, got {type(durations).__name__}. "
            "Write {'bach': 25.0}."
        )
    for sound in durations:
        _checks.one_of(f"{name}: durations", sound, dict.fromkeys(stimuli))
    return durations


def _info(
    ch_names: Sequence[str] | None,
    montage: str | mne.channels.DigMontage | None,
    n_channels: int,
    sfreq: float,
    bads: str | Sequence[str],
    name: str,
) -> mne.Info:
    import mne

    positions = None if montage is None else electrode_positions(montage)
    if ch_names is None and positions is not None and len(positions.ch_names) == n_channels:
        ch_names = positions.ch_names
    elif ch_names is None:
        ch_names = [f"EEG{i:03d}" for i in range(1, n_channels + 1)]
    ch_names = _checks.unique_names(f"{name}: ch_names", ch_names, n_channels, "channel")
    bads = [bads] if isinstance(bads, str) else list(bads)
    for bad in bads:
        _checks.one_of(f"{name}: bads", bad, ch_names)
    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    if positions is not None:
        info.set_montage(positions, on_missing="ignore", verbose="error")
    info["bads"] = bads
    return info


def _trial(eeg: np.ndarray, stimulus: str, mask: np.ndarray) -> Trial:
    """A trial whose arrays cannot be changed."""
    if not isinstance(stimulus, str) or not stimulus:
        raise TypeError(
            f"stimuli: expected the name of a sound, got {stimulus!r} ({type(stimulus).__name__}). Write a text."
        )
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, stimulus, mask)


def _mask(mask: object, n_times: int, where: str) -> np.ndarray:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != (n_times,):
        raise ValueError(f"{where}: expected a boolean mask of {n_times} samples, got {array.dtype} {array.shape}.")
    return array


def _gaps(eeg: np.ndarray, ch_names: Sequence[str], where: str, on_nan: str) -> np.ndarray:
    """Return the samples at which a good channel is NaN, or raise."""
    if not len(eeg):
        raise ValueError(f"{where}: expected samples, got none. Leave the trial out.")
    if not np.isfinite(eeg).any():
        raise ValueError(f"{where}: every channel is NaN or infinite throughout. Leave the trial out.")
    for wrong, word in ((np.isinf(eeg), "infinite"), (np.isnan(eeg), "NaN")):
        channels = np.flatnonzero(wrong.any(axis=0))
        whole = np.flatnonzero(wrong.all(axis=0))
        if len(whole):
            raise ValueError(f"{where}: channel {ch_names[whole[0]]} is {word} throughout. List it in `bads`.")
        if len(channels) and (word == "infinite" or on_nan == "raise"):
            first = int(np.argmax(wrong[:, channels[0]]))
            remedy = (
                "Pass on_nan='mask' to leave those samples out." if word == "NaN" else "Repair the recording first."
            )
            raise ValueError(
                f"{where}: channel {ch_names[channels[0]]} has {int(wrong[:, channels[0]].sum())} {word} samples, the "
                f"first at sample {first} ({len(channels)} channels affected). {remedy}"
            )
    gaps: np.ndarray = np.isnan(eeg).any(axis=1)
    return gaps


def _warn_if_not_volts(trials: Sequence[Trial], keep: Sequence[int], sfreq: float, unit: str, name: str) -> None:
    sizes = [size for trial in trials for size in _magnitudes(trial, keep, sfreq)]
    size = float(np.median(sizes)) if sizes else 0.0
    if size and not _PLAUSIBLE[0] <= size <= _PLAUSIBLE[1]:
        likely = min(VOLTS, key=lambda other: abs(np.log10(size / VOLTS[unit] * VOLTS[other] / _TYPICAL)))
        warnings.warn(
            f"{name}: the median magnitude of the EEG is {size:.2g} V; EEG lies near 1e-5 V. "
            + (f"Name the unit of the data, e.g. unit={likely!r}." if likely != unit else "Scale the data to volts."),
            stacklevel=3,
        )


def _magnitudes(trial: Trial, keep: Sequence[int], sfreq: float) -> list[float]:
    """Median distance from the median in some of the seconds of a trial."""
    block = max(8, round(_BLOCK * sfreq))
    starts = np.arange(0, max(1, trial.n_times - block + 1), block)
    sizes = []
    for start in starts[:: -(-len(starts) // _BLOCKS)]:
        some = trial.eeg[start : start + block, keep][trial.mask[start : start + block]]
        if len(some):
            sizes.append(float(np.median(np.abs(some - np.median(some, axis=0)))))
    return sizes


def as_recorded(info: mne.Info, recorded: mne.Info) -> mne.Info:
    """The info with what the recording says of its reference and filters."""
    info = info.copy()
    with info._unlock():
        for key in ("custom_ref_applied", "highpass", "lowpass"):
            info[key] = recorded[key]
    return info


def _length(stimulus: str, n_times: int, sfreq: float, durations: Mapping[str, float], name: str) -> int:
    if stimulus not in durations:
        return n_times
    wanted = round(_checks.positive(f"durations[{stimulus!r}]", durations[stimulus], "seconds") * sfreq)
    if wanted > n_times + 1:
        raise ValueError(
            f"{name}: {stimulus} lasts {durations[stimulus]:.2f} s but its epoch ends {n_times / sfreq:.2f} s after "
            "the sound starts. Cut longer epochs (tmax), or shorten the duration."
        )
    return min(wanted, n_times)
