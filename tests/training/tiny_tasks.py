"""A tasks module of two small tasks, so that the trainer can be tried without the suite."""

from collections.abc import Iterator

from flan_jax.data.task import Dropped, Mixture, Rendered, Task, TemplateInfo

COUNTS = {"train": 120, "validation": 30}


def _render(kind: str):
    def render(split: str, templates: str | tuple[int, ...], seed: int) -> Iterator[Rendered | Dropped]:
        for i in range(COUNTS[split]):
            a, b = (i * 37 + len(split)) % 50, (i * 11) % 50
            if kind == "sum":
                text, answer, options = f"Add {a} and {b}.", f" {a + b}", ()
            else:
                text, answer, options = (
                    f"Is {a} more than {b}?" + " Think." * (i % 5),
                    " yes" if a > b else " no",
                    (" yes", " no"),
                )
            right = options.index(answer) if options else -1
            yield Rendered(text, answer, options, right, (answer.strip(),), 0, f"{split}-{i}", {})

    return render


TASKS = {
    name: Task(
        name, "arithmetic", "tiny", "generation" if name == "sum" else "classification", ("accuracy",), tuple(COUNTS),
        (TemplateInfo(0),), "generated", "CC0", "", f"{name}-1", "", _render(name),
    )
    for name in ("sum", "more")
}  # fmt: skip


def get_task(name: str) -> Task:
    return TASKS[name]


def get_mixture(name: str) -> Mixture:
    return {"tiny": Mixture("tiny", ("sum", "more"), ("sum", "more"))}[name]
