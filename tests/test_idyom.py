"""Tables of IDyOM: one made by hand, the same with every kind of damage, and a real one where it is at hand."""

from pathlib import Path

import numpy as np
import pytest

from eegic.surprisal.idyom import read_idyom

REAL = Path(__file__).parents[2] / "shared" / "data" / "idyom" / "chor001-015_ltm-shanx_both.dat"
PITCHES, STEPS = (60, 62, 64), (0, 12, 24)


def table(rng, lengths=(5, 3), tempo=500000):
    """Rows of a table as dictionaries of texts, pitch and onset predicted at random."""
    rows = []
    for melody, length in enumerate(lengths, 1):
        onset = 0
        for note in range(1, length + 1):
            step = 0 if note == 1 else int(rng.choice(STEPS[1:]))
            pitch, onset = int(rng.choice(PITCHES)), onset + step
            p, q = rng.dirichlet(np.ones(3), 2)
            joint = p[PITCHES.index(pitch)] * q[STEPS.index(step)]
            numbers = {
                "dataset.id": 66052522141029,
                "melody.id": melody,
                "note.id": note,
                "melody.name": f'"tune {melody}"',
                "mode": "NA",
                "tempo": tempo,
                "cpitch": pitch,
                "dur": 12,
                "onset": onset,
                **predicted("cpitch", p[PITCHES.index(pitch)], p, PITCHES),
                **predicted("onset", q[STEPS.index(step)], q, STEPS),
                "probability": f"{joint:.7g}",
                "information.content": f"{-np.log2(joint):.7g}",
                "entropy": f"{-np.sum(p * np.log2(p)) - np.sum(q * np.log2(q)):.7g}",
                "information.gain": "NA" if note == 1 else "0.5",
            }
            rows.append({name: str(text) for name, text in numbers.items()})
    return rows


def predicted(target, p, distribution, symbols):
    return {
        f"{target}.order.ltm.{target}": 2,
        f"{target}.probability": f"{p:.7g}",
        f"{target}.information.content": f"{-np.log2(p):.7g}",
        f"{target}.entropy": f"{-np.sum(distribution * np.log2(distribution)):.7g}",
        **{f"{target}.{s}": f"{q:.7g}" for s, q in zip(symbols, distribution, strict=True)},
    }


def write(folder, rows, name="tunes.dat"):
    path = folder / name
    path.write_text("\n".join([" ".join(rows[0]) + " ", *[" ".join(row.values()) + " " for row in rows]]) + "\n")
    return path


