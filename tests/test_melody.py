"""Melodies and the grammar that writes them: the surprisal is exact, and it is that of the notes."""

import itertools

import numpy as np
import pytest

from eegic.datasets import Melody, MelodyGrammar

GRAMMARS = {
    "major": MelodyGrammar(),
    "minor, free": MelodyGrammar(mode="minor", rhythm="free", style=3),
    "predictable": MelodyGrammar(rhythm="free", predictability=2.0, style=1),
    "loose": MelodyGrammar(tonic=48, rhythm="free", predictability=0.4, tempo=90),
}
grammars = pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS.keys())
FREE = GRAMMARS["minor, free"]


def tune(**changes):
    notes = {"pitches": [60, 64, 67], "onsets": [0.0, 0.5, 1.25], "durations": [0.4, 0.4, 0.4], "velocities": [80] * 3}
    notes |= {"pitch_surprisal": [3.0, 1.0, 2.0], "timing_surprisal": [0.0, 0.5, 1.5]}
    return Melody(**(notes | {"duration": 2.0, "tonic": 60, "bar": 2.0} | changes))


# ------------------------------------------------------------------ phrases that return
class TestRepetition:
    RETURNING = MelodyGrammar(repetition=0.4, rhythm="free")

    def test_the_probability_of_a_phrase_is_that_of_a_mixture(self):
        """Notes one by one cost what the phrase as a whole does: new, or one of the two before, whichever it was."""
        plain = MelodyGrammar(rhythm="free")
        pitches = list(self.RETURNING.sample(n_notes=12, rng=3).pitches)
        for phrase in (pitches[4:8], pitches[:4], [60, 72, 60, 79]):
            past, cost = pitches[:8], 0.0
            for pitch in phrase:
                cost -= np.log2(self.RETURNING.probabilities(past)[pitch])
                past.append(pitch)
            new = np.prod([plain.probabilities((pitches[:8] + phrase)[:k])[phrase[k - 8]] for k in range(8, 12)])
            copied = sum(0.5 * (phrase == earlier) for earlier in (pitches[4:8], pitches[:4]))
            assert cost == pytest.approx(-np.log2(0.6 * new + 0.4 * copied))

    def test_the_second_phrase_can_only_be_the_first(self):
        first = [60, 62, 64, 65]
        row = self.RETURNING.probabilities(first)
        plain = MelodyGrammar(rhythm="free").probabilities(first)
        assert row[60] == pytest.approx(0.6 * plain[60] + 0.4) and sum(row.values()) == pytest.approx(1)

    def test_phrases_return_as_often_as_asked_and_then_cost_less(self):
        melody = self.RETURNING.sample(n_notes=4000, rng=0)
        phrases, cost = melody.pitches.reshape(-1, 4), melody.pitch_surprisal.reshape(-1, 4)
        back = np.array([(phrases[2:] == phrases[2 - lag : -lag]).all(axis=1) for lag in (1, 2)])
        assert abs(back.any(axis=0).mean() - 0.4) < 0.05
        returned = np.flatnonzero(back.any(axis=0)) + 2
        others = np.flatnonzero(~back.any(axis=0)) + 2
        assert cost[returned].mean() < 0.5 * cost[others].mean()
        assert (np.diff(cost[returned].mean(axis=0)) < 0).all(), "each note that agrees makes the next one likelier"

    def test_stored_surprisal_is_that_of_each_note_given_its_past(self):
        melody = self.RETURNING.sample(n_notes=60, rng=1)
        for k, (pitch, bits) in enumerate(zip(melody.pitches, melody.pitch_surprisal, strict=True)):
            assert bits == pytest.approx(-np.log2(self.RETURNING.probabilities(melody.pitches[:k])[pitch]))

    def test_timing_is_as_without(self):
        one, other = (grammar.sample(duration=20, rng=5) for grammar in (self.RETURNING, MelodyGrammar(rhythm="free")))
        np.testing.assert_array_equal(one.onsets, other.onsets)
        assert self.RETURNING.entropy("timing") == MelodyGrammar(rhythm="free").entropy("timing")

    def test_what_is_not_known_or_impossible_is_said(self):
        with pytest.raises(ValueError, match="not known in closed form where phrases return"):
            self.RETURNING.entropy("pitch")
        with pytest.raises(ValueError, match="probability from 0 to less than 1, got 1"):
            MelodyGrammar(repetition=1.0)


