"""Translation between English and another language.  FLAN 2021, cluster 10 of 12.

A pair is one dataset: English is the source and the other language the target, and some templates ask for one
direction, some for the other.  Neither is turned around, for the target is a translation either way, and each has its
own target as its only reference.  Results give every direction its own figures, and the dataset the mean of the two.
"""

from ..dataset import Dataset, Drop, Fields, Row, Tfds
from ..splits import Rows, official

TWO_WAYS = "Some templates translate into English, others out of it: each direction is scored, and the mean of both."
CZENG = "czeng16pre.deduped-ignoring-sections.txt.gz (CzEng 1.6pre; register at http://ufal.mff.cuni.cz/czeng)"
YANDEX = "1mcorpus.zip (Yandex's English-Russian parallel corpus, from https://translate.yandex.ru/corpus)"


def _pair(
    name: str, code: str, language: str, *, source: Tfds, group: str, licence: str, citation: str,
    caveats: str = TWO_WAYS, splits: dict[str, Rows] | None = None,
) -> Dataset:  # fmt: skip
    def fields(x: Row) -> Fields | Drop:
        if not (x["en"].strip() and x[code].strip()):
            return Drop("empty text")
        return {
            "source_language": "English",
            "target_language": language,
            "source_text": x["en"],
            "target_text": x[code],
            "answer": x[code],
        }

    return Dataset(
        name=name,
        cluster="translation",
        benchmark="flan2021",
        source=source,
        splits=splits or official(),
        fields=fields,
        field_names=("source_language", "target_language", "source_text", "target_text"),
        kind="generation",
        metrics=("bleu",),
        licence=licence,
        citation=citation,
        template_group=f"flan2021/{group}",
        caveats=caveats,
        directions={
            "source_text": f"{language} to English",
            "target_text": f"English to {language}",
            "answer": f"English to {language}",
        },
    )


def _wmt16(code: str, language: str, manual: str = "") -> Dataset:
    return _pair(
        f"wmt16_translate_{code}en", code, language, source=Tfds(f"wmt16_translate/{code}-en:1.0.0", manual=manual),
        group="wmt16_translate", licence="WMT news data: research use", citation="Bojar et al. 2016",
    )  # fmt: skip


PARA_CRAWL_ENES = _pair(
    "para_crawl_enes", "es", "Spanish", source=Tfds("para_crawl/enes:1.2.0"), group="para_crawl",
    licence="CC0 1.0", citation="Bañón et al. 2020",
    splits={"train": Rows("train", 0, 30_000), "validation": Rows("train", -1200, -1000), "test": Rows("train", -1000)},
    caveats=f"Found on the web and aligned by machine; no split is official, all are cut from train. {TWO_WAYS}",
)  # fmt: skip

WMT14_ENFR = _pair(
    "wmt14_enfr", "fr", "French", source=Tfds("wmt14_translate/fr-en:1.0.0"), group="wmt14_enfr",
    licence="WMT news data: research use", citation="Bojar et al. 2014",
)  # fmt: skip

DATASETS = (
    PARA_CRAWL_ENES,
    WMT14_ENFR,
    _wmt16("de", "German"),
    _wmt16("tr", "Turkish"),
    _wmt16("cs", "Czech", manual=CZENG),
    _wmt16("fi", "Finnish"),
    _wmt16("ro", "Romanian"),
    _wmt16("ru", "Russian", manual=YANDEX),
)
