"""Read damaged manifests, headers and configs: `python -m benchmarks.zoo_fuzz [N]`, 20,000 without N.

Each input is a good one whose bytes were changed, removed, doubled or inserted, or whose JSON values were replaced. It
must be read, or refused with a ReportgenError; anything else ends the run with the seed of the input. Inputs made by
Hypothesis are in the tests.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, counted, emit

ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 2**70, 1e300, -0.5, "", "..", "/etc/passwd", "a\0b", "con", "х", "a" * 300,
    [], {}, [[]], {"a": 1}, "file:///etc/passwd", "hf://a/b", "package:os", [2**40, 2**40],
]  # fmt: skip


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Return the same bytes with one to four changes."""
    copied = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(copied) + 1)
        kind = draw.randrange(4)
        if kind == 0 and at < len(copied):
            copied[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del copied[at : at + draw.choice([1, 8, 100])]
        elif kind == 2:
            copied[at:at] = copied[at : at + draw.choice([1, 8, 100])]
        else:
            copied[at:at] = draw.randbytes(draw.choice([1, 4, 16]))
    return bytes(copied)


def changed(value: Any, draw: random.Random) -> Any:
    """Return the same JSON value with one part of it replaced, removed or renamed."""
    copied = copy.deepcopy(value)
    places = list(_places(copied))
    holder, key = draw.choice(places)
    kind = draw.randrange(4)
    if kind == 0 and isinstance(holder, dict):
        holder[str(draw.choice(ODD))] = holder.pop(key)
    elif kind == 1:
        del holder[key]
    else:
        holder[key] = draw.choice(ODD)
    return copied


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def fuzz(times: int, try_one: Callable[[random.Random], object]) -> tuple[int, int]:
    """Return how many inputs were read, and how many were refused with a ReportgenError."""
    from reportgen_core import ReportgenError

    read = 0
    for seed in range(times):
        try:
            try_one(random.Random(seed))
            read += 1
        except ReportgenError as e:
            if len(str(e)) > 2000:
                raise AssertionError(f"seed {seed}: an error of {len(str(e))} letters") from e
        except Exception as e:
            raise AssertionError(f"seed {seed}: {type(e).__name__}: {e}") from e
    return read, times - read


def targets(folder: Path) -> dict[str, tuple[int, Callable[[random.Random], object]]]:
    """Return by name each target: the divisor of its number of inputs, and a function that tries one input."""
    from reportgen_zoo.pull.catalogue import read_manifest

    from reportgen_core import load
    from reportgen_core.models import format as checkpoint
    from reportgen_core.testing.parts import tiny_model

    good = tiny_model().save(folder / "good")
    manifest = _manifest(good)
    text = json.dumps(manifest).encode()
    config = json.loads((good / "config.json").read_text())
    weights = (good / "model.safetensors").read_bytes()
    expected = load(good).state_dict()
    checkpoint.check_weights(good / "model.safetensors", expected)  # undamaged, it is read
    bad = Path(shutil.copytree(good, folder / "bad"))

    def header(draw: random.Random) -> None:
        head = 8 + int.from_bytes(weights[:8], "little")
        (bad / "w.safetensors").write_bytes(damaged(weights[:head], draw) + weights[head:])
        checkpoint.check_weights(bad / "w.safetensors", expected)

    def whole(draw: random.Random) -> None:
        (bad / "config.json").write_text(json.dumps(changed(config, draw)))
        load(bad)

    return {
        "manifests with damaged bytes": (1, lambda draw: read_manifest(damaged(text, draw), "m", "https://h/z")),
        "manifests with changed values": (
            1,
            lambda draw: read_manifest(json.dumps(changed(manifest, draw)), "m", "/z"),
        ),
        "weights with a damaged header": (1, header),
        "models with a changed config": (20, whole),
    }


def _manifest(good: Path) -> Any:
    from reportgen_zoo.manifest.records import Manifest, Probe, Record, Scores, TrainingFacts
    from reportgen_zoo.manifest.schema import plain
    from reportgen_zoo.pull.verify import files_of

    scores = Scores("d", "p", 3, {"bleu-4": 0.1}, {"bleu-4": 0.05}, {"bleu-4": (0.0, 0.2)})
    scored = Record(
        "a.v1", "s", "l", files_of(good), ("models/a", "https://h/a"), parts={"encoder": "e"}, scores=(scores,)
    )
    more = Record("b.v1", "s", "l", files_of(good), (), training=TrainingFacts("d"), probe=Probe(1, "r"), terms="t")
    return plain(Manifest(1, (scored, more)))


def main(times: int) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for what, (share, try_one) in targets(Path(scratch)).items():
            read, refused = fuzz(times // share, try_one)
            rows.append(Row(f"{what}, read and refused", counted(read + refused), "inputs"))
            print(f"{what}: {read + refused} inputs, {read} read, {refused} refused, none else", file=sys.stderr)
    emit(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
