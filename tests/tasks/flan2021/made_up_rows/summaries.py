"""Rows of summarization."""

from .tables import Table, table

_ARTICLES = (
    ("A crane fell onto the quay of Kelda on Tuesday and blocked the harbour. Nobody was hurt, said Inga Storm, the "
     "mayor. Ships are being sent to Brask until the crane has been taken away, which may last a week.",
     "A fallen crane has closed the harbour of Kelda for about a week."),
    ("The Herons beat the Rams 17-14 on Sunday. Luis Ortiz kicked two field goals, one of them from 46 yards with "
     "four seconds to play.", "Ortiz kicks the Herons to a late victory over the Rams."),
    ("The museum of Oddby has bought a steam engine that stood in its mill until 1931. It was found on a farm, where "
     "it had been used to saw wood.", "Steam engine returns to the mill of Oddby."),
    ("Bread costs twice as much as ten years ago, the office of statistics says. Butter has become dearer still.",
     "Bread prices have doubled in ten years."),
    ("A raven has returned to the same window in Hull every morning for eleven years. Lotte Marsh, 71, who nursed it, "
     "says that she sets her clock by it.", "A tame raven visits the woman who nursed it every morning."),
    ("Work on the Wren Bridge will begin in May. Walkers may cross it again from next year, for the first time since "
     "1960.", "The Wren Bridge is to be opened to walkers again."),
)  # fmt: skip
_DATELINES = ("", "(CNN) -- ", "LONDON, England (Reuters) -- ", "By . Ann Lee . PUBLISHED: . 10:32 EST, 21 May 2012 . ",
              "Oslo, Norway (CNN)", "")  # fmt: skip

_MAILS = table("email_body subject_line",
    ("Kim,\nPlease send me the draft of the contract before the call on Monday.\nThanks,\nDale", "Draft contract"),
    ("All,\nThe lift on the north side will be out of order this week. Please use the stairs.", "Lift out of order"),
    ("Can we move the meeting to three? I have a doctor's appointment at two.", "Moving today's meeting"),
    ("Attached are the figures for March.\nLet me know if anything is missing.", "March figures"),
    ("It was a pleasure to meet you in Houston. I would like to go on with our talk about storage.", "Our talk"),
    ("Happy birthday!\nThere is cake in the kitchen.", "Cake"),
)  # fmt: skip

_GIGAWORD = table("document summary",
    ("the port of kelda was closed on tuesday after a crane fell onto the quay .", "crane closes port of kelda"),
    ("shares rose # percent in heavy trading on friday .", "shares rise on friday"),
    ("the minister of unk resigned on monday , his office said .", "minister resigns"),
    ("striking pilots agreed on wednesday to return to work .", "pilots end strike"),
    ("heavy rain flooded the old town of brask for the second time this year .", "old town of brask flooded again"),
    ("a court freed the journalist who had been held since may .", "court frees journalist"),
)  # fmt: skip
_GIGAWORD[2]["document"] = _GIGAWORD[2]["document"].replace("unk", "UNK")

_CHATS = table("id dialogue summary",
    ("1", "Amy: <file_photo>\r\nAmy: look what I found!\r\nBo: is that my bike??", "Amy found Bo's bike."),
    ("2", "Tom: are we still on for 8?\r\nSue: make it 8.30 :)", "Tom and Sue will meet at 8.30."),
    ("3", "Ola: I <3 this song\r\nJan: which one?\r\nOla: <file_other>", "Ola sends Jan a song."),
    ("4", "Mum: have you eaten?\r\nEli: yes mum", "Eli has eaten."),
    ("5", "Pia: the train is late again\r\nRob: take the bus\r\nPia: good idea", "Pia will take the bus."),
    ("6", "Kit: who has the keys?\r\nLou: me! back in 5", "Lou has the keys and will be back soon."),
)  # fmt: skip


def _named(texts: list[str]) -> dict[str, list[str]]:
    return {"key": [str(i) for i in range(len(texts))], "value": texts}


