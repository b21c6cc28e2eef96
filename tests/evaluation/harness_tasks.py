"""Small tasks of lm-evaluation-harness, of made-up documents: 2, 3, 4 options, letters, shots, generation."""

import logging
import random
from typing import Any

import datasets
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

WORDS = (
    "mira",
    "keeps",
    "a",
    "red",
    "lamp",
    "in",
    "the",
    "old",
    "mill",
    "and",
    "tomas",
    "sees",
    "it",
    "don't",
    "17",
    "café",
)
METRICS = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")


def _text(draw: random.Random, least: int, most: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, most)))


def documents(options: int, count: int, longest: int, context: int, seed: int) -> list[dict[str, Any]]:
    """Questions of up to `context` words with distinct options of up to `longest`."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        choices: dict[str, None] = {}
        while len(choices) < options:
            choices[_text(draw, 1, longest)] = None
        rows.append(
            {
                "question": _text(draw, context // 2, context),
                "choices": list(choices),
                "answer": draw.randrange(options),
            }
        )
    return rows


def metrics(*names: str) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]


def task(name: str, rows: list[dict[str, Any]], shots: int = 0, **settings: Any) -> dict[str, Any]:
    """A task on these rows; with shots, the first of other rows stand before every question."""

    def dataset(**_: Any) -> dict[str, datasets.Dataset]:
        return {"test": datasets.Dataset.from_list(rows), "train": datasets.Dataset.from_list(rows[:shots][::-1])}

    shown = {"training_split": "train", "num_fewshot": shots, "fewshot_config": {"sampler": "first_n"}} if shots else {}
    return {
        "task": name, "custom_dataset": dataset, "test_split": "test", "output_type": "multiple_choice",
        "doc_to_text": "{{question}}. What follows?", "doc_to_choice": "{{choices}}", "doc_to_target": "{{answer}}",
        "metric_list": metrics(*METRICS), **shown, **settings,
    }  # fmt: skip


LETTERED = "{{question}}?\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"


def ranked_tasks(count: int) -> list[dict[str, Any]]:
    letters = {"doc_to_text": LETTERED, "doc_to_choice": ["A", "B", "C", "D"], "metric_list": metrics("acc")}
    spaced = {"doc_to_text": "{{question}}. So: ", "target_delimiter": ""}
    return [
        task("two", documents(2, count, 9, 30, 1)),
        task("three", documents(3, count, 4, 60, 2)),
        task("four", documents(4, count, 12, 40, 3)),
        task("spaced", documents(5, count, 3, 20, 4), **spaced),
        task("letters", documents(4, count, 6, 30, 5), **letters),
        task("shots", documents(3, count, 4, 30, 6), shots=3),
    ]


def generated_task(count: int, stop: list[str], new_tokens: int) -> dict[str, Any]:
    rows = [{**row, "target": row["choices"][0]} for row in documents(2, count, 3, 30, 7)]
    settings = {"until": stop, "max_gen_toks": new_tokens, "do_sample": False}
    return task(
        "generated", rows, output_type="generate_until", generation_kwargs=settings, doc_to_choice=None,
        doc_to_target="{{target}}", metric_list=metrics("exact_match"),
    )  # fmt: skip


def text_task(count: int) -> dict[str, Any]:
    """Perplexity of whole texts, some longer than the window."""
    rows = [{"text": _text(random.Random(i), 10, 150)} for i in range(count)]
    named = [{"metric": name} for name in ("word_perplexity", "bits_per_byte")]
    return task("texts", rows, output_type="loglikelihood_rolling", doc_to_text="", doc_to_choice=None,
                doc_to_target="{{text}}", metric_list=named)  # fmt: skip


def run(model: Any, tasks: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """The harness's results and samples of a model, without any of its own tasks."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_defaults=False)
    found = simple_evaluate(model, tasks=list(tasks), bootstrap_iters=0, task_manager=manager, **settings)
    assert found is not None
    return dict(found)
