"""What a surprisal model knows of melodies whose true surprisal is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eegic import _checks, features
from eegic.audio import Audio
from eegic.codec import Codec
from eegic.datasets import TIMBRES, Melody, MelodyGrammar, synthesise
from eegic.series import FeatureSeries
from eegic.surprisal import SurprisalModel, at_notes, information_content

SKIPPED = 3  # notes at the start of a piece: the grammar knows what came before them, the model does not
SECONDS = 0.2  # of a note that count
_HEARD = 1e-6  # seconds: a window that ends as a note begins has heard nothing of it
_DRAWS = 999


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes of several melodies: what they truly cost, and what else is known of them.

    Parameters
    ----------
    pieces : tuple of (Melody, Audio)
        The melodies and their sounds.
    piece : ndarray of int, shape (n_notes,)
        Number of the melody of each note that counts.
    truth : ndarray, shape (n_notes,)
        Surprisal of pitch and timing in bits.
    flux : ndarray, shape (n_notes,)
        Largest onset strength within the note.
    seconds : ndarray, shape (n_notes,)
        From its onset to the next.
    """

    pieces: tuple[tuple[Melody, Audio], ...]
    piece: np.ndarray
    truth: np.ndarray
    flux: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, pieces: Iterable[tuple[Melody, Audio]], kind: str = "both") -> Notes:
        """Gather the notes of melodies; the surprisal is that of "pitch", "timing" or "both"."""
        pieces = tuple(pieces)
        if not pieces:
            raise ValueError("pieces: expected one or more melodies with their sounds, got none.")
        truth = [melody.surprisal(kind).values[SKIPPED:, 0] for melody, _ in pieces]
        flux = [at_notes(features.onset_strength(sound), melody.onsets).values[SKIPPED:, 0] for melody, sound in pieces]
        seconds = [np.diff(melody.onsets, append=melody.duration)[SKIPPED:] for melody, _ in pieces]
        piece = np.repeat(np.arange(len(pieces)), [len(one) for one in truth])
        return cls(pieces, piece, *(np.concatenate(parts) for parts in (truth, flux, seconds)))

    def pooled(
        self, model: SurprisalModel, codec: Codec, noise: Sequence[float], *, progress: bool = True
    ) -> np.ndarray:
        """Information content of each note in nats, shape (n_notes, n_levels).

        It is the sum over the frames whose windows end within the first 0.2 s of the note (or before the next one
        begins): their joint information content, given all before.
        """
        sounds = {str(i): sound for i, (_, sound) in enumerate(self.pieces)}
        found = information_content(sounds, model, noise, codec=codec, progress=progress)
        assert isinstance(found, dict)
        return np.concatenate(
            [of_notes(found[str(i)], melody, codec).values[SKIPPED:] for i, (melody, _) in enumerate(self.pieces)]
        )

    def agreement(self, values: np.ndarray, rng: int | np.random.Generator | None = 0) -> dict[str, float]:
        """How values per note agree with the truth, by rank.

        Parameters
        ----------
        values : ndarray, shape (n_notes,)
            NaN where not known.
        rng : int, Generator or None
            Draws melodies anew, with replacement, for the intervals.

        Returns
        -------
        dict
            ``rho``, Spearman's correlation, and ``partial``, the same once flux and duration are taken out (linearly,
            among ranks); each with ``_low`` and ``_high``, the ends of its 95 % interval.
        """
        known = np.flatnonzero(np.isfinite(values))
        random = np.random.default_rng(rng)
        rows = [known[self.piece[known] == i] for i in range(len(self.pieces))]
        drawn = [np.concatenate([rows[i] for i in random.integers(len(rows), size=len(rows))]) for _ in range(_DRAWS)]
        found: dict[str, float] = {}
        for name, stat in (("rho", self._rho), ("partial", self._partial)):
            low, high = np.nanquantile([stat(values, one) for one in drawn], [0.025, 0.975])
            found |= {name: stat(values, known), f"{name}_low": float(low), f"{name}_high": float(high)}
        return found

    def _rho(self, values: np.ndarray, rows: np.ndarray) -> float:
        return _correlation(_ranks(values[rows]), _ranks(self.truth[rows]))

    def _partial(self, values: np.ndarray, rows: np.ndarray) -> float:
        controls = np.stack([np.ones(len(rows)), _ranks(self.flux[rows]), _ranks(self.seconds[rows])], axis=1)
        both = np.stack([_ranks(values[rows]), _ranks(self.truth[rows])], axis=1)
        left = both - controls @ np.linalg.lstsq(controls, both)[0]
        return _correlation(left[:, 0], left[:, 1])


