"""Weights in files: nothing in them is run, nothing is taken for what it is not, and nothing is fetched unasked."""

import hashlib
import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from eegic import weights
from eegic.surprisal import load_surprisal
from eegic.weights import manifest

SMALL = Path(__file__).parent / "references" / "ic_small" / "checkpoint.pt"
SETTINGS = {"max_seq_length": 512, "model_type": "LTM-rectflows"}


class Hostile:
    """Unpickled with trust, it makes a file: what else could it have done?"""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {"a.weight": torch.randn((3, 4), generator=generator), "b": torch.randn(5, generator=generator)}


def checkpoint(path, **changes):
    torch.save({"model_state_dict": tensors(), **SETTINGS, **changes}, path)
    return path


def written(tmp_path, kind="surprisal"):
    path = tmp_path / "model.safetensors"
    weights.write(path, kind, tensors(), SETTINGS, licence="CC0")
    return path


def edited(path, **changes):
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **changes}))
    return path


class TestNothingIsRun:
    @pytest.fixture
    def canary(self, tmp_path):
        return tmp_path / "it ran"

    def hidden(self, path, form, canary):
        """A checkpoint with something beside its tensors, as torch writes it, or as a bare pickle."""
        stored = {"model_state_dict": tensors(), **SETTINGS, "best_loss": Hostile(canary)}
        if form == "torch":
            torch.save(stored, path)
        elif form == "old torch":
            torch.save(stored, path, _use_new_zipfile_serialization=False)
        else:
            path.write_bytes(pickle.dumps(stored))
        return path

    @pytest.mark.parametrize("form", ["torch", "old torch", "pickle"])
    @pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "npz"])
    def test_a_hostile_checkpoint(self, tmp_path, canary, form, suffix):
        path = self.hidden(tmp_path / f"model.{suffix}", form, canary)
        for reads in (lambda: weights.read(path, "surprisal"), lambda: load_surprisal(path)):
            with pytest.raises(ValueError, match="refused. It holds more than tensors.*Ask its makers") as caught:
                reads()
            assert "weights_only" not in str(caught.value), "the advice of torch is to trust the file"
            assert form == "pickle" or "it asks for 'io.open'" in str(caught.value)
        with pytest.raises(ValueError, match="refused"):
            weights.kind_of(path)
        assert not canary.exists()

    @pytest.mark.parametrize("form", ["torch", "pickle"])
    def test_under_the_name_of_a_harmless_one(self, tmp_path, canary, form):
        path = self.hidden(written(tmp_path), form, canary)
        edited(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        with pytest.raises(ValueError, match="cannot be read as safetensors.*Copy it again"):
            weights.read(path, "surprisal")
        assert not canary.exists()

    def test_it_would_have_run(self, tmp_path, canary):
        path = self.hidden(tmp_path / "model.pt", "torch", canary)
        torch.load(path, weights_only=False)["best_loss"].close()
        assert canary.exists()

    def test_where_a_tensor_should_be(self, tmp_path, canary):
        torch.save({"model_state_dict": {"a": Hostile(canary)}, **SETTINGS}, tmp_path / "model.pt")
        with pytest.raises(ValueError, match="refused"):
            weights.read(tmp_path / "model.pt", "surprisal")
        assert not canary.exists()

    def test_what_expands_beyond_measure(self, tmp_path):
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(20_000_000))
        with pytest.raises(ValueError, match="bytes would expand to 20000000. No checkpoint does; refused"):
            weights.read(path, "surprisal")

    def test_numbers_of_numpy_are_harmless(self, tmp_path):
        path = checkpoint(tmp_path / "model.pt", best_loss=np.float64(0.25), step=np.int64(7), lr=np.float32(1e-3))
        stored = weights.read(path, "surprisal")
        assert torch.equal(stored.state["a.weight"], tensors()["a.weight"])
        assert stored.settings == SETTINGS  # what matters to training alone is left behind


