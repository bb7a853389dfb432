"""Information content beside a plain implementation of the published procedure, at known error; see README.md.

    python benchmarks/bench_ic.py [--frames 100] [--noise 0.3] [--threads 2] [--repeat 3] [--device cpu] [--quick]

Both sides run in one process with the same random weights, on the same latents. Errors are root mean squares over
frames, against the exact trace integrated to a thousandth of a nat.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np
import torch
from bench_trf import print_versions, table
from torch import Tensor
from torch.nn import functional as F

from eegic.surprisal import FlowConfig, SurprisalModel

STEPS, PROBES = 100, 4  # of the published procedure
FULL, SMALL = FlowConfig(), FlowConfig(data=16, width=64, depth=2, heads=2, blocks=2)


class Published:
    """The published procedure, plainly: Euler, probes drawn once, one reverse-mode product per probe and frame.

    The state is float64 and stays on the host; the network is float32, and sees time, point and context row by row.
    """

    def __init__(self, model: SurprisalModel) -> None:
        self.model, self.head, self.device = model, model.networks.head, model.device

    def velocity(self, t: Tensor, x: Tensor, context: Tensor) -> Tensor:
        """Velocity of one row."""
        head, width = self.head, len(context)
        angles = (2 * t - 1) * head.freqs
        e = torch.cat((angles.cos(), angles.sin()))
        for layer in head.embed:
            e = F.silu(layer(e))
        h = head.linear_input(torch.cat((x, context)))
        for block in head.blocks:
            a, b = block.rise(F.layer_norm(h, (width,)) * (1 + block.scale(e))).chunk(2)
            h = h + block.fall(F.silu(a) * b)
        return head.linear_output(F.layer_norm(h, (width,)) * (1 + head.scale_out(e)) + head.shift_out(e))

    def _product(self, t: Tensor, x: Tensor, context: Tensor, probe: Tensor) -> tuple[Tensor, Tensor]:
        velocity, pulled = torch.func.vjp(lambda x: self.velocity(t, x, context), x)
        return velocity, (pulled(probe)[0] * probe).sum()

    def __call__(self, z: Tensor, noise: float, seed: int) -> Tensor:
        """Information content of latents 1, 2, ... in nats."""
        torch.manual_seed(seed)
        start = 1 - noise
        with torch.no_grad():
            context = self.model.networks.backbone(start * z.to(self.device))[:-1]
        x = (start * z[1:]).double()
        log_density = torch.zeros(len(x), dtype=torch.float64)
        probes = (2 * torch.randint(0, 2, (PROBES, *x.shape)) - 1).float()
        products = torch.func.vmap(self._product)
        times = torch.linspace(start, 0, STEPS + 1)
        for t, after in pairwise(times):
            traces = torch.zeros_like(log_density)
            for probe in probes:
                rows = (t.expand(len(x)), x.float(), context, probe)
                velocity, product = products(*(row.to(self.device) for row in rows))
                traces += product.detach().cpu().double() / PROBES
            log_density += (after - t) * traces
            x = x + (after - t) * velocity.detach().cpu().double()
        return -(log_density - 0.5 * x.square().sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi))


def latents(n_frames: int, data: int) -> Tensor:
    """Latents like those of a layer-norm bottleneck: correlated in time, mean 0 and variance 1 in every frame."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((n_frames + 1, data), generator=generator)
    for i in range(1, len(z)):
        z[i] = 0.8 * z[i - 1] + 0.6 * z[i]
    return F.layer_norm(z, (data,))


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call."""
    start = perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


def main() -> None:
    """Measure errors, then time all in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100, help="latents with a past (default: 100)")
    parser.add_argument("--noise", type=float, default=0.3, help="noise level (default: 0.3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for each side (default: every core)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of all (default: 3)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of probes behind an error (default: 5)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--quick", action="store_true", help="a small model: to see that it runs, not how fast")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print_versions(args)
    config = SMALL if args.quick else FULL
    model = SurprisalModel.untrained(config, device=args.device)
    z, published = latents(args.frames, config.data), Published(model)
    array = z.numpy()
    ways: dict[str, Callable[[int], np.ndarray]] = {
        "published procedure, plain": lambda seed: published(z, args.noise, seed).numpy(),
        "eegic, reference": lambda seed: model.information_content(array, args.noise, mode="reference", rng=seed)[
            0, 1:
        ],
        "eegic, fast": lambda seed: model.information_content(array, args.noise, rng=seed)[0, 1:],
        "eegic, fast, 64 steps": lambda seed: model.information_content(array, args.noise, steps=64, rng=seed)[0, 1:],
        "eegic, exact": lambda seed: model.information_content(array, args.noise, mode="exact")[0, 1:],
    }
    truth = model.information_content(array, args.noise, mode="exact", tolerance=1e-3)[0, 1:]
    print(f"{config}, {args.frames} frames, noise {args.noise}; IC {truth.mean():.1f} nats, SD {truth.std():.2f}")
    errors = {
        name: math.sqrt(np.mean([(way(s) - truth) ** 2 for s in range(1 if "exact" in name else args.seeds)]))
        for name, way in ways.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeat):  # in turn, so that all meet the same load
        for name, way in ways.items():
            seconds[name].append(timed(lambda way=way: way(0), model.device))
    plain = seconds["published procedure, plain"]
    rows = []
    for name, own in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(plain, own, strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append(
            (name, f"{median(own):.3f}", f"{1000 * median(own) / args.frames:.2f}", spread, f"{errors[name]:.4f}")
        )
    table("way|s|ms per frame|times faster|RMS error, nats", rows)
    for frames in (args.frames, 4 * args.frames):
        longer = latents(frames, config.data).numpy()
        own = median(
            timed(lambda longer=longer: model.information_content(longer, args.noise), model.device)
            for _ in range(args.repeat)
        )
        rate = 44100 / 4096
        print(
            f"fast, {frames} frames: {1000 * own / frames:.2f} ms per frame, {frames / rate / own:.1f} s of sound per s"
        )


if __name__ == "__main__":
    main()
