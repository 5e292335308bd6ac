"""HTML of reports, models, evaluations and audits: for the last line of a notebook's cell, or as a page."""

from __future__ import annotations

import base64
import importlib
import io
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ImageError
from ...files.atomic import atomic_write
from ...text.printable import printable

if TYPE_CHECKING:
    from ...scoring.evaluation import Evaluation
    from ...types import Array, Audit, Collection, Report, Score
    from ..model import Model

SIDE = 224  # pixels of a radiograph in a notebook
MAX_REPORTS, MAX_SENTENCES, MAX_NAMES, MAX_IDS = 20, 12, 8, 5  # that are drawn
STYLE = (
    "<style>.rg{font:14px/1.45 system-ui,sans-serif;max-width:60rem}"
    ".rg figure{display:inline-block;margin:0 12px 8px 0;"
    "vertical-align:top;width:224px}.rg figcaption{font-size:12.5px}.rg table{border-collapse:collapse;margin:6px 0}"
    ".rg td,.rg th{padding:2px 10px 2px 0;text-align:left;border-bottom:1px solid #8884;font-size:13px}"
    ".rg small{opacity:.75}.rg h4{margin:10px 0 4px;font-size:14px}.rg p{margin:4px 0}</style>"
)


def html(value: object) -> str:
    """Return a value as HTML inside one element. Raises TypeError for a value that has no drawing."""
    for kind in type(value).__mro__:
        if draw := _DRAW.get(kind.__name__):
            return f'{STYLE}<div class="rg">{draw(value)}</div>'
    raise TypeError(f"a {type(value).__name__} has no drawing")


def show(value: object, out: str | Path | None = None) -> Path | None:
    """Draw a value in the notebook; elsewhere, or with `out`, write a page and return its path. See `Drawn.show`."""
    if out is None and _in_notebook():
        ipython = importlib.import_module("IPython.display")
        ipython.display(ipython.HTML(html(value)))
        return None
    page = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="reportgen-")) / "page.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    atomic_write(page, f"{head}<title>{escape(type(value).__name__)}</title><body>{html(value)}</body></html>\n")
    if out is None:
        webbrowser.open(page.as_uri())
    return page


