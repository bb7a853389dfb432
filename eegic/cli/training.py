"""`eegic train`, `eegic convert`, `eegic weights`: models, from a recipe or from others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import eegic
from eegic import _checks
from eegic.cli.words import in_a_shell


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
        typer.echo(f"eegic: {in_a_shell(stopped) or 'stopped; --resume goes on.'}", err=True)
        raise typer.Exit(130) from None
    except Diverged as error:
        typer.echo(f"eegic: {in_a_shell(error)}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{model}\n-> {folder / recipe.name}.safetensors")


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
