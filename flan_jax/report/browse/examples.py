"""Which rows of a prepared task the page shows, and how much of each."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from flan_jax.data.token_table import TokenTable
from flan_jax.report.browse.contents import Example, Gap, Part, Run
from flan_jax.report.browse.token_text import TokenText

HEAD, TAIL = 1_800, 700
"""Characters of a longer text that are shown, from its beginning and its end."""
_WORD = re.compile(r"\s*\S+|\s+")


class SplitRows(NamedTuple):
    """One split of a task: its text, and its tokens where it was tokenised."""

    split: str
    text: pa.Table
    tokens: TokenTable | None

    def lengths(self) -> Int[np.ndarray, " rows"]:
        """Of inputs and targets together: tokens, or without those characters."""
        if self.tokens is not None:
            return np.diff(self.tokens.inputs_offsets) + np.diff(self.tokens.targets_offsets)
        pairs = zip(*(self.text.column(name).to_pylist() for name in ("inputs", "targets")), strict=True)
        return np.fromiter((len(inputs) + len(targets) for inputs, targets in pairs), np.int64, self.text.num_rows)


def choose_examples(splits: Sequence[SplitRows], count: int, token_text: TokenText | None) -> tuple[Example, ...]:
    """`count` rows of every template, of ordinary length: the quantiles that cut it into `count` + 1 equal parts.

    They are of the first of `splits` that has that template; a split of few rows may have fewer.
    """
    chosen: dict[int, list[Example]] = {}
    for rows in splits:
        templates, lengths = rows.text.column("template").to_numpy(), rows.lengths()
        for template in np.unique(templates).tolist():
            if template not in chosen:
                own = np.flatnonzero(templates == template)
                own = own[np.argsort(lengths[own], kind="stable")]
                places = {(i + 1) * len(own) // (count + 1) for i in range(count)}
                chosen[template] = [_example(rows, int(own[place]), token_text) for place in sorted(places)]
    return tuple(example for template in sorted(chosen) for example in chosen[template])


def _example(rows: SplitRows, row: int, token_text: TokenText | None) -> Example:
    values: dict[str, Any] = rows.text.slice(row, 1).to_pylist()[0]
    tokens = rows.tokens
    if tokens is None or token_text is None:
        inputs, targets = plain_part(values["inputs"]), plain_part(values["targets"])
        options = tuple(map(plain_part, values["options"]))
    else:
        # A vocabulary may want a space before the first word of a document, which is the targets' without inputs.
        lead = {"inputs"} if values["inputs"] else {"targets"}
        inputs = token_part(values["inputs"], tokens.inputs(row), token_text, "inputs" in lead)
        targets = token_part(values["targets"], tokens.targets(row), token_text, "targets" in lead)
        pairs = zip(values["options"], tokens.options(row), strict=True)
        options = tuple(token_part(text, ids, token_text) for text, ids in pairs)
    return Example(
        template=values["template"],
        split=rows.split,
        example_id=values["example_id"],
        inputs=inputs,
        targets=targets,
        options=options,
        answer=values["answer"],
        references=tuple(clip(text) for text in values["references"]),
        joined_differs=bool(tokens is not None and tokens.boundary_differs[row]),
    )


def token_part(text: str, ids: Int[np.ndarray, " tokens"], token_text: TokenText, first: bool = False) -> Part:
    """A text as its tokens read; `first` in a document, it may have got a space in front."""
    pieces = token_text.pieces(ids.tolist())
    joined = "".join(pieces)
    changed = joined != text and not (first and joined == f" {text}")
    return Part(tuple(_stretches(pieces, tokens=True)), len(pieces), changed)


def plain_part(text: str) -> Part:
    """A text without tokens."""
    return Part(tuple(_stretches(_WORD.findall(text), tokens=False)), None)


def clip(text: str) -> str:
    """A text of at most HEAD + TAIL characters."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"


def _stretches(pieces: Sequence[str], tokens: bool) -> Iterator[Run | Gap]:
    """The pieces as one run, or where they are long as a run, a gap and a run.  Cuts at the end of a piece only."""
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    characters = int(ends[-1]) if len(ends) else 0
    head, tail = len(pieces), len(pieces)
    if characters > HEAD + TAIL:
        head = max(int(np.searchsorted(ends, HEAD, side="right")), 1)
        tail = max(int(np.searchsorted(ends, characters - TAIL, side="left")) + 1, head)
    for start, stop in ((0, head), (head, tail), (tail, len(pieces))):
        if start == stop:
            continue
        if start == head and tail > head:
            yield Gap(tail - head if tokens else 0, int(ends[stop - 1] - ends[start - 1]))
        else:
            run = pieces[start:stop]
            lengths = tuple(len(piece.encode("utf-16-le")) // 2 for piece in run) if tokens else None
            yield Run("".join(run), lengths)
