"""What `prepare` did: its result, and the table that it prints."""

import dataclasses

from flan_jax.data.manifest import TextManifest, TokenManifest
from flan_jax.data.prepare_sources import listing


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """A split that is in the store now.  `made` says why it was made: "new", "templates or source changed", ...; ""
    if it was there.  `seconds` went into making it."""

    text: TextManifest
    tokens: TokenManifest
    made: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Prepared:
    """`vocabulary` is the directory to name as VOCABULARY from here on.  `left_out`: (task, split) -> why."""

    vocabulary: str
    vocabulary_digest: str
    splits: tuple[PreparedSplit, ...]
    left_out: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


def summary(prepared: Prepared, seconds: float) -> str:
    """A line for every split that was made, with what was dropped and why, and one for all that were there."""
    lines = []
    made = [split for split in prepared.splits if split.made]
    if made:
        counts = f"{'seen':>8} {'kept':>8} {'rows':>8} {'tokens':>11} {'rows/s':>8} {'MB':>7}"
        lines.append(f"{'task':32} {'split':10} {counts}  notes")
    for split in made:
        text, tokens = split.text, split.tokens
        notes = [split.made] if split.made != "new" else []
        notes += [f"{count:,} dropped: {reason}" for reason, count in text.dropped.items()]
        notes += [f"{count:,} rows dropped: {reason}" for reason, count in text.rows_dropped.items()]
        notes += [f"{tokens.boundary_differs:,} rows tokenise otherwise joined"] if tokens.boundary_differs else []
        lines.append(
            f"{text.task:32} {text.split:10} {text.seen:8,} {text.kept:8,} {text.rows:8,}"
            f" {tokens.input_tokens + tokens.target_tokens:11,} {text.rows / max(split.seconds, 1e-9):8,.0f}"
            f" {(text.data.size + tokens.data.size) / 1e6:7.1f}  {'; '.join(notes)}"
        )
    if prepared.left_out:
        lines.append(f"left out, {listing(prepared.left_out)}")
    there = len(prepared.splits) - len(made)
    total = f"{len(made)} splits made, {there} were there already, in {seconds:.1f} s"
    lines.append(f"{total}; vocabulary {prepared.vocabulary}")
    return "\n".join(lines)
