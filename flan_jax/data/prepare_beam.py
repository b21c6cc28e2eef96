"""The same preparation through Apache Beam, for what outgrows a machine: BEAM holds the pipeline's own options.

    --gin.BEAM="()"                                               the direct runner, in this process
    --gin.BEAM="('--direct_num_workers=8', '--direct_running_mode=multi_processing')"
    --gin.BEAM="('--runner=FlinkRunner', '--flink_master=host:8081')"      and so on for SparkRunner, DataflowRunner:
                                                                           all of it is passed through
Workers render and tokenise parts of splits and write them to the folder BEAM_PARTS, which they and this machine must
reach: a shared disk or a bucket.  This machine joins the parts into the store: the same files, byte for byte, as
without Beam, each whole or absent.  Parts that are there already are not made again, so a failed run is continued.
Workers have flan-jax and the tasks module installed, and their data where TFDS_DATA_DIR says here.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import posixpath
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import flan_jax
from flan_jax.data.prepare_jobs import Job, Outcome, TextJob, TokenJob, attempt, explained
from flan_jax.data.prepare_parts import join_text, join_tokens, text_part, token_part
from flan_jax.data.store import Store
from flan_jax.data.task import load_registry
from flan_jax.data.text_layer import text_request
from flan_jax.data.token_table import read_mapped
from flan_jax.data.vocabulary import Vocabulary, load_vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.progress import Progress

ROWS = 4096  # source rows of a text part
BATCHES = 2  # record batches of a token part
LOOK_SECONDS = 2.0
_ERROR = ".error"
_TRAVELLING = ("TFDS_DATA_DIR",)  # what of the environment workers get


class PipelineFailed(FlanJaxError):
    """Beam could not run the pipeline; says why.  Parts that were made stay for the next run."""


@dataclasses.dataclass(frozen=True)
class TextPartJob:
    """Source rows start <= i < stop of a text job (stop None: to the end), to be put at `path`."""

    job: TextJob
    request: dict
    rows: tuple[int, int | None]
    path: str

    def make(self, vocabulary: Vocabulary | None) -> bytes:
        task = load_registry(self.job.tasks).get_task(self.job.task)
        return text_part(task, self.job.split, self.request, self.rows, self.job.seed, self.job.eval_examples)


@dataclasses.dataclass(frozen=True)
class TokenPartJob:
    """Record batches start <= i < stop of the text file that workers find at `text`, to be put at `path` as tokens.

    copied: `text` is a copy made for workers that may not reach the store, to be deleted once all is joined.
    """

    text: str
    copied: bool
    batches: tuple[int, int]
    path: str

    def make(self, vocabulary: Vocabulary | None) -> bytes:
        assert vocabulary is not None  # `run_jobs` gives it to every pipeline that tokenises
        with FileSystems.open(self.text) as file, pa.ipc.open_file(pa.PythonFile(file, "r")) as reader:
            return token_part([reader.get_batch(number) for number in range(*self.batches)], vocabulary)


PartJob = TextPartJob | TokenPartJob


class MakePart(beam.DoFn):
    """Writes each part, or beside its place why it cannot be made; one that is there is left alone."""

    def __init__(self, environment: Mapping[str, str], vocabulary_files: Mapping[str, bytes]):
        self.environment = environment
        self.vocabulary_files = vocabulary_files

    def setup(self) -> None:
        os.environ.update(self.environment)
        self.vocabulary = None
        if self.vocabulary_files:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in self.vocabulary_files.items():
                    (pathlib.Path(folder) / name).write_bytes(content)
                self.vocabulary = load_vocabulary(folder)

    def process(self, element: PartJob) -> None:
        if FileSystems.exists(element.path):
            return
        try:
            content = element.make(self.vocabulary)
        except Exception as error:  # one bad dataset must not end the pipeline, nor be tried again and again
            _write(element.path + _ERROR, explained(error).encode())
        else:
            _write(element.path, content)


def run_jobs(jobs: Sequence[Job], options: Sequence[str], folder: str, label: str) -> list[Outcome]:
    """As `prepare_jobs.run_jobs`, by a pipeline with these options and with parts in `folder`.

    Raises PipelineFailed where the pipeline itself fails, not for what becomes of single jobs.
    """
    if not jobs:
        return []
    parts = [_parts(job, folder) for job in jobs]
    waiting = [part for made in parts for part in made]
    _delete([part.path + _ERROR for part in waiting])
    vocabularies = {job.vocabulary for job in jobs if isinstance(job, TokenJob)}
    files = {path.name: path.read_bytes() for name in vocabularies for path in pathlib.Path(name).iterdir()}
    environment = {name: os.environ[name] for name in _TRAVELLING if name in os.environ}
    with Progress(len(waiting), "parts", label) as progress:
        with _watched(waiting, progress):
            try:
                with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
                    elements = pipeline | beam.Create(waiting) | beam.Reshuffle()
                    _ = elements | beam.ParDo(MakePart(environment, files))
            except Exception as error:  # every runner has its own
                raise PipelineFailed(
                    f"the pipeline with {' '.join(options) or 'default options'} failed: {error}\n"
                    f"  what was made stays in {folder}; mend this, or set other --gin.BEAM, and run prepare again"
                ) from error
        outcomes = []
        for job, made in zip(jobs, parts, strict=True):
            outcomes.append(_joined(job, made))
            if outcomes[-1].error:
                progress.write(f"{job.task}/{job.split} failed: {outcomes[-1].error.splitlines()[-1]}")
            else:
                copies = {part.text for part in made if isinstance(part, TokenPartJob) and part.copied}
                _delete([*copies, *(part.path for part in made)])
    _delete_empty(folder)
    return outcomes


def _parts(job: Job, folder: str) -> Sequence[PartJob]:
    return _text_parts(job, folder) if isinstance(job, TextJob) else _token_parts(job, folder)


def _text_parts(job: TextJob, folder: str) -> list[TextPartJob]:
    task = load_registry(job.tasks).get_task(job.task)
    request = text_request(task, job.split, job.seed, job.eval_examples)
    rows: list[tuple[int, int | None]] = [(0, None)]
    if task.render_rows is not None and job.size is not None and job.size.rows > ROWS:
        starts = range(0, job.size.rows, ROWS)
        rows = [(start, min(start + ROWS, job.size.rows)) for start in starts]
    return [TextPartJob(job, request, r, _place(folder, "text", job, [request, job.size, r])) for r in rows]


def _token_parts(job: TokenJob, folder: str) -> list[TokenPartJob]:
    store = Store(job.store)
    source = store.text_path(job.task, job.split)
    store.check_data(source, job.text.data, store.verify)
    total = read_mapped(source).num_record_batches
    text = str(source.absolute())
    if copied := not _inside(folder, store.root):  # workers reach that folder, perhaps not the store
        text = _place(folder, "text", job, [job.text.data.xxh3])
        if not FileSystems.exists(text):
            _write(text, source.read_bytes())
    digest = load_vocabulary(job.vocabulary).digest
    return [
        TokenPartJob(text, copied, span, _place(folder, "tokens", job, [job.text.data.xxh3, digest, span]))
        for span in ((first, min(first + BATCHES, total)) for first in range(0, total, BATCHES))
    ]


def _inside(folder: str, root: pathlib.Path) -> bool:
    return "://" not in folder and pathlib.Path(folder).resolve().is_relative_to(root.resolve())


def _place(folder: str, layer: str, job: Job, made_from: list) -> str:
    """A path that no part made from anything else has."""
    digest = hashlib.sha256(json.dumps([flan_jax.__version__, made_from], sort_keys=True).encode()).hexdigest()
    return posixpath.join(folder, layer, job.task, job.split, f"{digest[:24]}.arrow")


def _joined(job: Job, parts: Sequence[PartJob]) -> Outcome:
    for part in parts:
        if FileSystems.exists(part.path + _ERROR):
            return Outcome(job, None, _read(part.path + _ERROR).decode(), 0.0)
    contents = (_read(part.path) for part in parts)
    store = Store(job.store)
    if isinstance(job, TokenJob):
        return attempt(job, lambda: join_tokens(store, load_vocabulary(job.vocabulary), job.text, contents))
    task = load_registry(job.tasks).get_task(job.task)
    request = text_request(task, job.split, job.seed, job.eval_examples)
    return attempt(job, lambda: join_text(store, task, job.split, request, contents))


@contextlib.contextmanager
def _watched(parts: Sequence[PartJob], progress: Progress) -> Iterator[None]:
    """Count the parts that are there, whatever runner makes them."""
    over = threading.Event()

    def look() -> None:
        missing = list(parts)
        while missing and not over.wait(LOOK_SECONDS):
            missing = [part for part in missing if not FileSystems.exists(part.path)]
            progress.update(len(parts) - len(missing) - progress.done)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    progress.update(len(parts) - progress.done)


def _read(path: str) -> bytes:
    with FileSystems.open(path) as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    """Under another name first: a part is there whole or not at all, also where a runner makes it twice."""
    partial = f"{path}.{uuid.uuid4().hex}.partial"
    with FileSystems.create(partial) as file:
        file.write(content)
    FileSystems.rename([partial], [path])


def _delete(paths: Sequence[str]) -> None:
    FileSystems.delete([path for path in paths if FileSystems.exists(path)])


def _delete_empty(folder: str) -> None:
    """Folders without files, where there are folders: a bucket has none."""
    if "://" not in folder:
        for path in [*sorted(pathlib.Path(folder).rglob("*"), reverse=True), pathlib.Path(folder)]:
            with contextlib.suppress(OSError):  # a file, or a folder with one
                path.rmdir()
