"""The mathematics of flows: integrators, divergences and densities, held against what is known in closed form."""

import math
import sys

import numpy as np
import pytest
import torch

from eegic.flow import (
    SCHEMES,
    Autograd,
    GaussianFlow,
    Hadamard,
    LogDensity,
    Rademacher,
    adaptive,
    exact,
    interpolate,
    log_normal,
    probed,
    solve,
)
from eegic.flow.divergence import differentiable, joined, trace
from eegic.flow.likelihood import sampled
from eegic.flow.ode import grid, trajectory

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # forward mode loads it


class Columns:
    """Probes whose mean is the exact trace: every axis in turn, one per stream."""

    def __init__(self, *shape):
        self.n_streams = shape[-1]
        unit = torch.eye(shape[-1], dtype=torch.float64) * math.sqrt(shape[-1])
        self.probes = unit.reshape(-1, *[1] * (len(shape) - 1), shape[-1]).expand(-1, *shape)

    def __call__(self, node):
        return self.probes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def times(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def gaussian(dims=5, seed=0):
    """Correlated data of unequal variances along no axis, with a mean."""
    axes = torch.linalg.qr(normal(dims, dims, seed=seed)).Q
    variances = torch.linspace(0.2, 3, dims, dtype=torch.float64)
    return GaussianFlow(2 * normal(dims, seed=seed + 1), axes @ torch.diag(variances) @ axes.T)


def wild(dims, n_rows=1, spread=0.0, seed=0):
    """A nonlinear velocity that mixes all axes and changes with time; its rows may differ in gain."""
    a, b = (normal(dims, dims, seed=seed + i) / math.sqrt(dims) for i in (1, 2))
    gain = torch.exp(spread * torch.linspace(-1, 1, n_rows, dtype=torch.float64))[:, None]

    def velocity(x, t):
        return 0.1 * x + gain * torch.tanh(2 * x @ a.T + torch.sin(3 * t)[..., None]) @ b.T

    return Autograd(velocity)


class TestPath:
    def test_straight_lines(self):
        noise, data = normal(4, 3), normal(4, 3, seed=1)
        t = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
        points = interpolate(noise, data, t)
        torch.testing.assert_close(points[0], noise[0])
        torch.testing.assert_close(points[3], data[3])
        torch.testing.assert_close(points[1], noise[1] + (data[1] - noise[1]) / 4)

    def test_the_density_of_noise(self):
        x = 2 * normal(6, 5) + 1
        expected = torch.distributions.Normal(torch.zeros(5).double(), 1.0).log_prob(x).sum(-1)
        torch.testing.assert_close(log_normal(x), expected, rtol=0, atol=1e-12)
        assert log_normal(x.float()).dtype == torch.float64

    def test_densities_of_the_gaussian_case(self):
        flow, t = gaussian(), torch.tensor(0.7, dtype=torch.float64)
        covariance = 0.49 * flow.covariance + 0.09 * torch.eye(5, dtype=torch.float64)
        law = torch.distributions.MultivariateNormal(0.7 * flow.mean, covariance)
        x = normal(9, 5, seed=3) + flow.mean
        torch.testing.assert_close(flow.log_density(x, t), law.log_prob(x), rtol=0, atol=1e-10)

    def test_its_velocity_carries_noise_to_the_data(self):
        """Mean and covariance of 20 000 carried points, within 4 standard errors."""
        flow, n = gaussian(), 20_000
        x = solve(flow, normal(n, 5, seed=4), *times(0.0, 1.0), steps=30)
        assert ((x.mean(0) - flow.mean).abs() < 4 * (flow.covariance.diagonal() / n).sqrt()).all()
        v = flow.covariance.diagonal()
        se = ((flow.covariance**2 + torch.outer(v, v)) / n).sqrt()
        assert ((torch.cov(x.T) - flow.covariance).abs() < 4 * se).all()

    def test_its_divergence(self):
        flow, t = gaussian(), torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
        for velocity in (flow, Autograd(flow.__call__)):
            found = trace(velocity, normal(3, 5), t)[1]
            torch.testing.assert_close(flow.divergence(t), found, rtol=0, atol=1e-10)


class TestOde:
    @staticmethod
    def pendulum(x, t):
        """Turns and swells with time: x(t) is known."""
        return torch.cos(t)[..., None] * x + 2 * torch.stack((-x[..., 1], x[..., 0]), -1)

    @staticmethod
    def solution(x, t):
        c, s = math.cos(2 * t), math.sin(2 * t)
        return math.exp(math.sin(t)) * torch.stack((c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]), -1)

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_order(self, scheme):
        """Halving the steps divides the error by two to the order, up to a fifth of it."""
        x = normal(7, 2)
        errors = [
            (solve(self.pendulum, x, *times(0.0, 1.5), steps=n, scheme=scheme) - self.solution(x, 1.5)).norm()
            for n in (64, 128)
        ]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(SCHEMES[scheme].order, rel=0.1)

    def test_back_is_where_it_began(self):
        x = normal(7, 2)
        there = list(trajectory(self.pendulum, x, grid(*times(0.0, 1.0), 50)))
        back = list(trajectory(self.pendulum, there[-1], grid(*times(1.0, 0.0), 50)))
        assert len(there) == len(back) == 51
        for out, home in zip(there, reversed(back), strict=True):
            torch.testing.assert_close(home, out, rtol=0, atol=1e-6)
        torch.testing.assert_close(there[20], self.solution(x, 0.4), rtol=0, atol=1e-6)

    def test_every_row_has_its_own_times(self):
        x, ends = normal(3, 2), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
        found = solve(self.pendulum, x, torch.zeros(3).double(), ends, steps=100)
        for row, end in enumerate(ends.tolist()):
            torch.testing.assert_close(found[row], self.solution(x[row], end), rtol=0, atol=1e-6)

    def test_an_adaptive_integrator_agrees(self):
        pytest.importorskip("torchdiffeq")
        flow, x = gaussian(), normal(6, 5)
        torch.testing.assert_close(
            adaptive(flow, x, 0.0, 1.0, tolerance=1e-9), solve(flow, x, *times(0.0, 1.0), steps=200), rtol=0, atol=1e-6
        )

    def test_without_torchdiffeq(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torchdiffeq", None)
        with pytest.raises(ImportError, match="adaptive integration needs torchdiffeq: pip install torchdiffeq"):
            adaptive(self.pendulum, normal(1, 2), 0.0, 1.0)

    def test_refusals(self):
        with pytest.raises(ValueError, match="scheme: expected one of 'euler'.*got 'rk5'. Did you mean 'rk4'"):
            solve(self.pendulum, normal(1, 2), *times(0.0, 1.0), steps=3, scheme="rk5")
        with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
            solve(self.pendulum, normal(1, 2), *times(0.0, 1.0), steps=0)


class TestDivergence:
    def test_the_trace_is_that_of_the_jacobian(self):
        velocity, x = wild(6), normal(2, 4, 6)
        t = torch.tensor([[0.1], [0.8]], dtype=torch.float64)
        v, found = trace(velocity, x, t)
        torch.testing.assert_close(v, velocity(x, t))
        for level in range(2):
            for row in range(4):
                jacobian = torch.func.jacrev(lambda one, t=t[level, 0]: velocity(one, t)[0])(x[level, row])
                assert found[level, row] == pytest.approx(float(jacobian.trace()), abs=1e-12)

    def test_products_are_those_of_reverse_mode(self):
        velocity, x, tangents = wild(6), normal(4, 6), normal(3, 4, 6, seed=5)
        t = torch.tensor(0.4, dtype=torch.float64)
        _, products = velocity.products(x, t, tangents)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda one: velocity(one, t)[0]))(x)
        torch.testing.assert_close(products, torch.einsum("rij,krj->kri", jacobian, tangents))

    def test_whatever_knows_its_products_is_left_alone(self):
        velocity = wild(3)
        assert differentiable(velocity) is velocity
        assert isinstance(differentiable(gaussian().__call__), Autograd)

    @pytest.mark.parametrize("node", [0, 3])
    @pytest.mark.parametrize("kind", ["fresh", "kept", "hadamard", "hadamard of 5"])
    def test_probes_are_unbiased_and_as_noisy_as_theory_says(self, kind, node):
        """Mean within 4 standard errors of the trace; RMS error falls with the root of the streams, to 5 %.

        A probe has variance 2 ||off-diagonal of (J + J')/2||², to 6 %.
        """
        dims, n = 5 if kind == "hadamard of 5" else 8, 20_000
        jacobian = normal(dims, dims, seed=6) + 2
        draw = {
            "fresh": lambda k: Rademacher.draw((n, dims), k, 4, seeded(k)),
            "kept": lambda k: Rademacher.draw((n, dims), k, 4, seeded(k), fresh=False),
        }.get(kind, lambda k: Hadamard.draw((n, dims), k, seeded(k)))
        rms = []
        for k in (1, 4, 16):
            p = draw(k)(node).double()
            errors = torch.einsum("kri,ij,krj->r", p, jacobian, p) / k - jacobian.trace()
            assert abs(float(errors.mean())) < 4 * float(errors.std()) / math.sqrt(n)
            rms.append(float(errors.square().mean().sqrt()))
        symmetric = (jacobian + jacobian.T) / 2
        off = symmetric - torch.diag(symmetric.diagonal())
        assert rms[0] ** 2 == pytest.approx(2 * float(off.square().sum()), rel=0.06)
        assert rms[0] / rms[1] == pytest.approx(2, rel=0.05)
        assert rms[1] / rms[2] == pytest.approx(2, rel=0.05)

    def test_signs_are_fresh_at_every_node_or_kept(self):
        fresh, kept = (Rademacher.draw((9, 8), 2, 4, seeded(), fresh=fresh) for fresh in (True, False))
        assert all(not torch.equal(fresh(0), fresh(node)) for node in (1, 2, 3))
        assert all(torch.equal(kept(0), kept(node)) for node in (1, 2, 3))

    @pytest.mark.parametrize(("dims", "n_rows"), [(1, 1), (2, 2), (5, 8), (8, 8), (64, 64), (65, 128)])
    def test_each_row_of_a_hadamard_matrix_once(self, dims, n_rows):
        """Over all nodes the outer products of a stream sum to the identity times their number, in any dimension."""
        probes = Hadamard.draw((3, dims), 2, seeded())
        rows = torch.stack([probes(node) for node in range(n_rows)]).double()  # (nodes, streams, frames, dims)
        assert ((rows == 1) | (rows == -1)).all()
        gram = torch.einsum("nsfi,nsfj->sfij", rows, rows)
        assert torch.equal(gram, (n_rows * torch.eye(dims).double()).expand(2, 3, -1, -1))
        if dims == n_rows:
            across = torch.einsum("nsfi,msfi->sfnm", rows, rows)
            assert torch.equal(across, (dims * torch.eye(dims).double()).expand(2, 3, -1, -1))
        assert torch.equal(probes(n_rows + 1), probes(1 % n_rows))

    def test_streams_and_frames_are_drawn_apart(self):
        probes = Hadamard.draw((3, 64), 2, seeded())
        flat = probes(0).flatten(0, 1)
        assert len({tuple(row.tolist()) for row in flat}) == 6
        assert len({tuple(order.tolist()) for order in probes.order.flatten(0, 1)}) == 6

    @pytest.mark.parametrize("kind", ["fresh", "kept", "hadamard"])
    def test_joined_probes_are_those_of_each_sound_and_level(self, kind):
        def draw(n_frames, seed):
            if kind == "hadamard":
                return Hadamard.draw((n_frames, 5), 2, seeded(seed))
            return Rademacher.draw((n_frames, 5), 2, 4, seeded(seed), fresh=kind == "fresh")

        lengths, stops = (3, 1, 4), (3, 4, 8)
        single = [[draw(length, 10 * sound + level) for level in range(2)] for sound, length in enumerate(lengths)]
        together = joined(single)
        assert together.n_streams == 2
        for node in (0, 1, 3):
            assert together(node).shape == (2, 2, 8, 5)
            for sound, (length, stop) in enumerate(zip(lengths, stops, strict=True)):
                for level in range(2):
                    found = together(node)[:, level, stop - length : stop]
                    assert torch.equal(found, single[sound][level](node))
        part = together.part(lambda tensor: tensor.narrow(-2, 2, 3))
        assert torch.equal(part(2), together(2)[:, :, 2:5])


