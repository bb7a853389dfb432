"""The command line: `eegic demo`, `eegic ic`, `eegic train`, `eegic convert`, `eegic weights`, `eegic sysinfo`."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated

import typer

import eegic
from eegic import _checks

app = typer.Typer(
    name="eegic",
    help="Does the brain track how surprising music is? Try the whole line on a study whose truth is known.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"eegic {eegic.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for sounds, features, scores, figures, report and settings.")
    ] = Path("eegic-demo"),
    participants: Annotated[int, typer.Option(min=1, help="Simulated listeners.")] = 6,
    duration: Annotated[float, typer.Option(help="Seconds of each of the eight melodies.")] = 30.0,
    effect: Annotated[
        float, typer.Option(help="Response to surprisal relative to that to the envelope; 0 for none.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same study.")] = 0,
) -> None:
    """Run the whole line on a simulated study whose truth is known (one to two minutes)."""
    import matplotlib

    from eegic import demo

    matplotlib.use("Agg")
    demo.run(out, n_participants=participants, duration=duration, effect=effect, seed=seed, say=typer.echo)


@app.command()
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


@app.command()
def train(
    kind: Annotated[str | None, typer.Argument(help="codec or surprisal: what CONFIG is for.")] = None,
    config: Annotated[Path | None, typer.Argument(help="A recipe: a TOML file.")] = None,
    preset: Annotated[str | None, typer.Option(help="A recipe that comes with eegic, instead of KIND CONFIG.")] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="List the recipes that come with eegic, and leave.")
    ] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Another value than in the recipe: loop.steps=2000. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints, curves and the model; by default eegic-train/NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in OUT, by the recipe that lies there.")
    ] = False,
    trial: Annotated[
        bool,
        typer.Option(
            "--trial",
            help="Open sound and codec, take one step with a tiny batch; print sizes, memory and the time that all of "
            "it would take; write nothing.",
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the recipe with all its settings, as TOML, and leave.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto (CUDA if there is one), cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Train a codec, or a surprisal model on the latents of a codec.

    Several GPUs: torchrun --nproc-per-node 4 -m eegic train ...
    """
    from eegic import recipes
    from eegic.training import Diverged
    from eegic.training.checkpoint import Checkpoints

    if presets:
        for name, about in recipes.presets().items():
            typer.echo(f"{name:<22} {about}")
        return
    if kind is not None:
        _checks.one_of("KIND", kind, recipes.KINDS)
    source = _begun(out) if resume and config is None and preset is None else _recipe_named(kind, config, preset)
    recipe = recipes.read_recipe(source, change or ())
    if kind not in (None, recipe.kind):
        raise ValueError(f"KIND: {source} is a recipe for a {recipe.kind}, not for a {kind}.")
    if show:
        typer.echo(recipe.toml(), nl=False)
        return
    if trial:
        typer.echo(f"{recipe.name}: {recipe.about}\n{recipes.attempt(recipe, device=device)}")
        return
    folder = out or Path("eegic-train") / recipe.name
    typer.echo(f"{recipe.name}: {recipe.about}\n-> {folder}")
    if resume and not Checkpoints(folder, {}).steps():
        typer.echo("There is no checkpoint to go on from; the training starts from the beginning.")
    try:
        model = recipes.follow(recipe, folder, device=device, resume=resume, after_validation=_Curves(folder))
    except KeyboardInterrupt as stopped:
        typer.echo(f"eegic: {_in_a_shell(stopped) or 'stopped; --resume goes on.'}", err=True)
        raise typer.Exit(130) from None
    except Diverged as error:
        typer.echo(f"eegic: {_in_a_shell(error)}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{model}\n-> {folder / recipe.name}.safetensors")


def _in_a_shell(message: object) -> str:
    """What an error or a warning says, in words of the command line."""
    told = str(message).replace("resume=True", "--resume").replace("folder with out.", "folder with --out.")
    return told.replace("Pass codec=PATH.", "Pass --codec PATH.")


def _begun(out: Path | None) -> Path:
    """The recipe of a training that is to go on."""
    from eegic.recipes.running import RECIPE

    if out is None:
        raise ValueError("--resume: expected the folder of a training: --out OUT. Or name its recipe.")
    if not (out / RECIPE).is_file():
        raise FileNotFoundError(f"{out}: holds no {RECIPE} to go on with. Name the recipe: KIND CONFIG, or --preset.")
    return out / RECIPE


def _recipe_named(kind: str | None, config: Path | None, preset: str | None) -> Path | str:
    if (preset is None) == (config is None):
        got = "both" if preset else "neither" if kind is None else f"{kind!r} alone"
        raise ValueError(
            "eegic train: expected KIND CONFIG, such as `eegic train codec my.toml`, or --preset NAME. `eegic train "
            f"--presets` lists the names; got {got}."
        )
    if preset is not None:
        return preset
    return str(config)


