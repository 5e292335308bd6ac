from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from reportgen_plugins.datasets.splits import by_patient, order

from reportgen_core import Study


def studies(*images: int) -> list[Study]:
    """Patient k with images[k] studies."""
    return [Study(f"{k}-{i}", patient=f"p{k}") for k, n in enumerate(images) for i in range(n)]


def sizes(split: list[Study]) -> dict[str, int]:
    return {side: sum(s.split == side for s in split) for side in ("train", "val", "test")}


def test_the_order_follows_the_hash_of_seed_and_id() -> None:
    by_hand = sorted("abc", key=lambda id: hashlib.sha256(f"5:{id}".encode()).hexdigest())
    assert order(["c", "a", "b"], 5) == by_hand


def test_one_seed_one_split_and_the_order_of_the_studies_does_not_matter() -> None:
    some = studies(2, 2, 1, 3, 1, 1, 1, 2)
    first = {s.id: s.split for s in by_patient(some, val=3, test=3, seed=1)}
    assert first == {s.id: s.split for s in by_patient(some[::-1], val=3, test=3, seed=1)}
    assert first != {s.id: s.split for s in by_patient(some, val=3, test=3, seed=2)}


@given(st.lists(st.integers(1, 4), max_size=40), st.integers(0, 9), st.integers(0, 9))
def test_no_patient_is_on_two_sides_and_no_side_overflows(images: list[int], val: int, test: int) -> None:
    split = by_patient(studies(*images), val=val, test=test, seed=0)
    for patient in {s.patient for s in split}:
        assert len({s.split for s in split if s.patient == patient}) == 1
    assert sizes(split)["val"] <= val
    assert sizes(split)["test"] <= test


def test_sizes_are_met_where_patients_are_small() -> None:
    assert sizes(by_patient(studies(*[1, 2] * 20), val=7, test=9, seed=0)) == {"train": 44, "val": 7, "test": 9}


def test_a_study_without_patient_is_a_patient_of_its_own() -> None:
    split = by_patient([Study("a"), Study("b")], val=0, test=1, seed=0)
    assert sizes(split) == {"train": 1, "val": 0, "test": 1}
