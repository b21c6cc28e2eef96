"""Rows of conversations, records to put into words, and repair of text."""

from typing import Any

from .tables import Table, numbered, table

_STORY = (
    "Lotte kept a raven. It had come to her window one winter with a hurt wing, and she fed it until spring. "
    "When the snow melted it flew off, but every morning it came back for its crust of bread."
)
_COQA = [
    {"source": "made up", "story": story, "questions": [question for question, _ in turns],
     "answers": {"input_text": [answer for _, answer in turns], "answer_start": [0] * len(turns),
                 "answer_end": [5] * len(turns)}}
    for story, turns in (
        (_STORY, [("Who kept a bird?", "Lotte"), ("What kind?", "a raven"), ("Was it\nhealthy?", "no")]),
        (_STORY, [("When did it come?", "one winter"), ("Why?", "It had a hurt wing.")]),
        (_STORY, [("What did it eat?", "bread")]),
        (_STORY, [("Did it stay away?", "no"), ("How often did it return?", "every morning")]),
        (_STORY, [("What melted?", "the snow"), ("And then?", "it flew off")]),
        (_STORY, [("Who fed it?", "Lotte"), ("Until when?", "spring"), ("What season was before?", "winter")]),
    )
]  # fmt: skip

_LIFE = (
    "Edda Moor was born in Hull in 1902. She joined the Grand Theatre as a dancer at sixteen and left it in 1929 "
    "to found a school of her own. CANNOTANSWER"
)


def _quac(question: str, *answers: str) -> dict[str, Any]:
    starts = [_LIFE.index(answer) for answer in answers]
    return {
        "title": "Edda Moor", "section_title": "Early life", "background": "Edda Moor was an English dancer.",
        "context": _LIFE, "question": question, "followup": "m", "yesno": "x",
        "orig_answer": {"text": answers[0], "answer_start": starts[0]},
        "answers": {"text": list(answers), "answer_start": starts},
    }  # fmt: skip


_QUAC = [
    _quac("Where was she born?", "Hull", "in Hull"),
    _quac("Did she have any siblings?", "CANNOTANSWER"),
    _quac("What did she do at sixteen?", "joined the Grand Theatre", "CANNOTANSWER"),
    _quac("When did she leave?", "1929", "in 1929"),
    _quac("Did she teach?", "to found a school of her own"),
    _quac("In what year was she born?", "1902"),
]


def _gem(rows: Table) -> Table:
    """With the identifiers of GEM; the second row as in its evaluation splits, with several references."""
    made = [{"references": [], **row, "gem_id": str(i), "gem_parent_id": str(i)} for i, row in enumerate(rows)]
    made[1]["references"] = [made[1]["target"], f"{made[1]['target'].rstrip('.')}, as one knows."]
    return made


_WEB_NLG = _gem(table("input target",
    (["Aarhus_Airport | cityServed | Aarhus"], "Aarhus is served by Aarhus Airport."),
    (["Oddby_Mill | location | Oddby", "Oddby_Mill | completionDate | 1764"], "Oddby Mill was finished in 1764."),
    (["Kelda | leader | Inga_Storm"], "Inga Storm leads Kelda."),
    (["Lake_Orta | country | Italy", "Italy | capital | Rome"], "Lake Orta is in Italy, whose capital is Rome."),
    (["Mara_Lindqvist | instrument | Cello"], "Mara Lindqvist plays the cello."),
    (["Wren_Bridge | closed | \"1960\""], "The Wren Bridge was closed in 1960."),
    category="Place", webnlg_id="train/1",
))  # fmt: skip

_COMMON_GEN = numbered(_gem(table("concepts target",
    (["dog", "catch", "throw"], "A dog catches what the boy throws."),
    (["field", "look", "stand"], "A player stands in the field and looks at the bat."),
    (["boat", "lake"], "A boat drifts on the lake."),
    (["cut", "knife", "bread", "board"], "She cuts bread on a board with a knife."),
    (["child", "read", "bed"], "A child reads in bed."),
    (["rain", "street", "umbrella"], "It rains on the street full of umbrellas."),
)), "concept_set_id")  # fmt: skip

_E2E = _gem(table("meaning_representation target",
    ("name[The Mill], eatType[pub], food[English], near[Oddby Bridge]", "The Mill is an English pub near the bridge."),
    ("name[Zizzi], priceRange[£20-25], familyFriendly[no]", "Zizzi is no place for children and costs £20-25."),
    ("name[Blue Spice], area[riverside]", "Blue Spice is by the river."),
    ("name[Aromi], customer rating[5 out of 5]", "Aromi is rated 5 out of 5."),
    ("name[Clowns], eatType[coffee shop]", "Clowns is a coffee shop."),
    ("name[Wildwood], food[Italian], priceRange[cheap]", "Wildwood serves cheap Italian food."),
))  # fmt: skip