class TestReading:
    def test_what_was_written(self, rng, tmp_path):
        rows = table(rng)
        first, second = read_idyom(write(tmp_path, rows))
        assert (first.name, second.name) == ("tune 1", "tune 2")
        assert (len(first.pitches), len(second.pitches)) == (5, 3)
        for piece, given in ((first, rows[:5]), (second, rows[5:])):

            def column(name, given=given):
                return [float(row[name]) for row in given]

            np.testing.assert_array_equal(piece.ticks, column("onset"))
            np.testing.assert_allclose(piece.onsets, piece.ticks / 24 / 2, rtol=1e-12)  # 120 quarters per minute
            np.testing.assert_allclose(piece.durations, 0.25, rtol=1e-12)
            np.testing.assert_array_equal(piece.pitches, column("cpitch"))
            np.testing.assert_array_equal(piece.ics["pitch"], column("cpitch.information.content"))
            np.testing.assert_array_equal(piece.ics["timing"], column("onset.information.content"))
            np.testing.assert_array_equal(piece.ics["both"], column("information.content"))
            np.testing.assert_array_equal(piece.entropies["timing"], column("onset.entropy"))
            np.testing.assert_array_equal(piece.alphabets["timing"], STEPS)
            np.testing.assert_array_equal(piece.distributions["pitch"][:, 1], column("cpitch.62"))
            series = piece.surprisal("pitch")
            assert series.names == ("pitch surprisal",)
            np.testing.assert_array_equal(series.values[:, 0], piece.ics["pitch"])
            np.testing.assert_array_equal(series.times, piece.onsets)
            assert piece.surprisal().names == ("surprisal",) and piece.entropy("timing").names == ("timing entropy",)
            np.testing.assert_array_equal(piece.entropy().values[:, 0], column("entropy"))

    def test_tempo_given_changing_or_missing(self, rng, tmp_path):
        rows = table(rng, (4,))
        (piece,) = read_idyom(write(tmp_path, rows), tempo=90, ticks_per_quarter=12)
        np.testing.assert_allclose(piece.onsets, piece.ticks / 12 * 60 / 90, rtol=1e-12)
        for row in rows[2:]:
            row["tempo"] = "1000000"  # half as fast from the third note on
        (piece,) = read_idyom(write(tmp_path, rows))
        steps = np.diff(piece.ticks) / 24 * [0.5, 0.5, 1.0]
        np.testing.assert_allclose(piece.onsets, [0, *np.cumsum(steps)], rtol=1e-12)
        for row in rows:
            row["tempo"] = "NA"
        path = write(tmp_path, rows)
        with pytest.raises(
            ValueError, match=r"line 2, column 'tempo': expected a number, got 'NA'.*Give `tempo`, in qu"
        ):
            read_idyom(path)
        assert read_idyom(path, tempo=120)[0].onsets[-1] == piece.ticks[-1] / 48

    def test_pitch_alone(self, rng, tmp_path):
        rows = [{k: v for k, v in row.items() if not k.startswith("onset.")} for row in table(rng)]
        for row in rows:
            row.update({k: row[f"cpitch.{k}"] for k in ("probability", "information.content", "entropy")})
        piece, _ = read_idyom(write(tmp_path, rows))
        assert set(piece.ics) == {"pitch", "both"}
        np.testing.assert_array_equal(piece.ics["both"], piece.ics["pitch"])
        with pytest.raises(ValueError, match="kind: expected one of 'pitch', 'both', got 'timing'"):
            piece.surprisal("timing")

    def test_notes_together_are_joined(self, rng, tmp_path):
        rows = table(rng, (3,))
        rows[2]["onset"] = rows[1]["onset"]
        (piece,) = read_idyom(write(tmp_path, rows))
        ic = piece.ics["pitch"]
        np.testing.assert_allclose(piece.surprisal("pitch").values[:, 0], [ic[0], ic[1] + ic[2]], rtol=1e-12)
        assert piece.surprisal("pitch", chords="max").values[1, 0] == max(ic[1:])

    @pytest.mark.parametrize(
        ("note", "column", "text", "message"),
        [
            (3, "cpitch", "sixty", "line 5, column 'cpitch': expected a number, got 'sixty'"),
            (0, "cpitch", "60.5", "line 2, column 'cpitch': expected 60, got 60.5"),
            (6, "dur", "NA", "line 8, column 'dur': expected a number, got 'NA'"),
            (2, "cpitch.information.content", "9.9", "line 4, column 'cpitch.information.content': expected .*got 9.9"),
            (2, "onset.probability", "0.0", "line 4, column 'onset.probability': expected .*got 0"),
            (2, "cpitch.probability", "1.5", "line 4, column 'cpitch.probability': expected 1, got 1.5"),
            (4, "cpitch.62", "1.7", r"line 6, column 'cpitch.\*': expected 1, got"),
            (1, "onset.12", "inf", "line 3, column 'onset.12': expected a number, got 'inf'"),
            (4, "onset", "1", "line 6, column 'onset': expected onsets that do not go back within a melody"),
            (1, "tempo", "0", "line 3, column 'tempo': expected 500000, got 0"),
        ],
    )
    def test_damage_is_located(self, rng, tmp_path, note, column, text, message):
        rows = table(rng)
        rows[note][column] = text
        with pytest.raises(ValueError, match=r"tunes.dat, " + message):
            read_idyom(write(tmp_path, rows))

    def test_a_joint_content_that_is_no_sum(self, rng, tmp_path):
        rows = table(rng)
        rows[3]["probability"], rows[3]["information.content"] = "0.5", "1.0"
        with pytest.raises(ValueError, match="line 5, column 'information.content': expected .*, got 1. Write the"):
            read_idyom(write(tmp_path, rows))

    def test_files_that_are_none(self, rng, tmp_path):
        rows = table(rng)
        path = write(tmp_path, rows)
        lines = path.read_text().splitlines()
        cases = {
            "": "expected a header and at least one note, got 0 lines",
            lines[0]: "got 1 lines",
            "a b c\n1 2 3": r"line 1: expected the header of an IDyOM table of notes; it lacks 'melody.id'.*:detail 2",
            "\n".join([*lines[:4], lines[4][:50]]): "line 5: expected 27 fields as in the header, got 11",
            "\n".join([lines[0].replace("note.id", "melody.id"), *lines[1:]]): "expected each column once",
            path.read_text().replace("cpitch.info", "x.info").replace("onset.info", "y.info"): "lacks 'cpitch.informat",
            path.read_text().replace("cpitch.entropy", "x.entropy"): "expected a column 'cpitch.entropy'. Write the",
        }
        for text, message in cases.items():
            path.write_text(text)
            with pytest.raises(ValueError, match=message):
                read_idyom(path)


@pytest.mark.skipif(not REAL.exists(), reason="the shared data are not at hand")
def test_a_real_table():
    chorales = read_idyom(REAL)
    assert [len(piece.pitches) for piece in chorales] == [39, 41, 34, 50, 46, 46, 44, 47, 65, 46, 51, 31, 30, 51, 78]
    assert chorales[14].name == "chor-015"
    means = {kind: np.concatenate([piece.ics[kind] for piece in chorales]).mean() for kind in chorales[0].ics}
    assert means == {
        "pitch": pytest.approx(2.535, abs=5e-4),
        "timing": pytest.approx(1.455, abs=5e-4),
        "both": pytest.approx(3.990, abs=5e-4),
    }
    first = chorales[0]
    assert first.onsets[1] == pytest.approx(0.6) and first.durations[0] == pytest.approx(0.6)  # 100 quarters per minute
    assert first.distributions["pitch"].shape == (39, 30) and first.distributions["timing"].shape == (39, 11)
    impulses = first.surprisal().resample(64, kind="impulse")
    assert impulses.values.sum() == pytest.approx(first.ics["both"].sum())
