"""The catalogue page as a reader meets it: by keyboard, on a phone, in the dark, with texts that try to break it."""

import browse_tasks
import pytest
from chromium import chromium


@pytest.fixture(scope="module")
def window(browser, tmp_path_factory):
    with chromium(browser, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(window):
    window.complaints.clear()
    yield window
    assert window.complaints == []
    assert window.ask("window.broken === undefined"), "text of the data ran as code"


@pytest.fixture
def address(catalogue_page) -> str:
    return f"file://{catalogue_page}"


SHOWN = "[...document.querySelectorAll('#datasets a')].map(link => link.dataset.name).join(' ')"
HEADING = "document.querySelector('.dataset h2')?.textContent"
OPEN = "[...document.querySelectorAll('.template[open]')].map(one => one.dataset.template).join(' ')"
FOCUS = "document.activeElement"


def test_the_index_is_all_that_is_read_to_open_it(tab, address):
    tab.open(address)
    assert tab.ask(SHOWN) == "rain snow notes pages"
    assert tab.ask("document.querySelector('#count').textContent") == "4 datasets, 3 prepared"
    assert tab.ask("parsed.size") == 0
    tab.open(address + "#rain")
    assert tab.ask("parsed.size") == 1


def test_an_address_leads_to_a_template(tab, address):
    tab.open(address + "#rain/1")
    assert (tab.ask(HEADING), tab.ask(OPEN)) == ("rain", "1")
    assert tab.ask(f"{FOCUS}.closest('.template').dataset.template") == "1"
    tab.open(address + "#rain/plain/0")
    assert tab.ask("document.querySelector('.tabs [aria-current]').textContent").startswith("Fields alone")
    tab.open(address + "#sleet")
    assert "no dataset “sleet”" in tab.ask("document.querySelector('.warning').textContent")


def test_an_example_is_its_tokens_with_the_loss_on_target_and_eos(tab, address):
    tab.open(address + "#rain/0")
    about = tab.ask("document.querySelector('.example .about').textContent")
    read = "[...document.querySelector('.example .document').childNodes].filter(node => node.className !== 'loss')"
    inputs = tab.ask(f"{read}.map(node => node.textContent).join('')")
    learned = tab.ask("[...document.querySelector('.example .loss').children].map(token => token.textContent)")
    assert inputs.startswith("0: Rain report") and inputs.endswith("About rain?")
    assert learned == [" ", "y", "e", "s", "EOS"]  # a byte each
    assert f"{len(inputs)} + 4 + EOS = {len(inputs) + 5} tokens, 5 with loss" in about
    assert tab.ask("document.querySelector('.example').querySelectorAll('.t:not(.special)').length") == len(inputs) + 4
    assert tab.ask("document.querySelector('.choices .right').textContent").startswith("yes ✓")
    assert tab.ask("document.querySelector('.said .hole').textContent") == "{text}"


def test_nothing_predicts_the_first_token_of_a_document(tab, address):
    tab.open(address + "#pages")
    assert tab.ask("document.querySelector('.example .document').firstChild.textContent") == "P"
    learned = tab.ask("document.querySelector('.example .loss').textContent")
    assert learned.startswith("ages report") and learned.endswith("EOS")
    about = tab.ask("document.querySelector('.example .about').textContent")
    assert f"0 + {len(learned) - 2} + EOS = {len(learned) - 1} tokens, {len(learned) - 2} with loss" in about


def test_a_long_text_says_what_is_left_out(tab, address):
    tab.open(address + "#notes/2")
    assert "characters left out here]" in tab.ask("document.querySelector('.gap').textContent")


def test_hostile_text_is_shown_as_it_is(tab, address):
    tab.open(address + "#rain/2")
    assert browse_tasks.HOSTILE in tab.ask("document.querySelector('.caveat').textContent")
    learned = tab.ask("[...document.querySelectorAll('.template[open] .loss')].map(one => one.textContent)")
    assert f" {browse_tasks.HOSTILE}EOS" in learned
    assert tab.ask("document.querySelectorAll('.dataset img, .dataset script').length") == 0
    assert "Weather & <i>wind</i>" in tab.ask("document.querySelector('.kinds').textContent")
    tab.open(address + "#rain/0")
    assert "<b>rain</b>" in tab.ask("document.querySelector('.wording').textContent")


def test_the_rows_of_a_split_and_what_was_left_out_are_told(tab, address):
    tab.open(address + "#rain")
    row = tab.ask("[...document.querySelectorAll('.splits tbody tr')[0].cells].map(cell => cell.textContent)")
    assert row[0] == "traintrain[0:12]" and row[1] == "11of 12" and row[5] == "1 no label"


def test_what_is_not_prepared_says_how(tab, address):
    tab.open(address + "#snow")
    said = tab.ask("document.querySelector('.prepare').textContent")
    assert "TFDS_DATA_DIR=" in said and "--gin.MIXTURE=\"'snow'\"" in said and "--gin.TASKS=\"'browse_tasks'\"" in said
    assert "snow.zip" in said
    assert tab.ask("document.querySelectorAll('.example').length") == 0
    assert tab.ask("document.querySelectorAll('.said .hole').length") > 0


def test_search_looks_into_facts_templates_and_examples(tab, address):
    tab.open(address)
    for query, found in {
        "snow": "snow",
        "grey sky": "rain notes pages",
        "word899": "notes",
        "nothing of it": "",
    }.items():
        tab.ask(f"byId('q').value = {query!r}; byId('q').dispatchEvent(new Event('input'))")
        assert tab.ask(SHOWN) == found, query
    assert "No dataset matches" in tab.ask("document.querySelector('#count').textContent")


def test_filters_narrow_the_list_and_stand_in_the_address(tab, address):
    tab.open(address)
    for name, value, found in (
        ("cluster", "letters", "notes pages"), ("kind", "generation", "notes"), ("form", "plain", "rain"),
        ("mixture", "without_weather", "rain snow notes"), ("prepared", "no", "snow"),
    ):  # fmt: skip
        select = f"document.querySelector('select[name={name}]')"
        tab.ask(f"byId('clear').click(); {select}.value = {value!r}; {select}.dispatchEvent(new Event('change'))")
        assert tab.ask(SHOWN) == found, name
        assert f"{name}={value}" in tab.ask("location.hash")
    tab.open(address + "#?mixture=without_weather")
    roles = tab.ask("[...document.querySelectorAll('#datasets small')].map(one => one.textContent)")
    assert roles == ["held out", "held out", "trained on"]
    assert "Trains on 1 task and evaluates 2 tasks" in tab.ask("document.querySelector('.overview').textContent")


def test_the_mixtures_of_a_dataset_lead_to_each_other(tab, address):
    tab.open(address + "#rain")
    assert tab.ask("document.querySelector('.mixtures').textContent").startswith("In 2 mixtures")
    tab.ask("document.querySelector('a[data-mixture=without_weather]').click()")
    assert tab.ask(SHOWN) == "rain snow notes" and tab.ask("location.hash") == "#?mixture=without_weather"
    tab.ask("history.back()")
    tab.until(f"{HEADING} === 'rain'")


def test_every_step_can_be_taken_by_keyboard(tab, address):
    tab.open(address)
    tab.press("/", *"rain")
    assert tab.ask(f"{FOCUS}.id") == "q" and tab.ask("document.querySelector('#q').value") == "rain"
    tab.press("Escape")
    assert tab.ask("document.querySelector('#q').value") == ""
    tab.press("ArrowDown", "ArrowDown", "ArrowDown")
    assert tab.ask(f"{FOCUS}.dataset.name") == "notes"
    tab.press("Enter")
    tab.until(f"{HEADING} === 'notes'")
    assert tab.ask(f"{FOCUS}.tagName") == "H2"
    tab.press("k")
    tab.until(f"{HEADING} === 'snow'")
    tab.press("j")
    tab.until(f"{HEADING} === 'notes'")
    tab.press("n", "n")
    assert tab.ask(f"{FOCUS}.closest('.template').dataset.template") == "1" and tab.ask("location.hash") == "#notes/1"
    tab.press("Enter")  # the summary has the focus: closes it
    tab.until("!document.querySelector('[data-template=\"1\"]').open")
    tab.press("t")
    assert tab.ask("document.body.classList.contains('whole')")
    tab.press("Escape")
    tab.until("!location.hash.slice(1)")
    assert tab.ask(f"{FOCUS}.dataset.name") == "notes"


def test_tab_reaches_what_can_be_used_and_shows_where_it_is(tab, address):
    tab.open(address + "#rain")
    reached = []
    for _ in range(40):
        tab.press("Tab")
        reached.append(tab.ask(f"{FOCUS}.tagName + ' ' + ({FOCUS}.id || {FOCUS}.className || {FOCUS}.name || '')"))
        outlined = tab.ask(f"getComputedStyle({FOCUS}).outlineStyle")
        assert outlined != "none" or reached[-1].startswith("BODY"), reached[-1]
    for wanted in ("INPUT boundaries", "DIV scroll splits", "SUMMARY ", "A "):
        assert any(one.startswith(wanted) for one in reached), (wanted, reached)


CUT_OFF = """[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, .first')
    && one.getBoundingClientRect().right > innerWidth).map(one => one.tagName + '.' + one.className)"""
"""What sticks out of the window, cut off by a box around it though it may be, and does not scroll by itself."""


@pytest.mark.parametrize("place", ["", "#rain/0", "#snow", "#notes/2", "#pages", "#rain/2?q=rain"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_thing_at_a_time_and_nothing_sideways(tab, address, place, scheme):
    tab.open(address + place, width=360, height=740, scheme=scheme)
    assert tab.ask("document.documentElement.scrollWidth") <= 360
    assert tab.ask(CUT_OFF) == []
    shown = "getComputedStyle(document.querySelector('#{}')).display !== 'none'"
    on_list = not place
    assert tab.ask(shown.format("list")) == on_list and tab.ask(shown.format("detail")) != on_list
    if not on_list:
        tab.ask("document.querySelector('.back a').click()")
        tab.until(shown.format("list"))


CONTRAST = """(() => {
  const channel = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let worst = [99, ''];
  for (const node of document.querySelectorAll('main *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.getClientRects().length || node.disabled) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < worst[0]) worst = [ratio, node.tagName + '.' + node.className + ': ' + node.textContent.slice(0, 40)];
  }
  return worst;
})()"""


@pytest.mark.parametrize("place", ["", "#rain/0", "#snow", "#notes/0"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(tab, address, place, scheme):
    """WCAG AA: at least 4.5 to 1."""
    tab.open(address + place, scheme=scheme)
    ratio, where = tab.ask(CONTRAST)
    assert ratio >= 4.5, where
    background = tab.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(background) < 200) == (scheme == "dark")
