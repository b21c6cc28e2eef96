"""`flan-jax contamination`: which evaluation examples occur in the training text, and what they lend the scores.

GPT-3's method, as in FLAN's appendix C: an example is dirty if it shares one n-gram with training, else clean.  What is
compared are the fields of the examples, one by one, not the instructions around them; `rule` says the whole of it.
"""

import dataclasses
import glob
import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow.parquet as pq

from flan_jax.data.atomic import atomic_file
from flan_jax.data.mixture_names import each_name, find_mixture
from flan_jax.data.store import Store
from flan_jax.data.task import Task, TaskRegistry, load_registry
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.contamination_report import Contamination, SearchedSource, tables
from flan_jax.evaluation.contamination_search import Source, search_sources
from flan_jax.evaluation.contamination_verdict import Verdict
from flan_jax.evaluation.example_texts import FileSource, TaskSource, read_evaluation_texts
from flan_jax.evaluation.metrics import get_metrics
from flan_jax.evaluation.overlap import collect_grams
from flan_jax.evaluation.subset_scores import SubsetScores, subset_scores

if TYPE_CHECKING:
    from flan_jax.evaluation.results import Results

REPORT_FILE = "contamination.json"
FLAGS_FILE = "examples.parquet"


class ContaminationError(FlanJaxError, RuntimeError):
    """Tasks, texts and results that cannot be compared; says which setting to change."""


@dataclasses.dataclass(frozen=True)
class ContaminationConfig:
    """What is searched for in what.

    mixture: the tasks it evaluates are searched for in those it trains on; a mixture or task, or several.
    trained_on: these mixtures' and tasks' training rows instead.   text_files: and these files, or patterns of them.
    split: of the evaluation tasks; "train" finds tasks that share training rows.
    results: a folder that `evaluate` wrote, to score the clean and the dirty examples of.
    longest, shortest, common: see `rule`; `common` is None to count every n-gram.
    output: the folder to write; empty for one beside the store, named after mixture and split.
    accept_stale: search a store made with other templates or sources, and say so in the report.
    unavailable: "skip" goes without the tasks that prepare was allowed to leave out, and says so in the report.
    processes: how many search at once; None: one for each core.
    """

    mixture: str | tuple[str, ...]
    store: str
    trained_on: str | tuple[str, ...] = ()
    text_files: str | tuple[str, ...] = ()
    tasks: str = "flan_jax_tasks"
    split: str = "test"
    results: str = ""
    longest: int = 13
    shortest: int = 8
    common: int | None = 10
    output: str = ""
    accept_stale: bool = False
    unavailable: Literal["error", "skip"] = "error"
    processes: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise ContaminationError(
                f"shortest = {self.shortest}, longest = {self.longest}: an n-gram has 0 < shortest <= longest words; "
                "set --gin.contamination.shortest"
            )


def rule(config: ContaminationConfig) -> str:
    """When an example is dirty, in words."""
    whole = f", or the whole text where it has {config.shortest} to {config.longest - 1}"
    common = "" if config.common is None else f", unless more than {config.common} distinct training texts hold it"
    return (
        f"An example is dirty if one of its n-grams occurs in a training text{common}.\n"
        f"Its n-grams are those of its fields, options and references, each by itself: all runs of {config.longest} "
        f"words{whole if config.shortest < config.longest else ''}.\n"
        f"An example without any text of {config.shortest} words is short: it counts as clean.\n"
        "Words are runs of letters and digits in lower case; whatever else there is only separates them.\n"
        "Of training examples the fields and options are searched, not the instructions around them."
    )


def contamination(config: ContaminationConfig) -> Contamination:
    """Search, write the report and the flags, and print the tables.

    Raises ContaminationError, NotPrepared, StoreMismatch, ResultsError, TextFileError and SearchFailed.
    """
    began = time.monotonic()
    registry, store = load_registry(config.tasks), Store(config.store, config.accept_stale)
    left_out: dict[str, str] = {}
    tasks = _prepared(config, store, _named(registry, config.mixture, "evaluate"), config.split, left_out)
    if not tasks:
        raise ContaminationError(
            f"{config.mixture!r} evaluates no task; set --gin.MIXTURE to one that does, or to tasks"
        )
    results = _results(config, tasks)
    sources = _sources(config, registry, store, left_out)
    texts = read_evaluation_texts(store, tasks, config.split)
    grams = collect_grams(texts.texts, config.shortest, config.longest)
    most = 1 if config.common is None else config.common + 1
    found = search_sources(sources, grams, most, config.processes)
    verdict = Verdict(texts, grams, sources, found, config.common)
    judged = [verdict.task(number) for number in range(len(tasks))]
    if results is not None:
        judged = [
            dataclasses.replace(one, scores=_scores(results, one.task, verdict, number))
            for number, one in enumerate(judged)
        ]
    report = Contamination(
        rule=rule(config),
        settings=dataclasses.asdict(config),
        tasks=tuple(judged),
        sources=tuple(
            SearchedSource(source.name, source.cluster, one.texts, one.words)
            for source, one in zip(sources, found, strict=True)
        ),
        flags=verdict.flags(),
        left_out=left_out,
        provenance=_provenance(store, tasks, results),
    )
    output = _output(config)
    write(report, output)
    print(f"{tables(report)}\n\n{output}   {time.monotonic() - began:.0f} s")
    return report