_FILMS = [
    {"_movie_name": name, "_movie_id": name, "_critic_consensus": consensus, "_critics": _named(reviews)}
    for name, consensus, reviews in (
        ("Copper_Line", "Well shot but slow, Copper Line rewards the patient.",
         ["Lovely pictures.", "", "Too long by half.", "A slow burn."]),
        ("The Wren", "A charming tale for young and old.", ["My children adored it.", "Charming!"]),
        ("Night Ferry", "Night Ferry wastes a fine cast.", [f"Reviewer {i} was bored." for i in range(12)]),
        ("Salt", "Salt is as plain as its name, and as needed.", ["Plain and good."]),
        ("Hulls", "Loud, long and empty.", ["Loud.", "Empty."]),
        ("Raven", "Raven flies.", ["It soars.", "It flies.", "I was moved."]),
    )
]  # fmt: skip
_DEBATES = [
    {"_debate_name": debate, "_claim_id": "1", "_claim": claim, "_argument_sentences": _named(arguments)}
    for debate, claim, arguments in (
        ("This House would ban cars from the town", "The air would be cleaner.",
         ["Cars are the main source of soot.", "Fewer children would have asthma."]),
        ("This House would ban cars from the town", "Shops would lose customers.", ["People shop by car."]),
        ("This House believes in free buses", "Free buses are used by those who walked before.",
         ["In Tallinn few drivers changed.", "Walkers did."]),
        ("This House would lower the voting age", "The young are affected longest.", ["They live longest."]),
        ("This House would tax sugar", "Taxes change habits.", ["Mexico drank less.", "So did Berkeley."]),
        ("This House would tax sugar", "The poor pay most.", ["They spend more of their income on food."]),
    )
]  # fmt: skip

ROWS: dict[str, Table] = {
    "aeslc:1.0.0": _MAILS,
    "cnn_dailymail:3.4.0": [
        {"article": dateline + article, "highlights": f"{summary} .\nMore soon .", "id": str(i), "publisher": "cnn"}
        for i, (dateline, (article, summary)) in enumerate(zip(_DATELINES, _ARTICLES, strict=True))
    ],
    "gigaword:1.2.0": _GIGAWORD,
    "multi_news:2.1.0": [
        {"document": f"{article} ||||| {other}", "summary": f"– {summary} {second}"}
        for (article, summary), (other, second) in zip(_ARTICLES, _ARTICLES[1:] + _ARTICLES[:1], strict=True)
    ],
    "newsroom:1.0.0": [
        {"text": article, "summary": summary, "title": summary.split(",")[0][:40], "url": "http://example.org",
         "date": "20160101", "density_bin": "low", "coverage_bin": "high", "compression_bin": "low", "density": 1.5,
         "coverage": 0.9, "compression": 4.0}
        for article, summary in _ARTICLES
    ],
    "samsum:1.0.0": _CHATS,
    "xsum:1.1.0": [{"document": article, "summary": summary} for article, summary in _ARTICLES],
    "opinion_abstracts/rotten_tomatoes:1.0.0": _FILMS,
    "opinion_abstracts/idebate:1.0.0": _DEBATES,
    "gem/wiki_lingua_english_en:1.1.0": [
        {"gem_id": str(i), "gem_parent_id": str(i), "source": how, "target": steps, "references": [steps],
         "source_aligned": {"en": how}, "target_aligned": {"en": steps}}
        for i, (how, steps) in enumerate((
            ("Fill a pot with water and bring it to the boil. Lower the egg into it with a spoon. After six minutes, "
             "put it into cold water.", "Boil water. Add the egg. Cool it after six minutes."),
            ("Look for a spot that gets sun in the morning. The hole should be twice as deep as the bulb is high.",
             "Choose a sunny spot. Dig a deep hole."),
            ("Use a dry cloth first, so that dust does not scratch. Then wipe with a damp one.",
             "Dust with a dry cloth. Wipe with a damp cloth."),
            ("Hold the rope in both hands and make a loop. Pull the end through it from below.",
             "Make a loop. Pull the end through."),
            ("Let the dough rest in a warm place until it is twice as big. This takes about an hour.",
             "Let the dough rise."),
            ("Write down what you spend for a month. Then see what you could do without.",
             "Track your spending. Find what to cut."),
        ))
    ],
}  # fmt: skip