def assess(
    model: SurprisalModel,
    codec: Codec,
    pieces: Iterable[tuple[Melody, Audio]],
    noise: Sequence[float] = (0.0, 0.3, 0.6),
    *,
    kind: str = "both",
    rng: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare the information content of notes with their true surprisal.

    Parameters
    ----------
    model : SurprisalModel
        What is assessed.
    codec : Codec
        Its codec.
    pieces : iterable of (Melody, Audio)
        Melodies that it was not trained with, and their sounds: ``MelodyCorpus().piece("test", i, duration=20)``.
    noise : sequence of float
        Levels.
    kind : {"pitch", "timing", "both"}
        Which surprisal is the truth.
    rng : int, Generator or None
        Seed of the intervals.
    progress : bool
        True shows progress bars, in a terminal only.

    Returns
    -------
    DataFrame
        One row for the model at each level, for an untrained model of its size at each level, and for the spectral flux
        at the onsets: ``what, noise, notes, rho, rho_low, rho_high, partial, partial_low, partial_high``.
    """
    notes = Notes.of(pieces, kind)
    seed = _checks.seed(rng)
    untrained = SurprisalModel.untrained(model.config, device=model.device)
    rows = []
    for what, one in (("model", model), ("untrained", untrained)):
        for level, values in zip(noise, notes.pooled(one, codec, noise, progress=progress).T, strict=True):
            rows.append({"what": what, "noise": level, "notes": _n(values), **notes.agreement(values, seed)})
    rows.append({"what": "flux", "noise": np.nan, "notes": _n(notes.flux), **notes.agreement(notes.flux, seed)})
    return pd.DataFrame(rows)


def assess_repetition(
    model: SurprisalModel,
    codec: Codec,
    noise: Sequence[float] = (0.0, 0.3, 0.6),
    *,
    n_phrases: int = 24,
    n_notes: int = 8,
    times: int = 3,
    rng: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare what a phrase costs that was just played with what the same phrase costs after other ones.

    Parameters
    ----------
    model : SurprisalModel
        What is assessed.
    codec : Codec
        Its codec.
    noise : sequence of float
        Levels.
    n_phrases, n_notes, times : int
        How many isochronous phrases are tried, of how many notes each, and how often one is played in a row.
    rng : int
        Seed of the phrases, which are melodies of `MelodyGrammar`, by each instrument in turn.
    progress : bool
        True shows progress bars, in a terminal only.

    Returns
    -------
    DataFrame
        One row per level: ``noise, again, elsewhere, difference, low, high``: nats per note of the last time of
        `times`, and of the same notes after as many others as these were; the difference, and the ends of its 95 %
        interval (Student's, over phrases). The first note of a phrase, whose past differs, is left out.
    """
    from scipy.stats import t

    grammar, timbres = MelodyGrammar(), list(TIMBRES)
    sounds, melodies = {}, {}
    for i in range(_checks.count("n_phrases", n_phrases, minimum=2)):
        every = [grammar.sample(n_notes=n_notes, rng=np.random.default_rng([rng, i, k])).pitches for k in range(times)]
        for kind, phrases in (("again", [every[-1]] * times), ("elsewhere", every)):
            melodies[f"{kind} {i}"] = _in_time(np.concatenate(phrases), grammar)
            sounds[f"{kind} {i}"] = synthesise(melodies[f"{kind} {i}"], timbre=timbres[i % len(timbres)])
    found = information_content(sounds, model, noise, codec=codec, progress=progress)
    assert isinstance(found, dict)
    last = {
        name: of_notes(series, melodies[name], codec).values[1 - n_notes :].mean(axis=0)
        for name, series in found.items()
    }
    again, elsewhere = (np.stack([last[f"{kind} {i}"] for i in range(n_phrases)]) for kind in ("again", "elsewhere"))
    difference = again - elsewhere
    half = t.ppf(0.975, n_phrases - 1) * difference.std(axis=0, ddof=1) / np.sqrt(n_phrases)
    columns = {"again": again, "elsewhere": elsewhere, "difference": difference}
    means = {name: values.mean(axis=0) for name, values in columns.items()}
    return pd.DataFrame(
        {"noise": noise, **means, "low": means["difference"] - half, "high": means["difference"] + half}
    )


def _in_time(pitches: np.ndarray, grammar: MelodyGrammar) -> Melody:
    """Notes on every beat, as loud as each other."""
    n, beat = len(pitches), grammar.beat
    none = np.zeros(n)
    return Melody(
        pitches, beat * np.arange(n), np.full(n, 0.95 * beat), np.full(n, 80), none, none,
        duration=n * beat, tonic=grammar.tonic, bar=4 * beat,
    )  # fmt: skip


def of_notes(series: FeatureSeries, melody: Melody, codec: Codec) -> FeatureSeries:
    """Sum the information content of a sound over the frames whose windows end in the first 0.2 s of each note."""
    heard = series.shift(codec.window - _HEARD)
    with warnings.catch_warnings():  # the windows of the first latents end after the first note has begun
        warnings.filterwarnings("ignore", "onsets: .* lie outside")
        return at_notes(heard, melody.onsets, how="sum", duration=SECONDS)


def _n(values: np.ndarray) -> int:
    return int(np.isfinite(values).sum())


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