class _Curves:
    """Draws the curves of a training anew after each validation; of several processes the first alone validates.

    Where no terminal shows a bar, in the log of a batch job for instance, each validation is a line, too.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "curves.png"

    def __call__(self, history: eegic.History) -> None:
        import matplotlib

        from eegic import _files, viz

        if not sys.stderr.isatty():
            last = history.rows[-1]
            typer.echo(f"step {last.step}: validation {last.validation:.4g}, {last.seconds:.0f} s", err=True)
        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        figure = viz.plot_training(history)
        with _files.replacing(self.path) as draft:
            figure.savefig(draft, dpi=120)
        plt.close(figure)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A checkpoint (.pt) in a public layout, or a name of `eegic weights`.")],
    out: Annotated[Path, typer.Argument(help="The file to write, .safetensors; settings go into .json beside it.")],
    download: Annotated[bool, typer.Option("--download", help="Fetch a named checkpoint if it is not here.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
) -> None:
    """Rewrite a checkpoint as safetensors and json, once it has been checked weight by weight.

    Nothing in the checkpoint is executed.
    """
    from eegic import codec, surprisal, weights

    if out.exists() and not overwrite:
        raise ValueError(f"{out}: is there already. Pass --overwrite to replace it, or name another file.")
    kind = _checks.one_of(f"{source}: kind", weights.kind_of(source), weights.KINDS)
    load = {"surprisal": surprisal.load_surprisal, "codec": codec.load_codec}[kind]
    model = load(source, device="cpu", download=download)
    model.save(out)
    typer.echo(f"{model}\nfrom {source}, sha256 {model.sha256}\n-> {out}, sha256 {weights.read(out, kind).sha256}")


@app.command()
def weights(
    name: Annotated[str | None, typer.Argument(help="A published checkpoint; without it, all are listed.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch it if it is not here.")] = False,
) -> None:
    """List the published checkpoints that eegic knows by name, with their licences; fetch one on request."""
    from eegic import weights

    known = weights.entries()
    if name is None:
        for entry in known.values():
            typer.echo(f"{entry.name:<18} {entry.kind:<10} {entry.licence}\n{'':<18} {entry.about}")
        return
    if name not in known:
        raise ValueError(f"{name}: not known. `eegic weights` lists the names.")
    entry = known[name]
    for field in ("name", "kind", "about", "repository", "file", "revision", "sha256", "licence"):
        typer.echo(f"{field:<12} {getattr(entry, field)}")
    try:
        stored = weights.read(name, entry.kind, download=download)
    except FileNotFoundError as error:
        typer.echo(f"{'found':<12} no; {error}")
        return
    typer.echo(f"{'found':<12} sha256 {stored.sha256}, {sum(t.numel() for t in stored.state.values())} numbers")


@app.command()
def sysinfo() -> None:
    """Print versions, processor, threads and GPU: what to paste into a bug report."""
    import os
    import platform

    typer.echo(f"eegic    {eegic.__version__}")
    typer.echo(f"Python   {platform.python_version()} ({platform.python_implementation()})")
    typer.echo(f"System   {platform.platform()}, {os.cpu_count()} cores")
    for name in ("numpy", "scipy", "mne", "torch", "mtrf", "pandas", "statsmodels", "nilearn", "joblib", "soundfile"):
        typer.echo(f"{name:<12} {_installed(name)}")
    for user, pool in _threads():
        typer.echo(f"{user:<12} {pool}")
    typer.echo(f"GPU          {_gpu()}")


def _installed(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _threads() -> list[tuple[str, str]]:
    """Libraries that compute in threads, and how many; none where what loads them is missing."""
    try:
        import scipy.linalg  # noqa: F401  # loads the BLAS that is asked about next
        from threadpoolctl import threadpool_info
    except ImportError as error:
        return [("threads", f"not known ({error})")]
    return [
        (pool["user_api"], f"{pool['internal_api']} {pool['version'] or ''}, {pool['num_threads']} threads")
        for pool in threadpool_info()
    ]


def _gpu() -> str:
    try:
        import torch
    except ImportError as error:
        return f"not known ({error})"
    if not torch.cuda.is_available():
        return "none that torch can use (CPU works for everything)"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def main() -> None:
    """Entry point: bad input ends with one line and exit code 2; warnings are a line each."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app()
        except (ValueError, OSError, ImportError) as error:
            typer.echo(f"eegic: {_in_a_shell(error)}", err=True)
            sys.exit(2)


def _show_warning(message: Warning | str, *where: object) -> None:
    """Say what a warning says; not from which line of Python."""
    typer.echo(f"Warning: {_in_a_shell(message)}", err=True)


if __name__ == "__main__":
    main()
