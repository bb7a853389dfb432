"""Held-out scores of full models under exchanges of what they add: only some columns of the moments change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic.trf import design as designing
from eegic.trf.design import Recording
from eegic.trf.folds import Split
from eegic.trf.heldout import Choice, Held
from eegic.trf.inputs import to_numpy
from eegic.trf.moments import Patch
from eegic.trf.search import pick
from eegic.trf.surrogates import Draws, Music
from eegic.trf.workers import Run

Array = Any
_MOST = 1e9  # bytes of changed blocks to keep
_AT_ONCE = 1.2e6  # bytes of products of columns to handle at a time: enough for the threads, little for the memory


@dataclass(frozen=True, eq=False)
class Search:
    """A full model, and how its alphas are found under a surrogate.

    Attributes
    ----------
    held : Held
        With the real features.
    features : sequence of int
        The added ones it has.
    grid : ndarray, shape (n_alphas,)
    per_channel : bool
        Whether every channel has an alpha of its own.
    choices : sequence of Choice, or None
        Alphas of each fold to keep; None searches anew.
    """

    held: Held
    features: Sequence[int]
    grid: np.ndarray
    per_channel: bool
    choices: Sequence[Choice] | None

    def held_out_r(self, patches: Sequence[Patch]) -> Array:
        """Held-out r with other added columns in every segment, stacked: (n_stacked, n_segments, n_channels)."""
        parts = [part.put(patch) for part, patch in zip(self.held.parts, patches, strict=True)]
        held = Held(parts, self.held.folds, self.held.model)
        index = self._positions(held)
        r: dict[int, Array] = {}
        for k, fold in enumerate(held.folds):
            if index[k].ndim == 1 and self.grid[0] > 0:
                solution = held.solve(k, self.grid[index[k]])
            else:
                position = index[k][:, None] if index[k].ndim == 1 else index[k]
                solution = held.path((k,), self.grid, np.ones(1)).at(position)
            r.update((s, solution.predict(parts[s]).score("r")[:, 0]) for s in fold)
        return array_namespace(r[0]).stack([r[s] for s in range(len(r))], axis=1)

    def _positions(self, held: Held) -> list[np.ndarray]:
        """Position in the grid for each fold, shape (n_stacked,) or (n_stacked, n_channels)."""
        if self.choices is None and len(self.grid) > 1:
            inner = held.inner(self.grid, np.ones(1), "r", _serially)
            return [np.stack([pick(one, self.per_channel) for one in to_numpy(scores)]) for scores in inner]
        kept = [np.asarray(0) for _ in held.folds] if self.choices is None else [c.index for c in self.choices]
        return [np.broadcast_to(one, (len(held.parts[0].x), *one.shape)) for one in kept]


@dataclass(frozen=True, eq=False)
class Exchange:
    """What exchanges of the added features put into the moments of every segment.

    Attributes
    ----------
    recording : Recording
    split : Split
    music : Music
    scheme : str
    guard : int
    n_baseline : int
        Features of the baseline; the added ones follow.
    """

    recording: Recording
    split: Split
    music: Music
    scheme: str
    guard: int
    n_baseline: int

    @cached_property
    def columns(self) -> slice:
        """Columns of the added features, which stand last."""
        return slice(int(np.searchsorted(self.recording.design.feature, self.n_baseline)), None)

    @cached_property
    def sounds(self) -> np.ndarray:
        """The sound of each segment."""
        return np.asarray(self.music.of_trial[self.split.segments[:, 0]])

    def held_out_r(self, searches: Sequence[Search], draws: Draws, run: Run) -> list[np.ndarray]:
        """Held-out r of every full model under every surrogate, each (n_null, n_segments, n_channels)."""
        known = self._shared(draws, run)
        own = [self._own(search.features) for search in searches]

        def by_chance(rows: np.ndarray) -> list[Array]:
            patches = self._patches(rows, known)
            return [
                search.held_out_r([patch.select(*of_model) for patch in patches])
                for search, of_model in zip(searches, own, strict=True)
            ]

        size = max(1, int(_AT_ONCE / (8 * len(self.recording.design.feature) ** 2)))
        chunks = [(draws.table[k : k + size],) for k in range(0, len(draws.table), size)]
        chunked = zip(*run(by_chance, chunks, "surrogates"), strict=True)
        return [np.concatenate([to_numpy(part) for part in of_model]) for of_model in chunked]

    def _shared(self, draws: Draws, run: Run) -> dict[tuple[int, float], Patch]:
        """What several surrogates share, every donor in every segment, unless that would fill the memory."""
        if draws.table.dtype.kind != "i":
            return {}
        wanted = [(s, int(d)) for s, sound in enumerate(self.sounds) for d in np.unique(draws.table[:, sound])]
        n_columns, n_channels = len(self.recording.design.feature), self.recording.trials.n_channels
        if 8 * len(wanted) * (n_columns - self.columns.start) * (n_columns + n_channels) > _MOST:
            return {}
        return dict(zip(wanted, run(self.patch, wanted, "donors"), strict=True))

    def patch(self, segment: int, how: float) -> Patch:
        """What an exchange changes in the moments of a segment."""
        trial, first, stop = (int(i) for i in self.split.segments[segment])
        trials = self.recording.trials
        x = trials.x[trial]
        added = self.music.variant(self.scheme, int(self.sounds[segment]), how, int(x.shape[0]), self.guard)
        exchanged = designing.side_by_side(x[:, : self.n_baseline], trials.xp.asarray(added, device=x.device))
        return self.recording.moments(trial, first, stop, exchanged).take(self.columns, slice(self.n_baseline, None))

    def _patches(self, table: np.ndarray, known: dict[tuple[int, float], Patch]) -> list[Patch]:
        """The same of every segment, for the surrogates of some rows of the table of draws, stacked."""
        columns = [table[:, sound].tolist() for sound in self.sounds]
        return [
            Patch.stack([known.get((segment, how)) or self.patch(segment, how) for how in column])
            for segment, column in enumerate(columns)
        ]

    def _own(self, features: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and added features of a patch that concern a model with some of the added features."""
        feature, start = self.recording.design.feature, self.columns.start
        columns = np.flatnonzero(np.isin(feature, features))
        return np.concatenate([np.arange(start), columns]), columns - start, np.asarray(features) - self.n_baseline


def _serially(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    return (function(*given) for given in arguments)
