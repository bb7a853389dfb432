"""Log-densities under a flow: integrate the velocity, and its divergence along the way.

Along dx/dt = v(x, t) the log-density changes by minus the divergence of v, so with noise of known density at t = 0
``log p_t(x_t) = log N(x_0) - ∫_0^t tr(∂v/∂x) dt``. States are kept in the precision they come in; log-densities
accumulate in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eegic.flow.divergence import Differentiable, Probes
from eegic.flow.path import log_normal

_PRIOR = 1.0  # a row's worth of belief that the nodes of a stream err independently
_NEXT_TO_NOTHING = 1e-3  # of the mean over rows


@dataclass(frozen=True)
class LogDensity:
    """Log-densities at some times of a trajectory.

    Parameters
    ----------
    value : Tensor of float64, shape (n_times, ...)
        In nats.
    within : Tensor of float64, shape (n_times, ...)
        For random probes: squared standard error if nodes erred independently, from the scatter of streams at each
        node. For exact integration: the square of what is left of the numerical error. NaN where nothing tells.
    between : Tensor of float64, shape (n_times, ...)
        Squared standard error from the scatter of whole streams alone: unbiased, but with one number per stream rough.
    n_streams : int
        Of random probes; 0 for exact integration.
    """

    value: Tensor
    within: Tensor
    between: Tensor
    n_streams: int = 0

    def each(self, change: Callable[[Tensor], Tensor]) -> LogDensity:
        """The same after `change` of every tensor: a selection, another shape, another device."""
        return replace(self, value=change(self.value), within=change(self.within), between=change(self.between))

    def joined(self, others: Sequence[LogDensity]) -> LogDensity:
        """These rows and those of `others`, along the last axis."""
        parts = (self, *others)
        value, within, between = (
            torch.cat([getattr(part, name) for part in parts], dim=-1) for name in ("value", "within", "between")
        )
        return LogDensity(value, within, between, self.n_streams)

    @property
    def se(self) -> Tensor:
        """Standard errors, of the shape of `value`.

        Of random probes, their size is taken from the scatter of streams, pooled over rows (the last axis): it also
        sees what successive nodes make up for. Their course over rows is that of the scatter at nodes, on a log scale,
        drawn to its mean as far as it is chance, of which there is much where nodes are few or share their probes.
        """
        if not self.n_streams:
            return self.within.sqrt()
        mean, n_rows = self.within.mean(-1, keepdim=True), self.value.shape[-1]
        size = (_PRIOR * mean + self.between.sum(-1, keepdim=True)) / (_PRIOR + n_rows)
        course = (self._share_of_rows() * _centred_log(self.within)).exp()
        return torch.where(mean > 0, size * course / course.mean(-1, keepdim=True), self.within).sqrt()

    def _share_of_rows(self) -> Tensor:
        """How much of the course of `within` over rows is theirs, and not chance: 0 to 1, of shape (n_times, 1).

        What rows differ by is the variance of log `between` over them, less what k normal streams add by chance: the
        variance of the logarithm of a chi-squared number of k - 1 degrees of freedom, a trigamma function.
        """
        freedom = torch.tensor((self.n_streams - 1) / 2, dtype=torch.float64, device=self.within.device)
        apart = _centred_log(self.between).square().mean(-1, keepdim=True) - torch.special.polygamma(1, freedom)
        share: Tensor = apart / _centred_log(self.within).square().mean(-1, keepdim=True)
        return share.nan_to_num(0.0).clip(0, 1)


def probed(
    velocity: Differentiable, x: Tensor, times: Sequence[Tensor], probes: Probes, *, steps: Sequence[int], node: float
) -> LogDensity:
    """Log-densities along the trajectory of x from data towards noise, with the divergence by random probes.

    Parameters
    ----------
    velocity : Differentiable
        ``velocity.products(x, t, tangents)`` gives velocity and Jacobian products in one pass.
    x : Tensor, shape (..., data)
        State at the first time.
    times : sequence of Tensor
        From where x lies down to 0, each broadcasting over the axes of x before the last; the log-density is wanted at
        all but the last.
    probes : Probes
        Of rows of x.
    steps : sequence of int
        From each time to the next.
    node : float
        Where in a step velocity and divergence are evaluated, once: 0 at its start (Euler), 0.5 in its middle, which
        is reached along the last slope (the midpoint rule, at the price of Euler's).

    Returns
    -------
    LogDensity
        ``n_times`` is ``len(times) - 1``.
    """
    states, integrals, variances = zip(*_march(velocity, x, times, probes, steps, node), strict=True)
    return _assembled(log_normal(states[-1]), from_noise(integrals), from_noise(variances))


def sampled(
    velocity: Differentiable, x: Tensor, times: Sequence[Tensor], probes: Probes, *, steps: Sequence[int], node: float
) -> LogDensity:
    """Log-densities of the points that noise x, at time 0, becomes at the later `times`; as in `probed`."""
    start = log_normal(x)
    _, integrals, variances = zip(*_march(velocity, x, times, probes, steps, node), strict=True)
    return _assembled(start, -torch.stack(integrals).cumsum(0), torch.stack(variances).cumsum(0))


def _march(
    velocity: Differentiable, x: Tensor, times: Sequence[Tensor], probes: Probes, steps: Sequence[int], node: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Per interval: the state at its end, the integral of the divergence down it (streams, ...), and its variance."""
    slope = velocity(x, times[0].to(x.dtype)) if node else torch.zeros_like(x)
    count = 0
    for start, stop, n_steps in zip(times[:-1], times[1:], steps, strict=True):
        h = ((stop - start) / n_steps).to(x.dtype)[..., None]
        sums = torch.zeros((probes.n_streams, *x.shape[:-1]), dtype=torch.float64, device=x.device)
        variance = torch.zeros_like(sums[0])
        for i in range(n_steps):
            t = (start + (stop - start) * ((i + node) / n_steps)).to(x.dtype)
            p = probes(count).to(x.dtype)
            slope, products = velocity.products(x + node * h * slope, t, p)
            x = x + h * slope
            shares = -h[..., 0] * (products * p).sum(-1)
            sums += shares
            if probes.n_streams > 1:
                variance += shares.double().var(0) / probes.n_streams
            count += 1
        yield x, sums, variance if probes.n_streams > 1 else torch.full_like(variance, torch.nan)


def _centred_log(values: Tensor) -> Tensor:
    """Logarithms of values, less their mean over rows; what is next to nothing beside the others counts as small."""
    floor = _NEXT_TO_NOTHING * values.mean(-1, keepdim=True) + torch.finfo(torch.float64).tiny
    logs = torch.maximum(values, floor).log()
    return logs - logs.mean(-1, keepdim=True)


def from_noise(parts: Sequence[Tensor]) -> Tensor:
    """Sums over an interval and all after it, (n_times, ...)."""
    return torch.stack(tuple(parts)).flip(0).cumsum(0).flip(0)


def _assembled(noise: Tensor, integrals: Tensor, within: Tensor) -> LogDensity:
    n_streams = integrals.shape[1]
    between = integrals.var(1) / n_streams if n_streams > 1 else torch.full_like(within, torch.nan)
    return LogDensity(noise - integrals.mean(1), within, between, n_streams)
