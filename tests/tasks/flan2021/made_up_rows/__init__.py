"""A few rows for every TFDS name that FLAN 2021 reads, made up here in the shape and manner of the real ones.

`ROWS[source]` are dictionaries as TFDS encodes them (labels by class name or number).  Among them are rows that have to
be dropped (no label, no answer, ...), never the last two, which small directories hold out.
"""

from . import classification, conversations, inference, questions, summaries
from .tables import Table

ROWS: dict[str, Table] = {
    **inference.ROWS,
    **classification.ROWS,
    **questions.ROWS,
    **conversations.ROWS,
    **summaries.ROWS,
}
