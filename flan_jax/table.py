"""A plain text table, for terminals and logs."""

from collections.abc import Sequence


def format_table(headings: Sequence[str], rows: Sequence[Sequence[object]], align: str | None = None) -> str:
    """Columns aligned by spaces under underlined headings; None shows as "-".

    align: one of "<", ">", "^" a column; by default the first is left-aligned and the others right-aligned.
    Raises ValueError if a row has another number of cells than there are headings.
    """
    align = align or "<" + ">" * (len(headings) - 1)
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    for row in cells:
        if len(row) != len(headings):
            raise ValueError(f"row {row} has {len(row)} cells for {len(headings)} headings {list(headings)}")
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(f"{text:{way}{width}}" for text, way, width in zip(row, align, widths, strict=True)).rstrip()

    return "\n".join([line(headings), "  ".join("─" * width for width in widths), *(line(row) for row in cells)])