class TestDamaged:
    @pytest.mark.parametrize("share", [0.0001, 0.3, 0.9, 0.999])
    def test_cut_short(self, tmp_path, share):
        path = tmp_path / "model.pt"
        whole = SMALL.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match="model.pt: cut short, the end of the archive is not there. Copy it again"):
            weights.read(path, "surprisal")

    @pytest.mark.parametrize("kept", [24, 96, -400, -1])
    def test_old_torch_files_cut_short(self, tmp_path, kept):
        path = tmp_path / "model.pt"
        torch.save({"model_state_dict": tensors(), **SETTINGS}, path, _use_new_zipfile_serialization=False)
        assert set(weights.read(path, "surprisal").state) == set(tensors())
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ValueError, match="model.pt: damaged: what is in it breaks off.*Copy it again"):
            weights.read(path, "surprisal")

    def test_its_inside(self, tmp_path):
        """Bytes of the pickle in an archive that is whole."""
        path = checkpoint(tmp_path / "model.pt")
        content = path.read_bytes()
        assert content.count(b"model_state_dict") == 1
        path.write_bytes(content.replace(b"model_state_dict", b"\xff" * 16))
        with pytest.raises(ValueError, match="model.pt: damaged: what is in it"):
            weights.read(path, "surprisal")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "expected a checkpoint, got an empty file. Copy it again"),
            (
                b"hello world",
                r"expected a checkpoint \(.pt, or .*got a file that begins with b'hello wo'. Name",
            ),
            (b'{"a": 1}', "got a file that begins with b'{\"a\": 1}'"),
            (b"\x93NUMPY\x01\x00v", r"got a file that begins with b'.x93NUMPY.x01.x00'"),
        ],
    )
    def test_what_is_no_checkpoint(self, tmp_path, content, message):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        for reads in (lambda: weights.read(path, "surprisal"), lambda: weights.kind_of(path)):
            with pytest.raises(ValueError, match=message):
                reads()

    def test_another_archive(self, tmp_path):
        np.savez(tmp_path / "model.npz", a=np.zeros(3), b=np.zeros(4))
        with pytest.raises(ValueError, match="expected a checkpoint, got an archive of 'a.npy', 'b.npy'. Name another"):
            weights.read(tmp_path / "model.npz", "surprisal")

    @pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
    def test_numbers_of_another_kind(self, tmp_path, dtype):
        path = checkpoint(tmp_path / "model.pt", model_state_dict={**tensors(), "odd": torch.ones(3, dtype=dtype)})
        with pytest.raises(ValueError, match=f"odd: expected floating-point numbers, got {dtype}. Name another file"):
            weights.read(path, "surprisal")

    def test_its_table_of_contents(self, tmp_path):
        path = checkpoint(tmp_path / "model.pt")
        path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x07"))
        with pytest.raises(ValueError, match="model.pt: refused. Its table of contents is damaged.*Copy it again"):
            weights.read(path, "surprisal")

    def test_safetensors_cut_short(self, tmp_path):
        path = written(tmp_path)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(ValueError, match="expected a file of sha256 .* It is damaged, or another file"):
            weights.read(path, "surprisal")
        about = json.loads(path.with_suffix(".json").read_text())
        del about["sha256"]
        path.with_suffix(".json").write_text(json.dumps(about))
        with pytest.raises(ValueError, match="cannot be read as safetensors.*Copy it again"):
            weights.read(path, "surprisal")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_not_finite(self, tmp_path, value):
        state = tensors()
        state["a.weight"][1, 2] = value
        path = checkpoint(tmp_path / "model.pt", model_state_dict=state)
        with pytest.raises(ValueError, match="a.weight is not finite. The checkpoint is damaged, or its training"):
            weights.read(path, "surprisal")

    @pytest.mark.parametrize(
        ("stored", "message"),
        [
            ([1, 2], "expected a dictionary, got list. Name a checkpoint"),
            ({"epoch": 3}, "expected a surprisal model with its tensors under 'model_state_dict', got 'epoch'"),
            ({"model_state_dict": {}}, "expected a surprisal model with its tensors under 'model_state_dict'"),
            ({"model_state_dict": {"a": 3.0}}, "expected named tensors, got 'a': float"),
            ({"model_state_dict": {0: torch.ones(2)}}, "expected named tensors, got 0: Tensor"),
        ],
    )
    def test_other_contents(self, tmp_path, stored, message):
        torch.save(stored, tmp_path / "model.pt")
        with pytest.raises(ValueError, match=message):
            weights.read(tmp_path / "model.pt", "surprisal")


