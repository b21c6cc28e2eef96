"""The batch of a step is a function of the plan and the step, whoever asks, and holds what the plan says."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flan_jax.data.composition import Batch, LossOn
from flan_jax.data.loader import Loader, LoaderError, batch_at, process_rows
from flan_jax.data.plan import Plan, PlanConfig, PlanError, build_plan
from flan_jax.data.vocabulary import ByteVocabulary
from scripts.benchmarks.synthetic_store import write_store

ROWS = 8


class WithBos(ByteVocabulary):
    bos_id = 2
    digest = "b05" + ByteVocabulary.digest[3:]


def make_plan(
    root, vocabulary=None, loss_on: LossOn = "targets", steps: int = 6, lengths=None, row_length: int = 64
) -> Plan:
    rng = np.random.default_rng(3)
    lengths = lengths or {name: (rng.integers(0, 90, 40), rng.integers(1, 20, 40)) for name in "abc"}
    vocabulary = vocabulary or ByteVocabulary()
    config = PlanConfig(tuple(lengths), steps, ROWS, row_length, targets_length=16, loss_on=loss_on)
    return build_plan(write_store(root, vocabulary, lengths), vocabulary, config)


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    return make_plan(tmp_path_factory.mktemp("store"))


def assert_equal(a: Batch, b: Batch) -> None:
    for name, x, y in zip(Batch._fields, a, b, strict=True):
        assert x.dtype == y.dtype and np.array_equal(x, y), name


def plainly(plan: Plan, step: int) -> Batch:
    """The batch by the definition of a document, token by token."""
    rows: list[list[tuple[int, int, int, float]]] = [[] for _ in range(plan.rows_per_batch)]
    documents, row_of_document = plan.step_documents(step, 0, plan.rows_per_batch)
    segments = [0] * plan.rows_per_batch
    for task, example, start, *_, row in zip(*(c.tolist() for c in documents), row_of_document.tolist(), strict=True):
        table = plan.tables[task]
        inputs = table.inputs_values[table.inputs_offsets[example] : table.inputs_offsets[example + 1]][start:]
        targets = table.targets_values[table.targets_offsets[example] : table.targets_offsets[example + 1]]
        bos = [] if plan.special.bos is None else [plan.special.bos]
        tokens = [*bos, *inputs, *targets, plan.special.eos]
        learnt = len(bos) + len(inputs) if plan.config.loss_on == "targets" else 0
        segments[row] += 1
        rows[row] += [(t, i, segments[row], float(i >= learnt and i > 0)) for i, t in enumerate(tokens)]
    padded = [row + [(plan.special.pad, 0, 0, 0.0)] * (plan.row_length - len(row)) for row in rows]
    tokens, positions, segment_ids, weights = np.moveaxis(np.asarray(padded), -1, 0)
    ids = (column.astype(np.int32) for column in (tokens, positions, segment_ids))
    return Batch._make([*ids, weights.astype(np.float32)])


@pytest.mark.parametrize("vocabulary", [ByteVocabulary(), WithBos()], ids=["no bos", "bos"])
@pytest.mark.parametrize("loss_on", ["targets", "all"])
def test_batches_are_what_the_definition_says(tmp_path, vocabulary, loss_on):
    plan = make_plan(tmp_path, vocabulary, loss_on)
    for step in range(plan.steps):
        assert_equal(batch_at(plan, step), plainly(plan, step))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), loss_on=st.sampled_from(["targets", "all"]), bos=st.booleans())
def test_invariants(tmp_path_factory, data, loss_on, bos):
    """Any lengths: segments are contiguous, positions restart, EOS is learnt, targets are whole, padding is empty."""
    rows = data.draw(st.integers(1, 12))

    def drawn(low: int, high: int) -> np.ndarray:
        return np.asarray(data.draw(st.lists(st.integers(low, high), min_size=rows, max_size=rows)))

    vocabulary = WithBos() if bos else ByteVocabulary()
    plan = make_plan(tmp_path_factory.mktemp("s"), vocabulary, loss_on, 2, {"a": (drawn(0, 50), drawn(1, 12))}, 24)
    table = plan.tables[0]
    targets = {table.targets_values[a:b].tobytes() for a, b in itertools.pairwise(table.targets_offsets)}
    for tokens, positions, segments, weights in zip(*batch_at(plan, 1), strict=True):
        length = int((segments > 0).sum())
        assert not tokens[length:].any() and not positions[length:].any() and not weights[length:].any()
        assert np.array_equal(np.unique(segments[:length]), np.arange(1, segments.max() + 1))
        assert np.all(np.diff(segments[:length]) >= 0)
        for segment in range(1, segments.max() + 1):
            (place,) = np.nonzero(segments == segment)
            assert np.array_equal(positions[place], np.arange(len(place)))
            assert weights[place[0]] == 0 and tokens[place[-1]] == 1
            assert weights[place[-1]] == (len(place) > 1)
            if loss_on == "all":
                assert weights[place].sum() == len(place) - 1
            elif not weights[place[:2]].any():
                assert tokens[place[weights[place] > 0]][:-1].tobytes() in targets


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_any_number_of_processes_sees_the_same_global_batches(plan, processes):
    loaders = [Loader(plan, 0, index, processes) for index in range(processes)]
    for step, parts in enumerate(zip(*loaders, strict=True)):
        assert {part_step for part_step, _ in parts} == {step}
        joined = Batch(*(np.concatenate(columns) for columns in zip(*(batch for _, batch in parts), strict=True)))
        assert_equal(joined, batch_at(plan, step))
    assert step == plan.steps - 1


def test_a_batch_does_not_depend_on_what_came_before(plan):
    forwards = [batch_at(plan, step) for step in range(plan.steps)]
    for step in (4, 0, 5, 4, 2):
        assert_equal(batch_at(plan, step), forwards[step])


@pytest.mark.parametrize(("start", "threads", "prefetch"), [(0, 1, 1), (3, 1, 4), (5, 4, 16)])
def test_loader_goes_on_from_any_step(plan, start, threads, prefetch):
    loader = Loader(plan, start, threads=threads, prefetch=prefetch)
    for _ in range(2):  # every iteration starts anew
        steps = []
        for step, batch in loader:
            assert_equal(batch, batch_at(plan, step))
            steps.append(step)
        assert steps == list(range(start, plan.steps))


def test_a_run_that_is_done_gives_nothing(plan):
    assert list(Loader(plan, plan.steps)) == []


def test_rows_are_shared_equally_and_in_order():
    shares = [process_rows(8, index, 4) for index in range(4)]
    assert [row for share in shares for row in range(8)[share]] == list(range(8))


def test_errors_name_the_way_out(plan):
    with pytest.raises(LoaderError, match=r"8 rows a batch .* among 3 processes; set rows_per_batch .* multiple of 3"):
        Loader(plan, 0, 0, 3)
    with pytest.raises(LoaderError, match="process 2 is not one of 2"):
        Loader(plan, 0, 2, 2)
    with pytest.raises(LoaderError, match=r"step 7 lies outside the 6 steps of the plan; raise steps"):
        Loader(plan, 7)
    with pytest.raises(PlanError, match=r"step 6 lies outside the 6 steps .*raise steps"):
        batch_at(plan, 6)
    with pytest.raises(PlanError, match="step -1 lies outside"):
        batch_at(plan, -1)
