"""Two made-up evaluations of the same questions, for tests of their pages and for looking at them."""

import pathlib

import numpy as np

from flan_jax.evaluation.metrics import get_metrics
from flan_jax.evaluation.requests import Request
from flan_jax.evaluation.results import Results, generated_row, ranked_row, rows_table

HOSTILE = "<script>alert('x')</script> & \"quoted\""
TOKENS = np.array([1, 2], np.int32)
DECLARED = {
    "three_way_inference": (
        "nli", ("accuracy", "macro_f1"), (" it follows", " it is not possible to tell", " it does not follow"),
    ),
    "reviews": ("sentiment", ("accuracy",), (" positive", " negative")),
    "next_step": ("commonsense", ("accuracy",), ()),
    "town_facts": ("closed_book_qa", ("trivia_qa",), None),
    "oru_english": ("translation", ("bleu",), None),
}  # fmt: skip
DIRECTIONS = {"oru_english": {t: "English to Oru" if t % 2 else "Oru to English" for t in range(10)}}
WORDS = ["the", "red", "lantern", "is", "in", "an", "old", "harbour", "near", "Mira"]


def write_runs(root: pathlib.Path, examples: int = 60, templates: int = 10) -> tuple[pathlib.Path, pathlib.Path]:
    """The results folders of a base model and of one that is better at some of it."""
    folders = []
    for name, step, skill in (("base", 2000, 0.1), ("tuned", 3000, 0.45)):
        folder = root / name / "evaluations" / f"{step}-microworld-test-0123abcd"
        folders.append(made_up(name, step, skill, examples, templates).write(folder))
    return folders[0], folders[1]


def made_up(name: str, step: int, skill: float, examples: int, templates: int) -> Results:
    draw = np.random.default_rng(step)
    rows = []
    for task, (cluster, _, options) in DECLARED.items():
        for example in range(examples):
            ease = np.random.default_rng([example, len(task)]).normal(0, 1)
            for template in range(templates):
                rows.append(_row(task, cluster, options, example, template, ease, skill, draw))
    metrics = {task: tuple(m.name for m in get_metrics(names)) for task, (_, names, _) in DECLARED.items()}
    provenance = {
        "checkpoint": {"directory": f"/runs/{name}", "step": step}, "parameter_digest": f"{step:032x}",
        "vocabulary_digest": "c0ffee", "code": "git 0123abc", "backend": "cpu", "scoring": {"split": "test"},
        "libraries": {"jax": "0.10.2", "sacrebleu": "2.6.0"}, "warnings": [f"a warning with {HOSTILE}"],
    }  # fmt: skip
    return Results(rows_table(rows, metrics), metrics, "test", None, provenance, replicates=300, directions=DIRECTIONS)


def _row(task, cluster, options, example, template, ease, skill, draw):
    asked = f"Mira went to the harbour before {HOSTILE}. Example {example} asked in way {template}?"
    if options == ():
        options = tuple(f" she takes the {WORDS[(example + k) % 10]} one" for k in range(4))
    answer = example % len(options) if options else -1
    request = Request(
        task=task, cluster=cluster, split="test", example_id=f"test-{example}", template=template, context=TOKENS,
        options=(TOKENS,) * len(options or ()), option_texts=options or (), answer=max(answer, 0),
        references=("the red lantern is in the old harbour",), inputs=asked,
    )  # fmt: skip
    if options:
        sums = draw.normal(-4, 1, len(options))
        sums[answer] += ease + 2.5 * skill
        return ranked_row(request, sums)
    share = 0.5 + 0.5 * skill if template % 2 else 0.3 + 0.6 * skill
    words = [word if draw.random() < share else draw.choice(WORDS) for word in request.references[0].split()]
    return generated_row(request, " ".join(words) if draw.random() > 0.02 else "", len(words))
