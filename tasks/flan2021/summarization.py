"""Summarization: say in few words what a text says.  FLAN 2021, cluster 12 of 12.

FLAN counts the topics of AG News here as well: naming a topic is the shortest summary.  `answer` is always the summary.
"""

import functools
import re
from collections.abc import Callable, Iterable

from ..dataset import Dataset, Drop, Fields, Labels, Row, Tfds, choice
from ..splits import CAP, VALIDATION, Rows, held_out_labels, official

EMPTY = Drop("empty text")
MOST_OPINIONS = 10
"""Reviews and arguments shown of those that were collected, as in FLAN; some films have more than a hundred."""

_dataset = functools.partial(
    Dataset, cluster="summarization", benchmark="flan2021", kind="generation", metrics=("rouge",), splits=official()
)


def _taken_over(text: str, source_text: str, source_summary: str) -> Callable[[Row], Fields | Drop]:
    """The `fields` of a source that has a text, here called `text`, and its summary, with nothing to clean."""

    def fields(x: Row) -> Fields | Drop:
        if not x[source_text].strip() or not x[source_summary].strip():
            return EMPTY
        return {text: x[source_text], "answer": x[source_summary]}

    return fields


def _aeslc(x: Row) -> Fields | Drop:
    """The corpus has each sentence on a line of its own; those lines are not the writer's."""
    body, subject = (x[name].replace("\n", " ").strip() for name in ("email_body", "subject_line"))
    return {"body": body, "answer": subject} if body and subject else EMPTY


AESLC = _dataset(
    name="aeslc",
    source=Tfds("aeslc:1.0.0"),
    splits={"train": Rows("train", 0, CAP), "validation": Rows("validation", -VALIDATION), "test": Rows("test")},
    fields=_aeslc,
    field_names=("body",),
    licence="no explicit licence; the Enron e-mails were made public by a US authority (FERC)",
    citation="Zhang and Tetreault 2019",
    template_group="flan2021/aeslc",
    caveats="Real e-mails of named people. The corpus has no line breaks but those between sentences, which become "
    "spaces.",
)

_STAMP = r"(?:PUBLISHED|CREATED|UPDATED|Last\s+updated)\b[^|]{0,40}?\b(?:19|20)\d\d\b\s*\.?"
_DATELINE = re.compile(
    rf"""\s*(?:
        # "By . Ann Lee . PUBLISHED: . 10:32 EST, 21 May 2012 . | . UPDATED: . 11:04 EST, 21 May 2012 . "
        (?:By\b[^|]{{1,150}}?)? {_STAMP} (?:\s*\|\s*\.?\s*{_STAMP})?
        # "(CNN) -- ", "New Delhi, India (CNN) -- "
      | (?:[^\W\d_][^\n():?!]{{0,60}}\s)? \(CNN[^()\n]{{0,30}}\)\s*(?:--|[–—])
        # "(CNN)The", "Washington (CNN)The", "(CNN) The"
      | (?:[^\W\d_][^\n():?!]{{0,60}}\s)? \(CNN\)(?=[\w"'“‘])
      | \(CNN\)
        # "(Mashable) -- ", "PARIS, France (AP) -- ": other agencies stand behind a place in capitals or none
      | (?:[^\Wa-z\d_][^a-z\n():?!]{{1,40}}(?:,\s[^\n():?!]{{1,40}})?\s)? \([A-Z][^()\n]{{1,40}}\)\s*--
    )\s*""",
    re.VERBOSE,
)


def _cnn_dailymail(x: Row) -> Fields | Drop:
    """Place, agency, author and dates in front of an article are no part of the story: what follows them is kept."""
    dateline = _DATELINE.match(x["article"])
    article = x["article"][dateline.end() :] if dateline else x["article"]
    return {"article": article, "answer": x["highlights"]} if article.strip() and x["highlights"].strip() else EMPTY


CNN_DAILYMAIL = _dataset(
    name="cnn_dailymail",
    source=Tfds("cnn_dailymail:3.4.0", also=("cnn_dailymail:3.1.0",)),
    fields=_cnn_dailymail,
    field_names=("article",),
    licence="Apache-2.0 for the collection; the articles belong to CNN and the Daily Mail",
    citation="Hermann et al. 2015; See et al. 2017",
    template_group="flan2021/cnn_dailymail",
    caveats="Many articles are longer than FLAN's 1,024 tokens. In version 3.1.0 some sentences end in a space and a "
    "full stop, in 3.4.0 they do not.",
)