def _in_notebook() -> bool:
    """Return whether a notebook shows what is displayed: IPython runs in a kernel, not in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _text(value: object, limit: int = 2000) -> str:
    """Return a text of others, escaped for HTML and without control characters."""
    return escape(printable(str(value), limit))


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if any(header) else ''}{body}</table>"


def _reports(reports: list[Report]) -> str:
    """Draw the first reports of a list, and say how many more there are."""
    parts = [
        f"<h4>{_text(r.study)}</h4>{_report(r)}" if len(reports) > 1 else _report(r) for r in reports[:MAX_REPORTS]
    ]
    more = len(reports) - MAX_REPORTS
    return "".join(parts) + (f"<p><small>and {more} more reports</small></p>" if more > 0 else "")


def _report(report: Report) -> str:
    """Draw a report: its text, its radiographs, where each sentence looked, its tags and findings."""
    parts = [f"<p>{_text(report.text or report.problem or 'no text', 20_000)}</p>"]
    parts += [f"<p><small>or: {_text(other)}</small></p>" for other in report.alternatives]
    try:
        parts.append(_figures(report))
    except (ImageError, OSError) as e:  # the file has gone since: the text is still worth reading
        parts.append(f"<p><small>no picture: {_text(e)}</small></p>")
    for word, shares in (("findings", report.findings), ("tags", report.tags)):
        if shares:
            named = ", ".join(f"{name} {share:.2f}" for name, share in list(shares.items())[:MAX_NAMES])
            more = f" and {len(shares) - MAX_NAMES} more" if len(shares) > MAX_NAMES else ""
            parts.append(f"<p><small>{word}: {_text(named)}{more}</small></p>")
    parts += [f"<p><small>note: {_text(note)}</small></p>" for note in (report.note,) if note]
    return "".join(parts)


def _figures(report: Report) -> str:
    """Draw the radiographs, and one for each sentence with attention. Raises ImageError if a file cannot be read."""
    from .heat import SCALE

    images = _radiographs(report)
    figures = [_figure(image, None, SCALE, Path(v).name) for image, v in zip(images, report.views, strict=False)]
    attention = report.attention
    if not images or attention is None or attention.regions is None or attention.grid is None:
        return "".join(figures)
    count = min(len(attention.spans) or len(report.sentences), len(report.sentences))
    even = min(len(images), attention.grid[0]) * attention.grid[1] * attention.grid[2]
    maps = []
    for i in range(min(count, MAX_SENTENCES)):
        by_view = [attention.heatmap(i, view=v) for v in range(min(len(images), attention.grid[0]))]
        view = max(range(len(by_view)), key=lambda v, maps=by_view: float(maps[v].sum()))  # type: ignore[misc]
        maps.append((view, by_view[view] * even))
    top = max([SCALE, *(float(weights.max()) for _, weights in maps)])
    figures += [_figure(images[v], w, top, report.sentences[i]) for i, (v, w) in enumerate(maps)]
    if maps:
        legend = f"colour: attention of the sentence, from 1 (an even look, grey) to {top:.0f} times that (dark red)"
        figures.append(f"<p><small>{legend}</small></p>")
    if count > MAX_SENTENCES:
        figures.append(f"<p><small>the first {MAX_SENTENCES} of {count} sentences</small></p>")
    return "".join(figures)


def _radiographs(report: Report) -> list[Array]:
    from ...data.images import read_image, shrink

    return [shrink(image, SIDE) for image in report.images] or [shrink(read_image(Path(v)), SIDE) for v in report.views]


def _figure(image: Array, weights: Array | None, top: float, caption: str) -> str:
    from .heat import heat_picture

    file = io.BytesIO()
    heat_picture(image, weights, top).save(file, "PNG", optimize=True)
    source = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img width="{SIDE}" alt="{_text(caption, 200)}" src="data:image/png;base64,{source}">'
        f"<figcaption>{_text(caption, 400)}</figcaption></figure>"
    )


def _model(model: Model) -> str:
    """Draw a model: its parts with their options and sizes, its words and names."""
    kind = "decoder" if model.decoder is not None else "retriever"
    rows = []
    for part, module in (("encoder", model.encoder), (kind, model.head)):
        config = module.part_config
        options = ", ".join(f"{k}={v!r}" for k, v in config["options"].items())
        rows.append((part, config["name"], options, f"{sum(p.numel() for p in module.parameters()):,}"))
    image = model.encoder.image
    facts = (
        ("image", f"{image.views} × {image.channels} × {image.height} × {image.width}"),
        ("words", len(model.vocabulary)),
        ("tags", f"{len(model.tags)}  {', '.join(model.tags[:MAX_NAMES])}"),
        ("findings", f"{len(model.findings)}  {', '.join(model.findings[:MAX_NAMES])}"),
    )
    return _table(("part", "name", "options", "parameters"), rows) + _table(("", ""), facts)


def _evaluation(evaluation: Evaluation) -> str:
    """Draw the tables of an evaluation, as they are printed."""
    from ...scoring.score_tables import tables

    parts = []
    for table in tables(evaluation):
        foot = "".join(f"<p><small>{_text(line)}</small></p>" for line in table.foot)
        parts.append(f"<h4>{_text(table.title)}</h4>{_table(table.header, table.rows)}{foot}")
    return "".join(parts)


def _score(score: Score) -> str:
    rows = [(score.name, f"{score.value:.4f}"), *((k, f"{v:.4f}") for k, v in score.parts.items())]
    return _table(("score", "higher is better" if score.higher_is_better else "lower is better"), rows)


def _audit(audit: Audit) -> str:
    """Draw the audit of a dataset: what is kept, what is left out and why, and notes."""
    rows = [("kept", f"{audit.studies} studies, {audit.images} images")]
    for reason, ids in audit.dropped.items():
        rows.append(("dropped", f"{len(ids)}: {reason} ({', '.join(ids[:MAX_IDS])}{', …' * (len(ids) > MAX_IDS)})"))
    rows += [("note", note) for note in audit.notes]
    return f"<h4>{_text(audit.source)}</h4>{_table(('', ''), rows)}"


def _collection(collection: Collection) -> str:
    """Draw the audit of a collection and its first studies."""
    rows = []
    for study in collection.studies[:5]:
        text = " ".join(study.sections.values())
        rows.append((study.id, study.split, f"{len(study.views)}", text[:200] + "…" * (len(text) > 200)))
    return _audit(collection.audit) + _table(("study", "split", "images", "text"), rows)


_DRAW: dict[str, Callable[[Any], str]] = {
    "Report": _report, "Reports": _reports, "Model": _model, "Evaluation": _evaluation, "Score": _score,
    "Audit": _audit, "Collection": _collection,
}  # fmt: skip