# ------------------------------------------------------------------ probabilities
@grammars
def test_pitch_probabilities_sum_to_one_and_none_is_zero(grammar):
    pitches = grammar.pitches
    for n_known in (0, 1, 2):
        for past in itertools.product(pitches, repeat=n_known):
            row = grammar.probabilities(past)
            assert abs(sum(row.values()) - 1) < 1e-12
            assert min(row.values()) > 0
    every = grammar._pitch_tables[3]
    assert every.shape == (15,) * 4 and every.min() > 0
    np.testing.assert_allclose(every.sum(axis=-1), 1, rtol=0, atol=1e-12)


@grammars
def test_timing_probabilities_sum_to_one(grammar):
    starts = [0.0] if grammar.rhythm == "isochronous" else np.arange(8) / 2
    steps = [1.0] if grammar.rhythm == "isochronous" else [0.5, 1.0, 1.5, 2.0]
    pasts = [[], *([start] for start in starts)]
    pasts += [[s, s + a, s + a + b] for s, a, b in itertools.product(starts, steps, steps)]
    for past in pasts:
        row = grammar.probabilities(past, "timing")
        assert abs(sum(row.values()) - 1) < 1e-12
        assert min(row.values()) > 0
        assert not past or min(row) > past[-1]


def test_probabilities_of_short_pasts_follow_from_those_of_long_ones():
    # law of total probability, with the weights of a long sample
    grammar = GRAMMARS["major"]
    pitches = grammar.sample(n_notes=40_000, rng=0).pitches
    after = pitches[1:][pitches[:-1] == 72]
    row = grammar.probabilities([72])
    observed = np.array([np.mean(after == pitch) for pitch in grammar.pitches])
    expected = np.array([row[pitch] for pitch in grammar.pitches])
    np.testing.assert_allclose(observed, expected, rtol=0, atol=5 * 0.5 / np.sqrt(len(after)))


@pytest.mark.parametrize("seed", range(3))
@grammars
def test_mean_surprisal_equals_the_entropy_rate(grammar, seed):
    # notes with a full past, in independent pieces: each piece is one draw with the entropy rate as its mean
    pieces = [grammar.sample(n_notes=80, rng=np.random.default_rng([seed, i])) for i in range(60)]
    for kind in ("pitch", "timing", "both"):
        means = np.array([piece.surprisal(kind).values[3:].mean() for piece in pieces])
        error = means.std(ddof=1) / np.sqrt(len(means))
        assert abs(means.mean() - grammar.entropy(kind)) <= 4 * error


@grammars
def test_first_notes_are_drawn_from_the_stationary_distribution(grammar):
    # the first note has the long-run frequencies, so its mean surprisal is their entropy
    row = np.array(list(grammar.probabilities([]).values()))
    first = np.array([grammar.sample(n_notes=1, rng=i).pitch_surprisal[0] for i in range(1500)])
    assert abs(first.mean() + np.sum(row * np.log2(row))) < 4 * first.std() / np.sqrt(len(first))
    long_run = grammar.sample(n_notes=20_000, rng=0).pitches
    frequency = [np.mean(long_run == pitch) for pitch in grammar.pitches]
    np.testing.assert_allclose(frequency, row, rtol=0, atol=0.03)


def test_without_predictability_every_pitch_and_interval_is_equally_likely():
    grammar = MelodyGrammar(rhythm="free", predictability=0)
    assert grammar.entropy("pitch") == pytest.approx(np.log2(15), abs=1e-12)
    assert grammar.entropy("timing") == pytest.approx(2, abs=1e-12)


def test_predictability_lowers_entropy():
    for kind in ("pitch", "timing"):
        rates = [MelodyGrammar(rhythm="free", predictability=p).entropy(kind) for p in (0, 0.5, 1, 2, 4)]
        assert (np.diff(rates) < 0).all()


# ------------------------------------------------------------------ variable order
def spread_over_older_pitches(grammar, recent):
    """Largest difference between the distributions after `recent` preceded by each possible pitch."""
    rows = [list(grammar.probabilities([older, *recent]).values()) for older in grammar.pitches]
    return np.ptp(rows, axis=0).max()


def test_order_one_after_a_step_that_follows_no_step():
    rows = {p: list(FREE.probabilities([*p, 67]).values()) for p in [(67, 68), (65, 65), (84, 68), (67, 67), (72, 65)]}
    for past, row in rows.items():
        assert FREE.context([*past, 67]) == (67,)
        np.testing.assert_allclose(row, rows[67, 68], rtol=1e-12)


def test_order_two_after_a_leap_and_no_more():
    assert FREE.context([65, 67, 75]) == (67, 75)
    assert spread_over_older_pitches(FREE, [67, 75]) < 1e-12
    after_another_leap = list(FREE.probabilities([65, 68, 75]).values())
    assert np.abs(np.array(after_another_leap) - list(FREE.probabilities([65, 67, 75]).values())).max() > 0.02


