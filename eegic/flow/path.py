"""Straight paths from noise to data, and the one flow whose densities are known in closed form."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def interpolate(noise: Tensor, data: Tensor, t: Tensor) -> Tensor:
    """Points of the straight path: noise at t = 0, data at t = 1; t broadcasts over the axes before the last."""
    return t[..., None] * data + (1 - t)[..., None] * noise


def log_normal(x: Tensor) -> Tensor:
    """Log-density of standard normal noise at x (..., data), in nats and float64."""
    return -0.5 * x.double().square().sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)


class GaussianFlow:
    """The velocity that carries noise to Gaussian data, and the densities on its way.

    Points of the path at time t are Gaussian with mean t m and covariance C(t) = t² S + (1 - t)² I, so velocity,
    divergence and log-density are known: what estimates of them are held against.

    Parameters
    ----------
    mean : Tensor, shape (..., data)
        Of the data; one for each row of x, or one for all.
    covariance : Tensor, shape (data, data)
        Of the data.

    Examples
    --------
    >>> flow = GaussianFlow(torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.6], [0.6, 1.0]]))
    >>> flow(torch.zeros(2), torch.tensor(0.0))  # at first every point is carried towards the mean
    tensor([1., 0.])
    """

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        self.mean = mean
        self.covariance = covariance

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at x (..., data)."""
        moved = x - t[..., None] * self.mean
        return self.mean + torch.einsum("...ij,...j->...i", self._gain(t), moved)

    def __getitem__(self, rows: Any) -> GaussianFlow:
        """The flow at some of the rows of x, if each has a mean of its own; else the same at all."""
        return GaussianFlow(self.mean if self.mean.ndim == 1 else self.mean[rows], self.covariance)

    def products(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (..., data) and Jacobian products (k, ..., data) of tangents (k, ..., data)."""
        return self(x, t), torch.einsum("...ij,k...j->k...i", self._gain(t), tangents)

    def divergence(self, t: Tensor) -> Tensor:
        """Trace of the Jacobian at times (...), the same at every x."""
        return self._gain(t).diagonal(dim1=-2, dim2=-1).sum(-1)

    def log_density(self, x: Tensor, t: Tensor) -> Tensor:
        """Log-density at x (..., data) of the points of the path at time t (...), in nats."""
        moved = x - t[..., None] * self.mean
        covariance = self._at(t)
        squared = (moved * torch.linalg.solve(covariance, moved[..., None])[..., 0]).sum(-1)
        size = torch.linalg.slogdet(covariance)[1] + x.shape[-1] * math.log(2 * math.pi)
        density: Tensor = -0.5 * (squared + size)
        return density

    def _at(self, t: Tensor) -> Tensor:
        identity = torch.eye(len(self.covariance), dtype=self.covariance.dtype, device=self.covariance.device)
        return t[..., None, None] ** 2 * self.covariance + (1 - t)[..., None, None] ** 2 * identity

    def _gain(self, t: Tensor) -> Tensor:
        """(t S - (1 - t) I) C(t)⁻¹; both commute."""
        identity = torch.eye(len(self.covariance), dtype=self.covariance.dtype, device=self.covariance.device)
        slope = t[..., None, None] * self.covariance - (1 - t)[..., None, None] * identity
        gain: Tensor = torch.linalg.solve(self._at(t), slope)
        return gain