def _gigaword(x: Row) -> Fields | Drop:
    """A digit is "#" in this corpus and a rare word "UNK" ("<unk>" before TFDS renames it)."""
    document, summary = x["document"], x["summary"]
    if not document.strip() or not summary.strip():
        return EMPTY
    if any(mark in text for text in (document, summary) for mark in ("UNK", "<unk>", "#")):
        return Drop("a number or a rare word is masked")
    return {"sentence": document, "answer": summary}


GIGAWORD = _dataset(
    name="gigaword",
    source=Tfds("gigaword:1.2.0"),
    fields=_gigaword,
    field_names=("sentence",),
    licence="LDC licence of English Gigaword; no explicit licence for this extract",
    citation="Graff et al. 2003; Rush et al. 2015",
    template_group="flan2021/gigaword",
    caveats="The text is tokenised and in lower case. Rows with a masked number or word are left out, nearly half of "
    "them, and so of the test rows: scores are not those of the published test.",
)

MULTI_NEWS = _dataset(
    name="multi_news",
    source=Tfds("multi_news:2.1.0", also=("multi_news:1.0.0",)),
    fields=_taken_over("articles", "document", "summary"),
    field_names=("articles",),
    licence="non-commercial research and education",
    citation="Fabbri et al. 2019",
    template_group="flan2021/multi_news",
    caveats="The articles of a row stand one after the other with ||||| between them; together most are longer than "
    "FLAN's 1,024 tokens, and summaries than its 256.",
)


def _newsroom(x: Row) -> Fields | Drop:
    fields = {"title": x["title"], "article": x["text"], "answer": x["summary"]}
    return fields if all(text.strip() for text in fields.values()) else EMPTY


NEWSROOM = _dataset(
    name="newsroom",
    source=Tfds(
        "newsroom:1.0.0",
        manual="train.jsonl, dev.jsonl and test.jsonl (to be had from https://summari.es/download/ after registration)",
    ),
    fields=_newsroom,
    field_names=("title", "article"),
    licence="Newsroom terms: research use, no redistribution",
    citation="Grusky et al. 2018",
    template_group="flan2021/newsroom",
    caveats="Summaries are the descriptions that publishers give to search engines: many repeat a sentence of the "
    "article, some are advertisements for it.",
)

_FILE_MARK = re.compile(
    r"<(?:file|photo|picture|pic|image|gif|video|audio|voice|link|url|location|document|attachment)s?(?:_[a-z0-9]+)*>",
    re.IGNORECASE,
)


def _samsum(x: Row) -> Fields | Drop:
    """Marks of things that were sent, such as <file_photo>, go; other text between angle brackets stays."""
    dialogue = _FILE_MARK.sub("", x["dialogue"].replace("\r\n", "\n"))
    return {"dialogue": dialogue, "answer": x["summary"]} if dialogue.strip() and x["summary"].strip() else EMPTY


SAMSUM = _dataset(
    name="samsum",
    source=Tfds(
        "samsum:1.0.0",
        manual="train.json, val.json and test.json (unpacked from https://arxiv.org/src/1911.12237v2/anc/corpus.7z)",
    ),
    fields=_samsum,
    field_names=("dialogue",),
    licence="CC BY-NC-ND 4.0",
    citation="Gliwa et al. 2019",
    template_group="flan2021/samsum",
    caveats="Chats were written by linguists for this corpus. Marks of files that were sent are removed, which leaves "
    "some turns empty.",
)

XSUM = _dataset(
    name="xsum",
    source=Tfds(
        "xsum:1.1.0",
        manual="xsum-extracts-from-downloads.tar.gz (made with the download and extraction scripts of "
        "https://github.com/EdinburghNLP/XSum, see XSum-Dataset/README.md there)",
    ),
    fields=_taken_over("article", "document", "summary"),
    field_names=("article",),
    licence="no explicit licence for the data; the articles belong to the BBC",
    citation="Narayan et al. 2018",
    template_group="flan2021/xsum",
    caveats="The summary is the article's own first sentence, taken out of it; it often tells what the rest does not.",
)

