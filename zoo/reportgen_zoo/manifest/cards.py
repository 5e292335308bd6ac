"""The card of a model: one Markdown page, made from the model's record."""

from __future__ import annotations

from collections.abc import Iterator

from .records import Record, Scores

LIMITS = (
    "For research. It is no medical device: what it writes may be wrong, may leave out what is there, and may name "
    "what is not; nobody should be treated by it. It knows images like those it learned from, and no others."
)


def card(record: Record) -> str:
    """Return the card as Markdown."""
    return "\n".join(_lines(record)).rstrip() + "\n"


def _lines(record: Record) -> Iterator[str]:
    yield f"# {record.name}"
    yield f"\n{record.summary}"
    if record.demonstration:
        yield "\n**A demonstration, not for clinical use.**"
    yield "\n## What it is\n"
    yield from (f"- {kind}: `{name}`" for kind, name in record.parts.items())
    if record.image:
        size = f"{record.image.get('height', '?')} × {record.image.get('width', '?')}"
        yield f"- image: {size} pixels, {record.image.get('views', 1)} view(s)"
    if record.vocabulary_sha256:
        yield f"- vocabulary: sha256 `{record.vocabulary_sha256[:16]}…`"
    if record.reference:
        yield f"- weights: {record.reference.get('source', '')} {record.reference.get('revision', '')}".rstrip()
        yield f"- {record.reference.get('promise', '')}"
    yield f"- size: {record.bytes / 2**20:.1f} MiB in {len(record.files)} files, safetensors and JSON"
    yield f"- pin: `{record.name}@sha256:{record.digest[:16]}`"
    yield from (f"- needs: `pip install {distribution}`" for distribution in record.requires)
    if record.paper:
        yield f"- paper: {record.paper}"
    yield f"\n## Intended use and limits\n\n{LIMITS}"
    yield f"\n## Licence\n\nWeights: {record.licence}."
    if record.terms:
        yield f"\nTerms of use: {record.terms}"
    yield "\n## Figures"
    if not record.scores:
        yield "\nNone were recorded."
    for scores in record.scores:
        yield from _table(scores)
    yield "\n## Training\n"
    if record.training is None:
        yield "Not recorded."
        return
    yield f"Data: {record.training.data}. Split: {record.training.split or 'none'}."
    if record.training.command:
        yield f"\nAgain with:\n\n```bash\n{record.training.command}\n```"


def _table(scores: Scores) -> Iterator[str]:
    columns = _baseline_columns(scores)
    yield f"\n{scores.data}, {scores.studies} studies, protocol {scores.protocol}. Intervals are 95 %."
    header = ("metric", "value", "interval", *columns)
    yield f"\n| {' | '.join(header)} |\n{'|---' * len(header)}|"
    for metric, value in scores.values.items():
        interval = " to ".join(f"{v:.3f}" for v in scores.intervals.get(metric, ()))
        others = (cells.get(metric, "") for cells in columns.values())
        yield f"| {' | '.join((metric, f'{value:.3f}', interval, *others))} |"
    if scores.versions:
        yield "\nVersions: " + ", ".join(f"{name} {version}" for name, version in scores.versions.items()) + "."


def _baseline_columns(scores: Scores) -> dict[str, dict[str, str]]:
    """Return by header the cells of the baselines, by metric: their values, and the difference with its interval."""
    columns: dict[str, dict[str, str]] = {}
    for name, values, above in (
        ("a constant report", scores.constant, scores.above_constant),
        ("the nearest image's report", scores.nearest, scores.above_nearest),
    ):
        if values:
            columns[name] = {metric: f"{value:.3f}" for metric, value in values.items()}
        if above:
            columns[f"above {name}"] = {k: _difference(*ends) for k, ends in above.items() if len(ends) == 3}
    return columns


def _difference(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
