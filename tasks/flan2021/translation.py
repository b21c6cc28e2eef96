"""Translation between English and another language.  FLAN 2021, cluster 10 of 12.

A pair is one dataset: English is the source and the other language the target, and some templates ask for one
direction, some for the other.  Neither is turned around, for the target is a translation either way; the results keep
the directions apart because they keep templates apart.
"""

from ..dataset import Dataset, Fields, Row, Tfds
from ..splits import official


def _wmt16(code: str, language: str) -> Dataset:
    def fields(x: Row) -> Fields:
        return {
            "source_language": "English",
            "target_language": language,
            "source_text": x["en"],
            "target_text": x[code],
            "answer": x[code],
        }

    return Dataset(
        name=f"wmt16_translate_{code}en",
        cluster="translation",
        benchmark="flan2021",
        source=Tfds(f"wmt16_translate/{code}-en:1.0.0"),
        splits=official(),
        fields=fields,
        field_names=("source_language", "target_language", "source_text", "target_text"),
        kind="generation",
        metrics=("bleu",),
        licence="WMT news data: research use",
        citation="Bojar et al. 2016",
        template_group="wmt16_translate",
    )


DATASETS = (_wmt16("ro", "Romanian"),)
