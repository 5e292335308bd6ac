"""A command line is read as it was meant, where there is no doubt; old spellings of options work and are not shown."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from reportgen_cli.main import commands
from reportgen_cli.main import rg as group
from reportgen_cli.spelling import ANSWERS, COMMANDS, OPTIONS, meant_command, meant_options


def leaves(command: click.Command = group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), command


ALL = dict(leaves())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("predict a.png", "report a.png"),
        ("models", "zoo list"),
        ("list models", "zoo list"),
        ("version", "--version"),
        ("help train", "train --help"),
        ("help predict", "report --help"),
        ("help zoo pull", "zoo pull --help"),
        ("help", "--help"),
        ("help transformer", "info transformer"),
        ("help resnet50", "info resnet50"),
        ("plot a.png", "explain a.png"),
        ("EVALUATE --x", "eval --x"),
        ("annot t.csv", "annotate t.csv"),
        ("metrics", "list metrics"),
        ("report a.png", "report a.png"),
        ("rep a.png", "rep a.png"),  # report or reproduce
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_a_command_is_understood(given: str, meant: str) -> None:
    assert meant_command(given.split(), commands()) == meant.split()


def test_every_word_for_a_command_means_one_that_exists_and_is_none_itself() -> None:
    names = set(commands())
    for word, meaning in COMMANDS.items():
        assert meaning.startswith("--") or meaning.split()[0] in names, word
        assert " " in word or word not in names, word


def test_an_option_for_more_words_is_left_out_with_a_note(rg) -> None:
    done = rg("models", "--verbose")
    assert done.code == 0 and "note: no command has --verbose; it is left out" in done.err
    assert done.out == rg("zoo", "list").out


def test_a_word_in_doubt_names_the_candidates(rg) -> None:
    done = rg("rep", "a.png")
    assert done.code == 2
    assert "no command 'rep'; did you mean 'report' or 'reproduce'?" in done.err


def test_an_alias_says_which_command_it_is(rg) -> None:
    done = rg("describe", "bleu")
    assert done.code == 0 and "note: rg describe is rg info" in done.err and "BLEU-1..4" in done.out
    assert rg("version").out == rg("--version").out


@pytest.mark.parametrize(
    ("command", "given", "meant"),
    [
        ("compose", "-e resnet18 -d lstm -o x", "--encoder resnet18 --decoder lstm --out x"),
        ("compose", "--Encoder=resnet18 --DECODER lstm", "--encoder=resnet18 --decoder lstm"),
        ("report", "--image a.png --model m", "a.png --model m"),
        ("report", "a.png --batch_size 4 --gpu", "a.png --batch-size 4 --device cuda"),
        ("train", "--model m --dataset phantom --lr 1e-4 --freeze-encoder", "m --data phantom --set lr=1e-4 --set freeze_encoder=true"),
        ("train", "m --data phantom --epochs 2 --batch_size=4", "m --data phantom --epochs 2 --set batch_size=4"),
        ("eval", "--preds p.csv --refs r.csv --metric BLEU --json", "--predictions p.csv --references r.csv --metrics BLEU --format json"),
        ("eval", "--metrics BLEU ROUGE --seed 1", "--metrics BLEU,ROUGE --seed 1"),
        ("data audit", "table --root x --option val=0.1", "table --data-root x --data-option val=0.1"),
        ("data groups", "t --option k=5 -n 3", "t --grouper-option k=5 -n 3"),
        ("data abnormal", "t --option c=1", "t --classifier-option c=1"),
        ("zoo push", "m --to x", "m --out x"),
        ("index search", "m -k 3", "m --k 3"),
        ("report", "-- --image", "-- --image"),
        ("report", "a.png --no-such 3", "a.png --no-such 3"),
    ],
)  # fmt: skip
def test_options_are_understood(command: str, given: str, meant: str) -> None:
    assert meant_options(ALL[command], click.Context(ALL[command]), given.split()) == meant.split()


def test_a_subcommand_is_understood_and_an_unknown_one_has_near_names(rg) -> None:
    data = group.get_command(click.Context(group), "data")
    assert meant_options(data, click.Context(data), ["aud", "table", "--root", "x"]) == [
        "audit",
        "table",
        "--data-root",
        "x",
    ]
    done = rg("data", "audti", "table")
    assert done.code == 2 and "no command 'audti'; did you mean 'audit'?" in done.err


OWN_SPELLINGS = {("export", "--to"), ("plan make", "--weights")}  # of a command whose option means another thing


def test_no_command_shows_an_old_spelling() -> None:
    for path, command in ALL.items():
        shown = {flag for p in command.params if isinstance(p, click.Option) for flag in p.opts}
        for old in OPTIONS:
            if old in shown:
                assert old in ("-n", "--json", "--metric", "--dataset", "--root") or (path, old) in OWN_SPELLINGS


SHARED = {  # what an option is called in every command that has it
    "data_root": "--data-root", "root": "--data-root", "data_options": "--data-option", "out": "--out",
    "place": ("--out", "--index"), "limit": "--limit", "count": "--limit", "device": "--device", "seed": "--seed",
    "model": "--model", "split": "--split", "batch_size": "--batch-size", "workers": "--workers", "cache": "--cache",
    "as_json": "--json", "force": "--force", "epochs": "--epochs", "beams": "--beams", "n_best": "--n-best",
    "precision": "--precision", "resamples": "--resamples",
}  # fmt: skip


def test_an_option_of_several_commands_has_one_name() -> None:
    for path, command in ALL.items():
        for p in command.params:
            if (
                isinstance(p, click.Option)
                and p.name in SHARED
                and path != "zoo convert"
                and (path, p.name) != ("serve", "root")
            ):
                assert set(p.opts) & {*((SHARED[p.name],) if isinstance(SHARED[p.name], str) else SHARED[p.name])}, (
                    f"{path} {p.opts}"
                )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list", "Encoder"), "densenet121"),
        (("list", "sentence_encoders"), "minilm"),
        (("info", "HierLSTM"), "decoder"),
        (("info", "resnet_50"), "residual network of 50 layers"),
    ],
)
def test_names_are_understood_on_the_command_line(rg, arguments, expected) -> None:
    done = rg(*arguments)
    assert done.code == 0, done.err
    assert expected in done.out


def test_a_model_in_doubt_names_the_candidates(rg, chest) -> None:
    done = rg("report", chest, "--model", "phantom")
    assert done.code == 1 and "phantom" in done.err


def test_a_part_is_understood_by_compose(rg, tmp_path) -> None:
    done = rg("compose", "-e", "ResNet18", "-d", "LSTM", "--encoder-option", "size=64", "--check", "--json")
    assert done.code == 0, done.err
    assert '"resnet18"' in done.out and '"lstm"' in done.out


@pytest.mark.parametrize("words", sorted(ANSWERS))
def test_a_command_that_there_is_not_is_answered(words: str, rg) -> None:
    done = rg(*words.split(), "x")
    assert done.code == 2 and ANSWERS[words] in done.err and len(done.err.splitlines()) < 4


def test_a_guessed_word_gets_the_command_and_its_model(rg) -> None:
    assert "docs/plugins.md" in rg("plugin", "new", "my-decoder").err
    given = ["mine", "--data", "phantom", "--seed", "1", "--out", "x"]
    assert meant_options(ALL["eval"], click.Context(ALL["eval"]), given) == ["--model", *given]
    assert meant_options(ALL["eval"], click.Context(ALL["eval"]), ["--name", "mine"]) == ["--name", "mine"]
    assert meant_options(ALL["eval"], click.Context(ALL["eval"]), ["--unknown", "4"]) == ["--unknown", "4"]
    for before in (["--format=json"], ["--seed", "-5"]):
        assert meant_options(ALL["eval"], click.Context(ALL["eval"]), [*before, "mine"]) == [*before, "--model", "mine"]


def test_what_is_understood_by_its_beginning_is_said(rg, tmp_path) -> None:
    (tmp_path / "t.csv").write_text("id,report,prediction\na,Heart normal.,Heart is normal.\n")
    done = rg("eval", "--predictions", tmp_path / "t.csv", "--protocol", "tok", "--metrics", "rouge")
    assert done.code == 0 and "note: tok is the protocol tokens" in done.err
    assert "note: rouge is the metric rouge-l" in done.err
    parts = rg("compose", "--encoder", "resnet18", "--decoder", "hier_lstm", "--encoder-option", "size=64", "--check")
    assert "note: hier_lstm is the decoder hier-lstm" in parts.err
    assert "note: rg annot is rg annotate" in rg("annot", "--help").err


@pytest.mark.parametrize("command", ["explain", "report"])
def test_a_picture_is_no_name_of_a_folder(command: str, rg, chest) -> None:
    done = rg(command, chest, "--out", "attn.png")
    assert done.code == 1 and "attn.png is the name of a file" in done.err and "write --out attn" in done.err


def test_compare_takes_evaluations_and_says_how_to_make_one(rg, tmp_path, model) -> None:
    table = tmp_path / "a.csv"
    table.write_text("id,report\n1,Heart normal.\n")
    done = rg("compare", table, table)
    assert done.code == 1 and f"rg eval --predictions {table} --references" in done.err and "/a writes" in done.err
    assert f"rg eval --model {model} " in rg("compare", model, model).err
    (tmp_path / "reproduced" / "evaluation").mkdir(parents=True)
    (tmp_path / "reproduced" / "evaluation" / "scores.json").write_text("{}")
    assert "reproduced/evaluation is one" in rg("compare", tmp_path / "reproduced", table).err


def test_help_on_a_part_says_all_about_it(rg) -> None:
    done = rg("help", "transformer")
    assert done.code == 0 and "note: rg help transformer is rg info transformer" in done.err
    assert done.out == rg("info", "transformer").out


def test_tables_are_read_as_predictions_and_references(rg, tmp_path) -> None:
    given, wanted = tmp_path / "given.csv", tmp_path / "wanted.csv"
    given.write_text("id,report\na,Heart is normal.\n")
    wanted.write_text("id,report\na,Heart normal.\n")
    options = ("--metrics", "bleu", "--protocol", "raw", "--no-baselines")
    done = rg("score", given, wanted, *options)
    assert done.code == 0, done.err
    assert f"note: {given} is --predictions {given}" in done.err and f"is --references {wanted}" in done.err
    assert done.out == rg("eval", "--predictions", given, "--references", wanted, *options).out
    alone = rg("score", given, *options)
    assert alone.code == 1 and "--references names the file" in alone.err


@pytest.mark.parametrize("given", [("--model", "p.csv"), ("--model=p.csv",), ("--ckpt", "p.csv")])
def test_a_table_is_no_model_to_score(given, rg) -> None:
    done = rg("eval", *given)
    assert done.code == 1 and done.err.count("\n") == 1
    assert "rg eval --predictions p.csv --references FILE" in done.err


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("report {chest} --model soft-att", "it is a decoder (reportgen.compose(ENCODER, 'soft-att'), or rg train"),
        ("train --model r2gen --data {table}", "and a preset (rg train --preset r2gen, or rg reproduce r2gen)"),
        ("train --encoder resnet18 --decoder bleu --data {table}", "it is a metric (reportgen.evaluate("),
        ("list r2gen", "no kind of part is named 'r2gen'; it is a decoder ("),
        ("r2gen", "no command 'r2gen'; it is a decoder (reportgen.compose(ENCODER, 'r2gen'), or rg train --encoder"),
        ("compose -e hier-lstm -d resnet18 --check", "no encoder named 'hier-lstm'; it is a decoder"),
        ("eval --predictions {table} --metrics resnet50", "it is an encoder (reportgen.compose('resnet50', DECODER)"),
        ("data audit bleu --data-root {table}", "rg list datasets names the datasets"),
    ],
)  # fmt: skip
def test_a_name_of_another_kind_is_told_with_the_command_that_takes_it(words, answer, rg, chest, tmp_path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,image,report,prediction,split\na,a.png,Heart normal.,Heart is normal.,train\n")
    done = rg(*words.format(chest=chest, table=table).split())
    assert done.code in (1, 2) and answer in done.err


@pytest.mark.parametrize(("words", "said"), [("plugins list", "plugins"), ("models ls", "zoo list"),
                                             ("encoders list", "list encoders")])  # fmt: skip
def test_a_list_may_be_asked_for_twice(rg, words: str, said: str) -> None:
    done = rg(*words.split())
    assert done.code == 0, done.err
    assert f"note: rg {words} is rg {said}" in done.err
