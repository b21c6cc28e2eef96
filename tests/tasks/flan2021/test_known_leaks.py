"""The leaks that FLAN's datasets are known for, planted in small TFDS directories: the command finds every one of them,
and no other; those within a cluster are parted by the mixtures that hold it out.
"""

import pathlib
from typing import Any

import pytest
from made_up_rows import ROWS
from tfds_directory import write_splits

from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.evaluation.contamination import ContaminationConfig, contamination
from flan_jax.evaluation.contamination_report import Contamination
from tasks import catalog
from tasks.flan2021.shared_text import shared_text

ARTICLES = (
    "The lighthouse at Brennholm was lit for the first time in the autumn of 1851.",
    "Its keeper wrote down every passing ship in a book bound with sailcloth.",
    "After the storm of 1902 the upper gallery had to be taken down stone by stone.",
    "A school for pilots was opened beside the harbour by the widow of a captain.",
    "Two of the four cannons on the mole were cast in a foundry far up the river.",
    "The last ferry to the outer islands leaves before the church bells ring at six.",
    "Salt was brought here on sledges as long as the sound stayed frozen in winter.",
    "In the market hall a blue tiled stove still bears the arms of the weavers' guild.",
)
"""Passages; each has a question of its own, which is too short to be compared."""
SCHEMAS = (
    ("The parcel slid off the narrow bench on the porch because it was much too wide.", "The parcel", "it"),
    ("The gardener asked the mason to leave the yard since he had finished the little wall.", "the mason", "he"),
    ("My aunt lent the singer a long coat because she was cold after the late show.", "the singer", "she"),
    ("The wolves kept away from the herders as long as they had torches in their hands.", "the herders", "they"),
    ("The lid could not be pressed onto the jar until it had been warmed by the stove.", "The lid", "it"),
    ("The clerk thanked the miller for the sacks although he had delivered them too late.", "the miller", "he"),
)
GENRES = (
    "Nobody in the village could remember a summer in which the well had run dry so early.",
    "The committee will publish its report on the bridge when all of the members have signed.",
    "He said that the recording was made in one evening with a borrowed pair of microphones.",
)


def question(number: int) -> str:
    return f"What does page {number} tell of?"


def squad(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(i), "title": f"Part_{i}", "context": ARTICLES[i], "question": question(i),
         "answers": {"text": [ARTICLES[i].split()[1]], "answer_start": [4]}, **more}
        for i in numbers
    ]  # fmt: skip


def squad2(*numbers: int) -> list[dict[str, Any]]:
    return squad(*numbers, is_impossible=False, plausible_answers={"text": [], "answer_start": []})


def qnli(*numbers: int) -> list[dict[str, Any]]:
    return [{"question": question(i), "sentence": ARTICLES[i], "label": 0, "idx": i} for i in numbers]


def wnli(*numbers: int) -> list[dict[str, Any]]:
    return [
        {"sentence1": SCHEMAS[i][0], "sentence2": f"{SCHEMAS[i][1]} is meant.", "label": 1, "idx": i} for i in numbers
    ]


def wsc(*numbers: int) -> list[dict[str, Any]]:
    return [
        {"text": text, "span1_text": candidate, "span1_index": 1, "span2_text": pronoun,
         "span2_index": text.split().index(pronoun), "label": 1, "idx": i}
        for i in numbers for text, candidate, pronoun in (SCHEMAS[i],)
    ]  # fmt: skip


def wsc273(*numbers: int) -> list[dict[str, Any]]:
    rows = []
    for i in numbers:
        text, candidate, pronoun = SCHEMAS[i]
        start = text.index(f" {pronoun} ") + 1
        rows.append(
            {"text": text, "option1": candidate, "option1_normalized": candidate, "option2": "The other",
             "option2_normalized": "The other", "pronoun_start": start, "pronoun_end": start + len(pronoun),
             "pronoun_text": pronoun, "label": 0, "idx": i}
        )  # fmt: skip
    return rows


def mnli(*numbers: int) -> list[dict[str, Any]]:
    return [{"premise": GENRES[i], "hypothesis": "It is so.", "label": 0, "idx": i} for i in numbers]


def news(source: str, field: str, *articles: str) -> list[dict[str, Any]]:
    return [ROWS[source][-1] | {field: article} for article in articles]


NEWS = (
    "Divers have raised an anchor that fishermen had cursed for tearing their nets since the war.",
    "The mayor opened the new tram line on Monday and paid for her ticket like everybody else.",
    "Bakers in the old town complain that the price of flour has doubled within a single year.",
)
HIGHLIGHTS = "\n@highlight\nOne"

