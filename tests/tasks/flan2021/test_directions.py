"""Translation goes both ways: evaluation is told which template goes which."""

import pytest

from tasks import catalog
from tasks.registry import TEMPLATES, make_task, template_file

PAIRS = [name for name, dataset in catalog.datasets().items() if dataset.directions]


def test_every_pair_of_the_cluster_has_directions():
    cluster = [d.name for d in catalog.datasets().values() if (d.benchmark, d.cluster) == ("flan2021", "translation")]
    assert cluster == PAIRS and len(PAIRS) == 8


@pytest.mark.parametrize("name", [*PAIRS, "wmt16_translate_deen_continuation", "wmt16_translate_deen_plain"])
def test_templates_go_where_their_target_is(name):
    dataset = catalog.find(name)
    other = dataset.directions["source_text"].removesuffix(" to English")
    task, file = make_task(dataset), template_file(dataset, TEMPLATES)
    for info, template in zip(task.templates, file.templates, strict=True):
        (target,) = template.targets.names
        told = {"source_text": f"{other} to English"}.get(target, f"English to {other}")
        assert info.direction == (told if info.forward else "")
    assert {info.direction for info in task.templates if info.forward} <= set(dataset.directions.values())


@pytest.mark.parametrize("name", PAIRS)
def test_both_directions_have_templates(name):
    ways = [info.direction for info in make_task(catalog.find(name)).templates if info.forward]
    assert ways.count(ways[0]) == len(ways) / 2


def test_other_tasks_have_none():
    assert not any(info.direction for info in make_task(catalog.find("rte")).templates)
