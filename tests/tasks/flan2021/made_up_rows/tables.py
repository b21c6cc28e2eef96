"""How the rows are written down: the names of the columns once, then a tuple for each row."""

from typing import Any

Table = list[dict[str, Any]]


def table(columns: str, *rows: tuple[Any, ...], **same: Any) -> Table:
    """Rows with these columns; those of `same` are the same in every row."""
    names = columns.split()
    return [dict(zip(names, row, strict=True)) | same for row in rows]


def numbered(rows: Table, column: str = "idx") -> Table:
    """The rows with their number in a column more, as GLUE has it."""
    return [row | {column: number} for number, row in enumerate(rows)]