_DART = numbered(_gem(table("tripleset target",
    (["Berlin COUNTRY Germany"], "Berlin lies in Germany."),
    (["[TABLECONTEXT] [TITLE] Eardrum (album)", "[TABLECONTEXT] NUMBER 2", "2 TITLE NY Weather Report"],
     "NY Weather Report is the second song of Eardrum."),
    (["Rams POINTS 14", "Herons POINTS 17"], "The Herons beat the Rams 17 to 14."),
    (["Kelda MAYOR Inga Storm"], "Inga Storm is mayor of Kelda."),
    (["Hull [a ] POPULATION 267,000"], "Hull has 267,000 inhabitants."),
    (["The Mill FOOD English", "The Mill AREA riverside"], "The Mill serves English food by the river."),
    subtree_was_extended=False, target_sources=["made_up"],
)), "dart_id")  # fmt: skip

_SENTENCES = (
    "Welcome to the home page of the Oddby Sailing Club.", "Prices include breakfast, towels and bed linen.",
    "Click here to see Élodie's pictures (2004-2009).", "The Commission's answer is due on 4 May.",
    "Free Wi-Fi in all rooms!", "Read more about Copenhagen: “The city of bikes”.", "How do I change my password?",
    "no capital and no mark", "Mr. Jensen has 25 years' experience.", "Nice!", "Contact: Anna Holm, tel. 555-0142.",
    "This site uses cookies; by staying here, you agree.",
)  # fmt: skip
_ENGLISH_DANISH = [
    {"en": sentence if page == 1 else f"Page {page}: {sentence}", "da": f"Side {page}."}
    for page in range(1, 5)
    for sentence in _SENTENCES
]
"""Three tasks share these rows, so they are more than elsewhere."""

_ENGLISH = (
    "The committee will meet again on Thursday.", "I live by the sea.", "The price of bread has doubled in ten years.",
    "\"Where are you going?\" asked the driver.", "Rain is expected in the north.", "She thanked all who had helped.",
)  # fmt: skip
_TRANSLATED = {
    "fr": ("La commission se réunira de nouveau jeudi.", "J'habite au bord de la mer.",
           "Le prix du pain a doublé en dix ans.", "« Où allez-vous ? » demanda le chauffeur.",
           "De la pluie est attendue dans le nord.", "Elle remercia tous ceux qui avaient aidé."),
    "es": ("La comisión se reunirá de nuevo el jueves.", "Vivo junto al mar.",
           "El precio del pan se ha duplicado en diez años.", "—¿Adónde va? —preguntó el conductor.",
           "Se esperan lluvias en el norte.", "Dio las gracias a todos los que habían ayudado."),
    "de": ("Der Ausschuss tritt am Donnerstag wieder zusammen.", "Ich wohne am Meer.",
           "Der Brotpreis hat sich in zehn Jahren verdoppelt.", "„Wohin fahren Sie?“, fragte der Fahrer.",
           "Im Norden wird Regen erwartet.", "Sie dankte allen, die geholfen hatten."),
    "tr": ("Komite perşembe günü yeniden toplanacak.", "Deniz kenarında yaşıyorum.",
           "Ekmek fiyatı on yılda iki katına çıktı.", "Şoför \"Nereye gidiyorsunuz?\" diye sordu.",
           "Kuzeyde yağmur bekleniyor.", "Yardım eden herkese teşekkür etti."),
    "cs": ("Výbor se znovu sejde ve čtvrtek.", "Bydlím u moře.", "Cena chleba se za deset let zdvojnásobila.",
           "„Kam jedete?“ zeptal se řidič.", "Na severu se očekává déšť.", "Poděkovala všem, kdo pomohli."),
    "fi": ("Valiokunta kokoontuu jälleen torstaina.", "Asun meren rannalla.",
           "Leivän hinta on kaksinkertaistunut kymmenessä vuodessa.", "”Minne olette menossa?” kysyi kuljettaja.",
           "Pohjoiseen odotetaan sadetta.", "Hän kiitti kaikkia auttaneita."),
    "ro": ("Comisia se va reuni din nou joi.", "Locuiesc lângă mare.", "Prețul pâinii s-a dublat în zece ani.",
           "„Unde mergeți?”, a întrebat șoferul.", "Se așteaptă ploaie în nord.", "Le-a mulțumit tuturor."),
    "ru": ("Комитет вновь соберётся в четверг.", "Я живу у моря.", "Цена хлеба за десять лет удвоилась.",
           "«Куда вы едете?» — спросил водитель.", "На севере ожидается дождь.", "Она поблагодарила всех, кто помог."),
}  # fmt: skip


def _translations(code: str) -> Table:
    return [{"en": en, code: other} for en, other in zip(_ENGLISH, _TRANSLATED[code], strict=True)]


ROWS: dict[str, Table] = {
    "coqa:1.0.0": _COQA,
    "quac:1.0.0": _QUAC,
    "gem/web_nlg_en:1.1.0": _WEB_NLG,
    "gem/common_gen:1.1.0": _COMMON_GEN,
    "gem/e2e_nlg:1.1.0": _E2E,
    "gem/dart:1.1.0": _DART,
    "para_crawl/enda:1.2.0": _ENGLISH_DANISH,
    "para_crawl/enes:1.2.0": _translations("es"),
    "wmt14_translate/fr-en:1.0.0": _translations("fr"),
    **{f"wmt16_translate/{code}-en:1.0.0": _translations(code) for code in ("de", "tr", "cs", "fi", "ro", "ru")},
}
