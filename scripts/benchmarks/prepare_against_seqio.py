"""Preparing real datasets (text and tokens, written) against plain seqio merely iterating them tokenised and packed.

    python scripts/benchmarks/prepare_against_seqio.py --data /path/with/tfds [--datasets squad_v1 sst2] [--rows 30000]

The prepared directory is copied with its train records repeated up to --rows, so that a small one measures more than
start-up.  Both sides tokenise with the same SentencePiece model.  seqio gets one simple template, one epoch, no
shuffling, and its imports are not counted; `prepare` renders ten templates, counts lengths, takes checksums, writes,
and its whole time counts, start of the worker processes included.  Each runs in a process of its own.
The second run asks for another mixing rate, length and seed of the same store: nothing is read or tokenised again.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from measured import print_setting

from flan_jax.data.task import Mixture, Rendered, Task

SEQIO_TEMPLATES = {
    "squad_v1": ("squad/v1.1:3.0.0", ("Context: ", "context", " Question: ", "question", " Answer:")),
    "sst2": ("glue/sst2:2.0.0", ("Review: ", "sentence", " Sentiment:")),
}


def get_task(name: str) -> Task:
    """This module is its own task registry: the project's tasks, but of a mixture only the train split."""
    import flan_jax_tasks as tasks

    return tasks.get_task(name)


def get_mixture(name: str) -> Mixture:
    return Mixture(name, train=(name,))


def with_repeated_records(source: pathlib.Path, name: str, rows: int, target: pathlib.Path) -> int:
    """Copy the prepared dataset `name` (TFDS name) with its train records repeated up to `rows`.  Returns the rows."""
    folder = name.replace(":", "/")
    shutil.copytree(source / folder, target / folder, copy_function=shutil.copyfile)
    info = json.loads((target / folder / "dataset_info.json").read_text())
    (train,) = (split for split in info["splits"] if split["name"] == "train")
    times = max(1, -(-rows // sum(map(int, train["shardLengths"]))))
    train["shardLengths"] = [str(int(length) * times) for length in train["shardLengths"]]
    (target / folder).chmod(0o755)
    (target / folder / "dataset_info.json").write_text(json.dumps(info))
    for shard in (target / folder).glob("*-train.tfrecord-*"):
        shard.write_bytes(shard.read_bytes() * times)  # TFRecord files may simply be joined
    return sum(map(int, train["shardLengths"]))


def train_vocabulary(names: list[str], data: str, path: pathlib.Path) -> None:
    import flan_jax_tasks as tasks

    from flan_jax.data.sentencepiece_vocabulary import train_sentencepiece

    rendered = (row for name in names for row in tasks.get_task(name, data_dir=data).render("train", "hashed", 0))
    train_sentencepiece((row.inputs + row.targets for row in rendered if isinstance(row, Rendered)), 8000, path)


def with_seqio(name: str, data: str, vocabulary: str) -> tuple[int, float]:
    """(examples, seconds) of one epoch: read, one template, tokenised, packed."""
    import seqio
    import tensorflow as tf

    source, template = SEQIO_TEMPLATES[name]

    def render(x: dict[str, Any]) -> dict[str, Any]:
        parts = [x.get(piece, piece) for piece in template]
        target = x["answers"]["text"][0] if "answers" in x else tf.gather(["negative", "positive"], x["label"])
        return {"inputs": tf.strings.join(parts), "targets": target}

    feature = seqio.Feature(seqio.SentencePieceVocabulary(vocabulary), add_eos=True)
    rows: Any = seqio.TfdsDataSource(source, splits={"train": "train"}, tfds_data_dir=data)
    seqio.TaskRegistry.add(
        "plain",
        source=rows,
        preprocessors=[
            lambda ds: ds.map(render, num_parallel_calls=tf.data.AUTOTUNE),
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={"inputs": feature, "targets": feature},
    )
    lengths = {"inputs": 1024, "targets": 256}
    start = time.perf_counter()
    dataset = seqio.get_mixture_or_task("plain").get_dataset(lengths, "train", shuffle=False, num_epochs=1)
    examples = sum(int(batch["decoder_segment_ids"].max()) for batch in
                   seqio.DecoderFeatureConverter(pack=True)(dataset, lengths).as_numpy_iterator())  # fmt: skip
    return examples, time.perf_counter() - start


def with_prepare(name: str, store: str, vocabulary: str, processes: int) -> tuple[int, float]:
    """(examples, seconds) of preparing the train split from nothing."""
    from flan_jax.data.prepare import PrepareConfig, prepare

    start = time.perf_counter()
    prepared = prepare(PrepareConfig(name, store, vocabulary, tasks="prepare_against_seqio", processes=processes))
    return sum(split.text.seen for split in prepared.splits), time.perf_counter() - start


def second_run(names: list[str], store: str, vocabulary: str, steps: int) -> tuple[int, float]:
    """(documents, seconds) of a plan with other lengths, rates and seed over what is already prepared."""
    from flan_jax.data.plan import PlanConfig, build_plan
    from flan_jax.data.prepare import PrepareConfig, prepare
    from flan_jax.data.store import Store
    from flan_jax.data.vocabulary import load_vocabulary

    start = time.perf_counter()
    prepare(PrepareConfig(tuple(names), store, vocabulary, tasks="prepare_against_seqio", processes=1))
    config = PlanConfig(tuple(names), steps, rows_per_batch=8, row_length=512, inputs_length=384, seed=1)
    plan = build_plan(Store(store), load_vocabulary(vocabulary), config)
    return plan.documents, time.perf_counter() - start


def alone(function: Callable[..., tuple[int, float]], *arguments: Any) -> tuple[int, float, float]:
    """Call in a fresh process.  Returns what it returns and the peak memory in GiB of the largest process it took."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        count, seconds = executor.submit(function, *arguments).result()
        peak = executor.submit(_peak_memory).result()
    return count, seconds, peak


def _peak_memory() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a TFDS data directory")
    parser.add_argument("--datasets", nargs="+", default=list(SEQIO_TEMPLATES), choices=list(SEQIO_TEMPLATES))
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=2_000, help="of the second run's plan")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    print_setting(vars(arguments), ("seqio", "tensorflow", "tensorflow-datasets", "sentencepiece", "pyarrow"))

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        data, store, vocabulary = root / "tfds", str(root / "store"), root / "vocabulary.model"
        for name in arguments.datasets:
            with_repeated_records(pathlib.Path(arguments.data), SEQIO_TEMPLATES[name][0], arguments.rows, data)
        os.environ["TFDS_DATA_DIR"] = str(data)
        train_vocabulary(arguments.datasets, arguments.data, vocabulary)
        print(f"{'':12}{'':10}{'examples':>10}{'seconds':>9}{'examples/s':>12}{'peak GiB':>10}")
        for name in arguments.datasets:
            rates = {}
            for label, measured in (
                ("seqio", alone(with_seqio, name, str(data), str(vocabulary))),
                ("prepare", alone(with_prepare, name, store, str(vocabulary), arguments.processes)),
            ):
                count, seconds, peak = measured
                rates[label] = count / seconds
                print(f"{name:12}{label:10}{count:10,}{seconds:9.1f}{rates[label]:12,.0f}{peak:10.2f}")
            print(f"{name:12}prepare is {rates['prepare'] / rates['seqio']:.2f} times as fast")
        documents, seconds, peak = alone(second_run, arguments.datasets, store, str(vocabulary), arguments.steps)
        print(f"second run   {documents:,} documents planned in {seconds:.1f} s, peak {peak:.2f} GiB")


if __name__ == "__main__":
    main()
