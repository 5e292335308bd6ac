"""Run `rg index`: build and change the texts that a retriever finds, and search them in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError, Study
from reportgen_core.retrieval.filters import STATES as STATE_WORDS
from reportgen_core.retrieval.filters import TextFilter
from reportgen_core.retrieval.index import KINDS
from reportgen_core.retrieval.index_texts import read_index_texts

from ..dataset_input import ROOT_HELP, read_dataset
from ..options import FOLDER, completes, device_option, pick_device, print_note, values
from ..render import table
from ..terminal.echo import say, say_json
from ..terminal.groups import Commands

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.retrieval.index import TextIndex

TEXTS = click.Path(exists=True, path_type=Path)
STORE = "Where vectors are searched: faiss, milvus, milvus:http://HOST:PORT or milvus:FILE.db."
STATES = tuple(STATE_WORDS.values())
MAX_IMAGES_CHECKED = 8  # the recall of the two stages is measured on so many images
MAX_PAIRS_SCORED = 2_000_000  # texts × images that are scored exactly without --check


@click.group(cls=Commands)
def index() -> None:
    """Give a retriever texts to find, and search them.

    \b
    Example: rg index build cvse-run --texts sentences.txt --kind ivf
    """


def _in_store(index: TextIndex) -> str:
    """Return the words for the store of an index; "" for FAISS, which has no other place."""
    return f", in {index.store}" if index.store else ""


def _model(name: str, device: str) -> tuple[Model, Path]:
    """Return the model on its device, and its folder."""
    from reportgen_core.models.loading import find_model_folder, load_model

    return load_model(name).to(pick_device(device)), find_model_folder(name)


@index.command()
@click.argument("model")
@click.option(
    "--texts",
    required=True,
    type=TEXTS,
    help="Lines (.txt), JSONL or CSV of id and text, or a folder of rg data groups.",
)
@click.option("--out", type=FOLDER, help="Without it, into the model's folder, where rg report finds it.")
@click.option("--kind", type=click.Choice(KINDS), default="flat", show_default=True, help="The first stage.")
@click.option("--store", default="faiss", show_default=True, metavar="NAME[:ADDRESS]", help=STORE)
@device_option()
def build(model: str, texts: Path, out: Path | None, kind: str, store: str, device: str) -> None:
    """Read texts with MODEL's sentence encoder and write them as an index.

    \b
    Example: rg index build cvse-run --texts sentences.txt --kind ivf

    With --kind exact every text is scored; with the others the store proposes and the model's own score ranks.
    """
    from reportgen_core.retrieval.search import build_index
    from reportgen_core.retrieval.stores import check_store

    check_store(store, kind)  # before the model is read
    rows = read_index_texts(texts, print_note)
    made, folder = _model(model, device)
    written = build_index(made, folder, rows, out, kind, store)
    say(f"{len(written)} texts of {written.dim} numbers, kind {kind}: {written.folder}{_in_store(written)}", err=True)


@index.command()
@click.argument("model")
@click.option("--texts", required=True, type=TEXTS, help="As of rg index build.")
@click.option("--index", "place", type=FOLDER, help="Its folder; without it, the one in the model.")
@device_option()
def add(model: str, texts: Path, place: Path | None, device: str) -> None:
    """Add texts to an index without making it anew.

    \b
    Example: rg index add cvse-run --texts more.jsonl
    """
    from reportgen_core.retrieval.search import extend_index

    rows = read_index_texts(texts, print_note)
    made, folder = _model(model, device)
    written = extend_index(made, folder, place, rows)
    say(f"{len(rows)} texts added, {len(written)} in {written.folder}", err=True)


@index.command()
@click.argument("model")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--index", "place", type=FOLDER, help="Its folder; without it, the one in the model.")
def remove(model: str, ids: tuple[str, ...], place: Path | None) -> None:
    """Remove texts from an index by their ids.

    \b
    Example: rg index remove cvse-run 17 23
    """
    from reportgen_core.models.loading import find_model_folder
    from reportgen_core.retrieval.index import FOLDER as INSIDE
    from reportgen_core.retrieval.search import shrink_index

    written = shrink_index(place or find_model_folder(model) / INSIDE, ids)
    say(f"{len(ids)} texts removed, {len(written)} in {written.folder}", err=True)


@index.command()
@click.argument("model")
@click.option("--store", metavar="NAME[:ADDRESS]", help="Search there from now on; without it, in the store as it is.")
@click.option("--index", "place", type=FOLDER, help="Its folder; without it, the one in the model.")
def rebuild(model: str, store: str | None, place: Path | None) -> None:
    """Fill the store of an index from its folder, or move the index to another store.

    \b
    Example: rg index rebuild cvse-run --store milvus:http://localhost:19530

    A store that was filled in part is filled on from there. The folder is not changed but for the name of its store.
    """
    from reportgen_core.models.loading import find_model_folder
    from reportgen_core.retrieval.index import FOLDER as INSIDE
    from reportgen_core.retrieval.search import rebuild_store

    written = rebuild_store(place or find_model_folder(model) / INSIDE, store)
    say(f"{len(written)} texts, kind {written.kind}: {written.folder}{_in_store(written)}", err=True)


@index.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--text", help="Find images for this text; without it, texts for each image.")
@click.option("--k", default=10, show_default=True, type=click.IntRange(1), help="So many.")
@click.option("--index", "place", type=FOLDER, help="Its folder; without it, the one in the model.")
@click.option("--finding", "findings", multiple=True, metavar="NAME", help="Only texts that name it; may be repeated.")
@click.option("--state", type=click.Choice(STATES), help="Only texts that name a finding, or --finding, in this state.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only texts from it; may be repeated.")
@click.option("--check/--no-check", default=None, help="Measure the two stages against exact search.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@device_option()
def search(
    model: str,
    images: tuple[Path, ...],
    text: str | None,
    k: int,
    place: Path | None,
    findings: tuple[str, ...],
    state: str | None,
    datasets: tuple[str, ...],
    check: bool | None,
    as_json: bool,
    device: str,
) -> None:
    """Find the texts nearest to images, or with --text the images nearest to a text.

    \b
    Example: rg index search cvse-run chest.png --k 5
    Example: rg index search cvse-run folder/ --text "small left pleural effusion"
    Example: rg index search cvse-run chest.png --finding edema --state present

    Recall@k of the two stages against exact search goes to stderr; --check measures it where that takes long, too.
    """
    from reportgen_core.data.study_files import group_files
    from reportgen_core.retrieval.search import use_index

    where = TextFilter(findings, state or "", datasets)
    if where and text is not None:
        raise OptionError(f"{where} chooses among texts, and --text is one; leave one of them out")
    made, folder = _model(model, device)
    studies = group_files(images)
    if text is not None:
        _images_for_text(made, studies, text, k, as_json)
        return
    texts = use_index(made, folder, place, where).rows
    good = _texts_for_images(made, studies, k, as_json)
    if check or (check is None and texts * min(len(studies), MAX_IMAGES_CHECKED) <= MAX_PAIRS_SCORED):
        _measure(made, studies[:MAX_IMAGES_CHECKED], min(k, texts))
    elif check is None:
        say(f"note: recall among {texts:,} texts is measured with --check", err=True)
    if not good:
        click.get_current_context().exit(1)


def _texts_for_images(model: Model, studies: Sequence[Study], k: int, as_json: bool) -> bool:
    """Print the texts of each study. Return False if a study could not be read."""
    from reportgen_core.retrieval.search import texts_for_images

    good = True
    for result in texts_for_images(model, studies, k):
        if result.problem:
            say(f"rg: {result.problem}", err=True)
            good = good and bool(result.hits)
        if as_json:
            hits = [{"id": h.id, "text": h.text, "score": round(h.score, 6)} for h in result.hits]
            say_json({"study": result.study, "texts": hits})
        elif result.hits:
            say(f"# {result.study}")
            table(("score", "id", "text"), [(f"{h.score:.4f}", h.id, h.text) for h in result.hits])
    return good


def _images_for_text(model: Model, studies: Sequence[Study], text: str, k: int, as_json: bool) -> None:
    """Print the k studies nearest to a text. Raises OptionError if there are fewer than k."""
    from reportgen_core.retrieval.search import images_for_text

    if k > len(studies):
        raise OptionError(f"--k {k} asks for more images than there are; {len(studies)} studies were given")
    for study, score in images_for_text(model, studies, text)[:k]:
        if as_json:
            say_json({"study": study, "score": round(score, 6)})
        else:
            say(f"{score:.4f}  {study}")


def _measure(model: Model, studies: Sequence[Study], k: int) -> None:
    """Print the recall@k of the two-stage search on stderr; nothing if the index is searched in one stage."""
    from reportgen_core.retrieval.abilities import ScoresPairs
    from reportgen_core.retrieval.search import stage_recall

    recall = stage_recall(model, studies, k) if isinstance(model.head, ScoresPairs) else None
    if recall is not None:
        share, count = recall
        say(f"recall@{k} of two stages against exact search: {share:.3f} over {count} studies", err=True)


@index.command("eval")
@click.argument("model")
@click.option("--data", required=True, metavar="NAME", shell_complete=completes("datasets"), help="The studies.")
@click.option("--data-root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "data_options", "Of the dataset; rg info NAME lists them.")
@click.option("--split", default="test", show_default=True)
@click.option("--index", "place", type=FOLDER, help="Its folder; without it, the one in the model.")
@click.option("--resamples", default=1000, show_default=True, type=click.IntRange(0, 10**6), help="0: no intervals.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@device_option()
def eval_command(
    model: str,
    data: str,
    data_root: Path | None,
    data_options: tuple[str, ...],
    split: str,
    place: Path | None,
    resamples: int,
    as_json: bool,
    device: str,
) -> None:
    """Score retrieval both ways: recall@1, 3, 5, 10, precision, MAP and median rank.

    \b
    Example: rg index eval cvse-run --data phantom --data-root phantom

    What the reports say clinically, and in words, is scored by rg eval --model MODEL.
    """
    from reportgen_core.retrieval.search import retrieval_lines, use_index

    collection = read_dataset(data, data_root, parse_options(data_options), "--data-root")
    made, folder = _model(model, device)
    use_index(made, folder, place)
    studies = collection.split(split)
    lines = retrieval_lines(made, studies, resamples=resamples)
    if as_json:
        say_json([{"name": x.name, "value": x.value, "low": x.low, "high": x.high} for x in lines])
        return
    rows = [(x.name, f"{x.value:.3f}", "" if x.low is None else f"{x.low:.3f}-{x.high:.3f}") for x in lines]
    table(("score", "value", "95 %"), rows)
    say(f"{len(studies)} studies of {data} {split}", err=True)
