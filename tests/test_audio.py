"""Sound: one scale for every format, and no damaged file taken for a whole one."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from eegic import Audio, read_audio
from eegic.audio import sounding


def tone(frequency=440.0, sfreq=22050, seconds=1.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * sfreq)) / sfreq)


class TestScale:
    @pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32"])
    def test_integers_span_full_scale(self, dtype):
        info = np.iinfo(dtype)
        middle = 0 if info.min else (info.max + 1) // 2
        samples = Audio(np.array([info.min, middle, info.max], dtype), 8000).samples[:, 0]
        assert samples[0] == -1
        assert samples[1] == 0
        assert samples[2] == pytest.approx(1, abs=2.0 ** -(8 * info.dtype.itemsize - 1))

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
    def test_every_wav_is_read_to_the_same_scale(self, tmp_path, subtype):
        soundfile.write(tmp_path / "a.wav", tone(), 22050, subtype=subtype)
        audio = read_audio(tmp_path / "a.wav")
        step = {"PCM_U8": 2**-7, "ALAW": 2**-5, "ULAW": 2**-5}.get(subtype, 2**-14)
        np.testing.assert_allclose(audio.samples[:, 0], tone(), rtol=0, atol=step)
        assert abs(audio.samples.mean()) < step / 2, "an 8-bit file has its zero at 128"

    def test_samples_are_frozen_float32_copies(self):
        given = np.zeros(10, np.float32)
        audio = Audio(given, 8000, "x")
        given[0] = 1
        assert audio.samples[0, 0] == 0
        assert audio.samples.shape == (10, 1) and audio.samples.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            audio.samples[0] = 1

    def test_repr_and_duration(self):
        assert repr(Audio(np.zeros((16000, 2)), 8000, "duo")) == "Audio(duo: 2.00 s, 2 channels at 8000 Hz)"
        assert Audio(np.zeros(4410), 44100).duration == 0.1

    @pytest.mark.parametrize(
        ("samples", "error", "message"),
        [
            (
                np.zeros((2, 1000)),
                ValueError,
                r"got shape \(2, 1000\): more channels than samples. Transpose the array",
            ),
            (np.zeros((4, 2, 2)), ValueError, r"or \(n_samples, n_channels\), got shape \(4, 2, 2\)"),
            ([], ValueError, r"got shape \(0,\)"),
            (0.5, ValueError, r"got shape \(\)"),
            ([0.0, np.nan, 0.0], ValueError, "piece: sample 1 is not finite. Repair the recording"),
            ([0.0, 1.0, -np.inf], ValueError, "piece: sample 2 is not finite"),
            ([1j, 0], TypeError, "piece: expected samples as floats or integers, got dtype complex128. Convert"),
            ([True, False], TypeError, "got dtype bool"),
            ([0, 1000], TypeError, "piece: integers of 64 bits .* do not say what full scale is. Give int16 or int32"),
            (np.array([0, 1000]), TypeError, "piece: integers of 64 bits"),
            (np.array([0, 1000], np.uint64), TypeError, "piece: integers of 64 bits"),
            ([[0.0, 1.0], [0.0]], TypeError, "ragged one. Give rows of equal length"),
        ],
    )
    def test_wrong_samples(self, samples, error, message):
        with pytest.raises(error, match=message):
            Audio(samples, 8000, "piece")

    @pytest.mark.parametrize("sfreq", [0, -8000, np.nan, np.inf])
    def test_wrong_rate(self, sfreq):
        with pytest.raises(ValueError, match="sfreq: expected a finite positive number of hertz"):
            Audio(np.zeros(10), sfreq)


class TestMono:
    def test_is_the_mean(self, rng):
        stereo = rng.uniform(-1, 1, (100, 2)).astype(np.float32)
        np.testing.assert_allclose(Audio(stereo, 8000).mono(), stereo.astype(float).mean(axis=1), rtol=0, atol=1e-15)

    def test_opposite_phases_warn(self):
        with pytest.warns(UserWarning, match=r"duo: the channels cancel.*Audio\(audio.samples\[:, 0\]"):
            Audio(np.stack([tone(), -tone()], axis=1), 22050, "duo").mono()

    @pytest.mark.parametrize("other", [0.0, 1.0, 0.3, -0.9])
    def test_other_stereo_and_silence_do_not(self, other):
        Audio(np.stack([tone(), other * tone()], axis=1), 22050).mono()
        Audio(np.zeros((100, 2)), 22050).mono()


class TestSounding:
    """Where the sound begins and ends."""

    @staticmethod
    def noise(seed, head, length, tail, level, decay, hum):
        """Noise that decays between `head` and `tail` samples of softer noise."""
        rng = np.random.default_rng(seed)
        loud = level * np.exp(-np.arange(length) / decay) * rng.standard_normal(length)
        quiet = hum * rng.standard_normal(head + tail)
        return np.concatenate([quiet[:head], loud, quiet[head:]]).astype(np.float32)

    @pytest.mark.parametrize(
        ("sound", "expected"),
        [
            ((1, 5000, 20000, 7000, 0.1, 1e9, 0.0), (4096, 26112)),
            ((2, 12345, 30000, 4321, 0.2, 3000.0, 0.0), (11776, 34304)),
            ((3, 30000, 9000, 30000, 0.3, 1e9, 2e-4), (29184, 40448)),
            ((4, 8000, 40000, 8000, 0.3, 1e9, 2.9e-4), (7168, 49152)),  # 60 dB below: a little less, and
            ((5, 8000, 40000, 8000, 0.3, 1e9, 3.1e-4), (1024, 49152)),  # a little more in one frame
            ((6, 0, 40000, 0, 0.1, 2500.0, 1e-5), (0, 18432)),
            ((7, 700, 100, 400, 0.2, 1e9, 0.0), (0, 1200)),
            ((8, 100, 200, 100, 0.2, 1e9, 0.0), (0, 400)),
            ((9, 8000, 0, 24000, 0.1, 1.0, 0.05), (0, 32000)),
        ],
    )
    def test_ends_are_those_of_librosa(self, sound, expected):
        """First start and last end that librosa 0.11.0 gives: effects.split(samples)."""
        assert sounding(Audio(self.noise(*sound), 44100)) == expected

    @pytest.mark.parametrize("n_samples", [1, 511, 512, 513, 2047, 2048, 5120])
    def test_sound_without_silence_is_kept_whole(self, n_samples):
        assert sounding(Audio(np.full(n_samples, 0.1), 44100)) == (0, n_samples)

    @pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
    @pytest.mark.parametrize("middle", [20000, 20001, 20480])
    def test_a_click_sounds_in_the_frames_that_hold_it(self, gain, middle):
        clicks = np.zeros(50000)
        clicks[[middle, middle + 9000]] = gain
        start, stop = sounding(Audio(clicks, 8000))
        centres = np.arange(0, 50001, 512)
        first = centres[(centres - 1024 <= middle) & (middle < centres + 1024)][0]
        last = centres[(centres - 1024 <= middle + 9000) & (middle + 9000 < centres + 1024)][-1]
        assert (start, stop) == (first, last + 512), "and the pause between them belongs to it"

    @pytest.mark.parametrize("samples", [np.zeros(44100), np.zeros(1), 2e-5 * tone(seconds=2)])
    def test_what_nobody_hears_does_not_sound(self, samples):
        assert sounding(Audio(samples, 22050)) == (0, 0)
        assert sounding(Audio(samples, 22050), floor_db=-110) == ((0, len(samples)) if samples.any() else (0, 0))

    def test_levels_can_be_chosen(self):
        sound = np.concatenate([0.001 * tone(), tone(), 0.01 * tone()])
        edges = [sounding(Audio(sound, 22050), top_db=db) for db in (70, 50, 30)]
        assert edges[0] == (0, len(sound))
        assert 22050 - 2048 < edges[1][0] <= 22050 and edges[1][1] == len(sound)
        assert edges[2][0] == edges[1][0] and 2 * 22050 <= edges[2][1] < 2 * 22050 + 2048

    def test_it_is_the_mean_of_the_channels_that_sounds(self):
        left, right = np.zeros((2, 30000))
        left[10000:15000], right[12000:20000] = 0.1, 0.1
        assert sounding(Audio(np.stack([left, right], axis=1), 8000)) == sounding(Audio((left + right) / 2, 8000))

    @pytest.mark.parametrize(
        ("audio", "options", "error", "message"),
        [
            (np.zeros(9), {}, TypeError, r"audio: expected an Audio, got ndarray. read_audio\(path\) reads one"),
            (
                Audio(np.zeros(9), 8000),
                {"top_db": -60},
                ValueError,
                "top_db: expected a finite positive number of deci",
            ),
            (Audio(np.zeros(9), 8000), {"floor_db": np.nan}, ValueError, "floor_db: expected a finite number of decib"),
        ],
    )
    def test_wrong_input(self, audio, options, error, message):
        with pytest.raises(error, match=message):
            sounding(audio, **options)


class TestCrop:
    @pytest.mark.parametrize("sfreq", [8000, 22050.5])
    def test_holds_the_samples_between(self, rng, sfreq):
        audio = Audio(rng.uniform(-1, 1, (20000, 2)), sfreq, "piece")
        part = audio.crop(0.25, 0.75)
        first, last = round(0.25 * sfreq), round(0.75 * sfreq)
        np.testing.assert_array_equal(part.samples, audio.samples[first:last])
        assert (part.sfreq, part.name) == (sfreq, "piece")

    def test_by_default_all(self, rng):
        audio = Audio(rng.uniform(-1, 1, 20001), 44100)
        np.testing.assert_array_equal(audio.crop().samples, audio.samples)
        np.testing.assert_array_equal(audio.crop(0.1).samples, audio.samples[4410:])
        np.testing.assert_array_equal(audio.crop(stop=0.1).samples, audio.samples[:4410])

    @pytest.mark.parametrize(("start", "stop"), [(0.5, 0.5), (0.75, 0.25), (0.5, 1.5), (1.0, None), (2.0, 3.0)])
    def test_stretches_that_are_not_there(self, start, stop):
        with pytest.raises(ValueError, match="piece: expected a stretch within 0 to 1 s, got .* Choose start < stop"):
            Audio(tone(), 22050, "piece").crop(start, stop)

    def test_seconds_are_numbers_and_not_negative(self):
        with pytest.raises(ValueError, match="start: expected a number of seconds that is not negative, got -0.5"):
            Audio(tone(), 22050).crop(-0.5)
        with pytest.raises(TypeError, match="stop: expected a number of seconds, got '1'"):
            Audio(tone(), 22050).crop(0.5, "1")


class TestClipping:
    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
    def test_samples_at_full_scale_are_counted(self, tmp_path, subtype):
        loud = np.stack([3.0 * tone(), 0.5 * tone()], axis=1)
        soundfile.write(tmp_path / "a.wav", loud, 22050, subtype=subtype)
        expected = np.count_nonzero(np.abs(loud) > 1)
        assert expected > 10000
        assert read_audio(tmp_path / "a.wav").n_clipped == expected

    def test_soft_sound_is_not_clipped(self):
        assert Audio(0.999 * tone() / np.abs(tone()).max(), 22050).n_clipped == 0
        assert Audio(np.zeros((100, 2)), 22050).n_clipped == 0


class TestResample:
    @pytest.mark.parametrize(
        ("old", "new"), [(44100, 16000), (44100, 48000), (22050, 44100), (8000, 11025), (96000, 44100)]
    )
    def test_keeps_duration_frequency_and_phase(self, old, new):
        audio = Audio(np.stack([tone(440, old), tone(1000, old)], axis=1), old, "two").resample(new)
        assert audio.sfreq == new and audio.name == "two"
        assert abs(audio.duration - 1) <= 1 / new
        middle = slice(new // 10, -new // 10)  # where the sound begins and stops, it rings
        expected = np.stack([tone(440, new), tone(1000, new)], axis=1)
        np.testing.assert_allclose(audio.samples[middle], expected[: len(audio.samples)][middle], rtol=0, atol=1e-4)

    def test_what_the_new_rate_cannot_hold_is_gone(self):
        assert np.abs(Audio(tone(6000, 22050), 22050).resample(8000).samples[800:-800]).max() < 1e-4

    def test_the_same_rate_is_the_same_sound(self):
        audio = Audio(tone(), 22050)
        assert audio.resample(22050) is audio

    def test_too_little_sound(self):
        with pytest.raises(ValueError, match="click: .* s hold no sample at 8000 Hz. Give more sound"):
            Audio([0.1], 44100, "click").resample(8000)


class TestFiles:
    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".WAV"])
    @pytest.mark.parametrize("n_channels", [1, 2])
    def test_round_trip_at_24_bits(self, tmp_path, rng, suffix, n_channels):
        audio = Audio(rng.uniform(-1, 1, (5000, n_channels)), 44100, "noise")
        audio.write(tmp_path / f"noise{suffix}")
        back = read_audio(tmp_path / f"noise{suffix}")
        np.testing.assert_allclose(back.samples, audio.samples, rtol=0, atol=2.0**-23)
        assert np.abs(back.samples - audio.samples).max() < 2.0**-20
        assert (back.sfreq, back.name) == (44100, "noise")

    @pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
    def test_lossy_files_keep_the_tone(self, tmp_path, suffix):
        Audio(tone(), 22050).write(tmp_path / f"a{suffix}")
        back = read_audio(tmp_path / f"a{suffix}").mono()
        spectrum = np.abs(np.fft.rfft(back[:22050] * np.hanning(len(back[:22050]))))
        assert np.argmax(spectrum) == 440

    def test_path_and_text_and_name(self, tmp_path):
        path = tmp_path / "Für Elise 🎵.wav"
        Audio(tone(), 22050).write(str(path))
        assert read_audio(str(path)).name == read_audio(path).name == "Für Elise 🎵"
        assert read_audio(path, name="elise").name == "elise"

    def test_content_decides_not_the_suffix(self, tmp_path):
        Audio(tone(), 22050).write(tmp_path / "a.flac")
        os.rename(tmp_path / "a.flac", tmp_path / "a.wav")
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples[:, 0], tone(), rtol=0, atol=2.0**-22)

    @pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "mp3", "au", "w64"])
    @pytest.mark.parametrize("kept", [0.3, 0.5, 0.98])
    def test_truncated_files_are_refused(self, tmp_path, rng, kind, kept):
        path = tmp_path / f"cut.{kind}"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 44100), 44100)
        assert read_audio(path).duration >= 1
        whole = path.read_bytes()
        path.write_bytes(whole[: round(kept * len(whole))])
        with pytest.raises(
            ValueError, match=rf"cut\.{kind}: (truncated, \d+ of \d+|cannot be read).* Copy (the file|it) again"
        ):
            read_audio(path)

    def test_a_file_written_into_a_pipe_is_whole(self, tmp_path):
        """A program that cannot seek back leaves 0xFFFFFFFF as the length."""
        path = tmp_path / "piped.wav"
        soundfile.write(path, tone(), 22050)
        content = bytearray(path.read_bytes())
        for at in (4, content.index(b"data") + 4):
            struct.pack_into("<I", content, at, 0xFFFFFFFF)
        path.write_bytes(content)
        assert read_audio(path).duration == 1

    def test_a_wrong_total_size_alone_is_harmless(self, tmp_path):
        path = tmp_path / "sloppy.wav"
        soundfile.write(path, tone(), 22050)
        content = bytearray(path.read_bytes())
        struct.pack_into("<I", content, 4, len(content) + 2)
        path.write_bytes(content)
        assert read_audio(path).duration == 1

    @pytest.mark.parametrize("content", [b"", b"no sound at all", bytes(range(256)) * 20])
    @pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "a"])
    def test_what_is_no_sound_is_refused(self, tmp_path, content, name):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: .*(convert it to flac|Export the sound again)"):
            read_audio(tmp_path / name)

    def test_header_without_sound(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.zeros(0), 22050)
        with pytest.raises(ValueError, match="a.wav: the file holds no samples. Export the sound again"):
            read_audio(tmp_path / "a.wav")

    def test_missing_file_and_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="missing.wav: no such sound file"):
            read_audio(tmp_path / "missing.wav")
        for path in (tmp_path, str(tmp_path), ""):
            with pytest.raises(IsADirectoryError, match="expected a sound file, got a folder. Pass the files in it"):
                read_audio(path)

    def test_a_float_file_with_nan_is_refused(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan]), 22050, subtype="FLOAT")
        with pytest.raises(ValueError, match="a: sample 1 is not finite"):
            read_audio(tmp_path / "a.wav")

    @pytest.mark.parametrize(
        ("audio", "name", "message"),
        [
            (Audio([0.0, 1.5], 8000), "a.wav", "the peak is 1.5 and would be clipped. Scale the samples"),
            (Audio([0.0, 0.5], 8000.5), "a.wav", "sound files hold whole rates, got 8000.5 Hz. Resample first"),
            (Audio([0.0, 0.5], 8000), "a.txt", "cannot write sound as '.txt'. Use .wav or .flac"),
            (Audio([0.0, 0.5], 8000), "a.raw", "cannot write sound as '.raw'. Use .wav or .flac"),
            (Audio([0.0, 0.5], 8000), "a", "cannot write sound as 'no suffix'. Use .wav or .flac"),
            (Audio(np.zeros(9), 96000), "a.mp3", "a.mp3: MP3 holds at most 2 channels and 48000 Hz, got 1 at 96000 Hz"),
            (
                Audio(np.zeros(9), 12345),
                "a.mp3",
                r"a.mp3: MP3 cannot be written at 12345 Hz \(.+\). Resample to a usual",
            ),
            (Audio(np.zeros(9), 200001), "a.flac", r"a.flac: FLAC cannot be written at 200001 Hz \(.+\)"),
            (Audio(np.zeros((9, 3)), 8000), "a.mp3", "at most 2 channels .* got 3 at 8000 Hz. Write .wav, or fewer"),
            (Audio(np.zeros((9, 9)), 8000), "a.flac", "at most 8 channels"),
            (Audio(np.zeros((1025, 1025)), 8000), "a.wav", "at most 1024 channels"),
            (
                Audio(np.zeros(9), 2**30),
                "a.aiff",
                "at most 1024 channels and 1073741823 Hz",
            ),  # else 800 MHz are written
            (Audio(np.zeros(9), 2**31), "a.wav", "at most 1024 channels and 2147483647 Hz"),
        ],
    )
    def test_what_cannot_be_written(self, tmp_path, audio, name, message):
        with pytest.raises(ValueError, match=message):
            audio.write(tmp_path / name)
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize(("n_channels", "sfreq"), [(300, 8000), (1, 200001)])
    def test_what_would_end_python_is_refused(self, tmp_path, n_channels, sfreq):
        """In a process of its own, for libsndfile crashes on such a sound."""
        sound = f"Audio(np.zeros((1000, {n_channels})), {sfreq})"
        code = f"import numpy as np; from eegic import Audio; {sound}.write('x.ogg')"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "ValueError: x.ogg: OGG holds at most 255 channels and 200000 Hz" in done.stderr

    @pytest.mark.parametrize(("n_channels", "sfreq"), [(255, 8000), (2, 200000)])
    def test_the_largest_ogg_is_written(self, tmp_path, n_channels, sfreq):
        Audio(np.zeros((1000, n_channels)), sfreq).write(tmp_path / "x.ogg")
        assert read_audio(tmp_path / "x.ogg").samples.shape[1] == n_channels

    def test_a_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / "a.wav"
        Audio(tone(), 22050).write(path)
        before = path.read_bytes()

        def full(file, *args, **kwargs):
            file.write_bytes(b"RIFF")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(soundfile, "write", full)
        with pytest.raises(OSError, match="No space left"):
            Audio(tone(880), 22050).write(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["a.wav"]
