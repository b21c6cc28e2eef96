"""The same tasks and mixtures for seqio, over the same renderer.  TensorFlow and seqio are imported by `register` only.

    import seqio
    from flan_jax_tasks import mixtures
    mixtures.register(seqio.SentencePieceVocabulary("/path/spm.model"))
    seqio.get_mixture_or_task("flan2021_loo_nli").get_dataset({"inputs": 1024, "targets": 256}, "train")

Registered names:
    rte                        every dataset and form (rte_plain, ...): a training task with all splits, one template
                               an example, chosen by hash
    rte_template_3             each forward template: an evaluation task (validation and test)
    flan2021_loo_nli           each mixture of `catalog.mixtures()`: its training tasks
    flan2021_loo_nli_eval      and the evaluation tasks of what it holds out
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flan_jax.data.task import Rendered, Task
from flan_jax.errors import FlanJaxError

from . import catalog, registry
from .dataset import Dataset

MAXIMUM_RATE = 3_000
"""FLAN's rate maximum: no dataset weighs more than one of 3,000 examples (paper, section 2.1)."""


class RegistrationError(FlanJaxError, TypeError):
    """Tasks cannot be registered with what was given."""


_registered: list[tuple[Any, str]] = []
"""What the last call registered: (seqio registry, name)."""


def register(
    vocabulary: Any,
    benchmarks: Sequence[str] | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    maximum_rate: int = MAXIMUM_RATE,
    inputs_eos: bool = False,
    store: str | None = None,
) -> tuple[str, ...]:
    """Register tasks and mixtures with seqio and return their names.  Reads no data.

    vocabulary: a seqio.Vocabulary, used for inputs and targets.   benchmarks: default all.
    seed: of the choice of templates.   data_dir: overrides $TFDS_DATA_DIR.
    inputs_eos: whether inputs end with EOS, as T5 models expect; decoders want it after the targets only.
    store: a prepared store, for its counts alone: a mixture's rates are then those of our plans, which know how many
        examples of a train split were kept (and leave out those with over-long targets, which seqio cuts off).  Without
        it rates follow the rows of the source.  Asking for a rate raises NotPrepared where the store lacks the split.
    A second call replaces what the first one registered.  Raises ValueError where somebody else's task has the name,
    RegistrationError where `vocabulary` is not one of seqio's.
    """
    import seqio

    if not isinstance(vocabulary, seqio.Vocabulary):
        raise RegistrationError(
            f"vocabulary={vocabulary!r} is a {type(vocabulary).__name__}, not a seqio.Vocabulary; of a file, as "
            "one that prepare trained, make one:   seqio.SentencePieceVocabulary('.../sentencepiece.model')"
        )
    for where, name in _registered:
        where.remove(name)
    _registered.clear()
    features = {
        "inputs": seqio.Feature(vocabulary, add_eos=inputs_eos, required=False),
        "targets": seqio.Feature(vocabulary, add_eos=True),
    }
    count = functools.partial(_count, data_dir, store)
    known = {**catalog.datasets(), **catalog.forms()}
    wanted = [d for d in known.values() if benchmarks is None or d.benchmark in benchmarks]
    evaluation: dict[str, list[str]] = {}
    for dataset in wanted:
        task = registry.make_task(dataset, data_dir=data_dir)
        _add_training_task(dataset, task, features, seed, count)
        forward = [info.index for info in task.templates if info.forward and task.kind != "documents"]
        evaluation[dataset.name] = [_add_evaluation_task(dataset, task, i, features, count) for i in forward]
    rate = functools.partial(seqio.mixing_rate_num_examples, maximum=maximum_rate)
    names = {d.name for d in wanted}
    for mixture in catalog.mixtures().values():
        if not names.issuperset((*mixture.train, *mixture.evaluate)) or mixture.name in names:
            continue
        if mixture.train:
            seqio.MixtureRegistry.add(mixture.name, list(mixture.train), default_rate=rate)
            _registered.append((seqio.MixtureRegistry, mixture.name))
        if mixture.evaluate:
            held_out = [name for task_name in mixture.evaluate for name in evaluation[task_name]]
            seqio.MixtureRegistry.add(f"{mixture.name}_eval", held_out, default_rate=1.0)
            _registered.append((seqio.MixtureRegistry, f"{mixture.name}_eval"))
    return tuple(name for _, name in _registered)


Count = Callable[[Dataset, str], int]
"""(dataset, split) -> how many examples it is taken to have."""


def _count(data_dir: str | None, store: str | None, dataset: Dataset, split: str) -> int:
    if store is None or split != "train":
        return registry.count_rows(dataset, split, data_dir)
    from flan_jax.data.store import Store

    return Store(store).text_manifest(dataset.name, split).rows


