"""The codec as one uses it: from sound to latents and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eegic import _checks, _devices, weights
from eegic.audio import Audio, resampled
from eegic.codec import consistency, spectrum, streaming
from eegic.codec.config import CodecConfig
from eegic.codec.networks import UNet

Chunk = Literal["reference", "overlap"]

CHUNKS = ("reference", "overlap")
_CONTEXT = 32  # latents: what decoder and U-Net reach beyond a window


@dataclass(frozen=True, eq=False)
class Codec:
    """An autoencoder of sound in the Music2Latent format.

    Parameters
    ----------
    config : CodecConfig
        Sizes and constants.
    networks : UNet
        Encoder, decoder and U-Net, on `device`.
    device : torch.device
        Where they run.
    name : str
        Which weights these are.
    sha256 : str
        Digest of their file; empty if they come from none.
    licence : str
        What their makers allow.

    Notes
    -----
    The published encoder is not causal. Its convolutions reach 1.2 s into past and future (public sizes), and its
    normalisations take mean and variance over all that is encoded at once: a latent depends on the whole chunk it lies
    in. With `CodecConfig(causal=True)` a latent tells of the sound up to its end; only mean and variance of the
    normalisations, one number per group of channels, still come from the whole chunk.

    Examples
    --------
    >>> small = CodecConfig(16000, 128, 32, channels=(8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)
    >>> codec = Codec.untrained(small)
    >>> sound = Audio(0.1 * np.sin(np.arange(16000) / 9), 16000, "tone")
    >>> z = codec.encode(sound)
    >>> z.shape, codec.frame_rate, codec.frame_times(3)
    ((497, 4), 500.0, array([0.   , 0.002, 0.004]))
    >>> codec.decode(z, rng=0)
    Audio(decoded: 1.00 s, 1 channel at 16000 Hz)
    """

    config: CodecConfig
    networks: UNet
    device: torch.device
    name: str = "codec"
    sha256: str = ""
    licence: str = "unknown"

    @property
    def dim(self) -> int:
        """Channels of a latent."""
        return self.config.dim

    @property
    def frame_rate(self) -> float:
        """Latents per second."""
        return self.config.sfreq / self.config.samples_per_latent

    @property
    def window(self) -> float:
        """Seconds from the onset of a latent to the end of its windows (128 ms in the public codec)."""
        return self.config.n_samples(1) / self.config.sfreq

    def frame_times(self, n_frames: int) -> np.ndarray:
        """Onsets of `n_frames` latents in seconds: latent j starts at sample ``samples_per_latent * j``.

        The windows of latent j end `window` later (``samples_per_latent + n_fft - hop`` samples; 5632, or 128 ms, in
        the public codec), and what it says depends on sound further away than that; see the notes of `Codec`. Those of
        a causal codec end where the next latent starts.
        """
        return np.arange(_checks.count("n_frames", n_frames, minimum=0)) / self.frame_rate

    def __repr__(self) -> str:
        """Name, size, rates, device and licence."""
        return (
            f"Codec({self.name}: {self.dim} channels at {self.frame_rate:.2f} Hz from {self.config.sfreq:g} Hz, "
            f"{self.config.bottleneck}, on {self.device}, licence {self.licence})"
        )

    def encode(self, audio: Audio, *, chunk: Chunk = "reference", batch: int = 1) -> np.ndarray:
        """Latents of a sound.

        Parameters
        ----------
        audio : Audio
            Any rate and any channels: they are averaged, then resampled to `config.sfreq`.
        chunk : {"reference", "overlap"}
            What normalisations see. ``reference``: the published procedure. Up to 60 s the whole sound; beyond, chunks
            of 645 latents (59.9 s) without overlap, the last one filled up with the start of the sound. Latents then
            depend on where chunks begin and end. ``overlap``: the whole sound, whatever its length, computed block by
            block; three times the work; up to 60 s this is the same as ``reference`` but for rounding. Memory at the
            public size, with a batch of 1: ``reference`` takes 7 GB for a chunk of 60 s, however many there are;
            ``overlap`` 0.7 GB and 4.2 MB per second of sound (1 GB for a minute, 16 GB for an hour).
        batch : int
            Chunks, or blocks of 64 latents, at a time. It changes speed and memory, and latents only by rounding (their
            variance is about 1; less than 1e-4 in all tests). Where CUDA memory runs out it is halved.

        Returns
        -------
        ndarray of float32, shape (n_frames, dim)
            ``n_frames = (n_samples - overhang) // samples_per_latent`` of the resampled sound (public codec: overhang
            1536, step 4096), or ``n_samples // samples_per_latent`` in a causal one; samples after them are left out.
            Latents are divided by `config.scale`.

        Notes
        -----
        Silence is encoded like any sound: by a bottleneck that fixes the variance, as a latent of full size. Do not
        read the size of a latent as loudness.
        """
        return self._encoded(audio, chunk, batch, narrow=True)

    def features(self, audio: Audio, *, chunk: Chunk = "reference", batch: int = 1) -> np.ndarray:
        """Features before the bottleneck, float32, shape (n_frames, flat): 8192 in the public codec, channels first.

        The parameters are those of `encode`.
        """
        return self._encoded(audio, chunk, batch, narrow=False)

    def decode(
        self, z: np.ndarray, *, steps: int = 1, rng: int | np.random.Generator = 0, window: float = 30.0
    ) -> Audio:
        """Sound of latents.

        Decoding is random: the same latents with other noise give a sound that differs in detail. To compare two
        decodings, give both the same `rng`.

        Parameters
        ----------
        z : array_like, shape (n_frames, dim)
            In the scale of `encode`.
        steps : int
            Calls of the network; more are slower and may sound cleaner.
        rng : int or numpy.random.Generator
            Draws the noise, on the CPU whatever the device. One seed gives a longer sound the noise of a shorter one
            at its start.
        window : float
            Latents are decoded about this many seconds at a time, and never fewer than 65 (memory grows with it).
            Windows lend each other 32 latents; normalisations see one window.

        Returns
        -------
        Audio
            Mono, ``config.n_samples(n_frames)`` samples (``samples_per_latent * n_frames + overhang`` in the public
            codec), clipped to -1 to 1, in time with the sound. The first and the last `overhang` samples (35 ms in the
            public codec; of a causal one the last only) fade, because fewer windows overlap there; `reconstruct` pads
            before encoding and trims after decoding.
        """
        latents = self._latents(z)
        steps = _checks.count("steps", steps)
        seconds = _checks.positive("window", window, "seconds")
        generator = torch.Generator().manual_seed(int(np.random.default_rng(rng).integers(2**63)))
        n_frames = len(latents) * self.config.frames_per_latent
        with _devices.inference():
            clean = consistency.sample(
                lambda x, sigma: self._denoised(latents, x, sigma, int(seconds * self.frame_rate)),
                lambda: consistency.noise_of(n_frames, self.config, generator),
                steps,
                self.config,
            )
            samples = spectrum.synthesise(clean, self.config).clamp(-1, 1)[0, self.config.lead :]
        return Audio(samples.numpy(), self.config.sfreq, "decoded")

    def reconstruct(
        self, audio: Audio, *, chunk: Chunk = "reference", steps: int = 1, rng: int | np.random.Generator = 0
    ) -> Audio:
        """Encode and decode a sound; the result is mono, has the rate of the codec, and is in time with the sound.

        One latent of silence goes before the sound and at least as much after it, so that its edges do not fade; both
        are cut off again.
        """
        samples = self._samples(audio)
        step, overhang = self.config.samples_per_latent, self.config.overhang
        lead = step * -(-overhang // step)
        n_latents = -(-(lead + len(samples) + self.config.lead) // step)
        padded = np.zeros(n_latents * step + overhang, np.float32)
        padded[lead : lead + len(samples)] = samples
        z = self.encode(Audio(padded, self.config.sfreq, audio.name), chunk=chunk)
        decoded = self.decode(z, steps=steps, rng=rng).samples[lead : lead + len(samples), 0]
        return Audio(decoded, self.config.sfreq, audio.name)

    def to(self, device: str | torch.device) -> Codec:
        """Return the codec on another device ("auto", "cpu", "cuda", ...); this one stays where it is."""
        resolved = _devices.resolve(device)
        state = {name: tensor.to(resolved, copy=True) for name, tensor in self.networks.state_dict().items()}
        return replace(self, networks=_networks(self.config, state, self.name), device=resolved)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights as `path` (.safetensors) and the configuration beside it (.json), for `load_codec`."""
        source = {"name": self.name, "sha256": self.sha256} if self.sha256 else None
        settings = self.config.settings()
        weights.write(path, "codec", self.networks.state_dict(), settings, licence=self.licence, source=source)

    @classmethod
    def untrained(
        cls, config: CodecConfig | None = None, *, rng: int | np.random.Generator = 0, device: str = "cpu"
    ) -> Codec:
        """A codec with random weights: it runs like any other, and knows nothing.

        Parameters
        ----------
        config : CodecConfig, optional
            By default the public size (58 million weights).
        rng : int or numpy.random.Generator
            Draws the weights: normal, of variance 1 over the number of inputs; biases of standard deviation 0.05;
            gains of 1.
        device : str
            Where to put it.

        Returns
        -------
        Codec
        """
        config = CodecConfig() if config is None else config
        generator = torch.Generator().manual_seed(int(np.random.default_rng(rng).integers(2**63)))
        state = _random_state(config, generator)
        built = _networks(config, state, "untrained")
        codec = cls(config, built, torch.device("cpu"), "untrained", licence="none needed")
        return codec if _devices.resolve(device).type == "cpu" else codec.to(device)

    def _samples(self, audio: Audio) -> np.ndarray:
        """Mono samples at the rate of the codec, or what is wrong with the sound."""
        if not isinstance(audio, Audio):
            raise TypeError(
                f"audio: expected an Audio, got {type(audio).__name__}. read_audio(path) reads one; "
                "Audio(samples, sfreq) makes one of samples."
            )
        mono = audio.mono()
        if audio.sfreq != self.config.sfreq:
            mono = resampled(mono, audio.sfreq, self.config.sfreq, audio.name)
        return mono.astype(np.float32)

    def _encoded(self, audio: Audio, chunk: str, batch: int, *, narrow: bool) -> np.ndarray:
        _checks.one_of("chunk", chunk, CHUNKS)
        batch = _checks.count("batch", batch)
        samples = self._samples(audio)
        config = self.config
        n_latents = config.n_latents(len(samples))
        if n_latents < 1:
            shortest = config.n_samples(1)
            raise ValueError(
                f"{audio.name}: {audio.duration:.4g} s are too short for a latent, which takes {shortest} samples at "
                f"{config.sfreq:g} Hz ({shortest / config.sfreq:.4g} s). Give more sound, or pad it with silence."
            )
        used = torch.from_numpy(np.pad(samples[: config.n_samples(n_latents)], (config.lead, 0)))
        with _devices.inference():
            encoded = (self._unbroken if chunk == "overlap" else self._chunks)(used, batch, narrow)
            scale = config.scale if narrow else 1.0
            return (encoded.T / scale).contiguous().numpy()

    def _chunks(self, samples: Tensor, batch: int, narrow: bool) -> Tensor:
        """Chunks of the published procedure, (channels, n_latents)."""
        config = self.config
        n_latents = (len(samples) - config.overhang) // config.samples_per_latent
        size = min(config.chunk_latents, n_latents)  # of a chunk, in latents

        def run(start: int, stop: int) -> Tensor:
            x = self._features(torch.stack([self._chunk(samples, size * i, size) for i in range(start, stop)]))
            return (self.networks.encoder.narrow(x) if narrow else x).cpu()

        parts = _devices.in_batches(run, -(-n_latents // size), batch)
        encoded = torch.cat(parts).transpose(0, 1).flatten(1)  # (channels, chunks, latents), then one after the other
        return encoded[:, :n_latents]

    def _chunk(self, samples: Tensor, start: int, size: int) -> Tensor:
        """Spectrogram of `size` latents from `start` on; what the sound lacks for it is taken from its start."""
        config = self.config
        step = config.samples_per_latent
        x = spectrum.analyse(samples[step * start : step * (start + size) + config.overhang], config)
        missing = size * config.frames_per_latent - x.shape[-1]
        if not missing:
            return x
        return torch.cat((x, spectrum.analyse(samples[: spectrum.n_samples(missing, config)], config)), dim=-1)

    def _features(self, chunks: Tensor) -> Tensor:
        encoder = self.networks.encoder
        try:
            return encoder.features(chunks.to(self.device))
        except torch.OutOfMemoryError:
            if len(chunks) > 1:
                raise
        torch.cuda.empty_cache()
        return streaming.features(encoder, chunks, self.config).to(self.device)  # the same in less memory

    def _unbroken(self, samples: Tensor, batch: int, narrow: bool) -> Tensor:
        """The whole sound at once, (channels, n_latents)."""
        encoder = self.networks.encoder
        x = streaming.features_of_sound(encoder, samples, self.config, batch=batch)
        return encoder.narrow(x.to(self.device)).cpu()[0] if narrow else x[0]

    def _latents(self, z: object) -> Tensor:
        array = _checks.real_array("z", z, 2, axes="(n_frames, dim)")
        if array.shape[1] != self.dim or not len(array):
            raise ValueError(f"z: expected (n_frames, {self.dim}), one row per latent, got shape {array.shape}.")
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise ValueError(f"z: latent {row} is not finite. Decode known latents only.")
        return torch.from_numpy(array.astype(np.float32)) * self.config.scale

    def _denoised(self, latents: Tensor, x: Tensor, sigma: float, window: int) -> Tensor:
        """One call for all frames of `x`, window by window."""
        n_latents, per = len(latents), self.config.frames_per_latent
        step = n_latents if n_latents <= window else max(window - 2 * _CONTEXT, 1)
        parts = []
        for start in range(0, n_latents, step):
            begin, end = max(start - _CONTEXT, 0), min(start + step + _CONTEXT, n_latents)
            pyramid = self.networks.decoder(latents[begin:end].T[None].to(self.device))
            noisy = x[..., begin * per : end * per].to(self.device)
            level = torch.tensor([sigma], device=self.device)
            clean = consistency.denoise(self.networks, noisy, level, pyramid, self.config)
            parts.append(clean[..., (start - begin) * per : (start + step - begin) * per].cpu())
        return torch.cat(parts, dim=-1)


def load_codec(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    download: bool = False,
    sha256: str | None = None,
) -> Codec:
    """Load a codec.

    Parameters
    ----------
    name_or_path : str or Path
        A name that `eegic.weights` knows, a .safetensors file with its .json, or a checkpoint in the Music2Latent
        format.
    device : str
        ``auto`` (CUDA if there is one, else the CPU), ``cpu``, ``cuda``, ``cuda:1``.
    download : bool
        Whether a named checkpoint that is not on this machine may be fetched.
    sha256 : str, optional
        Digest that the file must have.

    Returns
    -------
    Codec
        Its sizes and its bottleneck are read off the weights: names and shapes must match exactly. What shapes cannot
        tell stands in the .json; for a checkpoint without one, the values of the public codec are taken.
    """
    resolved = _devices.resolve(device)
    stored = weights.read(name_or_path, "codec", download=download, sha256=sha256)
    lacking = [] if stored.public else sorted(set(CodecConfig().settings()) - set(stored.settings))
    if lacking:
        raise ValueError(
            f"{stored.name}: expected all settings of a codec in its .json, but {_checks.listed(lacking)} are not "
            "there. Convert the checkpoint again, or write the settings with the weights."
        )
    config = CodecConfig.of(stored.state, stored.settings)
    built = _networks(config, stored.state, stored.name)
    codec = Codec(config, built, torch.device("cpu"), stored.name, stored.sha256, stored.licence)
    return codec if resolved.type == "cpu" else codec.to(resolved)


def _networks(config: CodecConfig, state: Mapping[str, Tensor], name: str) -> UNet:
    """Networks that hold `state` itself, which must be theirs by names and shapes."""
    with torch.device("meta"):
        networks = UNet(config)
    weights.check_state(name, state, {key: tensor.shape for key, tensor in networks.state_dict().items()})
    networks.load_state_dict(dict(state), strict=True, assign=True)
    return networks.eval()


def _random_state(config: CodecConfig, generator: torch.Generator) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in UNet(config).state_dict().items()}
    state = {}
    for key, shape in shapes.items():
        if "activation_bottleneck" in key:
            state[key] = torch.full(shape, config.scale if key.endswith("weight") else 0.0)
        elif len(shape) > 1 and not key.endswith("gain.scale"):
            state[key] = torch.randn(shape, generator=generator) / shape[1:].numel() ** 0.5
        else:
            state[key] = 0.05 * torch.randn(shape, generator=generator) if key.endswith("bias") else torch.ones(shape)
    return state
