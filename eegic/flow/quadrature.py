"""Log-densities with the exact divergence, integrated along a path that is solved first."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from eegic import _devices
from eegic.flow import ode
from eegic.flow.divergence import Differentiable, trace
from eegic.flow.likelihood import LogDensity, from_noise
from eegic.flow.path import log_normal

# Ways to solve the path, tried in turn, with so many steps. A velocity may vary fast in time, as those of networks do,
# and then many plain nodes are worth more than few of high order; for a smooth one it is the other way round.
_WAYS = (*(("midpoint", n) for n in (32, 64, 128, 256, 512)), *(("rk4", n) for n in (64, 128, 256)))
_FEWEST = 8  # intervals of the first rule
_GAIN = 1 / 4  # by which a refinement shrinks the error, at most


def exact(
    velocity: Differentiable, x: Tensor, times: Sequence[Tensor], *, tolerance: float, batch: int = 4096
) -> LogDensity:
    """Log-densities along the trajectory of x from data towards noise, with the exact divergence.

    The path is solved first, in ever smaller steps until that moves the result by less than `tolerance`. Then the trace
    of the Jacobian is integrated along it by Clenshaw-Curtis rules, whose nodes are doubled until what the new ones add
    is less than that. Every row is refined as far as it needs.

    Parameters
    ----------
    velocity : Differentiable
        As for `probed`; ``velocity[rows]`` must give it at some of the rows.
    x : Tensor, shape (n_rows, data)
        State at the first time.
    times : sequence of Tensor, each of shape (n_rows,)
        As for `probed`.
    tolerance : float
        Nats, for each interval.
    batch : int
        Jacobian products computed at once; each row takes as many as data have dimensions.

    Returns
    -------
    LogDensity
        ``within`` and ``between`` are the square of what the last refinement changed.
    """
    integrals, errors = [], []
    for start, stop in pairwise(times):
        x, integral, error = _refined(velocity, x, start, stop, tolerance, batch)
        integrals.append(integral)
        errors.append(error**2)
    squared = from_noise(errors)
    return LogDensity(log_normal(x) - from_noise(integrals), squared, squared)


def _refined(
    velocity: Differentiable, x: Tensor, start: Tensor, stop: Tensor, tolerance: float, batch: int
) -> tuple[Tensor, Tensor, Tensor]:
    """State at `stop`, integral of the divergence from there to `start`, and how much both last changed it."""
    end = x.clone()
    integral, error = (torch.full(x.shape[:1], torch.nan, dtype=torch.float64, device=x.device) for _ in range(2))
    rows, moved = torch.arange(len(x), device=x.device), torch.zeros_like(error)
    coarse, _ = _path(velocity, x, start, stop, *_WAYS[0])
    for way in _WAYS[1:]:
        states, at = _path(velocity[rows], x[rows], start[rows], stop[rows], *way)
        before, now = moved[rows], _moved(coarse[-1], states[-1])
        path_error = now * (now / (before - now).clamp(min=0)).nan_to_num(1.0).clamp(max=1)  # as the last steps gained
        moved[rows] = now
        ready = (path_error <= tolerance) | (way == _WAYS[-1])
        found, change = _nested(velocity[rows[ready]], states[:, ready], at[:, ready], tolerance, batch)
        end[rows[ready]] = states[-1, ready]
        integral[rows[ready]] = found * (start - stop)[rows[ready]].double()
        error[rows[ready]] = change + path_error[ready]
        again = ~ready
        again[ready] = change > tolerance
        rows, coarse = rows[again], states[:, again]
        if not len(rows):
            break
    if bool((error > 2 * tolerance).any()):
        warnings.warn(
            f"{int((error > 2 * tolerance).sum())} log-densities still changed, by up to {float(error.max()):.2g} "
            f"nats, with {_WAYS[-1][1]} nodes: the velocity varies fast in time. Their error is reported.",
            stacklevel=2,
        )
    return end, integral, error


def _path(
    velocity: Differentiable, x: Tensor, start: Tensor, stop: Tensor, scheme: str, steps: int
) -> tuple[Tensor, Tensor]:
    """States (n_nodes, n_rows, data) at Clenshaw-Curtis nodes, and their times.

    RK4 takes one step from each node to the next; midpoint steps, whose middle is reached along the last slope, are
    about equal, and one or more from node to node.
    """
    nodes = _chebyshev(steps if scheme == "rk4" else steps // 2)
    at = torch.stack([start + (stop - start) * u for u in nodes])
    if scheme == "rk4":
        at = at.to(x.dtype)
        return torch.stack(list(ode.trajectory(velocity, x, list(at)))), at
    slope, states = velocity(x, start.to(x.dtype)), [x]
    for t, after, share in zip(at[:-1], at[1:], np.diff(nodes), strict=True):
        n = max(1, round(steps * share))
        h = ((after - t) / n).to(x.dtype)
        for i in range(n):
            slope = velocity(x + 0.5 * h[:, None] * slope, (t + (after - t) * ((i + 0.5) / n)).to(x.dtype))
            x = x + h[:, None] * slope
        states.append(x)
    return torch.stack(states), at.to(x.dtype)


def _moved(coarse: Tensor, fine: Tensor) -> Tensor:
    """By how many nats halving the steps of the path moved its end: x and its change point in unrelated directions."""
    moved: Tensor = (fine - coarse).double().norm(dim=-1) * fine.double().norm(dim=-1)
    return moved / math.sqrt(fine.shape[-1])


def _nested(
    velocity: Differentiable, states: Tensor, at: Tensor, tolerance: float, batch: int
) -> tuple[Tensor, Tensor]:
    """Mean divergence over known states by nested rules, each row until it converges; and its error."""
    finest, n_rows = len(states) - 1, states.shape[1]
    traces = torch.full((finest + 1, n_rows), torch.nan, dtype=torch.float64, device=states.device)
    mean, error = (torch.full_like(traces[0], torch.inf) for _ in range(2))
    rows, n = torch.arange(n_rows, device=states.device), _FEWEST
    while len(rows) and n <= finest:
        stride = finest // n
        for i in range(0, finest + 1, stride) if n == _FEWEST else range(stride, finest, 2 * stride):
            traces[i, rows] = _traces(velocity, states[i], at[i], rows, batch)
        mean[rows], error[rows] = _integrated(traces[::stride, rows])
        rows, n = rows[error[rows] > tolerance], 2 * n
    return mean, error


def _traces(velocity: Differentiable, x: Tensor, t: Tensor, rows: Tensor, batch: int) -> Tensor:
    """Exact traces at some of the rows, a batch of Jacobian products at a time."""

    def run(first: int, last: int) -> Tensor:
        some = rows[first:last]
        return trace(velocity[some], x[some], t[some])[1]

    return torch.cat(_devices.in_batches(run, len(rows), max(1, batch // x.shape[-1])))


def _integrated(values: Tensor) -> tuple[Tensor, Tensor]:
    """Integral of values at Clenshaw-Curtis nodes, and its error.

    That is what the last refinement did, or a fraction of what the one before did, where the last had luck.
    """
    weights = torch.from_numpy(_clenshaw_curtis(len(values) - 1)).to(values)
    return weights @ values, torch.maximum(_surprise(values), _surprise(values[::2]) * _GAIN)


def _surprise(values: Tensor) -> Tensor:
    """What the values at every second node do to an integral, given the others.

    They are predicted from the others, and their deviations count as if signs were random: the sum of them, the change
    of the integral, may be small by luck.
    """
    n = len(values) - 1
    weights, prediction = (torch.from_numpy(a).to(values) for a in (_clenshaw_curtis(n), _interpolation(n)))
    deviations = values[1::2] - prediction @ values[::2]
    return (weights[1::2, None] * deviations).square().sum(0).sqrt()


def _chebyshev(n: int) -> np.ndarray:
    """Nodes of the Clenshaw-Curtis rule of n intervals on 0 to 1; every second one is those of n/2."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.arange(n + 1) / n))


def _clenshaw_curtis(n: int) -> np.ndarray:
    """Weights that integrate polynomials of degree n exactly on 0 to 1, for even n."""
    k = np.arange(1, n // 2 + 1)
    factor = np.where(k == n // 2, 1.0, 2.0) / (4.0 * k**2 - 1)
    weights = 1 - (factor * np.cos(2 * np.pi * np.outer(np.arange(n + 1), k) / n)).sum(1)
    weights[[0, -1]] /= 2
    return np.asarray(weights / n)


def _interpolation(n: int) -> np.ndarray:
    """Matrix from values at every second node of the rule of n intervals to those of the polynomial between them."""
    nodes = _chebyshev(n)
    barycentric = (-1.0) ** np.arange(n // 2 + 1)
    barycentric[[0, -1]] /= 2
    shares = barycentric / (nodes[1::2, None] - nodes[::2])
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
