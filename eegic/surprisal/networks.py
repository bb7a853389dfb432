"""The networks of an autoregressive rectified flow: a causal transformer, and a velocity conditioned on what it says.

Both follow the published description layer by layer, so the weights of public checkpoints fit. The backbone turns
latents up to frame j into a context; the head gives the velocity that carries noise to frame j + 1, given that context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eegic import _checks

HEAD_SIZE = 64  # of attention, whatever the width
ROTARY_SIZE = 32  # how many of a head's dimensions are turned by position
_ROTARY_BASE = 10000.0
_TIME_SCALE = 16.0  # SD of the frequencies of time, in turns over its range
_EPS = 1e-5
_FEW_TIMES = 32  # beyond it, look whether times repeat


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the networks; the defaults are those of the published model.

    Parameters
    ----------
    data : int
        Dimensions of a latent.
    width : int
        Of backbone and head.
    depth : int
        Pairs of attention and feed-forward layers in the backbone.
    heads : int
        Attention heads, each of 64 dimensions whatever the width.
    blocks : int
        Of the head.
    max_seq_length : int
        Frames seen at once in training; beyond it the context slides.
    """

    data: int = 64
    width: int = 256
    depth: int = 12
    heads: int = 8
    blocks: int = 8
    max_seq_length: int = 4600

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _checks.count(name, value, minimum=2 if name == "max_seq_length" else 1)
        if self.width % 2:
            raise ValueError(f"width: expected an even number, got {self.width}.")


class ARFlow(nn.Module):
    """Backbone and head together; the state dict of a public checkpoint loads after `own_names`."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = VelocityHead(config)

    def contexts(self, latents: Tensor, *, slide: bool = True) -> Tensor:
        """What the backbone says after each of the latents (..., n_frames, data).

        Beyond the length of training it sees windows of that length, which overlap by a half, unless it is not to
        `slide`: then all the past, further back than it ever did in training.
        """
        longest, n_frames = self.config.max_seq_length, latents.shape[-2]
        if n_frames <= longest or not slide:
            heard: Tensor = self.backbone(latents)
            return heard
        half = longest // 2
        parts = [self.backbone(latents[..., :longest, :])]
        for start in range(half, n_frames - longest + half, half):
            window = self.backbone(latents[..., start : start + longest, :])
            parts.append(window[..., longest - half :, :])
        return torch.cat(parts, dim=-2)[..., :n_frames, :]

    def context_rule(self, n_frames: int, *, slide: bool = True) -> str:
        """What `contexts` takes in, in words."""
        longest = self.config.max_seq_length
        if n_frames <= longest:
            return "all latents before"
        if not slide:
            return f"all latents before, beyond the {longest} of training"
        return f"the {longest - longest // 2 + 1} to {longest} latents before"


class Backbone(nn.Module):
    """Causal transformer: latents (..., n_frames, data) to contexts (..., n_frames, width)."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.project_in = nn.Linear(config.data, config.width, bias=False)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.final_norm = Norm(config.width)
        self.inv_freq: Tensor
        self.register_buffer("inv_freq", rotary_frequencies())

    def forward(self, latents: Tensor) -> Tensor:
        """Contexts (..., n_frames, width) of latents (..., n_frames, data)."""
        angles = torch.arange(latents.shape[-2], device=latents.device)[:, None] * self.inv_freq
        turn = angles.cos(), angles.sin()
        h = self.project_in(latents)
        for layer in self.layers:
            h = layer(h, turn)
        out: Tensor = self.final_norm(h)
        return out


class Layer(nn.Module):
    """Attention to the past, then a feed-forward network; each adds to the stream."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads)
        self.feed_forward = FeedForward(config.width)

    def forward(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """The stream h (..., n_frames, width) after this layer."""
        h = h + self.attention(h, turn)
        out: Tensor = h + self.feed_forward(h)
        return out


class Norm(nn.Module):
    """Layer norm whose stored scale is an offset from 1, without bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width))

    def forward(self, h: Tensor) -> Tensor:
        """Normalise h (..., width)."""
        return F.layer_norm(h, h.shape[-1:], weight=1 + self.gamma, eps=_EPS)


class Attention(nn.Module):
    """Causal attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(width)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, heads * HEAD_SIZE, bias=False) for _ in range(3))
        self.to_out = nn.Linear(heads * HEAD_SIZE, width, bias=False)

    def forward(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """What the layer adds to the stream h (..., n_frames, width)."""
        h = self.norm(h)
        q, k, v = (to(h).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for to in (self.to_q, self.to_k, self.to_v))
        heard = F.scaled_dot_product_attention(turned(q, *turn), turned(k, *turn), v, is_causal=True)
        out: Tensor = self.to_out(heard.transpose(-3, -2).flatten(-2))
        return out


def rotary_frequencies() -> Tensor:
    """Radians per frame by which each pair of dimensions is turned."""
    exponents = torch.arange(0, ROTARY_SIZE, 2) / ROTARY_SIZE
    return torch.pow(_ROTARY_BASE, -exponents)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn successive pairs of the first dimensions of x (..., n_frames, HEAD_SIZE) by the angles of their frame."""
    a, b = x[..., :ROTARY_SIZE:2], x[..., 1:ROTARY_SIZE:2]
    pairs = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return torch.cat((pairs.flatten(-2), x[..., ROTARY_SIZE:]), dim=-1)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.rise = nn.Linear(width, 4 * width)
        self.fall = nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        """What the layer adds to the stream h (..., width)."""
        out: Tensor = self.fall(F.gelu(self.rise(self.norm(h))))
        return out


