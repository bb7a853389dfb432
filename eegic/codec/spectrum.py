"""Between sound and what the networks see: a compressed complex spectrogram.

No frame is centred on the edge of the sound: frame k covers samples ``hop * k`` to ``hop * k + n_fft``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eegic.codec.config import CodecConfig

_FLOOR = 1e-12  # of magnitudes, so that gradients at silence are finite


def analyse(samples: Tensor, config: CodecConfig) -> Tensor:
    """Compressed spectrogram of sound.

    Parameters
    ----------
    samples : Tensor, shape (..., n_samples)
        At least `config.n_fft` samples at `config.sfreq`.
    config : CodecConfig
        Window, step and compression.

    Returns
    -------
    Tensor, shape (..., 2, n_bins, n_frames)
        Real and imaginary part of ``gain * |X|**compression`` with the phase of X; the Nyquist bin is left out.
        ``n_frames = (n_samples - n_fft) // hop + 1``.
    """
    frames = samples.unfold(-1, config.n_fft, config.hop) * _window(config, samples)
    spectrum = torch.fft.rfft(frames)[..., : config.n_bins].transpose(-1, -2)
    compressed = spectrum * config.gain * spectrum.abs().clamp_min(_FLOOR) ** (config.compression - 1)
    return torch.stack((compressed.real, compressed.imag), dim=-3)


def synthesise(spectrogram: Tensor, config: CodecConfig) -> Tensor:
    """Sound of a compressed spectrogram: the inverse of `analyse` where all windows overlap.

    Parameters
    ----------
    spectrogram : Tensor, shape (..., 2, n_bins, n_frames)
        As `analyse` returns it.
    config : CodecConfig
        Window, step and compression.

    Returns
    -------
    Tensor, shape (..., hop * n_frames + n_fft - hop)
        Neither clipped nor scaled. The first and the last ``n_fft - hop`` samples fade in and out, because fewer
        windows overlap there.
    """
    compressed = torch.complex(*spectrogram.unbind(-3)).transpose(-1, -2)
    power = 1 / config.compression
    spectrum = compressed * config.gain**-power * compressed.abs().clamp_min(_FLOOR) ** (power - 1)
    spectrum = torch.nn.functional.pad(torch.view_as_real(spectrum), (0, 0, 0, 1))  # a Nyquist bin of 0
    window = _window(config, spectrogram)
    frames = torch.fft.irfft(torch.view_as_complex(spectrum), n=config.n_fft) * window
    return _overlap_add(frames, config.hop) * (config.hop / window.square().sum())


def n_samples(n_frames: int, config: CodecConfig) -> int:
    """Samples that `n_frames` frames cover."""
    return config.hop * n_frames + config.overhang


def _window(config: CodecConfig, like: Tensor) -> Tensor:
    return torch.hann_window(config.n_fft, periodic=True, dtype=like.dtype, device=like.device)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Sum of frames (..., n_frames, n_fft), each `hop` samples after the one before."""
    *lead, n_frames, n_fft = frames.shape
    columns = frames.reshape(-1, n_frames, n_fft).transpose(1, 2)
    total = n_fft + hop * (n_frames - 1)
    added = torch.nn.functional.fold(columns, (1, total), kernel_size=(1, n_fft), stride=(1, hop))
    return added.reshape(*lead, total)
