"""The command that puts what is missing into a store, as errors print it."""

import pathlib

from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.vocabulary import Vocabulary

OTHER_SETTINGS = "and what else the store was prepared with, as SEED and EVAL_EXAMPLES"


def prepare_command(mixture: str | tuple[str, ...], vocabulary: str, store: pathlib.Path, tasks_module: str) -> str:
    """To be pasted into a shell."""
    one = mixture[0] if isinstance(mixture, tuple) and len(mixture) == 1 else mixture
    return (
        f'flan-jax prepare --gin.MIXTURE="{one!r}" --gin.VOCABULARY="{vocabulary!r}" --gin.STORE="{str(store)!r}" '
        f'--gin.TASKS="{tasks_module!r}"'
    )


def vocabulary_place(store: Store, vocabulary: Vocabulary, otherwise: str) -> str:
    """A name under which `prepare` finds this very vocabulary, and does not train one on other text.

    `otherwise`: where it lies if the store has no token of it yet.
    """
    try:
        return str(store.vocabulary_directory(vocabulary.digest))
    except NotPrepared:
        return otherwise