class TimeTerms(NamedTuple):
    """All that the head takes from time: scales of its blocks (first axis), then scale and shift of its last norm."""

    blocks: Tensor
    scale: Tensor
    shift: Tensor


class VelocityHead(nn.Module):
    """Velocity v(t, x, c): time acts through scales, the context at the input alone."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        width = config.width
        self.data = config.data
        self.freqs: Tensor
        self.register_buffer("freqs", 2 * torch.pi * _TIME_SCALE * torch.randn(width // 2))
        self.embed = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.linear_input = nn.Linear(config.data + width, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.blocks))
        self.scale_out = nn.Linear(width, width)
        self.shift_out = nn.Linear(width, width)
        self.linear_output = nn.Linear(width, config.data)

    def time_terms(self, t: Tensor) -> TimeTerms:
        """Scales and shifts (..., width) of times (...); rows that share a time share the work."""
        if t.numel() > _FEW_TIMES and not torch.is_grad_enabled():  # in training no two are alike
            distinct, place = torch.unique(t, return_inverse=True)
            if len(distinct) <= _FEW_TIMES:
                return TimeTerms(*(term[..., place, :] for term in self.time_terms(distinct)))
        angles = (2 * t - 1)[..., None] * self.freqs
        e = torch.cat((angles.cos(), angles.sin()), dim=-1)
        for layer in self.embed:
            e = F.silu(layer(e))
        scales = torch.stack([block.scale(e) for block in self.each_block()])
        return TimeTerms(1 + scales, 1 + self.scale_out(e), self.shift_out(e))

    def each_block(self) -> list[Block]:
        """The blocks, in order."""
        return cast("list[Block]", list(self.blocks))

    def given(self, context: Tensor) -> ConditionalVelocity:
        """The velocity given contexts (..., width), whose share of the input is computed once, here."""
        return ConditionalVelocity(
            self, F.linear(context, self.linear_input.weight[:, self.data :], self.linear_input.bias)
        )

    def forward(self, t: Tensor, x: Tensor, context: Tensor) -> Tensor:
        """Velocity at points x (..., data), times (...) and contexts (..., width)."""
        return self.given(context)(x, t)


class Block(nn.Module):
    """Residual block: a gated layer behind a norm whose scale depends on time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Linear(width, width)
        self.rise = nn.Linear(width, 4 * width, bias=False)
        self.fall = nn.Linear(2 * width, width, bias=False)

    def forward(self, h: Tensor, scale: Tensor) -> Tensor:
        """The stream h (..., width) after this block."""
        a, b = self.rise(F.layer_norm(h, h.shape[-1:], eps=_EPS) * scale).chunk(2, dim=-1)
        out: Tensor = h + self.fall(F.silu(a) * b)
        return out


class ConditionalVelocity:
    """Velocity given a context: a function of x (..., data) and of t, which broadcasts over the axes before the last.

    Besides itself it gives products of its Jacobian with tangents in one pass, in forward mode and without autograd:
    the tangents share every activation and every matrix product of the pass.
    """

    def __init__(self, head: VelocityHead, given: Tensor) -> None:
        self.head = head
        self.given = given

    def __getitem__(self, rows: Any) -> ConditionalVelocity:
        """The velocity at some of the contexts."""
        return ConditionalVelocity(self.head, self.given[rows])

    def flat(self) -> ConditionalVelocity:
        """The velocity with all contexts along one axis."""
        return ConditionalVelocity(self.head, self.given.flatten(0, -2))

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at x (..., data)."""
        head, terms = self.head, self.head.time_terms(t)
        h = F.linear(x, head.linear_input.weight[:, : head.data]) + self.given
        for block, scale in zip(head.each_block(), terms.blocks, strict=True):
            h = block(h, scale)
        out: Tensor = head.linear_output(
            torch.addcmul(terms.shift, F.layer_norm(h, h.shape[-1:], eps=_EPS), terms.scale)
        )
        return out

    @torch.no_grad()
    def products(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (..., data), and Jacobian products (k, ..., data) of tangents (k, ..., data).

        The state and its tangents go through the matrices together: element 0 of the first axis is the state.
        """
        head, terms = self.head, self.head.time_terms(t)
        h = F.linear(torch.cat((x[None], tangents)), head.linear_input.weight[:, : head.data])
        h[0] += self.given
        for block, scale in zip(head.each_block(), terms.blocks, strict=True):
            risen = F.linear(_normed(h, scale), block.rise.weight)
            a, b = risen.chunk(2, dim=-1)
            s = torch.sigmoid(a[0])
            gate = a[0] * s  # silu(a), whose derivative is s + gate (1 - s)
            slope = torch.addcmul(s, gate, 1 - s).mul_(b[0])
            gated = torch.empty_like(a)
            torch.mul(gate, b[0], out=gated[0])
            torch.mul(a[1:], slope, out=gated[1:]).addcmul_(b[1:], gate)
            h.view(-1, h.shape[-1]).addmm_(gated.view(-1, gated.shape[-1]), block.fall.weight.T)
        out = F.linear(_normed(h, terms.scale), head.linear_output.weight)
        out[0] += F.linear(terms.shift, head.linear_output.weight, head.linear_output.bias)
        return out[0], out[1:]


