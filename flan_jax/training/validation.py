"""Which tasks of a mixture a run is validated on."""

from collections.abc import Sequence

from flan_jax.data.prepare_command import OTHER_SETTINGS, prepare_command, vocabulary_place
from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.task import TaskRegistry
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.training.announcement import tell
from flan_jax.training.run_config import TrainConfig, TrainError


def validation_tasks(
    config: TrainConfig, registry: TaskRegistry, store: Store, vocabulary: Vocabulary, names: Sequence[str]
) -> list[str]:
    """Those of a mixture's training tasks that have a validation split; the others are named on standard error.

    `prepare` makes the validation split of what a mixture evaluates, of what it trains on the train split only: the two
    are the same tasks in a whole benchmark, and never where a cluster is left out.
    Raises TrainError where no task has one, and naming all that are not prepared.
    """
    tasks = [registry.get_task(name) for name in names]
    having = [task for task in tasks if "validation" in task.splits]
    if not having:
        raise TrainError(
            f"train.validation_every={config.validation_every}: no task that {config.mixture} trains on has a "
            "validation split; set --gin.train.validation_every=0"
        )
    without = [task.name for task in tasks if task not in having]
    if without:
        tell(f"not validated on {', '.join(without)}, which have no validation split")
    missing = []
    for task in having:
        try:
            store.check(task, "validation", vocabulary.digest)
        except NotPrepared:
            missing.append(task.name)
    if missing:
        command = prepare_command(
            tuple(missing), vocabulary_place(store, vocabulary, config.vocabulary), store.root, config.tasks
        )
        raise TrainError(
            f"train.validation_every={config.validation_every}: the validation split is not prepared of "
            f"{', '.join(missing)}, which {config.mixture} trains on\n"
            f"  make it (of a task that is named itself, prepare makes every split):\n"
            f"    {command}\n    {OTHER_SETTINGS}\n"
            f"  or train without:   --gin.train.validation_every=0"
        )
    return [task.name for task in having]
