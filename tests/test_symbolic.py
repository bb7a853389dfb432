"""Models of melodies: against definitions spelt out, against numbers that IDyOM wrote, and against a known grammar."""

import pickle
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from eegic.datasets import MelodyGrammar
from eegic.surprisal.ppm import ESCAPES, FLOORS, LONG_TERM, SHORT_TERM, SMOOTHINGS, Rules, combine
from eegic.surprisal.ppm import PPM as Model
from eegic.surprisal.symbolic import MODELS, MelodyModel, NoteIC

IDYOM = Path(__file__).parent / "references" / "idyom_chorales.npz"


def tunes(rng, n=6, symbols=5):
    """Sequences of unequal length with structure: a random walk with repeated phrases."""
    made = []
    for length in rng.integers(9, 25, n):
        walk = np.cumsum(rng.choice([-1, 0, 1, 2], size=length, p=[0.4, 0.1, 0.4, 0.1])) % symbols
        made.append(np.concatenate([walk, walk[: length // 2]]).tolist())
    return made


def plain(sequences, context, n_symbols, rules):
    """The same model, slowly: a dictionary of all contexts, and the definitions one after the other."""
    counts, fresh = {}, {}
    for sequence in sequences:
        for i, symbol in enumerate(sequence):
            expected = False
            for order in range(min(i, i if rules.order is None else rules.order), -1, -1):  # longest context first
                before = tuple(sequence[i - order : i])
                if not expected:
                    fresh[before, symbol] = fresh.get((before, symbol), 0) + 1
                expected |= (before, symbol) in counts
                counts[before, symbol] = counts.get((before, symbol), 0) + 1

    def observed(table, before):
        return {s: table[before, s] for s in range(n_symbols) if (before, s) in table}

    longest = len(context) if rules.order is None else min(len(context), rules.order)
    known = [tuple(context[len(context) - k :]) for k in range(longest + 1)]
    known = [before for before in known if observed(counts, before)]
    certain = [b for b in known[1:] if len(observed(counts, b)) == 1] if rules.order is None else []
    used = (known[: len(certain[0]) + 1] if certain else known) or [()]
    n_seen = len(observed(counts, ()))
    p = np.full(n_symbols, 1 / (n_symbols + 1 - n_seen) if rules.floor == "unseen" else 1 / n_symbols)
    for before, longer in zip(used, [*used[1:], None], strict=True):
        excluded = rules.update_exclusion and not (longer is None and len(used) < len(known))
        c = observed(fresh if excluded else counts, before)
        left_out = observed(counts, longer) if rules.exclusion and longer is not None else {}
        kept = [s for s in c if s not in left_out]
        if not kept:
            continue
        once = sum(v == 1 for v in c.values())
        k = {"B": -1, "D": -0.5}.get(rules.escape, 0)
        e = {"A": 1, "B": len(c), "C": len(c), "D": len(c) / 2, "AX": once + 1}[rules.escape]
        total = sum(c[s] + k for s in kept) + e
        lower = p * e / total
        share = np.array([(c[s] + k) / total if s in c else 0 for s in range(n_symbols)])
        p = share + np.where(share > 0, lower * (rules.smoothing == "interpolated"), lower)
    return p / p.sum(), len(used) - 1


class TestPPM:
    @pytest.mark.parametrize("escape", ESCAPES)
    @pytest.mark.parametrize("order", [0, 2, None])
    def test_equals_the_definitions(self, rng, escape, order):
        sequences = tunes(rng)
        for update, exclusion, smoothing, floor in product((True, False), (True, False), SMOOTHINGS, FLOORS):
            rules = Rules(escape, order, update, exclusion, smoothing, floor)
            model = Model(range(6), rules)  # symbol 5 never comes
            for sequence in sequences[:-1]:
                model.learn(sequence)
            for n in (0, 1, 4, 9, 14):
                expected, used = plain(sequences[:-1], sequences[-1][:n], 6, rules)
                np.testing.assert_allclose(model.predict(sequences[-1][:n]), expected, rtol=1e-12)
                assert model.follow(sequences[-1][: n + 1], learn=False)[1][n] == used

    @pytest.mark.parametrize("seed", range(8))
    def test_a_piece_heard_note_by_note(self, seed):
        """Contexts grow while they are used: with two symbols, many of them, in every possible order."""
        piece = np.random.default_rng(seed).integers(0, 2, 45).tolist()
        p, order = Model(range(3), SHORT_TERM).follow(piece)
        for i in range(len(piece)):
            expected, used = plain([piece[:i]], piece[:i], 3, SHORT_TERM)
            np.testing.assert_allclose(p[i], expected, rtol=1e-12)
            assert order[i] == used

    def test_textbook_fractions(self):
        """Abracadabra, escape C, order 2, after "ra": c once; after "a": b twice, c, d; overall 5 a, 2 b, c, d, 2 r."""
        model = Model("abcdrz", Rules(order=2, exclusion=False, floor="uniform"))
        model.learn("abracadabra")
        zero = np.array([5, 2, 1, 1, 2, 0]) / 16 + 5 / 16 / 6
        one = np.array([0, 2, 1, 1, 0, 0]) / 7 + 3 / 7 * zero
        np.testing.assert_allclose(model.predict("ra"), np.array([0, 0, 1, 0, 0, 0]) / 2 + one / 2, rtol=1e-14)
        np.testing.assert_allclose(model.predict("a"), one, rtol=1e-14)
        np.testing.assert_allclose(model.predict("z"), zero, rtol=1e-14)  # a context never seen

    def test_backing_off_needs_no_normalisation(self):
        """With exclusion and a floor over the unseen symbols, what escapes is exactly what the others share."""
        model = Model("abcdr", Rules(order=2, smoothing="backoff"))
        model.learn("abracadabra")
        zero = np.array([5, 0, 0, 0, 2]) / 12  # b, c and d are known after "a"; 7 others, and 5 kinds
        one = np.array([0, 2, 0, 1, 0]) / 6  # c is known after "ra"; 3 others, and 3 kinds
        p = np.array([0, 0, 1, 0, 0]) / 2 + one / 2 + 3 / 6 / 2 * zero
        np.testing.assert_allclose(model.predict("ra"), p / p.sum(), rtol=1e-14)

    @pytest.mark.parametrize("rules", [LONG_TERM, SHORT_TERM, Rules("D", 3), Rules("B", smoothing="backoff")])
    def test_following_is_predicting_and_learning_in_turn(self, rng, rules):
        first, second = tunes(rng, 2)
        model, other = Model(range(5), rules), Model(range(5), rules)
        model.learn(first)
        other.learn(first)
        distribution, _ = model.follow(second)
        np.testing.assert_allclose(distribution.sum(axis=1), 1, rtol=1e-12)
        assert (distribution > 0).all()
        for i, row in enumerate(distribution):
            fresh = Model(range(5), rules)
            fresh.learn(first)
            fresh.learn(second[:i])
            np.testing.assert_allclose(row, fresh.predict(second[:i]), rtol=1e-12)
        other.learn(second)
        np.testing.assert_array_equal(model.predict(second), other.predict(second))

    def test_a_passage_repeated_beyond_the_stack(self):
        rng = np.random.default_rng(3)
        passage = rng.integers(0, 4, 1500).tolist()
        model = Model(range(5))
        model.learn([*passage, 0, *passage, 1])  # the two endings differ after 1500 equal symbols
        p, order = model.follow([*passage, 2], learn=False)
        assert order[-1] == 1500
        assert p[-1][:2].min() > p[-1][2:].max()
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copied.predict(passage), p[-1])
        copied.learn([*passage, 3])
        assert copied.predict(passage)[3] > 2 * model.predict(passage)[3]  # the original does not learn with it

    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            (lambda: Model("aab"), ValueError, "alphabet: expected each symbol once, got 'a', 'a', 'b'"),
            (lambda: Model(""), ValueError, "alphabet: expected at least one symbol, got none"),
            (lambda: Model("ab", "C"), TypeError, r"rules: expected Rules, got str. Write Rules\(escape"),
            (
                lambda: Model("ab").learn("abc"),
                ValueError,
                "sequence: 'c' is not in the alphabet .*every symbol of the",
            ),
            (lambda: Model("ab").predict("x"), ValueError, "context: 'x' is not in the alphabet"),
            (lambda: Rules("E"), ValueError, "escape: expected one of 'A', 'B', 'C', 'D', 'AX', got 'E'"),
            (lambda: Rules(order=-1), ValueError, "order: expected at least 0, got -1"),
            (lambda: Rules(exclusion=1), TypeError, "exclusion: expected True or False, got 1"),
            (lambda: Rules(smoothing="interpolate"), ValueError, "Did you mean 'interpolated'"),
            (lambda: Rules(floor="zero"), ValueError, "floor: expected one of 'unseen', 'uniform'"),
        ],
    )
    def test_what_is_refused(self, wrong, error, message):
        with pytest.raises(error, match=message):
            wrong()


class TestCombination:
    def test_closed_forms(self, rng):
        p = rng.dirichlet(np.ones(7), 3)
        equal, weights = combine(p, bias=0)
        np.testing.assert_allclose(weights, 1 / 3)
        np.testing.assert_allclose(equal, np.prod(p, axis=0) ** (1 / 3) / np.sum(np.prod(p, axis=0) ** (1 / 3)))
        for mean in ("geometric", "arithmetic"):
            same, weights = combine(p[[1, 1]], bias=3, mean=mean)
            np.testing.assert_allclose(same, p[1], rtol=1e-12)
            np.testing.assert_allclose(weights, 0.5)
        entropies = -(p * np.log2(p)).sum(axis=1) / np.log2(7)
        mixed, weights = combine(p, bias=2, mean="arithmetic")
        np.testing.assert_allclose(weights, entropies**-2 / np.sum(entropies**-2))
        np.testing.assert_allclose(mixed, weights @ p)

    @pytest.mark.parametrize("bias", [7, 300])
    def test_certainty_rules_but_nothing_overflows(self, bias):
        certain = np.array([1 - 3e-12, 1e-12, 1e-12, 1e-12])
        p, weights = combine([certain, np.full(4, 0.25)], bias=bias)
        np.testing.assert_allclose(weights, [1, 0], atol=1e-9)
        np.testing.assert_allclose(p, certain, atol=1e-9)
        assert combine([[1.0], [1.0]])[0] == 1

    @pytest.mark.parametrize("certain", [(3e-4, 3e-5, 3e-6), (3e-6, 1e-6, 3e-7)])
    def test_nearly_certain_models_weigh_by_their_entropy(self, certain):
        """Relative entropies from .006 down to 1e-5: none of them is taken for certain."""
        rest = np.array(certain)[:, None]
        p = np.concatenate([1 - 3 * rest, np.repeat(rest, 3, axis=1)], axis=1)
        entropies = -(1 - 3 * rest) * np.log1p(-3 * rest) - 3 * rest * np.log(rest)  # nats; units cancel
        for bias in (1, 7):
            expected = entropies[:, 0] ** -bias / np.sum(entropies**-bias)
            np.testing.assert_allclose(combine(p, bias=bias)[1], expected, rtol=1e-6)

    def test_beyond_a_millionth_certainty_is_the_same(self):
        """Relative entropies of 4e-7 and 5e-9 count as 1e-6; the third, 1e-5, is less certain than that."""
        rest = np.array([[1e-8], [1e-10], [3e-7]]) * [1, 1, 1]
        p = np.concatenate([1 - rest.sum(axis=1, keepdims=True), rest], axis=1)
        third = -np.sum(p[2] * np.log2(p[2])) / 2
        expected = np.array([1e6, 1e6, 1 / third])
        np.testing.assert_allclose(combine(p, bias=1)[1], expected / expected.sum(), rtol=1e-12)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([[0.5, 0.5, 0.0]], "rows of positive probabilities"),
            ([[0.5, 0.6]], r"got shape \(1, 2\) with sums \[1.1\]. Normalise each row"),
            (np.empty((0, 3)), r"got shape \(0, 3\)"),
            ([0.5, 0.5], r"expected an array \(n_models, n_symbols\)"),
        ],
    )
    def test_what_is_refused(self, given, message):
        with pytest.raises(ValueError, match=message):
            combine(given)


