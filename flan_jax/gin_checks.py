"""What gin would take in silence, refused with its place and the way out: names, macros and settings without effect.

All works on the statements that were read (`gin_files.py`); only `check_reached` needs the configuration to be built.
"""

import inspect
import logging
import pathlib
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from flan_jax.gin_files import (
    REQUIRED,
    ConfigurationError,
    Macro,
    Reference,
    Statement,
    file_header,
    leaves,
    nearest,
    read_file,
    search_directories,
    shipped_files,
)

logger = logging.getLogger(__name__)


class Built(NamedTuple):
    """A configurable that was called, and in which scope: its settings there had their effect."""

    scope: str
    name: str


def check_settings(statements: Sequence[Statement], classes: Mapping[str, Callable[..., Any]]) -> None:
    """Every setting is a parameter of what it is set for."""
    for statement in statements:
        if statement.argument:
            parameters = inspect.signature(classes[statement.selector]).parameters
            if statement.argument not in parameters:
                raise ConfigurationError(
                    f"{statement.place}: {statement.selector} has no setting {statement.argument!r}"
                    f"{nearest(statement.argument, parameters)}"
                )


def check_macros(command: str, statements: Sequence[Statement]) -> None:
    """A macro that the user sets and nothing uses is a misspelling.

    But for one: files are layered, and one of the user's may set for several commands what the shipped runs know, as
    STORE and STEPS.  There it is a warning.
    """
    used = _macros(statements)
    offered = sorted(used)
    for statement in statements:
        if statement.argument or statement.selector in used or not statement.by_user:
            continue
        name, place = statement.selector, statement.place
        if statement.brought_by is not None and name in _shipped_macros():
            logger.warning("%s: %s has no effect on flan-jax %s with these files", place, name, command)
            continue
        remedy = "" if statement.brought_by is None else f"\n  use it, as %{name}, or leave it out"
        raise ConfigurationError(
            f"{place}: no file given uses the macro {name}{nearest(name, offered)}\n"
            f"  macros in use: {', '.join(offered) or 'none'}{remedy}"
        )


def check_scopes(statements: Sequence[Statement]) -> None:
    """A setting in a scope that no reference opens, as tuen/train.steps, is a misspelling."""
    references = (leaf for s in statements for leaf in leaves(s.value) if isinstance(leaf, Reference))
    opened = sorted({scope for reference in references for scope in reference.name.split("/")[:-1]})
    for statement in statements:
        for scope in filter(None, statement.scope.split("/")):
            if scope not in opened:
                raise ConfigurationError(
                    f"{statement.place}: nothing is made in a scope {scope!r}{nearest(scope, opened)}\n"
                    f"  scopes in use: {', '.join(opened) or 'none'}"
                )


def check_required(command: str, statements: Sequence[Statement], paths: Sequence[pathlib.Path]) -> None:
    """Every macro that is used has a value, and so has every setting: lists all that are missing at once."""
    macros = {s.selector: s.value for s in statements if not s.argument}
    settings = {s.target: s.value for s in statements if s.argument}
    missing = sorted(name for name in _macros(statements) if macros.get(name, REQUIRED) == REQUIRED)
    missing += sorted(name for name, value in settings.items() if value == REQUIRED)
    if missing:
        flags = " ".join(f"--gin.{name}=..." for name in missing)
        headers = "\n".join(f"\n{path}:\n{_indented(file_header(path))}" for path in paths if file_header(path))
        raise ConfigurationError(f"flan-jax {command} needs {flags}\n{headers}".rstrip())


def check_reached(
    command: str,
    statements: Sequence[Statement],
    built: Collection[Built],
    classes: Mapping[str, Callable[..., Any]],
) -> None:
    """What the user set went into the configuration that was built of it.

    His own settings must do so one by one.  Shipped files hold settings for several commands: of one that he named,
    something must.
    """
    used, macros = _effective(statements, built), _macros(statements)

    def idle(statement: Statement) -> bool:
        return statement.target not in used if statement.argument else statement.selector not in macros

    for statement in filter(idle, statements):
        if statement.by_user and statement.argument:
            said = statement.place
        elif not statement.by_user and all(idle(s) for s in statements if s.brought_by == statement.brought_by):
            said = f"{statement.brought_by}: flan-jax {command} takes nothing from this file; {statement.target}"
        else:
            continue
        raise ConfigurationError(f"{said} would have no effect: {_why(command, statement, statements, built, classes)}")


def _effective(statements: Sequence[Statement], built: Collection[Built]) -> set[str]:
    """The targets that gave something built its value; of several for one setting, that of the innermost scope."""
    used: set[str] = set()
    for scope, name in built:
        applying = [s for s in statements if s.selector == name and s.argument and _within(scope, s.scope)]
        innermost = {s.argument: s.target for s in sorted(applying, key=lambda s: len(s.scope))}
        used |= set(innermost.values())
    return used


def _within(scope: str, outer: str) -> bool:
    return not outer or f"{scope}/".startswith(f"{outer}/")


def _why(
    command: str,
    statement: Statement,
    statements: Sequence[Statement],
    built: Collection[Built],
    classes: Mapping[str, Callable[..., Any]],
) -> str:
    """Why a setting reaches nothing, and what to do about it."""
    name, argument = statement.selector, statement.argument
    if not argument:
        return "it is no macro of this run\n  leave the file out"
    scopes = [one.scope for one in built if one.name == name]
    inside = [scope for scope in scopes if _within(scope, statement.scope)]
    if inside:
        taken = _effective(statements, [Built(scope, name) for scope in inside])
        closer = {s.target: s.value for s in statements if s.target in taken and s.argument == argument}
        shown = ", ".join(f"{target} = {value!r}" for target, value in closer.items())
        return f"what it would set is set more closely\n  change that:   {shown}"
    if scopes:
        where = " and ".join(f"in {scope!r}" if scope else "outside scopes" for scope in sorted(scopes))
        return f"{name} is not built in the scope {statement.scope!r}, only {where}\n  set it there"
    takers = [
        f"{one.scope}/{one.name}.{parameter}".removeprefix("/")
        for one in sorted(built)
        for parameter, hint in typing.get_type_hints(classes[one.name]).items()
        if classes[name] in (hint, *typing.get_args(hint))
    ]
    remedies = ["leave it out", *(f"have one built:   --gin.{taker}=@{name}()" for taker in takers)]
    return f"flan-jax {command} builds no {name} with these files\n  " + "\n  or ".join(remedies)


def _macros(statements: Sequence[Statement]) -> set[str]:
    """Names of the macros that some value uses."""
    return {leaf.name for s in statements for leaf in leaves(s.value) if isinstance(leaf, Macro)} - {REQUIRED.name}


def _shipped_macros() -> set[str]:
    directories = search_directories()
    return _macros([statement for path in shipped_files() for statement in read_file(path, directories)])


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
