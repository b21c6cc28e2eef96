"""No evaluation example is trained on in the mixture that holds its cluster out, measured on the real data."""

import re
import unicodedata
from collections import Counter, defaultdict

import pytest

from tasks import catalog
from tasks.data_directory import contents_digest
from tasks.dataset import Drop, Tfds
from tasks.flan2021.shared_text import shared_text
from tasks.registry import read_split

FLAN = {name: dataset for name, dataset in catalog.datasets().items() if dataset.benchmark == "flan2021"}
FEWEST_WORDS = 5
KNOWN = {("wnli", "wsc"): (69, 101), ("wsc", "wnli"): (116, 154)}
"""(evaluated, trained on) -> examples of which a text is found there although the clusters differ, and all examples.
`tasks/flan2021/shared_text.py` says the same numbers, and the catalogue shows them."""

Texts = dict[tuple[str, str], list[set[str]]]


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


@pytest.fixture(scope="module")
def texts(data_dir: str) -> Texts:
    """(dataset, split) -> the normalised texts of every example's fields, or all of them as one where all are short.

    A short text by itself ("a good film") is found anywhere: it tells nothing of where the example comes from.
    """
    found: Texts = {}
    for name, dataset in FLAN.items():
        if isinstance(dataset.source, Tfds) and contents_digest(dataset.source, data_dir):
            for split in dataset.splits:
                examples = found.setdefault((name, split), [])
                for _, _, row in read_split(dataset, split, data_dir):
                    fields = dataset.fields(row)
                    if not isinstance(fields, Drop):
                        words = [normalised(fields[field]) for field in dataset.field_names]
                        long = {text for text in words if text.count(" ") + 1 >= FEWEST_WORDS}
                        examples.append(long or {" / ".join(words)})
    return found


def leaks(texts: Texts, train: tuple[str, ...], evaluate: tuple[str, ...]) -> Counter[tuple[str, str]]:
    """(evaluated, trained on) -> evaluation examples with a text that is also one of a training example's."""
    trained: dict[str, set[str]] = defaultdict(set)
    for name in train:
        for text in set().union(*texts.get((name, "train"), ())):
            trained[text].add(name)
    found: Counter[tuple[str, str]] = Counter()
    for name in evaluate:
        for example in (*texts.get((name, "validation"), ()), *texts.get((name, "test"), ())):
            found.update((name, other) for other in set().union(*(trained.get(text, set()) for text in example)))
    return found


@pytest.mark.parametrize("cluster", catalog.CLUSTERS)
def test_a_held_out_cluster_is_not_trained_on(cluster: str, texts):
    mixture = catalog.mixtures()[f"flan2021_loo_{cluster}"]
    found = leaks(texts, mixture.train, mixture.evaluate)
    assert found == {pair: KNOWN[pair][0] for pair in KNOWN if FLAN[pair[0]].cluster == cluster}
    assert any(texts.get((name, "test")) for name in mixture.evaluate)


@pytest.mark.parametrize(("evaluated", "trained"), KNOWN)
def test_a_known_leak_is_stated_with_its_numbers(evaluated: str, trained: str, texts):
    found, among = KNOWN[evaluated, trained]
    assert sum(len(texts[evaluated, split]) for split in ("validation", "test")) == among
    stated = re.findall(r"(\d+) of (?:the )?(\d+)", shared_text(evaluated)[trained])
    assert (str(found), str(among)) in stated


def test_every_example_is_compared(texts):
    assert all(example for examples in texts.values() for example in examples)


def test_a_leak_would_be_found(texts):
    """Trained on itself, a dataset whose pairs share their sentences is found out."""
    assert leaks(texts, ("e2e_nlg",), ("e2e_nlg",))["e2e_nlg", "e2e_nlg"] > 50
