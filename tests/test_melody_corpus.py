"""Melodies without end: each number is one of them, and training never hears those of validation."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import kstest

from eegic.datasets import TIMBRES, MelodyCorpus, MelodyGrammar, synthesise
from eegic.datasets.grammar import RHYTHMS

SFREQ = 8000.0
ONE = {"timbres": ["flute"], "rhythms": ["isochronous"]}


def notes(melody):
    return melody.pitches.tobytes() + melody.onsets.tobytes()


class TestPieces:
    def test_are_the_grammars_and_sound_as_they_are_synthesised(self):
        corpus = MelodyCorpus(timbres=["flute"], rhythms=["free"], grammar={"mode": "minor", "tempo": 90})
        melody, sound = corpus.piece("validation", 3, duration=20, sfreq=SFREQ)
        assert melody.duration == 20 and sound.name == "validation-3"
        grammar = MelodyGrammar(rhythm="free", mode="minor", tempo=90)
        known = [
            -np.log2(grammar.probabilities(tuple(melody.pitches[:n]))[melody.pitches[n]])
            for n in range(len(melody.pitches))
        ]
        np.testing.assert_allclose(melody.pitch_surprisal, known, rtol=1e-9)
        np.testing.assert_array_equal(sound.samples, synthesise(melody, timbre="flute", sfreq=SFREQ).samples)

    def test_of_other_numbers_parts_and_seeds_are_others(self):
        corpora = [MelodyCorpus(seed=seed) for seed in (0, 1)]
        melodies = [
            corpus.piece(part, index, duration=8, sfreq=SFREQ)[0]
            for corpus in corpora
            for part in ("train", "validation", "test")
            for index in range(5)
        ]
        assert len({notes(melody) for melody in melodies}) == 30

    def test_every_instrument_and_rhythm_is_drawn(self):
        corpus = MelodyCorpus()
        timbres, rhythms = set(), set()
        for index in range(40):
            melody, sound = corpus.piece("train", index, duration=4, sfreq=SFREQ)
            even = np.allclose(np.diff(melody.onsets), 0.4)
            rhythms.add("isochronous" if even else "free")
            played = {name for name in TIMBRES if _sounds_like(sound, melody, name)}
            assert len(played) == 1
            timbres |= played
        assert timbres == set(TIMBRES) and rhythms == set(RHYTHMS)

    @pytest.mark.parametrize("timbre", TIMBRES)
    def test_one_instrument_may_be_asked_for_by_its_name(self, timbre):
        melody, sound = MelodyCorpus(timbres=timbre, rhythms="free").piece("train", 0, duration=4, sfreq=SFREQ)
        assert _sounds_like(sound, melody, timbre)
        assert MelodyCorpus(timbres=timbre, rhythms="free") == MelodyCorpus(timbres=[timbre], rhythms=["free"])

    def test_the_options_of_the_grammar_reach_the_melodies(self):
        corpus = MelodyCorpus(**ONE, grammar={"tonic": 40, "tempo": 60})
        pieces = [corpus.piece("train", index, duration=12, sfreq=SFREQ)[0] for index in range(5)]
        assert all(np.allclose(np.diff(melody.onsets), 1.0) for melody in pieces)
        assert all(melody.tonic == 40 and melody.pitches.min() >= 40 for melody in pieces)
        assert min(melody.pitches.min() for melody in pieces) < 60
        plain, certain = (
            MelodyCorpus(**ONE, grammar={"predictability": k}).piece("train", 0, duration=60, sfreq=SFREQ)[0]
            for k in (0.0, 3.0)
        )
        np.testing.assert_allclose(plain.pitch_surprisal, np.log2(15))
        assert certain.pitch_surprisal.mean() < 2


def _sounds_like(sound, melody, timbre):
    return np.array_equal(sound.samples, synthesise(melody, timbre=timbre, sfreq=sound.sfreq).samples)


class TestStretches:
    @pytest.mark.parametrize("n_samples", [1, 777, 8192, 25600, 25601, 60_000])
    @pytest.mark.parametrize("sfreq", [8000.0, 11025])
    def test_have_any_length_and_lie_within_their_melody(self, n_samples, sfreq):
        """Two bars, 3.2 s, are 25600 samples at 8000 Hz; half a second more is written of what is longer."""
        corpus = MelodyCorpus(gain=(0, 0))
        stretch = corpus.stretch("train", 5, n_samples, sfreq)
        assert stretch.shape == (n_samples,) and stretch.dtype == np.float32 and stretch.flags.writeable
        duration = max(n_samples / sfreq + 0.5, 3.2)
        sound = corpus.piece("train", 5, duration=duration, sfreq=sfreq)[1].samples[:, 0]
        starts = np.flatnonzero(sound[: len(sound) - n_samples + 1] == stretch[0])
        assert any(np.array_equal(sound[start : start + n_samples], stretch) for start in starts)

    def test_start_anywhere(self):
        corpus = MelodyCorpus(**ONE, gain=(0, 0))
        starts = []
        for index in range(60):
            sound = corpus.piece("train", index, duration=3.2, sfreq=4000)[1].samples[:, 0]
            stretch = corpus.stretch("train", index, 400, 4000)
            windows = np.lib.stride_tricks.sliding_window_view(sound, 400)
            starts.append(int(np.flatnonzero((windows == stretch).all(axis=1))[0]))
        assert kstest(np.array(starts) / (12800 - 400), "uniform").pvalue > 0.01

    def test_of_beginnings_start_with_the_melody(self):
        corpus = MelodyCorpus(**ONE, gain=(0, 0), beginnings=True)
        for index in range(5):
            sound = corpus.piece("train", index, duration=3.2, sfreq=4000)[1].samples[:400, 0]
            np.testing.assert_array_equal(corpus.stretch("train", index, 400, 4000), sound.astype(np.float32))

    def test_do_not_depend_on_what_was_asked_before(self):
        one, other = MelodyCorpus(), MelodyCorpus()
        forwards = [one.stretch("train", index, 500, SFREQ) for index in range(6)]
        other.stretch("validation", 2, 9, SFREQ)
        backwards = [other.stretch("train", index, 500, SFREQ) for index in reversed(range(6))]
        np.testing.assert_array_equal(forwards, backwards[::-1])

    def test_are_the_same_in_another_process(self):
        code = (
            "import zlib; from eegic.datasets import MelodyCorpus; corpus = MelodyCorpus(seed=3)\n"
            "print([zlib.crc32(corpus.stretch(p, i, 300, 8000.0)) for p in ('train', 'validation') for i in range(3)])"
        )
        runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2)]
        assert runs[0].returncode == 0, runs[0].stderr
        assert runs[0].stdout == runs[1].stdout

    def test_of_the_parts_differ(self):
        corpus = MelodyCorpus(**ONE)
        drawn = [corpus.stretch(part, index, 4000, SFREQ) for part in ("train", "validation") for index in range(20)]
        assert len({stretch.tobytes() for stretch in drawn}) == 40

    def test_of_slow_melodies_hold_notes(self):
        """A bar at 20 beats per minute lasts 12 s."""
        corpus = MelodyCorpus(timbres="organ", rhythms="isochronous", grammar={"tempo": 20}, gain=(0, 0))
        assert all(corpus.stretch("train", index, 8000, 4000).std() > 0.01 for index in range(5))

    def test_gains_are_uniform_in_decibels(self):
        plain, loud = (MelodyCorpus(**ONE, gain=gain, seed=1) for gain in ((0, 0), (-12, 3)))
        ratios = []
        for index in range(60):
            without, with_gain = (one.stretch("train", index, 2000, 4000) for one in (plain, loud))
            ratios.append(with_gain.std() / without.std())
            np.testing.assert_allclose(with_gain, without * ratios[-1], atol=1e-6)
        assert kstest(20 * np.log10(ratios), "uniform", (-12, 15)).pvalue > 0.01

    def test_gains_beyond_full_scale_are_lowered_and_keep_the_form(self):
        plain, loud = (MelodyCorpus(gain=(gain, gain)) for gain in (0, 40))
        for index in range(8):
            without, with_gain = (one.stretch("train", index, 8000, SFREQ) for one in (plain, loud))
            if without.any():
                assert np.abs(with_gain).max() == pytest.approx(1, abs=1e-6) and np.abs(with_gain).max() <= 1
                np.testing.assert_allclose(with_gain, without / np.abs(without).max(), atol=1e-6)


class TestRecord:
    def test_is_json_and_makes_the_same_corpus_again(self):
        corpus = MelodyCorpus(("organ", "flute"), ["free"], {"tempo": 100}, (-3, 0), True, 7)
        settings = json.loads(json.dumps(corpus.settings()))
        assert settings == {
            "corpus": "melodies", "timbres": ["organ", "flute"], "rhythms": ["free"], "grammar": {"tempo": 100},
            "gain": [-3, 0], "beginnings": True, "seed": 7,
        }  # fmt: skip
        assert settings == corpus.settings() and settings.pop("corpus") == "melodies"
        again = MelodyCorpus(**settings)
        assert again == corpus
        np.testing.assert_array_equal(again.stretch("train", 1, 99, SFREQ), corpus.stretch("train", 1, 99, SFREQ))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            (
                {"timbres": ["organ", "flut"]},
                ValueError,
                "timbres: expected one of .*, got 'flut'. Did you mean 'flute'",
            ),
            ({"timbres": []}, ValueError, "timbres: expected one or more of piano, guitar, .*, got none"),
            ({"rhythms": "swing"}, ValueError, "rhythms: expected one of 'isochronous', 'free', got 'swing'"),
            ({"rhythms": ()}, ValueError, "rhythms: expected one or more of isochronous, free, got none"),
            ({"grammar": {"modee": "minor"}}, ValueError, "grammar: expected one of .*, got 'modee'. .* mean 'mode'"),
            ({"grammar": {"rhythm": "free"}}, ValueError, "grammar: expected one of 'mode', 'tonic', .* got 'rhythm'"),
            ({"grammar": {"mode": "dorian"}}, ValueError, "mode: expected one of 'major', 'minor', got 'dorian'"),
            ({"gain": (6, -12)}, ValueError, r"gain: expected the lower end first, got \(6, -12\)"),
            ({"gain": (1,)}, ValueError, r"gain: expected two numbers of decibels, the lower one first, got \(1,\)"),
            ({"seed": 1.0}, TypeError, "seed: expected a whole number, got 1.0"),
            ({"beginnings": "no"}, TypeError, "beginnings: expected True or False, got 'no'"),
            ({"beginnings": 1}, TypeError, "beginnings: expected True or False, got 1"),
        ],
    )
    def test_options_that_are_refused(self, options, error, message):
        with pytest.raises(error, match=message):
            MelodyCorpus(**options)

    @pytest.mark.parametrize(
        ("request_", "error", "message"),
        [
            (("test", 0, 100, SFREQ), ValueError, "part: expected one of 'train', 'validation', got 'test'"),
            (("train", -1, 100, SFREQ), ValueError, "index: expected at least 0, got -1"),
            (("train", 0, 0, SFREQ), ValueError, "n_samples: expected at least 1, got 0"),
            (("train", 0, 100, -1.0), ValueError, "sfreq: expected a finite positive number of hertz, got -1.0"),
        ],
    )
    def test_stretches_that_are_refused(self, request_, error, message):
        with pytest.raises(error, match=message):
            MelodyCorpus().stretch(*request_)