def write(report: Contamination, output: pathlib.Path) -> None:
    """The flags, then the report, each whole or not at all."""
    (output / REPORT_FILE).unlink(missing_ok=True)
    with atomic_file(output / FLAGS_FILE) as file:
        pq.write_table(report.flags, file, compression="zstd")
    with atomic_file(output / REPORT_FILE) as file:
        file.write(json.dumps(report.as_json(), indent=1, ensure_ascii=False).encode())


def _output(config: ContaminationConfig) -> pathlib.Path:
    """The folder that is set, or one whose name any file system takes and no other list of mixtures gets."""
    if config.output:
        return pathlib.Path(config.output)
    from flan_jax.evaluation.results_folder import decisive_digest, plain, short_name

    names = each_name(config.mixture)
    shortened = (named := short_name(names)) != "+".join(names)
    digest = [decisive_digest({"mixture": names})[:8]] if shortened else []
    beside = pathlib.Path(config.store).absolute().parent / "contamination"
    return beside / plain("-".join([named, config.split, *digest]))


def _named(registry: TaskRegistry, names: str | tuple[str, ...], what: str) -> list[Task]:
    """The tasks that mixtures "evaluate" or "train" on, and tasks named themselves, each once, in order."""
    setting = "--gin.MIXTURE" if what == "evaluate" else "--gin.TRAINED_ON"
    mixtures = [find_mixture(registry, name, setting) for name in each_name(names)]
    return [registry.get_task(task) for task in dict.fromkeys(t for one in mixtures for t in getattr(one, what))]


def _prepared(
    config: ContaminationConfig, store: Store, tasks: Sequence[Task], split: str, left_out: dict[str, str]
) -> list[Task]:
    """The tasks whose split can be read; those that may be missing are noted in `left_out`, with the reason."""
    prepared = []
    for task in tasks:
        if split not in task.splits:
            raise ContaminationError(
                f"task {task.name} has no split {split!r}, only {', '.join(task.splits)}; set --gin.SPLIT"
            )
        if config.unavailable == "skip" and (why := store.left_out(task.name, split)):
            left_out[f"{task.name}/{split}"] = why
            continue
        store.check(task, split)
        prepared.append(task)
    return prepared


def _sources(
    config: ContaminationConfig, registry: TaskRegistry, store: Store, left_out: dict[str, str]
) -> list[Source]:
    """The train splits and files to search.  Raises ContaminationError if there are none."""
    sources: list[Source] = []
    own = config.trained_on or (() if config.text_files else config.mixture)
    trained = [task for task in _named(registry, own, "train") if "train" in task.splits]
    for task in _prepared(config, store, trained, "train", left_out):
        size = store.text_manifest(task.name, "train").data.size
        sources.append(TaskSource(config.store, task.name, task.cluster, "train", size))
    for pattern in (config.text_files,) if isinstance(config.text_files, str) else config.text_files:
        paths = sorted(path for path in glob.glob(pattern, recursive=True) if pathlib.Path(path).is_file())
        if not paths:
            raise ContaminationError(f"no file is called {pattern!r}; set --gin.TEXT_FILES to paths or patterns")
        sources += [FileSource(path, pathlib.Path(path).stat().st_size) for path in paths]
    if not sources:
        raise ContaminationError(
            f"{config.mixture!r} trains on nothing, so there is nothing to search; "
            "set --gin.TRAINED_ON=\"'mixture'\" or --gin.TEXT_FILES=\"('file.txt',)\""
        )
    return sources


def _results(config: ContaminationConfig, tasks: Sequence[Task]) -> "Results | None":
    """The results to score subsets of.  Raises ContaminationError where they are not of what is searched."""
    if not config.results:
        return None
    from flan_jax.evaluation.results import read_results

    results = read_results(config.results)
    if results.split != config.split:
        raise ContaminationError(
            f"{config.results} reports the split {results.split!r}, but {config.split!r} is searched; "
            f"set --gin.SPLIT=\"'{results.split}'\""
        )
    scored = [task for task in tasks if task.name in results.tasks]
    if not scored:
        raise ContaminationError(
            f"{config.results} has scores of {', '.join(results.tasks)}, of none of the tasks that are searched; "
            "set --gin.MIXTURE or --gin.RESULTS"
        )
    fingerprints: Mapping[str, str] = results.provenance.get("task_fingerprints", {})
    for task in scored:
        if fingerprints.get(task.name) != task.fingerprint:
            raise ContaminationError(
                f"{config.results} scored {task.name} as it was made from other data or templates than now; "
                "evaluate again, or set --gin.RESULTS to other results"
            )
    return results


def _scores(results: "Results", task: str, verdict: Verdict, number: int) -> SubsetScores | None:
    """The task's primary metric on its subsets; None where it was not scored."""
    if task not in results.tasks:
        return None
    scores = results.scores(task, results.split, get_metrics(results.metrics[task])[0])
    if scores is None:
        return None
    searched = set(verdict.ids(number))
    missing = [example for example in scores.examples if example not in searched]
    if missing:
        raise ContaminationError(
            f"{task}/{results.split}: {len(missing)} examples that were scored, as {missing[0]!r}, are not in the "
            "store; set --gin.STORE to the one they were scored from"
        )
    return subset_scores(scores, verdict.dirty_ids(number), replicates=results.replicates, seed=results.seed)


def _provenance(store: Store, tasks: Sequence[Task], results: "Results | None") -> dict[str, Any]:
    from flan_jax.evaluation.provenance import code_version

    return {
        "code": code_version(),
        "task_fingerprints": {task.name: task.fingerprint for task in tasks},
        "stale_splits": sorted(store.stale),
        "results": results.provenance if results is not None else None,
    }
