"""`flan-jax prepare`: make what a mixture asks for and the store does not have yet."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import posixpath
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from flan_jax.data.atomic import remove_partial
from flan_jax.data.manifest import AnyManifest, CorruptStore, TextManifest, TokenManifest, read_manifest
from flan_jax.data.mixture_names import UnknownName as UnknownName
from flan_jax.data.mixture_names import each_name, find_mixture
from flan_jax.data.prepare_jobs import Job, Outcome, TextJob, TokenJob, run_jobs
from flan_jax.data.prepare_sources import estimate, headline, look, record, refuse
from flan_jax.data.prepare_summary import Prepared as Prepared
from flan_jax.data.prepare_summary import PreparedSplit as PreparedSplit
from flan_jax.data.prepare_summary import summary
from flan_jax.data.store import Store
from flan_jax.data.task import BEYOND_CAP, Task, TaskRegistry, load_registry
from flan_jax.data.text_layer import changed_since, text_request
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.data.vocabulary_training import prepare_vocabulary, trained_size
from flan_jax.errors import FlanJaxError

SPLITS = ("train", "validation", "test")


class PrepareFailed(FlanJaxError):
    """Some splits could not be prepared; all others are.  Lists every failure."""


class PrepareError(FlanJaxError, ValueError):
    """Settings that cannot be followed."""


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What to prepare.

    mixture: a mixture or task, or several: of a mixture's training tasks the train split (of documents validation
        too), of its evaluation tasks validation and test; of a task named itself all splits.
    vocabulary: as for `load_vocabulary`, or "sentencepiece:SIZE": the store's own of this size, or if it has none one
        trained on the train splits of `mixture`, from about `vocabulary_rows` rows.
    vocabulary_mixture: what it must be trained on instead; another one in the store is not used then.
    seed: chooses each training example's template.  A run's own seed needs no new preparation; keep this one fixed.
    eval_examples: so many examples of each validation or test split, as far as it has them, chosen by a hash of their
        ids; None: all.  A split that is there with more is left alone: readers find the same examples among them.
    processes: how many work at once; None: one for each core.
    verify: read every file that is kept and compare its checksum, not only its size.
    unavailable: "error" refuses, before anything is made, if data of the mixture are not there; "skip" leaves them out
        and notes it in the store, for runs over the mixture to say.
    beam: None works in processes of this machine; else the options of an Apache Beam pipeline that does the work, and
        beam_parts a folder that its workers and this machine reach (None: in the store); see `prepare_beam.py`.
    """

    mixture: str | tuple[str, ...]
    store: str
    vocabulary: str
    tasks: str = "flan_jax_tasks"
    vocabulary_mixture: str | tuple[str, ...] = ()
    vocabulary_rows: int = 20_000
    seed: int = 0
    eval_examples: int | None = 500
    processes: int | None = None
    verify: bool = True
    unavailable: Literal["error", "skip"] = "error"
    beam: tuple[str, ...] | None = None
    beam_parts: str | None = None

    def __post_init__(self) -> None:
        if self.beam_parts is not None and self.beam is None:
            raise PrepareError('prepare.beam_parts is set without prepare.beam; set --gin.prepare.beam="()" or more')


def prepare(config: PrepareConfig) -> Prepared:
    """Bring the store to what `config` asks for and print what there is; a second run finds nothing to do.

    A split is made in a temporary file and appears whole, so a run can be killed at any moment and started again.
    Raises SourcesUnavailable; PrepareFailed after doing all that could be done; UnknownName, VocabularyError, and
    PipelineFailed of Beam.
    """
    began = time.monotonic()
    registry = load_registry(config.tasks)
    wanted = _wanted(registry, config.mixture)
    size = trained_size(config.vocabulary)
    learned_from = [] if size is None else _train_splits(_wanted(registry, config.vocabulary_mixture or config.mixture))
    processes = config.processes or len(os.sched_getaffinity(0))
    run = _beam_runner(config) if config.beam is not None else lambda jobs, label: run_jobs(jobs, processes, label)
    store = Store(config.store, verify=config.verify)
    with _alone(store.root):
        for layer in ("text", "tokens", "vocabularies"):
            remove_partial(store.root / layer)
        tasks = wanted | dict(learned_from)
        kept, made = _needed_text(store, tasks, config)
        sizes, missing, build = look({key: tasks[key] for key in made})
        if config.unavailable == "error":
            refuse(missing, build)
        for told in (estimate(sizes, processes), f"{headline(missing)}; listed at the end" if missing else ""):
            print(told, end="\n" if told else "", flush=True)
        jobs = [
            TextJob(config.tasks, config.store, *key, config.seed, config.eval_examples, sizes[key]) for key in sizes
        ]
        outcomes = run(jobs, "text")
        texts = {key: kept[key] for key in kept} | _manifests(outcomes)
        record(store, missing, list(texts))
        learned_from = [key for key, _ in learned_from if key not in missing]
        if any(key not in texts for key in learned_from):  # other text would be another vocabulary
            _raise_failures(outcomes)
        learned_texts = [texts[key] for key in learned_from]
        vocabulary, directory = prepare_vocabulary(
            store, config.vocabulary, learned_texts, config.vocabulary_rows, bool(config.vocabulary_mixture)
        )
        tokens, retokenised = _needed_tokens(store, vocabulary, [texts[key] for key in wanted if key in texts])
        token_outcomes = run([TokenJob(config.store, str(directory), texts[key]) for key in retokenised], "tokens")
        tokens |= _manifests(token_outcomes)
    prepared = Prepared(
        str(directory),
        vocabulary.digest,
        tuple(
            PreparedSplit(texts[key], tokens[key], made.get(key) or retokenised.get(key, ""))
            for key in wanted
            if key in tokens
        ),
        missing,
    )
    print(summary(prepared, time.monotonic() - began))
    _raise_failures([*outcomes, *token_outcomes])
    return prepared


