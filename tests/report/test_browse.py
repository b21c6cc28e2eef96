"""The catalogue page without a browser: what is gathered from the store, what is safe in the file, how it is served."""

import dataclasses
import html.parser
import json
import shutil
import threading
import urllib.error
import urllib.request

import browse_tasks
import numpy as np
import pytest
import small_world

from flan_jax.cli import main
from flan_jax.data.manifest import CorruptStore
from flan_jax.data.store import Store
from flan_jax.data.vocabulary import ByteVocabulary, VocabularyError
from flan_jax.report.browse import NoStore, write_catalogue
from flan_jax.report.browse.contents import Gap
from flan_jax.report.browse.examples import HEAD, TAIL, plain_part, token_part
from flan_jax.report.browse.gather import BrowseError, gather
from flan_jax.report.browse.page import DIGITS, GOES_ON, render
from flan_jax.report.browse.serve import PageServer, PortTaken
from flan_jax.report.browse.token_text import TokenText


@pytest.fixture(scope="module")
def contents(browse_store):
    return gather("browse_tasks", browse_store, None, 2)


class Scripts(html.parser.HTMLParser):
    """The page as a parser sees it: tags by name, and the text of every script by its id."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.inside, self.fetched = [], {}, None, []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.fetched += [attributes[name] for name in ("src", "href") if name in attributes]
        self.inside = attributes.get("id", "code") if tag == "script" else None

    def handle_data(self, data):
        if self.inside is not None:
            self.texts[self.inside] = self.texts.get(self.inside, "") + data

    def handle_endtag(self, tag):
        self.inside = None


def parsed(page: str) -> Scripts:
    scripts = Scripts()
    scripts.feed(page)
    return scripts


def test_what_is_prepared_has_two_examples_of_every_template(contents):
    assert set(contents.prepared) == {"rain", "rain_plain", "notes", "pages"}
    for task, templates in {"rain": (0, 0, 1, 1, 2, 2), "notes": (0, 0, 1, 1, 2, 2), "pages": (0, 0)}.items():
        assert tuple(example.template for example in contents.prepared[task].examples) == templates
    assert {example.split for example in contents.prepared["rain"].examples} == {"train"}


def test_an_example_is_the_row_of_the_store(contents, browse_store):
    text = Store(browse_store).open_text("rain", "train").to_pylist()
    rows = {(row["example_id"], row["template"]): row for row in text}
    for example in contents.prepared["rain"].examples:
        row = rows[example.example_id, example.template]
        for part, told in ((example.inputs, row["inputs"]), (example.targets, row["targets"])):
            assert "".join(stretch.text for stretch in part.stretches) == told
            assert part.tokens == len(told.encode()) and not part.changed
        assert (len(example.options), example.answer) == (len(row["options"]), row["answer"])


def test_the_manifests_figures_are_told(contents):
    train = contents.prepared["rain"].splits[0]
    assert (train.text.split, train.text.seen, train.text.kept, train.text.dropped) == (
        "train",
        12,
        11,
        {"no label": 1},
    )
    assert train.tokens and train.tokens.longest > 10


def test_long_texts_lose_their_middle_and_say_how_much():
    vocabulary = ByteVocabulary()
    [ids] = vocabulary.encode([browse_tasks.LONG])
    for part, tokens in (
        (token_part(browse_tasks.LONG, np.array(ids), TokenText(vocabulary)), len(ids)),
        (plain_part(browse_tasks.LONG), 0),
    ):
        head, gap, tail = part.stretches
        assert (
            isinstance(gap, Gap) and browse_tasks.LONG.startswith(head.text) and browse_tasks.LONG.endswith(tail.text)
        )
        assert len(head.text) + gap.characters + len(tail.text) == len(browse_tasks.LONG)
        assert len(head.text) <= HEAD and len(tail.text) + 10 >= TAIL and (gap.tokens > 0) == (tokens > 0)
        if tokens:
            assert len(head.lengths) + gap.tokens + len(tail.lengths) == tokens == part.tokens


def test_one_token_longer_than_all_that_is_shown_is_kept_whole():
    part = plain_part("x" * (HEAD + TAIL + 1))
    assert [stretch.text for stretch in part.stretches] == ["x" * (HEAD + TAIL + 1)]


def test_what_the_vocabulary_does_not_give_back_is_marked(contents):
    class Upper(ByteVocabulary):
        def decode(self, ids):
            return super().decode(ids).upper()

    ids = np.array(ByteVocabulary().encode(["rain"])[0])
    assert token_part("rain", ids, TokenText(Upper())).changed
    assert not token_part("RAIN", ids, TokenText(Upper())).changed


def test_data_cannot_become_markup(contents):
    page = render(contents)
    scripts = parsed(page)
    datasets = len(contents.catalogue.cards)
    assert scripts.tags.count("script") == datasets + 2 and "img" not in scripts.tags  # index, datasets, code
    assert scripts.fetched == ["data:,", "#detail", "#"]
    for name, text in scripts.texts.items():
        if name != "code":
            assert "<" not in text
            json.loads(text)
    assert json.loads(scripts.texts["dataset-0"])["caveats"] == browse_tasks.HOSTILE
    assert "script-src 'sha256-" in page and "default-src 'none'" in page and "unsafe" not in page


def test_a_page_of_equal_input_is_equal(contents, browse_store):
    assert render(contents) == render(gather("browse_tasks", browse_store, None, 2))


def test_cuts_hold_the_length_of_every_token(contents):
    data = json.loads(parsed(render(contents)).texts["dataset-0"])
    for example in data["forms"][0]["examples"]:
        tokens, _, (text, cuts) = example["inputs"]
        lengths = [DIGITS.index(digit) for digit in cuts.replace(GOES_ON, "")]
        assert len(lengths) == tokens and sum(lengths) == len(text.encode("utf-16-le")) // 2


def test_older_templates_are_noticed(browse_store, monkeypatch):
    now = browse_tasks.get_task

    def changed(name):
        return dataclasses.replace(now(name), fingerprint="2") if name == "rain" else now(name)

    monkeypatch.setattr(browse_tasks, "get_task", changed)
    contents = gather("browse_tasks", browse_store, None, 2)
    assert contents.prepared["rain"].stale and not contents.prepared["notes"].stale


def test_without_a_store_there_are_templates_and_the_way_to_prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = write_catalogue("page.html", None, "browse_tasks").read_text()
    index = json.loads(parsed(page).texts["index"])
    assert index["prepare"] == (
        "flan-jax prepare --gin.MIXTURE=\"'TASK'\" --gin.STORE=\"'runs/store'\" --gin.TASKS=\"'browse_tasks'\""
    )
    assert all(not entry["prepared"] for entry in index["datasets"])
    with pytest.raises(NoStore, match=r"prepare --gin\.STORE"):
        write_catalogue("page.html", "elsewhere", "browse_tasks")


def test_a_module_without_a_catalogue_shows_what_the_store_holds(tmp_path, monkeypatch):
    from flan_jax.data.prepare import PrepareConfig, prepare

    store = tmp_path / "store"
    with pytest.raises(BrowseError, match="offers no get_catalogue"):
        gather("small_world", store, None, 2)
    prepare(PrepareConfig("small_nli", str(store), "bytes", tasks="small_world", processes=1))
    contents = gather("small_world", store, None, 1)
    [card] = contents.catalogue.cards
    assert (card.name, card.cluster, card.splits) == (
        "small_nli",
        "nli",
        dict.fromkeys(("train", "validation", "test"), ""),
    )
    assert len(contents.prepared["small_nli"].examples) == len(small_world.get_task("small_nli").templates)
    render(contents)


def test_several_vocabularies_must_be_told_apart(browse_store, tmp_path):
    from flan_jax.data.prepare import PrepareConfig, prepare

    store = tmp_path / "store"
    shutil.copytree(browse_store, store)
    prepare(PrepareConfig("notes", str(store), "sentencepiece:300", tasks="browse_tasks", processes=1))
    with pytest.raises(VocabularyError, match=r"--vocabulary="):
        gather("browse_tasks", store, None, 2)
    contents = gather("browse_tasks", store, "sentencepiece:300", 2)
    assert contents.prepared["notes"].splits[0].tokens and contents.prepared["rain"].splits[0].tokens is None
    assert contents.prepared["rain"].examples[0].inputs.tokens is None  # not tokenised with that one


def test_one_vocabulary_under_two_names_is_one(browse_store, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(browse_store, store)
    [vocabulary] = (store / "vocabularies").iterdir()
    shutil.copytree(vocabulary, store / "vocabularies" / "again")
    facts = gather("browse_tasks", store, None, 2).vocabulary
    assert facts and facts.digest == ByteVocabulary().digest[:12]


def test_a_file_of_another_size_is_refused(browse_store, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(browse_store, store)
    path = store / "text" / "rain" / "train.arrow"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CorruptStore, match=r"rain/train\.arrow"):
        gather("browse_tasks", store, None, 2)


def test_the_shipped_catalogue_is_whole():
    import tasks

    catalogue = tasks.get_catalogue()
    for card in catalogue.cards:
        assert card.cluster in catalogue.clusters or card.kind == "documents"
        assert card.kind == "documents" or len(card.forms[0].wordings) == 10, card.name
    known = {task for card in catalogue.cards for task in (*(form.task for form in card.forms), *card.subsets)}
    assert {task for mixture in catalogue.mixtures for task in (*mixture.train, *mixture.evaluate)} <= known
    [rte] = [card for card in catalogue.cards if card.name == "rte"]
    assert rte.splits == {"train": "train[0:30000]", "validation": "train[-200:]", "test": "validation"}
    assert [form.form for form in rte.forms] == ["instructions", "plain", "named", "continuation"]
    assert rte.forms[2].wordings[0].inputs[0].startswith("[Natural language inference: rte]")


@pytest.fixture
def server(catalogue_page):
    with PageServer(catalogue_page, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_only_the_page_is_served_and_only_here(server, catalogue_page):
    assert server.server_address[0] == "127.0.0.1"
    with urllib.request.urlopen(server.url) as answer:
        assert answer.read() == catalogue_page.read_bytes()
    for address, headers, status in (
        (server.url + "etc/passwd", {}, 404),
        (server.url + "../store", {}, 404),
        (server.url, {"Host": "elsewhere.example:80"}, 403),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(address, headers=headers))
        assert refused.value.code == status
    with pytest.raises(PortTaken, match="--serve=0"):
        PageServer(catalogue_page, server.server_address[1])


def test_the_command_writes_the_page_and_says_how_large_it_is(browse_store, tmp_path, capsys):
    output = tmp_path / "page.html"
    assert main(["browse", f"--store={browse_store}", "--tasks=browse_tasks", f"--output={output}"]) == 0
    assert f"{output}   0." in capsys.readouterr().out and output.exists()
    assert main(["browse", "--store=/nowhere", f"--output={output}"]) == 2
    assert "NoStore: there is no store /nowhere" in capsys.readouterr().err
