"""What a codec is made of: one frozen record whose defaults are the public size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from eegic import _checks

BOTTLENECKS = ("layernorm", "tanh", "identity")
_CHUNK_SECONDS = 60.0


@dataclass(frozen=True)
class CodecConfig:
    """Sizes and constants of a consistency autoencoder.

    Parameters
    ----------
    sfreq : float
        Rate of the sound in hertz.
    n_fft, hop : int
        Window and step of the short-time Fourier transform in samples; bins 0 to n_fft/2 - 1 are kept.
    channels : tuple of int
        Channels of each level, from the finest to the coarsest.
    frequency_only : int
        How many downsamplings, the first ones, go 4 to 1 in frequency and keep time; the others go 2 to 1 in both.
    encoder_blocks, unet_blocks : int
        Residual blocks per level of the encoder (and decoder), and of the U-Net.
    attention : tuple of int
        Levels with attention over frequency.
    heads : int
        Heads of the attention.
    bottleneck_channels, bottleneck_blocks : int
        Width and number of the residual blocks over time around the bottleneck.
    causal : bool
        True makes latents that tell of no later sound: the convolutions of the encoder keep to the frames of a latent,
        and `lead` puts so much silence before the sound that the windows of a latent end where the next one starts.
        The published form is False.
    dim : int
        Channels of a latent.
    embedding : int
        Width of the embedding of the noise.
    bottleneck : {"layernorm", "tanh", "identity"}
        What bounds the latents.
    scale : float
        Latents are divided by it on the way out of the encoder: those of the public codec then have variance 1.
    sigma_data, sigma_min, sigma_max, rho : float
        Constants of the consistency model.
    compression, gain : float
        The spectrogram that the networks see is ``gain * |X|**compression`` with the phase of X.

    Notes
    -----
    The form is that of Music2Latent (arXiv:2408.06500).

    Examples
    --------
    >>> CodecConfig().samples_per_latent, CodecConfig().flat, CodecConfig().chunk_latents
    (4096, 8192, 645)
    """

    sfreq: float = 44100.0
    n_fft: int = 2048
    hop: int = 512
    channels: tuple[int, ...] = (64, 128, 256, 256, 256)
    frequency_only: int = 1
    encoder_blocks: int = 1
    unet_blocks: int = 2
    attention: tuple[int, ...] = (2, 3, 4)
    heads: int = 4
    bottleneck_channels: int = 512
    bottleneck_blocks: int = 4
    causal: bool = False
    dim: int = 64
    embedding: int = 256
    bottleneck: str = "layernorm"
    scale: float = 0.06
    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    compression: float = 0.65
    gain: float = 0.34

    def __post_init__(self) -> None:
        for name in ("sfreq", "scale", "sigma_data", "sigma_min", "sigma_max", "rho", "compression", "gain"):
            object.__setattr__(self, name, _checks.positive(name, getattr(self, name), _UNITS.get(name, "this unit")))
        for name in ("n_fft", "hop", "encoder_blocks", "unet_blocks", "heads", "bottleneck_channels", "dim"):
            object.__setattr__(self, name, _checks.count(name, getattr(self, name)))
        object.__setattr__(self, "causal", _checks.flag("causal", self.causal))
        for name in ("bottleneck_blocks", "frequency_only"):
            object.__setattr__(self, name, _checks.count(name, getattr(self, name), minimum=0))
        object.__setattr__(self, "embedding", _checks.count("embedding", self.embedding, minimum=4))
        object.__setattr__(self, "channels", tuple(_checks.count("channels", c, minimum=4) for c in self.channels))
        levels = tuple(sorted({_checks.count("attention", level, minimum=0) for level in self.attention}))
        object.__setattr__(self, "attention", levels)
        _checks.one_of("bottleneck", self.bottleneck, BOTTLENECKS)
        self._fit()

    def _fit(self) -> None:
        """Refuse sizes that do not go into each other."""
        for holds, name, expected, came in self._rules():
            if not holds:
                raise ValueError(f"{name}: expected {expected}, got {came}. Change the sizes of the codec.")

    def _rules(self) -> Iterator[tuple[bool, str, str, object]]:
        """Whether a rule holds, for what, the rule, and what came; each can be computed if those before hold."""
        yield len(self.channels) >= 1, "channels", "at least one level", self.channels
        yield self.n_fft % (2 * self.hop) == 0, "n_fft", f"a multiple of two hops ({2 * self.hop})", self.n_fft
        steps = len(self.channels) - 1
        few = self.frequency_only <= steps
        yield few, "frequency_only", f"at most one per downsampling ({steps})", self.frequency_only
        whole = f"a multiple of {2 * self.frequency_factor}, so that every level halves or quarters its bands"
        yield self.n_bins % self.frequency_factor == 0, "n_fft", whole, self.n_fft
        yield self.embedding % 2 == 0, "embedding", "an even number", self.embedding
        yield self.sigma_min < self.sigma_max, "sigma_min", f"less than sigma_max ({self.sigma_max:g})", self.sigma_min
        known = all(level <= steps for level in self.attention)
        yield known, "attention", f"levels from 0 to {steps}", self.attention
        for level, width in enumerate((*self.channels, self.bottleneck_channels)):
            name = "channels" if level < len(self.channels) else "bottleneck_channels"
            yield width % groups(width) == 0, name, f"multiples of {groups(width)} (groups of 4)", width
            attends = level in self.attention and level < len(self.channels)
            yield not attends or width % self.heads == 0, name, f"multiples of heads ({self.heads})", width

    @property
    def n_bins(self) -> int:
        """Bins of the spectrogram."""
        return self.n_fft // 2

    @property
    def frequency_factor(self) -> int:
        """Bins per band at the coarsest level."""
        steps = len(self.channels) - 1
        return int(4**self.frequency_only * 2 ** (steps - self.frequency_only)) if steps else 1

    @property
    def frames_per_latent(self) -> int:
        """Frames of the spectrogram per latent."""
        return int(2 ** max(len(self.channels) - 1 - self.frequency_only, 0))

    @property
    def samples_per_latent(self) -> int:
        """Samples per latent."""
        return self.hop * self.frames_per_latent

    @property
    def overhang(self) -> int:
        """Samples that the last window reaches beyond the last whole step."""
        return self.n_fft - self.hop

    @property
    def lead(self) -> int:
        """Samples of silence that go before the sound: none, or the overhang of a causal codec."""
        return self.overhang if self.causal else 0

    @property
    def flat(self) -> int:
        """Features per latent before the bottleneck: channels times bands of the coarsest level."""
        return self.channels[-1] * self.n_bins // self.frequency_factor

    @property
    def chunk_latents(self) -> int:
        """Latents in a chunk of the published procedure: as many as fit into 60 s."""
        return max(int(_CHUNK_SECONDS * self.sfreq / self.samples_per_latent), 1)

    def n_latents(self, n_samples: int) -> int:
        """Latents of a sound of `n_samples`: ``floor((lead + n_samples - overhang) / samples_per_latent)``."""
        return max((self.lead + n_samples - self.overhang) // self.samples_per_latent, 0)

    def n_samples(self, n_latents: int) -> int:
        """Samples of the shortest sound of `n_latents`."""
        return self.samples_per_latent * n_latents + self.overhang - self.lead

    def settings(self) -> dict[str, Any]:
        """The configuration as plain lists and numbers, for a JSON file."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, state: Mapping[str, torch.Tensor], settings: Mapping[str, Any] | None = None) -> CodecConfig:
        """Read the configuration off the names and shapes of a state dict.

        Parameters
        ----------
        state : mapping of str to Tensor
            In the Music2Latent format.
        settings : mapping, optional
            What shapes cannot tell (rates, number of heads, constants, whether a bottleneck without weights is a tanh
            or nothing), for instance from the JSON beside the weights. Without them the public values stand.

        Returns
        -------
        CodecConfig

        Raises
        ------
        ValueError
            If tensors that give the sizes are missing, or settings contradict the shapes.
        """
        found = _sizes(state)
        given = dict(settings or {})
        unknown = sorted(set(given) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"settings: {_checks.listed(unknown)} are not settings of a codec. Leave them out.")
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        for key in sorted(set(found) & set(given)):
            if found[key] != given[key] and (key, found[key]) != ("bottleneck", "tanh"):
                raise ValueError(
                    f"settings: {key} is {given[key]!r}, but the weights are of {found[key]!r}. Take the settings that "
                    "were saved with these weights."
                )
        if given.get("bottleneck") == "layernorm" != found["bottleneck"]:
            raise ValueError(
                "settings: bottleneck is 'layernorm', but the weights hold no encoder.activation_bottleneck. Take the "
                "settings that were saved with these weights."
            )
        return cls(**{"hop": found["n_fft"] // 4, **found, **given})


_UNITS = {"sfreq": "hertz"}


def groups(channels: int) -> int:
    """Groups of a normalisation over `channels`."""
    return max(min(channels // 4, 32), 1)


def _sizes(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Everything that names and shapes determine."""
    anchors = ("encoder.gain.scale", "encoder.conv_inp.weight", "encoder.conv_out.weight", "emb_proj.0.weight")
    missing = [key for key in anchors if key not in state]
    if missing:
        raise ValueError(
            f"weights: {_checks.listed(missing)} not there, so this is no codec in the Music2Latent format. Its state "
            "dict starts with encoder.*, decoder.*, emb_proj.*; some files hold it under 'gen_state_dict'."
        )
    encoder = _levels(state, "encoder.down_layers")
    unet = _levels(state, "down_layers")
    if not encoder or not unet:
        raise ValueError("weights: no encoder.down_layers or no down_layers there. Is the file complete?")
    dim, width = state["encoder.conv_out.weight"].shape[:2]
    return {
        "n_fft": 2 * state["encoder.gain.scale"].shape[2],
        "channels": tuple(level.channels for level in encoder),
        "frequency_only": sum(level.frequency_only for level in encoder),
        "encoder_blocks": encoder[0].blocks,
        "unet_blocks": unet[0].blocks,
        "attention": tuple(i for i, level in enumerate(encoder) if level.attention),
        "bottleneck_channels": int(width),
        "bottleneck_blocks": len({key.split(".")[2] for key in state if key.startswith("encoder.bottleneck_l")}) - 1,
        "causal": state["encoder.conv_inp.weight"].shape[-1] == 1,
        "dim": int(dim),
        "embedding": int(state["emb_proj.0.weight"].shape[1]),
        "bottleneck": "layernorm" if "encoder.activation_bottleneck.l.weight" in state else "tanh",
    }


@dataclass
class _Level:
    channels: int = 0
    blocks: int = 0
    attention: bool = False
    frequency_only: bool = False


def _levels(state: Mapping[str, torch.Tensor], prefix: str) -> list[_Level]:
    """Levels of a path downwards: residual blocks up to each downsampling (``.c``)."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    indices = sorted({int(match[1]) for key in state if (match := pattern.match(key))})
    levels = [_Level()] if indices else []
    for i in indices:
        if (block := state.get(f"{prefix}.{i}.conv1.weight")) is not None:
            levels[-1].channels = int(block.shape[0])
            levels[-1].blocks += 1
            levels[-1].attention |= f"{prefix}.{i}.att.norm.weight" in state
        elif (down := state.get(f"{prefix}.{i}.c.weight")) is not None:
            levels[-1].frequency_only = down.shape[-1] == 1
            levels.append(_Level())
    return levels
