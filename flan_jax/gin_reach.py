"""What gin would build of statements, and which of them it would read for it: worked out before anything is built."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flan_jax.gin_files import (
    REQUIRED,
    Macro,
    Reference,
    Statement,
    gin_configs_directory,
    leaves,
    read_file,
    search_directories,
)


class Built(NamedTuple):
    """A configurable that is called, and in which scope."""

    scope: str
    name: str


class Reach(NamedTuple):
    """What a command builds, and what that is built with: the targets of settings, the names of macros."""

    built: frozenset[Built]
    settings: frozenset[str]
    macros: frozenset[str]

    def takes(self, statement: Statement) -> bool:
        """Whether something built gets a value from this statement, or from a later one for the same target."""
        return statement.target in (self.settings if statement.argument else self.macros)


def reach(command: str, statements: Iterable[Statement]) -> Reach:
    """Follow references and macros from the command, through the last statement for each target.

    As in gin, a reference with a scope leaves the scope it stands in, one without stays; what a macro refers to is
    called in a scope of the macro's name.
    """
    last = in_effect(statements)
    built: set[Built] = set()
    settings: set[str] = set()
    macros: set[str] = set()

    def follow(statement: Statement, scope: str) -> None:
        for leaf in leaves(statement.value):
            if isinstance(leaf, Reference):
                *inside, name = leaf.name.split("/")
                build(Built("/".join(inside) or scope, name))
            elif leaf != REQUIRED and leaf.name not in macros:
                macros.add(leaf.name)
                if leaf.name in last:
                    follow(last[leaf.name], leaf.name)

    def build(one: Built) -> None:
        if one not in built:
            built.add(one)
            for statement in applying(one, last):
                settings.add(statement.target)
                follow(statement, one.scope)

    build(Built("", command))
    return Reach(frozenset(built), frozenset(settings), frozenset(macros))


def in_effect(statements: Iterable[Statement]) -> dict[str, Statement]:
    """The last statement for each target."""
    return {statement.target: statement for statement in statements}


def applying(one: Built, last: Mapping[str, Statement]) -> list[Statement]:
    """The statements that set the parameters of something built; of several for one, that of the innermost scope."""
    settings = [s for s in last.values() if s.selector == one.name and s.argument and within(one.scope, s.scope)]
    return list({s.argument: s for s in sorted(settings, key=lambda s: len(s.scope))}.values())


def within(scope: str, outer: str) -> bool:
    return not outer or f"{scope}/".startswith(f"{outer}/")


def readers(macro: str, statements: Iterable[Statement]) -> list[Statement]:
    """The statements that use a macro, in effect or not."""
    return [statement for statement in statements if Macro(macro) in leaves(statement.value)]


def shipped_runs(statements: Sequence[Statement]) -> dict[str, Reach]:
    """Of every shipped run, by its short name, what it would take if these statements came after it."""
    directories, shipped = search_directories(), gin_configs_directory()
    found = {}
    for path in sorted((shipped / "runs").glob("*.gin")):
        run = list(read_file(path, directories))
        parts = [reach(command, [*run, *statements]) for command in commands_of(run)]
        found[str(path.relative_to(shipped))] = Reach(*(frozenset().union(*each) for each in zip(*parts, strict=True)))
    return found


def commands_of(run: Sequence[Statement]) -> list[str]:
    """What a run file is for: that which it sets, and which nothing in it has built for itself."""
    referred = {leaf.name.split("/")[-1] for s in run for leaf in leaves(s.value) if isinstance(leaf, Reference)}
    return sorted({s.selector for s in run if s.argument} - referred)
