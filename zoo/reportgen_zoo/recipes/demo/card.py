"""Write the card of the demonstration model from its results: nobody types a figure, and `card.md` has the words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

NAME = "tf_efficientnet_lite2-templates.nih_v2"
LIMIT = 0.05  # the largest share of studies whose findings a harmless change should change
COMMAND = "python -m reportgen_zoo.recipes.demo --data DATA --out OUT"
Results = Mapping[str, Any]


def write_card(r: Results) -> str:
    """Return the card as Markdown."""
    template = (resources.files(__package__) / "card.md").read_text("utf-8")
    test, counts, named = r["test"], r["counts"], [s for s in r["speech"] if s["stated"] <= 1]
    return template.format(
        name=NAME,
        command=COMMAND,
        stated=f"{named[0]['stated']:.0%}" if named else "no value",
        possible=f"{named[0]['possible']:.0%}" if named else "no value",
        named=_list([s["finding"] for s in named]),
        silent=_list([s["finding"] for s in r["speech"] if s not in named]),
        train=f"{counts['train']:,}",
        val=f"{sum(counts[name] for name in ('val', 'small val', 'boxes', 'small boxes')):,}",
        studies=f"{test['studies']:,}",
        patients=test["patients"],
        texts=_texts(r),
        above_constant=_difference(r["above constant"]),
        above_nearest=_difference(r["above nearest image"]),
        each="; ".join(f"{_word(f)} {a} / {b} / {c}" for f, (a, b, c) in test["by_finding"].items()),
        twice=r["sentences twice"],
        groups="\n".join(f"- {key}: {_groups(groups)}" for key, groups in r["groups"].items()),
        mean=f"{r['mean auc'][0]:.3f}",
        probe=f"{r['mean auc'][1]:.3f}",
        areas=_areas(r),
        sources=_sources(r),
        limit=f"{LIMIT:.0%}",
        worst=f"{max(r['changed findings'].values()):.1%}",
        changes=_table(("change", "studies"), ((n, f"{share:.1%}") for n, share in r["changed findings"].items())),
        pointing=_pointing(r["pointing"]),
    )


def _texts(r: Results) -> str:
    rows = {
        "this model": "test",
        f"the strongest constant, chosen on these labels: {r['constant']['text']}": "constant",
        "every finding that this model can name, for every image": "all mentioned findings",
        "the labels of the nearest training image, by the same encoder": "nearest image",
    }
    cells = (
        (
            name,
            f"{r[k]['f1']:.3f} ({_ends(r[k]['f1_interval'], 3)})",
            f"{r[k]['precision']:.3f}",
            f"{r[k]['recall']:.3f}",
        )
        for name, k in rows.items()
    )
    return _table(("text", "F1", "precision", "recall"), cells)


def _groups(groups: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(f"{name} {n:,}, {f1:.3f} ({_ends(ends, 3)})" for name, (n, f1, *ends) in groups.items())


def _areas(r: Results) -> str:
    keys = ("auc", "auc of the linear probe", "auc without a picture")
    rows = (
        (
            _word(s["finding"]),
            _area([s["auc"], s["auc_low"], s["auc_high"], s["positives"]]),
            *(_area(r[key].get(s["finding"])) for key in keys),
            "yes" if s["stated"] <= 1 else "no",
        )
        for s in r["speech"]
    )
    return _table(("finding", "validation", "kept back", "linear probe", "without a picture", "mentioned"), rows)


def _sources(r: Results) -> str:
    keys = ("auc at 64 px", "auc of other patients at 64 px", "auc at 320 px")
    rows = []
    for finding in (s["finding"] for s in r["speech"]):
        others = [f"{n.partition('_')[0]} {_area(t[finding])}" for n, t in r["other sources"].items() if finding in t]
        rows.append((_word(finding), *(_area(r[key].get(finding)) for key in keys), "; ".join(others) or "–"))
    return _table(("finding", "64 px", "other patients, 64 px", "other patients, 320 px", "other hospitals"), rows)


def _pointing(row: Mapping[str, Any]) -> str:
    if not row.get("boxes"):
        return "The data have no box of a finding that it can name."
    low, high = row["above chance"]
    apart = "more often than chance" if low > 0 else "not certainly more often than chance: its picture proves nothing"
    return (
        "The highest place of a finding's class activation map lies in the finding's box for\n"
        f"{row['hit']:.0%} of {row['boxes']} boxes of patients that did not teach ({_ends(row['interval'], 2)}); a "
        f"place drawn evenly\nlies in them in {row['chance']:.0%}. "
        f"The difference is {low:+.2f} to {high:+.2f}: {apart}."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _difference(values: Sequence[float]) -> str:
    value, low, high = values
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _area(row: Sequence[float] | None) -> str:
    return "–" if row is None else f"{row[0]:.2f} ({_ends(row[1:3], 2)}), n {row[3]:.0f}"


def _ends(ends: Sequence[float], digits: int) -> str:
    return "–".join(f"{v:.{digits}f}" for v in ends)


def _word(finding: str) -> str:
    return finding.replace("_", " ").lower()


def _list(names: Sequence[str]) -> str:
    words = [_word(name) for name in names]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "nothing"
