"""Frames of several sounds at several noise levels: the rows that a network computes at once."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from operator import itemgetter
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from eegic import _devices
from eegic.flow import divergence, likelihood, quadrature
from eegic.surprisal.modes import Settings
from eegic.surprisal.networks import ARFlow, ConditionalVelocity


class Rows:
    """Frames of several sounds at several levels: the rows that share batches."""

    def __init__(
        self,
        networks: ARFlow,
        device: torch.device,
        latents: list[Tensor],
        levels: tuple[float, ...],
        at: str,
        settings: Settings,
        seed: int,
        keys: list[str],
    ) -> None:
        self.networks, self.device, self.latents, self.levels = networks, device, latents, levels
        self.settings, self.seed, self.keys = settings, seed, keys
        self.lengths = [len(one) - 1 for one in latents]
        shrunk = [1 - level for level in levels]
        if at == "expectation":  # each level starts from points of its own, and ends at 0
            self.scales, self.labels = shrunk, [f"{level:.6g}" for level in levels]
            self.times = [[t, 0.0] for t in shrunk]
        else:  # one trajectory from the clean latents, read on its way
            self.scales, self.labels = [1.0], ["ode"]
            self.times = [[*sorted({1.0, *shrunk}, reverse=True), 0.0]]

    def log_densities(self, batch: int | None, progress: bool) -> list[likelihood.LogDensity]:
        """One for each sound, of shape (n_levels, n_frames - 1)."""
        n_times = len(self.times[0])
        batch = batch or _devices.usual_batch(self.device)
        size = max(1, batch // (len(self.scales) * max(1, self.settings.probes)))
        results: list[likelihood.LogDensity] = []
        # disable=None: silent unless a terminal is watching
        with tqdm(total=sum(self.lengths), desc="Surprisal", unit="frame", disable=None if progress else True) as bar:
            for group in _groups(self.lengths, size):
                results += [self._levels(part, n_times) for part in self._group(group, size, batch, bar)]
        return results

    def _group(self, group: list[int], size: int, batch: int, bar: tqdm[NoReturn]) -> list[likelihood.LogDensity]:
        device = self.device
        clean = [self.latents[i].to(device) for i in group]
        scales = torch.tensor(self.scales, device=device)[:, None, None]
        contexts = [self.networks.contexts(scales * z[:-1], slide=self.settings.slide) for z in clean]
        velocity = self.networks.head.given(torch.cat(contexts, dim=1))
        x = torch.cat([scales * z[1:] for z in clean], dim=1)
        probes = self._probes(group)
        times = torch.tensor(self.times, dtype=torch.float64, device=device).T[:, :, None]  # (n_times, levels, 1)

        def run(first: int, last: int) -> likelihood.LogDensity:
            rows = slice(first, last)
            if self.settings.exact:
                found = _exactly(velocity[:, rows], x[:, rows], times, self.settings.tolerance, batch)
            else:
                here = probes.part(lambda tensor: tensor.narrow(-2, first, last - first).to(device))
                found = likelihood.probed(
                    velocity[:, rows], x[:, rows], list(times), here, steps=self.settings.intervals(self.times[0]),
                    node=self.settings.node,
                )  # fmt: skip
            bar.update(last - first)
            return found.each(Tensor.cpu)

        parts = _devices.in_batches(run, x.shape[1], size)
        whole = parts[0].joined(parts[1:])
        ends = np.cumsum([self.lengths[i] for i in group])
        return [whole.each(itemgetter((..., slice(a, b)))) for a, b in pairwise([0, *ends])]

    def _probes(self, group: list[int]) -> Any:
        """Probes of each sound and level from a generator of its own, whatever else is computed beside them."""
        if self.settings.exact:
            return None
        drawn = [
            [
                self.settings.draw(
                    (self.lengths[i], self.networks.config.data), generator(self.seed, self.keys[i], label)
                )
                for label in self.labels
            ]
            for i in group
        ]
        return divergence.joined(drawn)

    def _levels(self, found: likelihood.LogDensity, n_times: int) -> likelihood.LogDensity:
        """From (times, levels, frames) to (levels, frames), in the order asked for."""
        if n_times == 2:
            return found.each(lambda tensor: tensor[0])
        rows = [self.times[0].index(1 - level) for level in self.levels]
        return found.each(lambda tensor: tensor[rows, 0])


def _exactly(
    velocity: ConditionalVelocity, x: Tensor, times: Tensor, tolerance: float, batch: int
) -> likelihood.LogDensity:
    """Exact densities of all levels and frames as rows of their own, each refined as far as it needs."""
    rows = x.flatten(0, 1)
    at = [t.expand(x.shape[:2]).flatten() for t in times]
    found = quadrature.exact(velocity.flat(), rows, at, tolerance=tolerance, batch=batch)
    return found.each(lambda tensor: tensor.reshape(-1, *x.shape[:2]))


def _groups(lengths: list[int], size: int) -> list[list[int]]:
    """Successive sounds whose frames fill a batch together; a long one stands alone."""
    groups: list[list[int]] = []
    filled = 0
    for i, length in enumerate(lengths):
        if groups and filled + length <= size:
            groups[-1].append(i)
            filled += length
        else:
            groups.append([i])
            filled = length
    return groups


def generator(seed: int, *names: str) -> torch.Generator:
    """Random numbers of their own for whatever the names say."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
