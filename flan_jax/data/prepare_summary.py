"""What `prepare` did: its result, and the table that it prints."""

import dataclasses
import textwrap
from collections.abc import Sequence

from flan_jax.data.manifest import TextManifest, TokenManifest
from flan_jax.data.prepare_sources import listing
from flan_jax.table import format_table

WIDTH = 79


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """A split that is in the store now.  `made` says why it was made: "new", "templates or source changed", ...; ""
    if it was there."""

    text: TextManifest
    tokens: TokenManifest
    made: str


@dataclasses.dataclass(frozen=True)
class Prepared:
    """`vocabulary` is the directory to name as VOCABULARY from here on.  `left_out`: (task, split) -> why."""

    vocabulary: str
    vocabulary_digest: str
    splits: tuple[PreparedSplit, ...]
    left_out: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


def summary(prepared: Prepared, seconds: float) -> str:
    """A line for every split that was made, under it what was dropped and why, and one for all that were there.

    The table is as wide as its names and numbers need, which is within 80 columns for all but the longest names.
    """
    made = [split for split in prepared.splits if split.made]
    lines = _table(made) if made else []
    if prepared.left_out:
        lines.append(f"left out, {listing(prepared.left_out)}")
    there = len(prepared.splits) - len(made)
    lines.append(f"{len(made)} splits made, {there} were there already, in {seconds:.1f} s")
    if made:
        size = sum(split.text.data.size + split.tokens.data.size for split in made)
        rows = sum(split.text.rows for split in made)
        lines[-1] += f": {size / 1e6:,.1f} MB, {rows / max(seconds, 1e-9):,.0f} rows/s"
    return "\n".join([*lines, f"vocabulary {prepared.vocabulary}"])


def _table(made: Sequence[PreparedSplit]) -> list[str]:
    rows, notes = [], []
    for split in made:
        text, tokens = split.text, split.tokens
        counts = (text.seen, text.kept, text.rows, tokens.input_tokens + tokens.target_tokens)
        rows.append([f"{text.task}/{text.split}", *(f"{count:,}" for count in counts)])
        found = [split.made] if split.made != "new" else []
        found += [f"{count:,} dropped: {reason}" for reason, count in text.dropped.items()]
        found += [f"{count:,} rows dropped: {reason}" for reason, count in text.rows_dropped.items()]
        found += [f"{tokens.boundary_differs:,} rows tokenise otherwise joined"] if tokens.boundary_differs else []
        notes.append(textwrap.wrap("; ".join(found), WIDTH, initial_indent="  ", subsequent_indent="  "))
    table = format_table(["split", "seen", "kept", "rows", "tokens"], rows).splitlines()
    return table[:2] + [line for row, its in zip(table[2:], notes, strict=True) for line in (row, *its)]
