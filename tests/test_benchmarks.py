"""Benchmarks run, and both sides of each agree; how fast they are is not tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def test_quick_runs_end_with_a_table():
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_trf.py"), "--quick", "--repeat", "1", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    _, *cases = re.split(r"^\(([a-e])\) ", done.stdout, flags=re.MULTILINE)
    assert cases[::2] == list("abcde")
    assert all("\n-----" in account for account in cases[1::2])


def test_quick_nulls_end_with_a_table():
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "bench_nulls.py"),
        "--quick",
        "--repeat",
        "1",
        "--surrogates",
        "20",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "one call x 20" in done.stdout and "torch: " in done.stdout.splitlines()[-1]


def test_quick_information_content_ends_with_a_table():
    script = str(ROOT / "benchmarks" / "bench_ic.py")
    command = [sys.executable, script, "--quick", "--repeat", "1", "--seeds", "1", "--frames", "10", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "times faster" in done.stdout and "published procedure, plain" in done.stdout
    for way in ("reference", "fast", "exact"):
        assert f"eegic, {way}" in done.stdout
    errors = [float(line.split()[-1]) for line in done.stdout.splitlines() if "eegic, " in line or "plain" in line]
    assert len(errors) == 5 and max(errors) < 5  # nats: both sides compute the same thing


def test_memory_of_reading_is_measured():
    script = str(ROOT / "benchmarks" / "mem_preprocess.py")
    command = [sys.executable, script, "--minutes", "1", "--sfreq", "128"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "MB" in done.stdout


def test_quick_flips_end_with_a_table():
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_signflip.py"), "--quick", "--repeat", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "times faster" in done.stdout and "MNE" in done.stdout and "nilearn" in done.stdout


def test_a_quick_study_ends_with_its_stages():
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_study.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "tracking" in done.stdout and "peak memory" in done.stdout and "efficiency" in done.stdout
