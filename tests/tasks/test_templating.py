"""Templates: what the reader refuses, and that rendering neither loses nor reads the data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flan_jax.data.task import TemplateInfo
from tasks.templating import (
    FieldsError,
    Template,
    TemplateError,
    choose_template,
    options_text,
    parse_pattern,
    read_templates,
    render,
)

HOSTILE = st.text() | st.sampled_from(
    ["{premise}", "{{", "}", "{options}", "%s", "a\nb", "$x", "{0}", "\\n", "é漢🙂", "\u2028"]
)


def template(inputs: str, targets: str = "{answer}", **flags: bool) -> Template:
    return Template(TemplateInfo(0, **flags), parse_pattern(inputs), parse_pattern(targets))


@given(premise=HOSTILE, hypothesis=HOSTILE)
def test_field_text_is_neither_lost_nor_read(premise: str, hypothesis: str):
    fields = {"premise": premise, "hypothesis": hypothesis, "options": ("yes", "no"), "answer": "no"}
    inputs, *_ = render(template("A{{ {premise} }}B{hypothesis}C{premise}.\n{options}"), fields)
    assert inputs == "A{ " + premise + " }B" + hypothesis + "C" + premise + ".\nOPTIONS:\n- yes\n- no"


@given(answer=HOSTILE, question=HOSTILE)
def test_outer_white_space_of_target_and_end_of_inputs_is_all_that_goes(answer: str, question: str):
    inputs, targets, options, index, references = render(
        template("{question}"), {"question": question, "answer": answer}
    )
    assert inputs == question.rstrip()
    assert targets == (" " + answer.strip() if answer.strip() else "")
    assert (options, index, references) == ((), -1, (answer.strip(),))


@given(literal=st.text())
def test_escaped_braces_are_literal(literal: str):
    pattern = parse_pattern(literal.replace("{", "{{").replace("}", "}}"))
    assert pattern.names == ()
    assert pattern.fill({}) == literal


def test_options_are_whole_targets():
    fields = {"text": "t", "options": ("good", "bad"), "answer": "bad"}
    inputs, targets, options, answer, references = render(template("{text}\n{options}", "It is {answer}."), fields)
    assert inputs == "t\nOPTIONS:\n- good\n- bad"
    assert options == (" It is good.", " It is bad.")
    assert targets == options[answer] == " It is bad."
    assert references == ("It is bad.",)


def test_references_belong_to_the_answer_only():
    fields = {"question": "Who?", "answer": "Ann", "references": ("Ann", "Ann B.")}
    assert render(template("{question}"), fields)[-1] == ("Ann", "Ann B.")
    assert render(template("{answer}", "{question}", turned_around=True), fields)[-1] == ("Who?",)


def test_turned_around_template_has_no_options():
    fields = {"text": "t", "options": ("good", "bad"), "answer": "bad"}
    rendered = render(template("Write something {answer}.", "{text}", turned_around=True), fields)
    assert rendered[:4] == ("Write something bad.", " t", (), -1)


def test_answer_outside_the_options_is_an_error():
    with pytest.raises(FieldsError, match=r"'maybe' is not one of the options \('yes', 'no'\)"):
        render(template("{text}{options}"), {"text": "t", "options": ("yes", "no"), "answer": "maybe"})


@pytest.mark.parametrize(
    ("fields", "message"), [({"answer": "a"}, "no field 'text'"), ({"text": 3, "answer": "a"}, "not text: text")]
)
def test_missing_and_wrong_fields_are_named(fields: dict, message: str):
    with pytest.raises(FieldsError, match=message):
        render(template("{text}"), fields)


def test_option_with_a_newline_stays_as_it_is():
    assert options_text(("a\nb", "{c}")) == "OPTIONS:\n- a\nb\n- {c}"


def test_choice_of_template_depends_on_nothing_but_seed_task_and_example():
    chosen = [choose_template(10, 7, "rte", f"train-{i}") for i in range(2000)]
    assert chosen == [choose_template(10, 7, "rte", f"train-{i}") for i in range(2000)]
    assert all(150 < chosen.count(t) < 250 for t in range(10))
    assert chosen != [choose_template(10, 8, "rte", f"train-{i}") for i in range(2000)]
    assert chosen != [choose_template(10, 7, "cb", f"train-{i}") for i in range(2000)]


FORWARD = '- inputs: "T{i} {text} {options}"\n  targets: "{answer}"\n'


def entries(count: int) -> str:
    return "".join(FORWARD.replace("{i}", str(i)) for i in range(count))


def read(tmp_path, text: str, has_options: bool = True):
    path = tmp_path / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return read_templates(path, ("text", "other"), has_options)


def test_good_file(tmp_path):
    file = read(tmp_path, entries(9) + '- {inputs: "Write. {answer}", targets: "{text}", turned_around: true}\n')
    assert [t.info.forward for t in file.templates] == [True] * 9 + [False]
    assert [t.info.index for t in file.templates] == list(range(10))


BAD = {
    "unknown field": (
        '- inputs: |\n    one\n    {tekst}\n  targets: "{answer}"\n',
        21,
        r"unknown field \{tekst\}; .* text",
    ),
    "unknown key": ('- input: x\n  targets: "{answer}"\n', 19, "unknown key `input`"),
    "no targets": ('- inputs: "{text}"\n', 19, "template 9 has no `targets`"),
    "not text": ('- inputs: "{text}"\n  targets: yes\n', 20, "`targets` must be text"),
    "empty": ('- inputs: "  "\n  targets: "{answer}"\n', 19, "`inputs` is empty"),
    "single brace": ('- inputs: "{text} { x"\n  targets: "{answer}"\n', 19, "a single '{'"),
    "same inputs": (
        '- inputs: "T3  {text} {options}"\n  targets: "{answer}"\n',
        19,
        "same inputs as the template in line 7",
    ),
    "twice": ('- inputs: "{text}"\n  inputs: "{text}"\n  targets: "{answer}"\n', 20, "`inputs` is given twice"),
    "flag": ('- inputs: "{text}"\n  targets: "{other}"\n  turned_around: 1\n', 21, "must be true or false"),
    "leak": ('- inputs: "{answer}"\n  targets: "{answer}"\n', 19, "turned_around is missing"),
    "no answer": ('- inputs: "{text}"\n  targets: "{other}"\n', 20, r"must hold \{answer\}"),
    "no field": ('- inputs: "Say something."\n  targets: "{answer}"\n', 19, "mark it `unconditional: true`"),
    "conditional": ('- inputs: "{text}"\n  targets: "{other}"\n  unconditional: true\n', 19, "unconditional, but"),
    "options": ('- inputs: "{options}"\n  targets: "{text}"\n  turned_around: true\n', 19, "forward template only"),
    "constant": ('- inputs: "{text}"\n  targets: "x"\n', 20, "targets hold no field"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_template_is_refused_with_file_and_line(tmp_path, name: str):
    entry, line, message = BAD[name]
    with pytest.raises(TemplateError, match=rf"(?s)toy\.yaml:{line}: .*{message}"):
        read(tmp_path, entries(9) + entry)


def test_wrong_count_is_refused(tmp_path):
    with pytest.raises(TemplateError, match=r"toy\.yaml:1: 9 templates, but a file of instructions holds exactly 10"):
        read(tmp_path, entries(9))


def test_fourth_turned_around_template_is_refused_at_its_line(tmp_path):
    turned = "".join(f'- {{inputs: "W{i} {{answer}}", targets: "{{text}}", turned_around: true}}\n' for i in range(4))
    with pytest.raises(TemplateError, match=r"toy\.yaml:16: 4 templates are turned around"):
        read(tmp_path, entries(6) + turned)


def test_options_need_a_dataset_that_has_them(tmp_path):
    with pytest.raises(TemplateError, match=r"toy\.yaml:1: unknown field \{options\}"):
        read(tmp_path, entries(10), has_options=False)


def test_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(TemplateError, match=r"no template file .*nowhere\.yaml"):
        read_templates(tmp_path / "nowhere.yaml", (), False)
    with pytest.raises(TemplateError, match=r"toy\.yaml:2: not YAML: found unexpected end of stream"):
        read(tmp_path, '- inputs: "x\n')
    with pytest.raises(TemplateError, match=r"toy\.yaml: not YAML in UTF-8"):
        (tmp_path / "toy.yaml").write_bytes(b"\xff")
        read_templates(tmp_path / "toy.yaml", (), False)
    with pytest.raises(TemplateError, match=r"toy\.yaml:1: a template file is a list"):
        read(tmp_path, "")


def test_words_stand_for_the_options_in_one_template(tmp_path):
    path = tmp_path / "rte.yaml"
    path.write_text('- inputs: "{premise}?"\n  targets: "{answer}."\n  words: {"yes": "True", "no": "False"}\n')
    file = read_templates(path, ("premise",), True, "continuation")
    fields = {"premise": "P", "options": ("yes", "no", "maybe"), "answer": "no", "references": ("no", "maybe")}
    assert render(file.templates[0], fields) == (
        "P?", " False.", (" True.", " False.", " maybe."), 1, ("False.", "maybe.")
    )  # fmt: skip


@pytest.mark.parametrize(("words", "message"), [
    ("[a]", "maps an option"), ("{}", "maps an option"), ("{yes: 1}", "must be text"), ('{"a": "x", "b": "x"}', "one"),
])  # fmt: skip
def test_bad_words_are_refused(tmp_path, words: str, message: str):
    path = tmp_path / "rte.yaml"
    path.write_text(f'- inputs: "{{premise}}"\n  targets: "{{answer}}"\n  words: {words}\n')
    with pytest.raises(TemplateError, match=f"rte.yaml:3.*{message}"):
        read_templates(path, ("premise",), True, "continuation")


def test_a_prefix_is_literal():
    assert parse_pattern("{a}!").behind("[b: {x}] ").fill({"a": "A"}) == "[b: {x}] A!"
