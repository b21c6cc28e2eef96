"""Exemplars that all questions of a task and template are shown: a shot block, which the model reads once for all.

Every training row has a number by (seed, task, template, what it asks), and the rows with the least numbers are shown.
So the block depends neither on how many questions there are nor on how many rows train: a row that comes or goes
changes nothing but its own place.  A row that asks what some question of the split asks is never in it, whichever of
the split's questions are put, and no two rows in it ask the same.
"""

import numpy as np
from jaxtyping import Int32, Integer

from flan_jax.data.composition import SpecialTokens
from flan_jax.data.exemplars import NO_ROOM, NO_ROW, FewShot, hashes_of_both
from flan_jax.data.permutation import derive_key, mixed
from flan_jax.data.questions import same_questions
from flan_jax.data.token_table import TokenTable


def show_common(
    task: str,
    train: TokenTable,
    questions: TokenTable,
    rows: Integer[np.ndarray, " N"],
    room: Integer[np.ndarray, " N"],
    templates: Integer[np.ndarray, " T"],
    shots: int,
    few_shot: FewShot,
    special: SpecialTokens,
    seed: int,
) -> Int32[np.ndarray, "N K"]:
    """The train rows shown before each of the `rows` of `questions`, K being `shots`: of its template's block as many
    as fit into `room`, NO_ROOM and NO_ROW for the others.

    templates: those that questions are asked with; rows under one of them may be shown.  Raises ExemplarError if train
    and questions were rendered from different templates.
    """
    asks = same_questions(hashes_of_both(task, train.question, questions.question))
    tokens = np.diff(train.inputs_offsets) + np.diff(train.targets_offsets) + special.exemplar_overhead
    usable = np.isin(train.template, templates) & (tokens <= few_shot.budget)
    usable &= ~np.isin(asks[: train.num_rows], asks[train.num_rows :])
    shown = np.full((len(rows), shots), NO_ROW, np.int32)
    for template in np.unique(questions.template[rows]):
        own = usable & (train.template == template) if few_shot.templates == "same" else usable
        block = _draw(train, np.flatnonzero(own), asks, shots, derive_key("common", seed, task, int(template)))
        here = questions.template[rows] == template
        fits = np.cumsum(tokens[block]) <= room[here][:, None]
        shown[np.ix_(here, np.arange(len(block)))] = np.where(fits, block, NO_ROOM)
    return shown


def _draw(
    train: TokenTable, rows: Integer[np.ndarray, " R"], asks: Integer[np.ndarray, " _"], count: int, key: int
) -> Int32[np.ndarray, " _"]:
    """Of all `rows` the `count` with the least numbers, of those that ask the same only the first."""
    numbers = mixed(train.question[rows, 0] ^ np.uint64(key))
    ordered = rows[np.lexsort((rows, numbers))]
    firsts = np.sort(np.unique(asks[ordered], return_index=True)[1])
    return ordered[firsts[:count]].astype(np.int32)
