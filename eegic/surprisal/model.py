"""A surprisal model: from latents to the information content of each, given those before."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eegic import _checks, _devices
from eegic.flow import divergence, likelihood
from eegic.surprisal import rows
from eegic.surprisal.modes import Mode, Settings, mode_of
from eegic.surprisal.networks import ARFlow, FlowConfig, public_name

At = Literal["expectation", "ode"]

AT = ("expectation", "ode")


@dataclass(frozen=True, eq=False)
class LatentIC:
    """Information content of latents.

    Parameters
    ----------
    nats : ndarray, shape (n_levels, n_frames)
        Minus the log-density of each latent given those before, summed over its dimensions; nan for the first one.
    se : ndarray, shape (n_levels, n_frames)
        Standard error of the estimate, from random probes, or in exact mode what numerical error may be left.
    info : dict
        Everything that the numbers depend on besides latents and weights.
    """

    nats: np.ndarray
    se: np.ndarray
    info: dict[str, Any]


@dataclass(frozen=True, eq=False)
class SurprisalModel:
    """An autoregressive rectified flow over the latents of a codec.

    Parameters
    ----------
    networks : ARFlow
        Backbone and head, on `device`.
    device : torch.device
        Where they run.
    name : str
        Which weights these are.
    sha256 : str
        Digest of their file; empty if they come from none.
    licence : str
        What their makers allow.
    codec : str, optional
        Name or path of the codec whose latents the model knows.
    encoder : str
        Digest of the weights of its encoder (`eegic.weights.digest`); empty if it is not known.

    Examples
    --------
    >>> model = SurprisalModel.untrained(FlowConfig(data=4, width=16, depth=1, heads=1, blocks=2), rng=0)
    >>> z = np.random.default_rng(0).standard_normal((6, 4))
    >>> model.information_content(z, noise=(0.0, 0.5)).shape
    (2, 6)
    """

    networks: ARFlow
    device: torch.device
    name: str = "surprisal"
    sha256: str = ""
    licence: str = "unknown"
    codec: str | None = None
    encoder: str = ""

    @property
    def config(self) -> FlowConfig:
        """Sizes of the networks."""
        return self.networks.config

    def __repr__(self) -> str:
        """Name, sizes, device and licence."""
        c = self.config
        return (
            f"SurprisalModel({self.name}: {c.data} dimensions, width {c.width}, depth {c.depth}, {c.max_seq_length} "
            f"frames, on {self.device}, licence {self.licence})"
        )

    def information_content(
        self,
        z: np.ndarray,
        noise: float | Sequence[float] = 0.3,
        *,
        mode: Mode = "fast",
        at: At = "expectation",
        rng: int | np.random.Generator | None = 0,
        **settings: Any,
    ) -> np.ndarray:
        """Information content of latents in nats, shape (n_levels, n_frames); see `estimate`, which adds its error."""
        return self.estimate(z, noise, mode=mode, at=at, rng=rng, **settings).nats

    def estimate(
        self,
        z: np.ndarray,
        noise: float | Sequence[float] = 0.3,
        *,
        mode: Mode = "fast",
        at: At = "expectation",
        steps: int | None = None,
        probes: int | None = None,
        tolerance: float | None = None,
        batch: int | None = None,
        rng: int | np.random.Generator | None = 0,
        key: str | None = None,
    ) -> LatentIC:
        """Information content of latents, with its error and all that it depends on.

        Parameters
        ----------
        z : array_like, shape (n_frames, data)
            Latents of one sound, in order, of variance about 1, as `Codec.encode` gives them.
        noise : float or sequence of float
            Noise levels, from 0 (clean: all detail counts) to below 1 (pure noise: nothing does).
        mode : {"fast", "exact", "reference"}
            ``fast``: a midpoint rule whose divergence comes from random probes, new ones at every node.
            ``exact``: the exact divergence, nodes doubled until the result settles to `tolerance`.
            ``reference``: the published procedure, 100 Euler steps with 4 probes drawn once.
        at : {"expectation", "ode"}
            Which point stands for a latent at a noise level. ``expectation``: the mean of its noised versions, that
            is the latent times 1 - level, given a context shrunk in the same way. ``ode``: the point to which the flow
            carries the latent, given the clean context.
        steps, probes : int, optional
            Steps along the whole path, and probes at each; by default 16 and 2 (``fast``), 100 and 4 (``reference``).
        tolerance : float, optional
            In ``exact`` mode: nats by which the path and the divergence along it may each still change the result; by
            default 0.01.
        batch : int, optional
            Jacobian products computed at once; where CUDA memory runs out, it is halved. It changes speed and memory,
            and results by rounding only (less than 1e-3 nats).
        rng : int, Generator or None
            Seed of the probes, which depend on it, on the sound and on the noise level, and on nothing else.
        key : str, optional
            What tells this sound from others when probes are drawn; by default a digest of the latents.

        Returns
        -------
        LatentIC

        Notes
        -----
        Densities at different levels live on different scales: standardise per level before comparing. At level 0
        latents that lie on a sphere, as those of a layer-norm bottleneck do, have no density of full dimension, and
        the value depends on how finely the last stretch of the path is resolved: prefer levels above 0.

        The standard error is that of the probes. What the steps of ``fast`` leave out comes on top; it hardly differs
        among frames. At ``"ode"`` levels share one path, and the steps between them depend on which are asked for.
        """
        return self.estimate_all(
            [z], noise, mode=mode, at=at, steps=steps, probes=probes, tolerance=tolerance, batch=batch, rng=rng,
            keys=None if key is None else [key],
        )[0]  # fmt: skip

    def estimate_all(
        self,
        z: Sequence[np.ndarray],
        noise: float | Sequence[float] = 0.3,
        *,
        mode: Mode = "fast",
        at: At = "expectation",
        steps: int | None = None,
        probes: int | None = None,
        tolerance: float | None = None,
        batch: int | None = None,
        rng: int | np.random.Generator | None = 0,
        keys: Sequence[str] | None = None,
        progress: bool = False,
    ) -> list[LatentIC]:
        """`estimate` for several sounds, whose frames share batches; the results are those of one by one.

        `keys` are one `key` for each sound; `progress` shows a bar, in a terminal only.
        """
        levels = noise_levels(noise)
        _checks.one_of("at", at, AT)
        settings = mode_of(mode, steps=steps, probes=probes, tolerance=tolerance)
        seed = _checks.seed(rng)
        latents = [self._latents(f"z[{i}]" if len(z) > 1 else "z", one) for i, one in enumerate(z)]
        keys = [hashlib.sha256(one.numpy().tobytes()).hexdigest() for one in latents] if keys is None else list(keys)
        if len(keys) != len(latents):
            raise ValueError(f"keys: expected one per sound ({len(latents)}), got {len(keys)}.")
        batch = None if batch is None else _checks.count("batch", batch)
        with _devices.inference():
            densities = rows.Rows(self.networks, self.device, latents, levels, at, settings, seed, keys).log_densities(
                batch, progress
            )
        return [
            self._checked(
                LatentIC(_after_first(-d.value), _after_first(d.se), self._info(levels, at, settings, seed, len(one)))
            )
            for d, one in zip(densities, latents, strict=True)
        ]

    def entropy(
        self,
        z: np.ndarray,
        noise: float | Sequence[float] = 0.3,
        *,
        draws: int = 16,
        steps: int | None = None,
        batch: int | None = None,
        rng: int | np.random.Generator | None = 0,
        key: str | None = None,
    ) -> LatentIC:
        """Expected information content of the next latent: how uncertain the model is before it comes.

        Continuations are drawn from the flow, given the clean context, and their information content is averaged; it
        belongs together with ``at="ode"``.

        Parameters
        ----------
        z : array_like, shape (n_frames, data)
            Latents of one sound, in order.
        noise : float or sequence of float
            Noise levels, from 0 to below 1.
        draws : int
            Continuations of each frame, at least 2.
        steps, batch, rng, key
            As for `estimate`.

        Returns
        -------
        LatentIC
            ``nats[:, j]`` is the entropy of latent j given those before; ``se`` comes from the scatter of the draws.
        """
        levels, draws = noise_levels(noise), _checks.count("draws", draws, minimum=2)
        batch = None if batch is None else _checks.count("batch", batch)
        settings = mode_of("fast", steps=steps, probes=1, tolerance=None)
        seed = _checks.seed(rng)
        latents = self._latents("z", z)
        key = hashlib.sha256(latents.numpy().tobytes()).hexdigest() if key is None else key
        times = [0.0, *sorted({1 - level for level in levels})]
        generator = rows.generator(seed, key, "entropy")
        n_frames, data = len(latents) - 1, self.config.data
        start = torch.randn((draws, n_frames, data), generator=generator)
        probes = divergence.Hadamard.draw(tuple(start.shape), 1, generator)
        with _devices.inference():
            velocity = self.networks.head.given(self.networks.contexts(latents[None, :-1].to(self.device)))
            at = [torch.tensor(t, dtype=torch.float64, device=self.device) for t in times]
            steps_between = settings.intervals(times)

            def run(first: int, last: int) -> Tensor:
                some = slice(first, last)
                here = probes.part(lambda tensor: tensor[:, :, some].to(self.device))
                x = start[:, some].to(self.device)
                return likelihood.sampled(velocity[:, some], x, at, here, steps=steps_between, node=0.5).value

            size = max(1, (batch or _devices.usual_batch(self.device)) // draws)
            nats = -torch.cat(_devices.in_batches(run, n_frames, size), dim=-1)
        nats = nats[[times[1:].index(1 - level) for level in levels]]
        info = {**self._info(levels, "ode", settings, seed, len(latents)), "draws": draws}
        return LatentIC(_after_first(nats.mean(1)), _after_first(nats.std(1) / math.sqrt(draws)), info)

    def to(self, device: str | torch.device) -> SurprisalModel:
        """The same model on another device ("auto", "cpu", "cuda"); this one stays where it is."""
        device = _devices.resolve(device)
        if device == self.device:
            return self
        return replace(self, networks=copy.deepcopy(self.networks).to(device), device=device)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights as `path` (.safetensors), and the settings as .json beside it."""
        from eegic import weights

        state = {public_name(name): tensor for name, tensor in self.networks.state_dict().items()}
        settings = {"max_seq_length": self.config.max_seq_length, "codec": self.codec, "encoder": self.encoder}
        source = {"name": self.name, "sha256": self.sha256}
        weights.write(path, "surprisal", state, settings, licence=self.licence, source=source)

    @classmethod
    def untrained(
        cls, config: FlowConfig | None = None, *, rng: int = 0, device: str | torch.device = "cpu"
    ) -> SurprisalModel:
        """A model with random weights: it knows nothing, but runs; for tests, timing, and as a control."""
        with torch.random.fork_rng():
            torch.manual_seed(rng)
            network = ARFlow(config or FlowConfig())
        return cls(network.eval(), torch.device("cpu"), name=f"untrained-{rng}", licence="none needed").to(device)

    def _info(self, levels: tuple[float, ...], at: str, settings: Settings, seed: int, n_frames: int) -> dict[str, Any]:
        """What the numbers depend on besides the latents."""
        return {
            "model": self.name,
            "weights": self.sha256,
            "noise": list(levels),
            "at": at,
            **settings.info(),
            "seed": str(seed),
            "device": str(self.device),
            "context": self.networks.context_rule(n_frames - 1, slide=settings.slide),
        }

    def _checked(self, found: LatentIC) -> LatentIC:
        """Refuse numbers that the networks could not give."""
        if not np.isfinite(found.nats[:, 1:]).all():
            raise ValueError(
                f"{self.name}: not finite at some frames. Are the latents of the scale of training, about 1?"
            )
        return found

    def _latents(self, name: str, z: object) -> Tensor:
        array = _checks.real_array(name, z, 2, axes="(n_frames, data)")
        if array.shape[1] != self.config.data:
            raise ValueError(
                f"{name}: expected latents of {self.config.data} dimensions, got shape {array.shape}. Use the codec "
                f"that {self.name} was trained with{f' ({self.codec})' if self.codec else ''}."
            )
        if len(array) < 2:
            raise ValueError(f"{name}: expected at least 2 latents, since the first has no past, got {len(array)}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: frame {int(np.argwhere(~np.isfinite(array))[0, 0])} is not finite.")
        if not array.any():
            raise ValueError(f"{name}: all latents are zero. Is the sound silent, or the codec not loaded?")
        return torch.from_numpy(array.astype(np.float32))


def noise_levels(noise: float | Sequence[float]) -> tuple[float, ...]:
    """Check noise levels: one or several different numbers from 0 to below 1."""
    if noise is None or isinstance(noise, str):
        raise TypeError(f"noise: expected one or more numbers from 0 to below 1, got {noise!r}.")
    given = [noise] if isinstance(noise, (int, float, np.number)) else list(noise)
    levels = tuple(_checks.finite("noise", level, "noise level") for level in given)
    if not levels:
        raise ValueError("noise: expected one or more levels from 0 to below 1, got none.")
    for level in levels:
        if not 0 <= level < 1:
            raise ValueError(
                f"noise: expected levels from 0 (clean) to below 1 (pure noise, which is equally surprising whatever "
                f"comes), got {level:g}."
            )
    if len({f"{level:.6g}" for level in levels}) < len(levels):
        raise ValueError(f"noise: expected different levels, got {_checks.listed(levels)}.")
    return levels


def _after_first(values: Tensor) -> np.ndarray:
    """Frames 1, 2, ... of a sound with an unknown first one before them."""
    array = values.double().cpu().numpy()
    return np.concatenate([np.full((*array.shape[:-1], 1), np.nan), array], axis=-1)
