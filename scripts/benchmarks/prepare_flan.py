"""All of FLAN 2021 prepared: seconds for 30,000 examples of every dataset, text and SentencePiece tokens, and the sum.

    python scripts/benchmarks/prepare_flan.py --data /path/with/tfds --metadata /path/with/tfds_metadata

How a dataset's seconds are known, of one core and after imports:
  measured   from a prepared TFDS directory.  Text: its train records repeated up to --rows.  Tokens: the rows that are
             really there, once, with a vocabulary that has met none of their words: repeated rows would flatter it.
  made up    genuine TFRecord files of its schema in --metadata, with prose of the real data cut to its typical lengths,
             and three words in a hundred that never come again.  For the long texts, which decide the sum.
  by bytes   the seconds per byte of the nearest measured dataset times its own typical bytes of inputs and targets.
Then all that is measured and made up is prepared at once by `prepare` in --processes, a vocabulary trained on the way;
and a new mixture is planned over 62 x 30,000 rows of random tokens.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from measured import print_setting
from prepare_against_seqio import train_vocabulary, with_repeated_records

from flan_jax.data.task import Mixture, Rendered, Task

EXAMPLES = 30_000  # of every dataset, as FLAN's cap
DATASETS = 62  # as the paper counts them
VOCABULARY_FROM = ["squad_v1", "imdb_reviews", "ag_news_subset", "e2e_nlg", "wmt16_translate_roen", "cosmos_qa"]

MADE_UP = {
    "cnn_dailymail": {"article": 3900, "highlights": 300},
    "multi_news": {"document": 10500, "summary": 1300},
    "newsroom": {"text": 4200, "summary": 170, "title": 60},
    "xsum": {"document": 2250, "summary": 130},
    "samsum": {"dialogue": 520, "summary": 120},
    "aeslc": {"email_body": 900, "subject_line": 30},
    "gigaword": {"document": 190, "summary": 55},
    "wiki_lingua_english_en": {"source": 2100, "target": 210},
    "yelp_polarity_reviews": {"text": 730},
    "para_crawl_enes": {"en": 130, "es": 145},
    "wmt14_enfr": {"en": 150, "fr": 175},
    "trivia_qa": {
        "question": 90, "answer/normalized_value": 14, "answer/normalized_aliases": 30,
        "entity_pages/wiki_context": 95_000,
    },
}  # fmt: skip
"""Typical characters of the fields that are not left empty.  A record of TriviaQA carries the pages of its question."""

BY_BYTES = {
    "anli_r1": ("rte", 560), "anli_r2": ("rte", 560), "anli_r3": ("rte", 540), "cb": ("rte", 480),
    "qnli": ("rte", 370), "squad_v2": ("squad_v1", 980), "drop": ("bool_q", 1450), "multirc": ("bool_q", 1900),
    "copa": ("piqa", 220), "hellaswag": ("piqa", 780), "story_cloze": ("piqa", 450), "sentiment140": ("sst2", 170),
    "glue_qqp": ("glue_mrpc", 270), "paws_wiki": ("glue_mrpc", 380), "stsb": ("glue_mrpc", 280),
    "arc_challenge": ("arc_easy", 420), "web_nlg_en": ("e2e_nlg", 380), "dart": ("e2e_nlg", 330),
    "winogrande": ("definite_pronoun_resolution", 260), "opinion_abstracts_rotten_tomatoes": ("imdb_reviews", 1600),
    "opinion_abstracts_idebate": ("imdb_reviews", 1700), "wmt16_translate_deen": ("wmt16_translate_roen", 400),
    "wmt16_translate_tren": ("wmt16_translate_roen", 380), "wmt16_translate_csen": ("wmt16_translate_roen", 380),
    "wmt16_translate_fien": ("wmt16_translate_roen", 380), "wmt16_translate_ruen": ("wmt16_translate_roen", 560),
    "record": ("cosmos_qa", 1500), "quac": ("bool_q", 2900), "coqa": ("bool_q", 3000), "wic": ("wsc", 230),
    "trec": ("cola", 190), "true_case": ("cola", 330), "fix_punct": ("cola", 330), "word_segment": ("cola", 240),
}  # fmt: skip
"""The nearest measured dataset, and typical bytes of a rendered example, instruction included."""


class Cost(NamedTuple):
    """Of `rows` rows: bytes of inputs and targets, seconds of one core."""

    how: str
    rows: int
    bytes: float
    text: float
    tokens: float

    @property
    def row_seconds(self) -> float:
        return (self.text + self.tokens) / self.rows


def get_task(name: str) -> Task:
    """This module is its own task registry: the project's tasks, but of a mixture only the train splits."""
    import flan_jax_tasks as tasks

    return tasks.get_task(name)


def get_mixture(name: str) -> Mixture:
    return Mixture(name, train=tuple(name.split("+")))


def source_name(name: str) -> str:
    from flan_jax_tasks import catalog

    return catalog.datasets()[name].source.name  # type: ignore[union-attr]


