"""The page: self-contained, escaped, honest about its figures, and whole in a browser at desk and phone width."""

import html.parser
import pathlib
import re
import subprocess

import pytest
from example_contents import HOSTILE, example_contents, gain

from flan_jax.report.page import render

VOID = {"meta", "link", "br", "line", "rect", "path"}


class Checker(html.parser.HTMLParser):
    """Collects tags, ids and what would be fetched; complains of tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.fetched, self.links = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("src", "href"):
            if (where := attributes.get(name, "")) and not where.startswith(("#", "data:")):
                self.fetched.append(where)
        if attributes.get("href", "").startswith("#"):
            self.links.append(attributes["href"][1:])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return render(example_contents())


@pytest.fixture(scope="module")
def checked(page) -> Checker:
    checker = Checker()
    checker.feed(page)
    return checker


def test_nothing_is_fetched(page, checked):
    assert checked.fetched == []
    assert "@import" not in page and "url(" not in page and "<script" not in page


def test_data_cannot_become_markup(page):
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 3


def test_tags_match_and_links_have_targets(checked):
    assert checked.open == []
    assert len(set(checked.ids)) == len(checked.ids)
    assert checked.links and set(checked.links) <= set(checked.ids)


def test_charts_and_tables_can_be_read_without_seeing_them(checked):
    for tag, attributes in checked.tags:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] in ("col", "row", "rowgroup")
    assert ("html", {"lang": "en"}) in checked.tags


def test_every_cluster_has_scores_a_chart_and_five_prompts(page):
    contents = example_contents()
    assert page.count("<figure>") == len(contents.clusters) + 3
    assert page.count("<article>") == 5 * len(contents.clusters)


def test_one_cluster_is_summed_up_with_its_interval():
    page = render(example_contents(("nli",), 1))
    assert "scores 45.0 on natural language inference" in page
    assert "+12.0 points (95% interval +8.0 to +16.0); the interval excludes 0" in page


def test_the_summary_counts_what_excludes_zero():
    contents = example_contents(("nli", "misc", "sentiment"))
    gains = [gain(5.0, 4.0, 1), gain(-3.0, 2.0, 1), gain(1.0, 2.0, 1)]
    clusters = tuple(
        type(c)(c.cluster, c.scores, {"tuned": gain}, c.datasets, None)
        for c, gain in zip(contents.clusters, gains, strict=True)
    )
    page = render(type(contents)(contents.title, clusters, (), (), {}, (), ""))
    assert (
        "better than the base model on 1 of 3 held-out clusters, worse on 1, and on 1 the interval includes 0" in page
    )
    assert 'id="curves"' not in page and 'href="#curves"' not in page


def test_every_seed_and_their_spread_are_told_and_what_was_left_out():
    page = render(example_contents(("nli", "misc"), 3))
    assert ">44.0, 45.0, 46.0</td>" in page
    assert "+11.0, +12.0, +13.0</small><small>sd 1.0</small>" in page
    assert "<small>p 0.048; detectable 5.7</small>" in page and "adjusted for the number of clusters (Holm)" in page
    assert page.count("1 of 3 seeds left out") == 2  # the gains of the second cluster, tuned and upper
    assert "mean of 3 training seeds" in page and "those that both models have" in page


def test_one_seed_says_what_its_interval_does_not_cover():
    page = render(example_contents(("nli",), 1))
    assert "of one training seed: what another would change is not in them" in page
    assert "sd 0" not in page and "left out" not in page


FRAME = """<!doctype html><body><iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><script>
document.querySelector("iframe").onload = event => {{
  const page = event.target.contentDocument;
  page.querySelectorAll("details").forEach(details => details.open = true);
  const charts = [...page.querySelectorAll("svg")].filter(chart => chart.getBoundingClientRect().height > 50);
  const cut = [...page.querySelectorAll(".scroll")].filter(table => table.scrollWidth > table.clientWidth);
  document.title = `${{page.documentElement.scrollWidth}} ${{charts.length}} ${{cut.length}}`;
}};</script></body>"""
"""The page in a frame of a given width (a window has a least width), and a title that tells what came of it."""


def measured(browser: str, folder: pathlib.Path) -> tuple[int, int, int]:
    """How wide the page in frame.html is in Chromium, its charts, and the tables that are wider than their frames."""
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--allow-file-access-from-files", f"--user-data-dir={folder}/profile", "--dump-dom",
    ]  # fmt: skip
    ran = subprocess.run([browser, *flags, f"file://{folder}/frame.html"], capture_output=True, text=True, check=True)
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", ran.stdout)
    assert found, ran.stdout + ran.stderr
    return int(found[1]), int(found[2]), int(found[3])


@pytest.mark.parametrize("width", [1280, 720, 390])
def test_it_fits_in_a_browser(browser, tmp_path, page, width):
    """Rendered by Chromium, nothing sticks out sideways, every chart is there and no table is cut off."""
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    wide, charts, cut = measured(browser, tmp_path)
    assert width - 20 <= wide <= width, "wider than its window"  # a scroll bar may take 20
    assert charts == page.count("<svg")
    assert cut == 0, "a table is wider than its frame"
