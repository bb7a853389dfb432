"""MIDI files become scores, scores become sound, and sound is compared with the envelope that was shipped."""

import sys
import time
import warnings

import numpy as np
import pytest

from eegic import Audio, FeatureSeries, envelope
from eegic.datasets import TIMBRES, Melody, MelodyGrammar
from eegic.datasets.scores.agreement import check_rendering
from eegic.datasets.scores.midi import read_midi, write_midi
from eegic.datasets.scores.rendering import find_synthesiser, render_midi
from eegic.datasets.scores.score import Score

mido = pytest.importorskip("mido")

FIELDS = ("pitches", "velocities", "channels", "programs", "tracks")


@pytest.fixture(autouse=True)
def no_soundfont(monkeypatch):
    monkeypatch.delenv("EEGIC_SOUNDFONT", raising=False)


@pytest.fixture
def written(tmp_path):
    """Write tracks of (tick, message) as a MIDI file."""

    def write(*tracks, name="piece.mid", ticks_per_beat=480, kind=1, end=None):
        file = mido.MidiFile(type=kind, ticks_per_beat=ticks_per_beat)
        for events in tracks:
            now, messages = 0, []
            for tick, message in events:
                messages.append(message.copy(time=tick - now))
                now = tick
            stop = mido.MetaMessage("end_of_track", time=max(0, (end or now) - now))
            file.tracks.append(mido.MidiTrack([*messages, stop]))
        file.save(tmp_path / name)
        return tmp_path / name

    return write


def on(pitch, velocity=80, channel=0):
    return mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)


def off(pitch, channel=0):
    return mido.Message("note_off", note=pitch, channel=channel)


def pedal(value, channel=0):
    return mido.Message("control_change", control=64, value=value, channel=channel)


def tempo(microseconds):
    return mido.MetaMessage("set_tempo", tempo=microseconds)


def tune(seed, *, duration=16, rhythm="free", name=None):
    melody = MelodyGrammar(rhythm=rhythm, style=seed).sample(duration=duration, rng=seed)
    return Score.from_melody(melody, name=name or f"tune{seed}")


def play(score, timbre="piano", sfreq=22050):
    return render_midi(score, synthesiser="builtin", timbre=timbre, sfreq=sfreq)


def quick(score, timbre="piano"):
    return play(score, timbre, 8000)


def stretched(score, factor):
    return Score(score.onsets * factor, score.durations * factor, score.pitches, score.velocities, name=score.name)


def shifted(sound, seconds):
    return Audio(np.concatenate([np.zeros(round(seconds * sound.sfreq)), sound.samples[:, 0]]), sound.sfreq, sound.name)


# reading


def test_times_follow_the_tempo_changes_of_all_tracks(written):
    conductor = [(0, tempo(1_000_000)), (480, tempo(250_000)), (1440, tempo(500_000))]
    notes = [(0, on(60)), (240, off(60)), (240, on(62)), (960, off(62)), (1440, on(64)), (1920, off(64))]
    score = read_midi(written(notes, conductor))  # the tempo stands in the last track
    np.testing.assert_allclose(score.onsets, [0.0, 0.5, 1.5])
    np.testing.assert_allclose(score.durations, [0.5, 0.75, 0.5])
    assert score.duration == pytest.approx(2.0) and score.name == "piece"


def test_without_a_tempo_there_are_120_quarters_a_minute(written):
    score = read_midi(written([(96, on(60)), (192, off(60))], ticks_per_beat=96, kind=0, end=480))
    assert (score.onsets[0], score.durations[0], score.duration) == pytest.approx((0.5, 0.5, 2.5))


@pytest.mark.parametrize(("frames", "rate"), [(24, 24), (25, 25), (29, 30000 / 1001), (30, 30)])
def test_smpte_time_counts_frames_whatever_the_tempo(written, frames, rate):
    path = written([(0, tempo(100_000)), (40, on(60)), (120, off(60))], ticks_per_beat=256 * -frames + 40)
    score = read_midi(path)
    np.testing.assert_allclose([score.onsets[0], score.durations[0]], [1 / rate, 2 / rate])


