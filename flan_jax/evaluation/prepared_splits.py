"""Is everything that an evaluation reads in the store?  If not, the command that puts it there."""

import pathlib
from collections.abc import Sequence

from flan_jax.data.prepare_command import OTHER_SETTINGS, prepare_command, vocabulary_place
from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.task import Task
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.evaluation.few_shot import choose_shots
from flan_jax.evaluation.scoring import Scoring


def check_store(root: pathlib.Path, mixture: str | tuple[str, ...], vocabulary: str, tasks_module: str) -> None:
    """Raises NotPrepared where there is no store at all, with the command that makes it."""
    if not root.is_dir():
        raise NotPrepared(
            f"there is no store at {root}; set --gin.STORE, or make it:\n"
            f"  {prepare_command(mixture, vocabulary, root, tasks_module)}"
        )


def check_prepared(
    store: Store, vocabulary: Vocabulary, tasks: Sequence[Task], scoring: Scoring, mixture: str | tuple[str, ...],
    spec: str, tasks_module: str,
) -> None:  # fmt: skip
    """Raises NotPrepared naming every split that is asked, or shown exemplars of, and not prepared; StoreMismatch.

    What `prepare` was told to leave out is told by the store itself.  spec: where the vocabulary lies, if not in the
    store.
    """
    asked = {(task, split) for task in tasks for split in (scoring.split, scoring.selection_split)}
    shots = choose_shots(tasks, scoring.shots, scoring.allow_zero_shot)
    shown = {(task, "train") for task in tasks if shots[task.name]}
    missing: list[tuple[Task, str]] = []
    for task, split in sorted(asked | shown, key=lambda place: (tasks.index(place[0]), place[1] or "")):
        if split in task.splits:
            try:
                store.check(task, split, vocabulary.digest)
            except NotPrepared:
                if store.left_out(task.name, split):
                    raise
                missing.append((task, split))
    if not missing:
        return
    names = tuple(dict.fromkeys(task.name for task, _ in missing))
    splits = ", ".join(f"{task.name}/{split}" for task, split in missing)
    # a mixture's training tasks have their train split alone, and those it evaluates need not have one
    whole = len(names) == len(tasks) and not shown
    spec = vocabulary_place(store, vocabulary, spec)
    raise NotPrepared(
        f"{store.root} holds, in this vocabulary, no {splits}\n"
        f"  make {'them' if len(missing) > 1 else 'it'}:\n"
        f"    {prepare_command(mixture if whole else names, spec, store.root, tasks_module)}\n"
        f"    {OTHER_SETTINGS}"
        + ("\n  or ask without exemplars:   --gin.SHOTS=0" if shown.intersection(missing) else "")
    )
