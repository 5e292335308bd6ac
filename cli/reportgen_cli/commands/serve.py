"""Run `rg serve`."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from reportgen_zoo import demo

from reportgen_core import OptionError

from ..options import FOLDER, device_option, send_images_option
from ..registry_names import meant_model
from ..terminal.echo import say
from ..web.guards import is_local, new_token
from .report import default_model, load_model

if TYPE_CHECKING:
    from ..serve.settings import ServedModel

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
TOKEN = "REPORTGEN_TOKEN"
MIN_TOKEN = 16  # characters


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|DIR",
    help="May be given again; without it, the one that ships inside.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Another address than this machine's needs a token."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--new-token", is_flag=True, help=f"Make a token that requests must have; {TOKEN} holds one of yours.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name by which others reach the server.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder whose files requests may name.",
)
@click.option("--dicomweb", default="", metavar="URL", help="An archive whose studies are listed, reported and stored.")
@click.option("--store", is_flag=True, help="Store the report of each study of --dicomweb as it arrives, once.")
@click.option("--edits", type=FOLDER, help="Keep corrected reports here: MODEL.jsonl, which rg eval reads.")
@click.option(
    "--queue", default=64, show_default=True, type=click.IntRange(1, 10_000), help="Requests in hand at most."
)
@click.option("--max-mb", default=50, show_default=True, type=click.IntRange(1, 4000), help="Of a request.")
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Of a request.")
@click.option(
    "--batch-size",
    default=16,
    show_default=True,
    type=click.IntRange(1, 4096),
    help="Studies that a model reads together.",
)
@click.option("--strict", is_flag=True, help="Refuse what is no chest radiograph, by its header or its picture.")
@send_images_option()
@device_option()
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--quiet", is_flag=True, help="No line on stderr for each request.")
def serve(**options: Any) -> None:
    """Serve models: a page to try them on, and an API for programs, until Ctrl-C.

    \b
    Example: rg serve
    Example: rg serve --model runs/best --model tf_efficientnet_lite2-templates.nih_v2 --port 8080
    Example: rg serve --dicomweb http://127.0.0.1:8042/dicom-web

    /docs describes the API, /metrics counts requests and studies. Images stay in memory or in a temporary folder until
    the answer. Ctrl-C and SIGTERM let the requests in hand finish.
    """
    check_installed()
    token = wanted_token(options["host"], options["new_token"])
    archive = wanted_archive(options["dicomweb"], options["store"])
    from ..serve.run import bind, make_server
    from ..serve.settings import MEGABYTE, ServeSettings
    from ..serve.state import State

    settings = ServeSettings(
        host=options["host"], port=options["port"], token=token, allowed_hosts=frozenset(options["hosts"]),
        root=options["root"], edits=options["edits"], queue=options["queue"], max_bytes=options["max_mb"] * MEGABYTE,
        seconds=options["seconds"], batch=options["batch_size"], strict=options["strict"], log=not options["quiet"],
        archive=archive, store=options["store"],
    )  # fmt: skip
    with bind(settings.host, settings.port) as bound:
        names = options["models"] or (default_model(),)
        models = [served_model(name, options["device"], options["send_images"]) for name in names]
        address = page_address(settings.host, bound.getsockname()[1], token)

        def ready() -> None:
            say(f"{address}  (Ctrl-C stops; for research, not a medical device)")
            if options["opens"]:
                import webbrowser

                webbrowser.open(address)

        make_server(State(settings, models), bound, ready).run(sockets=[bound])
    say("stopped; every request in hand was answered", err=True)


def check_installed() -> None:
    """Raise OptionError unless the packages of the extra `serve` are installed."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise OptionError(f"rg serve needs {missing[0]}: pip install 'reportgen[serve]'")


def wanted_token(host: str, new: bool) -> str:
    """Return the token that requests must have; "" for a server that this machine alone can reach."""
    token = os.environ.get(TOKEN, "")
    if token and len(token) < MIN_TOKEN:
        raise OptionError(
            f"{TOKEN} has {len(token)} characters; a token has at least {MIN_TOKEN}: --new-token makes one"
        )
    if not token.isascii() or any(sign.isspace() for sign in token):
        raise OptionError(f"{TOKEN} has spaces or signs that no header holds; --new-token makes a token")
    if not token and not new and not is_local(host):
        raise OptionError(
            f"--host {host} lets other machines in, which needs a token: --new-token makes one, {TOKEN} holds yours"
        )
    return token or (new_token() if new else "")


def wanted_archive(url: str, store: bool) -> str:
    """Return the address of the archive, "" for none. Raises OptionError for one that cannot be used."""
    if not url:
        if store:
            raise OptionError("--store stores in an archive: rg serve --dicomweb URL --store")
        return ""
    from ..dicomweb.archive import parse_address
    from ..dicomweb.login import login_of
    from ..formats.report import format_named
    from ..formats.wanted import check_installed

    address = parse_address(url)
    if address.study:
        raise OptionError(f"--dicomweb {url} is one study; give the archive: {address.url}")
    check_installed("--dicomweb", ("dicomweb_client",))
    format_named("sr").check("sr")
    login_of()
    return address.url


def page_address(host: str, port: int, token: str) -> str:
    """Return the address of the page; a browser sends nobody what follows the #."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host.strip("[]") else host)
    return f"http://{name}:{port}/" + (f"#token={token}" if token else "")


def served_model(name: str, device: str, send_images: bool) -> ServedModel:
    """Return a loaded model under the name of its record or its folder."""
    from reportgen_core.models.loading import find_model_folder

    from ..pages.shared.origin import model_origin
    from ..serve.settings import ServedModel

    chosen = meant_model(name)
    reporter = load_model(chosen, device, "auto", send_images)
    origin = model_origin(chosen)
    trust = demo.trust() if origin.model == demo.MODEL else ()
    return ServedModel(origin.model, reporter, origin, find_model_folder(chosen), trust)
