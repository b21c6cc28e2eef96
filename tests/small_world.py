"""A tasks module of a few rows with the mixture names of the embedded suite, so that the shipped runs can be run tiny.

Three clusters: nli and sentiment are ranked, translation is generated; documents to pretrain on.
"""

from flan_jax.data.task import Mixture, Rendered, Task, TemplateInfo

COLOURS = ("red", "green", "blue", "white")
THINGS = ("lamp", "boat", "stone")


def _row(cluster, number, template):
    thing, colour = THINGS[number % 3], COLOURS[(number // 3) % 4]
    if cluster == "documents":
        return "", f"The {thing} is {colour}. It was seen by {number} people.", (), -1
    if cluster == "nli":
        claimed = colour if number % 2 else COLOURS[(number // 3 + 1) % 4]
        ask = ("Is it true that", "Does it follow that")[template]
        return f"The {thing} is {colour}. {ask} the {thing} is {claimed}?", "", (" yes", " no"), 1 - number % 2
    if cluster == "sentiment":
        word = ("awful", "lovely")[number % 2]
        ask = ("How was it?", "Good or bad?")[template]
        return f"What {word} {thing} number {number}! {ask}", "", (" bad", " good"), number % 2
    return f"{('Say backwards:', 'Reverse:')[template]} {thing} {colour}", f" {colour} {thing}", (), -1


def _render(name, cluster, split, templates, seed):
    rows = {"train": range(60), "validation": range(60, 68), "test": range(68, 84)}[split]
    for number in rows:
        if cluster == "documents":
            chosen = (0,)
        elif templates == "hashed":
            chosen = ((number + seed) % 2,)
        else:
            chosen = (0, 1) if templates == "forward" else templates
        for template in chosen:
            inputs, targets, options, answer = _row(cluster, number, template)
            targets = options[answer] if options else targets
            references = () if options else (targets.strip(),)
            yield Rendered(
                inputs, targets, options, answer, references, template, f"{split}-{number}", {"number": str(number)}
            )


CLUSTERS = {"small_nli": "nli", "small_sentiment": "sentiment", "small_translation": "translation"}


def get_task(name: str) -> Task:
    cluster = (CLUSTERS | {"small_documents": "documents"})[name]
    kind = "documents" if cluster == "documents" else "generation" if cluster == "translation" else "classification"
    return Task(
        name=name, cluster=cluster, benchmark="microworld", kind=kind,
        metrics={"documents": (), "generation": ("exact_match",), "classification": ("accuracy",)}[kind],
        splits=("train", "validation", "test"),
        templates=(TemplateInfo(0),) if kind == "documents" else (TemplateInfo(0), TemplateInfo(1)),
        source="generated:1", licence="", citation="", fingerprint=f"{name}-1", template_file="",
        render=lambda split, templates, seed: _render(name, cluster, split, templates, seed),
    )  # fmt: skip


def get_mixture(name: str) -> Mixture:
    if name in ("microworld_documents", "microworld_primer", "microworld_pretraining"):
        return Mixture(name, ("small_documents",))
    if name == "microworld":
        return Mixture(name, tuple(CLUSTERS), tuple(CLUSTERS))
    for task, cluster in CLUSTERS.items():
        if name == f"microworld_loo_{cluster}":
            return Mixture(name, tuple(other for other in CLUSTERS if other != task), (task,))
    raise KeyError(f"there is no mixture {name!r}")
