"""Rates of the whole mixture, counted anew from the true sizes, against ours and against those of FLAN's release."""

import json
import pathlib
from collections import Counter

import pytest

from flan_jax.data.mixing import Rates, mixing_shares
from tasks import catalog
from tasks.dataset import Tfds
from tasks.registry import count_rows

FLAN = {name: d for name, d in catalog.datasets().items() if d.benchmark == "flan2021"}
CAP = 3_000

HELD_OUT = {
    "copa": 50, "cb": 50, "wsc": 50, "wnli": 30, "piqa": 100, "stsb": 100, "coqa": 100,
    "opinion_abstracts_rotten_tomatoes": 600, "opinion_abstracts_idebate": 600, "para_crawl_enes": 1_200,
}  # fmt: skip
"""Rows at the end of the source's train split that are kept for validation and test; of others 200."""
OFFICIAL = {"anli_r1", "anli_r2", "anli_r3", "snli", "paws_wiki", "openbookqa", "aeslc", "cnn_dailymail", "gigaword",
            "multi_news", "newsroom", "samsum", "xsum", "wiki_lingua_english_en", "wmt14_enfr", "wmt16_translate_deen",
            "wmt16_translate_tren", "wmt16_translate_csen", "wmt16_translate_fien", "wmt16_translate_roen",
            "wmt16_translate_ruen"}  # fmt: skip
"""Those whose validation is official, so that nothing of train is held out."""

RELEASED = {
    "summarization": 31_650, "nli": 24_090, "translation": 24_000, "reading_comprehension": 18_000,
    "struct_to_text": 12_000, "paraphrase": 12_000, "sentiment": 12_000, "closed_book_qa": 8_950, "commonsense": 8_020,
    "reading_comprehension_with_commonsense": 6_000, "coreference": 4_620, "misc": 9_000 + 6_000 + 4 * 3_000,
}  # fmt: skip
"""Weights of the clusters in FLAN's release, 188,330 in all, from sizes rounded down to tens."""


def true_size(metadata_dir: str, source: Tfds, split: str) -> int:
    info = json.loads((pathlib.Path(metadata_dir) / source.name.replace(":", "/") / "dataset_info.json").read_text())
    (lengths,) = (entry["shardLengths"] for entry in info["splits"] if entry["name"] == split)
    return sum(map(int, lengths))


def train_rows(metadata_dir: str, name: str) -> int:
    """Train rows of a dataset, from the published split sizes and the two tables above."""
    source = FLAN[name].source
    assert isinstance(source, Tfds)
    size = true_size(metadata_dir, source, {"story_cloze": "validation", "winogrande": "train_xl"}.get(name, "train"))
    if name in ("true_case", "fix_punct", "word_segment"):
        return 30_000
    return min(30_000, size - (0 if name in OFFICIAL else HELD_OUT.get(name, 200)))


@pytest.mark.parametrize("name", [name for name in FLAN if name != "wsc273"])
def test_train_rows_are_those_counted_by_hand(name: str, metadata_dir: str):
    assert count_rows(FLAN[name], "train", metadata_dir) == train_rows(metadata_dir, name)


@pytest.mark.parametrize("mixture", ["flan2021", "flan2021_released", "flan2021_loo_nli", "flan2021_loo_commonsense"])
def test_shares_of_clusters_under_the_cap(mixture: str, metadata_dir: str):
    train = catalog.mixtures()[mixture].train
    ours = mixing_shares(Rates(), {name: count_rows(FLAN[name], "train", metadata_dir) for name in train})
    weights = {name: min(CAP, train_rows(metadata_dir, name)) for name in train}
    for cluster in catalog.CLUSTERS:
        expected = sum(w for name, w in weights.items() if FLAN[name].cluster == cluster) / sum(weights.values())
        assert sum(s for name, s in ours.items() if FLAN[name].cluster == cluster) == pytest.approx(expected)


def test_weights_of_the_release(metadata_dir: str):
    """With MNLI twice, as there, clusters agree to within twelve rows for every dataset below the cap.

    The release rounds their sizes down to tens, those of ARC after leaving out questions without four choices.
    """
    weights: Counter[str] = Counter()
    for name in catalog.mixtures()["flan2021_released"].train:
        weights[FLAN[name].cluster] += min(CAP, train_rows(metadata_dir, name))
    assert sum(RELEASED.values()) == 188_330
    below = Counter(FLAN[name].cluster for name in FLAN if name != "wsc273" and train_rows(metadata_dir, name) < CAP)
    assert below.total() == 10
    for cluster, released in RELEASED.items():
        assert 0 <= weights[cluster] - released <= 12 * below[cluster], cluster


def test_ours_differ_by_the_rows_that_two_tasks_share(metadata_dir: str):
    """The catalogue says of mnli_mismatched that its train is that of mnli_matched."""
    released, ours = (catalog.mixtures()[name].train for name in ("flan2021_released", "flan2021"))
    assert {*released} - {*ours} == {"mnli_mismatched"} and len(released) == 69
    assert "mnli_matched" in FLAN["mnli_mismatched"].caveats
