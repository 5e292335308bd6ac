"""Draw the pictures of the documents: a report with its attention, and the figures of docs/explanation/results.md.

`make docs-pictures` runs this. Each picture names its source in its metadata, and a test compares: the report's picture
has the text of the report, a figure the hash of the table from which it is drawn.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
PICTURES = DOCS / "assets" / "pictures"
RESULTS = DOCS / "explanation" / "results.md"
SHOWN = 3  # sentences with a picture of their own
WARM = "inferno"


def report_of_the_demo() -> tuple[Any, Any, Path]:
    """Return the report of the model that ships inside, its grid of tokens, and the radiograph."""
    from reportgen_zoo import demo

    from reportgen_core import GenerationSettings, load

    model = load(demo.MODEL)
    report = model.report([demo.image()], settings=GenerationSettings(attention=True))[0]
    return report, model.encoder.features.grid, demo.image()


def sentences_to_show(report: Any) -> list[int]:
    """Return the numbers of the sentences whose attention is most uneven, in their order; none that says the same."""
    weights = report.attention.regions.reshape(len(report.sentences), -1)
    by_peak = sorted(range(len(report.sentences)), key=lambda n: -float(weights[n].max()))
    seen: dict[str, int] = {}
    for n in by_peak:
        seen.setdefault(report.sentences[n], n)
    return sorted(list(seen.values())[:SHOWN])


def draw_report(path: Path) -> None:
    """Draw the radiograph with its report, and three sentences with where the model looked."""
    import matplotlib.pyplot as plt
    import numpy as np
    from PIL import Image

    report, grid, image = report_of_the_demo()
    radiograph = np.asarray(Image.open(image).convert("L"))
    chosen = sentences_to_show(report)
    figure, axes = plt.subplots(1, 1 + len(chosen), figsize=(9.4, 3.6), dpi=116)
    for axis in axes:
        axis.imshow(radiograph, cmap="gray")
        axis.set_axis_off()
    height, width = radiograph.shape
    for axis, n in zip(axes[1:], chosen, strict=True):
        weights = np.asarray(report.attention.regions[n]).reshape(grid)[0]
        smooth = Image.fromarray((weights * weights.size).astype("float32")).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        axis.imshow(np.asarray(smooth), cmap=WARM, alpha=0.45, vmin=0, vmax=float(weights.max() * weights.size))
        axis.set_title("\n".join(textwrap.wrap(report.sentences[n], 27)), fontsize=10.5, y=-0.04, va="top")
    axes[0].set_title("the radiograph", fontsize=10.5, y=-0.04, va="top")
    figure.suptitle("\n".join(textwrap.wrap(report.text, 104)), fontsize=10.5, x=0.01, y=0.99, ha="left")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.88, bottom=0.15, wspace=0.03)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    exif = Image.Exif()
    exif[0x010E] = report.text  # ImageDescription
    picture.save(path, quality=82, optimize=True, exif=exif)
    plt.close(figure)


def table_below(heading: str) -> str:
    """Return the first table below a heading of docs/explanation/results.md."""
    after = RESULTS.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    found = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert found, heading
    return found[0]


def number(cell: str) -> tuple[float, float, float]:
    """Return value, low and high of a cell as "0.524 (.479-.569)"; without an interval all three are the value."""
    value, *ends = [float(part) for part in re.findall(r"\d*\.\d+", cell)]
    return (value, *ends) if len(ends) == 2 else (value, value, value)


def draw_systems(path: Path) -> None:
    """Draw F1 of findings of each system on the phantom, next to the constant report and the nearest image."""
    import matplotlib.pyplot as plt

    table = table_below(SYSTEMS)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    at = head.index("finding F1 ↑")
    rows.sort(key=lambda row: number(row[at])[0])
    figure, axis = plt.subplots(figsize=(7.2, 6.2), dpi=110)
    for place, row in enumerate(rows):
        value, low, high = number(row[at])
        axis.plot([low, high], [place, place], color="#546e7a", linewidth=2, zorder=1)
        axis.scatter(
            [value],
            [place],
            color="#00897b",
            s=28,
            zorder=2,
            label="system, with its 95 % interval" if not place else None,
        )
        axis.scatter(
            [number(row[at + 1])[0]],
            [place],
            color="#bf360c",
            marker="|",
            s=70,
            label="constant report" if not place else None,
        )
        axis.scatter(
            [number(row[at + 2])[0]],
            [place],
            color="#1a237e",
            marker="x",
            s=24,
            label="nearest image" if not place else None,
        )
    axis.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    axis.set_xlabel("F1 of findings; rows of unlike sections have unlike references")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Source": hashlib.sha256(table.encode()).hexdigest(), "Software": None})
    plt.close(figure)


SYSTEMS = "### Compared with rows that need no model"
FIGURES = {"systems.png": SYSTEMS}  # figure, and the heading above its table


def main() -> None:
    """Draw all pictures."""
    import matplotlib

    matplotlib.use("agg")
    PICTURES.mkdir(exist_ok=True)
    draw_report(PICTURES / "report.jpg")
    draw_systems(PICTURES / "systems.png")


if __name__ == "__main__":
    main()
