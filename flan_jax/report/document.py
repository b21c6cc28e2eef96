"""What every report page is made of: one HTML file with its style inside, sections with links to them, and tables.

A table of figures stands in columns where there is room, and on a phone each of its rows is a card in which every
figure has its column's name beside it, so that nothing is cut off or has to be dragged into sight.
"""

import pathlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple

STYLE = pathlib.Path(__file__).with_name("page.css")


class Section(NamedTuple):
    """`name` is its link, `body` HTML; a section without one is left out."""

    name: str
    heading: str
    body: str


class Row(NamedTuple):
    """A row of a table: its head and its cells, all HTML.  style: "head" for one that speaks for those below it, "part"
    for one of those."""

    head: str
    cells: tuple[str, ...]
    style: Literal["", "head", "part"] = ""


def document(title: str, lead: str, sections: Iterable[Section]) -> str:
    """The whole page.  title: text; lead: HTML."""
    present = [section for section in sections if section.body]
    links = "".join(f'<a href="#{section.name}">{section.heading}</a>' for section in present)
    bodies = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{body}</section>'
        for name, heading, body in present
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE.read_text()}</style></head><body><main>"
        f'<header><h1>{escape(title)}</h1>{lead}<nav aria-label="On this page">{links}</nav></header>'
        f"{bodies}</main></body></html>\n"
    )


def table(name: str, heads: Sequence[str], rows: Iterable[Row], plain: bool = False) -> str:
    """A table of figures.  heads: text, the first over the rows' heads.  plain: without a frame of its own."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(_row(heads, row) for row in rows)
    inner = f'<table class="figures"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return scrolling(name, inner, plain)


def _row(heads: Sequence[str], row: Row) -> str:
    cells = "".join(
        f'<td data-label="{escape(head)}">{cell}</td>' if cell else '<td class="empty"></td>'
        for head, cell in zip(heads[1:], row.cells, strict=True)
    )
    whole, part = (' class="head"' if row.style == "head" else ""), (' class="part"' if row.style == "part" else "")
    return f'<tr{whole}><th scope="{"rowgroup" if whole else "row"}"{part}>{row.head}</th>{cells}</tr>'


def scrolling(name: str, inner: str, plain: bool = False) -> str:
    """What scrolls by itself where it is too wide, reachable by keyboard."""
    frame = ' class="scroll plain"' if plain else ' class="scroll"'
    return f'<div{frame} role="region" aria-label="{escape(name)}" tabindex="0">{inner}</div>'