def test_velocity_0_ends_a_note_and_running_status_is_understood(tmp_path):
    # one status byte for three messages, as sequencers write it
    track = bytes([0, 0x90, 60, 64, 0x60, 60, 0, 0, 62, 100, 0x60, 62, 0, 0, 0xFF, 0x2F, 0])
    header = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1, 0, 0x60])
    (tmp_path / "raw.mid").write_bytes(header + b"MTrk" + len(track).to_bytes(4, "big") + track)
    score = read_midi(tmp_path / "raw.mid", name="mine")
    np.testing.assert_allclose(score.durations, [0.5, 0.5])
    assert score.velocities.tolist() == [64, 100] and score.name == "mine"


def test_the_first_note_of_a_pitch_to_start_is_the_first_to_end(written):
    score = read_midi(written([(0, on(60)), (240, on(60)), (480, off(60)), (960, off(60))]))
    np.testing.assert_allclose(score.durations, [0.5, 0.75])


def test_both_hands_may_hold_one_key(written):
    left, right = [(0, on(60)), (960, off(60))], [(240, on(60)), (480, off(60))]
    score = read_midi(written(left, right))
    np.testing.assert_allclose(score.durations, [1.0, 0.25])
    assert score.tracks.tolist() == [0, 1]


def test_the_pedal_holds_what_is_let_go_until_it_comes_up_or_the_key_is_struck_again(written):
    score = read_midi(
        written(
            [
                (0, on(60)),
                (0, on(64)),
                (0, on(72, channel=1)),
                (100, pedal(127)),
                (480, off(60)),
                (480, off(64)),
                (480, off(72, channel=1)),
                (960, on(60)),
                (1200, off(60)),
                (1440, pedal(63)),
            ]
        )
    )
    np.testing.assert_allclose(score.onsets, [0, 0, 0, 1.0])
    np.testing.assert_allclose(score.durations, [1.0, 1.5, 0.5, 0.5])  # 60, 64, 72 on a channel without pedal, 60


def test_a_pedal_changed_on_the_beat_does_not_blur_harmonies(written):
    notes = [(0, pedal(127)), (0, on(60)), (480, pedal(0)), (480, pedal(127)), (480, off(60)), (480, on(62))]
    score = read_midi(written([*notes, (960, off(62)), (1440, pedal(0))]))
    np.testing.assert_allclose(score.durations, [0.5, 1.0])


def test_a_note_without_end_lasts_until_the_end_and_is_told(written):
    path = written([(0, on(60)), (480, off(60)), (480, off(61)), (480, on(64))], end=1920)
    with pytest.warns(UserWarning, match=r"piece.mid: notes that are never let go: 1"):
        score = read_midi(path)
    np.testing.assert_allclose(score.durations, [0.5, 1.5])


def test_programs_are_those_of_the_channel_when_the_note_starts(written):
    def program(number, channel):
        return mido.Message("program_change", program=number, channel=channel)

    first = [(0, program(40, 0)), (0, on(60)), (480, off(60)), (480, on(60, channel=9)), (500, off(60, channel=9))]
    second = [(480, program(41, 0)), (960, on(62)), (1000, off(62))]
    score = read_midi(written(first, second))
    assert score.programs.tolist() == [40, 0, 41] and score.channels.tolist() == [1, 10, 1]
    assert score.percussion.tolist() == [False, True, False]
    assert repr(score) == "Score(piece: 3 notes, 1 of them percussion in 1.0 s, pitches 60 to 62)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty one"),
        (b"RIFF....WAVE", "begins with b'RIFF'"),
        (b"MThd\x00\x00\x00\x06\x00\x01", "ends too early"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x01\xe0", "holds no notes"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x00\x00", "ticks without a length"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x85\x28", "123 SMPTE frames"),
    ],
)
def test_what_is_no_music_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "odd.mid").write_bytes(content)
    with pytest.raises(ValueError, match=f"odd.mid.*{message}"):
        read_midi(tmp_path / "odd.mid")


def test_files_that_are_not_there_asynchronous_or_endless_are_refused(tmp_path, written):
    notes = [(0, on(60)), (480, off(60))]
    with pytest.raises(FileNotFoundError, match="no such MIDI file"):
        read_midi(tmp_path / "none.mid")
    with pytest.raises(IsADirectoryError, match="got a folder"):
        read_midi(tmp_path)
    with pytest.raises(ValueError, match="got 2 of format 2"):
        read_midi(written(notes, notes, kind=2))
    assert read_midi(written(notes, kind=2)).n_notes == 1
    with pytest.raises(ValueError, match="more than 3 h is taken for damage"):
        read_midi(written(notes, end=480 * 2 * 60 * 60 * 4))
    with pytest.raises(ValueError, match=r"beyond 2\*\*53 ticks"):
        read_midi(written(notes, end=2**54))


