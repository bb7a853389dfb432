"""Latents of a corpus, encoded once and kept on disk, for a model to learn from."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eegic import _checks, _files, weights
from eegic.audio import Audio
from eegic.codec import Codec
from eegic.corpus import Corpus

SHARD = 64  # stretches per file


def cached_latents(
    codec: Codec,
    corpus: Corpus,
    folder: str | os.PathLike[str],
    *,
    part: str,
    stretches: int,
    frames: int,
    progress: bool = True,
) -> np.ndarray:
    """Latents of `stretches` stretches of a corpus, from `folder` as far as they are there.

    Parameters
    ----------
    codec : Codec
        What encodes.
    corpus : Corpus
        What is encoded.
    folder : str or Path
        Where latents are kept. Each file carries a digest of all that they depend on: what another codec or corpus
        left there is made again, and so, with a warning, is a file that is damaged.
    part : {"train", "validation"}
        Of the corpus.
    stretches : int
        How many.
    frames : int
        Latents per stretch.
    progress : bool
        True shows a progress bar, in a terminal only.

    Returns
    -------
    ndarray of float32, shape (stretches, frames, dim)
    """
    n_samples = codec.config.n_samples(_checks.count("frames", frames))
    key = _key(codec, corpus, frames)
    starts = range(0, _checks.count("stretches", stretches), SHARD)
    shards = []
    # disable=None: silent unless a terminal is watching
    with tqdm(total=stretches, desc=f"Encoding ({part})", unit="stretch", disable=None if progress else True) as bar:
        for start in starts:
            path = Path(folder) / f"{part}-{start // SHARD:05d}.npz"
            numbers = range(start, start + SHARD)
            shard = _kept(path, key)
            if shard is None:
                shard = np.stack([encoded(codec, corpus, part, number, n_samples) for number in numbers])
                _files.write_npz(path, {"schema": np.array(_SCHEMA), "key": np.array(key), "latents": shard})
            shards.append(shard)
            bar.update(min(SHARD, stretches - start))
    return np.concatenate(shards)[:stretches]


_SCHEMA = "eegic.latents/1"


def encoded(codec: Codec, corpus: Corpus, part: str, number: int, n_samples: int) -> np.ndarray:
    """Latents of one stretch of a corpus, float32, shape (frames, dim)."""
    sound = corpus.stretch(part, number, n_samples, codec.config.sfreq)
    return codec.encode(Audio(sound, codec.config.sfreq, f"{part}-{number}"))


def _kept(path: Path, key: str) -> np.ndarray | None:
    """What is in a file, if it is there and holds what is wanted."""
    if not path.is_file():
        return None
    try:
        stored = _files.read_npz(path, _SCHEMA, ("key", "latents"))
    except ValueError as error:
        warnings.warn(f"{path}: made again, for what lies there is of no use. {error}", stacklevel=3)
        return None
    return stored["latents"] if str(stored["key"]) == key else None


def _key(codec: Codec, corpus: Corpus, frames: int) -> str:
    """Digest of all that latents depend on; the codec enters with its weights, wherever they come from."""
    encoder = weights.digest(codec.networks.encoder.state_dict())
    about: dict[str, Any] = {
        "codec": codec.config.settings(), "weights": encoder, "corpus": corpus.settings(), "frames": frames
    }  # fmt: skip
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