DIRECTORY: dict[str, dict[str, list[dict[str, Any]]]] = {
    # of train the last third is the validation; "validation" is the test
    "squad/v1.1:3.0.0": {"train": squad(0, 1, 2), "validation": squad(6)},
    "squad/v2.0:3.0.0": {"train": squad2(2, 0, 1), "validation": squad2(7)},
    "glue/qnli:2.0.0": {"train": qnli(6, 4, 5), "validation": qnli(0, 3)},
    "glue/wnli:2.0.0": {"train": wnli(0, 1, 4), "validation": wnli(1, 2, 5)},
    "super_glue/wsc:1.0.2": {"train": wsc(2, 3, 4), "validation": wsc(0, 5)},
    "wsc273:1.0.0": {"test": wsc273(0, 3, 5)},
    "glue/mnli:2.0.0": {"train": mnli(0, 0, 0), "validation_matched": mnli(1), "validation_mismatched": mnli(2)},
    "cnn_dailymail:3.4.0": {
        "train": news("cnn_dailymail:3.4.0", "article", *NEWS[:2]),
        "validation": news("cnn_dailymail:3.4.0", "article", NEWS[2]),
        "test": news("cnn_dailymail:3.4.0", "article", NEWS[2]),
    },
    "super_glue/record:1.0.2": {
        "train": news("super_glue/record:1.0.2", "passage", *(f"{NEWS[2]}{HIGHLIGHTS}",) * 3),
        "validation": news("super_glue/record:1.0.2", "passage", *(f"{text}{HIGHLIGHTS}" for text in NEWS[1:])),
    },
}
"""Splits by dataset, the numbers those of the texts above."""

PLANTED = {
    ("flan2021_loo_nli", "test"): {
        "qnli": {"squad_v1": 1, "squad_v2": 1},
        "wnli": {"wsc": 1},
        "mnli_matched": {}, "mnli_mismatched": {},
    },
    ("flan2021_loo_reading_comprehension", "test"): {"squad_v1": {"qnli": 1}, "squad_v2": {}},
    ("flan2021_loo_coreference", "test"): {"wsc": {"wnli": 1}, "wsc273": {"wnli": 1}},
    ("flan2021_loo_reading_comprehension_with_commonsense", "test"): {"record": {"cnn_dailymail": 1}},
    ("flan2021", "test"): {"wnli": {"wnli": 1, "wsc": 1}, "wsc273": {"wnli": 1, "wsc": 1}},
}  # fmt: skip
"""(mixture, split) -> evaluated -> trained on -> how many examples are dirty by it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """All of FLAN 2021 as far as it is there."""
    directory = tmp_path_factory.mktemp("leaking")
    for name, splits in DIRECTORY.items():
        write_splits(name, splits, directory)
    root = str(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(directory))
        names = tuple(d.name for d in catalog.datasets().values() if d.benchmark == "flan2021")
        prepare(PrepareConfig(names, root, "bytes", tasks="tasks", processes=1, unavailable="skip"))
    return root


def search(
    store: str, mixture: str | tuple[str, ...], split: str, output: pathlib.Path, trained_on: str = ""
) -> Contamination:
    return contamination(
        ContaminationConfig(
            mixture, store, trained_on, tasks="tasks", split=split, output=str(output), unavailable="skip", processes=1
        )
    )


@pytest.mark.parametrize(("mixture", "split"), PLANTED)
def test_every_planted_leak_is_found_and_no_other(mixture: str, split: str, store: str, tmp_path: pathlib.Path):
    found = search(store, mixture, split, tmp_path)
    for evaluated, sources in PLANTED[mixture, split].items():
        assert {leak.source: leak.examples for leak in found.task(evaluated).leaks} == sources, evaluated
        assert all(source in shared_text(evaluated) for source in sources if source != evaluated)


def test_each_version_of_squad_trains_on_what_the_other_validates_with(store: str, tmp_path: pathlib.Path):
    found = search(store, ("squad_v1", "squad_v2"), "validation", tmp_path, "flan2021")
    for evaluated, other in (("squad_v1", "squad_v2"), ("squad_v2", "squad_v1")):
        assert {leak.source: leak.examples for leak in found.task(evaluated).leaks} == {other: 1}
        assert other in shared_text(evaluated)


def test_rows_that_two_configurations_share_are_found(store: str, tmp_path: pathlib.Path):
    task = search(store, "mnli_mismatched", "train", tmp_path, "mnli_matched").task("mnli_mismatched")
    assert task.dirty == task.examples > 0 and task.leaks[0].relation == "same cluster"


@pytest.mark.parametrize("mixture", sorted({mixture for mixture, _ in PLANTED} - {"flan2021"}))
def test_leaks_within_a_cluster_are_parted_by_holding_it_out(mixture: str, store: str, tmp_path: pathlib.Path):
    found = search(store, mixture, "test", tmp_path)
    assert all(leak.relation == "other cluster" for task in found.tasks for leak in task.leaks)
    held_out = {*catalog.mixtures()[mixture].evaluate}
    assert not {source.name for source in found.sources} & held_out
