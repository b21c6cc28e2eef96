"""The vocabulary that a checkpoint was trained with, and the two together, as commands take them that only read."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from etils import epath

from flan_jax.data.vocabulary import Vocabulary, load_vocabulary
from flan_jax.models.config import DecoderConfig
from flan_jax.training.checkpoints import CheckpointMismatch, load_params, run_and_step


class ToAsk(NamedTuple):
    """A model to be asked, the vocabulary that it reads, and what its checkpoint says of itself."""

    model: DecoderConfig
    params: Any
    vocabulary: Vocabulary
    metadata: dict[str, Any]


def run_vocabulary(checkpoint: epath.PathLike, metadata: Mapping[str, Any]) -> Vocabulary:
    """The one in `<run>/vocabulary`; `checkpoint` is the run's directory or one of its `checkpoints/<step>`.

    Raises CheckpointMismatch if it is not the one that the checkpoint of this `metadata` reads, VocabularyError if
    there is none.
    """
    folder = run_and_step(checkpoint)[0] / "vocabulary"
    vocabulary = load_vocabulary(str(folder))
    if vocabulary.digest != metadata["vocabulary_digest"]:
        raise CheckpointMismatch(
            f"{folder} is {vocabulary.digest[:12]}, and the checkpoint reads vocabulary "
            f"{metadata['vocabulary_digest'][:12]}; put that back there"
        )
    return vocabulary


def load_to_ask(checkpoint: epath.PathLike, step: int | None = None) -> ToAsk:
    """A checkpoint, named as for `load_params`, with its vocabulary, run by the attention that runs everywhere.

    Raises CheckpointError, CheckpointMismatch or VocabularyError.
    """
    model, params, metadata = load_params(checkpoint, step)
    # A kernel it was trained with may not run on this machine, and the commands that only ask set no RunAs.
    model = dataclasses.replace(model, attention="xla")
    return ToAsk(model, params, run_vocabulary(checkpoint, metadata), metadata)
