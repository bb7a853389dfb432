"""A whole study from one file: how long, in how much memory, which stage takes it, and what a second process gains.

    python benchmarks/bench_study.py            # twelve participants as below: half an hour or more on two cores
    python benchmarks/bench_study.py --quick    # small, to see that it runs

Simulated listeners hear ten sounds of a minute, 64 channels at 64 Hz; surprisal of the sound by the bundled model at
three noise levels is added to the envelope, and every gain has a thousand surrogates. The study runs once with two
processes. Then the stages that compute run again on a part of it with one process and with two, in turns; efficiency is
the time of one over twice the time of two. Peak memory is that of all processes together.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

from eegic.study import example, read_study, run_study

STAGES = ("sounds", "features", "eeg", "tracking", "group", "report")
CHANGES = ('trf.baseline=["envelope", "onset"]', 'trf.added=["mini"]', "features.mini.noise=[0.0, 0.3, 0.5]")


def resident(pid: str) -> int:
    """Bytes of a process and of those it has begun, shared pages counted once for each that shares them."""
    try:
        fields = Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return 1024 * int(fields[0]) + sum(map(resident, children))


class Peak:
    """Highest sum of memory while it is entered."""

    def __enter__(self) -> Peak:
        self.bytes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self.bytes = max(self.bytes, resident(str(os.getpid())))

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def made(folder: Path, n_participants: int, options: argparse.Namespace) -> None:
    """Write data set and study."""
    size = {"n_stimuli": options.sounds, "duration": options.seconds, "n_channels": options.channels}
    text = example(folder, n_participants=n_participants, **size)
    (folder / "study.toml").write_text(text, encoding="utf-8")


def timed(folder: Path, out: str, n_jobs: int, n_null: int, stages=STAGES) -> tuple[float, dict[str, float]]:
    """Seconds by the clock, and seconds of each stage in all processes."""
    study = read_study(folder, [*CHANGES, f"null.n={n_null}", f"output.folder={out}"])
    started = time.perf_counter()
    outcome = run_study(study, n_jobs=n_jobs, backend="loky" if n_jobs > 1 else "serial", stages=stages, progress=False)
    if outcome.failed:
        raise SystemExit(f"failed: {outcome.failed[0]}")
    spent = {stage: sum(row.seconds for row in outcome.rows if row.stage == stage) for stage in stages}
    return time.perf_counter() - started, spent


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=12)
    parser.add_argument("--sounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--surrogates", type=int, default=1000)
    parser.add_argument("--part", type=int, default=4, help="participants of the comparison of one process with two")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(participants=3, sounds=5, seconds=8.0, channels=8, surrogates=19, part=2, rounds=1)
    sounds = f"{options.sounds} sounds x {options.seconds:g} s"
    size = f"{options.participants} participants x {sounds}, {options.channels} channels"
    print(f"{size}, 3 noise levels, {options.surrogates} surrogates")
    with TemporaryDirectory() as base:
        whole, part = Path(base) / "whole", Path(base) / "part"
        made(whole, options.participants, options)
        with Peak() as peak:
            seconds, spent = timed(whole, "results", 2, options.surrogates)
        print(f"\ntwo processes: {seconds:.0f} s, peak memory {peak.bytes / 2**30:.2f} GiB")
        print(f"{'stage':<10} {'seconds':>8} {'share':>7}   (of all processes together)")
        for stage, one in spent.items():
            print(f"{stage:<10} {one:>8.1f} {one / sum(spent.values()):>7.1%}")
        again, _ = timed(whole, "results", 2, options.surrogates)
        print(f"run again, unchanged: {again:.1f} s")

        made(part, options.part, options)
        stages, ratios = STAGES[:4], []
        timed(part, "warm", 1, 9, stages)  # packages and the model are loaded once
        for number in range(options.rounds):
            one, _ = timed(part, f"one{number}", 1, options.surrogates, stages)
            two, _ = timed(part, f"two{number}", 2, options.surrogates, stages)
            ratios.append(one / (2 * two))
            print(f"{options.part} participants: one process {one:.1f} s, two {two:.1f} s: {ratios[-1]:.2f}")
        print(f"efficiency from one process to two: {median(ratios):.2f} (median of {options.rounds})")


if __name__ == "__main__":
    main()
