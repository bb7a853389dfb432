"""The divergence of a velocity: the trace of its Jacobian, exact or by random probes.

For any probes p with E[p pᵀ] = I, E[pᵀ J p] is the trace of J. Entries of ±1 make the diagonal of J, and so its part
of the error, drop out; what is left are the off-diagonal elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from eegic.flow.ode import Velocity


class Differentiable(Protocol):
    """A velocity that knows the products of its Jacobian with tangents, and can be taken at some rows of x."""

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at x (..., data)."""
        ...

    def __getitem__(self, rows: Any) -> Differentiable:
        """The velocity at some rows."""
        ...

    def products(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (..., data) and products (k, ..., data) with tangents (k, ..., data)."""
        ...


@dataclass(frozen=True)
class Autograd:
    """Give a velocity that is the same at all rows its Jacobian products, by forward-mode differentiation."""

    velocity: Velocity

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at x (..., data)."""
        return self.velocity(x, t)

    def __getitem__(self, rows: Any) -> Autograd:
        """Itself."""
        return self

    def products(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (..., data) and products (k, ..., data) with tangents (k, ..., data)."""

        def along(tangent: Tensor) -> tuple[Tensor, Tensor]:
            velocity, product, *_ = torch.func.jvp(lambda x: self.velocity(x, t), (x,), (tangent,))
            return velocity, product

        velocities, products = torch.func.vmap(along, randomness="error")(tangents)
        return velocities[0], products


def differentiable(velocity: Velocity | Differentiable) -> Differentiable:
    """`velocity` itself if it knows its Jacobian products, else through autograd."""
    return cast(Differentiable, velocity) if hasattr(velocity, "products") else Autograd(velocity)


def trace(velocity: Differentiable, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity (..., data) and the exact trace of its Jacobian (...), in float64, from one tangent per dimension."""
    data = x.shape[-1]
    unit = torch.eye(data, dtype=x.dtype, device=x.device).reshape(data, *[1] * (x.ndim - 1), data)
    v, columns = velocity.products(x, t, unit.expand(data, *x.shape))
    return v, columns.movedim(0, -1).diagonal(dim1=-2, dim2=-1).double().sum(-1)


class Probes(Protocol):
    """Random probes of rows of x, the same whatever batch a row is computed in."""

    @property
    def n_streams(self) -> int:
        """How many probes each row has at a node."""
        ...

    def __call__(self, node: int) -> Tensor:
        """Probes (n_streams, ..., data) for one node; successive nodes may share a plan."""
        ...


@dataclass(frozen=True, eq=False)
class Rademacher:
    """Independent signs, fresh at every node or drawn once and kept.

    Parameters
    ----------
    signs : Tensor, shape (n_nodes or 1, n_streams, ..., data)
        As `draw` makes them.
    """

    signs: Tensor

    @classmethod
    def draw(
        cls, shape: tuple[int, ...], n_streams: int, n_nodes: int, generator: torch.Generator, *, fresh: bool = True
    ) -> Rademacher:
        """Draw on the CPU, so that every device computes with the same probes; `shape` is that of x."""
        return cls(_signs((n_nodes if fresh else 1, n_streams, *shape), generator))

    @property
    def n_streams(self) -> int:
        """How many probes each row has at a node."""
        return self.signs.shape[1]

    def __call__(self, node: int) -> Tensor:
        """Probes (n_streams, ..., data) for one node."""
        return self.signs[node % len(self.signs)]

    def part(self, change: Callable[[Tensor], Tensor]) -> Rademacher:
        """The same probes after `change` of every tensor (..., data): a slice of rows, or another device."""
        return Rademacher(change(self.signs))


@dataclass(frozen=True, eq=False)
class Hadamard:
    """Rows of a Hadamard matrix under random signs, each row once before any comes again.

    A stream goes through all rows in random order, one per node; n successive nodes span the space, so that what is
    the same at all nodes cancels from the error. Streams are independent: their scatter tells the standard error.

    Parameters
    ----------
    signs : Tensor, shape (n_streams, ..., data)
        Random signs of the columns.
    order : Tensor of int, shape (n_streams, ..., n_rows)
        Random order of the rows.
    """

    signs: Tensor
    order: Tensor

    @classmethod
    def draw(cls, shape: tuple[int, ...], n_streams: int, generator: torch.Generator) -> Hadamard:
        """Draw on the CPU, so that every device computes with the same probes; `shape` is that of x."""
        n_rows = 1 << (shape[-1] - 1).bit_length()
        signs = _signs((n_streams, *shape), generator)
        return cls(signs, torch.rand((n_streams, *shape[:-1], n_rows), generator=generator).argsort(-1).to(torch.int16))

    @property
    def n_streams(self) -> int:
        """How many probes each row has at a node."""
        return len(self.signs)

    def __call__(self, node: int) -> Tensor:
        """Probes (n_streams, ..., data) for one node."""
        rows = self.order[..., node % self.order.shape[-1]].long()
        columns = torch.arange(self.signs.shape[-1], device=rows.device)
        return self.signs * _parity(rows[..., None] & columns)

    def part(self, change: Callable[[Tensor], Tensor]) -> Hadamard:
        """The same probes after `change` of every tensor (..., data): a slice of rows, or another device."""
        return Hadamard(change(self.signs), change(self.order))


def joined(probes: Sequence[Sequence[Hadamard | Rademacher]]) -> Hadamard | Rademacher:
    """Probes of rows (level, frame), from those of each sound (outer) and level (inner), all of one kind."""
    kind = type(probes[0][0])
    parts = [[tuple(vars(level).values()) for level in sound] for sound in probes]
    tensors = [
        torch.cat([torch.stack([level[i] for level in sound], dim=-3) for sound in parts], dim=-2)
        for i in range(len(parts[0][0]))
    ]
    return kind(*tensors)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 1 - 2 * torch.randint(0, 2, shape, generator=generator, dtype=torch.int8)


def _parity(bits: Tensor) -> Tensor:
    """Element (i, j) of a Hadamard matrix is -1 to the number of ones in i & j."""
    for shift in (16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return (1 - 2 * (bits & 1)).to(torch.int8)
