"""What datasets have in common is declared once for each pair, and shown with both."""

import pytest

from tasks import catalog
from tasks.cards import catalogue
from tasks.flan2021.shared_text import SHARED_TEXT, shared_text

FLAN = {name: d for name, d in catalog.datasets().items() if d.benchmark == "flan2021"}
CARDS = {card.name: card for card in catalogue().cards}


def test_every_pair_is_declared_once_and_of_datasets_there_are():
    pairs = [frozenset(pair[:2]) for pair in SHARED_TEXT]
    assert len({*pairs}) == len(pairs) and all(len(pair) == 2 and pair <= {*FLAN} for pair in pairs)


def test_rows_in_common_are_text_in_common():
    for name, dataset in FLAN.items():
        for other in (dataset.same_rows_as, dataset.rows_within):
            assert not other or other in shared_text(name)


@pytest.mark.parametrize("pair", SHARED_TEXT, ids=lambda pair: f"{pair.first}-{pair.second}")
def test_the_catalogue_names_the_other_and_whether_it_is_trained_on(pair):
    for name, other in ((pair.first, pair.second), (pair.second, pair.first)):
        assert shared_text(name)[other] == pair.what
        trained = other in catalog.mixtures()[f"flan2021_loo_{FLAN[name].cluster}"].train
        warning = "; trained on when this is held out" if trained else ""
        assert f"{other} ({pair.what}{warning})" in CARDS[name].caveats


def test_a_dataset_without_such_text_says_nothing_of_it():
    assert CARDS["sst2"].caveats == FLAN["sst2"].caveats and shared_text("sst2") == {}
