"""A group of commands whose help has the whole first sentence of each command."""

from __future__ import annotations

import click

from reportgen_core.text.printable import printable


class Commands(click.Group):
    """A group of commands. click alone cuts the sentences of its list at some 45 letters."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the name and the first sentence of each command."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, first_sentence(c.help or "")) for name, c in commands if c is not None and not c.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(printable(name, 60), printable(sentence, 300)) for name, sentence in rows])


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, in one line."""
    paragraph = " ".join(text.split("\n\n", 1)[0].replace("\b", "").split())
    return paragraph.split(". ", 1)[0].removesuffix(".") + "." if paragraph else ""