@functools.cache
def _source_class() -> Any:
    """A seqio source that counts its rows when first asked: the data need not be there when tasks are registered."""
    import seqio

    class RenderedSource(seqio.FunctionDataSource):
        def __init__(self, dataset_fn: Callable[..., Any], splits: Sequence[str], count: Callable[[str], int]):
            super().__init__(dataset_fn, splits)
            self.count = functools.cache(count)

        def num_input_examples(self, split: str) -> int:
            return self.count(split)

    return RenderedSource


def _add_training_task(dataset: Dataset, task: Task, features: Any, seed: int, count: Count) -> None:
    def rows(split: str) -> Iterator[dict[str, Any]]:
        return (_plain(row) for row in task.render(split, "hashed", seed) if isinstance(row, Rendered))

    _add_task(dataset.name, dataset, task.splits, rows, features, count)


def _add_evaluation_task(dataset: Dataset, task: Task, template: int, features: Any, count: Count) -> str:
    ranked = task.kind == "classification"

    def rows(split: str) -> Iterator[dict[str, Any]]:
        rendered = (row for row in task.render(split, (template,), 0) if isinstance(row, Rendered))
        return _options(rendered) if ranked else (_plain(row) for row in rendered)

    name = f"{dataset.name}_template_{template}"
    splits = tuple(split for split in task.splits if split != "train")
    settings = {
        "postprocess_fn": _ranked_target if ranked else _text_target,
        "metric_fns": (_ranking_metrics if ranked else _text_metrics)(task.metrics),
    }
    _add_task(name, dataset, splits, rows, features, count, **settings)
    return name


def _add_task(
    name: str,
    dataset: Dataset,
    splits: Sequence[str],
    rows: Callable[[str], Iterator[dict[str, Any]]],
    features: Any,
    count: Count,
    **settings: Any,
) -> None:
    import seqio
    import tensorflow as tf

    signature = {
        "inputs": tf.TensorSpec((), tf.string),
        "targets": tf.TensorSpec((), tf.string),
        "references": tf.TensorSpec((None,), tf.string),
        "template": tf.TensorSpec((), tf.int32),
        "example_id": tf.TensorSpec((), tf.string),
        "option": tf.TensorSpec((), tf.int32),
        "answer": tf.TensorSpec((), tf.int32),
    }

    def dataset_fn(split: str, shuffle_files: bool, seed: int | None = None) -> Any:
        del shuffle_files, seed  # seqio shuffles afterwards
        return tf.data.Dataset.from_generator(lambda: rows(split), output_signature=signature)

    seqio.TaskRegistry.add(
        name,
        source=_source_class()(dataset_fn, splits, functools.partial(count, dataset)),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
        output_features=features,
        **settings,
    )
    _registered.append((seqio.TaskRegistry, name))


def _plain(row: Rendered) -> dict[str, Any]:
    """A row as seqio sees it: `option` and `answer` are -1 where nothing is ranked."""
    return {
        "inputs": row.inputs,
        "targets": row.targets,
        "references": list(row.references),
        "template": row.template,
        "example_id": row.example_id,
        "option": -1,
        "answer": -1,
    }


def _options(rows: Iterator[Rendered]) -> Iterator[dict[str, Any]]:
    """Rank classification: a row for every option, with the option as target."""
    for row in rows:
        for number, option in enumerate(row.options):
            yield {**_plain(row), "targets": option, "option": number, "answer": row.answer}


def _text_target(text: str, example: Mapping[str, Any], is_target: bool) -> Any:
    return [reference.decode() for reference in example["references"]] if is_target else text


def _ranked_target(text: str, example: Mapping[str, Any], is_target: bool) -> Any:
    return (example["example_id"].decode(), int(example["option"]), int(example["answer"])) if is_target else text


def _text_metrics(names: Sequence[str]) -> list[Callable[..., dict[str, float]]]:
    from flan_jax.evaluation.metrics import get_metrics

    def text_metrics(targets: Sequence[Sequence[str]], predictions: Sequence[str]) -> dict[str, float]:
        scored = {m.name: m.score(m.statistics(predictions, targets).sum(axis=0)) for m in get_metrics(names)}
        return {name: float(value) for name, value in scored.items()}

    return [text_metrics]


def _ranking_metrics(names: Sequence[str]) -> list[Callable[..., dict[str, float]]]:
    import numpy as np

    from flan_jax.evaluation.metrics import get_metrics

    def ranking_metrics(targets: Sequence[tuple[str, int, int]], scores: Sequence[float]) -> dict[str, float]:
        best: dict[str, tuple[float, int, int]] = {}  # example id -> (-score, option, answer): the first of equals wins
        for (example_id, option, answer), score in zip(targets, scores, strict=True):
            best[example_id] = min(best.get(example_id, (np.inf, 0, 0)), (-float(score), option, answer))
        chosen, right = (np.array([entry[i] for entry in best.values()]) for i in (1, 2))
        return {m.name: float(m.score(m.statistics(chosen, right).sum(axis=0))) for m in get_metrics(names)}

    return [ranking_metrics]
