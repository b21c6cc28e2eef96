"""A question is never answered by its own exemplars: no row that asks the same is shown, in training or evaluation.

Datasets such as e2e_nlg and common_gen hold one input many times, each time with another answer.
"""

import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest

from flan_jax.data.exemplars import FewShot
from flan_jax.data.plan import PlanConfig, build_plan
from flan_jax.data.store import Store
from flan_jax.data.task import Task
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.data.token_layer import write_tokens
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.evaluation.requests import build_requests
from tasks.dataset import Dataset, Generated
from tasks.registry import make_task

QUESTIONS = 12
"""Few, so that each is asked in many of the 80 rows; two of them in one row only."""


def rows(split: str) -> Iterator[dict[str, str]]:
    for i in range(80):
        number = i % 10 if i < 78 else i - 68
        english = [f"thing {number} is red", f"Thing  {number} is RED"][i // 10 % 2]
        yield {"en": english, "fr": f"chose {split} {i // 3}", "answer": f"chose {i // 3}"}


TOY = Dataset(
    name="toy",
    cluster="misc",
    benchmark="toy",
    source=Generated(rows, "1"),
    splits={"train": "train", "test": "test"},
    fields=lambda x: x,
    field_names=("en", "fr"),
    kind="generation",
    metrics=("bleu",),
    licence="none",
    citation="none",
    template_group="toy",
)
FORWARD = '- {{inputs: "{number} {field}", targets: "{target}"}}\n'


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Task:
    """Six templates ask for French, two for English, and two are turned around: they show the answer alone."""
    folder = tmp_path_factory.mktemp("templates")
    entries = [FORWARD.format(number=i, field="{en}", target="{answer}") for i in range(6)]
    entries += [FORWARD.format(number=i, field="{fr}", target="{en}") for i in (6, 7)]
    entries += [f'- {{inputs: "{i} {{answer}}", targets: "{{en}}", turned_around: true}}\n' for i in (8, 9)]
    (folder / "toy.yaml").write_text("".join(entries))
    return make_task(TOY, folder)


@pytest.fixture(scope="module")
def store(task: Task, tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    for split in task.splits:
        text = write_text(store, task, split, text_request(task, split, 0, None))
        write_tokens(store, ByteVocabulary(), text)
    return store


def asked(row: dict) -> tuple[str, str]:
    """What a row asks in either direction."""
    fields = json.loads(row["fields"])
    return " ".join(fields["en"].lower().split()), fields["fr"]


def ask_the_same(one: dict, other: dict) -> bool:
    return any(a == b for a, b in zip(asked(one), asked(other), strict=True))


@pytest.mark.parametrize("templates", ["mixed", "same"])
def test_no_training_document_shows_a_row_that_asks_the_same(task, store, templates):
    few_shot = FewShot(templates=templates)
    config = PlanConfig(("toy",), 300, 8, row_length=512, shots=(1, 3), few_shot=few_shot)
    plan = build_plan(store, ByteVocabulary(), config)
    text = store.open_text("toy", "train").to_pylist()
    shown = 0
    for step in range(plan.steps):
        documents, _ = plan.step_documents(step, 0, plan.rows_per_batch)
        for question, exemplars in zip(documents.example, documents.exemplars, strict=True):
            for exemplar in exemplars[exemplars >= 0]:
                assert not ask_the_same(text[question], text[exemplar])
                assert text[question]["inputs"].lower() != text[exemplar]["inputs"].lower() or text[question][
                    "template"
                ] in (8, 9)
                shown += 1
    assert shown > 10_000 or (templates == "same" and shown > 1_000)


def test_no_evaluated_question_is_shown_a_row_that_asks_the_same(task, store):
    train = {row["example_id"]: row for row in store.open_text("toy", "train").to_pylist()}
    test = {row["example_id"]: row for row in store.open_text("toy", "test").to_pylist()}
    shown = 0
    for seed, templates in itertools.product(range(8), ("mixed", "same")):
        requests, _ = build_requests(
            store,
            ByteVocabulary(),
            task,
            "test",
            window=2000,
            shots=16,
            seed=seed,
            few_shot=FewShot(templates=templates),
        )
        for request in requests:
            for exemplar in request.exemplars:
                assert not ask_the_same(test[request.example_id], train[exemplar])
            shown += len(request.exemplars)
    assert shown > 10_000


def test_the_data_hold_what_is_to_be_left_out(store):
    text = store.open_text("toy", "train").to_pylist()
    pairs = [(one, other) for one, other in itertools.permutations(text, 2) if ask_the_same(one, other)]
    assert len(pairs) > 500 and any(one["targets"] != other["targets"] for one, other in pairs)
    assert len({asked(row)[0] for row in text}) == QUESTIONS and np.ptp([row["template"] for row in text]) == 9