class TestExact:
    @pytest.mark.parametrize("t", [1.0, 0.7, 0.2])
    def test_gaussian_data(self, t):
        """To 1e-6 nats, with correlated dimensions and a mean."""
        flow = gaussian()
        x = t * flow.mean + 1.5 * normal(8, 5, seed=7)
        start = torch.full((8,), t, dtype=torch.float64)
        found = exact(flow, x, [start, 0 * start], tolerance=1e-7)
        torch.testing.assert_close(found.value[0], flow.log_density(x, start), rtol=0, atol=1e-6)
        assert (found.se < 1e-6).all()

    def test_a_trajectory_is_read_on_its_way(self):
        flow = gaussian()
        x, t = flow.mean + normal(6, 5, seed=8), [1.0, 0.6, 0.3, 0.0]
        at = [torch.full((6,), value, dtype=torch.float64) for value in t]
        found = exact(flow, x, at, tolerance=1e-8)
        assert found.value.shape == (3, 6)
        for row, to in enumerate(at[:-1]):
            there = solve(flow, x, at[0], to, steps=200)
            torch.testing.assert_close(found.value[row], flow.log_density(there, to), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("a", [-1.5, 0.8])
    def test_linear_velocity(self, a):
        """Noise swells by exp(a t): the density is Gaussian, and known."""
        x, t = normal(7, 3) + 1, torch.tensor(0.9, dtype=torch.float64)
        found = exact(Autograd(lambda x, t: a * x), x, [t.expand(7), 0 * t.expand(7)], tolerance=1e-7)
        law = torch.distributions.Normal(torch.zeros(3).double(), math.exp(a * 0.9))
        torch.testing.assert_close(found.value[0], law.log_prob(x).sum(-1), rtol=0, atol=1e-6)

    def test_every_row_may_have_its_own_mean(self):
        flow = GaussianFlow(normal(8, 5, seed=2), gaussian().covariance)
        x, start = flow.mean + normal(8, 5, seed=3), torch.linspace(0.3, 1, 8, dtype=torch.float64)
        found = exact(flow, x, [start, 0 * start], tolerance=1e-7)
        torch.testing.assert_close(found.value[0], flow.log_density(x, start), rtol=0, atol=1e-6)

    def test_rows_know_nothing_of_each_other(self):
        velocity, x = wild(4), 1.5 * normal(5, 4)
        t = torch.tensor([1.0, 0.9, 0.5, 0.3, 1.0], dtype=torch.float64)
        together = exact(velocity, x, [t, 0 * t], tolerance=1e-6)
        for row in range(5):
            alone = exact(velocity, x[row : row + 1], [t[row : row + 1], torch.zeros(1).double()], tolerance=1e-6)
            torch.testing.assert_close(together.value[:, row], alone.value[:, 0], rtol=0, atol=1e-10)

    def test_the_error_is_below_what_it_says(self):
        """Against a tolerance ten thousand times smaller; what is reported is an estimate, so twice it is allowed."""
        velocity, x = wild(4, seed=3), 1.5 * normal(12, 4)
        t = torch.ones(12, dtype=torch.float64)
        truth = exact(velocity, x, [t, 0 * t], tolerance=1e-8).value
        for tolerance in (1e-2, 1e-4):
            found = exact(velocity, x, [t, 0 * t], tolerance=tolerance)
            assert ((found.value - truth).abs() < 2 * tolerance).all()
            assert (found.se <= 2 * tolerance).all()

    def test_what_does_not_converge_is_said(self):
        def velocity(x, t):
            return 300 * torch.cos(4000 * t)[..., None] * x

        x, t = normal(3, 2), torch.ones(3, dtype=torch.float64)
        with pytest.warns(UserWarning, match="3 log-densities still changed.*256 nodes: the velocity varies fast"):
            found = exact(Autograd(velocity), x, [t, 0 * t], tolerance=1e-3)
        assert (found.se > 2e-3).all()


class TestProbed:
    @pytest.mark.parametrize("dims", [5, 8])
    @pytest.mark.parametrize("node", [0.0, 0.5])
    def test_all_rows_of_a_hadamard_matrix_see_all_of_a_constant_jacobian(self, dims, node):
        """After 8 nodes nothing is left of the error, although each of them errs, and the standard error knows."""
        matrix = normal(dims, dims, seed=9)
        velocity, x = Autograd(lambda x, t: x @ matrix.T), normal(6, dims, seed=1)
        hadamard = Hadamard.draw((6, dims), 2, seeded())
        found = probed(velocity, x, times(1.0, 0.0), hadamard, steps=[8], node=node)
        truth = probed(velocity, x, times(1.0, 0.0), Columns(6, dims), steps=[8], node=node)
        torch.testing.assert_close(found.value, truth.value, rtol=0, atol=1e-10)
        assert (found.between < 1e-20).all() and (found.within > 1e-3).all()
        first = probed(velocity, x, times(1.0, 0.0), hadamard, steps=[3], node=node)
        assert ((first.value - log_normal(x)) - (truth.value - log_normal(x))).abs().min() > 1e-3

    def test_diagonal_jacobians_take_no_error_from_signs(self):
        """Linear velocity a x: the midpoint rule at 400 steps is within 1e-3 of the closed form, its error zero."""
        x, probes = normal(7, 3) + 1, Rademacher.draw((7, 3), 2, 400, seeded())
        found = probed(Autograd(lambda x, t: 0.8 * x), x, times(0.9, 0.0), probes, steps=[400], node=0.5)
        law = torch.distributions.Normal(torch.zeros(3).double(), math.exp(0.8 * 0.9))
        torch.testing.assert_close(found.value[0], law.log_prob(x).sum(-1), rtol=0, atol=1e-3)
        assert (found.se == 0).all()

    @pytest.mark.parametrize(("node", "order"), [(0.0, 1), (0.5, 2)])
    def test_order(self, node, order):
        flow = gaussian()
        x = flow.mean + normal(6, 5, seed=8)
        truth = flow.log_density(x, *times(1.0))
        errors = [
            (probed(flow, x, times(1.0, 0.0), Columns(6, 5), steps=[n], node=node).value[0] - truth).norm()
            for n in (128, 256)
        ]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)

    def test_several_intervals_are_one_path(self):
        flow = gaussian()
        x = flow.mean + normal(6, 5, seed=8)
        probes = Hadamard.draw((6, 5), 2, seeded())
        found = probed(flow, x, times(1.0, 0.75, 0.5, 0.0), probes, steps=[16, 16, 32], node=0.5)
        whole = probed(flow, x, times(1.0, 0.0), probes, steps=[64], node=0.5)
        torch.testing.assert_close(found.value[0], whole.value[0])
        torch.testing.assert_close(found.within[0], whole.within[0])
        fine = probed(flow, x, times(1.0, 0.75, 0.5, 0.0), Columns(6, 5), steps=[100, 100, 200], node=0.5)
        for row, t in enumerate((1.0, 0.75, 0.5)):
            there = solve(flow, x, *times(1.0, t), steps=200)
            torch.testing.assert_close(fine.value[row], flow.log_density(there, *times(t)), rtol=0, atol=1e-3)

    @pytest.mark.parametrize("kind", ["fresh", "kept", "hadamard"])
    @pytest.mark.parametrize("k", [2, 4])
    def test_the_mean_is_the_exact_divergence_and_the_standard_error_its_scatter(self, kind, k):
        """One point, 3000 times: mean error within 4 standard errors of 0, and ``se`` is the RMS error to 8 %."""
        dims, n = 16, 3000
        velocity, x = wild(dims, seed=2), normal(1, dims, seed=3) + 0.5
        truth = probed(velocity, x, times(1.0, 0.0), Columns(1, dims), steps=[12], node=0.5).value[0]
        if kind == "hadamard":
            probes = Hadamard.draw((n, dims), k, seeded(k))
        else:
            probes = Rademacher.draw((n, dims), k, 12, seeded(k), fresh=kind == "fresh")
        found = probed(velocity, x.expand(n, dims), times(1.0, 0.0), probes, steps=[12], node=0.5)
        errors = found.value[0] - truth
        assert abs(float(errors.mean())) < 4 * float(errors.std()) / math.sqrt(n)
        rms = float(errors.square().mean().sqrt())
        assert float(found.se[0].square().mean().sqrt()) == pytest.approx(rms, rel=0.08)

    @pytest.mark.parametrize(
        ("kind", "k", "spread"),
        [("hadamard", 2, 0.0), ("hadamard", 2, 1.0), ("hadamard", 4, 1.0), ("fresh", 2, 1.0), ("kept", 4, 1.0)],
    )
    def test_standard_errors_cover(self, kind, k, spread):
        """95 % intervals hold the truth in 90 to 99 % of rows, be they alike or as different as 1 and 7."""
        dims, n_rows, hits = 32, 60, []
        velocity, x = wild(dims, n_rows, spread, seed=4), normal(n_rows, dims, seed=5) + 0.3
        truth = probed(velocity, x, times(1.0, 0.0), Columns(n_rows, dims), steps=[16], node=0.5).value
        for seed in range(8):
            if kind == "hadamard":
                probes = Hadamard.draw((n_rows, dims), k, seeded(seed))
            else:
                probes = Rademacher.draw((n_rows, dims), k, 16, seeded(seed), fresh=kind == "fresh")
            found = probed(velocity, x, times(1.0, 0.0), probes, steps=[16], node=0.5)
            hits.append(((found.value - truth).abs() < 1.96 * found.se).double().mean())
        assert 0.90 <= float(np.mean(hits)) <= 0.99

    def test_one_stream_tells_no_error(self):
        velocity, x = wild(8), normal(5, 8)
        found = probed(velocity, x, times(1.0, 0.0), Hadamard.draw((5, 8), 1, seeded()), steps=[8], node=0.5)
        assert torch.isfinite(found.value).all() and found.se.isnan().all()

    def test_where_rows_differ_by_more_than_chance_their_errors_do(self):
        """Rows 100 times as noisy keep standard errors of their own; rows alike, with little to tell, share one."""
        within = torch.tensor([[1.0] * 50 + [1e4] * 50]).double()
        chance = torch.distributions.Chi2(torch.tensor(3.0)).sample((100,)).double() / 3
        apart = LogDensity(torch.zeros(1, 100), within * chance, within * chance, n_streams=4).se[0]
        assert float(apart[50:].mean() / apart[:50].mean()) > 20
        alike = LogDensity(torch.zeros(1, 100), chance[None], chance[None], n_streams=4).se[0]
        assert float(alike.std() / alike.mean()) < 0.5 * float(chance.sqrt().std() / chance.sqrt().mean())


