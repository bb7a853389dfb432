"""Sound: samples, their rate, and a name."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eegic import _checks, _files

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff", ".au")  # of files that are taken for sounds
_FORMATS = {  # subtype, most channels, highest rate in hertz: beyond them libsndfile fails, and for OGG ends Python
    "WAV": ("PCM_24", 1024, 2**31 - 1),
    "FLAC": ("PCM_24", 8, 655350),
    "AIFF": ("PCM_24", 1024, 2**30 - 1),
    "OGG": ("VORBIS", 255, 200000),
    "MP3": ("MPEG_LAYER_III", 2, 48000),
}
_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; programs that write into a pipe announce this much or more
_FULL_SCALE = 1 - 2.0**-15  # the largest value that 16 bits hold
_HOP = 512  # samples between the frames in which sound is sought; a frame is four hops long


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording.

    Parameters
    ----------
    samples : array_like, shape (n_samples,) or (n_samples, n_channels)
        Full scale is -1 to 1. Integers of 8, 16 or 32 bits are divided by the full scale of their type; unsigned ones
        have their zero in the middle (8 bits: at 128).
    sfreq : float
        Samples per second, in hertz.
    name : str
        Which sound this is; the key by which features and trials find each other.

    Examples
    --------
    >>> tone = Audio(np.sin(2 * np.pi * 440 * np.arange(22050) / 22050), 22050, "a4")
    >>> tone
    Audio(a4: 1.00 s, 1 channel at 22050 Hz)
    """

    samples: np.ndarray
    sfreq: float
    name: str

    def __init__(self, samples: object, sfreq: float, name: str = "audio") -> None:
        samples = _full_scale(samples, name)
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sfreq", _checks.positive("sfreq", sfreq, "hertz"))
        object.__setattr__(self, "name", str(name))

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sfreq

    def __repr__(self) -> str:
        """Name, length, channels and rate."""
        n = self.samples.shape[1]
        return f"Audio({self.name}: {self.duration:.2f} s, {n} channel{'s' * (n > 1)} at {self.sfreq:g} Hz)"

    @property
    def n_clipped(self) -> int:
        """Number of samples, in all channels, at full scale (of 16 bits) or beyond it.

        A handful are the peaks of a sound that was scaled up to fit; runs of them are clipped.
        """
        return int(np.count_nonzero(np.abs(self.samples) >= _FULL_SCALE))

    def mono(self) -> np.ndarray:
        """Return the mean of the channels, shape (n_samples,), and warn if they cancel each other."""
        mono: np.ndarray = self.samples.mean(axis=1, dtype=np.float64)
        power = np.mean(self.samples.astype(np.float64) ** 2)
        if power > 0 and np.mean(mono**2) < 1e-4 * power:
            warnings.warn(
                f"{self.name}: the channels cancel when averaged (opposite phase). Pick one: "
                "Audio(audio.samples[:, 0], audio.sfreq, audio.name).",
                stacklevel=2,
            )
        return mono

    def resample(self, sfreq: float) -> Audio:
        """Return the sound at `sfreq` hertz (band-limited, of equal duration to within a sample)."""
        sfreq = _checks.positive("sfreq", sfreq, "hertz")
        if sfreq == self.sfreq:
            return self
        return Audio(resampled(self.samples, self.sfreq, sfreq, self.name), sfreq, self.name)

    def crop(self, start: float = 0.0, stop: float | None = None) -> Audio:
        """Return the stretch from `start` to `stop` seconds (by default to the end), under the same name.

        Both are rounded to the nearest sample, and the stretch starts at 0 s: times of its features are `start` early.
        """
        start = _checks.not_negative("start", start, "seconds")
        stop = self.duration if stop is None else _checks.positive("stop", stop, "seconds")
        first, last = round(start * self.sfreq), round(stop * self.sfreq)
        if not first < last <= len(self.samples):
            raise ValueError(
                f"{self.name}: expected a stretch within 0 to {self.duration:g} s, got {start:g} to {stop:g} s. "
                "Choose start < stop inside the sound."
            )
        return Audio(self.samples[first:last], self.sfreq, self.name)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a sound file; the suffix chooses the format (.wav, .flac, .aiff: 24 bits; .ogg, .mp3: lossy)."""
        import soundfile

        path = Path(path)
        kind = path.suffix.lstrip(".").upper()
        if kind not in _FORMATS:
            raise ValueError(f"{path}: cannot write sound as {path.suffix or 'no suffix'!r}. Use .wav or .flac.")
        rate = round(self.sfreq)
        if rate != self.sfreq:
            raise ValueError(f"{path}: sound files hold whole rates, got {self.sfreq} Hz. Resample first.")
        peak = float(np.abs(self.samples).max())
        if peak > 1:
            raise ValueError(
                f"{path}: the peak is {peak:.3g} and would be clipped. Scale the samples to -1 to 1 first."
            )
        subtype, most_channels, highest_rate = _FORMATS[kind]
        n_channels = self.samples.shape[1]
        if n_channels > most_channels or rate > highest_rate:
            raise ValueError(
                f"{path}: {kind} holds at most {most_channels} channels and {highest_rate} Hz, got {n_channels} at "
                f"{rate} Hz. Write .wav, or fewer channels, or resample first."
            )
        with _files.replacing(path) as draft:
            try:
                soundfile.write(draft, self.samples, rate, format=kind, subtype=subtype)
            except soundfile.LibsndfileError as error:
                raise ValueError(
                    f"{path}: {kind} cannot be written at {rate} Hz ({error.error_string}). Resample to a usual rate, "
                    "such as 44100 Hz, or write .wav."
                ) from error


def read_audio(path: str | os.PathLike[str], *, name: str | None = None) -> Audio:
    """Read a sound file (wav, flac, ogg, mp3 and whatever else libsndfile opens).

    Parameters
    ----------
    path : str or Path
        The file; its content, not its suffix, decides the format.
    name : str, optional
        Name of the sound; by default the name of the file without its suffix.

    Returns
    -------
    Audio
    """
    import soundfile

    path = Path(path)
    if path.is_dir():  # '' is the folder one is in
        raise IsADirectoryError(f"{path}: expected a sound file, got a folder. Pass the files in it, one by one.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such sound file.")
    try:
        with soundfile.SoundFile(path) as file:
            announced = file.frames
            samples = file.read(dtype="float32", always_2d=True)
            sfreq = file.samplerate
            header = file.extra_info
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: the suffix .raw says "no header"
        raise ValueError(f"{path}: cannot be read as sound ({error}). Copy it again, or convert it to flac.") from error
    if announced > len(samples):
        raise ValueError(f"{path}: truncated, {len(samples)} of {announced} samples are there. Copy the file again.")
    for size, present in re.findall(r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", header):
        if int(present) < int(size) < _UNKNOWN_LENGTH:  # libsndfile adapts to what is there and says so in its log
            raise ValueError(f"{path}: truncated, {present} of {size} bytes are there. Copy the file again.")
    if not len(samples):
        raise ValueError(f"{path}: the file holds no samples. Export the sound again.")
    return Audio(samples, sfreq, path.stem if name is None else name)


def sounding(audio: Audio, *, top_db: float = 60.0, floor_db: float = -90.0) -> tuple[int, int]:
    """Find the stretch from the first to the last frame in which there is sound.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    top_db : float
        A frame is silent when its level is this far, in decibels, or farther below that of the loudest frame.
    floor_db : float
        If the loudest frame does not exceed this level, in decibels relative to a root mean square of 1, nothing
        sounds.

    Returns
    -------
    start, stop : int
        Samples ``start`` to ``stop - 1`` sound; pauses between them are part of the stretch. ``(0, 0)``, an empty
        stretch, if nothing sounds.

    Notes
    -----
    A frame's level is the mean square of 2048 samples of the mean of the channels; frame k is centred on sample 512 k,
    and before and after the sound there are zeros. The stretch goes from the centre of the first frame with sound to
    512 samples after that of the last one, or to the end. Frames are counted in samples at any rate.

    For sounds whose loudest frame is above -40 dB, these are the ends that the default settings of
    ``librosa.effects.split`` give. Below, librosa takes exact silence, too, for sound, because it knows no level lower
    than -100 dB; here silence is silence however soft the rest.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    >>> sounding(Audio(np.concatenate([np.zeros(8000), tone, np.zeros(8000)]), 8000))
    (7168, 17408)
    >>> sounding(Audio(np.zeros(8000), 8000))
    (0, 0)
    """
    if not isinstance(audio, Audio):
        raise TypeError(
            f"audio: expected an Audio, got {type(audio).__name__}. read_audio(path) reads one; "
            "Audio(samples, sfreq) makes one of samples."
        )
    top_db = _checks.positive("top_db", top_db, "decibels")
    floor_db = _checks.finite("floor_db", floor_db, "decibels")
    power, n = _frame_power(audio.mono()), len(audio.samples)
    loudest = power.max()
    if loudest <= 10 ** (floor_db / 10):
        return 0, 0
    loud = np.flatnonzero(power > loudest * 10 ** (-top_db / 10))
    return int(loud[0]) * _HOP, min(int(loud[-1] + 1) * _HOP, n)


def _frame_power(mono: np.ndarray) -> np.ndarray:
    """Mean square of the frames of four hops around samples 0, 512, 1024, ...; shape (1 + n_samples // 512,)."""
    n_frames = 1 + len(mono) // _HOP
    hops = np.zeros((n_frames + 3) * _HOP)
    hops[2 * _HOP : 2 * _HOP + len(mono)] = mono
    energy = np.square(hops, out=hops).reshape(-1, _HOP).sum(axis=1)
    frames = energy[:-3] + energy[1:-2] + energy[2:-1] + energy[3:]
    return np.asarray(frames / (4 * _HOP))


def resampled(samples: np.ndarray, sfreq_in: float, sfreq_out: float, name: str) -> np.ndarray:
    """Return `samples` (time first) at another rate, band-limited and not delayed; sample 0 stays at 0 s."""
    import soxr

    new: np.ndarray = soxr.resample(samples, sfreq_in, sfreq_out, quality="VHQ")
    if not len(new):
        raise ValueError(
            f"{name}: {len(samples) / sfreq_in:.2g} s hold no sample at {sfreq_out:g} Hz. Give more sound."
        )
    return new


def _full_scale(samples: object, name: str) -> np.ndarray:
    given = _checks.array(name, samples, axes="(n_samples,) or (n_samples, n_channels)")
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected samples as floats or integers, got dtype {given.dtype}. Convert them first.")
    if given.dtype.kind in "iu" and given.dtype.itemsize > 4:
        raise TypeError(
            f"{name}: integers of 64 bits (and lists of whole numbers) do not say what full scale is. Give int16 or "
            "int32 samples, or floats from -1 to 1: divide by the full scale."
        )
    if given.ndim not in (1, 2) or not given.size:
        raise ValueError(f"{name}: expected samples (n_samples,) or (n_samples, n_channels), got shape {given.shape}.")
    if given.ndim == 2 and given.shape[1] > given.shape[0]:
        raise ValueError(
            f"{name}: expected (n_samples, n_channels), got shape {given.shape}: more channels than samples. "
            "Transpose the array."
        )
    array = given.reshape(len(given), -1).astype(np.float32 if given.dtype.kind == "f" else np.float64)
    if given.dtype.kind in "iu":
        bits = 8 * given.dtype.itemsize
        array = (array - (2 ** (bits - 1) if given.dtype.kind == "u" else 0)) / 2 ** (bits - 1)
    if not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"{name}: sample {first} is not finite. Repair the recording first.")
    return np.ascontiguousarray(array, dtype=np.float32)
