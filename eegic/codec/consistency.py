"""The consistency model: from any noise to clean in one call, or in several.

``f(x, sigma)`` returns the clean spectrogram of ``clean + sigma * noise``; by construction ``f(x, sigma_min) = x``. The
formulas are those of Music2Latent (arXiv:2408.06500) and of consistency models (arXiv:2303.01469).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from eegic.codec.config import CodecConfig
from eegic.codec.networks import UNet

Position = TypeVar("Position", float, Tensor)


def sigma_at(position: Position, config: CodecConfig) -> Position:
    """Standard deviation of the noise at a `position` from 0 (`sigma_min`) to 1 (`sigma_max`).

    Examples
    --------
    >>> [round(sigma_at(i, CodecConfig()), 3) for i in (0, 0.5, 1)]
    [0.002, 2.515, 80.0]
    """
    low, high = config.sigma_min ** (1 / config.rho), config.sigma_max ** (1 / config.rho)
    sigma: Position = (low + position * (high - low)) ** config.rho
    return sigma


def position_of(sigma: Position, config: CodecConfig) -> Position:
    """The position from 0 to 1 at which the noise has standard deviation `sigma`: the inverse of `sigma_at`.

    Examples
    --------
    >>> round(position_of(sigma_at(0.3, CodecConfig()), CodecConfig()), 9)
    0.3
    """
    low, high = config.sigma_min ** (1 / config.rho), config.sigma_max ** (1 / config.rho)
    position: Position = (sigma ** (1 / config.rho) - low) / (high - low)
    return position


def coefficients(sigma: Tensor, config: CodecConfig) -> tuple[Tensor, Tensor, Tensor]:
    """How much of its input a call keeps (c_skip), adds of the network (c_out), and scales for it (c_in).

    Parameters
    ----------
    sigma : Tensor
        Standard deviations of the noise.
    config : CodecConfig
        `sigma_data` and `sigma_min`.

    Returns
    -------
    c_skip, c_out, c_in : Tensor
        Each of the shape of `sigma`.
    """
    data, above = config.sigma_data, sigma - config.sigma_min
    total = (sigma**2 + data**2).sqrt()
    return data**2 / (above**2 + data**2), data * above / total, 1 / total


def denoise(network: UNet, x: Tensor, sigma: Tensor, pyramid: list[Tensor], config: CodecConfig) -> Tensor:
    """One call: the clean spectrograms that `x` are noisy versions of.

    Parameters
    ----------
    network : UNet
        The autoencoder.
    x : Tensor, shape (batch, 2, n_bins, n_frames)
        Compressed spectrograms with noise of standard deviation `sigma`.
    sigma : Tensor, shape (batch,)
        From `sigma_min` to `sigma_max`.
    pyramid : list of Tensor
        ``network.decoder(latents)``.
    config : CodecConfig
        Constants.

    Returns
    -------
    Tensor, shape of `x`
    """
    c_skip, c_out, c_in = (c[:, None, None, None] for c in coefficients(sigma, config))
    raw: Tensor = network(c_in * x, sigma, pyramid)
    return c_skip * x + c_out * raw


def sample(
    denoised: Callable[[Tensor, float], Tensor], draw: Callable[[], Tensor], steps: int, config: CodecConfig
) -> Tensor:
    """Clean up pure noise in `steps` calls.

    Parameters
    ----------
    denoised : callable
        ``denoised(x, sigma)`` is one call, as `denoise` makes it, for given latents.
    draw : callable
        Standard normal noise of the shape wanted, anew at each of its `steps` calls.
    steps : int
        Number of calls; they start from noise ``sigma_at(i)`` at ``i = 1, (steps - 1)/steps, ..., 1/steps``.
    config : CodecConfig
        Constants.

    Returns
    -------
    Tensor
    """
    sigmas = [sigma_at(i / steps, config) for i in range(steps, 0, -1)]
    clean = denoised(sigmas[0] * draw(), sigmas[0])
    for sigma in sigmas[1:]:
        clean = denoised(clean + max(sigma**2 - config.sigma_min**2, 0.0) ** 0.5 * draw(), sigma)
    return clean


def noise_of(n_frames: int, config: CodecConfig, generator: torch.Generator) -> Tensor:
    """Standard normal spectrogram (1, 2, n_bins, n_frames), drawn frame by frame on the CPU.

    The noise of a longer sound starts with that of a shorter one, and no device draws other noise than another.
    """
    drawn = torch.randn(n_frames, config.n_bins, 2, generator=generator)
    return drawn.permute(2, 1, 0)[None]
