"""Training of a surprisal model: an autoregressive rectified flow over the latents of a codec.

The straight path from noise to the next latent, ``x_t = t z + (1 - t) e``, has velocity ``z - e``; the network learns
its mean given the path's point, the time and the latents before, by squared error (arXiv:2209.03003).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from eegic import _checks, weights
from eegic.codec import Codec
from eegic.corpus import Corpus
from eegic.history import History
from eegic.surprisal.latents import cached_latents
from eegic.surprisal.model import SurprisalModel
from eegic.surprisal.networks import ARFlow, FlowConfig
from eegic.training import LoopConfig, Objective, first_process, generator, train
from eegic.training.objective import PARTS

CONTEXTS = ("clean", "scaled", "noised")
TIMES = ("uniform", "logit-normal")


@dataclass(frozen=True)
class FlowTraining:
    """How a surprisal model learns.

    Parameters
    ----------
    stretches, validation : int
        Stretches of sound that are encoded for training and for validation.
    frames : int
        Latents per stretch that is encoded.
    window : int
        Latents per training example, cut at random from a stretch.
    batch : int
        Examples per step (and per process).
    context : {"clean", "scaled", "noised"}
        The latents before, as the network sees them in training: as they are; times 1 - level, as
        `information_content` gives them at a noise level; or with noise added to that. With the last two a level is
        drawn for each example, and times are drawn up to 1 - level only: no others are asked for.
    largest : float
        Noise levels are uniform from 0 to it.
    clean_share : float
        Share of the examples whose level is 0.
    times : {"uniform", "logit-normal"}
        How times are distributed between noise and data.
    draws : int
        Times, and noises, per latent in each step. The contexts are computed once for all of them.

    Examples
    --------
    >>> FlowTraining(context="scaled", largest=0.9).window
    64
    """

    stretches: int = 2048
    validation: int = 64
    frames: int = 128
    window: int = 64
    batch: int = 16
    context: str = "scaled"
    largest: float = 0.9
    clean_share: float = 0.25
    times: str = "uniform"
    draws: int = 1

    def __post_init__(self) -> None:
        for name in ("stretches", "validation", "batch", "draws"):
            _checks.count(name, getattr(self, name))
        _checks.count("window", self.window, minimum=2)
        _checks.one_of("context", self.context, CONTEXTS)
        _checks.one_of("times", self.times, TIMES)
        if _checks.count("frames", self.frames) < self.window:
            raise ValueError(f"frames: expected at least window ({self.window}), got {self.frames}.")
        if not 0 < _checks.finite("largest", self.largest, "noise level") < 1:
            raise ValueError(f"largest: expected a noise level above 0 and below 1, got {self.largest:g}.")
        if not 0 <= _checks.finite("clean_share", self.clean_share, "share of the examples") <= 1:
            raise ValueError(f"clean_share: expected a share from 0 to 1, got {self.clean_share:g}.")

    def levels(self, n: int, draws: torch.Generator) -> Tensor:
        """Noise levels of `n` examples, shape (n,)."""
        drawn = self.largest * torch.rand(n, generator=draws)
        clean = torch.rand(n, generator=draws) < self.clean_share
        return torch.zeros(n) if self.context == "clean" else torch.where(clean, 0.0, drawn)

    def drawn_times(self, shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
        """Times from 0 (noise) to 1 (data)."""
        if self.times == "uniform":
            return torch.rand(shape, generator=draws)
        return torch.randn(shape, generator=draws).sigmoid()


class FlowObjective(Objective):
    """A surprisal model that learns from latents (n_stretches, n_frames, data), which `latents` gives for each part."""

    def __init__(
        self, networks: ARFlow, training: FlowTraining, latents: Callable[[str], np.ndarray], seed: int
    ) -> None:
        super().__init__()
        self.networks, self.training_settings, self.seed = networks, training, seed
        self._source = latents
        self.latents: dict[str, Tensor] = {}

    def prepare(self) -> None:
        """Get the latents."""
        self.latents = {part: torch.from_numpy(self._source(part)) for part in PARTS}

    def network(self) -> nn.Module:
        """Backbone and head."""
        return self.networks

    def compile(self) -> None:
        """Compile the backbone; the head is called through its parts."""
        self.networks.backbone.compile()

    def batch(self, part: str, index: int) -> dict[str, Tensor]:
        """Windows of latents, (batch, window, data)."""
        stored, settings = self.latents[part], self.training_settings
        draws = generator(self.seed, "windows", part, index)
        chosen = torch.randint(len(stored), (settings.batch,), generator=draws).tolist()
        starts = torch.randint(stored.shape[1] - settings.window + 1, (settings.batch,), generator=draws).tolist()
        windows = [stored[i, start : start + settings.window] for i, start in zip(chosen, starts, strict=True)]
        return {"latents": torch.stack(windows)}

    def forward(self, batch: dict[str, Tensor], draws: torch.Generator, progress: float) -> Tensor:
        """Squared error of the velocity, summed over dimensions; mean over latents."""
        z, settings = batch["latents"], self.training_settings
        kept = (1 - settings.levels(len(z), draws))[:, None, None]
        context = self.networks.backbone(self._context(z, kept, draws)[:, :-1])
        data = z[:, 1:].expand(settings.draws, -1, -1, -1)
        times = kept[..., 0] * settings.drawn_times(data.shape[:-1], draws)
        noise = torch.randn(data.shape, generator=draws).to(z.device)
        times = times.to(z.device)
        point = torch.lerp(noise, data, times[..., None])
        velocity = self.networks.head(times, point, context)
        error: Tensor = (velocity - (data - noise)).square().sum(-1)
        return error.mean()

    def _context(self, z: Tensor, kept: Tensor, draws: torch.Generator) -> Tensor:
        """Latents as the backbone sees them."""
        kept = kept.to(z.device)
        if self.training_settings.context == "noised":
            noise = torch.randn(z.shape, generator=draws).to(z.device)
            return torch.lerp(noise, z, kept)
        return kept * z


def train_surprisal(
    codec: Codec,
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    config: FlowConfig | None = None,
    training: FlowTraining | None = None,
    loop: LoopConfig | None = None,
    name: str = "surprisal",
    codec_name: str | None = None,
    licence: str = "unknown",
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    after_validation: Callable[[History], None] | None = None,
) -> SurprisalModel:
    """Train a surprisal model on the latents of a codec.

    Parameters
    ----------
    codec : Codec
        Whose latents the model is to know.
    corpus : Corpus
        Sound to learn from: a `SoundFolder`, or `eegic.datasets.MelodyCorpus`.
    out : str or Path
        Folder for latents, checkpoints, ``history.csv`` and, at the end, ``NAME.safetensors`` with its .json.
    config : FlowConfig, optional
        Sizes; by default a small model for this codec (width 128, depth 2).
    training : FlowTraining, optional
        Data and loss.
    loop : LoopConfig, optional
        Steps, learning rate, seed and the like.
    name : str
        Of the model.
    codec_name : str, optional
        Name or path by which the model will find its codec; by default the name of `codec`.
    licence, device, resume, progress, after_validation
        As for `train_codec`.

    Returns
    -------
    SurprisalModel
        With the averaged weights.
    """
    training, loop = training or FlowTraining(), loop or LoopConfig()
    config = config or FlowConfig(data=codec.dim, width=128, depth=2, heads=2, blocks=4, max_seq_length=training.window)
    check_sizes(config, training, codec)

    def latents(part: str) -> np.ndarray:
        n = training.stretches if part == "train" else training.validation
        where = Path(out) / "latents"
        return cached_latents(codec, corpus, where, part=part, stretches=n, frames=training.frames, progress=progress)

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(loop.seed)
        networks = ARFlow(config)
    encoder = weights.digest(codec.networks.encoder.state_dict())
    record = {
        "flow": asdict(config),
        "training": asdict(training),
        "corpus": corpus.settings(),
        "codec": {"name": codec.name, "encoder": encoder},
    }
    train(
        FlowObjective(networks, training, latents, loop.seed), loop, Path(out), device=device, settings=record,
        resume=resume, progress=progress, after_validation=after_validation,
    )  # fmt: skip
    found_as = codec.name if codec_name is None else codec_name
    where = next(networks.parameters()).device
    trained = SurprisalModel(networks, where, name, licence=licence, codec=found_as, encoder=encoder)
    if first_process():
        trained.save(Path(out) / f"{name}.safetensors")
    return trained


def check_sizes(config: FlowConfig, training: FlowTraining, codec: Codec) -> None:
    """Say where a model does not fit its codec, or looks further back than it learns to."""
    if config.data != codec.dim:
        raise ValueError(f"config: expected data={codec.dim}, the dimensions of {codec.name}, got {config.data}.")
    if config.max_seq_length > training.window:
        raise ValueError(
            f"config: expected max_seq_length up to window={training.window}, got {config.max_seq_length}: further "
            "back the model would look, but never has in training. Lower max_seq_length, or take a longer window."
        )
