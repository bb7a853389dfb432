"""Stretches of recordings: their number decides them, and a file that is broken says so."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from eegic.corpus import PARTS, SoundFolder, amplified

SFREQ = 8000


def noise(rng, seconds=1.0, sfreq=SFREQ, level=0.1, channels=1):
    return level * np.clip(rng.standard_normal((round(seconds * sfreq), channels)), -3, 3)


def write(folder, name, samples, sfreq=SFREQ, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".wav":
        options = {"subtype": "FLOAT"} | options
    soundfile.write(path, samples, sfreq, **options)
    return path


def parts_of(corpus):
    return {part: {path.name for path, *_ in corpus._files[part]} for part in PARTS}


def _of_training(folder, paths):
    """Number of the first path that is for training, at a share of 0.3 held out."""
    names = parts_of(SoundFolder(folder, held_out=0.3))["train"]
    return next(number for number, path in enumerate(paths) if path.name in names)


@pytest.fixture
def folder(tmp_path, rng):
    """Twelve recordings, each a constant of its own: a sample tells which recording it is from."""
    for k in range(12):
        write(tmp_path, f"{k:02}.wav", np.full(SFREQ * (1 + k % 3), (k + 1) / 20))
    return tmp_path


def heard(corpus, part, n=60):
    """Which of the constant recordings occur in the first `n` stretches, and how often."""
    return Counter(round(float(corpus.stretch(part, index, 400, SFREQ)[200] * 20)) - 1 for index in range(n))


class TestStretches:
    def test_are_cut_out_of_the_recording_as_they_are(self, tmp_path, rng):
        samples = {f"{k}.wav": noise(rng, 0.2 + 0.1 * k)[:, 0].astype(np.float32) for k in range(8)}
        for name, sound in samples.items():
            write(tmp_path, name, sound)
        corpus = SoundFolder(tmp_path, held_out=0.5)
        for part in PARTS:
            for index in range(12):
                stretch = corpus.stretch(part, index, 500, SFREQ)
                assert stretch.dtype == np.float32
                windows = (np.lib.stride_tricks.sliding_window_view(sound, 500) for sound in samples.values())
                assert sum(int((cut == stretch).all(axis=1).sum()) for cut in windows) == 1

    def test_do_not_depend_on_what_was_asked_before(self, folder):
        one, other = SoundFolder(folder, held_out=0.3, gain=(-6, 6)), SoundFolder(folder, held_out=0.3, gain=(-6, 6))
        forwards = [one.stretch("train", index, 300, 11025) for index in range(8)]
        other.stretch("validation", 3, 77, SFREQ)
        backwards = [other.stretch("train", index, 300, 11025) for index in reversed(range(8))]
        np.testing.assert_array_equal(forwards, backwards[::-1])
        assert len({stretch.tobytes() for stretch in forwards}) > 4

    def test_are_the_same_in_another_process(self, folder):
        code = (
            "import sys, zlib; from eegic.corpus import SoundFolder\n"
            f"corpus = SoundFolder({str(folder)!r}, held_out=0.3, gain=(-6, 6), seed=4)\n"
            "print([zlib.crc32(corpus.stretch(p, i, 300, 11025)) for p in ('train', 'validation') for i in range(4)])\n"
            "print(corpus.settings()['listing_sha256'])"
        )
        runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2)]
        assert runs[0].stdout == runs[1].stdout and runs[0].returncode == 0, runs[0].stderr
        assert SoundFolder(folder, held_out=0.3).settings()["listing_sha256"] in runs[0].stdout

    def test_differ_between_seeds_parts_and_numbers(self, tmp_path, rng):
        for k in range(8):
            write(tmp_path, f"{k}.wav", noise(rng, 2))
        corpora = [SoundFolder(tmp_path, held_out=0.5, seed=seed) for seed in (0, 1)]
        drawn = [one.stretch(part, index, 300, SFREQ) for one in corpora for part in PARTS for index in range(6)]
        assert len({stretch.tobytes() for stretch in drawn}) == 24

    def test_come_from_recordings_in_proportion_to_their_length(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        counts = heard(corpus, "train", 600)
        seconds = {k: 1 + k % 3 for k in counts}
        expected = {k: 600 * length / sum(seconds.values()) for k, length in seconds.items()}
        assert set(counts) == {int(name[:2]) for name in parts_of(corpus)["train"]}
        assert sum((counts[k] - expected[k]) ** 2 / expected[k] for k in counts) < 30  # chi-square, p < 0.001

    def test_start_anywhere_and_reach_the_end(self, tmp_path):
        ramp = np.linspace(0.1, 0.9, 50)
        for k in range(8):
            write(tmp_path, f"{k}.wav", ramp)
        corpus = SoundFolder(tmp_path, held_out=0.5)
        starts = Counter(round((corpus.stretch("train", i, 46, SFREQ)[0] - 0.1) / 0.8 * 49) for i in range(200))
        assert set(starts) == {0, 1, 2, 3, 4} and min(starts.values()) > 20

    def test_channels_are_averaged(self, tmp_path, rng):
        for k in range(8):
            write(tmp_path, f"{k}.wav", np.stack([np.full(900, 0.5), np.full(900, -0.1), np.full(900, 0.2)], axis=1))
        corpus = SoundFolder(tmp_path, held_out=0.5)
        np.testing.assert_allclose(corpus.stretch("train", 0, 300, SFREQ), 0.2, atol=1e-7)

    @pytest.mark.parametrize("rate", [8000, 11025, 44056, 44100, 96000])
    @pytest.mark.parametrize("sfreq", [8000, 11025, 44100, 48000, 12345.6])
    def test_have_the_length_asked_for_at_any_rate(self, tmp_path, rate, sfreq):
        """Of recordings that are just long enough, and hold a tone: its pitch stays."""
        n_samples = 1024
        n_frames = int(np.ceil(n_samples * rate / sfreq))
        tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(n_frames) / rate)
        for k in range(8):
            write(tmp_path, f"{k}.wav", tone, rate)
        corpus = SoundFolder(tmp_path, held_out=0.5)
        stretch = corpus.stretch("train", 0, n_samples, sfreq)
        expected = 0.5 * np.sin(2 * np.pi * 500 * np.arange(n_samples) / sfreq)
        assert stretch.shape == (n_samples,)
        np.testing.assert_allclose(stretch[200:-200], expected[200:-200], atol=2e-3)
        for odd in (1, 2, 17, 1001):
            assert corpus.stretch("train", 0, odd, sfreq).shape == (odd,)
        with pytest.raises(ValueError, match=r"no recording for train lasts .* s. Give longer recordings"):
            corpus.stretch("train", 0, n_samples + int(np.ceil(sfreq / rate)) + 1, sfreq)

    def test_recordings_that_are_too_short_are_passed_over(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        lasting = {int(name[:2]) for name in parts_of(corpus)["train"] if int(name[:2]) % 3 == 2}
        found = {round(float(corpus.stretch("train", i, 20000, SFREQ)[0] * 20)) - 1 for i in range(40)}
        assert found == lasting

    def test_of_a_long_recording_no_more_is_read_than_asked_for(self, tmp_path, rng, monkeypatch):
        for k in range(8):
            write(tmp_path, f"{k}.flac", noise(rng, 90))
        corpus = SoundFolder(tmp_path, held_out=0.5)
        amounts, read = [], soundfile.SoundFile.read

        def counted(self, frames=-1, **options):
            amounts.append(frames)
            return read(self, frames, **options)

        monkeypatch.setattr(soundfile.SoundFile, "read", counted)
        corpus.stretch("train", 5, 4096, 16000)
        assert amounts == [2048]

    def test_which_recordings_are_long_enough_is_found_once_for_each_length(self, folder, monkeypatch):
        corpus = SoundFolder(folder, held_out=0.3)
        first = [corpus.stretch("train", index, 300, SFREQ) for index in range(3)]
        looked_at = []
        monkeypatch.setattr("eegic.corpus._n_read", lambda *args: looked_at.append(args) or 300)
        np.testing.assert_array_equal([corpus.stretch("train", index, 300, SFREQ) for index in range(3)], first)
        assert len(looked_at) == 3  # once for each stretch, not for each of the recordings

    def test_of_many_lengths_are_those_of_a_fresh_corpus(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        for _ in range(2):
            for n_samples in (*range(7990, 8010), 20000):
                found = corpus.stretch("train", 3, n_samples, SFREQ)
                fresh = SoundFolder(folder, held_out=0.3).stretch("train", 3, n_samples, SFREQ)
                np.testing.assert_array_equal(found, fresh)

    def test_may_be_asked_for_in_another_process_by_a_corpus_that_was_sent_there(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        stretch, settings = corpus.stretch("train", 2, 300, SFREQ), corpus.settings()
        sent = pickle.loads(pickle.dumps(corpus))
        np.testing.assert_array_equal(sent.stretch("train", 2, 300, SFREQ), stretch)
        assert sent.settings() == settings and sent == corpus


class TestLevels:
    def test_quiet_stretches_are_passed_over(self, tmp_path):
        """Half of each recording is 20 dB below the floor."""
        for k in range(8):
            write(tmp_path, f"{k}.wav", np.repeat([0.001, 0.1], 4000))
        part = [SoundFolder(tmp_path, held_out=0.5, floor=floor) for floor in (0.01, 0.0)]
        rms = [[np.sqrt(np.mean(one.stretch("train", i, 200, SFREQ) ** 2)) for i in range(40)] for one in part]
        assert min(rms[0]) >= 0.01
        assert min(rms[1]) == pytest.approx(0.001, rel=1e-5)

    def test_of_recordings_with_little_sound_every_stretch_can_be_had(self, tmp_path):
        """A tenth of each is loud, the rest faint noise: of 50 stretches in a row none is loud once in 200 times."""
        faint_and_loud = np.repeat([0.0001, 0.1], [7200, 800])
        for k in range(8):
            write(tmp_path, f"{k}.wav", faint_and_loud)
        corpus = SoundFolder(tmp_path, held_out=0.5, floor=0.05)
        with pytest.warns(UserWarning) as caught:
            levels = np.array([corpus.stretch("train", index, 10, SFREQ).max() for index in range(1000)])
        assert len(caught) == 1 and caught[0].filename == __file__
        assert "50 stretches for train in a row were below 0.05 of full scale" in str(caught[0].message)
        assert 0 < np.sum(levels < 0.05) < 20  # 5 expected

    def test_where_all_is_below_the_floor_the_loudest_of_those_drawn_is_taken(self, tmp_path, monkeypatch):
        for k in range(8):
            write(tmp_path, f"{k}.wav", np.linspace(0.01, 0.09, 8000))
        corpus = SoundFolder(tmp_path, held_out=0.5, floor=0.3)
        drawn, read = [], soundfile.SoundFile.read

        def remembered(self, *args, **options):
            drawn.append(read(self, *args, **options))
            return drawn[-1]

        monkeypatch.setattr(soundfile.SoundFile, "read", remembered)
        with pytest.warns(UserWarning, match="lower `floor`"):
            found = corpus.stretch("train", 0, 10, SFREQ)
        assert len(drawn) == 50
        loudest = max(drawn, key=lambda samples: samples.mean())
        np.testing.assert_array_equal(found, loudest[:, 0].astype(np.float32))

    def test_digital_silence_is_drawn_again_until_there_is_sound(self, tmp_path):
        """One sample in fifty: of 50 stretches in a row all are silent once in three times."""
        clicks = np.zeros(8000)
        clicks[::50] = 0.5
        for k in range(8):
            write(tmp_path, f"{k}.wav", clicks)
        corpus = SoundFolder(tmp_path, held_out=0.5)
        assert all(corpus.stretch("train", index, 1, SFREQ) == np.float32(0.5) for index in range(40))

    def test_what_is_silent_throughout_is_refused_unless_silence_is_wanted(self, tmp_path):
        for k in range(8):
            write(tmp_path, f"{k}.wav", np.zeros(8000))
        with pytest.raises(ValueError, match=r"1000 stretches for validation in a row were silent.* floor=0"):
            SoundFolder(tmp_path, held_out=0.5).stretch("validation", 0, 100, SFREQ)
        assert not SoundFolder(tmp_path, held_out=0.5, floor=0).stretch("validation", 0, 100, SFREQ).any()

    def test_gains_are_uniform_in_decibels(self, tmp_path):
        from scipy.stats import kstest

        for k in range(8):
            write(tmp_path, f"{k}.wav", np.full(500, 0.01))
        corpus = SoundFolder(tmp_path, held_out=0.5, gain=(-12, 6))
        decibels = [20 * np.log10(corpus.stretch("train", i, 20, SFREQ)[0] / 0.01) for i in range(200)]
        assert kstest(decibels, "uniform", (-12, 18)).pvalue > 0.01

    @pytest.mark.parametrize(("level", "gain"), [(0.7, (40, 40)), (0.2, (15, 15)), (3.0, (0, 0)), (3.0, (-6, -6))])
    def test_no_peak_passes_full_scale_and_the_wave_keeps_its_form(self, tmp_path, level, gain):
        wave = np.sin(np.arange(3000) * 0.37)
        for k in range(8):
            write(tmp_path, f"{k}.wav", level * wave)
        stretch = SoundFolder(tmp_path, held_out=0.5, gain=gain).stretch("train", 1, 2999, SFREQ)
        assert stretch.max() <= 1 and stretch.max() == pytest.approx(min(1, level * 10 ** (gain[0] / 20)), abs=1e-3)
        shifted = [np.corrcoef(stretch, wave[k : 2999 + k])[0, 1] for k in (0, 1)]
        assert max(shifted) == pytest.approx(1, abs=1e-6)

    def test_rounding_does_not_pass_full_scale(self, rng):
        for samples in rng.uniform(-1, 1, (300, 20)).astype(np.float32):
            assert np.abs(amplified(samples, 60.0)).max() <= 1

    def test_a_resampled_square_wave_stays_within_full_scale(self, tmp_path):
        for k in range(8):
            write(tmp_path, f"{k}.wav", np.sign(np.sin(2 * np.pi * 90.3 * np.arange(8000) / SFREQ)))
        stretch = SoundFolder(tmp_path, held_out=0.5).stretch("train", 0, 8000, 44100)
        assert np.abs(stretch).max() == 1


class TestParts:
    def test_never_share_a_recording(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        names = parts_of(corpus)
        assert not names["train"] & names["validation"]
        assert names["train"] | names["validation"] == {f"{k:02}.wav" for k in range(12)}
        assert not set(heard(corpus, "train")) & set(heard(corpus, "validation"))

    def test_a_recording_stays_in_its_part_when_others_come(self, folder, rng):
        before = parts_of(SoundFolder(folder, held_out=0.3))
        for k in range(20):
            write(folder, f"new {k}.flac", noise(rng, 0.1))
        after = parts_of(SoundFolder(folder, held_out=0.3))
        assert all(before[part] < after[part] for part in PARTS)

    def test_a_larger_share_takes_more_and_gives_nothing_back(self, folder):
        shares = [parts_of(SoundFolder(folder, held_out=share))["validation"] for share in (0.2, 0.4, 0.6, 0.8)]
        assert all(less <= more for less, more in pairwise(shares))
        assert len(shares[0]) < len(shares[-1])

    def test_the_share_is_met_over_many_names(self, tmp_path):
        tone = write(tmp_path, "tone.wav", np.full(100, 0.1)).read_bytes()
        for k in range(400):
            (tmp_path / f"{k}.wav").write_bytes(tone)
        n_held_out = len(parts_of(SoundFolder(tmp_path, held_out=0.25))["validation"])
        assert 100 - 3 * 8.7 < n_held_out < 100 + 3 * 8.7  # of a binomial distribution, SD 8.7

    def test_equal_names_in_different_folders_are_different_recordings(self, tmp_path):
        for k in range(20):
            write(tmp_path, f"album {k}/deep/track.wav", np.full(300, (k + 1) / 40))
        corpus = SoundFolder(tmp_path, held_out=0.5)
        sizes = [len(corpus._files[part]) for part in PARTS]
        assert sum(sizes) == 20 and min(sizes) > 3

    def test_a_folder_may_move(self, folder, tmp_path_factory):
        before = SoundFolder(folder, held_out=0.3, seed=2)
        settings, stretch = before.settings(), before.stretch("train", 4, 300, SFREQ)
        moved = SoundFolder(str(folder.rename(tmp_path_factory.mktemp("elsewhere") / "music")), held_out=0.3, seed=2)
        assert moved.settings() == settings
        np.testing.assert_array_equal(moved.stretch("train", 4, 300, SFREQ), stretch)


class TestFormats:
    @pytest.mark.parametrize(
        ("suffix", "options", "tolerance"),
        [
            ("wav", {"subtype": "PCM_16"}, 1e-4),
            ("WAV", {"subtype": "PCM_24", "format": "WAV"}, 1e-6),
            ("flac", {}, 1e-4),
            ("aif", {"format": "AIFF", "subtype": "PCM_16"}, 1e-4),
            ("ogg", {}, 0.05),
            ("opus", {"format": "OGG", "subtype": "OPUS"}, 0.05),
            ("mp3", {}, 0.05),
        ],
    )
    def test_what_soundfile_writes_is_found(self, tmp_path, suffix, options, tolerance):
        """Two channels with a tone each, of which the mean is heard; near the end as well."""
        time = np.arange(48000) / 48000
        left, right = 0.4 * np.sin(2 * np.pi * 440 * time), 0.2 * np.sin(2 * np.pi * 660 * time)
        for k in range(8):
            write(tmp_path, f"{k}.{suffix}", np.stack([left, right], axis=1), 48000, **options)
        corpus = SoundFolder(tmp_path, held_out=0.5)
        assert corpus.settings()["recordings"] == 8
        basis = np.stack([np.exp(2j * np.pi * f * np.arange(24000) / 48000) for f in (440, 660)])
        for index in range(3):
            amplitudes = np.abs(basis @ corpus.stretch("train", index, 24000, 48000)) * 2 / 24000
            np.testing.assert_allclose(amplitudes, [0.2, 0.1], atol=tolerance)

    def test_what_is_no_sound_is_not_looked_at(self, folder):
        before = SoundFolder(folder, held_out=0.3).settings()
        for name in ("cover.jpg", "notes.txt", "a.wav.part", "wav"):
            (folder / name).write_bytes(b"anything")
        (folder / "b.wav").mkdir()
        assert SoundFolder(folder, held_out=0.3).settings() == before


class TestFaults:
    def test_files_that_cannot_be_used_are_left_out_and_named(self, folder):
        sound = (folder / "00.wav").read_bytes()
        before = parts_of(SoundFolder(folder, held_out=0.3))
        (folder / "empty.wav").write_bytes(b"")
        (folder / "text.flac").write_bytes(b"this is no flac" * 40)
        (folder / "head.mp3").write_bytes(sound[:20])
        (folder / "bare.raw").write_bytes(sound)
        write(folder, "silent/nothing.wav", np.zeros((0, 1)))
        with pytest.warns(UserWarning, match="left out 5 files: .* and 1 more. Copy again, or take out") as caught:
            corpus = SoundFolder(folder, held_out=0.3)
        text = str(caught[0].message)
        assert "bare.raw (it has no header)" in text and "empty.wav (Format not recognised.)" in text
        assert caught[0].filename == __file__
        assert parts_of(corpus) == before

    def test_a_file_without_samples_is_left_out(self, folder):
        write(folder, "nothing.wav", np.zeros((0, 1)))
        with pytest.warns(UserWarning, match=r"left out 1 file: 'nothing.wav \(it holds no samples\)'"):
            SoundFolder(folder, held_out=0.3)

    def test_a_file_that_does_not_say_how_long_it_is_is_left_out(self, folder, rng):
        """As a FLAC that was written into a pipe: the total number of samples stands in 36 bits, and they are 0."""
        path = write(folder, "piped.flac", noise(rng))
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=r"piped.flac \(it does not say how long it is\)"):
            corpus = SoundFolder(folder, held_out=0.3)
        assert corpus.settings()["recordings"] == 12

    @pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg"])
    def test_of_files_that_were_cut_what_is_left_is_used(self, tmp_path, rng, suffix):
        """Their libraries say how much is left."""
        sound = noise(rng, 1, 44100)
        for k in range(8):
            path = write(tmp_path, f"{k}.{suffix}", sound, 44100)
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        corpus = SoundFolder(tmp_path, held_out=0.5)
        assert all(np.isfinite(corpus.stretch("train", i, 4410, 44100)).all() for i in range(10))

    @pytest.mark.parametrize("fault", ["flac", "mp3", "nan", "inf", "gone"])
    def test_for_a_recording_that_turns_out_broken_others_are_drawn(self, tmp_path, rng, fault):
        """And the file is named once, however often it is met; which others, the number of the stretch decides."""
        suffix = fault if fault in ("flac", "mp3") else "wav"
        paths = [write(tmp_path, f"{k}.{suffix}", noise(rng, 1, 44100), 44100) for k in range(12)]
        broken = paths[_of_training(tmp_path, paths)]
        if fault in ("flac", "mp3"):
            broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 3])
        elif fault != "gone":
            write(tmp_path, broken.name, np.full(44100, float(fault)), 44100)
        corpora = [SoundFolder(tmp_path, held_out=0.3) for _ in range(2)]
        if fault == "gone":
            broken.unlink()
        why = "holds samples that are not finite" if fault in ("nan", "inf") else "cannot be read at|breaks off at"
        expected = f"{broken.name}: ({why}).* Another stretch is drawn instead"
        with pytest.warns(UserWarning, match=expected) as caught:
            found = [corpora[0].stretch("train", index, 4410, 44100) for index in range(60)]
        assert len(caught) == 1 and caught[0].filename == __file__
        assert all(np.isfinite(stretch).all() and stretch.any() for stretch in found)
        with pytest.warns(UserWarning, match=expected):
            again = [corpora[1].stretch("train", index, 4410, 44100) for index in reversed(range(60))]
        np.testing.assert_array_equal(found, again[::-1])

    def test_a_broken_recording_changes_no_stretch_of_the_others(self, folder):
        before = SoundFolder(folder, held_out=0.3)
        expected = [before.stretch("train", index, 300, SFREQ) for index in range(60)]
        number = _of_training(folder, sorted(folder.glob("*.wav")))
        path = folder / f"{number:02}.wav"
        write(folder, path.name, np.full(soundfile.info(path).frames, np.nan))
        after = SoundFolder(folder, held_out=0.3)
        with pytest.warns(UserWarning, match="not finite"):
            found = [after.stretch("train", index, 300, SFREQ) for index in range(60)]
        own = np.float32((number + 1) / 20)
        met = [index for index in range(60) if expected[index][0] == own]
        assert 0 < len(met) < 30
        for index in range(60):
            assert (found[index][0] != own) if index in met else np.array_equal(found[index], expected[index])

    def test_where_no_recording_can_be_read_the_last_is_named(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        for path in folder.glob("*.wav"):
            path.unlink()
        message = r"none of 1000 stretches for train could be read. The last: .*\d\d.wav: cannot be .* Copy"
        with pytest.warns(UserWarning, match="cannot be read at") as caught, pytest.raises(ValueError, match=message):
            corpus.stretch("train", 0, 100, SFREQ)
        assert len(caught) == len(parts_of(corpus)["train"])

    def test_a_folder_that_is_none(self, tmp_path):
        (tmp_path / "file.wav").write_bytes(b"")
        for name in ("missing", "file.wav"):
            with pytest.raises(NotADirectoryError, match=f"{name}: expected a folder of recordings, got no folder"):
                SoundFolder(tmp_path / name)

    def test_a_folder_without_recordings(self, tmp_path):
        with pytest.raises(ValueError, match="expected at least two recordings, .*; 0 could be opened. Give more"):
            SoundFolder(tmp_path)

    @pytest.mark.parametrize(("held_out", "alone"), [(1e-6, "validation"), (1 - 1e-6, "train")])
    def test_each_part_has_a_recording_whatever_the_share(self, folder, held_out, alone):
        """Of those that the share would leave out, the one whose name comes nearest."""
        parts = parts_of(SoundFolder(folder, held_out=held_out))
        assert len(parts[alone]) == 1 and sum(map(len, parts.values())) == 12
        shares = [parts_of(SoundFolder(folder, held_out=share))["validation"] for share in (0.2, 0.4, 0.6, 0.8)]
        assert all(one <= other for one, other in pairwise(shares))
        if alone == "validation":
            assert parts[alone] <= shares[-1]

    def test_home_is_found(self, folder, monkeypatch):
        monkeypatch.setenv("HOME", str(folder.parent))
        monkeypatch.setenv("USERPROFILE", str(folder.parent))
        assert parts_of(SoundFolder(f"~/{folder.name}")) == parts_of(SoundFolder(folder))
        assert SoundFolder(f"~/{folder.name}").settings() == SoundFolder(folder).settings()

    def test_all_too_short(self, folder):
        with pytest.raises(ValueError, match="no recording for validation lasts 10 s. Give longer recordings"):
            SoundFolder(folder, held_out=0.3).stretch("validation", 0, 80000, SFREQ)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"held_out": 0}, ValueError, "held_out: expected a share between 0 and 1, got 0"),
            ({"held_out": 1}, ValueError, "held_out: expected a share between 0 and 1, got 1"),
            ({"held_out": None}, TypeError, "held_out: expected a number .*, got None"),
            ({"floor": -0.1}, ValueError, "floor: expected 0 or more, got -0.1. 0 takes all stretches"),
            ({"gain": (3, -3)}, ValueError, r"gain: expected the lower end first, got \(3, -3\)"),
            ({"gain": 3}, ValueError, "gain: expected two numbers of decibels, the lower one first, got 3"),
            ({"gain": (0, 1, 2)}, ValueError, "gain: expected two numbers of decibels"),
            ({"gain": (0, np.nan)}, ValueError, "gain: expected a finite number of decibels, got nan"),
            ({"gain": "ab"}, TypeError, "gain: expected a number of decibels, got 'a'"),
            ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ],
    )
    def test_options_that_are_refused(self, folder, options, error, message):
        with pytest.raises(error, match=message):
            SoundFolder(folder, **options)

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"part": "test"}, ValueError, "part: expected one of 'train', 'validation', got 'test'"),
            ({"index": -1}, ValueError, "index: expected at least 0, got -1"),
            ({"index": 1.5}, TypeError, "index: expected a whole number, got 1.5"),
            ({"n_samples": 0}, ValueError, "n_samples: expected at least 1, got 0"),
            ({"sfreq": 0}, ValueError, "sfreq: expected a finite positive number of hertz, got 0"),
        ],
    )
    def test_stretches_that_are_refused(self, folder, changes, error, message):
        request = {"part": "train", "index": 0, "n_samples": 100, "sfreq": 8000.0}
        with pytest.raises(error, match=message):
            SoundFolder(folder, held_out=0.3).stretch(**(request | changes))


class TestRecord:
    def test_is_json_and_says_how_stretches_are_drawn(self, folder):
        settings = SoundFolder(folder, held_out=0.3, floor=0.01, gain=(-6, 0), seed=3).settings()
        assert json.loads(json.dumps(settings)) == settings
        digest = settings.pop("listing_sha256")
        assert len(digest) == 64
        assert settings == {
            "corpus": "folder", "recordings": 12, "held_out": 0.3, "floor": 0.01, "gain": [-6, 0], "seed": 3,
        }  # fmt: skip

    def test_changes_with_the_recordings(self, folder, rng):
        listings = [SoundFolder(folder, held_out=0.3).settings()["listing_sha256"]]
        changes = (
            lambda: write(folder, "new.wav", noise(rng)),
            lambda: write(folder, "new.wav", noise(rng, 2)),
            lambda: write(folder, "new.wav", noise(rng, 2), 2 * SFREQ),
            lambda: (folder / "new.wav").rename(folder / "other.wav"),
            lambda: (folder / "03.wav").unlink(),
        )
        for change in changes:
            change()
            listings.append(SoundFolder(folder, held_out=0.3).settings()["listing_sha256"])
        assert len(set(listings)) == 6
        assert listings[0] != SoundFolder(folder, held_out=0.6).settings()["listing_sha256"]

    @pytest.mark.parametrize("place", ["start", "end", "size"])
    def test_changes_with_other_sound_under_the_same_names_and_lengths(self, folder, rng, place):
        before = SoundFolder(folder, held_out=0.3).settings()["listing_sha256"]
        path = folder / "05.wav"
        content = bytearray(path.read_bytes())
        if place == "size":
            content += bytes(8)  # after the last chunk: it is heard nowhere
        else:
            content[200 if place == "start" else -2] ^= 1
        path.write_bytes(content)
        after = SoundFolder(folder, held_out=0.3)
        assert after.settings()["recordings"] == 12
        assert after.settings()["listing_sha256"] != before

    def test_is_the_same_for_a_copy_of_another_time(self, folder, tmp_path_factory):
        copy = tmp_path_factory.mktemp("copy") / "music"
        shutil.copytree(folder, copy)
        for path in copy.glob("*.wav"):
            os.utime(path, (0, 0))
        assert SoundFolder(copy, held_out=0.3).settings() == SoundFolder(folder, held_out=0.3).settings()

    def test_of_a_long_file_no_more_than_the_ends_is_read_and_once_only(self, tmp_path, rng, monkeypatch):
        for k in range(8):
            write(tmp_path, f"{k}.wav", noise(rng, 8))  # 256000 bytes
        corpus = SoundFolder(tmp_path, held_out=0.5)
        amounts = []

        class Counted(io.FileIO):
            def read(self, size=-1):
                content = super().read(size)
                amounts.append(len(content))
                return content

        monkeypatch.setattr("eegic.corpus.open", lambda path, mode: Counted(path), raising=False)
        settings = corpus.settings()
        assert amounts == [2**16] * 16
        assert corpus.settings() == settings and len(amounts) == 16

    def test_a_file_that_went_away_is_named(self, folder):
        corpus = SoundFolder(folder, held_out=0.3)
        (folder / "05.wav").unlink()
        with pytest.raises(FileNotFoundError, match=r"05.wav: cannot be read \(No such file .*\). Copy it again"):
            corpus.settings()
