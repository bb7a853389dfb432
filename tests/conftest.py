"""What every test stands on: one thread, no screen, no internet, a seed."""

import os

os.environ.update(
    OMP_NUM_THREADS="1",  # before numpy is loaded: with one thread, sums come in one order
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    MPLBACKEND="Agg",
    MNE_DONTWRITE_HOME="true",
    EEGIC_OFFLINE="1",
)

import sys

import numpy as np
import offline
import pytest

offline.block()


@pytest.fixture
def rng():
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20260729)


@pytest.fixture(autouse=True)
def no_figure_left():
    """Close the figures of a test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
