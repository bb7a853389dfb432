"""Surprisal of notes from counts: variable-order Markov models (PPM) of melodies, in the manner of IDyOM.

How surprising a note is depends on what the listener knows: music heard before (the long-term model), this piece so far
(the short-term model), and what is attended to (viewpoints: pitches, intervals, degrees of the scale).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from eegic import _checks

ESCAPES = ("A", "B", "C", "D", "AX")
SMOOTHINGS = ("interpolated", "backoff")
FLOORS = ("unseen", "uniform")
MEANS = ("geometric", "arithmetic")
VIEWPOINTS = ("pitch", "interval", "contour", "degree")
MODELS = ("long_term", "short_term")

_SMALLEST = 1e-6  # relative entropy below which a model counts as certain; its weight would be infinite


@dataclass(frozen=True)
class Rules:
    """How counts become probabilities.

    Parameters
    ----------
    escape : {"A", "B", "C", "D", "AX"}
        How much of the probability goes to the next shorter context. With N observations of t distinct symbols in a
        context, t1 of them observed once, a symbol observed c times gets ``(c + k) / (N + k * t + e)`` and the shorter
        context ``e / (N + k * t + e)``: A: e = 1, k = 0; B: e = t, k = -1; C: e = t, k = 0; D: e = t / 2, k = -1/2;
        AX: e = t1 + 1, k = 0.
    order : int or None
        Number of preceding symbols that count, at most. None: no bound (PPM*); the context used is then the shortest
        one that was only ever followed by one symbol, or, if there is none, the longest one known.
    update_exclusion : bool
        Count a symbol only in contexts longer than those in which it was already expected: in a context that can be
        prolonged, a count is then the number of different symbols that came before it, not of occurrences.
    exclusion : bool
        Leave out of N the symbols that the next longer context knows. If it knows them all, the context is skipped.
    smoothing : {"interpolated", "backoff"}
        Every context contributes to every symbol, or the shorter ones only to symbols that the longer ones lack.
    floor : {"unseen", "uniform"}
        What stands below the empty context, for an alphabet of n symbols: 1 / (n + 1 - number of symbols seen), or 1/n.

    Notes
    -----
    Distributions are normalised at the end. The defaults are those of IDyOM's long-term model, `SHORT_TERM` those of
    its short-term one; ``tests/test_symbolic.py`` compares both with a table that IDyOM wrote. Only C and AX with
    interpolation could be compared in this way. Without `exclusion` and with the uniform floor, interpolation is the
    textbook's recursion.

    References
    ----------
    Witten & Bell (1991), IEEE Transactions on Information Theory 37, 1085. Moffat (1990), IEEE Transactions on
    Communications 38, 1917. Bunton (1997), The Computer Journal 40, 76. Pearce (2005), The construction and evaluation
    of statistical models of melodic structure in music perception and composition, City University London.
    """

    escape: str = "C"
    order: int | None = None
    update_exclusion: bool = False
    exclusion: bool = True
    smoothing: str = "interpolated"
    floor: str = "unseen"

    def __post_init__(self) -> None:
        _checks.one_of("escape", self.escape, ESCAPES)
        _checks.one_of("smoothing", self.smoothing, SMOOTHINGS)
        _checks.one_of("floor", self.floor, FLOORS)
        _checks.flag("update_exclusion", self.update_exclusion)
        _checks.flag("exclusion", self.exclusion)
        if self.order is not None:
            _checks.count("order", self.order, minimum=0)


LONG_TERM = Rules()
SHORT_TERM = Rules(escape="AX", update_exclusion=True)


class _Context:
    """What followed one context, and the same context with one more symbol on its left.

    Contexts that were only ever followed by one symbol are not prolonged without need: they keep the places where they
    occurred, and grow when a second symbol follows. So long repetitions cost little, whatever the order.
    """

    __slots__ = ("counts", "fresh", "lefts", "longer", "places")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.fresh: dict[int, int] = {}  # counts under update exclusion
        self.lefts: set[tuple[int, int]] = set()  # (symbol on the left, symbol that followed)
        self.longer: dict[int, _Context] | None = None
        self.places: list[tuple[list[int], int]] = []


class PPM:
    """Variable-order Markov model of sequences of symbols: prediction by partial matching.

    Parameters
    ----------
    alphabet : sequence of hashable
        All symbols there can be, each once.
    rules : Rules
        How counts become probabilities.

    Examples
    --------
    >>> model = PPM("abcdr", Rules(order=2, exclusion=False, floor="uniform"))
    >>> model.learn("abracadabra")
    >>> model.predict("abra").round(4)  # after "ra" came "c"; after "a" came "b" twice, "c" and "d"
    array([0.0804, 0.183 , 0.5982, 0.0982, 0.0402])
    >>> model.predict("").round(4)  # 5 a, 2 b, 1 c, 1 d and 2 r; five kinds, so 5/16 go to the floor, 1/5 each
    array([0.375 , 0.1875, 0.125 , 0.125 , 0.1875])
    """

    def __init__(self, alphabet: Sequence[Hashable], rules: Rules = LONG_TERM) -> None:
        if not isinstance(rules, Rules):
            raise TypeError(f"rules: expected Rules, got {type(rules).__name__}. Write Rules(escape='C', order=None).")
        self.alphabet = tuple(alphabet)
        self.rules = rules
        self._code = {symbol: code for code, symbol in enumerate(self.alphabet)}
        if not self.alphabet:
            raise ValueError("alphabet: expected at least one symbol, got none.")
        if len(self._code) < len(self.alphabet):
            raise ValueError(f"alphabet: expected each symbol once, got {_checks.listed(self.alphabet)}.")
        self._root = _Context()
        self._heard: list[list[int]] = []

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles learn anew: contexts nest as deep as passages repeat, deeper than pickle can follow."""
        return _relearnt, (self.alphabet, self.rules, self._heard)

    def __repr__(self) -> str:
        """Size of the alphabet, rules, and how much was learnt."""
        n_learnt = sum(self._root.counts.values())
        return f"PPM({len(self.alphabet)} symbols, {n_learnt} observed, {self.rules})"

    def learn(self, sequence: Sequence[Hashable]) -> None:
        """Count the symbols of one sequence; contexts do not reach back beyond its start."""
        codes = self._codes("sequence", sequence)
        for position in range(len(codes)):
            self._observe(codes, position)

    def predict(self, context: Sequence[Hashable]) -> np.ndarray:
        """Return the distribution of the next symbol after `context` (everything before it, oldest first).

        Returns
        -------
        ndarray of float64, shape (n_symbols,)
            Probability of each symbol of the alphabet; positive, and their sum is 1.
        """
        return self._predict(self._codes("context", context))[0]

    def follow(self, sequence: Sequence[Hashable], *, learn: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Predict each symbol of a sequence from those before it.

        Parameters
        ----------
        sequence : sequence of symbols
            Of the alphabet.
        learn : bool
            Learn each symbol once it was predicted. A model that starts empty is then a short-term model.

        Returns
        -------
        distribution : ndarray of float64, shape (n_times, n_symbols)
            Row i is known before symbol i.
        order : ndarray of int, shape (n_times,)
            Length of the longest context used.
        """
        codes = self._codes("sequence", sequence)
        past: list[int] = []
        distribution, order = np.empty((len(codes), len(self.alphabet))), np.zeros(len(codes), np.int64)
        for i, code in enumerate(codes):
            distribution[i], order[i] = self._predict(past)
            past.append(code)
            if learn:
                self._observe(past, i)
        return distribution, order

    def _codes(self, name: str, sequence: Sequence[Hashable]) -> list[int]:
        symbols = sequence.tolist() if isinstance(sequence, np.ndarray) else list(sequence)
        try:
            return [self._code[symbol] for symbol in symbols]
        except KeyError as error:
            raise ValueError(
                f"{name}: {error.args[0]!r} is not in the alphabet ({_checks.listed(self.alphabet)}). "
                "Make the model with an alphabet that holds every symbol of the corpus and of the test pieces."
            ) from None

    def _observe(self, codes: list[int], position: int) -> None:
        """Count symbol `position` of `codes` in all its contexts."""
        if position == 0:
            self._heard.append(codes)
        unbounded = self.rules.order is None
        waiting = [(self._root, 0, codes, position)]
        while waiting:  # a loop, not recursion: repeated passages can be longer than Python's stack
            node, depth, past, i = waiting.pop()
            symbol, left = past[i], past[i - depth - 1] if i > depth else None
            node.counts[symbol] = node.counts.get(symbol, 0) + 1
            ends = left is None or depth == self.rules.order
            if ends or (left, symbol) not in node.lefts:
                node.fresh[symbol] = node.fresh.get(symbol, 0) + 1
            if left is not None and not ends:
                node.lefts.add((left, symbol))
                node.places.append((past, i))
            if unbounded and depth and len(node.counts) == 1:
                continue
            if node.longer is None:
                node.longer = {}
            for other, j in node.places:
                waiting.append((node.longer.setdefault(other[j - depth - 1], _Context()), depth + 1, other, j))
            node.places = []

    def _path(self, past: list[int]) -> tuple[list[_Context], bool]:
        """Contexts from the empty one to the one used, and whether it was preferred to a longer one."""
        path, node = [self._root], self._root
        while len(path) <= len(past):
            left = past[-len(path)]
            if self.rules.order is None and len(path) > 1 and len(node.counts) == 1:
                return path, (left, next(iter(node.counts))) in node.lefts
            longer = None if node.longer is None else node.longer.get(left)
            if longer is None:
                break
            path.append(longer)
            node = longer
        return path, False

    def _predict(self, past: list[int]) -> tuple[np.ndarray, int]:
        path, preferred = self._path(past)
        n_symbols, n_seen = len(self.alphabet), len(self._root.counts)
        floor = 1 / (n_symbols + 1 - n_seen) if self.rules.floor == "unseen" else 1 / n_symbols
        probability, interpolated = np.full(n_symbols, floor), self.rules.smoothing == "interpolated"
        for depth, node in enumerate(path):
            last = depth == len(path) - 1
            fresh = self.rules.update_exclusion and not (last and preferred)  # as in IDyOM, after Bunton
            counts = node.fresh if fresh else node.counts
            known = path[depth + 1].counts if self.rules.exclusion and not last else {}
            n = sum(count for symbol, count in counts.items() if symbol not in known)
            if not n:
                continue
            n_kinds = sum(symbol not in known for symbol in counts)
            k, escape = self._escape(counts)
            total = n + k * n_kinds + escape
            probability *= escape / total
            for symbol, count in counts.items():
                share = (count + k) / total
                if interpolated or not share:  # B: what came once is left to shorter contexts
                    share += probability[symbol]
                probability[symbol] = share
        return probability / probability.sum(), len(path) - 1

    def _escape(self, counts: dict[int, int]) -> tuple[float, float]:
        """Return what is added to each count, and the count of the escape."""
        kinds = len(counts)
        if self.rules.escape == "AX":
            return 0.0, 1.0 + sum(count == 1 for count in counts.values())
        return {"A": (0.0, 1.0), "B": (-1.0, kinds), "C": (0.0, kinds), "D": (-0.5, kinds / 2)}[self.rules.escape]


def _relearnt(alphabet: tuple[Hashable, ...], rules: Rules, heard: list[list[int]]) -> PPM:
    model = PPM(alphabet, rules)
    for codes in heard:
        for position in range(len(codes)):
            model._observe(codes, position)
    return model


def combine(distributions: object, *, bias: float = 7.0, mean: str = "geometric") -> tuple[np.ndarray, np.ndarray]:
    """Combine distributions over one alphabet; the more certain one counts more.

    Parameters
    ----------
    distributions : array_like of float, shape (n_models, n_symbols)
        Positive probabilities.
    bias : float
        Exponent b of the weights ``(H / Hmax) ** -b``, H the entropy of a distribution and Hmax that of a uniform one;
        0 weighs all models equally.
    mean : {"geometric", "arithmetic"}
        Of the probabilities, with these weights. The geometric one is normalised.

    Returns
    -------
    distribution : ndarray of float64, shape (n_symbols,)
        Its sum is 1.
    weights : ndarray of float64, shape (n_models,)
        Their sum is 1.

    References
    ----------
    Pearce, Conklin & Wiggins (2005), Lecture Notes in Computer Science 3310, 295.

    Examples
    --------
    >>> distribution, weights = combine([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]], bias=1)
    >>> distribution.round(3), weights.round(3)
    (array([0.584, 0.208, 0.208]), array([0.623, 0.377]))
    """
    p = _checks.real_array("distributions", distributions, 2, axes="(n_models, n_symbols)")
    if p.size == 0 or not (p > 0).all() or not np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-6):
        raise ValueError(
            f"distributions: expected rows of positive probabilities whose sum is 1, got shape {p.shape} with sums "
            f"{p.sum(axis=1)[:4]}. Normalise each row, and give every symbol some probability."
        )
    _checks.one_of("mean", mean, MEANS)
    return _combined(p, _checks.not_negative("bias", bias, "units"), mean)


def _combined(p: np.ndarray, bias: float, mean: str) -> tuple[np.ndarray, np.ndarray]:
    if p.shape[1] == 1:  # one symbol: nothing to be certain of
        return np.ones(1), np.full(len(p), 1 / len(p))
    relative = np.maximum(_entropy(p) / np.log2(p.shape[1]), _SMALLEST)
    weights = (relative / relative.min()) ** -bias
    weights /= weights.sum()
    if mean == "arithmetic":
        return weights @ p, weights
    log = weights @ np.log(p)
    combined = np.exp(log - log.max())
    return combined / combined.sum(), weights


def _entropy(p: np.ndarray) -> np.ndarray:
    """Bits, along the last axis."""
    return np.asarray(-np.sum(p * np.log2(p), axis=-1))


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
        if "long_term" in self.rules and not any(model._root.counts for model in self._long_term):
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
            p[i], weights[i] = _combined(np.stack(each), self.bias, self.mean)
            for v, mapped in enumerate(maps):
                if mapped is not None:
                    pasts[v].append(int(mapped[0][column[pitch]]))
                    for name in self.rules:
                        if learning[name]:
                            families[name][v]._observe(pasts[v], len(pasts[v]) - 1)
            previous = pitch
        ic = -np.log2(p[np.arange(len(melody)), np.searchsorted(self._alphabet, melody)])
        return NoteIC(ic, _entropy(p), p, self._alphabet.copy(), tuple(self.rules), weights, orders)

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
        return _combined(np.stack(said), self.viewpoint_bias, self.mean)[0] if len(said) > 1 else said[0]

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