class TestDigest:
    def test_of_the_file_asked_for(self, tmp_path):
        path = checkpoint(tmp_path / "model.pt")
        found = weights.read(path, "surprisal").sha256
        assert weights.read(path, "surprisal", sha256=found).sha256 == found
        with pytest.raises(ValueError, match=f"expected a file of sha256 {'0' * 64}, got {found}"):
            weights.read(path, "surprisal", sha256="0" * 64)
        with pytest.raises(ValueError, match="It is damaged, or another file"):
            load_surprisal(path, sha256="0" * 64)

    def test_of_an_edited_file(self, tmp_path):
        path = written(tmp_path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1  # one bit of one weight
        path.write_bytes(content)
        with pytest.raises(ValueError, match="model.safetensors: expected a file of sha256"):
            weights.read(path, "surprisal")


class TestRoundTrip:
    def test_to_the_bit(self, tmp_path):
        state = {**tensors(), "tied": tensors()["b"], "turned": torch.ones(2, 3).T}
        state["again"] = state["b"]  # shares its memory
        weights.write(tmp_path / "new" / "model.safetensors", "codec", state, SETTINGS, licence="CC0")
        stored = weights.read(tmp_path / "new" / "model.safetensors", "codec")
        assert set(stored.state) == set(state)
        assert all(torch.equal(stored.state[name], tensor) for name, tensor in state.items())
        assert (stored.kind, stored.name, stored.licence, stored.settings) == ("codec", "model", "CC0", SETTINGS)
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["model.json", "model.safetensors"]

    def test_in_memory_as_networks_have_them(self, tmp_path):
        """At odd addresses, as in a file, products of matrices come out in other last bits on some processors."""
        state = {"scale": torch.ones(3), "weight": torch.ones(5, 7), "bias": torch.ones(5)}
        weights.write(tmp_path / "odd.safetensors", "codec", state, {"dim": 4})
        torch.save({"gen_state_dict": state}, tmp_path / "odd.pt")
        for name in ("odd.safetensors", "odd.pt"):
            assert {t.data_ptr() % 64 for t in weights.read(tmp_path / name, "codec").state.values()} == {0}, name

    def test_what_the_json_says(self, tmp_path):
        source = {"name": "model.pt", "sha256": "0" * 64}
        path = tmp_path / "model.safetensors"
        weights.write(path, "codec", tensors(), {"b": (1, 2), "a": 0.1}, source=source)
        about = json.loads(path.with_suffix(".json").read_text())
        assert about["source"] == source
        assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert about["settings_sha256"] == hashlib.sha256(b'{"a":0.1,"b":[1,2]}').hexdigest()
        assert weights.read(path, "codec").settings == {"b": [1, 2], "a": 0.1}
        assert json.loads(written(tmp_path).with_suffix(".json").read_text())["source"] is None

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    @pytest.mark.parametrize("umask", [0o022, 0o027])
    def test_shared_like_any_new_file(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            path = written(tmp_path)
        finally:
            os.umask(before)
        for written_file in (path, path.with_suffix(".json")):
            assert written_file.stat().st_mode & 0o777 == 0o666 & ~umask

    def test_a_failed_write_leaves_the_old_pair(self, tmp_path):
        path = written(tmp_path)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        with pytest.raises(TypeError, match="not JSON serializable"):
            weights.write(path, "surprisal", {"b": torch.zeros(2)}, {"odd": object()})
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    def test_of_a_public_checkpoint(self, tmp_path):
        stored = weights.read(SMALL, "surprisal")
        assert stored.public
        assert (stored.name, stored.licence) == ("checkpoint", "unknown")
        weights.write(tmp_path / "model.safetensors", "surprisal", stored.state, stored.settings)
        again = weights.read(tmp_path / "model.safetensors", "surprisal")
        assert not again.public
        assert again.settings == stored.settings
        assert set(again.state) == set(stored.state)
        assert all(torch.equal(again.state[name], tensor) for name, tensor in stored.state.items())

    def test_double_precision_becomes_single(self, tmp_path):
        state = {name: tensor.double() / 3 for name, tensor in tensors().items()}
        stored = weights.read(checkpoint(tmp_path / "model.pt", model_state_dict=state), "surprisal")
        assert all(torch.equal(stored.state[name], tensor.float()) for name, tensor in state.items())

    def test_part_of_a_whole_codec(self, tmp_path):
        state = {f"generator.{name}": tensor for name, tensor in tensors().items()}
        torch.save({**state, "critic.a": torch.ones(3)}, tmp_path / "model.pth")
        assert weights.kind_of(tmp_path / "model.pth") == "codec"
        assert set(weights.read(tmp_path / "model.pth", "codec").state) == set(tensors())

    def test_only_as_safetensors(self, tmp_path):
        with pytest.raises(ValueError, match="weights are written as .safetensors. Name the file model.safetensors"):
            weights.write(tmp_path / "model.pt", "codec", tensors(), {})


class TestWhatItIs:
    def test_kinds(self, tmp_path):
        assert weights.kind_of(SMALL) == "surprisal"
        assert weights.kind_of(written(tmp_path, "codec")) == "codec"
        assert weights.kind_of("music2latent") == "codec"
        with pytest.raises(ValueError, match="neither a surprisal model.*nor a codec.*it holds 'epoch'"):
            torch.save({"epoch": 3}, tmp_path / "model.pt")
            weights.kind_of(tmp_path / "model.pt")
        with pytest.raises(FileNotFoundError, match="no such file.*'pa-audioic'.*'music2latent'"):
            weights.kind_of(tmp_path / "none.pt")

    def test_the_wrong_kind(self, tmp_path):
        with pytest.raises(ValueError, match="expected a codec, but its .json says 'surprisal'"):
            weights.read(written(tmp_path), "codec")
        with pytest.raises(ValueError, match="expected a codec with its tensors under 'gen_state_dict'.*load it as"):
            weights.read(SMALL, "codec")
        with pytest.raises(ValueError, match="music2latent: expected a surprisal model, but this is a codec"):
            weights.read("music2latent", "surprisal")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"schema": "eegic.weights/9"}, "expected schema 'eegic.weights/1' with settings. Convert"),
            ({"settings": None}, "expected schema 'eegic.weights/1' with settings. Convert"),
            ({"kind": "classifier"}, "expected a surprisal model, but its .json says 'classifier'"),
        ],
    )
    def test_a_json_of_another_make(self, tmp_path, changes, message):
        with pytest.raises(ValueError, match=message):
            weights.read(edited(written(tmp_path), **changes), "surprisal")

    @pytest.mark.parametrize(
        "changes",
        [
            {"settings": {**SETTINGS, "max_seq_length": 256}},
            {"settings": {}},
            {"settings_sha256": None},
            {"settings_sha256": "0" * 64},
        ],
    )
    def test_edited_settings(self, tmp_path, changes):
        with pytest.raises(ValueError, match="model.json: the settings are not those.*edited. Convert the checkpoint"):
            weights.read(edited(written(tmp_path), **changes), "surprisal")

    def test_the_layout_of_the_json_is_free(self, tmp_path):
        path = written(tmp_path)
        beside = path.with_suffix(".json")
        beside.write_text(json.dumps(json.loads(beside.read_text()), sort_keys=True))
        assert weights.read(path, "surprisal").settings == SETTINGS

    def test_a_json_that_is_none(self, tmp_path):
        path = written(tmp_path)
        path.with_suffix(".json").write_text("{")
        with pytest.raises(ValueError, match="model.json: cannot be read as json.*Copy it again"):
            weights.read(path, "surprisal")
        path.with_suffix(".json").write_text("[1]")
        with pytest.raises(ValueError, match="model.json: expected schema"):
            weights.read(path, "surprisal")
        path.with_suffix(".json").unlink()
        with pytest.raises(FileNotFoundError, match="model.json: missing; it holds the settings of model.safetensors"):
            weights.read(path, "surprisal")

    def test_places_without_weights(self, tmp_path):
        with pytest.raises(IsADirectoryError, match="expected a file of weights, got a folder. Name a file in it"):
            weights.read(tmp_path, "surprisal")
        with pytest.raises(IsADirectoryError, match="expected a file of weights, got a folder. Name a file in it"):
            weights.kind_of(tmp_path)
        for name in ("pa-audiic", tmp_path / "none.pt"):
            with pytest.raises(
                FileNotFoundError, match="no such file, and no surprisal model of that name.*'pa-audioic'"
            ):
                weights.read(name, "surprisal")
        with pytest.raises(FileNotFoundError, match="no codec of that name.*'lin-cae'"):
            weights.read("none", "codec")

    def test_check_state(self):
        shapes = {"a.weight": (3, 4), "b": (5,)}
        weights.check_state("it", tensors(), shapes)
        with pytest.raises(ValueError, match="it: not the weights of this network. Missing: 'c'; left over: none"):
            weights.check_state("it", tensors(), {**shapes, "c": (1,)})
        with pytest.raises(ValueError, match="Missing: none; left over: 'b'"):
            weights.check_state("it", tensors(), {"a.weight": (3, 4)})
        with pytest.raises(ValueError, match=r"it: b should be of shape \(6,\), but is \(5,\)"):
            weights.check_state("it", tensors(), {**shapes, "b": (6,)})


