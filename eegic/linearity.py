"""Does the latent space of a codec add up: is a softer sound a smaller latent, and a mixture a sum of latents?

`homogeneity` scales sounds, `additivity` mixes them. Each asks the encoder (does it turn gains and sums of sounds into
gains and sums of latents?) and the decoder (does it turn those back?).

A codec can be linear but for an offset, the latent of silence z0. With ``recentre=True`` z0 is the origin: latents are
scaled and added as ``z - z0``, and z0 is added again before decoding. Ask both ways: raw scores say what latent
arithmetic gives as it is, recentred ones what its linear part is worth.

Decoding draws noise, and other noise is other sound. Whatever is decoded for one score is decoded with the same seed,
and scores are repeated over several seeds.

A bottleneck that normalises (``layernorm``, as in the public Music2Latent) fixes the size of latents. Its encoder
cannot be homogeneous by construction, and the size of its latents says nothing about loudness.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from eegic import _checks
from eegic.audio import Audio
from eegic.perceptual import WINDOWS, multires_stft

if TYPE_CHECKING:
    import pandas as pd

    from eegic.codec import Codec

T = TypeVar("T")

GAINS = (0.25, 0.5, 0.75, 1.1)


@dataclass(frozen=True, eq=False)
class Homogeneity:
    """How a codec answers to gains. `homogeneity` makes it.

    Attributes
    ----------
    codec : str
        Its name.
    sounds : tuple of str
        Names of the sounds x.
    gains : tuple of float
        The factors a. Nothing is known of others.
    recentred : bool
        Whether the latent of silence was the origin.
    seeds : tuple of int
        Of the noise of each draw.
    encoder_error : ndarray, shape (n_sounds, n_gains)
        ``||Enc(a x) - a Enc(x)|| / ||a Enc(x)||``; 0 for a homogeneous encoder.
    snr_to_decoded : ndarray, shape (n_sounds, n_gains, n_draws)
        Signal-to-noise ratio in decibels of Dec(a z) against a Dec(z), where z = Enc(x); ``inf`` for a homogeneous
        decoder. Unlike `eegic.perceptual.si_sdr`, it hears a wrong gain.
    distance_to_sound : ndarray, shape (n_sounds, n_gains, n_draws)
        `eegic.perceptual.multires_stft` of Dec(a z) from the true a x; lower is better.
    distance_of_reconstruction : ndarray, shape (n_sounds, n_draws)
        The same of Dec(z) from x: what `distance_to_sound` is for a codec that is homogeneous and no better otherwise.
    n_clipped : ndarray of int, shape (n_sounds, n_gains, n_draws)
        Samples of Dec(a z) and Dec(z) at full scale, where decoding clips.
    """

    codec: str
    sounds: tuple[str, ...]
    gains: tuple[float, ...]
    recentred: bool
    seeds: tuple[int, ...]
    encoder_error: np.ndarray
    snr_to_decoded: np.ndarray
    distance_to_sound: np.ndarray
    distance_of_reconstruction: np.ndarray
    n_clipped: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """All scores as a tidy table: one row per sound, gain and draw, with the seed of the draw."""
        import pandas as pd

        shape = self.snr_to_decoded.shape
        sound, gain, draw = (axis.ravel() for axis in np.indices(shape))
        columns = {
            "codec": self.codec,
            "recentred": self.recentred,
            "sound": np.asarray(self.sounds)[sound],
            "gain": np.asarray(self.gains)[gain],
            "seed": np.asarray(self.seeds)[draw],
            "encoder_error": self.encoder_error[sound, gain],
            "snr_to_decoded": self.snr_to_decoded.ravel(),
            "distance_to_sound": self.distance_to_sound.ravel(),
            "distance_of_reconstruction": self.distance_of_reconstruction[sound, draw],
            "n_clipped": self.n_clipped.ravel(),
        }
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        """Size, and the range of the scores."""
        gains = ", ".join(f"{gain:g}" for gain in self.gains)
        return (
            f"Homogeneity({self.codec}{', recentred' * self.recentred}, {_counted(len(self.sounds), 'sound')} at gains "
            f"{gains}, {_counted(len(self.seeds), 'draw')}: encoder error {_range(self.encoder_error)}; decoder "
            f"{_range(self.snr_to_decoded)} dB)"
        )


@dataclass(frozen=True, eq=False)
class Additivity:
    """How a codec answers to mixtures. `additivity` makes it.

    Attributes
    ----------
    codec : str
        Its name.
    pairs : tuple of (str, str)
        Names of the sounds u and v.
    recentred : bool
        Whether the latent of silence was the origin.
    seeds : tuple of int
        Of the noise of each draw.
    encoder_error : ndarray, shape (n_pairs,)
        ``||Enc(u + v) - Enc(u) - Enc(v)|| / ||Enc(u) + Enc(v)||``; 0 for an additive encoder.
    distance_to_decoded : ndarray, shape (n_pairs, n_draws)
        `eegic.perceptual.multires_stft` of Dec(Enc(u) + Enc(v)) from Dec(Enc(u + v)); lower is better.
    distance_to_sound : ndarray, shape (n_pairs, n_draws)
        The same of Dec(Enc(u) + Enc(v)) from the true u + v.
    distance_of_reconstruction : ndarray, shape (n_pairs, n_draws)
        The same of Dec(Enc(u + v)) from the true u + v: what `distance_to_sound` is for a codec that is additive and no
        better otherwise.
    n_clipped : ndarray of int, shape (n_pairs, n_draws)
        Samples of both decoded sounds at full scale, where decoding clips.
    """

    codec: str
    pairs: tuple[tuple[str, str], ...]
    recentred: bool
    seeds: tuple[int, ...]
    encoder_error: np.ndarray
    distance_to_decoded: np.ndarray
    distance_to_sound: np.ndarray
    distance_of_reconstruction: np.ndarray
    n_clipped: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """All scores as a tidy table: one row per pair and draw, with the seed of the draw."""
        import pandas as pd

        pair, draw = (axis.ravel() for axis in np.indices(self.distance_to_decoded.shape))
        columns = {
            "codec": self.codec,
            "recentred": self.recentred,
            "first": np.asarray(self.pairs)[pair, 0],
            "second": np.asarray(self.pairs)[pair, 1],
            "seed": np.asarray(self.seeds)[draw],
            "encoder_error": self.encoder_error[pair],
            "distance_to_decoded": self.distance_to_decoded.ravel(),
            "distance_to_sound": self.distance_to_sound.ravel(),
            "distance_of_reconstruction": self.distance_of_reconstruction.ravel(),
            "n_clipped": self.n_clipped.ravel(),
        }
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        """Size, and the range of the scores."""
        return (
            f"Additivity({self.codec}{', recentred' * self.recentred}, {_counted(len(self.pairs), 'pair')}, "
            f"{_counted(len(self.seeds), 'draw')}: encoder error {_range(self.encoder_error)}; decoder distance "
            f"{_range(self.distance_to_decoded)} to decoded mixtures, {_range(self.distance_to_sound)} to true ones)"
        )


def homogeneity(
    codec: Codec,
    sounds: Audio | Sequence[Audio],
    *,
    gains: Iterable[float] = GAINS,
    recentre: bool = False,
    n_draws: int = 3,
    rng: int | np.random.Generator | None = 0,
) -> Homogeneity:
    """Ask whether scaled sounds are scaled latents, and scaled latents scaled sounds.

    Parameters
    ----------
    codec : Codec
        Or anything that has its `encode`, `decode`, `name`, `config.sfreq` and `config.overhang`.
    sounds : Audio or sequence of Audio
        Averaged over channels and resampled to the rate of the codec. None is silent, and none passes full scale at the
        largest gain.
    gains : iterable of float
        Positive factors. A codec is homogeneous at best at those it was trained with.
    recentre : bool
        Take the latent z0 of as much silence as the origin: the encoder is asked for ``Enc(x) - z0``, the decoder is
        given ``z0 + a (z - z0)``.
    n_draws : int
        How often to decode everything, with other noise. Each draw decodes a sound once, and once per gain.
    rng : int, numpy.random.Generator or None
        Draw k decodes with the seed ``rng + k``; a generator or None chooses the first seed.

    Returns
    -------
    Homogeneity

    Warns
    -----
    UserWarning
        If decoded sounds reach full scale, where decoding clips: that is not linear, whatever the networks do.

    Notes
    -----
    Scores leave out the first and the last `config.overhang` samples of decoded sounds, which fade.

    The decoder's own answer to silence is not subtracted: it is part of what one hears.

    Examples
    --------
    >>> from eegic import Codec, CodecConfig
    >>> small = CodecConfig(8000, 64, 16, channels=(8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)
    >>> noise = Audio(0.1 * np.random.default_rng(0).standard_normal(4000), 8000, "noise")
    >>> result = homogeneity(Codec.untrained(small), noise, gains=[0.5, 1.0], n_draws=1)
    >>> result.encoder_error[:, 1], result.snr_to_decoded[:, 1]
    (array([0.]), array([[inf]]))
    >>> bool(result.encoder_error[0, 0] > 0.5)  # the normalised latent of half the sound is not half the latent
    True
    """
    _check_codec(codec)
    factors = _gains(gains)
    origin = _checks.flag("recentre", recentre)
    seeds = _seeds(rng, n_draws)
    several = [sounds] if isinstance(sounds, Audio) else _several("sounds", sounds, "[audio, ...]")
    prepared = [_prepared(codec, f"sounds[{i}]", sound) for i, sound in enumerate(several)]
    for sound in prepared:
        _check_peak(sound, max(factors))
    shape = (len(prepared), len(factors), len(seeds))
    error, to_sound, snr, reconstruction = (np.empty(s) for s in (shape[:2], shape, shape, shape[::2]))
    clipped = np.empty(shape, dtype=int)
    for i, sound in enumerate(prepared):
        z0 = _origin(codec, sound, origin)
        z = _encoded(codec, sound) - z0
        error[i] = [_relative_error(_encoded(codec, _scaled(sound, a)) - z0, a * z) for a in factors]
        for k, seed in enumerate(seeds):
            x, whole, n_whole = _reconstructed(codec, z0 + z, seed, sound)
            reconstruction[i, k] = multires_stft(x, whole)
            for j, a in enumerate(factors):
                scaled, n_scaled = _decoded(codec, z0 + a * z, seed)
                snr[i, j, k] = _snr(a * whole, scaled)
                to_sound[i, j, k] = multires_stft(a * x, scaled)
                clipped[i, j, k] = n_whole + n_scaled
    names = tuple(sound.name for sound in prepared)
    _warn_of_clipping(names, clipped)
    return Homogeneity(codec.name, names, factors, origin, seeds, error, snr, to_sound, reconstruction, clipped)


def additivity(
    codec: Codec,
    pairs: Sequence[tuple[Audio, Audio]],
    *,
    recentre: bool = False,
    n_draws: int = 3,
    rng: int | np.random.Generator | None = 0,
) -> Additivity:
    """Ask whether mixtures are sums of latents, and sums of latents mixtures.

    Parameters
    ----------
    codec : Codec
        Or anything that has its `encode`, `decode`, `name`, `config.sfreq` and `config.overhang`.
    pairs : sequence of (Audio, Audio)
        Sounds of one length, averaged over channels and resampled to the rate of the codec. None is silent, and no sum
        is silent or passes full scale.
    recentre : bool
        Take the latent z0 of as much silence as the origin: the encoder is asked for ``Enc(x) - z0``, the decoder is
        given ``Enc(u) + Enc(v) - z0``.
    n_draws : int
        How often to decode everything, with other noise. Each draw decodes twice per pair.
    rng : int, numpy.random.Generator or None
        Draw k decodes with the seed ``rng + k``; a generator or None chooses the first seed.

    Returns
    -------
    Additivity

    Warns
    -----
    UserWarning
        If decoded sounds reach full scale, where decoding clips: that is not linear, whatever the networks do.

    Notes
    -----
    Scores leave out the first and the last `config.overhang` samples of decoded sounds, which fade.

    A decoder that ignores its latents is near to itself: read `distance_to_decoded` beside `distance_to_sound`.

    Examples
    --------
    >>> from eegic import Codec, CodecConfig
    >>> small = CodecConfig(8000, 64, 16, channels=(8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal((2, 4000))
    >>> u, v = Audio(noise[0], 8000, "u"), Audio(noise[1], 8000, "v")
    >>> additivity(Codec.untrained(small), [(u, v)], n_draws=2).to_frame()[["first", "second", "seed"]]
      first second  seed
    0     u      v     0
    1     u      v     1
    """
    _check_codec(codec)
    origin = _checks.flag("recentre", recentre)
    seeds = _seeds(rng, n_draws)
    several = _several("pairs", pairs, "[(u, v), ...]")
    prepared = [_prepared_pair(codec, f"pairs[{i}]", pair) for i, pair in enumerate(several)]
    shape = (len(prepared), len(seeds))
    error, to_decoded, to_sound, reconstruction = (np.empty(s) for s in (shape[:1], shape, shape, shape))
    clipped = np.empty(shape, dtype=int)
    for i, (u, v, mixture) in enumerate(prepared):
        z0 = _origin(codec, mixture, origin)
        z, z_sum = _encoded(codec, mixture) - z0, _encoded(codec, u) + _encoded(codec, v) - 2 * z0
        error[i] = _relative_error(z, z_sum)
        for k, seed in enumerate(seeds):
            x, whole, n_whole = _reconstructed(codec, z0 + z, seed, mixture)
            summed, n_summed = _decoded(codec, z0 + z_sum, seed)
            to_decoded[i, k], to_sound[i, k] = multires_stft(whole, summed), multires_stft(x, summed)
            reconstruction[i, k] = multires_stft(x, whole)
            clipped[i, k] = n_whole + n_summed
    names = tuple((u.name, v.name) for u, v, _ in prepared)
    _warn_of_clipping([mixture.name for *_, mixture in prepared], clipped)
    return Additivity(codec.name, names, origin, seeds, error, to_decoded, to_sound, reconstruction, clipped)


def _check_codec(codec: object) -> None:
    if not (hasattr(codec, "encode") and hasattr(codec, "decode")):
        raise TypeError(
            f"codec: expected a Codec, got {type(codec).__name__}. load_codec(name_or_path) loads one; "
            "Codec.untrained() makes one that knows nothing."
        )


def _gains(gains: Iterable[float]) -> tuple[float, ...]:
    values = _checks.real_array("gains", list(gains) if isinstance(gains, Iterable) else gains, 1, axes="(n_gains,)")
    if not len(values):
        raise ValueError("gains: expected at least one number, got none. Leave it out for the usual ones.")
    return tuple(_checks.positive("gains", gain, "times the sound") for gain in values.tolist())


def _seeds(rng: int | np.random.Generator | None, n_draws: int) -> tuple[int, ...]:
    n_draws, first = _checks.count("n_draws", n_draws), _checks.seed(rng)
    return tuple(range(first, first + n_draws))


def _several(name: str, values: Sequence[T], example: str) -> list[T]:
    if not isinstance(values, Sequence) or not values:
        came = "an empty one" if isinstance(values, Sequence) else type(values).__name__
        raise ValueError(f"{name}: expected a list of at least one, such as {example}, got {came}.")
    return list(values)


def _prepared(codec: Codec, where: str, sound: Audio) -> Audio:
    """The sound in mono at the rate of the codec."""
    if not isinstance(sound, Audio):
        raise TypeError(f"{where}: expected an Audio, got {type(sound).__name__}. read_audio(path) reads one.")
    mono = Audio(sound.mono(), sound.sfreq, sound.name).resample(codec.config.sfreq)
    if not mono.samples.any():
        raise ValueError(f"{where}: {sound.name} is silent, so there is nothing to scale or to mix. Leave it out.")
    return mono


def _prepared_pair(codec: Codec, where: str, pair: tuple[Audio, Audio]) -> tuple[Audio, Audio, Audio]:
    """Both sounds of a pair, and their sum."""
    if not isinstance(pair, Sequence) or len(pair) != 2:
        raise TypeError(f"{where}: expected two sounds, (u, v), got {type(pair).__name__}. Write pairs=[(u, v), ...].")
    u, v = (_prepared(codec, f"{where}[{i}]", sound) for i, sound in enumerate(pair))
    if len(u.samples) != len(v.samples):
        raise ValueError(
            f"{where}: expected two sounds of one length, but {u.name} has {len(u.samples)} samples at {u.sfreq:g} Hz "
            f"and {v.name} {len(v.samples)}. Cut the longer one: audio.crop(stop=seconds)."
        )
    mixture = Audio(u.samples.astype(np.float64) + v.samples, u.sfreq, f"{u.name} + {v.name}")
    if not mixture.samples.any():
        raise ValueError(f"{where}: {mixture.name} is silent, the sounds cancel each other. Choose other pairs.")
    _check_peak(mixture, 1.0)
    return u, v, mixture


def _check_peak(sound: Audio, gain: float) -> None:
    peak = gain * float(np.abs(sound.samples).max())
    if peak > 1:
        at = f" at the gain {gain:g}" if gain != 1 else ""
        raise ValueError(
            f"{sound.name}: expected a peak of at most 1, full scale, got {peak:.4g}{at}: decoding would clip it. Make "
            f"the sound {0.99 / peak:.2g} times as loud or softer: Audio(factor * audio.samples, audio.sfreq)."
        )


def _scaled(sound: Audio, gain: float) -> Audio:
    return Audio(gain * sound.samples.astype(np.float64), sound.sfreq, sound.name)


def _encoded(codec: Codec, sound: Audio) -> np.ndarray:
    return np.asarray(codec.encode(sound), dtype=np.float64)


def _origin(codec: Codec, sound: Audio, recentre: bool) -> np.ndarray | float:
    """The latents of as much silence, or zero."""
    return _encoded(codec, _scaled(sound, 0.0)) if recentre else 0.0


def _decoded(codec: Codec, z: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """Decoded samples without the ends that fade, and how many were clipped."""
    decoded, overhang = codec.decode(z, rng=seed), codec.config.overhang
    return decoded.samples[overhang : len(decoded.samples) - overhang, 0].astype(np.float64), decoded.n_clipped


def _reconstructed(codec: Codec, z: np.ndarray, seed: int, sound: Audio) -> tuple[np.ndarray, np.ndarray, int]:
    """The stretch of `sound` that is decoded from its latents, what is decoded, and how many samples were clipped."""
    decoded, n_clipped = _decoded(codec, z, seed)
    true = sound.samples[codec.config.overhang :][: len(decoded), 0].astype(np.float64)
    if len(decoded) < max(WINDOWS):
        raise ValueError(
            f"{sound.name}: {sound.duration:.3g} s leave {len(decoded)} decoded samples that do not fade, but the "
            f"distance of spectra takes {max(WINDOWS)}. Give more sound."
        )
    if not (decoded.any() and true.any()):
        which = "is decoded as silence" if true.any() else "is silent but for its ends, which fade"
        raise ValueError(f"{sound.name} {which}: there is nothing to compare with. Leave it out.")
    return true, decoded, n_clipped


def _relative_error(value: np.ndarray, expected: np.ndarray) -> float:
    """Norm of the difference over the norm of what was expected."""
    error, size = np.linalg.norm(value - expected), np.linalg.norm(expected)
    return float(error / size) if size else (float("inf") if error else 0.0)


def _snr(signal: np.ndarray, value: np.ndarray) -> float:
    """Signal-to-noise ratio in decibels; ``inf`` where nothing differs."""
    error = _relative_error(value, signal)
    return -20 * float(np.log10(error)) if error else float("inf")


def _warn_of_clipping(names: Sequence[str], n_clipped: np.ndarray) -> None:
    per_sound = n_clipped.reshape(len(names), -1).max(axis=1)
    if per_sound.any():
        worst = int(per_sound.argmax())
        warnings.warn(
            f"{names[worst]}: up to {per_sound[worst]} decoded samples reach full scale, where decoding clips, and so "
            f"in {np.count_nonzero(per_sound)} of {len(names)} cases. Their scores are those of clipped sound. Give "
            "softer sounds.",
            stacklevel=3,
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n > 1)}"


def _range(values: np.ndarray) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"