def test_order_three_after_two_steps_in_one_direction():
    assert FREE.context([60, 60, 62, 63]) == (60, 62, 63)
    assert FREE.context([63, 62, 63]) == (63,)
    assert spread_over_older_pitches(FREE, [62, 63]) > 0.05


def test_the_rules_are_what_they_are_called():
    gap, inertia, leading = [], [], []
    for style in range(20):  # over styles, habits cancel and rules remain
        grammar = MelodyGrammar(style=style)
        after_leap, after_step = grammar.probabilities([62, 65, 74]), grammar.probabilities([72, 72, 74])
        gap.append(np.log(after_leap[72] / after_step[72]))
        after_run, plain = grammar.probabilities([64, 65, 67]), grammar.probabilities([65, 65, 67])
        inertia.append(np.log(after_run[69] / plain[69]))
        after_leading = grammar.probabilities([72, 72, 71])
        leading.append(np.log(after_leading[72] / after_leading[69]))
    assert min(np.mean(gap), np.mean(inertia), np.mean(leading)) > 0.3


def test_timing_depends_on_two_intervals_only_where_they_differ():
    def after(*past):
        return np.array(list(FREE.probabilities(list(past), "timing").values()))

    np.testing.assert_allclose(after(0, 0.5, 2.0, 3.0, 4.0), after(1, 2, 3, 4), rtol=1e-12)  # 1, 1 before beat 4
    np.testing.assert_allclose(after(0, 1.5, 3.0, 4.0), after(0.5, 1, 1.5, 3, 4), rtol=1e-12)  # 1.5, 1
    assert np.abs(after(1, 1.5, 3.0, 4.0) - after(1, 2.5, 3.0, 4.0)).max() > 0.02  # 1.5, 1 against .5, 1
    assert np.abs(after(1, 2, 3, 4) - after(1.5, 2.5, 3.5, 4.5)).max() > 0.02  # another position in the bar


# ------------------------------------------------------------------ the surprisal of a melody
@grammars
def test_stored_surprisal_is_that_of_each_note_given_its_past(grammar):
    melody = grammar.sample(duration=20, rng=5)
    beats = np.round(2 * melody.onsets / grammar.beat) / 2
    for i in range(melody.n_notes):
        pitch = grammar.probabilities(melody.pitches[:i].tolist())[melody.pitches[i]]
        onset = grammar.probabilities(beats[:i].tolist(), "timing")[beats[i]]
        assert melody.pitch_surprisal[i] == pytest.approx(-np.log2(pitch), abs=1e-12)
        assert melody.timing_surprisal[i] == pytest.approx(-np.log2(onset), abs=1e-12)


@grammars
def test_distant_notes_do_not_matter(grammar):
    past = grammar.sample(n_notes=30, rng=0).pitches.tolist()
    whole = list(grammar.probabilities(past).values())
    np.testing.assert_array_equal(whole, list(grammar.probabilities(past[-3:]).values()))
    assert len(grammar.context(past)) <= 3


def test_surprisal_is_not_merely_the_size_of_intervals():
    melody = FREE.sample(n_notes=5000, rng=0)
    surprisal, size = melody.pitch_surprisal[1:], np.abs(np.diff(melody.pitches))
    fitted = np.array([surprisal[size == s].mean() for s in size])
    assert 1 - np.var(surprisal - fitted) / np.var(surprisal) < 0.7


def test_both_is_the_sum_and_stands_at_the_onsets():
    melody = FREE.sample(duration=20, rng=0)
    pitch, timing, both = (melody.surprisal(kind) for kind in ("pitch", "timing", "both"))
    np.testing.assert_allclose(both.values, pitch.values + timing.values)
    np.testing.assert_array_equal(both.times, melody.onsets)
    assert (pitch.names, timing.names, both.names) == (("pitch surprisal",), ("timing surprisal",), ("surprisal",))


def test_isochronous_timing_is_no_surprise():
    melody = MelodyGrammar(tempo=120).sample(duration=10, rng=0)
    assert not melody.timing_surprisal.any()
    np.testing.assert_allclose(melody.onsets, np.arange(20) * 0.5)
    assert MelodyGrammar().entropy("timing") == 0


@pytest.mark.parametrize("rhythm", ["isochronous", "free"])
def test_a_piece_fills_its_duration_and_no_more(rhythm):
    for seed in range(20):
        melody = MelodyGrammar(rhythm=rhythm).sample(duration=12, rng=seed)
        ends = melody.onsets + melody.durations
        assert melody.duration == 12 and ends.max() <= 12
        assert melody.onsets[-1] >= 12 - 0.8 - 1e-9  # the longest interval lasts two beats
        assert (ends[:-1] <= melody.onsets[1:]).all()
        assert 1 <= melody.velocities.min() and melody.velocities.max() <= 127