def _normed(h: Tensor, scale: Tensor) -> Tensor:
    """Layer norm of a state h[0] (..., width), and its tangents h[1:] behind that norm, all times `scale`."""
    width = h.shape[-1]
    n, _, inverse = torch.native_layer_norm(h[0], (width,), None, None, _EPS)
    out = h - h.mean(dim=-1, keepdim=True)
    along = torch.einsum("k...w,...w->k...", out[1:], n)[..., None]
    out[1:].addcmul_(along, n, value=-1 / width).mul_(inverse * scale)
    torch.mul(n, scale, out=out[0])
    return out


_PUBLIC = (  # how the public files spell our names; {n} counts attention and feed-forward layers alternately
    (r"backbone\.layers\.(\d+)\.attention\.norm\.gamma", "backbone.attn_layers.layers.{even}.0.0.gamma"),
    (r"backbone\.layers\.(\d+)\.attention\.(\w+)\.weight", "backbone.attn_layers.layers.{even}.1.{1}.weight"),
    (r"backbone\.layers\.(\d+)\.feed_forward\.norm\.gamma", "backbone.attn_layers.layers.{odd}.0.0.gamma"),
    (r"backbone\.layers\.(\d+)\.feed_forward\.rise\.(\w+)", "backbone.attn_layers.layers.{odd}.1.ff.0.0.{1}"),
    (r"backbone\.layers\.(\d+)\.feed_forward\.fall\.(\w+)", "backbone.attn_layers.layers.{odd}.1.ff.2.{1}"),
    (r"backbone\.final_norm\.gamma", "backbone.attn_layers.final_norm.gamma"),
    (r"backbone\.inv_freq", "backbone.attn_layers.rotary_pos_emb.inv_freq"),
    (r"head\.freqs", "diff_mlp.time_emb.freqs"),
    (r"head\.embed\.(\d+)\.(\w+)", "diff_mlp.emb_proj.{twice}.{1}"),
    (r"head\.blocks\.(\d+)\.scale\.(\w+)", "diff_mlp.layers.{0}.norm.scale_proj.{1}"),
    (r"head\.blocks\.(\d+)\.rise\.(\w+)", "diff_mlp.layers.{0}.ff.to_mlp.{1}"),
    (r"head\.blocks\.(\d+)\.fall\.(\w+)", "diff_mlp.layers.{0}.ff.to_out.{1}"),
    (r"head\.(scale|shift)_out\.(\w+)", "diff_mlp.norm_output.{0}_proj.{1}"),
    (r"head\.(\w+)\.(\w+)", "diff_mlp.{0}.{1}"),
)


def public_name(name: str) -> str:
    """How the public checkpoints spell one of our parameters (``backbone.project_in.weight`` is the same in both)."""
    for pattern, spelling in _PUBLIC:
        found = re.fullmatch(pattern, name)
        if found:
            parts = found.groups()
            index = int(parts[0]) if parts and parts[0].isdigit() else 0
            return spelling.format(*parts, even=2 * index, odd=2 * index + 1, twice=2 * index)
    return name


def config_of(state: Mapping[str, Tensor], max_seq_length: int) -> FlowConfig:
    """Read the sizes of the networks off the shapes in a public state dict."""

    def rows(name: str, axis: int = 0) -> int:
        if name not in state or state[name].ndim != 2:
            raise ValueError(f"expected a matrix {name!r} among the weights; this is no surprisal model of this kind")
        return state[name].shape[axis]

    def n_layers(pattern: str) -> int:
        return len({found[0] for name in state if (found := re.match(pattern, name))})

    return FlowConfig(
        data=rows("diff_mlp.linear_output.weight"),
        width=rows("backbone.project_in.weight"),
        depth=n_layers(r"backbone\.attn_layers\.layers\.(\d+)\.") // 2,
        heads=rows("backbone.attn_layers.layers.0.1.to_q.weight") // HEAD_SIZE,
        blocks=n_layers(r"diff_mlp\.layers\.(\d+)\."),
        max_seq_length=max_seq_length,
    )
