"""What training does to latents, and to the sound they stand for: noise, gains, mixtures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eegic import _checks

NOISED = ("none", "decoder", "both")
PER = ("sound", "frame")
MIXTURES = ("random", "half", "sum")


@dataclass(frozen=True)
class LatentNoise:
    """Noise on latents, so that what matters to the ear moves to their coarse structure (arXiv:2511.05350).

    A latent z of variance 1 becomes ``t z + (1 - t) gamma e`` with normal e and ``logit t ~ N(mean, sd²)``.

    Parameters
    ----------
    noised : {"none", "decoder", "both"}
        Who learns from noised latents: nobody, the decoder alone (nothing flows back through them to the encoder), or
        decoder and encoder.
    mean, sd : float
        Of the logit of the clean fraction t: the lower the mean, the more noise.
    gamma : float
        Standard deviation of the noise, in units of `CodecConfig.scale`.
    share : float
        Of the sounds, how many are noised; the others stay clean. With "decoder" the encoder learns from those alone.
    per : {"sound", "frame"}
        What has a t of its own.
    delay : float
        Share of the training before noise sets in. Latents come to tell sounds apart sooner without; published codecs
        were trained to their end before.
    """

    noised: str = "none"
    mean: float = 0.0
    sd: float = 1.0
    gamma: float = 1.0
    share: float = 0.75
    per: str = "sound"
    delay: float = 0.0

    def __post_init__(self) -> None:
        _checks.one_of("noised", self.noised, NOISED)
        _checks.one_of("per", self.per, PER)
        _checks.finite("mean", self.mean, "logit of the clean fraction")
        _checks.not_negative("sd", self.sd, "logits")
        _checks.positive("gamma", self.gamma, "standard deviations of the latents")
        if not 0 < _checks.finite("share", self.share, "share of the sounds") <= 1:
            raise ValueError(f"share: expected a share above 0 and up to 1, got {self.share:g}.")
        if not 0 <= _checks.finite("delay", self.delay, "share of the training") < 1:
            raise ValueError(f"delay: expected a share from 0 to below 1, got {self.delay:g}.")
        if self.noised == "decoder" and self.share == 1:
            raise ValueError("share: expected less than 1 with noised='decoder', or the encoder never learns.")

    def apply(self, latents: Tensor, scale: float, draws: torch.Generator, progress: float = 1.0) -> Tensor:
        """Noise some of the latents (batch, dim, n_latents), which are `scale` times those of variance 1."""
        if self.noised == "none" or progress < self.delay:
            return latents
        n_batch, _, n_latents = latents.shape
        n_times = 1 if self.per == "sound" else n_latents
        logits = self.mean + self.sd * torch.randn(n_batch, 1, n_times, generator=draws)
        chosen = (torch.rand(n_batch, 1, 1, generator=draws) < self.share).to(latents.device)
        noise = self.gamma * scale * torch.randn(latents.shape, generator=draws).to(latents)
        clean = torch.sigmoid(logits).to(latents)
        heard = latents.detach() if self.noised == "decoder" else latents
        return torch.where(chosen, torch.lerp(noise, heard, clean), latents)


@dataclass(frozen=True)
class Linearity:
    """Gains and mixtures in training, after which latents add up as sounds do (Lin-CAE, arXiv:2510.23530).

    A sound is encoded as it is; its latents, and the sound that the decoder is to give, are scaled by one gain. The
    latents of a mixture are the mixture of the latents.

    Parameters
    ----------
    probability : float
        Of a gain other than 1.
    largest : float
        Gains are uniform from 0 to it; as far as the peak of the sound allows.
    smallest : float
        Gains below it become 0.
    annealed : bool
        True holds the range of gains for a fifth of the training, then narrows it, and ends with a tenth without.
    mixtures : {"random", "half", "sum"}
        Weights of two sounds: w and 1 - w with w uniform from 0.5 to 1, both a half, or both 1.
    """

    probability: float = 0.8
    largest: float = 3.0
    smallest: float = 0.05
    annealed: bool = False
    mixtures: str = "random"

    def __post_init__(self) -> None:
        _checks.one_of("mixtures", self.mixtures, MIXTURES)
        _checks.flag("annealed", self.annealed)
        if not 0 <= _checks.finite("probability", self.probability, "probability") <= 1:
            raise ValueError(f"probability: expected 0 to 1, got {self.probability:g}.")
        _checks.positive("largest", self.largest, "gain")
        if not 0 <= _checks.finite("smallest", self.smallest, "gain") < self.largest:
            raise ValueError(f"smallest: expected 0 to below largest ({self.largest:g}), got {self.smallest:g}.")

    def mixed(self, samples: Tensor, latents: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sounds (batch, n_samples) and their latents, and after them as many mixtures of neighbours."""
        first, second = (weight.to(samples.device) for weight in self._weights(len(samples), draws))
        sounds = first[:, None] * samples + second[:, None] * samples.roll(1, 0)
        combined = first[:, None, None] * latents + second[:, None, None] * latents.roll(1, 0)
        return torch.cat((samples, sounds)), torch.cat((latents, combined))

    def _weights(self, n: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.mixtures == "random":
            first = 0.5 + 0.5 * torch.rand(n, generator=draws)
            return first, 1 - first
        weights = torch.full((n,), 0.5 if self.mixtures == "half" else 1.0)
        return weights, weights

    def gains(self, samples: Tensor, progress: float, draws: torch.Generator) -> Tensor:
        """One gain per sound (batch, n_samples), as far as its peak allows: none passes 1 after it."""
        drawn = self.largest * torch.rand(len(samples), generator=draws)
        drawn = torch.where(drawn < self.smallest, 0.0, drawn)
        drawn = torch.where(torch.rand(len(samples), generator=draws) < self.probability, drawn, 1.0)
        drawn = (1 + self.range_at(progress) * (drawn - 1)).to(samples.device)
        return torch.minimum(drawn, 1 / samples.abs().amax(dim=1).clamp_min(1e-6))

    def range_at(self, progress: float) -> float:
        """How much of the range of gains is left at a `progress` of the training from 0 to 1.

        Examples
        --------
        >>> annealed = Linearity(annealed=True)
        >>> [round(annealed.range_at(p), 2) for p in (0, 0.2, 0.55, 0.9, 1)]
        [1.0, 1.0, 0.5, 0.0, 0.0]
        """
        if not self.annealed:
            return 1.0
        narrowed = min(max((progress - 0.2) / 0.7, 0.0), 1.0)
        return 0.5 + 0.5 * math.cos(math.pi * narrowed)
