"""Two stages against exact search, and the cache of FAISS files that is never trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reportgen_plugins.retrievers import proposals
from reportgen_plugins.retrievers.exact_search import merge, search_exactly
from reportgen_plugins.retrievers.proposals import Proposer, key_of
from reportgen_plugins.retrievers.stages import Stages, recall_of, search_proposed

from reportgen_core import CheckpointError, DataError
from reportgen_core.retrieval.index import KINDS, TextIndex, TextRow, add_texts, remove_texts, write_index

STAGED = [k for k in KINDS if k != "exact"]


def vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build(folder: Path, kind: str, count: int = 600) -> TextIndex:
    rows = [TextRow(f"t{n}", f"text {n}") for n in range(count)]
    return write_index(folder / kind, rows, vectors(count), kind=kind, model="m", sentences={})


@pytest.mark.parametrize("kind", STAGED)
def test_every_first_stage_proposes_what_is_best(kind: str, query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = build(tmp_path, kind)
    hits = search_proposed(module, regions, Stages(index, Proposer(index, cache=tmp_path / "c")), 10, 200)
    exact = search_exactly(module, regions, index, 10)
    assert recall_of(hits[1], exact[1]) >= 0.9
    same = hits[1] == exact[1]
    torch.testing.assert_close(hits[0][same], exact[0][same])


def test_exact_search_is_the_best_of_all_scores_over_any_blocks(query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = remove_texts(build(tmp_path, "exact"), ["t7"])
    scores, numbers = search_exactly(module, regions, index, 5)
    whole = module.scores(regions, torch.from_numpy(vectors(600)))
    whole[:, 7] = -torch.inf
    best = whole.sort(dim=1, descending=True, stable=True)
    assert torch.equal(numbers, best.indices[:, :5])
    torch.testing.assert_close(scores, best.values[:, :5])


def test_everything_proposed_is_everything_ranked(query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = remove_texts(build(tmp_path, "flat", 40), ["t3", "t4"])
    stages = Stages(index, Proposer(index, cache=tmp_path / "c"))
    hits = stages.search(module, regions, 99, 40)
    exact = search_exactly(module, regions, index, 38)
    assert [[r.id for r in row] for row in hits.rows] == [[index.row(n).id for n in row] for row in exact[1].tolist()]
    assert hits.vectors.shape == (3, 38, 16)
    assert not {"t3", "t4"} & {r.id for row in hits.rows for r in row}


def test_equal_scores_come_in_the_order_of_the_texts() -> None:
    first = (torch.tensor([[0.5, 0.1]]), torch.tensor([[4, 0]]))
    scores, numbers = merge(first, torch.tensor([[0.5, 0.5, 0.9]]), torch.tensor([[9, 2, 7]]), 4)
    assert numbers.tolist() == [[7, 2, 4, 9]] and scores.tolist() == [[pytest.approx(0.9), 0.5, 0.5, 0.5]]


def test_the_faiss_file_is_kept_for_this_machine_and_not_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build(tmp_path, "ivf")
    Proposer(index, cache=tmp_path / "c")
    assert sorted(p.suffix for p in (tmp_path / "c").iterdir()) == [".faiss", ".sha256"]
    assert {p.name for p in index.folder.iterdir()} == {"index.json", "vectors-0.safetensors", "texts-0.jsonl"}
    monkeypatch.setattr(proposals, "_build", None)
    Proposer(index, cache=tmp_path / "c")  # from the cache


@pytest.mark.parametrize("harm", ["changed", "no note", "another's"])
def test_a_faiss_file_that_does_not_fit_is_built_anew(harm: str, tmp_path: Path) -> None:
    index, other = build(tmp_path, "flat"), build(tmp_path / "other", "flat", 50)
    cache = tmp_path / "c"
    Proposer(index, cache=cache), Proposer(other, cache=cache)
    file = cache / f"{key_of('flat', index.parts, 16)}.faiss"
    good = file.read_bytes()
    if harm == "changed":
        file.write_bytes(good[:-1] + b"x")
    elif harm == "no note":
        file.with_suffix(".sha256").unlink()
    else:
        file.write_bytes((cache / f"{key_of('flat', other.parts, 16)}.faiss").read_bytes())
    query = vectors(1, 5)
    best = int((vectors(600) @ query[0]).argmax())
    assert Proposer(index, cache=cache).propose(query, 3)[0, 0] == best
    assert file.read_bytes() == good


@pytest.mark.parametrize("kind", STAGED)
def test_added_texts_join_what_the_cache_has(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(tmp_path, kind)
    Proposer(index, cache=tmp_path / "c")
    new = vectors(2, 9)
    more = add_texts(index, [TextRow("x", "x"), TextRow("y", "y")], new)
    monkeypatch.setattr(proposals, "_build", None)
    first = Proposer(more, cache=tmp_path / "c")
    assert first.propose(new, 5)[:, 0].tolist() == [600, 601]
    less = remove_texts(more, ["x"])
    assert 600 not in Proposer(less, cache=tmp_path / "c").propose(new, 5)


def test_vectors_that_were_touched_are_not_made_an_index_of(tmp_path: Path) -> None:
    index = build(tmp_path, "flat")
    file = index.folder / "vectors-0.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="is not the file"):
        Proposer(index, cache=tmp_path / "c")


def test_codes_need_as_many_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pq learns 256 codes and needs as many texts, there are 50"):
        Proposer(build(tmp_path, "pq", 50), cache=tmp_path / "c")
    assert not (tmp_path / "c").exists()
