"""What the renderer makes of given templates and fields, pinned: stores know the text they hold by RENDERER_VERSION."""

import hashlib
import json
import pathlib
from typing import Any

import pytest

from flan_jax.data.task import Rendered
from tasks.dataset import Dataset, Drop, Fields, Form, Generated, choice, told_choice
from tasks.registry import make_task
from tasks.templating import RENDERER_VERSION

PINNED = ("1", "fcb6bdbae0065515")
"""RENDERER_VERSION, and the digest of the text that it stands for."""

HOSTILE = 'Brace {premise} {{x}},\ttab, "quotes", \\n, é漢🙂.\n\nA second paragraph.  \n'
ROWS = (
    {"premise": HOSTILE, "hypothesis": " spaced ", "options": ("yes", "no"), "answer": "no"},
    {"premise": "It rains.", "hypothesis": "It is\nwet.", "options": ("a {b}", " c\nd ", "no"), "answer": " c\nd "},
    {"premise": "Who?", "hypothesis": "", "answer": " Ann ", "references": ("Ann", " Ann B. ", "no")},
    {"premise": " \n", "hypothesis": " \n", "answer": ""},
)
"""With options, short and long; with references; with nothing that could be a target.  See also `fields`."""

OPTIONS = """
- {inputs: "{premise}\\n\\nDoes {hypothesis} follow?\\n{options}\\n", targets: "{answer}"}
- {inputs: "{options}\\n{{a}} {premise}", targets: " It is {answer}. "}
- {inputs: "  {hypothesis}{premise}?", targets: "{answer}", words: {"no": "False", "yes": "True"}}
"""
NO_OPTIONS = """
- {inputs: "{premise}\\n\\nDoes {hypothesis} follow?\\n", targets: "{answer}"}
- {inputs: "{{a}} {premise}", targets: " It is {answer}. "}
- {inputs: "  {hypothesis}{premise}?", targets: "{answer}", words: {"no": "False"}}
"""
INSTRUCTIONS = """
- {inputs: "3 {premise}", targets: "{answer}"}
- {inputs: "4 {premise}", targets: "{answer}"}
- {inputs: "5 {premise}", targets: "{answer}"}
- {inputs: "6 {premise}", targets: "{answer}"}
- {inputs: "Write what is {answer}", targets: "{hypothesis}", turned_around: true}
- {inputs: "Write what {hypothesis} follows from, {answer}", targets: "{premise}", turned_around: true}
- {inputs: "Write something.", targets: "{premise} {hypothesis}", unconditional: true}
"""


def fields(row: dict[str, Any]) -> Fields | Drop:
    """The options of the first row are those of a label; of the second, those that the row itself brings."""
    chosen = row.get("options", ())
    if chosen == ("yes", "no"):
        return {**row, **choice(chosen, 1)}
    made = told_choice(chosen, 1) if chosen else {}
    return made if isinstance(made, Drop) else {**row, **made}


def rendered(folder: pathlib.Path, form: Form, ranked: bool, count: int | None) -> list[Rendered]:
    """Everything that a dataset gives in a form, with a prefix where it has one: all templates, and the chosen ones."""
    entries = OPTIONS if ranked else NO_OPTIONS
    entries = entries.strip().splitlines()[: 2 if form in ("plain", "named") else 3]
    text = "\n".join(entries) + (INSTRUCTIONS if form == "instructions" else "")
    (folder / "pinned.yaml").write_text(text, encoding="utf-8")
    dataset = Dataset(
        name=f"pinned_{form}",
        cluster="nli",
        benchmark="pinned",
        source=Generated(lambda split: [row for row in ROWS if ("options" in row) == ranked], "1"),
        splits={"train": "train", "test": "test"},
        fields=fields,
        field_names=("premise", "hypothesis"),
        kind="classification" if ranked else "generation",
        metrics=("accuracy",),
        licence="none",
        citation="none",
        template_group="pinned",
        form=form,
        prefix="[Inference: {pinned}] " if form == "named" else "",
        template_count=count,
    )
    task = make_task(dataset, folder)
    every = tuple(info.index for info in task.templates)
    settings = (("train", "hashed", 3), ("test", "forward", 0), ("test", every, 0))
    return [row for split, templates, seed in settings for row in task.render(split, templates, seed)]


def test_a_change_of_the_rendered_text_raises_the_version_of_the_renderer(tmp_path):
    forms: list[tuple[Form, int | None]] = [
        ("instructions", None), ("instructions", 4), ("plain", None), ("named", None), ("continuation", None)
    ]  # fmt: skip
    rows = [row for ranked in (True, False) for form, n in forms for row in rendered(tmp_path, form, ranked, n)]
    assert {row.template for row in rows if isinstance(row, Rendered)} == {*range(10)}
    text = json.dumps([[*row] for row in rows], sort_keys=True)
    found = (RENDERER_VERSION, hashlib.sha256(text.encode()).hexdigest()[:16])
    if found != PINNED:
        pytest.fail(
            "the same templates and fields give other text than before, or RENDERER_VERSION was raised: stores would "
            "be taken for what they no longer hold\n"
            "  if the text is meant to change: raise RENDERER_VERSION in tasks/templating.py, so that they are made "
            "anew\n"
            f"  then pin what there is now: PINNED = {found!r}, in {__file__}\n"
            "  if it is not: mend the renderer (tasks/templating.py, tasks/registry.py)"
        )
