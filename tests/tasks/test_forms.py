"""Other ways to put a dataset."""

import pytest

from flan_jax.data.task import TemplateInfo
from tasks import catalog, get_task
from tasks.forms import FORMS, TEMPLATE_COUNTS, chosen_templates

FLAN = [name for name, dataset in catalog.datasets().items() if dataset.benchmark == "flan2021"]


def test_every_dataset_of_flan_has_every_form():
    suffixes = [*FORMS, *(f"templates_{count}" for count in TEMPLATE_COUNTS)]
    assert {*catalog.forms()} == {f"{name}_{suffix}" for name in FLAN for suffix in suffixes}


@pytest.mark.parametrize("name", FLAN)
def test_fewer_templates_keep_the_share_of_turned_around_ones(name: str):
    whole = get_task(name).templates
    share = sum(not info.forward for info in whole) / len(whole)
    for count in TEMPLATE_COUNTS:
        chosen = get_task(f"{name}_templates_{count}").templates
        assert len(chosen) == count and {*chosen} < {*whole}
        assert [info.index for info in chosen] == sorted({info.index for info in chosen})
        turned = sum(not info.forward for info in chosen)
        assert abs(turned - share * count) <= 0.5 and turned < count


def test_more_templates_than_there_are_means_all():
    infos = tuple(TemplateInfo(i, turned_around=i > 7) for i in range(10))
    assert chosen_templates(infos, None) == chosen_templates(infos, 10) == chosen_templates(infos, 99) == infos


def test_a_single_template_is_a_forward_one():
    infos = (TemplateInfo(0, turned_around=True), TemplateInfo(1, unconditional=True), TemplateInfo(2))
    assert chosen_templates(infos, 1) == (infos[2],)


def test_only_the_named_form_says_what_is_asked():
    named, plain = catalog.find("rte_named"), catalog.find("rte_plain")
    assert named.prefix == "[Natural language inference: rte] " and plain.prefix == ""
    assert named.template_group == plain.template_group == "flan2021_plain/rte"
    assert catalog.find("rte_continuation").template_group == "flan2021_continuation/rte"


def test_forms_keep_splits_fields_and_shared_rows():
    for name, form in catalog.forms().items():
        dataset = catalog.datasets()[next(n for n in sorted(FLAN, key=len, reverse=True) if name.startswith(f"{n}_"))]
        assert (form.splits, form.source, form.fields) == (dataset.splits, dataset.source, dataset.fields)
        assert (form.kind, form.metrics, form.cluster) == (dataset.kind, dataset.metrics, dataset.cluster)
        suffix = name.removeprefix(dataset.name)
        assert form.same_rows_as == (dataset.same_rows_as + suffix if dataset.same_rows_as else "")


def test_every_form_is_prepared_apart():
    tasks = [get_task(name) for name in ("rte", "rte_plain", "rte_named", "rte_continuation", "rte_templates_4")]
    assert len({task.fingerprint for task in tasks}) == len(tasks)


@pytest.mark.parametrize("name", FLAN)
def test_other_forms_ask_for_nothing_but_the_answer(name: str):
    for form in FORMS:
        assert all(info.forward for info in get_task(f"{name}_{form}").templates)