def prose(data: str, seed: int) -> Callable[[int], str]:
    """Pieces of real text of about so many characters, three words in a hundred changed to ones never seen."""
    import flan_jax_tasks as tasks

    rows = [row for name in VOCABULARY_FROM[:3] for row in tasks.get_task(name, data).render("train", "hashed", 0)]
    texts = [text for row in rows if isinstance(row, Rendered) for text in row.fields.values()]
    words: list[str] = " ".join(texts).split(" ")
    chance = random.Random(seed)

    def piece(characters: int) -> str:
        length = max(1, round(chance.lognormvariate(0, 0.4) * characters / 5.9))
        start = chance.randrange(max(len(words) - length, 1))
        taken = words[start : start + length]
        for place in range(chance.randrange(33), length, 33):
            taken[place] = f"{taken[place]}{chance.randrange(1 << 30):x}"
        return " ".join(taken)

    return piece


def make_up(name: str, rows: int, metadata: pathlib.Path, target: pathlib.Path, piece: Callable[[int], str]) -> None:
    """A prepared directory of `rows` train records whose fields hold prose."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = target / source_name(name).replace(":", "/")
    shutil.copytree(metadata / source_name(name).replace(":", "/"), folder, copy_function=shutil.copyfile)
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"] = [split for split in info["splits"] if split["name"] == "train"]
    info["splits"][0]["shardLengths"] = [str(rows)]
    folder.chmod(0o755)
    (folder / "dataset_info.json").chmod(0o644)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    builder: Any = tfds.builder_from_directory(folder)
    (path,) = builder.info.splits["train"].filepaths
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(rows):
            value = empty(builder.info.features)
            for field, characters in MADE_UP[name].items():
                *outer, last = field.split("/")
                inside = value
                for part in outer:
                    inside = inside[part]
                inside[last] = [piece(characters)] if isinstance(inside[last], list) else piece(characters)
            if "entity_pages" in value:  # lists side by side, equally long
                value["entity_pages"] = {key: found or [""] for key, found in value["entity_pages"].items()}
            writer.write(builder.info.features.serialize_example(builder.info.features.encode_example(value)))


def tell_true_size(folder: pathlib.Path) -> None:
    """Let dataset_info.json have the bytes that the train split now has."""
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text())
    (train,) = (split for split in info["splits"] if split["name"] == "train")
    train["numBytes"] = str(sum(shard.stat().st_size for shard in folder.glob("*-train.tfrecord-*")))
    path.write_text(json.dumps(info))


def empty(feature: Any) -> Any:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        return {name: empty(inner) for name, inner in feature.items()}
    if isinstance(feature, tfds.features.Sequence):
        inner = feature.feature
        return {name: [] for name in inner} if isinstance(inner, tfds.features.FeaturesDict) else []
    return "" if np.dtype(feature.np_dtype).kind == "O" else 0


def measure(name: str, repeated: str, real: str, vocabulary: str, how: str) -> Cost:
    """Text of the directory `repeated`, tokens of the directory `real`."""
    import flan_jax_tasks as tasks

    from flan_jax.data.store import Store
    from flan_jax.data.text_layer import text_request, write_text
    from flan_jax.data.token_layer import write_tokens
    from flan_jax.data.vocabulary import load_vocabulary

    with tempfile.TemporaryDirectory() as folder:
        store, task = Store(folder), tasks.get_task(name, repeated)
        request = text_request(task, "train", 0, None)
        next(task.render("train", "hashed", 0))  # imports
        start = time.process_time()
        text = write_text(store, task, "train", request)
        text_seconds = (time.process_time() - start) * EXAMPLES / text.seen
        if real != repeated:
            text = write_text(store, tasks.get_task(name, real), "train", request)
        start = time.process_time()
        write_tokens(store, load_vocabulary(vocabulary), text)
        token_seconds = (time.process_time() - start) * EXAMPLES / text.seen
        table = store.open_text(name, "train")
        size = sum(len(text.encode()) for column in ("inputs", "targets") for text in table[column].to_pylist())
        return Cost(how, EXAMPLES, size * EXAMPLES / text.seen, text_seconds, token_seconds)


def prepare_all(names: list[str], data: str, store: str, processes: int) -> float:
    from flan_jax.data.prepare import PrepareConfig, prepare

    os.environ["TFDS_DATA_DIR"] = data
    start = time.perf_counter()
    mixture = "+".join(names)
    prepare(PrepareConfig(mixture, store, "sentencepiece:8000", tasks="prepare_flan", processes=processes))
    return time.perf_counter() - start


def plan_all(store: str) -> float:
    """Seconds of planning a mixture that leaves two tasks of `synthetic_store` out, each example visited about once."""
    from flan_jax.data.mixing import Rates
    from flan_jax.data.plan import PlanConfig, build_plan
    from flan_jax.data.store import Store
    from flan_jax.data.vocabulary import ByteVocabulary

    names = tuple(f"task_{i:02}" for i in range(2, DATASETS))
    rates = Rates(rate_maximum=None)
    config = PlanConfig(names, steps=40_000, rows_per_batch=8, rates=rates, seed=1)
    start = time.perf_counter()
    build_plan(Store(store), ByteVocabulary(), config)
    return time.perf_counter() - start


def alone(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a call in a fresh process returns, and the peak memory in GiB of the largest process it took."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        result = executor.submit(function, *arguments).result()
        return result, executor.submit(_peak_memory).result()


def _peak_memory() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 2**20


def main() -> None:
    import flan_jax_tasks as tasks

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a TFDS data directory")
    parser.add_argument("--metadata", required=True, help="features.json and dataset_info.json of all datasets")
    parser.add_argument("--rows", type=int, default=EXAMPLES, help="that measured text is repeated up to")
    parser.add_argument("--made_up_rows", type=int, default=3000)
    parser.add_argument("--least", type=int, default=500, help="train rows for a dataset to be measured")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print_setting(vars(arguments), ("tensorflow-datasets", "sentencepiece", "pyarrow"))
    print("load    ", " ".join(f"{load:.1f}" for load in os.getloadavg()))

    names = tasks.get_mixture("flan2021").train
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        vocabulary, repeated = root / "vocabulary.model", root / "repeated"
        train_vocabulary(VOCABULARY_FROM, arguments.data, vocabulary)
        costs, peak = measured_costs(names, arguments, repeated, vocabulary)
        print_costs(names, costs)
        there = [name for name in names if name in costs]
        print(f"peak memory of measuring {peak:.2f} GiB")
        seconds, peak = alone(prepare_all, there, str(repeated), str(root / "store"), arguments.processes)
        print(
            f"prepare of these {len(there)} in {arguments.processes} processes, vocabulary trained: {seconds:.0f} s,",
            end="",
        )
        print(f" largest process {peak:.2f} GiB")
        from synthetic_store import flan_like_lengths, write_store

        from flan_jax.data.vocabulary import ByteVocabulary

        write_store(root / "synthetic", ByteVocabulary(), flan_like_lengths(DATASETS, EXAMPLES))
        seconds, peak = alone(plan_all, str(root / "synthetic"))
        print(f"a new mixture over {DATASETS} x {EXAMPLES:,} rows planned in {seconds:.1f} s, peak {peak:.2f} GiB")


def measured_costs(
    names: tuple[str, ...], arguments: argparse.Namespace, repeated: pathlib.Path, vocabulary: pathlib.Path
) -> tuple[dict[str, Cost], float]:
    """Of what can be measured, and of what is made up; and the peak memory in GiB."""
    costs, highest = {}, 0.0
    piece = prose(arguments.data, seed=0)
    for name in names:
        folder = source_name(name).replace(":", "/")
        info = pathlib.Path(arguments.data, folder, "dataset_info.json")
        splits = json.loads(info.read_text())["splits"] if info.is_file() else []
        rows = sum(int(n) for split in splits if split["name"] == "train" for n in split["shardLengths"])
        if name in MADE_UP:
            rows = arguments.made_up_rows if "entity_pages/wiki_context" not in MADE_UP[name] else 1000
            make_up(name, rows, pathlib.Path(arguments.metadata), repeated, piece)
            how, real = "made up", str(repeated)
        elif rows >= arguments.least:
            with_repeated_records(pathlib.Path(arguments.data), source_name(name), arguments.rows, repeated)
            how, real = "measured", arguments.data
        else:
            continue
        tell_true_size(repeated / folder)
        costs[name], peak = alone(measure, name, str(repeated), real, str(vocabulary), how)
        highest = max(highest, peak)
    return costs, highest


def print_costs(names: tuple[str, ...], costs: dict[str, Cost]) -> None:
    title = f"{EXAMPLES:,} examples of"
    print(f"{title:36}{'how':32}{'MB':>7}{'text s':>8}{'tokens s':>9}{'rows/s':>8}{'MB/s':>7}")
    whole = dict(costs)
    for name in names:
        if name not in costs:
            nearest, size = BY_BYTES[name]
            near = costs[nearest]
            scale = size * EXAMPLES / near.bytes
            how = f"by bytes of {nearest}"
            whole[name] = Cost(how, EXAMPLES, near.bytes * scale, near.text * scale, near.tokens * scale)
        print_cost(name, whole[name])
    total = [sum(getattr(cost, field) for cost in whole.values()) for field in ("rows", "bytes", "text", "tokens")]
    print_cost(f"all {len(whole)}", Cost("", *total))
    share = DATASETS / len(whole)
    minutes = (total[2] + total[3]) * share / 2 / 60
    print(f"{DATASETS} x {EXAMPLES:,} examples on 2 cores: {minutes:.1f} min (target: at most 10)")


def print_cost(name: str, cost: Cost) -> None:
    rate, speed = 1 / cost.row_seconds, cost.bytes / 1e6 / (cost.text + cost.tokens)
    size = cost.bytes / 1e6
    print(f"{name:36}{cost.how:32}{size:7.0f}{cost.text:8.1f}{cost.tokens:9.1f}{rate:8,.0f}{speed:7.1f}", flush=True)


if __name__ == "__main__":
    main()