def _beam_runner(config: PrepareConfig) -> Callable[[Sequence[Job], str], list[Outcome]]:
    try:
        from flan_jax.data import prepare_beam
    except ImportError as error:
        raise PrepareError(f"prepare.beam needs Apache Beam ({error}):   pip install 'flan-jax[beam]'") from error
    options = config.beam or ()
    # A folder of its own, wherever: what is in it is this program's to delete.
    folder = posixpath.join(config.beam_parts or str(pathlib.Path(config.store).absolute()), "flan_jax_parts")
    return lambda jobs, label: prepare_beam.run_jobs(jobs, options, folder, label)


def _wanted(registry: TaskRegistry, names: str | tuple[str, ...]) -> dict[tuple[str, str], Task]:
    """(task, split) -> task, in the order of the names, without repetitions."""
    wanted: dict[tuple[str, str], Task] = {}

    def add(name: str, splits: Sequence[str]) -> None:
        task = registry.get_task(name)
        splits = [*splits, "validation"] if task.kind == "documents" else splits
        wanted.update({(name, split): task for split in SPLITS if split in splits and split in task.splits})

    for name in each_name(names):
        mixture = find_mixture(registry, name, "--gin.prepare.mixture")
        for task in mixture.train:
            add(task, ("train",))
        for task in mixture.evaluate:
            add(task, ("validation", "test"))
    return wanted


def _train_splits(wanted: dict[tuple[str, str], Task]) -> list[tuple[tuple[str, str], Task]]:
    return [(key, task) for key, task in sorted(wanted.items(), key=lambda item: item[0]) if key[1] == "train"]


def _needed_text(
    store: Store, wanted: dict[tuple[str, str], Task], config: PrepareConfig
) -> tuple[dict[tuple[str, str], TextManifest], dict[tuple[str, str], str]]:
    """The splits that can be kept, with their manifests, and those to make, with the reason."""
    kept, made = {}, {}
    for (name, split), task in wanted.items():
        manifest, why = _whole(store, TextManifest, store.text_path(name, split))
        if manifest:
            cap = config.eval_examples
            request = text_request(task, split, config.seed, manifest.eval_examples if _enough(manifest, cap) else cap)
            why = changed_since(manifest, request)
        if manifest and not why:
            kept[name, split] = manifest
        else:
            made[name, split] = why
    return kept, made


def _enough(manifest: TextManifest, cap: int | None) -> bool:
    """Does a split hold the examples that a cap asks for, perhaps among others?  So it does if no cap cut it."""
    prepared = manifest.eval_examples
    larger = prepared is not None and cap is not None and prepared >= cap
    return larger or BEYOND_CAP not in manifest.dropped


def _needed_tokens(
    store: Store, vocabulary: Vocabulary, texts: list[TextManifest]
) -> tuple[dict[tuple[str, str], TokenManifest], dict[tuple[str, str], str]]:
    kept, made = {}, {}
    for text in texts:
        manifest, why = _whole(store, TokenManifest, store.tokens_path(vocabulary.digest, text.task, text.split))
        if manifest and manifest.text_xxh3 == text.data.xxh3:
            kept[text.task, text.split] = manifest
        else:
            made[text.task, text.split] = why or "text changed"
    return kept, made


def _whole(store: Store, kind: type[AnyManifest], path: pathlib.Path) -> tuple[AnyManifest | None, str]:
    """The manifest of a file that is what it should be, or None and why it must be made."""
    try:
        manifest = read_manifest(kind, path.with_suffix(".json"))
        if manifest is None:
            return None, "new"
        store.check_data(path, manifest.data, store.verify)
        return manifest, ""
    except CorruptStore:
        return None, "was corrupt"


def _manifests(outcomes: list[Outcome]) -> dict:
    return {(outcome.job.task, outcome.job.split): outcome.manifest for outcome in outcomes if outcome.manifest}


def _raise_failures(outcomes: Sequence[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        what = "\n".join(f"{outcome.job.task}/{outcome.job.split}: {outcome.error}" for outcome in failed)
        raise PrepareFailed(
            f"{len(failed)} of the splits could not be prepared; nothing that was is lost:\n{what}\n"
            f"  mend this and run flan-jax prepare again: it makes only what is missing"
        )


@contextlib.contextmanager
def _alone(root: pathlib.Path) -> Iterator[None]:
    """One prepare at a time in a store.  The lock goes with the process, however it ends."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".prepare.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another prepare is at work in {root}; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
