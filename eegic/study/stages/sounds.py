"""Every sound is opened: does it sound, how long?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic.study.ground import Ground, Unit

if TYPE_CHECKING:
    from eegic.audio import Audio

_CLIPPED = 1e-4  # share of samples at full scale above which a sound is said to be clipped


@dataclass(frozen=True)
class SoundFile:
    """A sound that is yet to be read.

    Attributes
    ----------
    name : str
    path : Path
    channel : int or "mean"
    manifest : str
        Folder of the manifest that says how it is read, say that a score is rendered; empty for none.
    digest : str
        Of its content: a file that is replaced is another sound, also for what stays in memory.
    """

    name: str
    path: Path
    channel: int | str
    manifest: str
    digest: str

    def read(self) -> Audio:
        """The sound, or the one channel of it that counts."""
        from eegic.audio import Audio, read_audio

        if self.manifest and self.channel == "mean":
            from eegic.datasets.public.loaders import read_stimulus
            from eegic.datasets.public.places import SCORES

            # the same sound everywhere; for another synthesiser, render to files first
            options = {"synthesiser": "builtin"} if self.path.suffix.lower() in SCORES else {}
            return read_stimulus(self.manifest, self.path, name=self.name, **options)
        sound = read_audio(self.path, name=self.name)
        if self.channel == "mean":
            return sound
        n = sound.samples.shape[1]
        if int(self.channel) >= n:
            raise ValueError(
                f"{self.path}: sounds.channel is {self.channel}, counted from 0, but it has {n}. Name another."
            )
        return Audio(sound.samples[:, int(self.channel)], sound.sfreq, self.name)


def file_of(ground: Ground, name: str) -> SoundFile:
    """The file of a sound of the study, and how it is read."""
    path = ground.sounds[name]
    content = ground.digest(path, f"sounds/{name}{path.suffix}")
    return SoundFile(name, path, ground.study.settings.sounds.channel, ground.manifest, content)


def units(ground: Ground) -> list[Unit]:
    """One per sound that is used."""
    found = []
    for name in ground.used_sounds:
        try:
            sound = file_of(ground, name)
        except (OSError, ValueError) as error:
            found.append(Unit("sounds", name, fault=str(error)))
            continue
        told = {"channel": sound.channel, "manifest": ground.manifest_digests}
        found.append(ground.unit("sounds", name, told, {"sound": sound.digest}, {"sound": sound}, [sound.path]))
    return found


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Look at a sound; what is found is all that is kept."""
    import numpy as np

    sound = given["sound"].read()
    peak = float(np.abs(sound.samples).max(initial=0.0))
    if peak == 0:
        raise ValueError(f"{given['sound'].path}: silent throughout. Check the recording.")
    share = sound.n_clipped / sound.samples.size
    if share > _CLIPPED:
        warnings.warn(f"{sound.name}: {share:.2%} of the samples are at full scale: clipped.", stacklevel=2)
    return {"duration": sound.duration, "sfreq": sound.sfreq, "peak": peak, "n_clipped": sound.n_clipped}