def test_a_piece_ends_with_its_last_note():
    for grammar in GRAMMARS.values():
        melody = grammar.sample(n_notes=17, rng=2)
        assert melody.n_notes == 17
        assert melody.onsets[-1] + 0.5 * grammar.beat <= melody.duration <= melody.onsets[-1] + 2 * grammar.beat + 1e-9


# ------------------------------------------------------------------ seeds
def test_same_seed_same_melody_and_other_seeds_others():
    one, again, other = (FREE.sample(duration=20, rng=seed) for seed in (4, 4, 5))
    for field in ("pitches", "onsets", "velocities", "pitch_surprisal", "timing_surprisal"):
        np.testing.assert_array_equal(getattr(one, field), getattr(again, field))
    assert not np.array_equal(one.pitches, other.pitches[: one.n_notes])
    assert not np.array_equal(one.onsets, other.onsets)


def test_a_generator_moves_on_and_the_global_one_is_left_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    rng = np.random.default_rng(0)
    first, second = FREE.sample(n_notes=20, rng=rng), FREE.sample(n_notes=20, rng=rng)
    assert not np.array_equal(first.pitches, second.pitches)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_rhythm_does_not_change_the_pitches():
    pitches = [MelodyGrammar(rhythm=rhythm).sample(n_notes=30, rng=1).pitches for rhythm in ("isochronous", "free")]
    np.testing.assert_array_equal(*pitches)


def test_styles_differ_in_habits_not_in_kind():
    one, other = MelodyGrammar(style=0), MelodyGrammar(style=1)
    assert abs(one.entropy("pitch") - other.entropy("pitch")) < 0.4
    assert one.probabilities([60, 62, 64]) != other.probabilities([60, 62, 64])


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mode": "dorian"}, "mode: expected one of 'major', 'minor'"),
        ({"rhythm": "isocronous"}, "Did you mean 'isochronous'"),
        ({"tempo": 0}, "tempo: expected a finite positive number"),
        ({"predictability": -1}, "predictability: expected 0"),
        ({"predictability": 40}, "predictability: expected 0"),
        ({"tonic": 110}, "tonic: two octaves above 110"),
        ({"style": -1}, "style: expected at least 0"),
    ],
)
def test_bad_grammars(parameters, message):
    with pytest.raises(ValueError, match=message):
        MelodyGrammar(**parameters)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.sample(), "expected duration or n_notes"),
        (lambda g: g.sample(duration=5, n_notes=5), "expected duration or n_notes"),
        (lambda g: g.sample(duration=1), r"expected at least a bar \(1.6 s\)"),
        (lambda g: g.sample(n_notes=0), "n_notes: expected at least 1"),
        (lambda g: g.entropy("rhythm"), "kind: expected one of"),
        (lambda g: g.probabilities([60, 61]), "61 is not a pitch of this grammar"),
        (lambda g: g.probabilities([60], "both"), "kind: expected one of 'pitch', 'timing'"),
        (lambda g: g.probabilities([0, 0.4], "timing"), "divide by `grammar.beat`"),
        (lambda g: g.probabilities([5, 6], "timing"), "expected onsets in beats"),
        (lambda g: g.probabilities([0, 3], "timing"), "expected onsets in beats"),
        (lambda g: MelodyGrammar().probabilities([0, 2], "timing"), "isochronous notes come on beats 0, 1, 2"),
        (lambda g: g.context([60, 62]), "expected at least 3 pitches"),
    ],
)
def test_bad_questions(call, message):
    with pytest.raises(ValueError, match=message):
        call(FREE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitches": []}, "expected at least one note"),
        ({"onsets": [0.0, 0.5]}, r"onsets: expected one value per note \(3\), got 2"),
        ({"onsets": [0.0, 0.5, 0.5]}, "Sort the notes by onset"),
        ({"duration": 1.25}, "within 0 to 1.25"),
        ({"durations": [0.4, 0.0, 0.4]}, "durations: expected positive"),
        ({"velocities": [80, 0, 80]}, "velocities: expected whole MIDI numbers from 1 to 127, got 0"),
        ({"pitches": [60.5, 61, 62]}, "pitches: expected whole MIDI numbers"),
        ({"pitch_surprisal": [1.0, np.nan, 2.0]}, "pitch_surprisal: expected finite"),
    ],
)
def test_bad_melodies(changes, message):
    with pytest.raises(ValueError, match=message):
        tune(**changes)
    assert tune().surprisal("both").values[:, 0].tolist() == [3.0, 1.5, 3.5]
