"""The vocabulary of a preparation: named, or trained on the text layer and kept in the store."""

import hashlib
import json
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import sentencepiece

from flan_jax.data.atomic import atomic_file
from flan_jax.data.choosing import example_hash
from flan_jax.data.manifest import TextManifest
from flan_jax.data.sentencepiece_vocabulary import FILE, TRAINING_THREADS, train_sentencepiece
from flan_jax.data.store import Store
from flan_jax.data.token_table import read_mapped
from flan_jax.data.vocabulary import (
    MANIFEST,
    TRAINING,
    Vocabulary,
    VocabularyError,
    described,
    learned_from,
    listed,
    load_vocabulary,
)


def trained_size(spec: str) -> int | None:
    """1000 for "sentencepiece:1000", None for a vocabulary that exists.  Raises VocabularyError."""
    kind, _, size = spec.partition(":")
    if kind != "sentencepiece":
        return None
    if not size.isdecimal():
        raise VocabularyError(f"{spec!r} names no size; set --gin.VOCABULARY=\"'sentencepiece:8000'\"")
    return int(size)


def prepare_vocabulary(
    store: Store, spec: str, texts: Sequence[TextManifest], rows: int, of_these: bool = False
) -> tuple[Vocabulary, pathlib.Path]:
    """The vocabulary of `spec` and its directory in the store, trained on about `rows` rows of `texts` if need be.

    The same texts, size and rows find the vocabulary that is there.  So do other texts if it is the store's only one of
    this size, unless it must be one `of_these`: tasks prepared one after the other share it.
    Raises VocabularyError, CorruptStore.
    """
    folder = store.root / "vocabularies"
    size = trained_size(spec)
    if size is None:
        vocabulary = load_vocabulary(spec)
        directory = folder / f"{vocabulary.kind}-{vocabulary.digest[:12]}"
        if not (directory / MANIFEST).exists():
            vocabulary.save(directory)
        return vocabulary, directory
    there = store.trained_vocabularies(spec)
    if not texts and not there:
        raise VocabularyError(f"{spec} has no training split to be trained on; set --gin.prepare.vocabulary_mixture")
    request = [size, rows, sentencepiece.__version__, TRAINING_THREADS, sorted((m.task, m.data.xxh3) for m in texts)]
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    directory = folder / f"sentencepiece-{size}-{digest[:12]}"
    if directory not in there:
        if there and not of_these:
            return _shared(store, spec)
        _train(store, spec, texts, rows, directory)
        for other in there:
            print(f"{spec} was trained anew, on {learned_from(directory)}; there is also {described(other)}")
    return load_vocabulary(str(directory)), directory


def _shared(store: Store, spec: str) -> tuple[Vocabulary, pathlib.Path]:
    """The only vocabulary of this size.  Raises VocabularyError if there are several."""
    vocabulary = store.find_vocabulary(spec)
    [directory] = store.trained_vocabularies(spec)
    print(
        f"{spec} is there, trained on {learned_from(directory)}, and used as it is: {directory}\n"
        f"  to train one on other text, name that (or another size):   --gin.prepare.vocabulary_mixture=\"'MIXTURE'\"",
        flush=True,
    )
    return vocabulary, directory


def _train(store: Store, spec: str, texts: Sequence[TextManifest], rows: int, directory: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        sample = _sample(store, texts, rows)
        try:
            vocabulary = train_sentencepiece(sample, trained_size(spec) or 0, pathlib.Path(scratch) / FILE)
        except VocabularyError as error:
            raise VocabularyError(f"{error}\n  it was to be trained on {listed([m.task for m in texts])}") from error
    with atomic_file(directory / TRAINING) as out:
        tasks = {text.task: text.data.xxh3 for text in sorted(texts, key=lambda text: text.task)}
        out.write(json.dumps({"spec": spec, "rows": rows, "tasks": tasks}, indent=1).encode())
    vocabulary.save(directory)  # last, as its manifest is what makes the directory one of the store's


def _sample(store: Store, texts: Sequence[TextManifest], rows: int) -> Iterator[str]:
    """Inputs with their targets of about `rows` rows, each chosen by a hash of its task and example."""
    share = min(1.0, rows / sum(text.rows for text in texts))
    for text in sorted(texts, key=lambda text: text.task):
        path = store.text_path(text.task, text.split)
        store.check_data(path, text.data, store.verify)
        reader = read_mapped(path)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for row in batch.select(["inputs", "targets", "example_id"]).to_pylist():
                if example_hash(text.task, row["example_id"]) < share * 2**64:
                    yield row["inputs"] + row["targets"]