AG_NEWS_TOPICS = ("World", "Sports", "Business", "Science/Tech")


def _ag_news(x: Row) -> Fields | Drop:
    if not x["title"].strip() or not x["description"].strip():
        return EMPTY
    if x["label"] < 0:
        return Drop("no label")
    return {"title": x["title"], "description": x["description"], **choice(AG_NEWS_TOPICS, x["label"])}


AG_NEWS = _dataset(
    name="ag_news_subset",
    source=Tfds("ag_news_subset:1.0.0"),
    splits=held_out_labels(test="test"),
    fields=_ag_news,
    field_names=("title", "description"),
    kind="classification",
    metrics=("accuracy",),
    licence="non-commercial use",
    citation="Zhang et al. 2015",
    template_group="flan2021/ag_news_subset",
    labels=Labels("label", ("World", "Sports", "Business", "Sci/Tech")),
    caveats="Topic classification, which FLAN counts as summarization. The source's broken escapes (#39; for an "
    "apostrophe, stray backslashes) are left as they are.",
)

# Both sets of opinions have one official split, from which FLAN cuts all three.
_OPINION_SPLITS = {
    "train": Rows("train", 0, -600), "validation": Rows("train", -600, -500), "test": Rows("train", -500)
}  # fmt: skip


def _first(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text.strip()][:MOST_OPINIONS]


def _numbered(texts: Iterable[str]) -> str:
    return "\n".join(f"{i}. {text}" for i, text in enumerate(texts, start=1))


def _rotten_tomatoes(x: Row) -> Fields | Drop:
    reviews = _first(x["_critics"]["value"])
    movie, consensus = x["_movie_name"].replace("_", " ").strip(), x["_critic_consensus"]
    if not reviews or not movie or not consensus.strip():
        return EMPTY
    return {"movie": movie, "review": reviews[0], "reviews": _numbered(reviews), "answer": consensus}


ROTTEN_TOMATOES = _dataset(
    name="opinion_abstracts_rotten_tomatoes",
    source=Tfds("opinion_abstracts/rotten_tomatoes:1.0.0"),
    splits=_OPINION_SPLITS,
    fields=_rotten_tomatoes,
    field_names=("movie", "review", "reviews"),
    licence="no explicit licence; the reviews belong to their authors",
    citation="Wang and Ling 2016",
    template_group="flan2021/opinion_abstracts_rotten_tomatoes",
    family="opinion_abstracts",
    caveats="At most ten reviews of a film are shown, while the consensus was written from all of them.",
)


def _idebate(x: Row) -> Fields | Drop:
    arguments = _first(x["_argument_sentences"]["value"])
    debate, claim = x["_debate_name"], x["_claim"]
    if not arguments or not debate.strip() or not claim.strip():
        return EMPTY
    return {"debate": debate, "arguments": _numbered(arguments), "answer": claim}


IDEBATE = _dataset(
    name="opinion_abstracts_idebate",
    source=Tfds("opinion_abstracts/idebate:1.0.0"),
    splits=_OPINION_SPLITS,
    fields=_idebate,
    field_names=("debate", "arguments"),
    licence="no explicit licence; the arguments belong to idebate.org",
    citation="Wang and Ling 2016",
    template_group="flan2021/opinion_abstracts_idebate",
    family="opinion_abstracts",
    caveats="A debate has about three claims, and they are not kept together: debates of the test occur in training.",
)

WIKI_LINGUA = _dataset(
    name="wiki_lingua_english_en",
    source=Tfds("gem/wiki_lingua_english_en:1.1.0"),
    fields=_taken_over("text", "source", "target"),
    field_names=("text",),
    licence="CC BY-NC-SA 3.0",
    citation="Ladhak et al. 2020; Gehrmann et al. 2021 (GEM)",
    template_group="flan2021/wiki_lingua_english_en",
    caveats="A summary is made of the headings of the steps of one wikiHow section, in their order.",
)

DATASETS = (
    AESLC,
    CNN_DAILYMAIL,
    GIGAWORD,
    MULTI_NEWS,
    NEWSROOM,
    SAMSUM,
    XSUM,
    AG_NEWS,
    ROTTEN_TOMATOES,
    IDEBATE,
    WIKI_LINGUA,
)
