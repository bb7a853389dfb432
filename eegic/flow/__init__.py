"""Rectified-flow mathematics for any velocity: paths, integrators, likelihoods. Tensors in, tensors out.

Time runs from noise at t = 0 to data at t = 1. A velocity is a function of x, shape (..., data), and of t, which
broadcasts over the axes of x before the last; nothing here knows what the data are.

`path`
    Noise to data along straight lines, the density of the noise, and the Gaussian case, in which all is known.
`ode`
    Integrators on fixed grids, and an adaptive one as a check.
`divergence`
    The trace of a velocity's Jacobian: exact, or by random probes.
`likelihood`
    Log-densities with random probes, and their standard error.
`quadrature`
    Log-densities with the exact divergence, to a tolerance.
"""

from eegic.flow.divergence import Autograd, Hadamard, Rademacher
from eegic.flow.likelihood import LogDensity, probed, sampled
from eegic.flow.ode import SCHEMES, adaptive, solve
from eegic.flow.path import GaussianFlow, interpolate, log_normal
from eegic.flow.quadrature import exact

__all__ = [
    "SCHEMES",
    "Autograd",
    "GaussianFlow",
    "Hadamard",
    "LogDensity",
    "Rademacher",
    "adaptive",
    "exact",
    "interpolate",
    "log_normal",
    "probed",
    "sampled",
    "solve",
]
