"""Read a command line as it was meant: other words for commands and options, capitals, "_" for "-", old spellings.

Only a word that is no command or option is replaced, and only where one meaning is left. What is replaced is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import click

from reportgen_core import OptionError
from reportgen_core.registry import did_you_mean, fold, match_name
from reportgen_core.text.guesses import elsewhere

from .terminal.echo import say

COMMANDS: Mapping[str, str] = {  # what newcomers type, and the words that they mean
    "attention": "explain", "build": "compose", "check": "doctor", "create": "compose", "datasets": "list datasets",
    "decoders": "list decoders", "describe": "info", "download": "zoo pull", "encoders": "list encoders",
    "evaluate": "eval", "fine-tune": "train", "finetune": "train", "fit": "train",
    "generate": "report", "gradcam": "explain", "heatmap": "explain", "help": "--help", "infer": "report",
    "inference": "report", "leaderboard": "board", "list models": "zoo list", "list plugins": "plugins", "ls": "list",
    "metrics": "list metrics", "models": "zoo list", "new": "compose", "plugin": "plugins", "plugin list": "plugins",
    "plot": "explain", "predict": "report", "presets": "list presets", "protocols": "list protocols",
    "pull": "zoo pull",
    "push": "zoo push", "rank": "board", "recipes": "list recipes", "retrievers": "list retrievers", "score": "eval",
    "server": "serve", "show": "info", "test": "eval", "test-model": "eval", "validate": "eval", "version": "--version",
    "visualise": "explain", "visualize": "explain", "write": "report",
}  # fmt: skip

LISTING = {"plugins", *(word for word, meaning in COMMANDS.items() if meaning in ("zoo list", "plugins"))} | {
    word for word, meaning in COMMANDS.items() if meaning.startswith("list ")
}  # they list as they are, so that a word "list" after them adds nothing
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".txt")
_PLUGIN = (
    "no command makes a plugin: it is a package of yours, which pip install adds. The tutorial docs/plugins.md has "
    "three whole packages, and rg plugins lists what is installed"
)
ANSWERS: Mapping[str, str] = {  # what newcomers type, and that no command does: what does it instead
    **dict.fromkeys(
        ("create plugin", "init", "new plugin", "plugin add", "plugin create", "plugin init", "plugin install",
         "plugin make", "plugin new", "plugins add", "plugins create", "plugins init", "plugins install",
         "plugins make", "plugins new"),
        _PLUGIN,
    ),
    "gui": "rg serve is the page to try models on", "install": "pip install PACKAGE installs a plugin",
    "login": "there is nothing to log in to; rg zoo list prints the models",
    "ui": "rg serve is the page to try models on", "uninstall": "pip uninstall PACKAGE removes a plugin",
    "update": "pip install --upgrade reportgen updates it", "upgrade": "pip install --upgrade reportgen updates it",
}  # fmt: skip

OPTIONS: Mapping[str, tuple[str, ...]] = {  # a spelling that no command shows, and what it may mean, best first
    "--b": ("--beams",), "--beam-size": ("--beams",), "--ckpt": ("--model",), "--checkpoint": ("--model",),
    "--cpu": ("--device cpu",), "--cuda": ("--device cuda",), "--data-dir": ("--data-root",),
    "--data-path": ("--data-root",), "--dataset": ("--data",), "--gpu": ("--device cuda",),
    "--json": ("--format json",),
    "--max-studies": ("--limit",), "--metric": ("--metrics",), "--num-beams": ("--beams",),
    "--num-epochs": ("--epochs",), "--num-workers": ("--workers",),
    "--option": ("--data-option", "--classifier-option", "--grouper-option"), "--out-dir": ("--out",),
    "--outdir": ("--out",), "--output": ("--out",), "--output-dir": ("--out",), "--overwrite": ("--force",),
    "--prediction": ("--predictions",), "--preds": ("--predictions",), "--reference": ("--references",),
    "--refs": ("--references",), "--root": ("--data-root",), "--sections": ("--section",), "--to": ("--out",),
    "--top-k": ("--k",), "--weights": ("--model",), "-b": ("--batch-size",), "-d": ("--decoder", "--data"),
    "-e": ("--encoder", "--epochs"), "-f": ("--format",), "-k": ("--k",), "-m": ("--model",), "-n": ("--limit",),
    "-o": ("--out",), "-s": ("--seed",),
}  # fmt: skip


def meant_command(args: Sequence[str], names: Iterable[str]) -> list[str]:
    """Return a command line whose first word is a command of `names`, if one is meant without doubt."""
    known = list(names)
    words = list(args)
    if len(words) > 1 and words[0].lower() in LISTING and words[1].lower() in ("list", "ls"):
        say(f"note: rg {words[0]} {words[1]} is rg {COMMANDS.get(words[0].lower(), words[0])}", err=True)
        words = [*COMMANDS.get(words[0].lower(), words[0]).split(), *words[2:]]
    if (
        not words
        or words[0].startswith("-")
        or (words[0] in known and " ".join(words[:2]) not in {**COMMANDS, **ANSWERS})
    ):
        return words
    for count in (2, 1):
        if answer := ANSWERS.get(" ".join(words[:count]).lower()):
            raise click.UsageError(f"no command {' '.join(words[:count])!r}: {answer}")
        if meaning := COMMANDS.get(" ".join(words[:count]).lower()):
            rest = words[count:]
            if meaning == "--help":
                return _help(rest, known)
            if meaning != "--version":
                say(f"note: rg {' '.join(words[:count])} is rg {meaning}", err=True)
            return [*meaning.split(), *rest]
    match = match_name(words[0], known)
    if match is None:
        if part := elsewhere(words[0], "command"):
            raise click.UsageError(f"no command {words[0]!r}; {part}")
        return words
    say_meant(words[0], match, "rg ")
    return [match, *words[1:]]


def _help(words: Sequence[str], commands: Sequence[str]) -> list[str]:
    """Return the command line of `rg help`: the help of a command, or all about a part, a preset or a model."""
    meant = words and (
        match_name(words[0], commands) or COMMANDS.get(words[0].lower()) or ANSWERS.get(words[0].lower())
    )
    if not words or meant or words[0].startswith("-"):
        return [*meant_command(words, commands), "--help"]
    say(f"note: rg help {words[0]} is rg info {words[0]}", err=True)
    return ["info", *words]


def say_meant(given: str, meant: str, what: str = "") -> None:
    """Print on stderr how a word was read, if it was not read as it was given."""
    if given != meant:
        say(f"note: {what}{given} is {what}{meant}", err=True)


def meant_options(command: click.Command, ctx: click.Context, args: Sequence[str]) -> list[str]:
    """Return the arguments of a command with its options, and the names of its subcommands, spelled as it takes them.

    Raises click.UsageError for a subcommand that there is not.
    """
    if isinstance(command, click.Group):
        if not args or args[0].startswith("-"):
            return list(args)
        names = command.list_commands(ctx)
        name = match_name(args[0], names)
        inner = None if name is None else command.get_command(ctx, name)
        if name is None or inner is None:
            raise click.UsageError(f"no command {args[0]!r}; {did_you_mean(args[0], names)}", ctx)
        say_meant(args[0], name, f"{ctx.info_name} ")
        return [name, *meant_options(inner, click.Context(inner, ctx, name), args[1:])]
    options = {flag for p in command.params if isinstance(p, click.Option) for flag in (*p.opts, *p.secondary_opts)}
    options |= {"--help", "-h"}
    positional = {p.name or "" for p in command.params if isinstance(p, click.Argument)}
    valued = {
        f for p in command.params if isinstance(p, click.Option) and not p.is_flag and not p.count for f in p.opts
    }
    lists = {flag for p in command.params if "," in str(getattr(p, "metavar", "")) for flag in p.opts}
    setting_of: Callable[[str], str] = getattr(command, "setting_of", lambda flag: "")
    model_is_meant = not positional and "--model" in options
    words: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        flag, sign, value = word.partition("=")
        if word == "--":
            return [*words, word, *rest]
        if words and words[-1] in lists:  # --metrics BLEU CIDEr is --metrics BLEU,CIDEr
            while rest and not positional and not rest[0].startswith("-"):
                word += "," + rest.pop(0)
            words.append(word)
        elif flag not in options and (setting := setting_of(flag)):  # --lr 1e-4 is --set lr=1e-4
            if not sign:
                value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
            words += ["--set", f"{setting}={value}"]
        elif model_is_meant and _stands_alone(word, words, options, valued):
            option = _option_of(word, options, words)  # rg eval MODEL, and rg eval TABLE
            say(f"note: {word} is {option} {word}", err=True)
            words += [option, word]
        else:
            words += _meant_option(word, options, positional)
    if "--predictions" in options:
        _refuse_table(words, ctx.info_name or "")
    return words


def _refuse_table(words: Sequence[str], command: str) -> None:
    """Raise OptionError if a table of texts is given as a model."""
    models = [b for a, b in pairwise(words) if a == "--model"]
    models += [word.partition("=")[2] for word in words if word.startswith("--model=")]
    for table in filter(is_table, models):
        raise OptionError(
            f"--model {table}: a table is no model; its reports are scored by "
            f"rg {command} --predictions {table} --references FILE"
        )


def is_table(word: str) -> bool:
    """Return whether a word is the name of a table of texts, as CSV and JSON lines are, also gzipped."""
    return Path(word.lower().removesuffix(".gz")).suffix in TABLE_SUFFIXES


def _stands_alone(word: str, before: Sequence[str], options: set[str], valued: set[str]) -> bool:
    """Return whether a word after these is no option, and no value of an option, known or unknown."""
    ahead, last = ["", "", *before][-2:]
    unknown = last.startswith("-") and "=" not in last and last not in options and ahead not in valued
    return not word.startswith("-") and last not in valued and not unknown


def _option_of(word: str, options: set[str], before: Sequence[str]) -> str:
    """Return the option of a word that has none: --model, or of a table --predictions, and --references of a second."""
    if "--predictions" not in options or not is_table(word):
        return "--model"
    return "--references" if "--predictions" in before and "--references" not in before else "--predictions"


def _meant_option(word: str, options: set[str], positional: set[str]) -> list[str]:
    """Return a word of a command line as the command takes it; an option that names an argument is left out."""
    flag, sign, value = word.partition("=")
    if not flag.startswith("-") or flag in options or not flag.strip("-").replace("-", "").replace("_", "").isalpha():
        return [word]
    same = [o for o in sorted(options) if o.startswith("--") and fold(o) == fold(flag)]
    spelled = "--" + fold(flag) if flag.startswith("--") else flag
    known = {("--" + fold(k) if k.startswith("--") else k): v for k, v in OPTIONS.items()}
    for meaning in (*same, *known.get(spelled, ())):
        name, _, rest = meaning.partition(" ")
        if name in options:
            words = [name, rest] if rest else [name]
            return [f"{name}={value}"] if sign and not rest else words
        if name.strip("-") in positional:
            return [value] if sign else []
    if spelled in ("--verbose", "-v"):
        say(f"note: no command has {flag}; it is left out", err=True)
        return []
    argument = flag.strip("-").lower().replace("-", "_")
    if flag.startswith("--") and {argument, argument + "s"} & positional:
        return [value] if sign else []
    return [word]