@pytest.fixture(scope="module")
def idyom():
    with np.load(IDYOM) as stored:
        return dict(stored)


def pieces(idyom):
    return [idyom["pitch"][idyom["piece"] == k].astype(int) for k in range(1, 16)]


def songs(idyom):
    """The pitches of the corpus that is not at hand, note by note, from the first note of one chorale.

    There the short-term model is uniform, so the distribution printed, to the power of one over the long-term weight,
    is the long-term one, ``(count + 30 * 1) / ...``: every pitch was seen, and the rarest, 55, once.
    """
    found = []
    for k, first in enumerate(np.flatnonzero(np.diff(idyom["piece"].astype(int), prepend=0))):
        long_term = idyom["distribution"][first].astype(float) ** (1 / idyom["weight_ltm"][first].astype(float))
        counts = 31 * long_term / long_term[0] - 30
        others = np.concatenate([piece for j, piece in enumerate(pieces(idyom)) if j != k])
        found.append(counts - [np.sum(others == pitch) for pitch in idyom["alphabet"]])
    return np.array(found)


def predicted(idyom, corpus, **options):
    """Leave one chorale out of the corpus, and predict it."""
    chorales = pieces(idyom)
    rules = {"long_term": Rules(order=8), "alphabet": idyom["alphabet"], **options}
    results = [
        MelodyModel(**rules).fit([c for j, c in enumerate(chorales) if j != k] + corpus).information_content(chorale)
        for k, chorale in enumerate(chorales)
    ]
    fields = ("ic", "entropy", "distribution", "weights", "orders")
    return {f: np.concatenate([getattr(result, f) for result in results]) for f in fields}


