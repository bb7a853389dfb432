"""How much memory and time it takes to read and preprocess a long recording.

    python benchmarks/mem_preprocess.py [--minutes 60] [--channels 64] [--sfreq 512] [--trials 24] [--jobs 1]

The recording is simulated and written to a temporary FIF file by one process; another, whose peak memory counts, opens
it, cuts it into trials and preprocesses them with the defaults.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np


def write(path: Path, args: argparse.Namespace) -> None:
    """Write EEG with an offset, slow drift, a flat channel and a noisy one."""
    import mne

    rng = np.random.default_rng(0)
    n_times = round(60 * args.minutes * args.sfreq)
    eeg = np.cumsum(rng.standard_normal((1, n_times)), axis=1) * 1e-7 + 1e-2  # what all channels share
    eeg = np.repeat(eeg, args.channels, axis=0)
    for channel in eeg:
        channel += 1e-6 * rng.standard_normal(n_times)
    eeg[3] = 0
    eeg[5] += 5e-4 * rng.standard_normal(n_times)
    names = mne.channels.make_standard_montage("biosemi256").ch_names[: args.channels]
    info = mne.create_info(names, args.sfreq, "eeg", verbose="error").set_montage("biosemi256")
    mne.io.RawArray(eeg, info, copy=None, verbose="error").save(path, fmt="single", verbose="error")


def measure(path: Path, args: argparse.Namespace) -> None:
    """Read and preprocess, and say what it took."""
    import mne

    from eegic.eeg.cutting import cut
    from eegic.eeg.preprocessing import preprocess

    before, started = peak(), perf_counter()
    raw = mne.io.read_raw(path, verbose="error")
    seconds = 60 * args.minutes / args.trials
    sounds = [f"sound-{i:02d}" for i in range(args.trials)]
    person = cut(raw, seconds * np.arange(args.trials), sounds, dict.fromkeys(sounds, seconds), name="sub-01")
    cut_peak, cut_seconds = peak(), perf_counter() - started
    started = perf_counter()
    done = preprocess(person, n_jobs=args.jobs)
    data = sum(trial.eeg.nbytes for trial in person.trials) / 2**20
    print(f"{person}\n{done}\n")
    print("\n".join(f"- {step}" for step in done.history), "\n")
    print(f"{'step':<24}{'seconds':>9}{'peak MB':>9}")
    print(f"{'imports':<24}{'':>9}{before:>9.0f}")
    print(f"{'reading and cutting':<24}{cut_seconds:>9.1f}{cut_peak:>9.0f}")
    print(f"{'preprocessing':<24}{perf_counter() - started:>9.1f}{peak():>9.0f}")
    print(f"{'(the data alone)':<24}{'':>9}{data:>9.0f}")


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main() -> None:
    """Run both halves in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--sfreq", type=float, default=512.0)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--half", choices=("write", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.half:
        {"write": write, "measure": measure}[args.half](args.path, args)
        return
    with TemporaryDirectory() as folder:
        for half in ("write", "measure"):
            command = [sys.executable, __file__, *sys.argv[1:], "--half", half, "--path", f"{folder}/recording_raw.fif"]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
