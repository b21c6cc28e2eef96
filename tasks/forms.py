"""Other ways to put a declared dataset, each a task of its own: the ablations and baselines of the FLAN paper.

    rte                 ten instructions, one an example
    rte_templates_4     the same from four of them: how much does the variety of templates matter (appendix)
    rte_plain           the fields alone, input and output: "no template" (section 4.3)
    rte_named           the same behind "[Natural language inference: rte]": "dataset name" (section 4.3)
    rte_continuation    a text that a model without tuning would continue with the answer: the baseline (section 3)

Every form has all splits, so that exemplars of a form come from its own train split.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import get_args

from flan_jax.data.task import TemplateInfo

from .dataset import Dataset, Form

FORMS = tuple(form for form in get_args(Form) if form != "instructions")
TEMPLATE_COUNTS = (1, 2, 4, 7)
"""Sizes of the templates ablation; the whole ten are the dataset itself."""


def in_form(dataset: Dataset, form: Form, cluster_title: str) -> Dataset:
    """The dataset in another form: templates of the folder BENCHMARK_plain or BENCHMARK_continuation."""
    folder, _, group = dataset.template_group.partition("/")
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}_{form}",
        template_group=f"{folder}_{'plain' if form == 'named' else form}/{group}",
        same_rows_as=f"{dataset.same_rows_as}_{form}" if dataset.same_rows_as else "",
        form=form,
        prefix=f"[{cluster_title}: {dataset.name}] " if form == "named" else "",
    )


def with_templates(dataset: Dataset, count: int) -> Dataset:
    """The dataset with so many of its instructions."""
    suffix = f"_templates_{count}"
    same = f"{dataset.same_rows_as}{suffix}" if dataset.same_rows_as else ""
    return dataclasses.replace(dataset, name=dataset.name + suffix, same_rows_as=same, template_count=count)


def forms_of(dataset: Dataset, cluster_title: str) -> Iterator[Dataset]:
    """Every other form of a declared dataset."""
    for form in FORMS:
        yield in_form(dataset, form, cluster_title)
    for count in TEMPLATE_COUNTS:
        yield with_templates(dataset, count)


def chosen_templates(templates: Sequence[TemplateInfo], count: int | None) -> tuple[TemplateInfo, ...]:
    """`count` templates in file order, with about the share of turned-around ones that the whole file has.

    The release takes the first `count`, which hold hardly any turned around: its ablation varies that share as well.
    """
    if count is None or count >= len(templates):
        return tuple(templates)
    forward = [info for info in templates if info.forward]
    others = [info for info in templates if not info.forward]
    turned = min(round(count * len(others) / len(templates)), count - 1)
    chosen = {info.index for info in (*forward[: count - turned], *others[:turned])}
    return tuple(info for info in templates if info.index in chosen)
