"""`rg info NAME --cite` prints BibTeX; every built-in encoder, decoder, retriever and dataset has an entry or says none."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from reportgen_cli.commands.about.cite import cite
from reportgen_cli.registry_names import KINDS

import reportgen_core

PARTS = [
    (kind, name)
    for kind in ("encoders", "decoders", "retrievers", "datasets")
    for name in KINDS[kind]
    if KINDS[kind].owner(name).startswith("reportgen:")
]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_has_a_citation_or_says_none(kind: str, name: str) -> None:
    lines = cite(KINDS[kind], name)
    assert lines and not any("declares no citation" in line for line in lines), lines
    entry = KINDS[kind][name]
    if entry.paper.startswith("arXiv:") and not lines[0].startswith("%"):
        assert any(entry.paper.removeprefix("arXiv:") in line for line in lines), entry.paper


def test_the_file_is_bibtex_with_unique_keys_and_parts_of_kinds_that_exist() -> None:
    text = (resources.files("reportgen_plugins") / "citations.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{(.*),$", text, re.MULTILINE)
    assert len(keys) == len(set(keys)) > 20
    for block in re.findall(r"^@\w+\{.*?^\}", text, re.MULTILINE | re.DOTALL):
        assert block.count("{") == block.count("}")
        assert {"title", "author", "year"} <= set(re.findall(r"^  (\w+) = \{", block, re.MULTILINE)), block
    named = re.findall(r"parts = \{(.*)\}", text) + re.findall(r"^% none:(.*)$", text, re.MULTILINE)
    for part in (part.strip() for parts in named for part in parts.split(",")):
        assert any(part.startswith(f"{registry.kind} ") for registry in KINDS.values()), part


def test_a_preset_cites_its_encoder_its_decoder_and_its_data(rg) -> None:
    done = rg("info", "jing-coattention", "--cite")
    assert done.code == 0
    for key in ("simonyan2015very", "jing2018automatic", "demnerfushman2016preparing"):
        assert key in done.out
    assert "parts =" not in done.out


def test_a_model_cites_its_parts(rg, model) -> None:
    config = (model / "config.json").read_text(encoding="utf-8")
    done = rg("info", str(model), "--cite")
    assert done.code == 0 and done.out.count("@inproceedings") == 2, (config[:200], done.out)


def test_a_part_without_a_paper_and_an_unknown_name_are_said(rg) -> None:
    assert rg("info", "nearest", "--cite").out == "% retriever nearest: no paper\n"
    done = rg("info", "no-such", "--cite")
    assert done.code == 1 and "nothing that can be cited is named 'no-such'" in done.err


def test_a_part_of_another_program_declares_nothing() -> None:
    registry = reportgen_core.Registry("decoder", "interfaces:Decoder", list)
    registry.add(reportgen_core.Entry("mine", "json:JSONDecoder", "s", "arXiv:1"))
    assert cite(registry, "mine") == ["% decoder mine of this program declares no citation; paper: arXiv:1"]
