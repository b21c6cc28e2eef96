"""The paper's numbers of exemplars are those of datasets there are, and tasks carry them."""

from tasks import catalog, get_task
from tasks.flan2021.paper_shots import PAPER_SHOTS, paper_shots


def test_every_number_is_that_of_a_dataset_with_training_rows():
    for name, shots in PAPER_SHOTS.items():
        assert "train" in catalog.datasets()[name].splits, name
        assert all(1 <= k <= 16 for k in shots)


def test_a_form_has_the_number_of_its_dataset_and_the_continuation_that_of_the_baseline():
    for name, k in (
        ("rte", 10),
        ("rte_plain", 10),
        ("rte_named", 10),
        ("rte_templates_4", 10),
        ("rte_continuation", 5),
    ):
        assert paper_shots(catalog.find(name)) == k
        assert get_task(name).few_shot == k
    for name in ("wsc273", "true_case", "e2e_nlg", "common_gen_plain"):
        assert paper_shots(catalog.find(name)) is None


def test_other_suites_have_no_number_of_this_paper():
    assert all(paper_shots(d) is None for d in catalog.datasets().values() if d.benchmark != "flan2021")