class TestNames:
    @pytest.mark.parametrize("name", weights.entries())
    def test_entries_are_well_formed(self, name):
        entry = weights.entries()[name]
        assert entry.name == name and entry.kind in weights.KINDS
        assert Path(entry.file).suffix in (".pt", ".pth", ".safetensors") and entry.licence
        if name.startswith("mini"):  # comes with eegic
            assert not entry.repository and not entry.revision and len(entry.sha256) == 64
        else:
            assert entry.repository.count("/") == 1 and "arXiv" in entry.about
            for digest, length in ((entry.sha256, 64), (entry.revision, 40)):
                assert digest == "unknown" or (len(digest) == length and set(digest) <= set("0123456789abcdef"))
        assert (entry.codec is None) == (entry.kind == "codec")
        if entry.codec is not None:
            assert weights.entries()[entry.codec].kind == "codec"

    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        """A hub that has fetched nothing yet."""
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        return tmp_path / "hub"

    @staticmethod
    def fetched(cache, name, source, revision="1" * 40):
        entry = weights.entries()[name]
        folder = cache / f"models--{entry.repository.replace('/', '--')}"
        file = folder / "snapshots" / revision / entry.file
        file.parent.mkdir(parents=True)
        shutil.copy(source, file)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("1" * 40)
        return file

    def test_what_was_fetched_is_found(self, cache):
        self.fetched(cache, "pa-audioic", SMALL)
        model = load_surprisal("pa-audioic", device="cpu")
        assert (model.name, model.codec) == ("pa-audioic", "pa-music2latent")
        assert model.licence.startswith("CC BY-NC 4.0")

    def test_of_a_pinned_revision_only(self, cache, tmp_path):
        torch.save({"gen_state_dict": tensors()}, tmp_path / "codec.pt")
        file = self.fetched(cache, "music2latent", tmp_path / "codec.pt")
        with pytest.raises(FileNotFoundError, match="music2latent: not on this machine"):
            weights.read("music2latent", "codec")
        pinned = file.parents[1] / weights.entries()["music2latent"].revision
        file.parent.rename(pinned)
        assert set(weights.read("music2latent", "codec").state) == set(tensors())

    def test_what_a_file_does_not_say(self, cache, tmp_path):
        torch.save({"gen_state_dict": tensors()}, tmp_path / "codec.pt")
        self.fetched(cache, "lin-cae", tmp_path / "codec.pt")
        assert weights.read("lin-cae", "codec").settings["scale"] == pytest.approx(1 / 33)

    def test_nothing_is_fetched_unless_asked(self, cache, monkeypatch):
        with pytest.raises(FileNotFoundError, match=r"pa-audioic: not on this machine.*download=True.*CC BY-NC 4.0"):
            weights.read("pa-audioic", "surprisal")
        with pytest.raises(OSError, match="pa-audioic: EEGIC_OFFLINE is set, so nothing is fetched"):
            weights.read("pa-audioic", "surprisal", download=True)
        monkeypatch.delenv("EEGIC_OFFLINE")
        monkeypatch.setattr(sys.modules["huggingface_hub.constants"], "HF_HUB_OFFLINE", True)
        with pytest.raises(OSError, match="pa_rectflow.pt of CPJKU/pa-audioic could not be fetched.*fetch it by hand"):
            weights.read("pa-audioic", "surprisal", download=True)

    def test_without_the_hub(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(ImportError, match=r"pa-audioic: finding published.*eegic\[hub\].*Or fetch pa_rectflow.pt"):
            weights.read("pa-audioic", "surprisal")

    def test_digests_that_nobody_knows_expect_nothing(self):
        manifest.check_digest("it", "f" * 64, "unknown")
        manifest.check_digest("it", "f" * 64, None)
        with pytest.raises(ValueError, match="it: expected a file of sha256 0+, got f+"):
            manifest.check_digest("it", "f" * 64, "0" * 64)