def test_damaged_files_are_read_or_refused_by_name_never_anything_else(tmp_path, rng):
    write_midi(tune(0, duration=8), tmp_path / "good.mid")
    good = bytearray((tmp_path / "good.mid").read_bytes())
    path, refused = tmp_path / "bad.mid", 0
    for trial in range(150):
        bad = bytearray(good)
        bad[int(rng.integers(4, 80 if trial % 2 else len(bad)))] = int(rng.integers(256))
        path.write_bytes(bad[: int(rng.integers(20, len(bad)))] if trial % 3 == 0 else bad)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                assert read_midi(path).n_notes
        except ValueError as error:
            assert str(error).startswith(str(path))
            refused += 1
    assert 50 < refused < 150


def test_without_mido_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ImportError, match=r"pip install 'eegic\[io\]'"):
        read_midi(tmp_path / "any.mid")


# writing


def test_what_is_written_is_read_again(tmp_path, rng):
    n = 200
    score = Score(
        rng.uniform(0, 60, n).cumsum() / 20,
        rng.uniform(0.05, 0.1, n),
        np.arange(n) % 128,  # no pitch overlaps itself
        rng.integers(1, 128, n),
        channels=rng.integers(1, 17, n),
        programs=rng.integers(0, 128, n),
        tracks=rng.integers(0, 4, n),
        duration=400.0,
    )
    write_midi(score, tmp_path / "score.mid")
    again = read_midi(tmp_path / "score.mid")
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(again, field), getattr(score, field), err_msg=field)
    np.testing.assert_allclose(again.onsets, score.onsets, atol=3e-5)
    np.testing.assert_allclose(again.durations, score.durations, atol=6e-5)
    assert again.duration == pytest.approx(400)


def test_repeated_notes_and_melodies_survive(tmp_path):
    melody = Melody([60, 60, 60], [0.5, 1.0, 1.5], [0.5] * 3, [70, 80, 90], [1.0] * 3, [0.0] * 3, 3.0, 60, 2.0)
    write_midi(melody, tmp_path / "melody.mid")
    again = read_midi(tmp_path / "melody.mid")
    np.testing.assert_allclose([again.onsets, again.durations], [melody.onsets, melody.durations], atol=1e-4)
    assert again.velocities.tolist() == [70, 80, 90] and again.duration == pytest.approx(3.0)
    with pytest.raises(TypeError, match="expected a Score or a Melody, got list"):
        write_midi([60], tmp_path / "melody.mid")


# scores


