"""The vocabulary of a preparation: named, or trained on the text layer and kept in the store."""

import hashlib
import json
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import sentencepiece

from flan_jax.data.choosing import example_hash
from flan_jax.data.manifest import TextManifest
from flan_jax.data.sentencepiece_vocabulary import FILE, TRAINING_THREADS, train_sentencepiece
from flan_jax.data.store import Store
from flan_jax.data.token_table import read_mapped
from flan_jax.data.vocabulary import MANIFEST, Vocabulary, VocabularyError, load_vocabulary


def trained_size(spec: str) -> int | None:
    """1000 for "sentencepiece:1000", None for a vocabulary that exists.  Raises VocabularyError."""
    kind, _, size = spec.partition(":")
    if kind != "sentencepiece":
        return None
    if not size.isdecimal():
        raise VocabularyError(f"{spec!r} names no size; set --gin.VOCABULARY=\"'sentencepiece:8000'\"")
    return int(size)


def prepare_vocabulary(
    store: Store, spec: str, texts: Sequence[TextManifest], rows: int
) -> tuple[Vocabulary, pathlib.Path]:
    """The vocabulary of `spec` and its directory in the store, trained on about `rows` rows of `texts` if need be.

    The same texts, size and rows find the vocabulary that is there.  Raises VocabularyError, CorruptStore.
    """
    folder = store.root / "vocabularies"
    size = trained_size(spec)
    if size is None:
        vocabulary = load_vocabulary(spec)
        directory = folder / f"{vocabulary.kind}-{vocabulary.digest[:12]}"
        if not (directory / MANIFEST).exists():
            vocabulary.save(directory)
        return vocabulary, directory
    if not texts:
        raise VocabularyError(f"{spec} has no training split to be trained on; set --gin.prepare.vocabulary_mixture")
    request = [size, rows, sentencepiece.__version__, TRAINING_THREADS, sorted((m.task, m.data.xxh3) for m in texts)]
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    directory = folder / f"sentencepiece-{size}-{digest[:12]}"
    if not (directory / MANIFEST).exists():
        with tempfile.TemporaryDirectory() as scratch:
            sample = _sample(store, texts, rows)
            train_sentencepiece(sample, size, pathlib.Path(scratch) / FILE).save(directory)
        for older in folder.glob(f"sentencepiece-{size}-*/{MANIFEST}"):
            if older.parent != directory:
                print(f"{spec} was trained anew, as its text changed; older: --gin.VOCABULARY=\"'{older.parent}'\"")
    return load_vocabulary(str(directory)), directory


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
