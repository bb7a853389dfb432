"""Every feature of every sound; information content for each noise level on its own."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic.study.ground import Ground, Unit
from eegic.study.settings import Feature, InformationContent, Shipped, Stored, columns
from eegic.study.stages.sounds import SoundFile, file_of

if TYPE_CHECKING:
    from eegic.codec import Codec
    from eegic.series import FeatureSeries
    from eegic.surprisal import SurprisalModel
    from eegic.surprisal.ic import Encoded

SERIES = "series.npz"


def units(ground: Ground) -> list[Unit]:
    """One per sound and feature; of information content, one per noise level too."""
    found = []
    for stimulus in stimuli(ground):
        for name, feature in ground.study.settings.used.items():
            if isinstance(feature, Stored):
                found.append(_brought(ground, stimulus, name, feature))
            elif not isinstance(feature, Shipped):
                found += [_computed(ground, stimulus, name, feature, column) for column in columns(name, feature)]
    return found


def stimuli(ground: Ground) -> list[str]:
    """Names of all stimuli: of the sounds that are used, or else of the files of a feature."""
    names = dict.fromkeys(ground.used_sounds)
    for feature in ground.study.settings.used.values():
        if isinstance(feature, Stored) and not ground.sounds:
            start, end = str(ground.study.path(feature.files)).split("{stimulus}", 1)
            there = sorted(glob.glob(f"{glob.escape(start)}*{glob.escape(end)}"))
            names |= dict.fromkeys(one[len(start) : len(one) - len(end)] for one in there)
    return list(names)


def label(stimulus: str, column: str) -> str:
    """What the unit of a feature of a sound is called."""
    return f"{stimulus}: {column}"


def _brought(ground: Ground, stimulus: str, name: str, feature: Stored) -> Unit:
    path = ground.study.path(feature.files.replace("{stimulus}", stimulus))
    try:
        content = ground.digest(path, f"features/{name}/{stimulus}{path.suffix}")
    except (OSError, ValueError) as error:
        return Unit("features", label(stimulus, name), fault=str(error))
    settings = {**feature.given("files", "centre"), "sfreq": ground.study.settings.preprocessing.sfreq, "name": name}
    duration = None
    if ("sounds", stimulus) in ground.entries:
        duration = ground.entries["sounds", stimulus].about["duration"]
    given = {"path": path, "duration": duration, **settings}
    inputs = {"file": content, "duration": duration}
    return ground.unit("features", label(stimulus, name), settings, inputs, given, [path])


def _computed(ground: Ground, stimulus: str, name: str, feature: Feature, column: str) -> Unit:
    sound = ground.entries.get(("sounds", stimulus))
    if sound is None:
        return Unit("features", label(stimulus, column), fault=ground.lacking([("sounds", stimulus)]))
    settings = feature.given("centre", "noise")
    try:
        source = file_of(ground, stimulus)
    except (OSError, ValueError) as error:
        return Unit("features", label(stimulus, column), fault=str(error))
    inputs: dict[str, Any] = {"sound": sound.key, "content": source.digest}  # it may be another file by now
    files = [source.path]
    if isinstance(feature, InformationContent):
        try:
            settings |= {"model": _found(ground, feature.model), "codec": _found(ground, feature.codec)}
            weights = _weights(ground, feature)
            inputs["weights"] = {name: digest for name, (_, digest) in weights.items()}
            files += [path for path, _ in weights.values()]
        except (OSError, ValueError) as error:
            return Unit("features", label(stimulus, column), fault=str(error))
        level = feature.noise[columns(name, feature).index(column)]
        settings |= {"noise": level, "device": ground.device.partition(":")[0], "seed": ground.study.settings.run.seed}
    else:
        settings["sfreq"] = ground.study.settings.preprocessing.sfreq
    given = {**settings, **inputs, "sound": source, "name": column, "device": ground.device}
    known = {key: value for key, value in settings.items() if key not in ("model", "codec")}  # a path says nothing
    return ground.unit("features", label(stimulus, column), {**known, "name": column}, inputs, given, files)


def _found(ground: Ground, source: str | None) -> str | None:
    """A model by its path, if there is such a file, or by its name."""
    if source is None:
        return None
    path = ground.study.path(source)
    return str(path) if path.is_file() else source


def _weights(ground: Ground, feature: InformationContent) -> dict[str, tuple[Path, str]]:
    """Files of a model and of its codec, with their digests."""
    found = _files_of_model(ground, feature.model, "surprisal")
    codec = feature.codec
    if codec is None:
        path, digest = next(iter(found.values()))
        codec = _named_codec(path, digest)
    return {**found, **_files_of_model(ground, codec, "codec")}


def _files_of_model(ground: Ground, source: str, kind: str) -> dict[str, tuple[Path, str]]:
    from eegic.weights.manifest import find, known, unknown_name

    path = ground.study.path(source)
    if not path.is_file():
        entry = known(source, kind)
        if entry is None:
            raise unknown_name(source, kind)
        path = find(entry, download=False)
    files = [file for file in (path, path.with_suffix(".json")) if file.is_file()]
    return {f"{kind}{file.suffix}": (file, ground.digest(file, f"models/{file.name}")) for file in files}


@lru_cache(maxsize=8)
def _named_codec(model: Path, digest: str) -> str:
    """The codec whose latents a model has learned."""
    from eegic.surprisal import load_surprisal

    codec = load_surprisal(model, device="cpu").codec
    if codec is None:
        raise ValueError(f"{model}: does not say which codec it knows. Name it: codec, in the feature.")
    return codec


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """One feature of one sound."""
    kind = given["kind"]
    if kind == "files":
        series = read(given)
    elif kind == "ic":
        series = _surprisal(given)
    else:
        series = _acoustic(given)
    if series.n_features == 1:
        series = replace(series, names=(given["name"],))
    series.save(draft / SERIES)
    return {"names": list(series.names), "n_times": series.n_times}


def _acoustic(given: Mapping[str, Any]) -> FeatureSeries:
    from eegic import features

    sound = given["sound"].read()
    options = {key: given[key] for key in ("n_bands", "fmin", "fmax", "compression", "floor_db") if key in given}
    if "method" in given:
        options["kind"] = given["method"]
    series: FeatureSeries = getattr(features, given["kind"])(sound, given["sfreq"], **options)
    return series


def _surprisal(given: Mapping[str, Any]) -> FeatureSeries:
    from eegic.series import FeatureSeries
    from eegic.surprisal import information_content

    model, codec = _models(given["model"], given["codec"], given["device"], tuple(given["weights"].items()))
    sound, said = _encoded(given["sound"], codec, given["chunk"])
    for text in said:
        warnings.warn(text, stacklevel=2)
    options = {key: given[key] for key in ("mode", "at", "stamp", "unit", "chunk", "device")}
    series = information_content(
        sound, model, given["noise"], codec=codec, **options, rng=given["seed"], progress=False
    )
    assert isinstance(series, FeatureSeries)  # one sound, one series
    return series


@lru_cache(maxsize=2)
def _models(
    model: str, codec: str | None, device: str, weights: tuple[tuple[str, str], ...]
) -> tuple[SurprisalModel, Codec]:
    """Models stay in memory from one sound to the next, as long as their files are the same."""
    from eegic.codec import load_codec
    from eegic.surprisal import load_surprisal
    from eegic.surprisal.ic import codec_of

    network = load_surprisal(model, device=device)
    return network, load_codec(codec, device=device) if codec else codec_of(network, device)


def forget() -> None:
    """Read models and sounds again the next time: a file was not what it should have been."""
    _models.cache_clear()
    _encoded.cache_clear()


@lru_cache(maxsize=1)
def _encoded(sound: SoundFile, codec: Codec, chunk: Any) -> tuple[Encoded, tuple[str, ...]]:
    """Latents of a sound, which stay in memory from one noise level to the next, and what was said about it."""
    from eegic.surprisal.ic import encode_sound

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        latents = encode_sound(sound.read(), codec, chunk=chunk)
    return latents, tuple(str(one.message) for one in caught)


def read(given: Mapping[str, Any]) -> FeatureSeries:
    """A feature that was brought, on the grid of the EEG if it says how it gets there."""
    import numpy as np

    from eegic.series import FeatureSeries

    path: Path = given["path"]
    series = FeatureSeries.load(path) if path.suffix.lower() == ".npz" else read_table(path)
    if given["columns"]:
        series = series.select(list(given["columns"]))
    lost = int(np.isnan(series.values).any(axis=1).sum())
    if lost:
        text = f"{path.name}: {lost} of {len(series.values)} rows lack a value; what they touch is left out"
        warnings.warn(text, stacklevel=2)
    if given["placed"] == "as it is":
        _check_rate(series, given)
        return series
    return series.resample(given["sfreq"], duration=given["duration"], kind=given["placed"])


def _check_rate(series: FeatureSeries, given: Mapping[str, Any]) -> None:
    """Refuse values that are not at the rate of the EEG: how they get there is not to be guessed."""
    import numpy as np

    steps = np.diff(series.times) * given["sfreq"]
    if len(steps) and np.abs(steps - 1).max() < 1e-3:
        return
    even = len(steps) > 0 and np.ptp(steps) < 1e-3
    what = f"values come {given['sfreq'] / steps[0]:.3g} times a second" if even else "values come at irregular times"
    raise ValueError(
        f"{given['path']}: {what}, and the EEG has {given['sfreq']:g} samples. Say how they get there: placed = "
        '"impulse" (notes), "hold" (frames) or "linear", in the feature.'
    )


def read_table(path: Path) -> FeatureSeries:
    """A table with a column of times in seconds, and one per feature."""
    import pandas as pd

    from eegic.series import FeatureSeries

    separator = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        frame = pd.read_csv(path, sep=separator, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a table ({error}). Save it again as UTF-8.") from error
    if "time" not in frame or len(frame.columns) < 2:
        raise ValueError(
            f"{path}: expected the column time (seconds) and one per feature, got {', '.join(map(str, frame))}."
        )
    wrong = [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    if wrong:
        raise ValueError(f"{path}: {', '.join(wrong)} should hold numbers with a decimal point. Correct the table.")
    times = frame.pop("time").to_numpy(float)
    return FeatureSeries(frame.to_numpy(float), times, list(frame.columns))
