"""Sound to learn from: stretches of recordings in a folder, by number, the same whenever they are asked for."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eegic import _checks
from eegic.audio import resampled

PARTS = ("train", "validation")
_ATTEMPTS = 50  # at a stretch that is loud enough
_MOST_ATTEMPTS = 1000  # at one that can be read and is not silent
_LENGTHS = 8  # of stretches, for which the recordings that are long enough are remembered
_END = 2**16  # bytes at each end of a recording that tell it from another one
_PEAK = 1.0
_UNKNOWN_LENGTH = 2**62  # samples; a file written into a pipe announces more


class Corpus(Protocol):
    """Endless stretches of sound; stretch `index` of a part is always the same."""

    def stretch(self, part: str, index: int, n_samples: int, sfreq: float) -> np.ndarray:
        """Samples (n_samples,), float32, within -1 to 1, of part "train" or "validation"."""
        ...

    def settings(self) -> dict[str, Any]:
        """What the stretches depend on, for the record of a training."""
        ...


@dataclass(frozen=True)
class SoundFolder:
    """Recordings in a folder and the folders in it, in any format that soundfile opens.

    Parameters
    ----------
    folder : str or Path
        Where the recordings lie.
    held_out : float
        Share of the recordings that are for validation. Which ones follows from their names, not from their number:
        a recording stays where it is when others come. At least one is for validation, and one for training.
    floor : float
        Stretches whose root mean square is below it are passed over; 0 takes all. Full scale is 1. Where 50 in a row
        are below, the loudest of them is taken, and a warning says so the first time; where 1000 are digital silence,
        there is an error.
    gain : tuple of float
        Range in decibels from which a gain is drawn for each stretch, and applied as far as the peak allows.
    seed : int
        Gives other stretches.

    Notes
    -----
    Only the stretch asked for is read, so recordings may be of any length. Channels are averaged.

    A file that cannot be opened, is empty, or does not say how long it is, is left out with a warning that names it,
    and counted in ``left_out``; a folder without recordings for both parts is refused. Where a recording turns out
    broken later, another stretch is drawn in place of the one that cannot be read, and each process names the file
    once. What is drawn follows from the number of the stretch and the files alone: leave a broken one where it is until
    the training has ended.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from eegic import Audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in "abcdef":
    ...         Audio(0.1 * np.random.default_rng(0).standard_normal(8000), 8000, name).write(f"{folder}/{name}.wav")
    ...     music = SoundFolder(folder, held_out=0.4)
    ...     music.stretch("train", 0, 1024, 8000).shape
    (1024,)
    """

    folder: str | os.PathLike[str]
    held_out: float = 0.1
    floor: float = 0.001
    gain: tuple[float, float] = (0.0, 0.0)
    seed: int = 0
    left_out: int = field(init=False, repr=False, compare=False, default=0)
    _files: dict[str, tuple[tuple[Path, int, float], ...]] = field(init=False, repr=False)
    _long: dict[tuple[str, int, float], tuple[list[tuple[Path, int, float]], np.ndarray]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _told: set[str] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        if not 0 < _checks.finite("held_out", self.held_out, "share of the recordings") < 1:
            raise ValueError(f"held_out: expected a share between 0 and 1, got {self.held_out:g}.")
        if _checks.finite("floor", self.floor, "full scales") < 0:
            raise ValueError(f"floor: expected 0 or more, got {self.floor:g}. 0 takes all stretches.")
        object.__setattr__(self, "gain", decibel_range(self.gain))
        _checks.count("seed", self.seed, minimum=0)
        object.__setattr__(self, "_files", self._found())

    def _found(self) -> dict[str, tuple[tuple[Path, int, float], ...]]:
        """Path, samples and rate of each recording, by part."""
        from soundfile import available_formats

        folder = Path(self.folder).expanduser()
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder}: expected a folder of recordings, got no folder. Check the path.")
        kinds = {f".{kind.lower()}" for kind in available_formats()} | {".aif", ".mp3", ".opus"}
        drawn, broken = [], []
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file()):
            try:
                frames, rate = _measured(path)
            except ValueError as error:
                broken.append(f"{path.relative_to(folder)} ({error})")
                continue
            name = path.relative_to(folder).as_posix()
            number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
            drawn.append((number / 2**64, (path, frames, rate)))
        object.__setattr__(self, "left_out", len(broken))
        if broken:
            n_broken = f"{len(broken)} file{'s' * (len(broken) > 1)}"
            message = f"{folder}: left out {n_broken}: {_checks.listed(broken, 4)}. Copy again, or take out."
            warnings.warn(message, stacklevel=4)
        if len(drawn) < 2:
            raise ValueError(
                f"{folder}: expected at least two recordings, one of them for validation; {len(drawn)} could be "
                "opened. Give more recordings."
            )
        drawn.sort()
        n_held_out = min(max(sum(number < self.held_out for number, _ in drawn), 1), len(drawn) - 1)
        parts = {"train": drawn[n_held_out:], "validation": drawn[:n_held_out]}
        return {part: tuple(sorted(one for _, one in files)) for part, files in parts.items()}

    def stretch(self, part: str, index: int, n_samples: int, sfreq: float) -> np.ndarray:
        """Return a stretch of a recording that is chosen with a chance proportional to its length.

        Parameters
        ----------
        part : {"train", "validation"}
            Of the recordings.
        index : int
            Number of the stretch.
        n_samples : int
            Its length.
        sfreq : float
            Rate to which it is resampled, in hertz.

        Returns
        -------
        ndarray of float32, shape (n_samples,)
            Within -1 to 1.
        """
        check_request(part, index, n_samples, sfreq)
        rng = np.random.default_rng([self.seed, PARTS.index(part), index])
        samples = self._loud(part, n_samples, sfreq, rng)
        return amplified(samples, rng.uniform(*self.gain))

    def _loud(self, part: str, n_samples: int, sfreq: float, rng: np.random.Generator) -> np.ndarray:
        """Draw until a stretch is loud enough; after some attempts the loudest of them is."""
        loudest, level = np.zeros(n_samples), -1.0
        for n_drawn, samples in enumerate(self._drawn(part, n_samples, sfreq, rng), start=1):
            found = float(np.sqrt(np.mean(samples**2)))
            if found > level:
                loudest, level = samples, found
            if level >= self.floor or (n_drawn >= _ATTEMPTS and level > 0):
                break
        if level <= 0 < self.floor:
            raise ValueError(
                f"{self.folder}: {n_drawn} stretches for {part} in a row were silent. Give recordings with "
                "sound, or take silence, too: floor=0."
            )
        if level < self.floor:
            below = f"{n_drawn} stretches for {part} in a row were below {self.floor:g} of full scale"
            message = (
                f"{self.folder}: {below} (root mean square). The loudest is taken; a lower `floor` ends the search."
            )
            self._warn_once(part, message, stacklevel=4)
        return loudest

    def _drawn(self, part: str, n_samples: int, sfreq: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Draw stretches, and give those that can be read."""
        n_readable = 0
        trouble = ""
        for _ in range(_MOST_ATTEMPTS):
            path, start, length, rate = self._place(part, n_samples, sfreq, rng)
            try:
                samples = _read(path, start, length)
            except _UnreadableError as error:
                trouble = f"{path}: {error}."
                advice = "Leave the file as it is until the training has ended: what is drawn depends on it."
                self._warn_once(str(path), f"{trouble} Another stretch is drawn instead. {advice}", stacklevel=5)
                continue
            n_readable += 1
            yield (samples if rate == sfreq else resampled(samples, rate, sfreq, path.stem))[:n_samples]
        if not n_readable:
            raise ValueError(
                f"{self.folder}: none of {_MOST_ATTEMPTS} stretches for {part} could be read. The last: {trouble} "
                "Copy the recordings again."
            )

    def _place(self, part: str, n_samples: int, sfreq: float, rng: np.random.Generator) -> tuple[Path, int, int, float]:
        """Draw a recording, and where in it to read how many samples; with its rate."""
        files, reach = self._lasting(part, n_samples, sfreq)
        path, frames, rate = files[int(reach.searchsorted(rng.random(), side="right"))]
        n_read = _n_read(n_samples, rate, sfreq)
        return path, int(rng.integers(frames - n_read + 1)), n_read, rate

    def _lasting(self, part: str, n_samples: int, sfreq: float) -> tuple[list[tuple[Path, int, float]], np.ndarray]:
        """Recordings that are long enough, and their lengths summed up to each of them, as shares of all."""
        asked = (part, n_samples, sfreq)
        if asked not in self._long:
            files = [one for one in self._files[part] if one[1] >= _n_read(n_samples, one[2], sfreq)]
            if not files:
                raise ValueError(
                    f"{self.folder}: no recording for {part} lasts {n_samples / sfreq:.3g} s. Give longer recordings."
                )
            reach = np.cumsum([frames / rate for _, frames, rate in files])
            if len(self._long) == _LENGTHS:
                self._long.clear()
            self._long[asked] = files, reach / reach[-1]
        return self._long[asked]

    def _warn_once(self, about: str, message: str, stacklevel: int) -> None:
        if about not in self._told:
            self._told.add(about)
            warnings.warn(message, stacklevel=stacklevel)

    def settings(self) -> dict[str, Any]:
        """Number of the recordings, a digest of what they are, and how stretches are drawn.

        The digest is that of the names, lengths, sizes in bytes, and first and last 64 KiB of the files. It is made
        when it is first asked for; with tens of thousands of files that may take minutes.
        """
        return {
            "corpus": "folder",
            "recordings": sum(map(len, self._files.values())),
            "listing_sha256": self._listing_sha256,
            "held_out": self.held_out,
            "floor": self.floor,
            "gain": list(self.gain),
            "seed": self.seed,
        }

    @cached_property
    def _listing_sha256(self) -> str:
        from tqdm import tqdm

        files = [(part, *one) for part in PARTS for one in self._files[part]]
        # disable=None: silent unless a terminal is watching
        shown = tqdm(files, desc="Comparing recordings", unit="file", leave=False, delay=2, disable=None)
        listing = [
            f"{part} {path.relative_to(Path(self.folder).expanduser()).as_posix()} {frames} {rate} {_ends(path)}"
            for part, path, frames, rate in shown
        ]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def decibel_range(gain: object) -> tuple[float, float]:
    """Return the ends of a range of gains, or say why it is none."""
    ends = tuple(gain) if isinstance(gain, Iterable) else (gain,)
    if len(ends) != 2:
        raise ValueError(f"gain: expected two numbers of decibels, the lower one first, got {gain!r}.")
    low, high = (_checks.finite("gain", end, "decibels") for end in ends)
    if low > high:
        raise ValueError(f"gain: expected the lower end first, got {gain!r}.")
    return low, high


