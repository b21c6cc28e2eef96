"""All 70 datasets and their splits on TFDS's own schemas and true sizes, with the random rows of `mock_data`."""

import importlib
from typing import Any

import pytest

from flan_jax.data.task import Dropped, Rendered
from tasks import catalog, get_task
from tasks.registry import count_rows

FLAN = {name: dataset for name, dataset in catalog.datasets().items() if dataset.benchmark == "flan2021"}
UNSATISFIED = {
    "arc_challenge": "other than 4 options", "arc_easy": "other than 4 options", "fix_punct": "no punctuation",
    "hellaswag": "not 4 options", "record": "no placeholder", "sentiment140": "unknown polarity",
    "story_cloze": "not 2 options", "true_case": "no capital letter", "winogrande": "no gap",
    "wsc273": "the pronoun is not at its place",
}  # fmt: skip
"""What random text cannot be; tests/tasks/flan2021 has rows for these."""


@pytest.mark.parametrize("name", FLAN)
def test_random_rows_go_through_every_split(name: str, metadata_dir: str):
    tfds: Any = importlib.import_module("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=3, data_dir=metadata_dir, policy=tfds.testing.MockPolicy.USE_FILES):
        task = get_task(name, data_dir=metadata_dir)
        for split in FLAN[name].splits:
            assert count_rows(FLAN[name], split, metadata_dir) > 0
            rows = list(task.render(split, "forward", 0))
            assert len(rows) == 3 * sum(info.forward for info in task.templates)
            if name in UNSATISFIED:
                assert {row.reason for row in rows if isinstance(row, Dropped)} == {UNSATISFIED[name]}
            else:
                assert any(isinstance(row, Rendered) for row in rows)
