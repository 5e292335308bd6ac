"""subwords: a tokenizer as text recipe. It is trained on the training reports, or taken from a folder.

Sennrich, Haddow, Birch: Neural Machine Translation of Rare Words with Subword Units, ACL 2016, arXiv:1508.07909, on
bytes as in GPT-2. Every text can be written in pieces, so that no word is unknown. The vocabulary of a model has all
pieces, and limits of words count pieces.

The tokenizer is one file of JSON, tokenizer.json, in the format of the library tokenizers: no pickle, no code. The fast
tokenizers of transformers have the same file. Sentences are cut as in the recipe `plain`, and each gets a stop again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from reportgen_core.errors import DataError, OptionError
from reportgen_core.files.json_files import read_bounded
from reportgen_core.text.learned import LearnedRecipe
from reportgen_core.text.recipes import RECIPES, Recipe, Sentences, split_sentences, with_stop
from reportgen_core.text.spec import SPECIAL, UNK

FILE = "tokenizer.json"
MARK = "<stop>"  # between the sentences of a report that is one row: a dot is a piece of 2.5, too
BYTES = 256  # pieces that every tokenizer of this recipe has
WORD_STARTS = ("Ġ", "▁")  # how byte-level and sentencepiece tokenizers write the space before a word
_AFTER = re.compile(r"(?<=[。！？])")


class Subwords(LearnedRecipe):
    """A tokenizer of pieces of words."""

    files: ClassVar[tuple[str, ...]] = (FILE,)

    def __init__(self, *, size: int = 2000, lower: bool = True, tokenizer: str = "") -> None:
        """Choose a tokenizer.

        Args:
            size: the most pieces of a tokenizer that is trained.
            lower: whether it is trained on texts in lower case, and so writes them.
            tokenizer: a folder with tokenizer.json, which is taken as it is; "": train one.
        """
        if size <= BYTES:
            raise OptionError(f"size={size}: subwords has {BYTES} pieces for bytes, and wants more for words, as 2000")
        self.size, self.lower, self.tokenizer = size, lower, tokenizer

    def given(self) -> Mapping[str, bytes]:
        """Return the tokenizer of the folder; {} without a folder. Raises OptionError if the folder has none."""
        if not self.tokenizer:
            return {}
        folder = Path(self.tokenizer).expanduser()
        if not (folder / FILE).is_file():
            raise OptionError(
                f"tokenizer={self.tokenizer} has no {FILE}; AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) "
                "of transformers writes one"
            )
        content = read_bounded(folder / FILE, OptionError)
        try:
            self.read({FILE: content})
        except ValueError as e:
            raise OptionError(f"{folder / FILE}: {e}") from e
        return {FILE: content}

    def learn(self, texts: Sequence[str]) -> Mapping[str, bytes]:
        """Train byte-pair encoding on the sentences of the reports. Raises DataError if they have no word."""
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        sentences = [s for text in texts for s in split_sentences(text)]
        if not sentences:
            raise DataError("subwords has no report to learn from; give training studies with reports")
        tokenizer = Tokenizer(models.BPE())
        case = [normalizers.Lowercase()] if self.lower else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *case])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=self.size, initial_alphabet=alphabet, show_progress=False)
        with _one_thread():
            tokenizer.train_from_iterator(sentences, trainer)
        return {FILE: tokenizer.to_str(pretty=False).encode()}

    @staticmethod
    def read(files: Mapping[str, bytes]) -> Recipe:
        """Return the recipe of a tokenizer. Raises ValueError for a file that is none."""
        return recipe_of(read_tokenizer(files[FILE]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let the library use one thread: with several it warns in each process that reads data later."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def read_tokenizer(content: bytes) -> Any:
    """Return the tokenizer of a file, which cuts no text and adds no padding. Raises ValueError that says why not."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as e:  # the library raises bare Exception
        raise ValueError(f"it is no tokenizer: {' '.join(str(e).split())[:200]}") from e
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def recipe_of(tokenizer: Any) -> Recipe:
    """Return the recipe of a tokenizer. Raises ValueError if it has no piece."""
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    special |= {*SPECIAL, MARK, getattr(tokenizer.model, "unk_token", None) or SPECIAL[UNK]}
    words = tuple(word for word, _ in sorted(ids.items(), key=lambda item: item[1]) if word not in special)
    if not words:
        raise ValueError("it has no piece of a word")
    return Recipe(
        partial(split_pieces, tokenizer, special),
        partial(write_pieces, tokenizer, {word: ids[word] for word in words}),
        mark=MARK,
        words=(MARK, *words),
        show=partial(show_piece, any(word.startswith(WORD_STARTS) for word in words)),
    )


def split_pieces(tokenizer: Any, special: set[str], text: str) -> Sentences:
    """Return the pieces of each sentence. What the tokenizer has no piece for, or a mark of its own, is unknown."""
    sentences = [part for s in split_sentences(text) for part in _AFTER.split(s) if part.strip()]
    rows = (tokenizer.encode(s, add_special_tokens=False).tokens for s in sentences)
    return [[SPECIAL[UNK] if piece in special else piece for piece in row] for row in rows]


def write_pieces(tokenizer: Any, ids: Mapping[str, int], sentences: Iterable[Sequence[str]]) -> str:
    """Return the text of sentences of pieces. Each ends with a stop; a piece that is none is written as it is."""
    rows = [row for sentence in sentences for row in _cut_at_marks(sentence)]
    if tokenizer.decoder is None:  # its pieces are whole words
        return RECIPES["plain"].write(rows)
    texts = []
    for row in rows:
        parts: list[str] = []
        for known, group in groupby(row, ids.__contains__):
            pieces = list(group)
            parts += [tokenizer.decode([ids[p] for p in pieces]).strip()] if known else pieces
        texts.append(" ".join(filter(None, parts)))
    return " ".join(with_stop(text) for text in texts if text)


def _cut_at_marks(pieces: Sequence[str]) -> list[list[str]]:
    """Return the sentences of a row of pieces, without the marks between them."""
    return [list(row) for is_mark, row in groupby(pieces, MARK.__eq__) if not is_mark]


def show_piece(marks_starts: bool, piece: str) -> str:
    """Return a piece for people: without the sign of a space, and with ## if it continues a word."""
    if piece == MARK:
        return "."
    if piece.startswith(WORD_STARTS):
        return piece[1:] or "·"
    return f"##{piece}" if marks_starts and piece[:1].isalnum() else piece
