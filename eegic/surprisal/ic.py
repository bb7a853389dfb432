"""Information content of sound: encode it, ask the model, and put each value where it belongs in time."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eegic import _checks, _devices, weights
from eegic.audio import Audio, read_audio, sounding
from eegic.codec import CHUNKS, Codec, load_codec
from eegic.series import FeatureSeries
from eegic.surprisal.loading import load_surprisal
from eegic.surprisal.model import AT, At, LatentIC, SurprisalModel, noise_levels
from eegic.surprisal.modes import Mode, mode_of

Stamp = Literal["onset", "end", "reference"]

STAMPS = ("onset", "end", "reference")
_UNITS = {"nats": 1.0, "bits": 1 / math.log(2)}


@dataclass(frozen=True, eq=False)
class Encoded:
    """The latents of what sounds in a recording, and where in it they lie.

    Parameters
    ----------
    name : str
        Of the sound.
    latents : ndarray, shape (n_latents, dim)
        Of the stretch that sounds.
    start, stop : int
        The stretch, in samples at the rate of the codec.
    n_samples : int
        Of the whole recording, at the rate of the codec.
    hop : int
        Samples from one latent to the next.
    sfreq : float
        Rate of the codec in hertz.
    key : str
        Digest of the sound.
    """

    name: str
    latents: np.ndarray
    start: int
    stop: int
    n_samples: int
    hop: int
    sfreq: float
    key: str


Sound = Audio | Encoded | str | os.PathLike[str]
_ONE = (Audio, Encoded, str, os.PathLike)


def information_content(
    audio: Sound | Sequence[Sound] | Mapping[str, Sound],
    model: SurprisalModel | str | os.PathLike[str] = "mini",
    noise: float | Sequence[float] = 0.3,
    *,
    codec: Codec | str | os.PathLike[str] | None = None,
    mode: Mode = "fast",
    at: At = "expectation",
    stamp: Stamp = "onset",
    unit: str = "nats",
    chunk: Literal["reference", "overlap"] = "reference",
    steps: int | None = None,
    probes: int | None = None,
    tolerance: float | None = None,
    batch: int | None = None,
    device: str = "auto",
    rng: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> FeatureSeries | dict[str, FeatureSeries]:
    """How surprising each moment of a sound is, given what came before.

    The sound is encoded into latents (a codec of music makes about 11 a second); the model gives the density of each
    latent given those before it; information content is minus the logarithm of that density.

    Parameters
    ----------
    audio : Audio or path, or a sequence or mapping of them
        The sound or sounds; any rate, format and number of channels, which are averaged.
    model : SurprisalModel, name or path
        What knows music; see `load_surprisal`. By default the small model that comes with eegic: it knows simulated
        melodies of one style, is there to try things out, and says nothing about other music.
    noise : float or sequence of float
        Noise levels, from 0 to below 1. At 0 all detail of the sound counts; noise hides detail first, so higher
        levels listen to coarser structure. See Notes.
    codec : Codec, name or path, optional
        What the model's latents were made with; by default the one that the model names.
    mode : {"fast", "exact", "reference"}
        ``fast``: random probes, with a standard error. ``exact``: to `tolerance`, ten to thirty times
        slower.
        ``reference``: the published procedure with its solver and fixed probes (noisier and slower than ``fast``).
    at : {"expectation", "ode"}
        Which point stands for a latent at a noise level; see `SurprisalModel.estimate`.
    stamp : {"onset", "end", "reference"}
        The time of a value: where the sound of its latent begins or ends, or as the published program writes it (the
        onset rounded down to a whole number of latents, 0 to 93 ms early).
    unit : {"nats", "bits"}
        Of the values.
    chunk : {"reference", "overlap"}
        How long sounds are encoded; see `Codec.encode`.
    steps, probes, tolerance : optional
        What the mode takes; see `SurprisalModel.estimate`.
    batch : int, optional
        Rows computed at once: speed and memory only.
    device : str
        "auto" (CUDA if there is one), "cpu" or "cuda".
    rng : int, Generator or None
        Seed of the probes. The probes of a sound depend on the seed, on its samples and on the noise level only.
    progress : bool
        True shows a progress bar, in a terminal only.

    Returns
    -------
    FeatureSeries, or dict of str to FeatureSeries
        One feature per noise level, ``ic 0.3``, with standard errors (in exact mode: the numerical error) in ``se`` and
        everything the values depend on in ``info``. NaN where nothing is known: at silence before and after the music,
        and at the first latent. For several sounds, a dictionary by name.

    Notes
    -----
    *Not causal.* A published encoder hears about 1.2 s of the future, and its normalisations all of the chunk; "given
    what came before" is meant among latents. Use negative lags as a control. The codec of ``mini`` is causal, but for
    the normalisations.

    *Densities*, not probabilities: where a latent is well foreseen its density exceeds 1, and its information content
    is negative. Differences within one level count.

    *Levels* live on different scales, and at 0 the density may be singular (layer-norm latents): standardise per level,
    and prefer levels above 0. ``expectation`` shrinks latents and context; unless the model was trained with such
    contexts, high levels are out of its distribution.

    *Length.* Beyond the length the model was trained with (7 minutes in the published one), the context slides.

    Examples
    --------
    >>> from eegic.codec import CodecConfig
    >>> from eegic.surprisal import FlowConfig
    >>> small = CodecConfig(16000, 128, 32, channels=(8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)
    >>> codec = Codec.untrained(small)
    >>> model = SurprisalModel.untrained(FlowConfig(data=4, width=16, depth=1, heads=1, blocks=2))
    >>> noisy = Audio(0.1 * np.random.default_rng(0).standard_normal(4000), 16000, "noise")
    >>> information_content(noisy, model, (0.3, 0.6), codec=codec).names
    ('ic 0.3', 'ic 0.6')
    """
    levels = check_options(
        noise, mode=mode, at=at, stamp=stamp, unit=unit, chunk=chunk, steps=steps, probes=probes, tolerance=tolerance
    )
    scale = _UNITS[unit]
    model, codec = _models(model, codec, device)
    seed = _checks.seed(rng)
    sounds = _encoded_all(audio, codec, chunk, progress)
    estimates = model.estimate_all(
        [sound.latents for sound in sounds.values()],
        levels,
        mode=mode,
        at=at,
        steps=steps,
        probes=probes,
        tolerance=tolerance,
        batch=batch,
        rng=seed,
        keys=[sound.key for sound in sounds.values()],
        progress=progress,
    )
    about = _about(codec, chunk, unit, stamp)
    series = {
        name: _series(sound, found, "ic", stamp, scale, about)
        for (name, sound), found in zip(sounds.items(), estimates, strict=True)
    }
    return _as_asked(audio, series)


def entropy(
    audio: Sound | Sequence[Sound] | Mapping[str, Sound],
    model: SurprisalModel | str | os.PathLike[str] = "mini",
    noise: float | Sequence[float] = 0.3,
    *,
    codec: Codec | str | os.PathLike[str] | None = None,
    draws: int = 16,
    stamp: Stamp = "onset",
    unit: str = "nats",
    chunk: Literal["reference", "overlap"] = "reference",
    steps: int | None = None,
    batch: int | None = None,
    device: str = "auto",
    rng: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> FeatureSeries | dict[str, FeatureSeries]:
    """How uncertain the model is before each moment of a sound: the information content to be expected there.

    Continuations are drawn from the model; what they cost on average is the entropy. It belongs with the information
    content at ``at="ode"``. Parameters and result are those of `information_content`, but for two.

    Parameters
    ----------
    audio, model, noise, codec, stamp, unit, chunk, steps, batch, device, rng, progress
        As for `information_content`.
    draws : int
        Continuations per latent, at least 2; the standard error shrinks with their square root.

    Returns
    -------
    FeatureSeries, or dict of str to FeatureSeries
        One feature per noise level, ``entropy 0.3``. The value at a latent is known when the one before it ends.
    """
    levels = check_options(noise, stamp=stamp, unit=unit, chunk=chunk, steps=steps)
    draws = _checks.count("draws", draws, minimum=2)
    scale = _UNITS[unit]
    model, codec = _models(model, codec, device)
    seed = _checks.seed(rng)
    sounds = _encoded_all(audio, codec, chunk, progress)
    about = _about(codec, chunk, unit, stamp)
    series = {}
    for name, sound in _shown(sounds.items(), "Entropy", progress):
        found = model.entropy(sound.latents, levels, draws=draws, steps=steps, batch=batch, rng=seed, key=sound.key)
        series[name] = _series(sound, found, "entropy", stamp, scale, about)
    return _as_asked(audio, series)


def encode_sound(audio: Sound, codec: Codec, *, chunk: Literal["reference", "overlap"] = "reference") -> Encoded:
    """Latents of what sounds in a recording: it is averaged over channels and resampled first, then cropped.

    Parameters
    ----------
    audio : Audio or path
        The sound.
    codec : Codec
        What encodes it.
    chunk : {"reference", "overlap"}
        See `Codec.encode`.

    Returns
    -------
    Encoded
    """
    audio = _read(audio)
    mono = Audio(audio.mono(), audio.sfreq, audio.name).resample(codec.config.sfreq)
    start, stop = sounding(mono)
    if start == stop:
        raise ValueError(
            f"{audio.name}: silent throughout, so there is nothing to be surprised by. Check the recording."
        )
    hop = codec.config.samples_per_latent
    if codec.config.causal:
        start -= start % hop  # latents lie where they would without the silence
    if codec.config.n_latents(stop - start) < 2:
        raise ValueError(
            f"{audio.name}: {(stop - start) / mono.sfreq:.3g} s of sound are too short. Expected at least "
            f"{codec.config.n_samples(2) / mono.sfreq:.3g} s, which make two latents: the first has no past."
        )
    latents = codec.encode(Audio(mono.samples[start:stop], mono.sfreq, audio.name), chunk=chunk)
    key = hashlib.sha256(mono.samples.tobytes()).hexdigest()
    return Encoded(audio.name, latents, start, stop, len(mono.samples), hop, mono.sfreq, key)


def check_options(
    noise: float | Sequence[float],
    *,
    mode: Mode = "fast",
    at: At = "expectation",
    stamp: Stamp = "onset",
    unit: str = "nats",
    chunk: Literal["reference", "overlap"] = "reference",
    steps: int | None = None,
    probes: int | None = None,
    tolerance: float | None = None,
) -> tuple[float, ...]:
    """Refuse options of `information_content` before sounds are read and encoded, which may take hours.

    Returns
    -------
    tuple of float
        The noise levels.
    """
    mode_of(mode, steps=steps, probes=probes, tolerance=tolerance)
    _checks.one_of("at", at, AT)
    _checks.one_of("stamp", stamp, STAMPS)
    _checks.one_of("unit", unit, _UNITS)
    _checks.one_of("chunk", chunk, CHUNKS)
    return noise_levels(noise)


def _models(
    model: SurprisalModel | str | os.PathLike[str], codec: Codec | str | os.PathLike[str] | None, device: str
) -> tuple[SurprisalModel, Codec]:
    """Both models, loaded if need be, on one device."""
    if isinstance(model, Codec) or isinstance(codec, SurprisalModel):
        raise TypeError("model, codec: expected a surprisal model, then a codec, got them the other way round.")
    model = model.to(device) if isinstance(model, SurprisalModel) else load_surprisal(model, device=device)
    if codec is None:
        codec = codec_of(model, device)
    elif not isinstance(codec, Codec):
        codec = load_codec(codec, device=device)
    elif codec.device != _devices.resolve(device):
        codec = codec.to(device)  # builds its networks anew, which takes longer than a short sound
    if model.encoder not in ("", weights.digest(codec.networks.encoder.state_dict())):
        raise ValueError(
            f"codec: the weights of {codec.name} are not those whose latents {model.name} has learned. Pass the codec "
            "that it was trained with, or train the model anew."
        )
    if codec.dim != model.config.data:
        raise ValueError(
            f"codec: {codec.name} makes latents of {codec.dim} dimensions, but {model.name} knows those of "
            f"{model.config.data}. Pass the codec that it was trained with."
        )
    return model, codec


def codec_of(model: SurprisalModel, device: str) -> Codec:
    """Load the codec that a model names, or say where it was looked for."""
    if model.codec is None:
        raise ValueError(f"codec: {model.name} does not say which codec it knows. Pass codec=.")
    if model.codec not in weights.entries() and not Path(model.codec).is_file():
        raise FileNotFoundError(
            f"codec: {model.name} names {model.codec!r} as its codec. There is no such file beside the model, none "
            f"from {Path.cwd()}, and no codec of that name comes with eegic. Pass codec=PATH."
        )
    return load_codec(model.codec, device=device)


def _encoded_all(
    audio: Sound | Sequence[Sound] | Mapping[str, Sound], codec: Codec, chunk: Any, progress: bool
) -> dict[str, Encoded]:
    """Latents of each sound by name; one after the other, so that only one recording is held at a time."""
    named: dict[str, Any]
    if isinstance(audio, Mapping):
        named = dict(audio)
    else:
        one = isinstance(audio, (*_ONE, np.ndarray)) or not isinstance(audio, Iterable)
        sounds: list[Any] = [audio] if one else list(audio)  # type: ignore[arg-type]
        names = _checks.unique_names("audio", [_name(sound) for sound in sounds], len(sounds), "sound")
        named = dict(zip(names, sounds, strict=True))
    if not named:
        raise ValueError("audio: expected one or more sounds, got none.")
    return {
        str(name): sound
        if isinstance(sound, Encoded)
        else encode_sound(_renamed(_read(sound), str(name)), codec, chunk=chunk)
        for name, sound in _shown(named.items(), "Encoding", progress)
    }


def _name(audio: object) -> str:
    """Of a sound that may not be read yet."""
    if isinstance(audio, (str, os.PathLike)):
        return Path(audio).stem
    return audio.name if isinstance(audio, Encoded) else _read(audio).name


def _about(codec: Codec, chunk: str, unit: str, stamp: str) -> dict[str, Any]:
    hop, sfreq = codec.config.samples_per_latent, codec.config.sfreq
    return {
        "codec": codec.name,
        "codec weights": codec.sha256,
        "latent": f"{hop} samples at {sfreq:g} Hz",
        "chunk": chunk,
        "unit": unit,
        "stamp": stamp,
    }


def _read(audio: object) -> Audio:
    if isinstance(audio, Audio):
        return audio
    if isinstance(audio, (str, os.PathLike)):
        return read_audio(audio)
    raise TypeError(
        f"audio: expected an Audio or a path, or several, got {type(audio).__name__}. "
        "Audio(samples, sfreq) makes one of samples."
    )


def _renamed(audio: Audio, name: str) -> Audio:
    return Audio(audio.samples, audio.sfreq, name)


def _series(
    sound: Encoded, found: LatentIC, what: str, stamp: str, scale: float, about: Mapping[str, Any]
) -> FeatureSeries:
    """Values on the clock of the recording, from its start to its end."""
    rows, times = _clock(sound, stamp)
    values, errors = (np.full((len(times), len(found.nats)), np.nan) for _ in range(2))
    values[rows] = scale * found.nats[:, 1:].T
    errors[rows] = scale * found.se[:, 1:].T
    names = [f"{what} {level:.6g}" for level in found.info["noise"]]
    known = ~np.isnan(errors[rows]).all()
    about = {**about, "sounding": [sound.start / sound.sfreq, sound.stop / sound.sfreq], "sound sha256": sound.key}
    return FeatureSeries(values, times, names, se=errors if known else None, info={**found.info, **about})


def _clock(sound: Encoded, stamp: str) -> tuple[slice, np.ndarray]:
    """Rows of latents 1, 2, ... and the times of all rows.

    Latent j begins at sample ``start + j * hop``. The published clock counts whole latents from the start of the
    recording, and neither the fraction before the music nor that after it.
    """
    n_known = len(sound.latents) - 1
    if stamp == "reference":
        before = sound.start // sound.hop
        after = math.ceil((sound.n_samples - sound.stop) / sound.hop)
        times = np.arange(1, before + n_known + after + 1) * (sound.hop / sound.sfreq)
        return slice(before, before + n_known), times
    before = sound.start // sound.hop
    onsets = np.arange(sound.start - before * sound.hop, sound.n_samples, sound.hop)
    if stamp == "end":
        onsets = onsets + sound.hop
    return slice(before + 1, before + 1 + n_known), onsets / sound.sfreq


def _as_asked(audio: object, series: dict[str, FeatureSeries]) -> FeatureSeries | dict[str, FeatureSeries]:
    return next(iter(series.values())) if isinstance(audio, _ONE) else series


def _shown(items: Any, what: str, progress: bool) -> Any:
    from tqdm import tqdm

    # disable=None: silent unless a terminal is watching
    return tqdm(list(items), desc=what, unit="sound", disable=None if progress else True)
