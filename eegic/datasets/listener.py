"""Listeners: how a brain answers to sound, how people differ, and the EEG of one trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eegic import trf
from eegic.datasets import noise, scalp, seeds

NOISE_SD = 10e-6  # volts, of the typical listener
MAX_LAG = 0.4  # seconds
LATENCY_JITTER = 0.01  # seconds, SD over listeners, none beyond two
GAIN_JITTER = 0.25  # SD over listeners of the logarithm of the size of a response
NOISE_JITTER = 0.2  # the same for the background
ALPHA = (10.0, 0.7)  # hertz, mean and SD over listeners, none beyond two


@dataclass(frozen=True)
class Response:
    """A difference of Gaussians over lags, and a hill over the scalp."""

    rise: tuple[float, float]  # seconds: centre and SD of the positive wave
    fall: tuple[float, float]  # the same for the negative wave
    centre: tuple[float, float, float]  # on the scalp: right, front, up
    width: float  # radians

    def course(self, lags: np.ndarray, delay: float) -> np.ndarray:
        """Return the kernel over lags (seconds), both waves `delay` seconds late, shape (n_lags,)."""
        waves = [np.exp(-0.5 * ((lags - delay - centre) / sd) ** 2) for centre, sd in (self.rise, self.fall)]
        return np.asarray(waves[0] - waves[1])


RESPONSES = (  # to the envelope, and to surprisal
    Response(rise=(0.1, 0.022), fall=(0.2, 0.035), centre=(0.0, 0.6, 0.8), width=0.9),
    Response(rise=(0.2, 0.025), fall=(0.29, 0.03), centre=(0.1, 0.0, 1.0), width=0.8),
)


@dataclass(frozen=True)
class Listener:
    """What sets one person apart from the typical one.

    Attributes
    ----------
    name : str
        Identity.
    gains : tuple of float, length n_features
        Factors on the responses.
    delays : tuple of float, length n_features
        Seconds by which the responses come late.
    noise_sd : float
        SD of the background in volts, root mean square over channels.
    alpha : float
        Frequency of the alpha rhythm in hertz.
    """

    name: str
    gains: tuple[float, ...]
    delays: tuple[float, ...]
    noise_sd: float
    alpha: float

    @classmethod
    def draw(cls, name: str, seed: int) -> Listener:
        """Draw the listener of this name."""
        rng = seeds.generator(seed, "listener", name)
        n = len(RESPONSES)
        gains = rng.lognormal(0, GAIN_JITTER, n)
        delays = LATENCY_JITTER * np.clip(rng.standard_normal(n), -2, 2)
        noise_sd = NOISE_SD * rng.lognormal(0, NOISE_JITTER)
        alpha = ALPHA[0] + ALPHA[1] * np.clip(rng.standard_normal(), -2, 2)
        return cls(name, tuple(gains.tolist()), tuple(delays.tolist()), float(noise_sd), float(alpha))


@dataclass(frozen=True, eq=False)
class Brain:
    """What all listeners share.

    Attributes
    ----------
    sfreq : float
        Sampling rate of the EEG in hertz.
    directions : ndarray, shape (n_channels, 3)
        Unit vectors to the electrodes.
    sizes : ndarray, shape (n_features,)
        Volts per unit of each feature, where course and topography are 1.
    """

    sfreq: float
    directions: np.ndarray
    sizes: np.ndarray

    @classmethod
    def scaled(
        cls, sound: Sequence[np.ndarray], sfreq: float, directions: np.ndarray, snr: float, surprisal_effect: float
    ) -> Brain:
        """Choose the sizes of the responses so that, over all sounds, they have the variance asked for.

        Parameters
        ----------
        sound : sequence of ndarray, each of shape (n_times, n_features)
            Envelope and surprisal of each stimulus.
        sfreq, directions
            As above.
        snr : float
            Variance of the response to the envelope over that of the background, for the typical listener.
        surprisal_effect : float
            SD of the response to surprisal over that of the response to the envelope.
        """
        unit = cls(sfreq, directions, np.ones(len(RESPONSES)))
        courses = unit._courses([1, 1], [0, 0])
        variances = np.mean([_answers(x, courses).var(axis=0) for x in sound], axis=0)
        sd = np.sqrt(variances * (unit.topographies**2).mean(axis=1))
        wanted = NOISE_SD * np.sqrt(snr) * np.array([1, surprisal_effect])
        return cls(sfreq, directions, np.divide(wanted, sd, out=np.zeros_like(sd), where=wanted > 0))

    @property
    def lags(self) -> np.ndarray:
        """Seconds by which the EEG follows the sound, those of a model from 0 to 0.4 s, shape (n_lags,)."""
        return np.asarray(trf.lag_range(0.0, MAX_LAG, self.sfreq)) / self.sfreq

    @property
    def topographies(self) -> np.ndarray:
        """Strength of each response at each electrode, shape (n_features, n_channels)."""
        return np.stack([scalp.bump(self.directions, response.centre, response.width) for response in RESPONSES])

    def kernels(self, person: Listener) -> np.ndarray:
        """Return the responses of a listener in volts per unit of feature, shape (n_features, n_lags, n_channels)."""
        return np.asarray(np.einsum("fl,fc->flc", self._courses(person.gains, person.delays), self.topographies))

    def eeg(
        self,
        person: Listener,
        sound: np.ndarray,
        random: Callable[[str], np.random.Generator],
        *,
        drift: float = 0.0,
        blinks: float = 0.0,
    ) -> np.ndarray:
        """Return what is recorded while a sound plays, in volts, shape (n_times, n_channels).

        Parameters
        ----------
        person : Listener
            Who listens.
        sound : ndarray, shape (n_times, n_features)
            Envelope and surprisal.
        random : callable
            Returns this trial's generator of what is named: ``"background"``, ``"drift"`` or ``"blinks"``. Each has its
            own, so one can be left out without changing another.
        drift : float
            SD of the drift over that of the background.
        blinks : float
            Blinks per minute.
        """
        n_times = len(sound)
        eeg: np.ndarray = _answers(sound, self._courses(person.gains, person.delays)) @ self.topographies
        background = noise.background(random("background"), n_times, self.sfreq, self.directions, person.alpha)
        eeg += person.noise_sd * background
        if drift:
            eeg += drift * person.noise_sd * noise.drift(random("drift"), n_times, self.directions)
        if blinks:
            eeg += noise.blinks(random("blinks"), n_times, self.sfreq, self.directions, blinks)
        return eeg

    def _courses(self, gains: Sequence[float], delays: Sequence[float]) -> np.ndarray:
        """Responses at the centre of their topography, shape (n_features, n_lags)."""
        courses = [response.course(self.lags, delay) for response, delay in zip(RESPONSES, delays, strict=True)]
        return np.asarray((np.array(gains) * self.sizes)[:, None] * courses)


def _answers(sound: np.ndarray, courses: np.ndarray) -> np.ndarray:
    """Convolve each feature with its course; before the start of the sound there is nothing, (n_times, n_features)."""
    return np.stack([np.convolve(x, k)[: len(x)] for x, k in zip(sound.T, courses, strict=True)], axis=1)
