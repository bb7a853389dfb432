"""Surprisal of notes: what a listener expects of a melody, in the manner of IDyOM.

How surprising a note is depends on what the listener knows: music heard before (the long-term model), this piece so far
(the short-term model), and what is attended to (viewpoints: pitches, intervals, degrees of the scale). The models that
count are those of `ppm`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from eegic import _checks
from eegic.surprisal.ppm import LONG_TERM, MEANS, PPM, SHORT_TERM, Rules, combined, entropy_bits

VIEWPOINTS = ("pitch", "interval", "contour", "degree")
MODELS = ("long_term", "short_term")


@dataclass(frozen=True, eq=False)
class NoteIC:
    """What a model expected at each note of a melody; `note_ic_to_series` puts it onto a clock.

    Attributes
    ----------
    ic : ndarray of float64, shape (n_notes,)
        Information content (surprisal) in bits: minus the binary logarithm of the probability of the note.
    entropy : ndarray of float64, shape (n_notes,)
        Bits of surprisal expected before the note came.
    distribution : ndarray of float64, shape (n_notes, n_pitches)
        Probability of each pitch of the alphabet before the note came.
    alphabet : ndarray of int, shape (n_pitches,)
        The pitches, ascending.
    models : tuple of str
        ``long_term``, ``short_term`` or both.
    weights : ndarray of float64, shape (n_notes, n_models)
        How much each model counted; rows sum to 1.
    orders : ndarray of int, shape (n_notes, n_models, n_viewpoints)
        Length of the longest context that each viewpoint of each model used; -1 where the viewpoint said nothing.
    """

    ic: np.ndarray
    entropy: np.ndarray
    distribution: np.ndarray
    alphabet: np.ndarray
    models: tuple[str, ...]
    weights: np.ndarray
    orders: np.ndarray

    def __repr__(self) -> str:
        """Size and means."""
        means = f"{self.ic.mean():.2f} bits each, {self.entropy.mean():.2f} expected"
        return f"NoteIC({len(self.ic)} notes, {means}; {' and '.join(self.models)})"


Viewpoint = str | tuple[str, ...]


class MelodyModel:
    """What a listener expects of the next note, from music heard before and from this piece so far.

    Parameters
    ----------
    viewpoints : sequence of str or tuple of str
        What is attended to; each has its own `PPM`, and their predictions of the next pitch are combined. ``pitch``;
        ``interval`` from the last note in semitones; ``contour``, its sign; ``degree``, semitones above the tonic,
        octaves aside. A tuple links viewpoints: ``("interval", "degree")`` counts the pairs.
    alphabet : sequence of int, optional
        All pitches there can be, in the corpus and in the pieces. By default those of the corpus.
    long_term, short_term : Rules or None
        How each model turns counts into probabilities; None leaves the model out.
    bias, viewpoint_bias : float
        Exponents of the weights with which `combine` joins the two models, and viewpoints within each of them.
    mean : {"geometric", "arithmetic"}
        How `combine` joins them.
    keep_learning : bool
        Let the long-term model learn every note it was asked about, for all that follow (IDyOM's ``ltm+``, ``both+``).

    Notes
    -----
    A viewpoint that several pitches share gives each of them an equal part. It says nothing where it is not defined (an
    interval at the first note); where none is, pitches are equally likely. The alphabet decides what unheard pitches
    cost: give the same one to models that are to be compared.

    Time is a sequence of symbols too: with inter-onset intervals in place of pitches, the model gives the surprisal of
    when a note comes; if the two are taken as independent, their sum is that of the note.

    Examples
    --------
    >>> corpus = [[60, 62, 64, 65, 67], [67, 65, 64, 62, 60], [60, 64, 67, 64, 60]]
    >>> model = MelodyModel(["pitch", ("interval", "degree")]).fit(corpus, tonics=[60, 60, 60])
    >>> pitch = model.information_content([60, 62, 64, 62, 67], tonic=60)
    >>> pitch.ic.round(2)
    array([2.23, 1.41, 0.08, 4.39, 8.02])
    >>> rhythm = MelodyModel().fit([[0, 24, 24, 12, 12], [0, 24, 24, 12, 12], [0, 24, 12, 12, 24]])  # ticks
    >>> joint = pitch.ic + rhythm.information_content([0, 24, 24, 12, 24]).ic
    >>> joint.round(2)
    array([ 4.03,  1.91,  1.29,  5.5 , 10.29])
    """

    def __init__(
        self,
        viewpoints: Sequence[Viewpoint] = ("pitch",),
        *,
        alphabet: Sequence[int] | np.ndarray | None = None,
        long_term: Rules | None = LONG_TERM,
        short_term: Rules | None = SHORT_TERM,
        bias: float = 7.0,
        viewpoint_bias: float = 2.0,
        mean: str = "geometric",
        keep_learning: bool = False,
    ) -> None:
        self.viewpoints = _viewpoints(viewpoints)
        self.rules = {n: r for n, r in zip(MODELS, (long_term, short_term), strict=True) if r is not None}
        if not self.rules:
            raise ValueError("long_term, short_term: both are None. Give the rules of at least one model.")
        self.bias = _checks.not_negative("bias", bias, "units")
        self.viewpoint_bias = _checks.not_negative("viewpoint_bias", viewpoint_bias, "units")
        self.mean = _checks.one_of("mean", mean, MEANS)
        self.keep_learning = _checks.flag("keep_learning", keep_learning)
        self._given = None if alphabet is None else np.unique(_pitches("alphabet", alphabet))
        self._prepare(np.empty(0, np.int64) if self._given is None else self._given)

    def fit(self, corpus: Sequence[object], tonics: Sequence[int] | None = None) -> MelodyModel:
        """Learn a corpus; what was learnt before is forgotten.

        Parameters
        ----------
        corpus : sequence of array_like of int, each of shape (n_notes,)
            Pitches of each melody (MIDI numbers, or any whole numbers).
        tonics : sequence of int, optional
            Key note of each melody, any octave; needed by ``degree``.

        Returns
        -------
        MelodyModel
            This one.
        """
        melodies = [_pitches(f"corpus[{i}]", melody) for i, melody in enumerate(corpus)]
        if not melodies:
            raise ValueError("corpus: expected at least one melody, got none.")
        if tonics is not None and len(tonics) != len(melodies):
            raise ValueError(f"tonics: expected one per melody ({len(melodies)}), got {len(tonics)}.")
        keys = [self._tonic(None if tonics is None else tonics[i]) for i in range(len(melodies))]
        self._prepare(np.unique(np.concatenate(melodies)) if self._given is None else self._given)
        for i, (melody, tonic) in enumerate(zip(melodies, keys, strict=True)):
            self._check_known(f"corpus[{i}]", melody)
            for viewpoint, model in zip(self.viewpoints, self._long_term, strict=True):
                seen = _seen(viewpoint, melody.tolist(), tonic)
                model.learn([symbol for symbol in seen if symbol is not None])
        return self

    def information_content(self, pitches: object, tonic: int | None = None) -> NoteIC:
        """Return how surprising each note of a piece is, given those before it.

        Parameters
        ----------
        pitches : array_like of int, shape (n_notes,)
            Of the alphabet.
        tonic : int, optional
            Key note, any octave; needed by ``degree``.
        """
        melody = _pitches("pitches", pitches)
        if not len(self._alphabet):
            raise ValueError("pitches: the model has no alphabet yet. Call `fit`, or give `alphabet` for a new model.")
        if "long_term" in self.rules and not any(model.n_learnt for model in self._long_term):
            raise ValueError("pitches: the long-term model learnt nothing. Call `fit` first, or give `long_term=None`.")
        self._check_known("pitches", melody)
        return self._expectations(melody, self._tonic(tonic))

    def _prepare(self, alphabet: np.ndarray) -> None:
        self._alphabet = alphabet
        self._maps: dict[tuple[int, int | None, int | None], tuple[np.ndarray, np.ndarray] | None] = {}
        self._symbols = [_reachable(viewpoint, alphabet.tolist()) for viewpoint in self.viewpoints]
        self._long_term = self._empty("long_term") if len(alphabet) else []

    def _empty(self, model: str) -> list[PPM]:
        return [PPM(symbols, self.rules[model]) for symbols in self._symbols] if model in self.rules else []

    def _tonic(self, tonic: int | None) -> int | None:
        if tonic is None and any("degree" in _parts(viewpoint) for viewpoint in self.viewpoints):
            raise ValueError("tonic: the viewpoint 'degree' counts from the key note. Give the MIDI number of a tonic.")
        return None if tonic is None else _checks.count("tonic", tonic, minimum=0) % 12

    def _check_known(self, name: str, melody: np.ndarray) -> None:
        foreign = melody[~np.isin(melody, self._alphabet)]
        if len(foreign):
            raise ValueError(
                f"{name}: {foreign[0]} is not in the alphabet ({_checks.listed(self._alphabet.tolist())}). "
                "Give `alphabet=` all pitches of the corpus and of the pieces."
            )

    def _expectations(self, melody: np.ndarray, tonic: int | None) -> NoteIC:
        families = {"long_term": self._long_term, "short_term": self._empty("short_term")}
        learning = {"long_term": self.keep_learning, "short_term": True}
        pasts: list[list[int]] = [[] for _ in self.viewpoints]
        p = np.empty((len(melody), len(self._alphabet)))
        weights = np.empty((len(melody), len(self.rules)))
        orders = np.full((len(melody), len(self.rules), len(self.viewpoints)), -1)
        column = {int(pitch): i for i, pitch in enumerate(self._alphabet)}
        previous = None
        for i, pitch in enumerate(melody.tolist()):
            maps = [self._map(v, previous, tonic) for v in range(len(self.viewpoints))]
            each = [self._one_model(families[name], pasts, maps, orders[i, m]) for m, name in enumerate(self.rules)]
            p[i], weights[i] = combined(np.stack(each), self.bias, self.mean)
            for v, mapped in enumerate(maps):
                if mapped is not None:
                    pasts[v].append(int(mapped[0][column[pitch]]))
                    for name in self.rules:
                        if learning[name]:
                            families[name][v]._observe(pasts[v], len(pasts[v]) - 1)
            previous = pitch
        ic = -np.log2(p[np.arange(len(melody)), np.searchsorted(self._alphabet, melody)])
        return NoteIC(ic, entropy_bits(p), p, self._alphabet.copy(), tuple(self.rules), weights, orders)

    def _one_model(
        self,
        models: list[PPM],
        pasts: list[list[int]],
        maps: list[tuple[np.ndarray, np.ndarray] | None],
        orders: np.ndarray,
    ) -> np.ndarray:
        """Distribution of the next pitch according to all viewpoints of one model; fills in `orders`."""
        said = []
        for v, (model, mapped) in enumerate(zip(models, maps, strict=True)):
            if mapped is not None:
                symbol, share = mapped
                distribution, orders[v] = model._predict(pasts[v])
                on_pitches = distribution[symbol] * share
                said.append(on_pitches / on_pitches.sum())
        if not said:
            return np.full(len(self._alphabet), 1 / len(self._alphabet))
        return combined(np.stack(said), self.viewpoint_bias, self.mean)[0] if len(said) > 1 else said[0]

    def _map(self, v: int, previous: int | None, tonic: int | None) -> tuple[np.ndarray, np.ndarray] | None:
        """For each pitch that may come: its symbol in viewpoint v, and its share in that symbol's probability."""
        key = (v, previous, tonic)
        if key not in self._maps:
            seen = [_symbol(self.viewpoints[v], previous, pitch, tonic) for pitch in self._alphabet.tolist()]
            if None in seen:
                self._maps[key] = None
            else:
                code = {symbol: c for c, symbol in enumerate(self._symbols[v])}
                codes = np.array([code[symbol] for symbol in seen])
                self._maps[key] = codes, 1 / np.bincount(codes)[codes]
        return self._maps[key]


def _viewpoints(given: Sequence[Viewpoint]) -> tuple[Viewpoint, ...]:
    viewpoints: list[Viewpoint] = [given] if isinstance(given, str) else list(given)
    if not viewpoints:
        raise ValueError(f"viewpoints: expected at least one of {_checks.listed(VIEWPOINTS)}, got none.")
    for viewpoint in viewpoints:
        for part in _parts(viewpoint):
            _checks.one_of("viewpoints", part, VIEWPOINTS)
    if len(set(viewpoints)) < len(viewpoints):
        raise ValueError(f"viewpoints: expected each once, got {_checks.listed(viewpoints)}.")
    return tuple(viewpoints)


def _parts(viewpoint: Viewpoint) -> tuple[str, ...]:
    return (viewpoint,) if isinstance(viewpoint, str) else tuple(viewpoint)


def _symbol(viewpoint: Viewpoint, previous: int | None, pitch: int, tonic: int | None) -> Hashable | None:
    """What one viewpoint sees in a pitch; None where it is not defined."""
    if not isinstance(viewpoint, str):
        linked = tuple(_symbol(part, previous, pitch, tonic) for part in viewpoint)
        return None if None in linked else linked
    if viewpoint == "pitch":
        return pitch
    if viewpoint == "degree":
        return None if tonic is None else (pitch - tonic) % 12
    if previous is None:
        return None
    return pitch - previous if viewpoint == "interval" else int(np.sign(pitch - previous))


def _seen(viewpoint: Viewpoint, melody: list[int], tonic: int | None) -> Iterator[Hashable | None]:
    for previous, pitch in zip([None, *melody[:-1]], melody, strict=True):
        yield _symbol(viewpoint, previous, pitch, tonic)


def _reachable(viewpoint: Viewpoint, alphabet: list[int]) -> list[Hashable]:
    """Every symbol that two successive pitches of the alphabet, in any key, can show to a viewpoint."""
    previous = alphabet if {"interval", "contour"} & set(_parts(viewpoint)) else alphabet[:1]
    tonics = range(12) if "degree" in _parts(viewpoint) else [0]
    symbols = {_symbol(viewpoint, a, b, tonic): None for a, b, tonic in product(previous, alphabet, tonics)}
    return list(symbols)


def _pitches(name: str, given: object) -> np.ndarray:
    array = _checks.real_array(name, given, 1, axes="(n_notes,)")
    if not len(array):
        raise ValueError(f"{name}: expected at least one note, got none.")
    whole = array == np.round(array)  # false for NaN; infinities are caught below
    if not (whole & np.isfinite(array)).all():
        wrong = array[~(whole & np.isfinite(array))][0]
        raise ValueError(f"{name}: expected whole numbers, got {wrong:g}. Round pitches to semitones, times to ticks.")
    return array.astype(np.int64)
