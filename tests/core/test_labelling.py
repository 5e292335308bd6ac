"""Training labels: of the dataset, of a labeler, of MeSH headings."""

from __future__ import annotations

import pytest

from reportgen_core import DataError, OptionError, Study, UnknownName
from reportgen_core.data.labels import NAMES, from_mesh, relabel

SECTIONS = ("findings", "impression")


def test_the_dataset_keeps_its_own():
    studies = [Study("1", labels={"Edema": 1.0})]
    assert relabel(studies, "data", SECTIONS) == studies


def test_the_first_term_of_a_heading_is_its_label_and_the_rest_is_stated_absent():
    said = from_mesh(["Cardiomegaly/borderline", "Pulmonary Atelectasis/lower lobe/left", "Thickening/pleura/mild"])
    assert {name for name, value in said.items() if value} == {"Cardiomegaly", "Atelectasis", "Pleural_Thickening"}
    assert set(said) == {*NAMES, "No Finding"} and len(NAMES) == 13


@pytest.mark.parametrize("headings", [["normal"], ["Granulomatous Disease"], ["Hernia, Hiatal"], [""]])
def test_headings_of_none_of_the_labels_are_no_finding(headings):
    assert [name for name, value in from_mesh(headings).items() if value] == ["No Finding"]


def test_a_study_without_headings_is_not_labelled_and_one_with_tags_is():
    studies = [Study("1"), Study("2", tags=("emphysema/mild",)), Study("3", extra={"mesh": ["Mass"]}, tags=("scar",))]
    first, second, third = relabel(studies, "mesh", SECTIONS)
    assert first.labels == {}
    assert (second.labels["Emphysema"], third.labels["Mass"], third.labels["Emphysema"]) == (1, 1, 0)
    with pytest.raises(DataError, match="labels from mesh: none of 1 studies has MeSH headings"):
        relabel(studies[:1], "mesh", SECTIONS)


def test_a_labeler_reads_the_reports():
    studies = [
        Study("1", sections={"findings": "The heart is enlarged. No pleural effusion.", "impression": "Edema."}),
        Study("2", sections={"findings": ""}, labels={"Edema": 1.0}),
    ]
    first, second = relabel(studies, "chexpert-rules", SECTIONS, {"scheme": "chestxray14"})
    assert (first.labels["Cardiomegaly"], first.labels["Effusion"], first.labels["Edema"]) == (1, 0, 1)
    assert second.labels == {}
    with pytest.raises(DataError, match="none of 1 studies has a report that chexpert-rules can label"):
        relabel(studies[1:], "chexpert-rules", SECTIONS)


def test_what_labels_no_text_says_what_does():
    with pytest.raises(OptionError, match="metric 'bleu' labels no texts; chexpert-rules does"):
        relabel([Study("1")], "bleu", SECTIONS)
    with pytest.raises(UnknownName, match="no metric named 'chexpert-rule'; did you mean 'chexpert-rules'"):
        relabel([Study("1")], "chexpert-rule", SECTIONS)
