"""`eegic ic`: what can be said of a sound before anybody hears it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import eegic


def ic(
    files: Annotated[list[Path], typer.Argument(help="Sound files, of any rate, format and number of channels.")],
    model: Annotated[
        str,
        typer.Option(help="Surprisal model: a file, or a name of `eegic weights`. mini knows melodies only."),
    ] = "mini",
    codec: Annotated[
        str | None, typer.Option(help="Codec of the model: a file or a name. By default the one that the model names.")
    ] = None,
    noise: Annotated[
        str, typer.Option(help="Noise levels from 0 (all detail counts) to below 1, separated by commas.")
    ] = "0.3",
    mode: Annotated[
        str, typer.Option(help="fast (random probes, with standard errors), exact, or reference (as published).")
    ] = "fast",
    at: Annotated[str, typer.Option(help="Point at a noise level: expectation or ode.")] = "expectation",
    stamp: Annotated[
        str,
        typer.Option(help="Time of a value: onset or end of its frame, or reference (times and table as published)."),
    ] = "onset",
    unit: Annotated[str, typer.Option(help="nats or bits.")] = "nats",
    chunk: Annotated[
        str, typer.Option(help="Sounds above 60 s: in chunks (reference), or as a whole, block by block (overlap).")
    ] = "reference",
    out: Annotated[Path, typer.Option(help="Folder for NAME.csv, NAME.npz and NAME.png.")] = Path("eegic-ic"),
    figure: Annotated[bool, typer.Option(help="Draw NAME.png: the spectrogram, and information content below.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier run.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out sounds whose NAME.csv is there already.")] = False,
    device: Annotated[str, typer.Option(help="auto (CUDA if there is one), cpu, cuda or cuda:1.")] = "auto",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Rows computed at once: speed and memory, not results.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same values.")] = 0,
) -> None:
    """Write the information content of sounds: how surprising each moment is, given what came before.

    A file that cannot be used is named and skipped; the others are finished, and the exit code is 1.
    """
    import matplotlib

    from eegic import codec as codecs
    from eegic import surprisal
    from eegic.surprisal.ic import check_options, codec_of

    matplotlib.use("Agg")
    levels = check_options(_numbers("--noise", noise), mode=mode, at=at, stamp=stamp, unit=unit, chunk=chunk)
    if resume:
        files = [path for path in files if not (out / f"{path.stem}.csv").exists()]
    _check_names(files, out, overwrite or resume)
    network = surprisal.load_surprisal(model, device=device)
    typer.echo(network)
    if network.name == "mini":
        typer.echo(
            "Note: mini knows simulated melodies, not music. Of other sounds it says how unlike those they are.",
            err=True,
        )
    if codec is None and network.codec is None:
        raise ValueError(f"--codec: {network.name} does not say which codec it knows. Name one.")
    encoder = codecs.load_codec(codec, device=device) if codec else codec_of(network, device)
    typer.echo(encoder)
    failed = 0
    for path in files:
        try:
            sound = eegic.read_audio(path)
            series = surprisal.information_content(
                sound, network, levels, codec=encoder, mode=mode, at=at, stamp=stamp, unit=unit, chunk=chunk,
                device=device, batch=batch, rng=seed,
            )  # fmt: skip
            _write_ic(sound, series, out / path.stem, figure)
        except (ValueError, OSError, RuntimeError) as error:  # RuntimeError: the GPU is out of memory
            named = str(path) in str(error)
            typer.echo(f"eegic: {error}" if named else f"eegic: {path}: {error}", err=True)
            failed += 1
        else:
            typer.echo(f"{series} -> {out / path.stem}.csv")
    if failed:
        typer.echo(f"eegic: {failed} of {len(files)} sounds failed.", err=True)
        raise typer.Exit(1)


def _write_ic(sound: eegic.Audio, series: eegic.FeatureSeries, stem: Path, figure: bool) -> None:
    from matplotlib import pyplot as plt

    from eegic import _files, surprisal, viz

    picture = stem.with_name(f"{stem.name}.png")
    picture.unlink(missing_ok=True)  # that of an earlier run would not belong to these numbers
    series.save(stem.with_name(f"{stem.name}.npz"))
    if figure:
        drawn = viz.plot_information_content(sound, series)
        with _files.replacing(picture) as draft:
            drawn.savefig(draft, dpi=150)
        plt.close(drawn)
    surprisal.write_csv(series, stem.with_name(f"{stem.name}.csv"))  # last: it says that the sound is done


def _check_names(files: list[Path], out: Path, overwrite: bool) -> None:
    """Find out before hours of work that two results would have one name, or that one would be lost."""
    stems = [path.stem for path in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(f"FILES: {twice[0]!r} is the name of several sounds, whose results would replace each other.")
    results = [out / f"{stem}.{kind}" for stem in stems for kind in ("csv", "npz", "png")]
    there = [path for path in results if path.exists()]
    if there and not overwrite:
        raise ValueError(
            f"{there[0]}: is there from an earlier run. Pass --overwrite to replace it, --resume to do what is "
            "missing, or another --out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise type(error)(f"{out}: cannot be written to ({error.strerror}). Name another folder with --out.") from error


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{name}: expected numbers separated by commas, such as 0,0.3,0.6, got {text!r}.") from None