class TestIdyom:
    """Agreement with tables that the Lisp IDyOM wrote (`xinyiguan/py2lispIDyOM`, MIT).

    The configuration, stated beside the table and found again in its numbers: viewpoint cpitch, both models; long-term
    model with escape C, order bound 8, no update exclusion, trained on 15 songs from Shanxi (389 notes) and on the
    *other* 14 chorales (resampling by leaving one out); short-term model with escape AX, no bound, update exclusion.
    Established from the numbers alone:

    - Weights are ``(H / Hmax) ** -7``; distributions are combined geometrically (exact, 628 notes).
    - Interpolation with *exclusion*: the total of a context leaves out symbols known in the next longer one, and a
      context without any others is skipped. Without it no note beyond order 0 agrees.
    - The floor is 1 / (alphabet + 1 - symbols seen at order 0).
    - Without a bound the shortest deterministic context is used, else the longest known (orders agree on all notes);
      with a bound, always the longest. A context preferred to a longer one has full counts, not update-excluded ones.
    - The songs themselves are not at hand, but first notes tell how often each pitch occurs in them. With these counts
      the model is exact (1.6e-7 in every probability) wherever the songs have no say beyond them: on first notes, and
      after pitch 68, which they lack. Elsewhere their intervals and phrases are missing: over all 699 notes the
      correlation of information content is .9485 (.897 without the counts).
    """

    def test_short_term_model_exactly(self, idyom):
        """Chorale 1, predicted by IDyOM's short-term model alone, order bound 5: probability, entropy, order."""
        chorale = pieces(idyom)[0]
        alphabet = idyom["stm_alphabet"].tolist()
        p, order = Model(alphabet, Rules("AX", order=5, update_exclusion=True)).follow(chorale)
        columns = [alphabet.index(pitch) for pitch in chorale]
        np.testing.assert_allclose(p[np.arange(len(chorale)), columns], idyom["stm_probability"], rtol=0, atol=2e-7)
        np.testing.assert_allclose(-(p * np.log2(p)).sum(axis=1), idyom["stm_entropy"], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(order, idyom["stm_order"])

    def test_short_term_model_and_combination_together(self, idyom):
        """Weights follow from entropies: what our short-term model leaves of the table must be as certain as stated."""
        checked = 0
        for k, chorale in enumerate(pieces(idyom), 1):
            rows = np.flatnonzero(idyom["piece"] == k)
            short, order = Model(idyom["alphabet"].tolist(), SHORT_TERM).follow(chorale)
            np.testing.assert_array_equal(order, idyom["order_stm"][rows])
            for p, row in zip(short, rows, strict=True):
                ours, theirs = (float(idyom[f"weight_{model}"][row]) for model in ("stm", "ltm"))
                if ours > 0.05:  # below, rounding of the table decides
                    log_long = (np.log(idyom["distribution"][row].astype(float)) - ours * np.log(p)) / theirs
                    long = np.exp(log_long - log_long.max())
                    _, weights = combine([long / long.sum(), p], bias=7)
                    np.testing.assert_allclose(np.log(weights[0] / weights[1]), np.log(theirs / ours), atol=1e-3)
                    checked += 1
        assert checked == 628

    def test_first_notes_tell_one_and_the_same_corpus(self, idyom):
        counts = songs(idyom)
        np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=5e-4)
        np.testing.assert_array_equal(np.round(counts), np.tile(np.round(counts[0]), (15, 1)))
        assert np.round(counts[0]).sum() == 389 and np.round(counts[0]).min() == 0

    def test_both_models(self, idyom):
        counts = np.round(songs(idyom)[0]).astype(int)
        corpus = [[pitch] for pitch, n in zip(idyom["alphabet"], counts, strict=True) for _ in range(n)]
        ours, theirs = predicted(idyom, corpus), idyom["ic"].astype(float)
        previous = np.concatenate([[0, *piece[:-1]] for piece in pieces(idyom)])
        settled = np.isin(previous, [0, *idyom["alphabet"][counts == 0]])
        assert settled.sum() == 19
        np.testing.assert_allclose(ours["distribution"][settled], idyom["distribution"][settled], rtol=0, atol=3e-7)
        np.testing.assert_allclose(ours["ic"][settled], theirs[settled], rtol=0, atol=3e-6)
        np.testing.assert_allclose(ours["weights"][settled, 0], idyom["weight_ltm"][settled], rtol=0, atol=2e-6)
        np.testing.assert_array_equal(ours["orders"][:, 1, 0], idyom["order_stm"])
        assert np.mean(ours["orders"][:, 0, 0] == idyom["order_ltm"]) > 0.94
        assert np.corrcoef(ours["ic"], theirs)[0, 1] > 0.945
        assert np.corrcoef(ours["entropy"], idyom["entropy"])[0, 1] > 0.93
        without = predicted(idyom, [])
        assert 0.89 < np.corrcoef(without["ic"], theirs)[0, 1] < 0.9
        for changed in (
            {"bias": 1},
            {"mean": "arithmetic"},
            {"short_term": None},
            {"short_term": Rules("C", update_exclusion=True)},
            {"short_term": Rules("AX", update_exclusion=True, exclusion=False)},
            {"long_term": Rules("D", order=8)},
            {"long_term": Rules(order=8, exclusion=False)},
        ):
            assert rms(predicted(idyom, corpus, **changed)["ic"] - theirs) > rms(ours["ic"] - theirs) + 0.02, changed


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


