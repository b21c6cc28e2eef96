"""All 610 instructions, and the plain, named and continuation forms, on text that tries to be taken for something else.

The expected texts are made by another route than the renderer's: one substitution over the raw YAML.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import catalog
from tasks.dataset import Dataset
from tasks.registry import TEMPLATES, template_file
from tasks.templating import render

FLAN = [d for d in catalog.datasets().values() if d.benchmark == "flan2021"]
GROUPS = {d.template_group: d for d in reversed(FLAN)}
"""Template group -> the first dataset that uses it."""
FORMS = ("", "_plain", "_named", "_continuation")

HOSTILE = st.one_of(
    st.sampled_from(
        ["", " ", "{", "}", "{{", "}}", "{}", "{0}", "{answer}", "{options}", "{{answer}}", "%s", "%(answer)s",
         "$answer", "\\n", "a\nb", "\r\n", "'", '"', "''''", "OPTIONS:\n- yes", "- no", "- {x: 1}", "#", "\t",
         "\u2028", "\u00a0", "\ufeff", "é漢🙂", "e\u0301", "\U0010fffd", "<b>&amp;", "{premise}", "{text}",
         "{question}", "\x00"]
    ),
    st.text(max_size=12),
)  # fmt: skip


def expected(text: str, values: Mapping[str, str]) -> str:
    """One pass over a template's own text: doubled braces become one, a {field} its value."""
    return re.sub(r"\{\{|\}\}|\{(\w+)\}", lambda hole: values[hole[1]] if hole[1] else hole[0][0], text)


def raw(dataset: Dataset) -> list[dict[str, Any]]:
    return yaml.safe_load((TEMPLATES / f"{dataset.template_group}.yaml").read_text(encoding="utf-8"))


def hostile_fields(dataset: Dataset, texts: Sequence[str]) -> dict[str, Any]:
    """A text for every field, in turn; four options that differ, or an answer and a reference more."""
    fields: dict[str, Any] = {name: texts[i % len(texts)] for i, name in enumerate(dataset.field_names)}
    if dataset.kind == "classification":
        options = tuple(f"{texts[-i % len(texts)]}{i}" for i in range(1, 5))
        return {**fields, "options": options, "answer": options[2]}
    return {**fields, "answer": texts[-1], "references": (texts[-1], texts[0])}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(HOSTILE, min_size=2, max_size=8))
def test_every_field_stands_where_the_template_says_and_nothing_else_is_read(group: str, form: str, texts: list[str]):
    dataset = catalog.find(GROUPS[group].name + form)
    fields = hostile_fields(dataset, texts)
    shown = {**fields, "options": "OPTIONS:\n" + "\n".join(f"- {text}" for text in fields.get("options", ()))}
    entries, templates = raw(dataset), template_file(dataset).templates
    assert len(entries) == len(templates)
    for entry, template in zip(entries, templates, strict=True):
        inputs, targets, options, answer, references = render(template, fields)
        target = expected(entry["targets"], shown).strip()
        assert inputs == (dataset.prefix + expected(entry["inputs"], shown)).rstrip()
        assert targets == (f" {target}" if target else "")
        if dataset.kind == "classification" and template.info.forward:
            filled = [expected(entry["targets"], {**shown, "answer": option}) for option in fields["options"]]
            assert ([*options], answer) == ([f" {text.strip()}" for text in filled], 2)
        else:
            assert (options, answer) == ((), -1)
        if "answer" in template.targets.names and "references" in fields:
            filled = [expected(entry["targets"], {**shown, "answer": text}) for text in fields["references"]]
            assert [*references] == [text.strip() for text in filled]


def test_six_hundred_and_ten():
    assert len(GROUPS) == 61
    assert sum(len(raw(dataset)) for dataset in GROUPS.values()) == 610
    for kind in ("plain", "continuation"):
        files = {path.stem for path in pathlib.Path(TEMPLATES / f"flan2021_{kind}").glob("*.yaml")}
        assert files == {group.partition("/")[2] for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS)
def test_seven_forward_templates_or_more_and_options_on_lines_of_their_own(group: str):
    forward = [template for template in template_file(GROUPS[group]).templates if template.info.forward]
    assert len(forward) >= 7
    for template in forward if GROUPS[group].kind == "classification" else ():
        text = template.inputs.fill({name: f"<{name}>" for name in template.inputs.names})
        assert f"\n{text}\n".count("\n<options>\n") == 1, template.info.index
        assert template.targets.names == ("answer",)


@pytest.mark.parametrize("group", GROUPS)
def test_unmarked_templates_take_the_answer_from_what_they_show(group: str):
    """A turned around or unconditional template says so; of a translation, either text is the answer to the other."""
    sentences = {"source_text", "target_text"}
    for template in template_file(GROUPS[group]).templates:
        asked, shown = {*template.targets.names}, {*template.inputs.names}
        translated = asked < sentences and shown & sentences == sentences - asked
        assert template.info.forward == (translated or asked == {"answer"}), template.info.index
        assert not asked & shown
        assert template.info.unconditional == (not shown)
