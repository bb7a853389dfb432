"""Training of a codec: the consistency step, and what makes latents robust to noise or linear.

A noisy spectrogram and a slightly less noisy one, with the same noise, are to be cleaned to the same result; the latter
is the teacher, through which nothing flows back. At `sigma_min` cleaning changes nothing, so what is agreed upon is the
spectrogram itself. The encoder learns through the student alone (arXiv:2408.06500; arXiv:2310.14189 for the loss).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eegic import _checks, perceptual, weights
from eegic.audio import Audio
from eegic.codec import consistency, spectrum
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.codec import Codec
from eegic.codec.config import CodecConfig
from eegic.codec.networks import LayerNormBottleneck, UNet
from eegic.corpus import Corpus
from eegic.history import History
from eegic.training import LoopConfig, Objective, first_process, train

EXAMPLES = 4  # stretches of validation that are decoded for the metrics
_EXAMPLE_SECONDS = 3.0
_STEP_BASE = 0.1
_LEAST_SHARE = 1e-6  # of the noises between sigma_min and sigma_max; with fewer, quantiles would be rounded away
_CLOSEST = 1e-6  # noise by which student and teacher differ at least; where they are one, both lengths are 0


@dataclass(frozen=True)
class CodecTraining:
    """How a codec learns.

    Parameters
    ----------
    latents : int
        Length of a stretch of sound, in latents.
    batch : int
        Stretches per step (and per process, if there are several).
    sigma_mean, sigma_sd : float
        Of the logarithm of the noise at which the student cleans: normal, cut off at the limits of the schedule.
    exponents : tuple of float
        Student and teacher are ``0.1 ** e`` of the schedule apart; e goes from the first number to the second. For
        fine-tuning give the last one twice.
    weighting : float
        The loss is divided by the difference of the noises of student and teacher to this power. 1 is as published, and
        weighs little noise most; short trainings come further with less, for decoding starts from much noise.
    huber : float
        Width of the quadratic part of the loss, in units of the square root of the number of its values.
    noise : LatentNoise
        Noise on latents.
    linearity : Linearity, optional
        Gains and mixtures.

    Examples
    --------
    >>> CodecTraining(noise=LatentNoise("both")).noise.noised
    'both'
    """

    latents: int = 8
    batch: int = 16
    sigma_mean: float = -1.1
    sigma_sd: float = 2.0
    exponents: tuple[float, float] = (1.0, 3.0)
    weighting: float = 1.0
    huber: float = 0.00054
    noise: LatentNoise = field(default_factory=LatentNoise)
    linearity: Linearity | None = None

    def __post_init__(self) -> None:
        _checks.count("latents", self.latents)
        _checks.count("batch", self.batch, minimum=2 if self.linearity else 1)
        _checks.finite("sigma_mean", self.sigma_mean, "logarithm of the noise")
        _checks.positive("sigma_sd", self.sigma_sd, "logarithms of the noise")
        _checks.not_negative("weighting", self.weighting, "power")
        _checks.positive("huber", self.huber, "this unit")
        given = self.exponents if isinstance(self.exponents, Iterable) else (self.exponents,)
        exponents = tuple(_checks.positive("exponents", e, "powers of 0.1") for e in given)
        if len(exponents) != 2:
            raise ValueError(f"exponents: expected two, for the start and the end of the training, got {exponents}.")
        object.__setattr__(self, "exponents", exponents)

    def gap(self, progress: float) -> float:
        """Distance of student and teacher at a `progress` of the training from 0 to 1."""
        first, last = self.exponents
        return float(_STEP_BASE ** (first + (last - first) * progress))

    def positions(self, n: int, config: CodecConfig, draws: torch.Generator) -> Tensor:
        """Draw `n` positions of the student on the schedule of noise, from 0 (`sigma_min`) to 1 (`sigma_max`)."""
        least, most = math.log(config.sigma_min), math.log(config.sigma_max)
        ends = [(end - self.sigma_mean) / self.sigma_sd for end in (least, most)]
        low, high = torch.special.ndtr(torch.tensor(ends, dtype=torch.float64))
        if high - low < _LEAST_SHARE:
            raise ValueError(
                f"sigma_mean: expected logarithms of noise that lie on the schedule, {least:.3g} to {most:.3g}, got a "
                f"mean of {self.sigma_mean:g} with sigma_sd {self.sigma_sd:g}, by which less than one in a million "
                "does. Bring sigma_mean nearer."
            )
        normal = torch.special.ndtri(low + (high - low) * torch.rand(n, dtype=torch.float64, generator=draws))
        sigma = (self.sigma_mean + self.sigma_sd * normal).exp()
        position: Tensor = consistency.position_of(sigma.clamp(config.sigma_min, config.sigma_max), config)
        return position.float()


class CodecObjective(Objective):
    """A codec that learns from a corpus."""

    def __init__(self, networks: UNet, config: CodecConfig, training: CodecTraining, corpus: Corpus) -> None:
        super().__init__()
        self.networks, self.config, self.training_settings, self.corpus = networks, config, training, corpus
        for unused in _fixed(networks):
            unused.requires_grad_(False)

    def network(self) -> nn.Module:
        """Encoder, decoder and U-Net."""
        return self.networks

    def compile(self) -> None:
        """Compile what is called: encoder, decoder and U-Net."""
        for part in (self.networks.encoder, self.networks.decoder, self.networks):
            part.compile()

    def batch(self, part: str, index: int) -> dict[str, Tensor]:
        """Stretches of sound, (batch, n_samples)."""
        settings, config = self.training_settings, self.config
        n_samples = settings.latents * config.samples_per_latent + config.overhang
        numbers = range(index * settings.batch, (index + 1) * settings.batch)
        stretches = [self.corpus.stretch(part, number, n_samples, config.sfreq) for number in numbers]
        return {"samples": torch.from_numpy(np.stack(stretches))}

    def forward(self, batch: dict[str, Tensor], draws: torch.Generator, progress: float) -> Tensor:
        """Mean loss of a batch."""
        config, settings = self.config, self.training_settings
        target, latents = self._lesson(batch["samples"], draws, progress)
        latents = settings.noise.apply(latents, config.scale, draws, progress)
        position = settings.positions(len(target), config, draws)
        noise = torch.randn(target.shape, generator=draws).to(target.device)
        student, teacher = (
            consistency.sigma_at(at.to(target.device), config)
            for at in (position, (position - settings.gap(progress)).clamp_min(0))
        )
        pyramid = self.networks.decoder(latents)
        cleaned = self._cleaned(target, noise, student, pyramid)
        with torch.no_grad():
            aim = self._cleaned(target, noise, teacher, pyramid)
        width = settings.huber * math.sqrt(target[0].numel())
        distance = ((cleaned - aim).square().flatten(1).sum(1) + width**2).sqrt() - width
        weight = (student - teacher).clamp_min(_CLOSEST) ** -settings.weighting
        return (weight * distance).mean()

    def _lesson(self, samples: Tensor, draws: torch.Generator, progress: float) -> tuple[Tensor, Tensor]:
        """Spectrograms to be restored, and the latents from which."""
        latents = self.networks.encoder(spectrum.analyse(samples, self.config))
        linearity = self.training_settings.linearity
        if linearity is None:
            return spectrum.analyse(samples, self.config), latents
        samples, latents = linearity.mixed(samples, latents, draws)
        gains = linearity.gains(samples, progress, draws)
        return spectrum.analyse(gains[:, None] * samples, self.config), gains[:, None, None] * latents

    def _cleaned(self, target: Tensor, noise: Tensor, sigma: Tensor, pyramid: list[Tensor]) -> Tensor:
        noisy = target + sigma[:, None, None, None] * noise
        return consistency.denoise(self.networks, noisy, sigma, pyramid, self.config)

    def metrics(self) -> dict[str, float]:
        """How well stretches of validation come back: SI-SDR in decibels, multi-resolution STFT distance."""
        codec = Codec(self.config, self.networks, self.networks.conv_out.weight.device)
        found = [scores(codec, sound) for sound in examples(self.corpus, self.config, self.training_settings.latents)]
        return {name: _mean([one[name] for one in found]) for name in found[0]}


def examples(
    corpus: Corpus, config: CodecConfig, latents: int = CodecTraining.latents, n: int = EXAMPLES
) -> list[Audio]:
    """Stretches of validation of 3 s, to be decoded and compared; as long as those of training if none are there."""
    n_samples = round(_EXAMPLE_SECONDS * config.sfreq)
    try:
        stretches = [corpus.stretch("validation", i, n_samples, config.sfreq) for i in range(n)]
    except ValueError:  # no recording lasts so long
        n_samples = latents * config.samples_per_latent + config.overhang
        stretches = [corpus.stretch("validation", i, n_samples, config.sfreq) for i in range(n)]
    return [Audio(stretch, config.sfreq, f"validation-{i}") for i, stretch in enumerate(stretches)]


def scores(codec: Codec, sound: Audio) -> dict[str, float]:
    """How well a sound, at the rate of the codec, comes back: SI-SDR in decibels, multi-resolution STFT distance.

    Of silence both are NaN, and so is the distance of a sound that is shorter than the shortest window; windows that
    are longer than the sound are left out.
    """
    if not sound.samples.any():
        return {"si_sdr": math.nan, "multires_stft": math.nan}
    back = codec.reconstruct(sound, rng=0)
    windows = [length for length in perceptual.WINDOWS if length <= len(sound.samples)]
    distance = perceptual.multires_stft(sound, back, windows=windows) if windows else math.nan
    return {"si_sdr": perceptual.si_sdr(sound, back), "multires_stft": distance}


def _mean(values: list[float]) -> float:
    """Of those that are known; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def train_codec(
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    config: CodecConfig | None = None,
    training: CodecTraining | None = None,
    loop: LoopConfig | None = None,
    initial: Codec | None = None,
    name: str = "codec",
    licence: str = "unknown",
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    after_validation: Callable[[History], None] | None = None,
) -> Codec:
    """Train a codec.

    Parameters
    ----------
    corpus : Corpus
        Sound to learn from: a `SoundFolder`, or `eegic.datasets.MelodyCorpus`.
    out : str or Path
        Folder for checkpoints, ``history.csv`` and, at the end, ``NAME.safetensors`` with its .json.
    config : CodecConfig, optional
        Sizes; by default those of the public codec.
    training : CodecTraining, optional
        The loss, and what is done to latents.
    loop : LoopConfig, optional
        Steps, learning rate, seed and the like.
    initial : Codec, optional
        Where to start; by default from random weights.
    name : str
        Of the codec.
    licence : str
        Under which you give it away.
    device : str
        "auto" (CUDA if there is one), "cpu" or "cuda".
    resume : bool
        True goes on from the last checkpoint in `out`; the weights in the end are those of an unbroken run.
    progress : bool
        True shows a progress bar, in a terminal only.
    after_validation : callable, optional
        Receives the history whenever a row of validation was added: to draw it, for instance.

    Returns
    -------
    Codec
        With the averaged weights.
    """
    config = (initial.config if initial else CodecConfig()) if config is None else config
    training, loop = training or CodecTraining(), loop or LoopConfig()
    networks = starting_networks(config, initial, loop.seed)
    objective = CodecObjective(networks, config, training, corpus)
    record: dict[str, Any] = {
        "codec": config.settings(),
        "training": asdict(training),
        "corpus": corpus.settings(),
        "initial": weights.digest(initial.networks.state_dict()) if initial else None,
    }
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a sixth less time on a CPU
    train(
        objective, loop, Path(out), device=device, settings=record, resume=resume, progress=progress,
        after_validation=after_validation,
    )  # fmt: skip
    networks.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    trained = Codec(config, networks, networks.conv_out.weight.device, name, licence=licence)
    if first_process():
        trained.save(Path(out) / f"{name}.safetensors")
    return trained


def starting_networks(config: CodecConfig, initial: Codec | None, seed: int) -> UNet:
    """Networks as they are before training: random, drawn by `seed`, or the weights of another codec."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        networks = UNet(config)
    nn.init.zeros_(networks.conv_out.weight)  # at first, cleaning adds next to nothing
    if initial is not None:
        if initial.config != config:
            raise ValueError(
                f"initial: expected a codec of the sizes asked for, but {initial.name} has others. Leave config out, "
                "or start from another codec."
            )
        networks.load_state_dict(initial.networks.state_dict())
    return networks


def _fixed(networks: UNet) -> list[nn.Parameter]:
    """What belongs to the format but does not learn: the scale of latents, and projections that nothing uses."""
    bottleneck = networks.encoder.activation_bottleneck
    fixed = list(bottleneck.parameters()) if isinstance(bottleneck, LayerNormBottleneck) else []
    return fixed + [parameter for name, parameter in networks.decoder.named_parameters() if "proj_emb" in name]
