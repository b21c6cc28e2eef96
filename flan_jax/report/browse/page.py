"""The catalogue as one HTML file: a short index that opens at once, and every dataset as JSON that is read when shown.

Nothing is fetched, and nothing of the data is markup: it lies in JSON without "<" and reaches the page as text nodes
only.  A content security policy that knows the page's own script and style by their hashes holds that line twice.
"""

import base64
import hashlib
import json
import pathlib
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from flan_jax.data.catalogue import Card, FormCard, Wording
from flan_jax.data.manifest import TextManifest
from flan_jax.report.browse.contents import Contents, Example, Gap, Part, PreparedSplit, PreparedTask
from flan_jax.report.contents import name_of

HERE = pathlib.Path(__file__).parent
STYLES = (HERE.parent / "page.css", HERE / "browse.css")
SCRIPTS = tuple(HERE / name for name in ("elements.js", "search.js", "example.js", "dataset.js", "browse.js"))
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"
GOES_ON = "Z"


def render(contents: Contents) -> str:
    """The whole page."""
    style = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    script = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    data = "".join(
        _json(f"dataset-{number}", _dataset(card, contents.prepared))
        for number, card in enumerate(contents.catalogue.cards)
    )
    body = (HERE / "browse.html").read_text(encoding="utf-8").replace("TITLE", escape(contents.title))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{escape(contents.title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head><body>{body}{_json('index', _index(contents))}{data}"
        f"<script>{script}</script></body></html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(name: str, value: Any) -> str:
    """Data for the script.  Without "<" nothing in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _index(contents: Contents) -> dict[str, Any]:
    """What the list, the filters and the facts need.  A mixture's tasks are numbers, into `tasks`."""
    catalogue = contents.catalogue
    clusters = dict.fromkeys([*catalogue.clusters, *(card.cluster for card in catalogue.cards)])
    numbers: dict[str, int] = {}

    def numbered(tasks: tuple[str, ...]) -> list[int]:
        return [numbers.setdefault(task, len(numbers)) for task in tasks]

    mixtures = [[mixture.name, numbered(mixture.train), numbered(mixture.evaluate)] for mixture in catalogue.mixtures]
    vocabulary = contents.vocabulary
    return {
        "clusters": [[c, catalogue.clusters.get(c) or name_of(c).capitalize()] for c in clusters],
        "datasets": [_entry(card, contents.prepared) for card in catalogue.cards],
        "mixtures": mixtures,
        "tasks": list(numbers),
        "module": contents.module,
        "store": contents.store,
        "vocabulary": vocabulary and {"name": f"{vocabulary.kind}, {vocabulary.size:,} tokens, {vocabulary.digest}"},
        "bos": bool(vocabulary and vocabulary.has_bos),
        "prepare": _command(contents),
    }


def _entry(card: Card, prepared: Mapping[str, PreparedTask]) -> dict[str, Any]:
    return {
        "name": card.name,
        "cluster": card.cluster,
        "benchmark": card.benchmark,
        "kind": card.kind,
        "generated": card.source.startswith("generated"),
        "forms": [form.form for form in card.forms],
        "tasks": [*(form.task for form in card.forms), *card.subsets],
        "prepared": [form.form for form in card.forms if form.task in prepared],
    }


def _command(contents: Contents) -> str:
    """The command that prepares a task, with TASK for its name."""
    vocabulary = contents.vocabulary.directory if contents.vocabulary else ""
    settings = {"MIXTURE": "TASK", "STORE": contents.store, "VOCABULARY": vocabulary}
    settings["TASKS"] = "" if contents.module == "flan_jax_tasks" else contents.module
    return " ".join(["flan-jax prepare", *(_flag(name, value) for name, value in settings.items() if value)])


def _flag(name: str, value: str) -> str:
    plain = not set(value) & set("\\\"'`$!")
    return f"--gin.{name}=\"'{value}'\"" if plain else shlex.quote(f"--gin.{name}={value!r}")


def _dataset(card: Card, prepared: Mapping[str, PreparedTask]) -> dict[str, Any]:
    return {
        "metrics": card.metrics,
        "source": card.source,
        "manual": card.manual,
        "licence": card.licence,
        "citation": card.citation,
        "caveats": card.caveats,
        "fields": card.fields,
        "family": card.family,
        "sameRowsAs": card.same_rows_as,
        "splits": card.splits,
        "subsets": card.subsets,
        "forms": [_form(form, prepared.get(form.task)) for form in card.forms],
    }


def _form(form: FormCard, prepared: PreparedTask | None) -> dict[str, Any]:
    return {
        "form": form.form,
        "task": form.task,
        "file": form.file,
        "wordings": list(map(_wording, form.wordings)),
        "splits": [_split(split) for split in prepared.splits] if prepared else [],
        "examples": list(map(_example, prepared.examples)) if prepared else [],
        "stale": prepared.stale if prepared else "",
    }


def _wording(wording: Wording) -> dict[str, Any]:
    inputs, targets = list(wording.inputs), list(wording.targets)
    if inputs and targets:  # rendering takes off the white space that a YAML block leaves
        inputs[-1], targets[-1] = inputs[-1].rstrip(), targets[-1].rstrip()
    return {
        "index": wording.info.index,
        "turned": wording.info.turned_around,
        "unconditional": wording.info.unconditional,
        "inputs": inputs,
        "targets": targets,
        "words": list(wording.words.items()),
    }


def _split(split: PreparedSplit) -> dict[str, Any]:
    text, tokens = split.text, split.tokens
    return {
        "split": text.split,
        "seen": text.seen,
        "kept": text.kept,
        "rows": text.rows,
        "dropped": list(_dropped(text)),
        "tokens": tokens
        and {
            "inputs": tokens.input_tokens,
            "targets": tokens.target_tokens,
            "longest": tokens.longest,
            "histogram": list(tokens.length_histogram.items()),
            "joinedDiffers": tokens.boundary_differs,
        },
    }


def _dropped(text: TextManifest) -> Iterator[str]:
    yield from (f"{count:,} {reason}" for reason, count in text.dropped.items())
    yield from (f"{count:,} rows {reason}" for reason, count in text.rows_dropped.items())


def _example(example: Example) -> dict[str, Any]:
    return {
        "template": example.template,
        "split": example.split,
        "id": example.example_id,
        "inputs": _part(example.inputs),
        "targets": _part(example.targets),
        "options": list(map(_part, example.options)),
        "answer": example.answer,
        "references": example.references,
        "joinedDiffers": example.joined_differs,
    }


def _part(part: Part) -> list[Any]:
    """[number of tokens or null, 1 if changed, stretch, ...].

    A stretch is [text, cuts], or of a gap [tokens, characters]; cuts are null where the tokens are not known.
    """
    stretches = [
        [stretch.tokens, stretch.characters]
        if isinstance(stretch, Gap)
        else [stretch.text, None if stretch.lengths is None else _cuts(stretch.lengths)]
        for stretch in part.stretches
    ]
    return [part.tokens, int(part.changed), *stretches]


def _cuts(lengths: tuple[int, ...]) -> str:
    """A digit for each token's length; GOES_ON stands for as many as there are digits, and more to come."""
    whole = len(DIGITS)
    return "".join(GOES_ON * (length // whole) + DIGITS[length % whole] for length in lengths)