class TestMelodyModel:
    CORPUS = ([60, 62, 64, 65, 67, 65, 64, 62, 60], [67, 65, 64, 62, 60, 62, 64], [60, 64, 67, 72, 67, 64, 60, 60])
    PIECE = (60, 62, 64, 67, 64, 62, 60, 62, 64, 72, 60)

    def test_what_comes_back(self):
        result = MelodyModel(["pitch", "interval"]).fit(self.CORPUS).information_content(self.PIECE)
        assert isinstance(result, NoteIC)
        np.testing.assert_array_equal(result.alphabet, [60, 62, 64, 65, 67, 72])
        columns = np.searchsorted(result.alphabet, self.PIECE)
        np.testing.assert_allclose(result.distribution.sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(result.ic, -np.log2(result.distribution[np.arange(11), columns]), rtol=1e-12)
        surprise = -(result.distribution * np.log2(result.distribution)).sum(axis=1)
        np.testing.assert_allclose(result.entropy, surprise, rtol=1e-12)
        np.testing.assert_allclose(result.weights.sum(axis=1), 1, rtol=1e-12)
        assert result.models == MODELS
        assert result.orders.shape == (11, 2, 2)
        np.testing.assert_array_equal(result.orders[0], [[0, -1], [0, -1]])  # no interval before the first note
        assert repr(result).startswith("NoteIC(11 notes, ")

    def test_the_future_has_no_say(self):
        model = MelodyModel(["pitch", ("interval", "contour")]).fit(self.CORPUS)
        whole = model.information_content(self.PIECE)
        for n in (1, 4, 8):
            part = model.information_content(self.PIECE[:n])
            np.testing.assert_array_equal(part.ic, whole.ic[:n])
            np.testing.assert_array_equal(part.distribution, whole.distribution[:n])

    def test_one_model_is_its_ppm(self):
        long = MelodyModel(short_term=None).fit(self.CORPUS).information_content(self.PIECE)
        ppm = Model([60, 62, 64, 65, 67, 72])
        for melody in self.CORPUS:
            ppm.learn(melody)
        np.testing.assert_allclose(long.distribution, ppm.follow(self.PIECE, learn=False)[0], rtol=1e-12)
        np.testing.assert_array_equal(long.weights, np.ones((11, 1)))
        short = MelodyModel(long_term=None, alphabet=range(60, 73)).information_content(self.PIECE)
        np.testing.assert_allclose(short.distribution, Model(range(60, 73), SHORT_TERM).follow(self.PIECE)[0])
        both = MelodyModel(mean="arithmetic", bias=3).fit(self.CORPUS).information_content(self.PIECE)
        short = MelodyModel(long_term=None, alphabet=long.alphabet).information_content(self.PIECE)
        for row, parts in zip(both.distribution, zip(long.distribution, short.distribution, strict=True), strict=True):
            np.testing.assert_allclose(row, combine(parts, bias=3, mean="arithmetic")[0], rtol=1e-12)

    def test_a_linked_viewpoint_is_a_ppm_of_pairs(self):
        """Degree and contour, mapped back by hand: pitches that share a pair share its probability."""
        alphabet = list(range(60, 75))
        model = MelodyModel([("contour", "degree")], alphabet=alphabet, short_term=None)
        p = model.fit(self.CORPUS, tonics=[60, 62, 67]).information_content(self.PIECE, tonic=65).distribution

        def pairs(melody, tonic):
            return [(int(np.sign(b - a)), (b - tonic) % 12) for a, b in pairwise(melody)]

        ppm = Model(sorted({pair for a in alphabet for b in alphabet for t in range(12) for pair in pairs([a, b], t)}))
        for melody, tonic in zip(self.CORPUS, (60, 62, 67), strict=True):
            ppm.learn(pairs(melody, tonic))
        np.testing.assert_allclose(p[0], 1 / 15)  # no contour yet: all pitches alike
        for i in range(1, len(self.PIECE)):
            of_pairs = dict(zip(ppm.alphabet, ppm.predict(pairs(self.PIECE[:i], 65)), strict=True))
            seen = [pairs([self.PIECE[i - 1], pitch], 65)[0] for pitch in alphabet]
            expected = np.array([of_pairs[pair] / seen.count(pair) for pair in seen])
            np.testing.assert_allclose(p[i], expected / expected.sum(), rtol=1e-12)

    @pytest.mark.parametrize("viewpoints", [["interval"], ["contour", "interval"], [("interval", "degree"), "degree"]])
    def test_relative_viewpoints_do_not_mind_transposition(self, viewpoints):
        """Up three semitones, pieces and alphabet: what was degree 0 stays so, and nothing else is absolute."""
        results = []
        for up in (0, 3):
            model = MelodyModel(viewpoints, alphabet=np.arange(58, 75) + up)
            model.fit([np.array(melody) + up for melody in self.CORPUS], tonics=[60 + up] * 3)
            results.append(model.information_content(np.array(self.PIECE) + up, tonic=60 + up))
        np.testing.assert_allclose(results[0].ic, results[1].ic, rtol=1e-12)
        pitch = MelodyModel(alphabet=range(58, 78)).fit(self.CORPUS)
        moved = pitch.information_content(np.array(self.PIECE) + 3).ic
        assert not np.allclose(pitch.information_content(self.PIECE).ic, moved)  # pitch does mind

    def test_keeping_on_learning(self):
        still = MelodyModel().fit(self.CORPUS)
        first, again = still.information_content(self.PIECE), still.information_content(self.PIECE)
        np.testing.assert_array_equal(first.ic, again.ic)
        learner = MelodyModel(keep_learning=True).fit(self.CORPUS)
        learner.information_content(self.PIECE)
        again = learner.information_content(self.PIECE)
        informed = MelodyModel(keep_learning=True).fit([*self.CORPUS, self.PIECE]).information_content(self.PIECE)
        np.testing.assert_allclose(again.ic, informed.ic, rtol=1e-12)
        assert again.ic[1:].sum() < first.ic[1:].sum() - 5  # bits

    def test_fitting_anew_forgets(self):
        model = MelodyModel(alphabet=range(58, 75)).fit(self.CORPUS)
        expected = MelodyModel(alphabet=range(58, 75)).fit(self.CORPUS[:1]).information_content(self.PIECE)
        np.testing.assert_array_equal(model.fit(self.CORPUS[:1]).information_content(self.PIECE).ic, expected.ic)

    def test_a_known_grammar_is_found(self):
        """Surprisal of a long-term model approaches the true one from above, and more notes bring it closer."""
        grammar = MelodyGrammar(mode="minor")
        test = [grammar.sample(n_notes=300, rng=seed) for seed in (100, 101, 102)]
        true = np.concatenate([melody.pitch_surprisal for melody in test])
        excess, correlation = [], []
        for n_melodies in (4, 80):
            corpus = [grammar.sample(n_notes=120, rng=seed).pitches for seed in range(n_melodies)]
            model = MelodyModel(alphabet=grammar.pitches, long_term=Rules(order=3), short_term=None).fit(corpus)
            ic = np.concatenate([model.information_content(melody.pitches).ic for melody in test])
            excess.append(np.mean(ic - true))
            correlation.append(np.corrcoef(ic, true)[0, 1])
        assert 0 < excess[1] < 0.25 < excess[0]
        assert correlation[1] > 0.9 > correlation[0]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda: MelodyModel(["key"]), "viewpoints: expected one of 'pitch', 'interval', 'contour', 'degree'"),
            (lambda: MelodyModel([]), "viewpoints: expected at least one of 'pitch'.*got none"),
            (lambda: MelodyModel(["pitch", "pitch"]), "viewpoints: expected each once"),
            (lambda: MelodyModel(long_term=None, short_term=None), "both are None. Give the rules of at least one"),
            (lambda: MelodyModel(bias=-1), "bias: expected a number of units that is not negative"),
            (lambda: MelodyModel().fit([]), "corpus: expected at least one melody, got none"),
            (lambda: MelodyModel().fit([[60], []]), r"corpus\[1\]: expected at least one note"),
            (lambda: MelodyModel().fit([[60, 61.5]]), "expected whole numbers, got 61.5. Round pitches to semitones"),
            (lambda: MelodyModel().fit([[60, np.nan]]), "expected whole numbers, got nan"),
            (lambda: MelodyModel().fit([[60, np.inf]]), "expected whole numbers, got inf"),
            (lambda: MelodyModel(alphabet=[60]).fit([[60, 61]]), r"corpus\[0\]: 61 is not in the alphabet \(60\)"),
            (lambda: MelodyModel().fit([[60, 62]], tonics=[60, 60]), r"tonics: expected one per melody \(1\), got 2"),
            (lambda: MelodyModel(["degree"]).fit([[60, 62]]), "tonic: the viewpoint 'degree' counts from the key note"),
            (lambda: MelodyModel().information_content([60]), "the model has no alphabet yet. Call `fit`"),
            (lambda: MelodyModel(alphabet=[60]).information_content([60]), "long-term model learnt nothing"),
            (
                lambda: MelodyModel().fit([[60]]).information_content([61]),
                "pitches: 61 is not in the alphabet .*Give `a",
            ),
        ],
    )
    def test_what_is_refused(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            wrong()