def check_request(part: str, index: int, n_samples: int, sfreq: float) -> None:
    """Say what is wrong with what a corpus is asked for."""
    _checks.one_of("part", part, PARTS)
    _checks.count("index", index, minimum=0)
    _checks.count("n_samples", n_samples)
    _checks.positive("sfreq", sfreq, "hertz")


def amplified(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Return samples with a gain, as far as their peak allows, as float32."""
    highest = _PEAK / max(float(np.abs(samples).max()), 1e-9)
    return np.asarray(samples * min(10 ** (decibels / 20), highest), np.float32)


def _measured(path: Path) -> tuple[int, int]:
    """Samples and rate of a recording, or why it is of no use."""
    import soundfile

    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(error.error_string) from error
    except TypeError as error:  # the suffix .raw says "no header"
        raise ValueError("it has no header") from error
    if not 0 < info.frames < _UNKNOWN_LENGTH:
        raise ValueError("it does not say how long it is" if info.frames else "it holds no samples")
    return info.frames, info.samplerate


def _n_read(n_samples: int, rate: float, sfreq: float) -> int:
    """Samples of a recording of `rate` that give `n_samples` at `sfreq`."""
    return int(np.ceil(n_samples * rate / sfreq))


class _UnreadableError(ValueError):
    """Says what is wrong with a recording at a place."""


def _read(path: Path, start: int, n_read: int) -> np.ndarray:
    """Mean of the channels, (n_read,)."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as stream:
            stream.seek(start)
            samples = np.asarray(stream.read(n_read, dtype="float64", always_2d=True).mean(axis=1))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise _UnreadableError(f"cannot be read at sample {start} ({error})") from error
    if len(samples) < n_read:
        raise _UnreadableError(f"breaks off at sample {start + len(samples)}, before its end")
    if not np.isfinite(samples).all():
        raise _UnreadableError("holds samples that are not finite")
    return samples


def _ends(path: Path) -> str:
    """Bytes in a file, and a digest of the first and the last of them."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(_END)
            stream.seek(max(size - _END, _END))
            return f"{size} {hashlib.sha256(head + stream.read(_END)).hexdigest()}"
    except OSError as error:
        raise type(error)(
            f"{path}: cannot be read ({error.strerror or error}). Copy it again, or take it out."
        ) from error
