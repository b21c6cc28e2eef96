"""The loader: the batch of a step is a function of the plan and the step, so the step is all there is to resume."""

import dataclasses
from collections.abc import Iterator

from flan_jax.data.composition import Batch, compose
from flan_jax.data.plan import Plan
from flan_jax.errors import FlanJaxError


class LoaderError(FlanJaxError):
    """Rows cannot be shared among the processes as asked."""


def batch_at(plan: Plan, step: int, rows: slice | None = None) -> Batch:
    """Rows `rows` (all, if None) of the batch of `step`: arrays [rows, plan.row_length].

    Raises PlanError if the step lies outside the plan.
    """
    start, stop, _ = (rows or slice(None)).indices(plan.rows_per_batch)
    documents, row_of_document = plan.step_documents(step, start, stop)
    return compose(
        documents, row_of_document, stop - start, plan.row_length, plan.tables, plan.special, plan.config.loss_on,
        plan.exemplar_tables,
    )  # fmt: skip


def process_rows(rows_per_batch: int, process_index: int, process_count: int) -> slice:
    """The equal, contiguous share of a batch's rows that one process reads."""
    if not 0 <= process_index < process_count:
        raise LoaderError(f"process {process_index} is not one of {process_count}")
    if rows_per_batch % process_count:
        raise LoaderError(
            f"{rows_per_batch} rows a batch cannot be shared equally among {process_count} processes; set "
            f"rows_per_batch (tokens_per_batch / row_length) to a multiple of {process_count}"
        )
    rows = rows_per_batch // process_count
    return slice(process_index * rows, (process_index + 1) * rows)


@dataclasses.dataclass(frozen=True)
class _Steps:
    """Grain's random-access source: item i is step `start + i`."""

    plan: Plan
    rows: slice
    start: int

    def __len__(self) -> int:
        return self.plan.steps - self.start

    def __getitem__(self, index: int) -> tuple[int, Batch]:
        step = self.start + index
        return step, batch_at(self.plan, step, self.rows)


class Loader:
    """Iterates (step, Batch) from `start_step` to the plan's last, this process's rows of each, read ahead in threads.

    Every `iter` starts again from `start_step`.  Raises LoaderError if the rows cannot be shared or the plan has no
    such step; a start at plan.steps is a run that is done, and gives nothing.
    """

    def __init__(
        self,
        plan: Plan,
        start_step: int = 0,
        process_index: int = 0,
        process_count: int = 1,
        threads: int = 1,
        prefetch: int = 4,
    ):
        if not 0 <= start_step <= plan.steps:
            raise LoaderError(f"step {start_step} lies outside the {plan.steps} steps of the plan; raise steps")
        self.plan = plan
        self.start_step = start_step
        self.rows = process_rows(plan.rows_per_batch, process_index, process_count)
        self.threads = threads
        self.prefetch = prefetch

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        import grain  # heavy, and not needed to read single batches

        if self.start_step == self.plan.steps:
            return
        dataset = grain.MapDataset.source(_Steps(self.plan, self.rows, self.start_step))
        options = grain.ReadOptions(num_threads=self.threads, prefetch_buffer_size=self.prefetch)
        iterator = iter(dataset.to_iter_dataset(options))
        try:
            yield from iterator
        finally:
            iterator.close()  # else its threads outlive the run
