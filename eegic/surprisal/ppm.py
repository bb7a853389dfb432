"""Prediction by partial matching (PPM): variable-order Markov models of sequences, and how several combine.

The symbols are whatever can be counted; what a melody is made of is told in `symbolic`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from eegic import _checks

ESCAPES = ("A", "B", "C", "D", "AX")
SMOOTHINGS = ("interpolated", "backoff")
FLOORS = ("unseen", "uniform")
MEANS = ("geometric", "arithmetic")

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
        return f"PPM({len(self.alphabet)} symbols, {self.n_learnt} observed, {self.rules})"

    @property
    def n_learnt(self) -> int:
        """Number of symbols learnt."""
        return sum(self._root.counts.values())

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
        0 weighs all models equally. A ratio below 1e-6 counts as 1e-6: models that certain are equally certain.
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
    return combined(p, _checks.not_negative("bias", bias, "units"), mean)


def combined(p: np.ndarray, bias: float, mean: str) -> tuple[np.ndarray, np.ndarray]:
    """`combine`, for distributions that are known to be some."""
    if p.shape[1] == 1:  # one symbol: nothing to be certain of
        return np.ones(1), np.full(len(p), 1 / len(p))
    relative = np.maximum(entropy_bits(p) / np.log2(p.shape[1]), _SMALLEST)
    weights = (relative / relative.min()) ** -bias
    weights /= weights.sum()
    if mean == "arithmetic":
        return weights @ p, weights
    log = weights @ np.log(p)
    product = np.exp(log - log.max())
    return product / product.sum(), weights


def entropy_bits(p: np.ndarray) -> np.ndarray:
    """Bits, along the last axis."""
    return np.asarray(-np.sum(p * np.log2(p), axis=-1))
