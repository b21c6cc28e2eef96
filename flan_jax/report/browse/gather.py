"""From a tasks module and a store to the contents of the catalogue page.  Renders and tokenises nothing."""

import json
import pathlib

from flan_jax.data.catalogue import Card, Catalogue, FormCard, HasCatalogue, Wording
from flan_jax.data.manifest import TextManifest, TokenManifest
from flan_jax.data.store import NotPrepared, Store, template_digest
from flan_jax.data.task import TaskRegistry, load_registry
from flan_jax.data.vocabulary import MANIFEST, Vocabulary, VocabularyError, load_vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.progress import Progress
from flan_jax.report.browse.contents import Contents, PreparedSplit, PreparedTask, VocabularyFacts
from flan_jax.report.browse.examples import SplitRows, choose_examples
from flan_jax.report.browse.token_text import TokenText

SPLITS = ("train", "validation", "test")


class BrowseError(FlanJaxError):
    """There is nothing to make a catalogue page of; says what to name instead."""


def gather(module: str, root: pathlib.Path, vocabulary: str | None, examples: int) -> Contents:
    """The catalogue of a tasks module with what the store at `root`, which need not be there, holds of it.

    vocabulary: as for `Store.find_vocabulary`; None if the store has one only.   examples: shown of each template.
    Raises BrowseError; TasksModuleError, VocabularyError, CorruptStore.
    """
    registry = load_registry(module)
    # The page shows what is there; whether the bytes are those written is asked by those who learn from them.
    store = Store(root, accept_stale=True, verify=False)
    here = sorted(path.name for path in root.glob("text/*") if path.is_dir())
    if isinstance(registry, HasCatalogue):
        catalogue = registry.get_catalogue()
    else:
        catalogue = _of_store(registry, here)
        if not catalogue.cards:
            raise BrowseError(
                f"the tasks module {module!r} offers no get_catalogue, and {root} holds none of its tasks\n"
                f"  prepare some (flan-jax prepare) and name their folder:   --store"
            )
    found, facts = _vocabulary(store, vocabulary)
    token_text = TokenText(found) if found else None
    prepared = {}
    tasks = [form.task for card in catalogue.cards for form in card.forms if form.task in here]
    with Progress(len(tasks), "tasks", "browse") as progress:
        for name in tasks:
            task = _prepared(store, registry, name, facts.digest if facts else None, token_text, examples)
            if task.splits:
                prepared[name] = task
            progress.update()
    return Contents("Task catalogue", module, str(root), facts, catalogue, prepared)


def _of_store(registry: TaskRegistry, names: list[str]) -> Catalogue:
    """The catalogue of a module that offers none: its tasks that the store holds, without their templates' text."""
    cards = []
    for name in names:
        try:
            task = registry.get_task(name)
        except KeyError:  # prepared by another module
            continue
        file = pathlib.Path(task.template_file).name
        form = FormCard("instructions", name, file, tuple(Wording(info) for info in task.templates))
        cards.append(
            Card(
                name=name,
                cluster=task.cluster,
                benchmark=task.benchmark,
                kind=task.kind,
                metrics=task.metrics,
                source=task.source,
                licence=task.licence,
                citation=task.citation,
                splits=dict.fromkeys(task.splits, ""),
                forms=(form,),
            )
        )
    return Catalogue({}, tuple(cards), ())


def _vocabulary(store: Store, spec: str | None) -> tuple[Vocabulary | None, VocabularyFacts | None]:
    if spec is None:
        # One vocabulary may lie there under several names: prepare saves what it is given under a name of its own.
        paths = sorted(store.root.glob(f"vocabularies/*/{MANIFEST}"), reverse=True)
        found = sorted({json.loads(path.read_bytes())["digest"]: path.parent for path in paths}.values())
        if not found:
            return None, None
        if len(found) > 1:
            raise VocabularyError(
                f"{store.root}/vocabularies has {len(found)}; name the one whose tokens to show:\n"
                + "\n".join(f"  --vocabulary={path}" for path in found)
            )
        directory, vocabulary = str(found[0]), load_vocabulary(str(found[0]))
    else:
        vocabulary = store.find_vocabulary(spec)
        directory = str(store.vocabulary_directory(vocabulary.digest))
    facts = VocabularyFacts(
        directory, vocabulary.kind, vocabulary.size, vocabulary.digest[:12], vocabulary.bos_id is not None
    )
    return vocabulary, facts


def _prepared(
    store: Store, registry: TaskRegistry, name: str, digest: str | None, token_text: TokenText | None, examples: int
) -> PreparedTask:
    """What the store holds of a task."""
    task = registry.get_task(name)
    splits, rows = [], []
    stale = ""
    for split in SPLITS:
        try:
            text = store.text_manifest(name, split)
        except NotPrepared:
            continue
        if text.fingerprint != task.fingerprint:
            same_file = text.template_digest == template_digest(task.template_file)
            stale = "its source, its fields or their code" if same_file else "its templates"
        tokens = _tokens(store, text, digest) if digest is not None else None
        table = store.open_tokens(tokens.vocabulary_digest, name, split) if tokens else None
        splits.append(PreparedSplit(text, tokens))
        rows.append(SplitRows(split, store.open_text(name, split), table))
    return PreparedTask(tuple(splits), choose_examples(rows, examples, token_text), stale)


def _tokens(store: Store, text: TextManifest, digest: str) -> TokenManifest | None:
    """The manifest of a split's tokens, unless there are none or they are those of an older text."""
    try:
        tokens = store.token_manifest(digest, text.task, text.split)
    except NotPrepared:
        return None
    return tokens if tokens.text_xxh3 == text.data.xxh3 else None
