"""What each recipe for a small codec reaches, beside codecs that know nothing; and what noise and linearity cost.

    python benchmarks/study_codecs.py [--out study-alignment] [--codecs small-none small-both ...] [--jobs 2] [--quick]

Trains what is not in the folder yet (eight to sixteen minutes each on a core that other work shares), then prints, on
melodies that no codec was trained with: loss of validation before and after; SI-SDR and multi-resolution STFT distance
of what comes back, beside an untrained codec, the mean spectrum of the training sounds with random phases, and silence;
how far the outputs at neighbouring noises differ, before and after; the quality of decoding under noise on the latents,
as a curve; and errors of homogeneity and additivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from matplotlib import pyplot as plt
from study_alignment import COLOURS, options, reconstruction, train_codec

import eegic as ei
from eegic import datasets, linearity, perceptual
from eegic.codec import Codec, CodecConfig, consistency, spectrum

CODECS = (
    "small-none", "small-decoder", "small-both", "small-both-low-noise", "small-both-high-noise", "small-tanh-none",
    "small-tanh-decoder", "small-tanh-both", "small-unbounded", "small-linear", "small-linear-annealed",
)  # fmt: skip
PAIRS = np.arange(0.1, 1.01, 0.1)  # positions on the schedule of noise; each is compared with the one GAP below
GAP = 0.05
N_SOUNDS, SECONDS = 10, 6.0


def mean_spectrum(corpus: datasets.MelodyCorpus, config: CodecConfig, sound: ei.Audio) -> np.ndarray:
    """Sound as long as `sound`: at every moment the mean magnitudes of the training sounds, with random phases."""
    heard = np.stack([corpus.stretch("train", i, 8192, config.sfreq) for i in range(64)])
    magnitudes = spectrum.analyse(torch.from_numpy(heard), config).square().sum(1).sqrt().mean((0, 2))
    n_frames = len(sound.samples) // config.hop + 2 * config.overhang // config.hop
    draws = torch.Generator().manual_seed(0)
    phases = 2 * torch.pi * torch.rand((config.n_bins, n_frames), generator=draws)
    frames = torch.stack((magnitudes[:, None] * phases.cos(), magnitudes[:, None] * phases.sin()))
    whole = spectrum.synthesise(frames[None], config)[0].numpy()
    return np.asarray(whole[config.overhang : config.overhang + len(sound.samples)])


def quality(sounds: Sequence[ei.Audio], came: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean SI-SDR and STFT distance."""
    pairs = [(sound.samples[:, 0], np.asarray(back, float)) for sound, back in zip(sounds, came, strict=True)]
    return tuple(
        np.mean([measure(*pair) for pair in pairs]) for measure in (perceptual.si_sdr, perceptual.multires_stft)
    )


def disagreement(codec: Codec, sounds: Sequence[ei.Audio]) -> float:
    """How far outputs at neighbouring noises differ, relative to the sound: mean over the schedule."""
    config, found = codec.config, []
    with torch.inference_mode():
        for sound in sounds:
            whole = (len(sound.samples) - config.overhang) // config.samples_per_latent * config.samples_per_latent
            samples = torch.from_numpy(sound.samples[: whole + config.overhang, 0].astype(np.float32))
            clean = spectrum.analyse(samples, config)[None]
            pyramid = codec.networks.decoder(codec.networks.encoder(clean))
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
            for position in PAIRS:
                outputs = []
                for at in (position, position - GAP):
                    sigma = torch.tensor([consistency.sigma_at(float(at), config)])
                    outputs.append(consistency.denoise(codec.networks, clean + sigma * noise, sigma, pyramid, config))
                found.append(float((outputs[0] - outputs[1]).norm() / clean.norm()))
    return float(np.mean(found))


def row(name: str, codec: Codec, history: ei.History, sounds: Sequence[ei.Audio]) -> dict[str, object]:
    """What a codec reaches."""
    validation = history.column("validation")
    validation = validation[np.isfinite(validation)]
    si_sdr, distance = quality(sounds, [codec.reconstruct(sound, rng=0).samples[:, 0] for sound in sounds])
    untrained = Codec.untrained(codec.config)
    soft = [ei.Audio(0.4 * sound.samples, sound.sfreq, sound.name) for sound in sounds[:6]]
    scaled = linearity.homogeneity(codec, soft, n_draws=1, recentre=True)
    added = linearity.additivity(codec, list(zip(soft[::2], soft[1::2], strict=True)), n_draws=1, recentre=True)
    return {
        "codec": name,
        "minutes": history.column("seconds")[-1] / 60,
        "loss before": validation[0],
        "loss after": validation[-1],
        "si_sdr": si_sdr,
        "multires_stft": distance,
        "disagreement before": disagreement(untrained, sounds[:3]),
        "disagreement after": disagreement(codec, sounds[:3]),
        "homogeneity error": scaled.encoder_error.mean(),
        "snr of gains": scaled.snr_to_decoded.mean(),
        "additivity error": added.encoder_error.mean(),
        "distance of sums": added.distance_to_decoded.mean(),
    }


def main() -> None:
    """Train what is missing, evaluate, print, draw."""
    asked, changes = options(__doc__, CODECS)
    Parallel(asked.jobs, backend="threading")(delayed(train_codec)(name, asked.out, changes) for name in asked.codecs)
    codecs = {name: ei.load_codec(asked.out / name / f"{name}.safetensors") for name in asked.codecs}
    config = next(iter(codecs.values())).config
    corpus = datasets.MelodyCorpus()
    sounds = [corpus.piece("test", i, duration=SECONDS, sfreq=config.sfreq)[1] for i in range(N_SOUNDS)]
    rows = [
        row(name, codec, ei.History.read(asked.out / name / "history.csv"), sounds) for name, codec in codecs.items()
    ]
    for what, came in (
        ("untrained", [Codec.untrained(config).reconstruct(sound, rng=0).samples[:, 0] for sound in sounds]),
        ("mean spectrum", [mean_spectrum(corpus, config, sound) for sound in sounds]),
        ("silence", [np.zeros(len(sound.samples)) for sound in sounds]),
    ):
        si_sdr, distance = quality(sounds, came)
        rows.append({"codec": what, "si_sdr": si_sdr, "multires_stft": distance})
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    curves = pd.concat([reconstruction(name, codec, sounds) for name, codec in codecs.items()], ignore_index=True)
    print(f"\nmulti-resolution STFT distance over noise on the latents\n{_over_levels(curves).round(3).to_string()}")
    table.to_csv(asked.out / "codecs.csv", index=False)
    curves.to_csv(asked.out / "curves.csv", index=False)
    draw(curves, asked.out / "study_codecs.png")
    print(f"-> {asked.out / 'study_codecs.png'}")


def _over_levels(curves: pd.DataFrame) -> pd.DataFrame:
    return curves.pivot(index="codec", columns="level", values="multires_stft")


def draw(curves: pd.DataFrame, path: Path) -> None:
    """Draw how decoding degrades as noise is added to latents; one panel per bottleneck."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
    for panel, prefix, title in zip(axes, ("small", "small-tanh"), ("layer norm", "tanh"), strict=True):
        for kind, line, marker in zip(COLOURS, ("-", "--", "-."), ("o", "s", "D"), strict=True):
            part = curves[curves["codec"] == f"{prefix}-{kind}"]
            style = {"color": COLOURS[kind], "linestyle": line, "marker": marker}
            panel.plot(part["level"], part["multires_stft"], label=kind, **style)
        panel.set(xlabel="level of noise on the latents", title=title)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="multi-resolution STFT distance")
    axes[0].legend(title="noised latents for", frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
