"""Run `rg completion`: let the shell complete commands, options and names of parts with the tab key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from reportgen_core import OptionError
from reportgen_core.files.atomic import atomic_write

from ...terminal.echo import say, say_text
from ...terminal.groups import Commands

SHELLS = ("bash", "zsh", "fish")
BEGIN, END = "# >>> reportgen completion >>>", "# <<< reportgen completion <<<"
_BLOCK = re.compile(rf"\n?{re.escape(BEGIN)}.*?{re.escape(END)}\n", re.DOTALL)


@click.group(cls=Commands)
def completion() -> None:
    """Let the shell complete rg with the tab key: commands, options, names of parts.

    \b
    Example: rg completion install
    """


@completion.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def install(shell: str | None) -> None:
    """Install completion for SHELL; without it, for the shell of $SHELL. It says which files it writes.

    \b
    Example: rg completion install
    Example: rg completion install zsh

    A script is written into the configuration of reportgen. bash and zsh get three lines at the end of .bashrc or
    .zshrc that read it; fish reads it by itself. rg completion remove undoes all of it.
    """
    chosen = shell or current_shell()
    script, startup = places(chosen)
    script.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(script, source(chosen))
    say(f"wrote {script}")
    if startup is not None:
        before = startup.read_text(encoding="utf-8") if startup.exists() else ""
        lines = f'{BEGIN}\n[ -r "{script}" ] && . "{script}"\n{END}\n'
        text = _BLOCK.sub("", before)
        after = text + ("" if not text or text.endswith("\n") else "\n") + lines
        if after == before:
            say(f"{startup} reads it already")
        else:
            atomic_write(startup, after)
            say(f"added {len(lines.splitlines())} lines at the end of {startup}")
    say(f"open a new {chosen}, then: rg re<TAB>; rg completion remove {chosen} undoes it")


@completion.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def remove(shell: str | None) -> None:
    """Remove what `rg completion install` wrote for SHELL.

    \b
    Example: rg completion remove
    """
    chosen = shell or current_shell()
    script, startup = places(chosen)
    removed = script.exists()
    script.unlink(missing_ok=True)
    say(f"removed {script}" if removed else f"there is no {script}")
    if startup is not None and startup.exists():
        before = startup.read_text(encoding="utf-8")
        after = _BLOCK.sub("", before)
        if after != before:
            atomic_write(startup, after)
            say(f"removed our lines from {startup}")


@completion.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def show(shell: str | None) -> None:
    """Print the script for SHELL and write nothing.

    \b
    Example: rg completion show bash
    """
    say_text(source(shell or current_shell()), nl=False)


def current_shell() -> str:
    """Return the shell of $SHELL. Raises OptionError for one that cannot be completed."""
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise OptionError(
            f"the shell {name or 'of $SHELL, which is not set,'} is not known; name one of {', '.join(SHELLS)}"
        )
    return name


def places(shell: str) -> tuple[Path, Path | None]:
    """Return the file of the script, and the startup file that must read it; None if the shell finds it by itself.

    A startup file that is a link stays one: the file behind it is written.
    """
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "fish":
        return config / "fish" / "conf.d" / "reportgen-completion.fish", None
    startup = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    return config / "reportgen" / f"completion.{shell}", startup.resolve()


def source(shell: str) -> str:
    """Return the script that a shell reads."""
    from ...main import rg

    made = get_completion_class(shell)
    assert made is not None
    script = made(rg, {}, "rg", "_RG_COMPLETE")
    text = script.source_template % script.source_vars()
    if shell == "zsh":  # compdef exists only after compinit
        text = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n" + text
    return text.lstrip("\n")
