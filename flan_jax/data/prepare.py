"""`flan-jax prepare`: make what a mixture asks for and the store does not have yet."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence

from flan_jax.data.atomic import remove_partial
from flan_jax.data.manifest import AnyManifest, CorruptStore, TextManifest, TokenManifest, read_manifest
from flan_jax.data.prepare_jobs import Outcome, TextJob, TokenJob, run_jobs
from flan_jax.data.store import Store
from flan_jax.data.task import Task, TaskRegistry, load_registry
from flan_jax.data.text_layer import text_request
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.data.vocabulary_training import prepare_vocabulary, trained_size
from flan_jax.errors import FlanJaxError

SPLITS = ("train", "validation", "test")


class PrepareFailed(FlanJaxError):
    """Some splits could not be prepared; all others are.  Lists every failure."""


class UnknownName(FlanJaxError):
    """A name that is neither a mixture nor a task."""


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What to prepare.

    mixture: a mixture or task, or several: of a mixture's training tasks the train split (of documents validation
        too), of its evaluation tasks validation and test; of a task named itself all splits.
    vocabulary: as for `load_vocabulary`, or "sentencepiece:SIZE" to train one on the train splits of
        `vocabulary_mixture` (default: `mixture`), from about `vocabulary_rows` rows.
    seed: chooses each training example's template.  A run's own seed needs no new preparation; keep this one fixed.
    eval_examples: at most so many examples of a validation or test split, chosen by a hash of their ids; None: all.
    processes: how many work at once; None: one for each core.
    verify: read every file that is kept and compare its checksum, not only its size.
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


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """A split that is in the store now.  `made` says why it was made: "new", "templates or source changed", ...; ""
    if it was there.  `seconds` went into making it."""

    text: TextManifest
    tokens: TokenManifest
    made: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Prepared:
    """`vocabulary` is the directory to name as VOCABULARY from here on."""

    vocabulary: str
    vocabulary_digest: str
    splits: tuple[PreparedSplit, ...]


def prepare(config: PrepareConfig) -> Prepared:
    """Bring the store to what `config` asks for and print what there is; a second run finds nothing to do.

    A split is made in a temporary file and appears whole, so a run can be killed at any moment and started again.
    Raises PrepareFailed after doing all that could be done; UnknownName, VocabularyError.
    """
    began = time.monotonic()
    registry = load_registry(config.tasks)
    wanted = _wanted(registry, config.mixture)
    size = trained_size(config.vocabulary)
    learned_from = [] if size is None else _train_splits(_wanted(registry, config.vocabulary_mixture or config.mixture))
    processes = config.processes or len(os.sched_getaffinity(0))
    store = Store(config.store, verify=config.verify)
    with _alone(store.root):
        for layer in ("text", "tokens", "vocabularies"):
            remove_partial(store.root / layer)
        kept, made = _needed_text(store, wanted | dict(learned_from), config)
        jobs = [TextJob(config.tasks, config.store, *key, config.seed, config.eval_examples) for key in made]
        outcomes = run_jobs(jobs, processes, "text")
        texts = {key: kept[key] for key in kept} | _manifests(outcomes)
        if any(key not in texts for key, _ in learned_from):  # other text would be another vocabulary
            _raise_failures(outcomes)
        learned_texts = [texts[key] for key, _ in learned_from]
        vocabulary, directory = prepare_vocabulary(store, config.vocabulary, learned_texts, config.vocabulary_rows)
        tokens, retokenised = _needed_tokens(store, vocabulary, [texts[key] for key in wanted if key in texts])
        token_jobs = [TokenJob(config.store, str(directory), texts[key]) for key in retokenised]
        token_outcomes = run_jobs(token_jobs, processes, "tokens")
        tokens |= _manifests(token_outcomes)
    seconds: dict[tuple[str, str], float] = {}
    for outcome in (*outcomes, *token_outcomes):
        key = outcome.job.task, outcome.job.split
        seconds[key] = seconds.get(key, 0.0) + outcome.seconds
    prepared = Prepared(
        str(directory),
        vocabulary.digest,
        tuple(
            PreparedSplit(texts[key], tokens[key], made.get(key) or retokenised.get(key, ""), seconds.get(key, 0.0))
            for key in wanted
            if key in tokens
        ),
    )
    print(summary(prepared, time.monotonic() - began))
    _raise_failures([*outcomes, *token_outcomes])
    return prepared


def _wanted(registry: TaskRegistry, names: str | tuple[str, ...]) -> dict[tuple[str, str], Task]:
    """(task, split) -> task, in the order of the names, without repetitions."""
    wanted: dict[tuple[str, str], Task] = {}

    def add(name: str, splits: Sequence[str]) -> None:
        task = registry.get_task(name)
        splits = [*splits, "validation"] if task.kind == "documents" else splits
        wanted.update({(name, split): task for split in SPLITS if split in splits and split in task.splits})

    for name in (names,) if isinstance(names, str) else names:
        try:
            mixture = registry.get_mixture(name)
        except KeyError as no_mixture:
            try:
                add(name, SPLITS)
            except KeyError as no_task:
                raise UnknownName(
                    f"{name!r} is neither a mixture ({no_mixture.args[0]}) nor a task ({no_task.args[0]});"
                    f" set --gin.MIXTURE"
                ) from no_task
            continue
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
            request = text_request(task, split, config.seed, config.eval_examples)
            changed = [key for key, value in request.items() if getattr(manifest, key) != value]
            why = ", ".join(changed).replace("fingerprint", "templates or source") + " changed" if changed else ""
        if manifest and not why:
            kept[name, split] = manifest
        else:
            made[name, split] = why
    return kept, made


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


def summary(prepared: Prepared, seconds: float) -> str:
    """A line for every split that was made, with what was dropped and why, and one for all that were there."""
    lines = []
    made = [split for split in prepared.splits if split.made]
    if made:
        counts = f"{'seen':>8} {'kept':>8} {'rows':>8} {'tokens':>11} {'rows/s':>8} {'MB':>7}"
        lines.append(f"{'task':32} {'split':10} {counts}  notes")
    for split in made:
        text, tokens = split.text, split.tokens
        notes = [split.made] if split.made != "new" else []
        notes += [f"{count:,} dropped: {reason}" for reason, count in text.dropped.items()]
        notes += [f"{count:,} rows dropped: {reason}" for reason, count in text.rows_dropped.items()]
        notes += [f"{tokens.boundary_differs:,} rows tokenise otherwise joined"] if tokens.boundary_differs else []
        lines.append(
            f"{text.task:32} {text.split:10} {text.seen:8,} {text.kept:8,} {text.rows:8,}"
            f" {tokens.input_tokens + tokens.target_tokens:11,} {text.rows / max(split.seconds, 1e-9):8,.0f}"
            f" {(text.data.size + tokens.data.size) / 1e6:7.1f}  {'; '.join(notes)}"
        )
    there = len(prepared.splits) - len(made)
    total = f"{len(made)} splits made, {there} were there already, in {seconds:.1f} s"
    lines.append(f"{total}; vocabulary {prepared.vocabulary}")
    return "\n".join(lines)
