"""The alarm for a model that says the same thing whatever it sees."""

import pytest

from reportgen_core.scoring.diversity import measure_diversity

REFERENCES = [[f"Nodule {i} is seen. Heart size {i} normal."] for i in range(20)]


def test_one_output_for_all_images_is_said_in_words() -> None:
    diversity = measure_diversity(["The lungs are clear."] * 20, REFERENCES)
    assert diversity.warnings[0] == "the model says the same thing for every image: 'the lungs are clear.'"
    assert (diversity.distinct, diversity.commonest_share) == (1, 1.0)


def test_a_common_output_is_named_with_its_share_and_what_the_references_have() -> None:
    diversity = measure_diversity(["Clear."] * 9 + [f"Text number {i} of it." for i in range(11)], REFERENCES)
    assert diversity.warnings[0].startswith(
        "one output makes up 45% of the reports (in the references the commonest is 5%)"
    )


def test_case_and_white_space_make_no_other_output() -> None:
    assert measure_diversity(["Lungs  clear.", "lungs clear."], REFERENCES[:2]).distinct == 1


def test_reports_like_the_references_raise_no_alarm() -> None:
    assert measure_diversity([r[0] for r in REFERENCES], REFERENCES).warnings == ()


def test_distinct_n_repeats_lengths_and_empties_are_counted() -> None:
    diversity = measure_diversity(["a b a b. x. x.", ""], [["a b c d"], ["a b c d"]])
    assert diversity.distinct_1 == pytest.approx(4 / 6)  # a b "b." x. of a b a b. x. x.
    assert diversity.distinct_2 == pytest.approx(5 / 5)
    assert diversity.repeating == 0.5
    assert (diversity.length, diversity.reference_length, diversity.empty) == (3, 4, 1)
    assert diversity.warnings[-1] == "1 report is empty"
    assert "50% of the reports say a sentence twice" in diversity.warnings


def test_reports_far_shorter_than_the_references_are_noted() -> None:
    diversity = measure_diversity([f"Short {i}" for i in range(20)], REFERENCES)
    assert diversity.warnings == ("reports have 2.0 words on average, references 8.0",)