class TestSampled:
    def test_the_mean_surprise_of_draws_is_the_entropy(self):
        """Of Gaussian data: half the log determinant of 2 pi e S, within 4 standard errors."""
        flow, n = gaussian(), 4000
        found = sampled(flow, normal(n, 5, seed=11), times(0.0, 0.5, 1.0), Columns(n, 5), steps=[64, 64],
                        node=0.5)  # fmt: skip
        assert found.value.shape == (2, n)
        for row, t in enumerate((0.5, 1.0)):
            covariance = t**2 * flow.covariance + (1 - t) ** 2 * torch.eye(5, dtype=torch.float64)
            entropy = 0.5 * float(torch.linalg.slogdet(2 * math.pi * math.e * covariance)[1])
            surprise = -found.value[row]
            assert abs(float(surprise.mean()) - entropy) < 4 * float(surprise.std()) / math.sqrt(n)

    def test_each_draw_has_the_density_of_where_it_lands(self):
        flow, x = gaussian(), normal(9, 5, seed=12)
        found = sampled(flow, x, times(0.0, 0.4, 1.0), Columns(9, 5), steps=[200, 300], node=0.5)
        for row, t in enumerate((0.4, 1.0)):
            there = solve(flow, x, *times(0.0, t), steps=200)
            torch.testing.assert_close(found.value[row], flow.log_density(there, *times(t)), rtol=0, atol=1e-3)
