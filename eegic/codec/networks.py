"""The networks of a consistency autoencoder: encoder, decoder of latents, and U-Net of noisy spectrograms.

Names and shapes of the parameters are the Music2Latent file format. Spectrograms are (batch, channels, frequency,
time), latents (batch, dim, time). The encoder takes how to normalise as an argument: by the statistics of what it is
given, as a rule, or by statistics gathered elsewhere (`eegic.codec.streaming`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from eegic.codec.config import CodecConfig, groups

Normalise = Callable[[nn.GroupNorm, Tensor], Tensor]


def by_itself(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Normalise `x` by its own mean and variance."""
    normalised: Tensor = norm(x)
    return normalised


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups(channels), channels, eps=1e-5)


def _conv(n_in: int, n_out: int, dims: int, causal: bool) -> nn.Conv1d | nn.Conv2d:
    """Convolution of 3 over (frequency and) time, which stays as long; a causal one sees one moment alone."""
    size = 1 if causal else 3
    if dims == 1:
        return nn.Conv1d(n_in, n_out, size, padding=size // 2)
    return nn.Conv2d(n_in, n_out, (3, size), padding=(1, size // 2))


class FrequencyAttention(nn.Module):
    """Self-attention over frequency, each time by itself; pre-normalised and residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.mha = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm = _norm(channels)

    def forward(self, x: Tensor, normalise: Normalise = by_itself) -> Tensor:
        """Attend: (batch, channels, frequency, time) in and out."""
        n_batch, channels, n_bands, n_times = x.shape
        tokens = normalise(self.norm, x).permute(0, 3, 2, 1).reshape(n_batch * n_times, n_bands, channels)
        attended: Tensor = self.mha(tokens, tokens, tokens, need_weights=False)[0]
        return x + attended.reshape(n_batch, n_times, n_bands, channels).permute(0, 3, 2, 1)


class Residual(nn.Module):
    """Two convolutions of 3, each after normalisation and SiLU, beside a skip; attention after them if `heads`.

    With an `embedding`, the embedding of the noise is projected and added between the convolutions. A `causal` block
    convolves over frequency alone.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        dims: int = 2,
        embedding: int | None = None,
        heads: int | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(n_in, n_out, dims, causal), _conv(n_out, n_out, dims, causal)
        self.res_conv = (nn.Conv1d, nn.Conv2d)[dims - 1](n_in, n_out, 1) if n_in != n_out else None
        self.norm1, self.norm2 = _norm(n_in), _norm(n_out)
        self.proj_emb = nn.Linear(embedding, n_out) if embedding else None
        self.att = FrequencyAttention(n_out, heads) if heads else None

    def forward(self, x: Tensor, embedded: Tensor | None = None, normalise: Normalise = by_itself) -> Tensor:
        """Transform (batch, n_in, ...) into (batch, n_out, ...); `embedded` is (batch, embedding)."""
        inner = self.conv1(silu(normalise(self.norm1, x)))
        if embedded is not None and self.proj_emb is not None:
            shift = self.proj_emb(embedded)
            inner = inner + shift.reshape(*shift.shape, *[1] * (inner.ndim - 2))
        inner = self.conv2(silu(normalise(self.norm2, inner)))
        y: Tensor = inner + (x if self.res_conv is None else self.res_conv(x))
        return y if self.att is None else self.att(y, normalise)


class Down(nn.Module):
    """Strided convolution: 4 to 1 in frequency, or 2 to 1 in frequency and time; normalised first in the encoder.

    A `causal` one sees of time the two frames alone that it makes one of.
    """

    def __init__(self, n_in: int, n_out: int, *, frequency_only: bool, normalised: bool, causal: bool = False) -> None:
        super().__init__()
        self.frequency_only = frequency_only
        self.norm = _norm(n_in) if normalised else None
        if causal and not frequency_only:
            self.c = nn.Conv2d(n_in, n_out, (3, 2), stride=(2, 2), padding=(1, 0))
        else:
            self.c = _resampling_conv(n_in, n_out, frequency_only, stride=(4, 1) if frequency_only else (2, 2))

    def forward(self, x: Tensor, normalise: Normalise = by_itself) -> Tensor:
        """Go one level down."""
        y: Tensor = self.c(x if self.norm is None else normalise(self.norm, x))
        return y


class Up(nn.Module):
    """Repetition of neighbours, then a convolution: the way back of `Down`."""

    def __init__(self, n_in: int, n_out: int, *, frequency_only: bool) -> None:
        super().__init__()
        self.factor = (4.0, 1.0) if frequency_only else (2.0, 2.0)
        self.c = _resampling_conv(n_in, n_out, frequency_only)

    def forward(self, x: Tensor) -> Tensor:
        """Go one level up."""
        y: Tensor = self.c(interpolate(x, scale_factor=self.factor, mode="nearest"))
        return y


def _resampling_conv(n_in: int, n_out: int, frequency_only: bool, stride: tuple[int, int] = (1, 1)) -> nn.Conv2d:
    if frequency_only:
        return nn.Conv2d(n_in, n_out, (5, 1), stride=stride, padding=(2, 0))
    return nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1)


class Gain(nn.Module):
    """A learned factor per bin."""

    def __init__(self, n_bins: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 1, n_bins, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply (batch, channels, n_bins, time)."""
        return x * self.scale


class LayerNormBottleneck(nn.Module):
    """Mean 0 and the same variance in every latent, by normalisation over its channels."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.l = nn.LayerNorm(config.dim)
        with torch.no_grad():
            self.l.weight.fill_(config.scale)

    def forward(self, z: Tensor) -> Tensor:
        """Normalise (batch, dim, time) over dim."""
        normalised: Tensor = self.l(z.transpose(1, 2)).transpose(1, 2)
        return normalised


_BOTTLENECKS: dict[str, Callable[[CodecConfig], nn.Module]] = {
    "layernorm": LayerNormBottleneck,
    "tanh": lambda config: nn.Tanh(),
    "identity": lambda config: nn.Identity(),
}


class Encoder(nn.Module):
    """From spectrograms to latents in the scale of the decoder (not yet divided by `config.scale`)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.gain = Gain(config.n_bins)
        causal = config.causal
        self.conv_inp = _conv(2, config.channels[0], 2, causal)
        self.prenorm_1d_to_2d = _norm(config.channels[-1])
        width = config.bottleneck_channels
        narrow: list[nn.Module] = [nn.Conv1d(config.flat, width, 1)]
        narrow += [Residual(width, width, dims=1, causal=causal) for _ in range(config.bottleneck_blocks)]
        self.bottleneck_layers = nn.ModuleList(narrow)
        self.norm_out = _norm(width)
        self.conv_out = nn.Conv1d(width, config.dim, 1)
        self.activation_bottleneck = _BOTTLENECKS[config.bottleneck](config)
        layers: list[nn.Module] = []
        for level, channels in enumerate(config.channels):
            heads = config.heads if level in config.attention else None
            n_in = config.channels[max(level - 1, 0)]
            for block in range(config.encoder_blocks):
                layers.append(Residual(channels if block else n_in, channels, heads=heads, causal=causal))
            if level < len(config.channels) - 1:
                frequency_only = level < config.frequency_only
                layers.append(Down(channels, channels, frequency_only=frequency_only, normalised=True, causal=causal))
        self.down_layers = nn.ModuleList(layers)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Encode (batch, 2, n_bins, n_frames) as (batch, dim, n_latents)."""
        return self.narrow(self.features(spectrogram))

    def features(self, spectrogram: Tensor) -> Tensor:
        """Encode up to the features before the bottleneck, (batch, flat, n_latents)."""
        x = self.enter(spectrogram)
        for layer in self.down_layers:
            x = self.descend(layer, x)
        return self.flatten(x)

    def enter(self, spectrogram: Tensor) -> Tensor:
        """First convolution, and the factor of each bin."""
        entered: Tensor = self.gain(self.conv_inp(spectrogram))
        return entered

    def descend(self, layer: nn.Module, x: Tensor, normalise: Normalise = by_itself) -> Tensor:
        """One of the `down_layers`."""
        y: Tensor = layer(x, normalise=normalise)
        return y

    def flatten(self, x: Tensor, normalise: Normalise = by_itself) -> Tensor:
        """Channels and bands as features, channels first."""
        return normalise(self.prenorm_1d_to_2d, x).flatten(1, 2)

    def narrow(self, features: Tensor) -> Tensor:
        """From features to latents: over time only."""
        x = features
        for layer in self.bottleneck_layers:
            x = layer(x)
        latents: Tensor = self.activation_bottleneck(self.conv_out(silu(self.norm_out(x))))
        return latents


class Decoder(nn.Module):
    """From latents to what they say at every level of the U-Net."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.channels, self.n_bands = config.channels[-1], config.n_bins // config.frequency_factor
        width = config.bottleneck_channels
        self.conv_inp = nn.Conv1d(config.dim, width, 1)
        self.conv_out_bottleneck = nn.Conv1d(width, config.flat, 1)
        # these blocks hold a projection of the noise that nothing uses: it belongs to the format
        blocks = [Residual(width, width, dims=1, embedding=config.embedding) for _ in range(config.bottleneck_blocks)]
        self.bottleneck_layers = nn.ModuleList(blocks)
        layers: list[nn.Module] = []
        for level in reversed(range(len(config.channels))):
            channels = config.channels[level]
            heads = config.heads if level in config.attention else None
            layers += [Residual(channels, channels, heads=heads) for _ in range(config.encoder_blocks)]
            if level:
                frequency_only = level <= config.frequency_only
                layers.append(Up(channels, config.channels[level - 1], frequency_only=frequency_only))
        self.up_layers = nn.ModuleList(layers)

    def forward(self, latents: Tensor) -> list[Tensor]:
        """Unfold (batch, dim, n_latents) into one (batch, channels, frequency, time) per level, the finest first."""
        x: Tensor = self.conv_inp(latents)
        for block in self.bottleneck_layers:
            x = block(x)
        x = self.conv_out_bottleneck(x)
        x = x.reshape(len(x), self.n_bands, self.channels, -1).transpose(1, 2)  # here bands come first
        pyramid = []
        for layer in self.up_layers:
            if isinstance(layer, Up):
                pyramid.append(x)
            x = layer(x)
        return [x, *reversed(pyramid)]


class UNet(nn.Module):
    """The whole autoencoder: its encoder, its decoder, and the network that cleans noisy spectrograms.

    Parameters
    ----------
    config : CodecConfig
        Sizes.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        width, first = config.embedding, config.channels[0]
        self.embedding = width
        self.emb_proj = nn.Sequential(*_mlp(width, width, width), nn.SiLU())
        self.scale_inp = _mlp(width, width, width, config.n_bins)
        self.scale_out = _mlp(width, width, width, config.n_bins)
        self.conv_inp = nn.Conv2d(2, first, 3, padding=1)
        self.conv_decoded = nn.Conv2d(first, first, 1)
        self.norm_out = _norm(first)
        self.conv_out = nn.Conv2d(first, 2, 3, padding=1)
        self.down_layers = nn.ModuleList(_path(config, downwards=True))
        self.up_layers = nn.ModuleList(_path(config, downwards=False))

    def forward(self, x: Tensor, sigma: Tensor, pyramid: list[Tensor]) -> Tensor:
        """Raw output of the network, before the coefficients of `consistency`.

        Parameters
        ----------
        x : Tensor, shape (batch, 2, n_bins, n_frames)
            Noisy spectrograms, scaled to unit variance.
        sigma : Tensor, shape (batch,)
            Noise of each.
        pyramid : list of Tensor
            What `decoder` makes of their latents.
        """
        noise = sinusoids(sigma.log() / 4, self.embedding)
        embedded = self.emb_proj(noise)
        x = self.conv_inp(x) * (1 + self.scale_inp(noise)[:, None, :, None])
        skips: list[Tensor] = []
        level = 0
        for layer in self.down_layers:
            if isinstance(layer, nn.Conv2d):
                x = (x + layer(pyramid[level])) / math.sqrt(2)
            elif isinstance(layer, Residual):
                x = layer(x, embedded)
                skips.append(x)
            else:
                x, level = layer(x), level + 1
        for layer in self.up_layers:
            if isinstance(layer, nn.Conv2d):
                x = (x + skips.pop() + layer(pyramid[level])) / math.sqrt(3)
            elif isinstance(layer, Residual):
                x = layer(x, embedded)
            else:
                x, level = layer(x), level - 1
        x = (x + self.conv_decoded(pyramid[0])) / math.sqrt(2)
        x = silu(self.norm_out(x)) * (1 + self.scale_out(noise)[:, None, :, None])
        raw: Tensor = self.conv_out(x)
        return raw


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of `positions` (batch,) at frequencies from 1 down to 1/10000: (batch, width)."""
    half = width // 2
    exponents = torch.arange(half, dtype=positions.dtype, device=positions.device) / (half - 1)
    angles = positions[:, None] * 10000.0**-exponents
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _path(config: CodecConfig, *, downwards: bool) -> Iterable[nn.Module]:
    """Layers of one side of the U-Net: before each block the way in of a level of the pyramid."""
    order = list(range(len(config.channels)))
    order = order if downwards else order[::-1]
    for position, level in enumerate(order):
        channels = config.channels[level]
        heads = config.heads if level in config.attention else None
        for _ in range(config.unet_blocks):
            yield nn.Conv2d(channels, channels, 1)
            yield Residual(channels, channels, embedding=config.embedding, heads=heads)
        if position < len(order) - 1:
            onward = order[position + 1]
            frequency_only = max(level, onward) <= config.frequency_only
            if downwards:
                yield Down(channels, config.channels[onward], frequency_only=frequency_only, normalised=False)
            else:
                yield Up(channels, config.channels[onward], frequency_only=frequency_only)
