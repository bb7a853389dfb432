"""A whole study with known truth: melodies, their sound, and EEG that answers to both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.datasets import listener, scalp, seeds
from eegic.datasets.grammar import MelodyGrammar
from eegic.datasets.melody import KINDS, Melody
from eegic.datasets.synthesis import TIMBRES, synthesise
from eegic.datasets.truth import Study, Truth
from eegic.eeg.participant import Participant
from eegic.features import envelope
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import mne

LOWEST_SFREQ = 32.0  # hertz; the background reaches up to 15
_DISTINCT_ATTEMPTS = 100
_UNITS = {
    "surprisal_effect": "SDs of the response to the envelope",
    "snr": "variances of the background",
    "drift": "SDs of the background",
    "blinks": "blinks per minute",
}


def simulate_study(
    n_participants: int = 8,
    n_stimuli: int = 8,
    duration: float = 30.0,
    *,
    n_presentations: int = 1,
    surprisal_effect: float = 0.5,
    snr: float = 0.02,
    surprisal: str = "both",
    rhythm: str = "isochronous",
    timbre: str | Sequence[str] = "piano",
    second_voice: bool = False,
    montage: str | mne.channels.DigMontage = "biosemi64",
    n_channels: int | None = None,
    sfreq: float = 64.0,
    drift: float = 0.0,
    blinks: float = 0.0,
    rng: int | np.random.Generator | None = None,
    progress: bool = True,
) -> Study:
    """Simulate participants who listen to melodies of known surprisal.

    Parameters
    ----------
    n_participants, n_stimuli : int
        Size of the study.
    duration : float
        Length of each melody in seconds, at least a bar (1.6 s); it is lengthened to a whole number of EEG samples.
    n_presentations : int
        How often each participant hears each melody.
    surprisal_effect : float
        SD of the response to surprisal relative to that of the response to the envelope; 0 for no response at all.
    snr : float
        Variance of the response to the envelope over the variance of the background, each averaged over channels, for
        the typical participant; 0 for EEG that does not answer to sound. With 0.02 the correlation of response and
        EEG is about 0.14 on an average channel, and more where the response is centred.
    surprisal : {"both", "pitch", "timing"}
        Which surprisal the EEG answers to.
    rhythm : {"isochronous", "free"}
        Rhythm of the melodies; see `MelodyGrammar`.
    timbre : str or sequence of str
        Instrument of `synthesise`; several are used in turn.
    second_voice : bool
        True adds a bass to the sound.
    montage : str or mne.channels.DigMontage
        Electrode positions, or the name of a standard montage.
    n_channels : int, optional
        A well-spread choice of so many electrodes; by default all.
    sfreq : float
        Sampling rate of the EEG in hertz, 32 or more.
    drift : float
        SD of a slow drift (random walk) within each trial, relative to that of the background; 0 for none.
    blinks : float
        Blinks per minute, about 100 µV at the forehead; 15 would be usual, 0 for none.
    rng : int, Generator or None
        Seed. Each participant, melody and trial has draws of its own, which depend on the seed and on its name only:
        participants and trials stay the same when a study grows.
    progress : bool
        True shows a progress bar, in a terminal only.

    Returns
    -------
    Study

    Notes
    -----
    Per channel, ``eeg[t] = Σ_k envelope[t - k] kernel_1[k] + Σ_k surprisal[t - k] kernel_2[k] + noise[t]`` with nothing
    before the start of the sound. The kernels are differences of Gaussians with peaks near +100 and -200 ms (envelope)
    and +200 and -290 ms (surprisal); participants differ in latency (SD 10 ms), gain and amount of noise (log-normal).
    The background has a 1/f spectrum from 0.5 to 15 Hz and an alpha peak over the back of the head.

    Surprisal is never negative, so the response to it contains one to its mean, that is to note onsets. To ask about
    surprisal alone, put ``study.onsets`` into the baseline.

    Examples
    --------
    >>> study = simulate_study(2, 3, duration=10, n_channels=16, rng=0)
    >>> study
    Study(2 participants x 3 trials of 3 melodies, 16 channels at 64 Hz, snr 0.02, surprisal effect 0.5, seed 0)
    >>> study.participants[0]
    Participant(sub-01: 3 trials of 3 sounds, 30 s, 16 channels at 64 Hz)
    >>> study.truth.kernels["sub-01"].shape
    (2, 27, 16)
    """
    n_participants = _checks.count("n_participants", n_participants)
    n_stimuli = _checks.count("n_stimuli", n_stimuli)
    n_presentations = _checks.count("n_presentations", n_presentations)
    duration = _checks.positive("duration", duration, "seconds")
    timbres = _timbres(timbre)
    _check_sizes(surprisal_effect=surprisal_effect, snr=snr, drift=drift, blinks=blinks)
    _check_clock(sfreq)
    duration = _whole_samples(duration, sfreq)
    _check_surprisal(surprisal, rhythm, surprisal_effect)
    ch_names, directions = scalp.electrodes(montage, n_channels)
    seed = _checks.seed(rng)

    grammar = MelodyGrammar(rhythm=rhythm)
    melodies = _melodies(grammar, n_stimuli, duration, seed)
    audio = {
        name: synthesise(melody, timbre=timbres[i % len(timbres)], second_voice=second_voice, name=name)
        for i, (name, melody) in enumerate(melodies.items())
    }
    envelopes = {name: envelope(sound, sfreq).resample(sfreq, duration=duration) for name, sound in audio.items()}
    surprisals = {name: _impulses(melody.surprisal(surprisal), sfreq, duration) for name, melody in melodies.items()}
    onsets = {name: _impulses(_ones(melody), sfreq, duration) for name, melody in melodies.items()}

    sound = {name: envelopes[name].stack(surprisals[name]) for name in melodies}
    brain = listener.Brain.scaled([x.values for x in sound.values()], sfreq, directions, snr, surprisal_effect)
    listeners = [listener.Listener.draw(f"sub-{i + 1:02d}", seed) for i in range(n_participants)]
    participants = []
    for person in _progress(listeners, progress):
        order = _order(melodies, n_presentations, person.name, seed)
        eeg = []
        for name, presentation in order:
            random = partial(seeds.generator, seed, person.name, name, presentation)
            eeg.append(brain.eeg(person, sound[name].values, random, drift=drift, blinks=blinks))
        stimuli = [name for name, _ in order]
        participants.append(
            Participant.from_arrays(eeg, stimuli, sfreq, ch_names=ch_names, montage=montage, name=person.name)
        )
    truth = Truth(
        features=sound["melody-01"].names,
        lags=brain.lags,
        kernels={person.name: brain.kernels(person) for person in listeners},
        topographies=brain.topographies,
        noise_sd={person.name: person.noise_sd for person in listeners},
        snr=float(snr),
        surprisal_effect=float(surprisal_effect),
        seed=seed,
    )
    return Study(tuple(participants), grammar, melodies, audio, envelopes, surprisals, onsets, truth)


def _timbres(timbre: str | Sequence[str]) -> list[str]:
    timbres = [timbre] if isinstance(timbre, str) else list(timbre)
    if not timbres:
        raise ValueError(f"timbre: expected one or more of {', '.join(TIMBRES)}, got none.")
    return [_checks.one_of("timbre", one, TIMBRES) for one in timbres]


def _check_sizes(**sizes: float) -> None:
    for name, size in sizes.items():
        if _checks.finite(name, size, _UNITS[name]) < 0:
            raise ValueError(f"{name}: expected 0 or more, got {size:g}. 0 leaves it out.")


def _check_clock(sfreq: float) -> None:
    if _checks.positive("sfreq", sfreq, "hertz") < LOWEST_SFREQ:
        raise ValueError(f"sfreq: expected at least {LOWEST_SFREQ:g} Hz, to hold the background EEG, got {sfreq:g} Hz.")


def _check_surprisal(kind: str, rhythm: str, effect: float) -> None:
    _checks.one_of("surprisal", kind, KINDS)
    if effect and kind == "timing" and rhythm == "isochronous":
        raise ValueError(
            "surprisal: the timing of isochronous melodies holds no surprise to respond to. Pass rhythm='free', or "
            "surprisal_effect=0."
        )


def _whole_samples(duration: float, sfreq: float) -> float:
    """Lengthen a duration to whole samples: between the last sample and the end no note would find its place."""
    return float(np.ceil(round(duration * sfreq, 9)) / sfreq)


def _melodies(grammar: MelodyGrammar, n_stimuli: int, duration: float, seed: int) -> dict[str, Melody]:
    melodies: dict[str, Melody] = {}
    known: set[tuple[bytes, bytes]] = set()
    for name in (f"melody-{i + 1:02d}" for i in range(n_stimuli)):
        for attempt in range(_DISTINCT_ATTEMPTS):
            melody = grammar.sample(duration=duration, rng=seeds.generator(seed, "melody", name, attempt))
            notes = (melody.pitches.tobytes(), melody.onsets.tobytes())
            if notes not in known:
                break
        else:
            raise ValueError(f"n_stimuli: no {n_stimuli} different melodies of {duration:g} s. Give a longer duration.")
        known.add(notes)
        melodies[name] = melody
    return melodies


def _ones(melody: Melody) -> FeatureSeries:
    return FeatureSeries(np.ones(melody.n_notes), melody.onsets, "onset")


def _impulses(notes: FeatureSeries, sfreq: float, duration: float) -> FeatureSeries:
    return notes.resample(sfreq, duration=duration, kind="impulse")


def _order(melodies: dict[str, Melody], n_presentations: int, person: str, seed: int) -> list[tuple[str, int]]:
    """Stimulus and number of presentation of each trial: all melodies in a random order, then all again."""
    names = list(melodies)
    orders = [seeds.generator(seed, "order", person, k).permutation(len(names)) for k in range(n_presentations)]
    return [(names[i], k) for k, order in enumerate(orders) for i in order]


def _progress(listeners: list[listener.Listener], progress: bool) -> Iterable[listener.Listener]:
    from tqdm import tqdm

    # disable=None: silent unless a terminal is watching
    return tqdm(listeners, desc="Simulating EEG", unit="participant", disable=None if progress else True)
