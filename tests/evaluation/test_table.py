import pytest

from flan_jax.table import format_table


def test_columns_are_aligned():
    assert format_table(("name", "n"), [("a", 5), ("longer", None)]).splitlines() == [
        "name    n",
        "──────  ─",
        "a       5",
        "longer  -",
    ]
    assert format_table(("x", "y"), [("a", "bb")], align="><").splitlines()[0] == "x  y"


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="has 1 cells for 2 headings"):
        format_table(("a", "b"), [("x",)])
