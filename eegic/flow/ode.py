"""Integrators of dx/dt = v(x, t): schemes on fixed grids, and an adaptive one to check them by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from eegic import _checks

Velocity = Callable[[Tensor, Tensor], Tensor]


class Scheme(NamedTuple):
    """An explicit Runge-Kutta scheme: where each stage lies, what it takes from those before, and its weight."""

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int


SCHEMES = {
    "euler": Scheme((0.0,), ((),), (1.0,), 1),
    "midpoint": Scheme((0.0, 0.5), ((), (0.5,)), (0.0, 1.0), 2),
    "heun": Scheme((0.0, 1.0), ((), (1.0,)), (0.5, 0.5), 2),
    "rk4": Scheme((0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), 4),
}


def trajectory(velocity: Velocity, x: Tensor, times: Sequence[Tensor], *, scheme: str = "rk4") -> Iterator[Tensor]:
    """Yield x at each of `times`, starting with x itself; only the present state is kept.

    Parameters
    ----------
    velocity : callable
        ``velocity(x, t)``, of the shape of x.
    x : Tensor, shape (..., data)
        State at the first time.
    times : sequence of Tensor
        Increasing or decreasing; each broadcasts over the axes of x before the last.
    scheme : {"euler", "midpoint", "heun", "rk4"}
        Taken once from each time to the next.
    """
    nodes, stages, weights, _ = SCHEMES[_checks.one_of("scheme", scheme, SCHEMES)]
    yield x
    for t, after in pairwise(times):
        h = after - t
        slopes: list[Tensor] = []
        for node, stage in zip(nodes, stages, strict=True):
            slopes.append(velocity(_moved(x, h, stage, slopes), t + node * h))
        x = _moved(x, h, weights, slopes)
        yield x


def solve(velocity: Velocity, x: Tensor, t: Tensor, to: Tensor, *, steps: int, scheme: str = "rk4") -> Tensor:
    """Carry x from time `t` to time `to` in so many equal steps; parameters as in `trajectory`.

    Examples
    --------
    >>> t = torch.tensor
    >>> solve(lambda x, t: -x, torch.ones(1), t(0.0), t(1.0), steps=10)
    tensor([0.3679])
    """
    *_, last = trajectory(velocity, x, grid(t, to, steps), scheme=scheme)
    return last


def grid(t: Tensor, to: Tensor, steps: int) -> list[Tensor]:
    """Times from `t` to `to` in so many equal steps."""
    steps = _checks.count("steps", steps)
    return [t + (to - t) * (i / steps) for i in range(steps + 1)]


def adaptive(velocity: Velocity, x: Tensor, t: float, to: float, *, tolerance: float = 1e-6) -> Tensor:
    """Carry x from time `t` to time `to` by torchdiffeq's dopri5: slow, and independent of the schemes here."""
    try:
        from torchdiffeq import odeint
    except ImportError as error:
        raise ImportError("adaptive integration needs torchdiffeq: pip install torchdiffeq.") from error
    times = torch.tensor([t, to], dtype=x.dtype, device=x.device)
    path: Tensor = odeint(lambda now, state: velocity(state, now), x, times, rtol=tolerance, atol=tolerance)
    return path[-1]


def _moved(x: Tensor, h: Tensor, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + (weight * h)[..., None] * slope
    return x
