"""Public data sets: small files laid out as each of them is, and what comes out."""

from pathlib import Path

import mne
import numpy as np
import pytest
import soundfile
from test_cnd import EMPTY, cell, row, version5

from eegic import Audio
from eegic.datasets.public.loaders import files_of, load_participant, participants_of, read_stimulus, stimulus_files
from eegic.datasets.public.manifest import load_manifest, manifests

mne_bids = pytest.importorskip("mne_bids")
pytest.importorskip("pybv")

REAL = Path(__file__).parents[2] / "shared" / "data" / "cnd"
SFREQ = 64.0


def known(folder, name, reader, options="", *, more="", **tables):
    """A manifest with these options of its loader, and tables of rows, each a dictionary."""
    place = folder / "manifests" / name
    place.mkdir(parents=True)
    text = f'id = "{name}"\ntitle = "a test"\n{more}\n[loader]\nreader = "{reader}"\n'
    text += f'known_problems = ["it has quirks"]\n[loader.options]\n{options}\n'
    (place / "dataset.toml").write_text(text)
    for table, rows in tables.items():
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
        (place / f"{table}.tsv").write_text("\n".join(lines) + "\n")
    return load_manifest(place)


def tone(path, seconds, *, sfreq=8000, n_channels=1, level=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = level * np.sin(0.3 * np.arange(round(seconds * sfreq)))[:, None] * np.arange(1, n_channels + 1)
    Audio(samples, sfreq).write(path)


def recording(rng, seconds, ch_names=("Fz", "Cz", "Pz"), first_samp=0):
    eeg = 1e-5 * rng.standard_normal((len(ch_names), round(seconds * SFREQ)))
    return mne.io.RawArray(eeg, mne.create_info(list(ch_names), SFREQ, "eeg"), first_samp, verbose="error")


def bids(root, raw, subject, events=None, form="BrainVision", **entities):
    """Write one recording, with its table of events as given or without one."""
    path = mne_bids.BIDSPath(root=root, subject=subject, datatype="eeg", **entities)
    mne_bids.write_raw_bids(raw, path, format=form, allow_preload=True, overwrite=True, verbose="error")
    folder = root / f"sub-{subject}" / "eeg"
    for left in folder.glob(f"{path.basename}_events.*"):
        left.unlink()
    if events:
        lines = ["\t".join(events[0]), *("\t".join(map(str, event.values())) for event in events)]
        (folder / f"{path.basename}_events.tsv").write_text("\n".join(lines) + "\n")


def expect(trial, raw, onset, seconds, atol=1e-11):
    first, n_times = round(onset * SFREQ), round(seconds * SFREQ)
    assert trial.n_times == n_times
    np.testing.assert_allclose(trial.eeg, raw.get_data("eeg", start=first, stop=first + n_times).T, atol=atol)


class TestNaturalSpeech:
    """ds004408: no events, run-NN is stimuli/audioNN.wav from the first sample on, by the table of the manifest."""

    @pytest.fixture
    def tree(self, tmp_path, rng):
        raws = [recording(rng, seconds) for seconds in (6.5, 5.25)]
        for run, (raw, seconds) in enumerate(zip(raws, (6.0, 5.0), strict=True), start=1):
            bids(tmp_path / "ds", raw, "001", task="listening", run=f"{run:02d}")
            tone(tmp_path / "ds" / "stimuli" / f"audio{run:02d}.wav", seconds)
            (tmp_path / "ds" / "stimuli" / f"audio{run:02d}.TextGrid").write_text("words")
        trials = [
            {"participant": "*", "run": f"{run:02d}", "stim_id": f"audio{run:02d}", "onset_s": "0"} for run in (1, 2)
        ]
        return known(tmp_path, "ds004408", "bids", 'task = "listening"', trials=trials), tmp_path / "ds", raws

    def test_runs_are_trials_of_their_own_sounds(self, tree):
        manifest, root, raws = tree
        assert participants_of(manifest, root) == ["001"]
        person = load_participant(manifest, 1, root)
        assert (person.name, person.stimuli) == ("sub-001", ("audio01", "audio02"))
        for trial, raw, seconds in zip(person.trials, raws, (6.0, 5.0), strict=True):
            expect(trial, raw, 0.0, seconds)
        files = stimulus_files(manifest, root)
        assert files == {name: root / "stimuli" / f"{name}.wav" for name in person.stimuli}
        assert read_stimulus(manifest, files["audio02"]).duration == 5.0
        depends = files_of(manifest, "001", root)
        assert {*files.values(), manifest.folder / "trials.tsv"} <= set(depends)
        kinds = [path.suffix for path in depends if path.name.startswith("sub-001_task-listening_run-01_eeg")]
        assert kinds == [".eeg", ".json", ".vhdr", ".vmrk"] and all(path.is_file() for path in depends)

    def test_by_name_of_the_data_set_where_downloads_go(self, tree, monkeypatch, tmp_path):
        manifest, root, _ = tree
        root.rename(tmp_path / "ds004408")
        monkeypatch.setenv("EEGIC_DATA", str(tmp_path))
        monkeypatch.setenv("EEGIC_MANIFESTS", str(manifest.folder.parent))
        assert len(load_participant("ds004408", "sub-001").trials) == 2
        assert list(stimulus_files("ds004408")) == ["audio01", "audio02"]

    def test_who_is_not_there(self, tree):
        manifest, root, _ = tree
        with pytest.raises(ValueError, match="ds004408: participant: expected one of '001', .* got '7'") as caught:
            load_participant(manifest, 7, root)
        assert caught.value.__notes__ == ["Known of ds004408:\n  - it has quirks"]
        with pytest.raises(FileNotFoundError, match="ds004408: expected the folder of its files, got .*nowhere"):
            load_participant(manifest, 1, root / "nowhere")
        for file in root.glob("sub-001/eeg/*.*"):
            file.unlink()
            file.symlink_to("../../.git/annex/objects/SHA256E-s1--0")
        with pytest.raises(
            FileNotFoundError, match=r"only links .* not fetched. Searched: sub-\*/\*\*/eeg/\*_eeg.vhdr"
        ):
            participants_of(manifest, root)

    def test_sounds_that_were_not_fetched(self, tree):
        manifest, root, _ = tree
        for file in root.glob("stimuli/*.wav"):
            file.unlink()
        with pytest.raises(
            FileNotFoundError, match=r"expected at least one sound .* got none. Searched: .*stimuli/\*\*"
        ):
            stimulus_files(manifest, root)
        (root / "stimuli" / "audio01.wav").symlink_to("../.git/annex/objects/SHA256E-s1--0")
        with pytest.raises(FileNotFoundError, match="got only links to files that were not fetched"):
            stimulus_files(manifest, root)

    def test_options_that_nobody_knows(self, tree, tmp_path):
        manifest, root, _ = tree
        with pytest.raises(ValueError, match="ds004408: option: expected one of .* got 'tsk'. Did you mean 'task'"):
            load_participant(manifest, 1, root, tsk="listening")
        other = known(tmp_path, "other", "bids", 'stim_column = "stim_file"')
        with pytest.raises(ValueError, match=r"dataset.toml: \[loader.options\]: expected .*'stimulus_column'"):
            load_participant(other, 1, root)


class TestMusicAndSpeech:
    """ds004356: files by genre, two runs of some listeners, and two electrodes at the ears called EEG."""

    @pytest.mark.parametrize("prefix", ["", "/stimuli/"])
    def test_clips_by_genre(self, tmp_path, rng, prefix):
        root, names = tmp_path / "ds", ("Fp1", "Fz", "EP1", "EP2")
        heard = [[("click", "click000", 1.0), ("pop", "pop035", 4.5)], [("news", "news025", 0.5)]]
        raws = []
        for run, starts in enumerate(heard, start=1):
            raws.append(recording(rng, 8.0, names))
            more = {"value": 0, "trial": 0, "number_trial": 0, "EEG_trigger": 1}
            events = [
                {"onset": t, "duration": 3, "trial_type": kind, **more, "stim_file": f"{prefix}{kind}/{name}.wav"}
                for kind, name, t in starts
            ]
            bids(root, raws[-1], "03", events, task="MusicvsSpeech", run=f"{run:02d}")
            for kind, name, _ in starts:
                tone(root / "stimuli" / kind / f"{name}.wav", 3.0, n_channels=2)
        manifest = known(tmp_path, "ds004356", "bids", 'bads = ["EP1", "EP2"]\nsounds = { click = "" }')
        person = load_participant(manifest, "03", root)
        assert (person.stimuli, person.bads) == (("pop/pop035", "news/news025"), ("EP1", "EP2"))
        expect(person.trials[0], raws[0], 4.5, 3.0)
        expect(person.trials[1], raws[1], 0.5, 3.0)
        assert load_participant(manifest, "03", root, sounds=None, bads=()).stimuli[0] == "click/click000"
        assert set(stimulus_files(manifest, root)) == {"click/click000", "pop/pop035", "news/news025"}
        with pytest.raises(ValueError, match="sub-03: bads: expected one of 'Fp1'.*got 'EP3'. Did you mean"):
            load_participant(manifest, "03", root, bads=["EP3"])


class TestSongFamiliarity:
    """ds005876: songs broken off by the listener, notes without a file, and one FLAC of all that was heard."""

    OPTIONS = 'heard = "derivatives/{participant}/audio/*.flac"\nuntil = ["2", "3"]'
    STARTS = ((1.0, "YMCA"), (6.0, "do wah ditty"), (13.0, "YMCA"))

    @pytest.fixture
    def tree(self, tmp_path, rng):
        pytest.importorskip("eeglabio")
        pytest.importorskip("pymatreader")
        root = tmp_path / "ds"
        events = [
            {"onset": 1.0, "duration": 0, "trial_type": "1", "value": "1", "stim_file": "YMCA.wav"},
            {"onset": 1.5, "duration": 0, "trial_type": "noteOnset", "value": "noteOnset", "stim_file": "n/a"},
            {"onset": 3.5, "duration": 0, "trial_type": "2", "value": "2", "stim_file": "n/a"},  # after 2.5 of 4 s
            {"onset": 5.0, "duration": 0, "trial_type": "3", "value": "3", "stim_file": "n/a"},
            {"onset": 6.0, "duration": 0, "trial_type": "1", "value": "1", "stim_file": "do wah ditty.wav"},
            {"onset": 6.5, "duration": 0, "trial_type": "noteOnset", "value": "noteOnset", "stim_file": "n/a"},
            {"onset": 9.5, "duration": 0, "trial_type": "3", "value": "3", "stim_file": "n/a"},  # after all of its 3 s
        ]
        raw = recording(rng, 12.0, ("Fz", "TP9", "TP10"))
        bids(root, raw, "01", events, form="EEGLAB", task="songfamiliarity")
        for where in ("stimuli", "code/task/stimuli/all"):
            tone(root / where / "YMCA.wav", 4.0)
            tone(root / where / "do wah ditty.wav", 3.0)
        self.played = np.zeros((12 * 8000, 1))
        self.played[8000:28000] = 0.1 * rng.standard_normal((20000, 1))
        path = root / "derivatives" / "sub-01" / "audio" / "sub-01_task-songfamiliarity_audio.flac"
        path.parent.mkdir(parents=True)
        Audio(self.played, 8000).write(path)
        return known(tmp_path, "ds005876", "bids", self.OPTIONS), root, raw

    def test_trials_last_as_long_as_the_song_was_heard(self, tree):
        manifest, root, raw = tree
        person = load_participant(manifest, "sub-01", root)
        assert person.stimuli == ("sub-01/YMCA", "sub-01/do wah ditty")
        expect(person.trials[0], raw, 1.0, 2.5, atol=1e-10)
        expect(person.trials[1], raw, 6.0, 3.0, atol=1e-10)
        files = stimulus_files(manifest, root, "01")
        assert list(files) == list(person.stimuli)
        audio = read_stimulus(manifest, files["sub-01/YMCA"], name="sub-01/YMCA")
        assert (audio.name, audio.sfreq) == ("sub-01/YMCA", 8000)
        np.testing.assert_allclose(audio.samples, self.played[8000:28000], atol=2e-7)
        assert stimulus_files(manifest, root) == files
        before = {path: path.stat().st_mtime_ns for path in files.values()}
        stimulus_files(manifest, root)
        assert {path: path.stat().st_mtime_ns for path in files.values()} == before
        tone(files["sub-01/YMCA"], 2.5)
        files["sub-01/do wah ditty"].write_bytes(b"fLaC")
        stimulus_files(manifest, root)
        assert read_stimulus(manifest, files["sub-01/do wah ditty"]).duration == 3.0
        np.testing.assert_allclose(
            read_stimulus(manifest, files["sub-01/YMCA"]).samples, self.played[8000:28000], atol=2e-7
        )
        depends = files_of(manifest, 1, root)
        assert {"YMCA.wav", "do wah ditty.wav", "sub-01_task-songfamiliarity_audio.flac"} <= {p.name for p in depends}
        assert not set(files.values()) & set(depends)
        assert load_participant(manifest, "01", root).stimuli == person.stimuli, "cuts are no stimuli of their own"

    def test_the_whole_songs_on_request(self, tree, monkeypatch):
        manifest, root, raw = tree
        person = load_participant(manifest, "01", root, heard=None)
        assert person.stimuli == ("YMCA", "do wah ditty")
        expect(person.trials[0], raw, 1.0, 4.0, atol=1e-10)
        files = stimulus_files(manifest, root, heard=None)
        assert files == {name: root / "stimuli" / f"{name}.wav" for name in ("YMCA", "do wah ditty")}
        (root / "stimuli").rename(root.parent / "wavs")
        monkeypatch.chdir(root.parent)
        elsewhere = {"heard": None, "stimuli": "wavs"}
        assert load_participant(manifest, "01", root, **elsewhere).stimuli == person.stimuli
        assert stimulus_files(manifest, root, **elsewhere)["YMCA"] == Path("wavs/YMCA.wav")

    def test_what_the_caller_says_comes_first(self, tree):
        manifest, root, _ = tree
        sounds = {"YMCA.wav": "dance", "do wah ditty.wav": None}
        person = load_participant(manifest, "01", root, sounds=sounds, durations={"dance": 3.0})
        assert person.stimuli == ("dance",) and person.trials[0].n_times == 192
        person = load_participant(manifest, "01", root, durations={"sub-01/YMCA": 2.0})
        assert [trial.n_times for trial in person.trials] == [128, 192]

    def test_a_song_heard_twice_has_two_sounds(self, tree):
        manifest, root, _ = tree
        (table,) = root.glob("sub-01/eeg/*_events.tsv")
        table.write_text(table.read_text().replace("do wah ditty", "YMCA"))
        person = load_participant(manifest, "01", root)
        assert person.stimuli == ("sub-01/YMCA (1)", "sub-01/YMCA (2)")
        assert [trial.n_times for trial in person.trials] == [160, 224]

    def test_without_what_was_heard(self, tree):
        manifest, root, _ = tree
        (path,) = root.glob("derivatives/sub-01/audio/*.flac")
        Audio(self.played[:8000], 8000).write(path)
        with pytest.raises(
            ValueError, match="events.tsv, line 2: 'YMCA.wav' starts at 1.000 s, but .*flac ends at 1.000"
        ):
            load_participant(manifest, "01", root)
        tone(path.with_name("again.flac"), 1.0)
        with pytest.raises(ValueError, match="expected one recording of what sub-01 heard .*again.flac"):
            load_participant(manifest, "01", root)
        path.with_name("again.flac").unlink()
        path.unlink()
        with pytest.raises(FileNotFoundError, match="Searched: derivatives/sub-01/audio/"):
            load_participant(manifest, "01", root)


def test_no_sound_comes_with_some(tmp_path, rng):
    """ds003774: a column of n/a, and one session for each song."""
    raw = recording(rng, 6.0)
    event = {"onset": 1.0, "duration": 4.0, "trial_type": "song", "stim_file": "n/a"}
    path = mne_bids.BIDSPath(root=tmp_path / "ds", subject="001", session="01", task="MusicListening", datatype="eeg")
    mne_bids.write_raw_bids(raw, path, format="BrainVision", allow_preload=True, verbose="error")
    for left in (tmp_path / "ds").glob("**/*_events.*"):
        left.unlink()
    table = "\n".join(["\t".join(event), "\t".join(map(str, event.values()))])
    (path.directory / f"{path.basename}_events.tsv").write_text(table + "\n")
    manifest = known(tmp_path, "ds003774", "bids", more="stimuli_audio_included = false")
    with pytest.raises(ValueError, match="ds003774: no sound comes with this data set.*sounds={event: name}"):
        load_participant(manifest, "001", tmp_path / "ds")
    person = load_participant(manifest, "001", tmp_path / "ds", sounds={"song": "raga"})
    assert person.stimuli == ("raga",) and person.trials[0].n_times == 256
    with pytest.raises(FileNotFoundError, match="expected at least one sound"):
        stimulus_files(manifest, tmp_path / "ds")


class TestBach:
    """dilibach: padding before and after each piece, mastoids apart, presentation order, MIDI instead of sound."""

    @pytest.fixture
    def tree(self, tmp_path, rng):
        root = tmp_path / "ds"
        (root / "diliBach" / "dataCND").mkdir(parents=True)
        lengths = (512, 640)  # of the envelopes, at 64 Hz; the EEG has 512 Hz and a second of padding on either side
        self.eeg = [10 * rng.standard_normal((8 * n + 1024, 4)) for n in lengths]
        self.ears = [10 * rng.standard_normal((8 * n + 1024, 2)) for n in lengths]
        features = [np.abs(rng.standard_normal((n, 1))) for _ in range(3) for n in lengths]
        names = cell("Envelope Vectors", "Note onset vectors", "Pitch vectors")
        stim = {"names": names, "data": cell(*features, shape=(3, 2)), "fs": 64.0, "stimIdxs": row(2, 1)}
        eeg = {
            "dataType": "EEG",
            "data": cell(*self.eeg),
            "fs": 512.0,
            "chanlocs": [{"labels": name, "X": 1.0, "Y": 0.0, "Z": float(i)} for i, name in enumerate("ABCD")],
            "extChan": cell({"description": "Mastoids", "data": cell(*self.ears)}),
            "paddingStartSample": 512.0,
            "origTrialPosition": row(2, 1),
        }
        version5(root / "diliBach" / "dataCND" / "dataStim.mat", {"stim": stim})
        for number in (1, 11):
            version5(root / "diliBach" / "dataCND" / f"dataSub{number}.mat", {"eeg": eeg})
        (root / "diliBach" / "stimuli").mkdir()
        for number in (1, 2):
            (root / "diliBach" / "stimuli" / f"audio{number}.mid").write_bytes(b"MThd")
        stimuli = [{"stim_id": f"stimulus-{number:02d}", "path": f"audio{number}.mid"} for number in (1, 2)]
        more = '[eeg]\nunit = "uV"'
        return known(tmp_path, "dilibach", "cnd", 'external = "Mastoids"', more=more, stimuli=stimuli), root

    def test_padding_is_left_out_and_mastoids_are_channels(self, tree):
        manifest, root = tree
        assert participants_of(manifest, root) == ["1", "11"]
        cnd = load_participant(manifest, 1, root)
        person = cnd.participant
        assert person.stimuli == ("stimulus-01", "stimulus-02"), "in the order of presentation"
        assert person.ch_names == (*"ABCD", "Mastoids 1", "Mastoids 2")
        for trial, i, n in zip(person.trials, (1, 0), (640, 512), strict=True):
            together = np.hstack([self.eeg[i], self.ears[i]])[512 : 512 + 8 * n]
            np.testing.assert_allclose(trial.eeg, 1e-6 * together, rtol=1e-12)
        folder = root / "diliBach" / "dataCND"
        assert files_of(manifest, 1, root) == [folder / "dataStim.mat", folder / "dataSub1.mat"]
        assert cnd.feature_names == ("Envelope Vectors", "Note onset vectors", "Pitch vectors")

    def test_scores_by_the_table_of_the_manifest(self, tree):
        manifest, root = tree
        scores = root / "diliBach" / "stimuli"
        assert stimulus_files(manifest, root) == {f"stimulus-{i:02d}": scores / f"audio{i}.mid" for i in (1, 2)}
        (scores / "audio1.mid").unlink()
        (scores / "audio1.mid").symlink_to("../.git/annex/objects/SHA256E-s1--0")
        assert list(stimulus_files(manifest, root)) == ["stimulus-02"]
        (root / "audio2.mid").write_bytes(b"MThd")
        assert stimulus_files(manifest, root) == {"stimulus-02": root / "audio2.mid"}
        (root / "audio2.mid").rename(root / "diliBach" / "audio2.mid")
        with pytest.raises(ValueError, match=r"stimulus-02 \(audio2.mid\) may be .* or .*audio2.mid"):
            stimulus_files(manifest, root)

    def test_a_score_is_rendered(self, tree, tmp_path, monkeypatch):
        mido = pytest.importorskip("mido")
        notes = [mido.Message("note_on", note=60, velocity=80, time=0), mido.Message("note_off", note=60, time=480)]
        mido.MidiFile(tracks=[mido.MidiTrack(notes)]).save(tmp_path / "one.mid")
        audio = read_stimulus(tree[0], tmp_path / "one.mid", name="stimulus-01", sfreq=8000.0)
        assert (audio.name, audio.sfreq) == ("stimulus-01", 8000.0) and audio.duration >= 0.5

    def test_two_copies_of_the_recordings(self, tree):
        manifest, root = tree
        (root / "dataCND").mkdir()
        (root / "dataCND" / "dataSub1.mat").write_bytes(b"")
        with pytest.raises(ValueError, match="recordings lie in .*dataCND and .*dataCND. Name one"):
            load_participant(manifest, 1, root)
        assert load_participant(manifest, 1, root / "diliBach").participant.name == "sub-01"


class TestImagery:
    """music_imagery: listening and imagery, an audio file with the metronome on the left."""

    @pytest.fixture
    def tree(self, tmp_path, rng):
        root = tmp_path / "ds"
        (root / "dataCND").mkdir(parents=True)
        values = [rng.standard_normal((128, 1)) for _ in range(2)]
        self.stim = {
            "names": cell("envelope", "expectation"),
            "data": cell(*values, *values, *values, *values, shape=(2, 4)),
            "fs": 64.0,
            "stimIdxs": row(1, 2, 1, 2),
            "condIdxs": row(1, 2, 2, 1),
            "condNames": cell("Listening", "Imagery"),
        }
        self.root, self.eeg = root, [10 * rng.standard_normal((128, 3)) for _ in range(4)]
        self.write()
        tone(root / "original_stim" / "audio" / "melody1.wav", 2.0, n_channels=2)
        return known(tmp_path, "music_imagery", "cnd", 'silent = "imag"\nchannel = "right"'), root

    def write(self, **changes):
        version5(self.root / "dataCND" / "dataStim.mat", {"stim": {**self.stim, **changes}})
        eeg = {"data": cell(*self.eeg), "fs": 64.0, "chanlocs": EMPTY}
        version5(self.root / "dataCND" / "dataSub1.mat", {"eeg": eeg})

    def test_imagined_trials_are_left_out(self, tree):
        manifest, root = tree
        cnd = load_participant(manifest, 1, root)
        assert (cnd.numbers, cnd.conditions) == ((0, 3), ("Listening", "Listening"))
        assert load_participant(manifest, 1, root, condition="Imagery").numbers == (1, 2)
        assert load_participant(manifest, 1, root, silent=None).numbers == (0, 1, 2, 3)

    def test_conditions_without_names_are_not_guessed(self, tree):
        manifest, root = tree
        self.write(condNames=EMPTY)
        with pytest.raises(ValueError, match="'condition-01', 'condition-02', do not tell which .*Say which"):
            load_participant(manifest, 1, root)
        assert load_participant(manifest, 1, root, condition="condition-01").numbers == (0, 3)

    def test_the_music_is_the_right_channel(self, tree):
        manifest, root = tree
        path = root / "original_stim" / "audio" / "melody1.wav"
        audio = read_stimulus(manifest, path)
        assert (audio.name, audio.samples.shape[1]) == ("melody1", 1)
        np.testing.assert_array_equal(audio.samples[:, 0], soundfile.read(path, dtype="float32")[0][:, 1])
        tone(path, 2.0)
        with pytest.raises(ValueError, match="expected two channels, of which the right one is the music, got 1"):
            read_stimulus(manifest, path)
        with pytest.raises(TypeError, match="melody1.wav: timbre: only scores are rendered"):
            read_stimulus(manifest, path, timbre="piano")

    def test_which_sound_is_which_is_not_guessed(self, tree):
        manifest, root = tree
        with pytest.raises(ValueError, match="not known, and not guessed by order. .*original_stim/audio/melody1.wav"):
            stimulus_files(manifest, root)


class TestAlice:
    """alice: eeg/S01/S01_alice-raw.fif with segments annotated by number, and stimuli/1.wav to 12.wav."""

    @pytest.fixture
    def tree(self, tmp_path, rng):
        root = tmp_path / "ds"
        for name, segments in (("S01", "1 2"), ("S26", "2 12")):
            raw = recording(rng, 20.0, ("1", "2", "29", "VEOG", "AUD"))
            raw.set_channel_types({"VEOG": "stim", "AUD": "stim"}, on_unit_change="ignore", verbose="error")
            raw.info["bads"] = ["2"]
            raw.set_annotations(mne.Annotations([1.0, 9.0], 0.1, segments.split()))
            (root / "eeg" / name).mkdir(parents=True)
            raw.save(root / "eeg" / name / f"{name}_alice-raw.fif", fmt="double", verbose="error")
            self.raw = raw
        for segment, seconds in (("1", 5.0), ("2", 6.0), ("12", 7.0)):
            tone(root / "stimuli" / f"{segment}.wav", seconds)
        return known(tmp_path, "alice", "fif"), root

    def test_segments_that_were_heard(self, tree):
        manifest, root = tree
        assert participants_of(manifest, root) == ["S01", "S26"]
        person = load_participant(manifest, "S26", root)
        assert (person.name, person.stimuli) == ("S26", ("2", "12"))
        assert (person.ch_names, person.bads) == (("1", "2", "29"), ("2",))
        expect(person.trials[0], self.raw, 1.0, 6.0)
        expect(person.trials[1], self.raw, 9.0, 7.0)
        assert load_participant(manifest, 1, root, durations={"1": 3.0, "2": 2.0}).trials[0].n_times == 192
        assert files_of(manifest, 1, root)[0] == root / "eeg" / "S01" / "S01_alice-raw.fif"
        assert len(files_of(manifest, 1, root)) == 4
        assert stimulus_files(manifest, root, "S26") == {n: root / "stimuli" / f"{n}.wav" for n in ("1", "2", "12")}

    def test_what_is_missing(self, tree):
        manifest, root = tree
        (root / "stimuli" / "12.wav").unlink()
        with pytest.raises(ValueError, match="S26: no duration is given for '12'"):
            load_participant(manifest, 26, root)
        (root / "stimuli").rename(root / "sounds")
        with pytest.raises(FileNotFoundError, match="Searched: stimuli/1.wav to stimuli/12.wav"):
            load_participant(manifest, 26, root)
        (root / "eeg").rename(root / "raw")
        with pytest.raises(FileNotFoundError, match=r"Searched: eeg/S\*/S\*_alice-raw.fif"):
            participants_of(manifest, root)


class TestOpenMiir:
    """openmiir: codes of stimulus and condition in STI 014, then the sound card's mark; two versions of the sounds."""

    @pytest.fixture
    def tree(self, tmp_path, rng):
        root = tmp_path / "ds"
        (root / "eeg" / "mne").mkdir(parents=True)
        events = [(64, 11), (70, 1000), (256, 12), (262, 1000), (448, 13), (512, 1111), (640, 211), (650, 1000)]
        events += [(900, 2000), (960, 31), (1100, 41), (1106, 1000)]  # stimulus 3 without the mark of the sound card
        for name in ("P01", "P11"):
            ears, first = ((), 0) if name == "P01" else (("EXG5",), 100)
            raw = recording(rng, 24.0, ("Fz", "Cz", "EXG1", *ears, "STI 014"), first)
            raw.set_channel_types({"EXG1": "eog", "STI 014": "stim"}, on_unit_change="ignore", verbose="error")
            raw._data[-1] = 0
            raw.add_events(np.array([(first + sample, 0, code) for sample, code in events]))
            raw.save(root / "eeg" / "mne" / f"{name}-raw.fif", fmt="double", verbose="error")
            self.raw = raw
        for version, stem, seconds in (
            ("v1", "S01_Chim Chim Cheree_lyrics", 2.0),
            ("v2", "S01_Chim Chim Cheree_lyrics", 2.5),
            ("v2", "S04_Mary Had A Little Lamb_lyrics", 1.0),
            ("v2", "S21_EmperorWaltz", 3.0),
        ):
            tone(root / "audio" / f"full.{version}" / f"{stem}.wav", seconds)
        (root / "audio" / "full.v1" / "S21_EmperorWaltz.wav").symlink_to("../full.v2/S21_EmperorWaltz.wav")
        return known(tmp_path, "openmiir", "fif"), root

    def test_music_from_the_mark_of_the_sound_card_on(self, tree):
        manifest, root = tree
        assert participants_of(manifest, root) == ["P01", "P11"]
        early, late = (load_participant(manifest, name, root) for name in ("P01", "P11"))
        rest = ("full.v2/S21_EmperorWaltz", "full.v2/S04_Mary Had A Little Lamb_lyrics")
        assert early.stimuli == ("full.v1/S01_Chim Chim Cheree_lyrics", *rest)
        assert late.stimuli == ("full.v2/S01_Chim Chim Cheree_lyrics", *rest)
        assert early.ch_names == late.ch_names == ("Fz", "Cz")
        assert [trial.n_times for trial in early.trials] == [128, 192, 64]
        for trial, first, n_times in zip(late.trials, (70, 650, 1106), (160, 192, 64), strict=True):
            np.testing.assert_array_equal(trial.eeg, self.raw.get_data(["Fz", "Cz"], first, first + n_times).T)
        assert any("1 trials left out, whose start the sound card did not mark" in note for note in late.history)
        assert {path.name[:3] for path in files_of(manifest, "P01", root)} == {"P01", "S01", "S04", "S21"}
        assert set(stimulus_files(manifest, root, "P01")) == set(early.stimuli)
        assert set(stimulus_files(manifest, root)) == {*early.stimuli, *late.stimuli}

    def test_what_is_missing(self, tree):
        manifest, root = tree
        (root / "audio" / "full.v2" / "S21_EmperorWaltz.wav").unlink()
        with pytest.raises(ValueError, match=r"openmiir, P11: trials without a sound. Searched .*: S21_\*.wav"):
            load_participant(manifest, "P11", root)
        raw = self.raw.copy()
        raw._data[-1][raw._data[-1] == 1000] = 0
        raw.save(root / "eeg" / "mne" / "P11-raw.fif", fmt="double", overwrite=True, verbose="error")
        with pytest.raises(ValueError, match="the sound card's mark, 1000; got 4 such codes without the mark"):
            load_participant(manifest, "P11", root)


def test_a_layout_that_is_not_known_is_not_guessed(tmp_path):
    with pytest.raises(ValueError, match="nmed_t: how its files lie is not known .*nothing is guessed"):
        load_participant(known(tmp_path, "nmed_t", "none"), 1, tmp_path)


def test_options_of_all_manifests_are_understood(tmp_path):
    for manifest in manifests().values():
        with pytest.raises((FileNotFoundError, ValueError)) as caught:
            participants_of(manifest, tmp_path)
        nowhere = "at least one recording" if manifest.loader.reader != "none" else "not known"
        assert nowhere in str(caught.value), manifest.id


@pytest.mark.skipif(not REAL.is_dir(), reason="real data are not here")
@pytest.mark.filterwarnings("ignore")
def test_real_files(tmp_path):
    cnd = load_participant(known(tmp_path, "tiny", "cnd"), 1, REAL)
    assert participants_of(known(tmp_path, "tiny2", "cnd"), REAL) == ["1"]
    assert cnd.participant.name == "sub-01" and len(cnd.participant.trials) > 0