def test_notes_are_put_in_order_and_chords_become_one_impulse():
    score = Score([1.0, 0.0, 1.0, 2.0], [1, 1, 1, 0.5], [60, 50, 67, 99], [30, 20, 10, 127], channels=[1, 1, 1, 10])
    assert score.pitches.tolist() == [50, 60, 67, 99] and score.duration == 2.5
    expected = {"onset": [1, 1, 1], "velocity": [20, 30, 127], "pitch": [50, 67]}
    for kind, values in expected.items():
        series = score.impulses(kind)
        assert series.values[:, 0].tolist() == values and series.times.tolist() == [0.0, 1.0, 2.0][: len(values)]
    assert score.impulses().resample(2, duration=3, kind="impulse").values[:, 0].tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], [], []), {}, "onsets: expected at least one note, got 0"),
        (([0.0, -1], [1, 1], [60, 60]), {}, "onsets: expected finite seconds, 0 or more, got -1"),
        (([0.0], [np.nan], [60]), {}, "durations: expected finite seconds"),
        (([0.0], [1.0], [60, 61]), {}, r"pitches: expected one value per note \(1\), got 2"),
        (([0.0], [1.0], [60.5]), {}, "pitches: expected whole numbers from 0 to 127, got 60.5"),
        (([0.0], [1.0], [60], 0), {}, "velocities: expected whole numbers from 1 to 127, got 0"),
        (([0.0], [1.0], [60]), {"channels": 0}, "channels: expected whole numbers from 1 to 16, got 0"),
        (([0.0], [2.0], [60]), {"duration": 1.0}, "duration: the last note ends at 2 s, after 1 s"),
        (([0.0], [0.0], [60]), {}, "duration: expected a finite positive number"),
    ],
)
def test_scores_that_cannot_be(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Score(*arguments, **options)


def test_drums_have_no_pitch():
    with pytest.raises(ValueError, match="all notes are percussion"):
        Score([0.0], [1.0], [36], channels=10).impulses("pitch")


# sound


@pytest.mark.parametrize("timbre", TIMBRES)
def test_every_note_of_a_chord_sounds_when_it_starts(timbre):
    score = Score([0.5, 0.5, 1.5], [0.8, 0.8, 0.5], [57, 64, 73])
    sound = play(score, timbre=timbre)
    assert len(sound.samples) == 2 * 22050 and np.abs(sound.samples).max() < 0.95
    assert not sound.samples[:11020].any()
    for start, present, absent in ((0.7, (57, 64), 73), (1.6, (73,), 64)):
        piece = sound.samples[round(start * 22050) :][:8192, 0] * np.hanning(8192)
        size = np.abs(np.fft.rfft(piece, 65536))
        level = {p: size[round(440 * 2 ** ((p - 69) / 12) / 22050 * 65536)] for p in (*present, absent)}
        assert min(level[p] for p in present) > 10 * level[absent]


def test_one_voice_sounds_as_the_melody_does():
    from eegic.datasets import synthesise

    melody = MelodyGrammar(rhythm="free").sample(duration=8, rng=3)
    expected = synthesise(melody, timbre="flute").samples
    np.testing.assert_allclose(play(Score.from_melody(melody), timbre="flute").samples, expected, atol=2e-6)


def test_level_is_proportional_to_velocity_and_fortissimo_chords_do_not_clip():
    sound = play(Score([0.0, 1.0], [0.5, 0.5], [67, 67], [100, 25], duration=2.0)).samples[:, 0]
    np.testing.assert_allclose(sound[:12000], 4 * sound[22050:34050], atol=1e-6)
    loud = play(Score(np.zeros(40), np.full(40, 0.2), np.arange(40, 80), 127, duration=9.0)).samples
    assert np.abs(loud).max() < 0.951


def test_nothing_clicks_at_high_rates_nor_aliases_at_low_ones():
    score = Score([0.0, 0.3], [0.3, 0.6], [60, 79], duration=1.2)
    samples = play(score, sfreq=96000).samples[:, 0]
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    assert power[np.fft.rfftfreq(2 * len(samples), 1 / 96000) > 15000].sum() < 1e-9 * power.sum()
    with pytest.raises(ValueError, match="nothing sounds"):
        play(Score([0.0], [1.0], [96]), sfreq=4000)  # 2093 Hz
    mixed = play(Score([0.0, 0.0], [1.0, 1.0], [60, 96]), sfreq=4000)
    np.testing.assert_allclose(mixed.samples, play(Score([0.0], [1.0], [60]), sfreq=4000).samples, atol=1e-6)


def test_drums_are_short_noise_and_the_same_every_time():
    score = Score([0.1, 1.1, 2.1], [0.0, 0.0, 0.0], [36, 36, 38], channels=10, duration=3.0)
    sound = play(score).samples[:, 0]
    kick, again, snare = (sound[round(t * 22050) :][:5000] for t in score.onsets)
    np.testing.assert_array_equal(kick, again)
    assert abs(np.corrcoef(kick, snare)[0, 1]) < 0.2
    assert not sound[round(0.31 * 22050) : round(1.09 * 22050)].any() and np.abs(kick[:2000]).max() > 0.1
    np.testing.assert_array_equal(sound, play(score).samples[:, 0])


def test_a_long_piece_takes_seconds(tmp_path):
    rng, n = np.random.default_rng(0), 2000
    score = Score(np.sort(rng.uniform(0, 178, n)), rng.uniform(0.1, 2.0, n), rng.integers(36, 96, n), duration=181.0)
    write_midi(score, tmp_path / "long.mid")
    start = time.process_time()
    sound = render_midi(tmp_path / "long.mid", synthesiser="builtin", sfreq=11025)
    assert time.process_time() - start < 10 and sound.duration == pytest.approx(181) and sound.name == "long"


@pytest.mark.parametrize(
    ("score", "options", "error", "message"),
    [
        (Score([0.0], [1.0], [60]), {"timbre": "pianos"}, ValueError, "Did you mean 'piano'"),
        (Score([0.0], [1.0], [60]), {"synthesiser": "fluid"}, ValueError, "Did you mean 'fluidsynth'"),
        (Score([0.0], [1.0], [60]), {"sfreq": 0}, ValueError, "sfreq: expected a finite positive"),
        (Score([0.0], [1.0], [60]), {"soundfont": "none.sf2"}, FileNotFoundError, "no such file, none.sf2"),
        ([60], {}, TypeError, "expected a Score or the path of a MIDI file, got list"),
    ],
)
def test_bad_wishes(score, options, error, message):
    with pytest.raises(error, match=message):
        render_midi(score, **options)


# the external program, played here by a script

PROGRAM = """#!/bin/sh
for last; do :; done
printf '%s\\n' "$@" > "$HEARD/arguments"
cp "$last" "$HEARD/notes.mid"
while [ "$1" != "-F" ]; do shift; done
if [ -f "$HEARD/sound.wav" ]; then cp "$HEARD/sound.wav" "$2"; else echo "no voice" >&2; fi
"""


@pytest.fixture
def fluidsynth(tmp_path, monkeypatch):
    """Folder of a program that notes what it is given; it plays sound.wav of this folder."""
    if sys.platform == "win32":
        pytest.skip("the stand-in is a shell script")
    program = tmp_path / "fluidsynth"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HEARD", str(tmp_path))
    (tmp_path / "grand; rm -rf piano.sf2").write_bytes(b"RIFF\0\0\0\0sfbk")
    return tmp_path


def test_fluidsynth_plays_if_it_and_a_soundfont_are_there(fluidsynth, monkeypatch):
    score, font = tune(1, duration=2), fluidsynth / "grand; rm -rf piano.sf2"
    Audio(np.sin(np.arange(3 * 44100) / 20)[:, None] * [1, 0.5], 44100).write(fluidsynth / "sound.wav")
    assert find_synthesiser() == "builtin" and find_synthesiser(font) == "fluidsynth"
    sound = render_midi(score, soundfont=font)
    assert sound.duration == pytest.approx(2.0) and sound.sfreq == 22050 and sound.name == "tune1"
    spectrum = np.abs(np.fft.rfft(sound.samples[:, 0]))
    assert np.argmax(spectrum) / 2 == pytest.approx(44100 / 20 / 2 / np.pi, abs=1)
    assert str(font) in (fluidsynth / "arguments").read_text().splitlines()  # one argument, however odd
    assert read_midi(fluidsynth / "notes.mid").pitches.tolist() == score.pitches.tolist()
    monkeypatch.setenv("EEGIC_SOUNDFONT", str(font))
    assert find_synthesiser() == "fluidsynth"
    np.testing.assert_array_equal(render_midi(score).samples, sound.samples)


def test_fluidsynth_that_cannot_play_says_why(fluidsynth, monkeypatch):
    score, font = tune(1, duration=2), fluidsynth / "grand; rm -rf piano.sf2"
    with pytest.raises(RuntimeError, match="no soundfont is named"):
        render_midi(score, synthesiser="fluidsynth")
    with pytest.raises(RuntimeError, match=r"did not play tune1 .*no voice"):
        render_midi(score, soundfont=font)
    with pytest.raises(ValueError, match="expected a soundfont, got a file that begins with b'#!/bin/sh"):
        render_midi(score, soundfont=fluidsynth / "fluidsynth")
    (fluidsynth / "fluidsynth").unlink()
    with pytest.raises(RuntimeError, match="the program is not installed"):
        render_midi(score, synthesiser="fluidsynth", soundfont=font)


# the shipped envelope


@pytest.mark.parametrize("lag", [-0.2, 0.0, 0.31])
def test_the_right_score_passes_on_another_instrument_and_its_lag_is_found(lag):
    score = tune(2)
    shipped = shifted(quick(score, timbre="guitar"), 0.3 + lag)
    check = check_rendering(shifted(quick(score), 0.3), envelope(shipped)).require()
    assert check.ok and check.correlation > 0.8 and not check.complaint
    assert check.lag == pytest.approx(lag, abs=0.006) and abs(check.drift) < 0.01
    assert check.longer == pytest.approx(-lag, abs=0.02)


def test_the_clock_and_the_gaps_of_the_envelope_count():
    score = tune(2)
    shipped = envelope(quick(score, timbre="guitar"))
    values = shipped.values[:, 0].copy()
    values[300:400] = np.nan
    late = FeatureSeries(1000 * values, shipped.times + 0.25, "envelope")
    check = check_rendering(quick(score), late)
    assert check.lag == pytest.approx(0.25, abs=0.006) and check.ok
    features = envelope(quick(score)).shift(check.lag)
    assert features.times[0] == pytest.approx(0.25, abs=0.006)


def test_a_room_and_compression_are_forgiven(rng):
    score = tune(4)
    dry = quick(score)
    echoes = rng.standard_normal(8000) * 10 ** (-3 * np.arange(8000) / 8000)
    echoes *= 0.5 / np.linalg.norm(echoes)
    echoes[0] += 1
    n = 2 * len(dry.samples)
    wet = np.fft.irfft(np.fft.rfft(dry.samples[:, 0], n) * np.fft.rfft(echoes, n))[: len(dry.samples)]
    heard = envelope(Audio(0.5 * wet / np.abs(wet).max(), 8000))
    compressed = FeatureSeries(heard.values**0.3, heard.times, "envelope")
    assert check_rendering(dry, heard).ok and check_rendering(dry, compressed).ok


@pytest.mark.parametrize("factor", [1.004, 1.02, 1.1])
def test_another_tempo_is_refused(factor):
    score = tune(2)
    check = check_rendering(quick(stretched(score, factor)), envelope(quick(score, timbre="guitar")))
    assert not check.ok
    if factor == 1.004:  # correlated, but the lag runs away: 64 ms in 16 s
        assert check.correlation > 0.5 and check.drift == pytest.approx(-0.064, abs=0.012)
        assert "the lag changes by -" in repr(check)
    with pytest.raises(ValueError, match="tune2: the sound does not go with the envelope"):
        check.require()


def test_another_score_is_refused():
    sound = quick(tune(2, duration=30))
    for seed in (3, 4, 5):
        check = check_rendering(sound, envelope(quick(tune(seed, duration=30))))
        assert check.correlation < 0.5 and not check.ok and "is below 0.5" in check.complaint


def test_pieces_that_share_their_beat_are_told_apart_by_the_others():
    sounds = [quick(tune(seed, rhythm="isochronous")) for seed in range(3)]
    shipped = {f"tune{seed}": envelope(quick(tune(seed, rhythm="isochronous"), timbre="guitar")) for seed in range(3)}
    others = {name: series for name, series in shipped.items() if name != "tune1"}
    assert check_rendering(sounds[0], shipped["tune1"]).correlation > 0.5  # alone, it would pass
    check = check_rendering(sounds[0], shipped["tune1"], others=others)
    assert check.rival == "tune0" and "Were two exchanged?" in check.complaint
    assert check_rendering(sounds[1], shipped["tune1"], others={**others, "again": shipped["tune1"]}).ok


@pytest.mark.parametrize("max_lag", [0.25, 0.26])
def test_a_lag_at_the_edge_is_no_lag(max_lag):
    sound = quick(tune(2))
    check = check_rendering(sound, envelope(shifted(sound, 0.28)), max_lag=max_lag)
    assert check.correlation > 0.5 and "at the edge of those looked at" in check.complaint
    assert check_rendering(sound, envelope(shifted(sound, 0.28)), max_lag=0.3).ok


def test_what_cannot_be_compared():
    sound = quick(tune(2))
    good = envelope(sound)
    with pytest.raises(ValueError, match=r"share less than 10 s that vary"):
        check_rendering(sound, FeatureSeries(good.values[:500], good.times[:500], "envelope"))
    with pytest.raises(ValueError, match=r"share less than 10 s that vary"):
        check_rendering(sound, FeatureSeries(np.ones(1000), np.arange(1000) / 64, "envelope"))
    with pytest.raises(ValueError, match="expected one feature at equal steps"):
        check_rendering(sound, FeatureSeries(np.ones(1000), np.sqrt(np.arange(1000)), "envelope"))
    with pytest.raises(ValueError, match=r"others\['b'\]: expected 64 Hz like the envelope, got 32 Hz"):
        check_rendering(sound, good, others={"b": envelope(sound, 32)})
    with pytest.raises(ValueError, match="at_least: expected a correlation between 0 and 1"):
        check_rendering(sound, good, at_least=50)
    with pytest.raises(TypeError, match="envelope: expected a FeatureSeries, got ndarray"):
        check_rendering(sound, good.values)
    with pytest.raises(TypeError, match="expected an Audio"):
        check_rendering(sound.samples, good)
