"""A tasks module with a catalogue and texts that try to be markup, holes or controls, for the catalogue page."""

from collections.abc import Iterator

from flan_jax.data.catalogue import Card, Catalogue, FormCard, Wording
from flan_jax.data.task import Dropped, Mixture, Rendered, Task, TemplateInfo

HOSTILE = (
    "</script><script>window.broken=1</script><img src=x onerror=window.broken=1><!-- {text} "
    "\"' &amp; \u2028\u202e\x0b 東🙂"
)
LONG = " ".join(f"word{number}" for number in range(900))
CLUSTERS = {"weather": "Weather & <i>wind</i>", "letters": "Letters"}
TASKS = {
    "rain": ("weather", "classification"), "rain_plain": ("weather", "classification"),
    "snow": ("weather", "classification"), "notes": ("letters", "generation"), "pages": ("letters", "documents"),
}  # fmt: skip
ASK = ("", "text", "\nIs it about <b>rain</b>?\n", "options", "")


def _infos(name: str) -> tuple[TemplateInfo, ...]:
    if name in ("pages", "rain_plain"):
        return (TemplateInfo(0),)
    return (TemplateInfo(0), TemplateInfo(1), TemplateInfo(2, turned_around=True))


def _text(name: str, number: int) -> str:
    if number == 5:
        return LONG if name == "notes" else HOSTILE
    return f"{name.title()} report {number}.\nThe sky was {('grey', 'blue')[number % 2]}."


def _render(name: str, templates: str | tuple[int, ...]) -> Iterator[Rendered | Dropped]:
    kind = TASKS[name][1]
    for number in range(12):
        text = _text(name, number)
        if number == 11:
            yield Dropped(str(number), "no label")
            continue
        chosen = (number % len(_infos(name)),) if templates == "hashed" else (0, 1)[: len(_infos(name))]
        for template in chosen:
            options = (" yes", " no") if kind == "classification" and template < 2 else ()
            inputs, targets = f"{template}: {text}\nAbout rain?", " yes" if kind == "classification" else f" {text}"
            if template == 2:
                inputs, targets = "Write about rain.", f" {text}"
            if kind == "documents":
                inputs, targets = "", text
            answer = 0 if options else -1
            yield Rendered(inputs, targets, options, answer, (targets.strip(), "other"), template, str(number), {})


def get_task(name: str) -> Task:
    cluster, kind = TASKS[name]
    return Task(
        name=name, cluster=cluster, benchmark="test", kind=kind, metrics=("accuracy",), splits=("train", "test"),
        templates=_infos(name), source="generated:1", licence=HOSTILE, citation="Nobody 2021", fingerprint=f"{name}-1",
        template_file="", render=lambda split, templates, seed: _render(name, templates),
    )  # fmt: skip


def get_mixture(name: str) -> Mixture:
    return {mixture.name: mixture for mixture in get_catalogue().mixtures}[name]


def _wordings(name: str) -> tuple[Wording, ...]:
    texts = (ASK, ("Say whether {this} ", "text", " rains"), ("Write about ", "answer", ""))
    targets = (("", "answer", ""), ("", "answer", ""), ("", "text", ""))
    words = ({}, {"yes": "Yes & yes"}, {})
    return tuple(Wording(info, texts[info.index], targets[info.index], words[info.index]) for info in _infos(name))


def _card(name: str, **more) -> Card:
    cluster, kind = TASKS[name]
    wordings = () if kind == "documents" else _wordings(name)
    forms = (FormCard("instructions", name, f"test/{name}.yaml", wordings),)
    if name == "rain":
        forms += (FormCard("plain", "rain_plain", "test_plain/rain.yaml", _wordings("rain_plain")),)
    return Card(
        name=name, cluster=cluster, benchmark="test", kind=kind, metrics=("accuracy",), source="sky/rain:1.0.0",
        licence="CC0", citation="Nobody 2021", splits={"train": "train[0:12]", "test": "test"}, forms=forms,
        fields=("text",), **more,
    )  # fmt: skip


def get_catalogue() -> Catalogue:
    """rain, notes and pages are meant to be prepared, snow is not."""
    cards = (
        _card("rain", caveats=HOSTILE, subsets={"rain_templates_1": (0,)}),
        _card("snow", manual="snow.zip", same_rows_as="rain"),
        _card("notes"),
        _card("pages"),
    )
    everything = Mixture("everything", ("rain", "snow", "notes"), ("rain", "snow", "notes"))
    without = Mixture("without_weather", ("notes",), ("rain", "snow"))
    return Catalogue(CLUSTERS, cards, (everything, without))
