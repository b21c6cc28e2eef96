"""What gin would take in silence, refused with its place and the way out: names, macros and settings without effect."""

import inspect
import logging
import pathlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flan_jax.gin_files import (
    REQUIRED,
    ConfigurationError,
    Reference,
    Statement,
    closest,
    file_header,
    is_shipped,
    leaves,
    nearest,
)
from flan_jax.gin_reach import Built, Reach, applying, commands_of, in_effect, reach, readers, shipped_runs, within
from flan_jax.models.config import DecoderConfig
from flan_jax.models.run_as import RunAs

logger = logging.getLogger(__name__)

Classes = Mapping[str, Callable[..., Any]]


def check_run(command: str, statements: Sequence[Statement], paths: Sequence[pathlib.Path]) -> None:
    """Some file, if any is a shipped run, is one of this command."""
    if any(s.selector == command and s.argument and s.brought_by is not None for s in statements):
        return
    for path in paths:
        own = commands_of([s for s in statements if s.brought_by == path])
        if is_shipped(path) and path.parent.name == "runs":
            raise ConfigurationError(f"{path} is a run of flan-jax {' and '.join(own)}, not of flan-jax {command}")


def check_settings(statements: Iterable[Statement], classes: Classes) -> None:
    """Every setting is a parameter of what it is set for."""
    for name, argument, place in ((s.selector, s.argument, s.place) for s in statements if s.argument):
        parameters = signature(classes[name]).parameters
        if argument in parameters:
            continue
        if name == "DecoderConfig" and argument in RunAs.__dataclass_fields__:
            raise ConfigurationError(
                f"{place}: {argument} is not of a model's shape, but of how any model is run, also a checkpoint's\n"
                f"  set   RunAs.{argument}"
            )
        raise ConfigurationError(f"{place}: {name} has no setting {argument!r}{nearest(argument, parameters)}")


def signature(cls: Callable[..., Any]) -> inspect.Signature:
    """The settings that gin has of a configurable: how a model is run has one place, `RunAs`."""
    whole = inspect.signature(cls)
    if cls is not DecoderConfig:
        return whole
    shape = [setting for name, setting in whole.parameters.items() if name not in RunAs.__dataclass_fields__]
    return whole.replace(parameters=shape)


def check_effect(
    command: str, statements: Sequence[Statement], paths: Sequence[pathlib.Path], classes: Classes
) -> None:
    """What the user gave has an effect on what the command builds.

    His flags, and the statements of his own files, must have one each; of a shipped file, which holds settings for
    several commands, something must be taken.  His files, too, may be for several commands: what they say, or include,
    and another shipped run would take, is told and left alone.
    """
    reached = reach(command, statements)
    taken_from = {s.brought_by for s in statements if reached.takes(s)}
    groups: dict[tuple[object, str], list[Statement]] = {}
    for statement in statements:
        if statement.by_user and not reached.takes(statement):
            groups[statement.place, statement.target] = [statement]
        elif not statement.by_user and statement.brought_by not in taken_from:
            groups.setdefault((statement.brought_by, ""), []).append(statement)
    layered = [s for s in statements if s.brought_by is not None and (s.by_user or s.brought_by not in paths)]
    runs = shipped_runs(layered) if groups else {}
    for group in groups.values():
        first = group[0]
        takers = [run for run, its in runs.items() if first in layered and any(its.takes(s) for s in group)]
        said = first.place if first.brought_by is None else f"{first.place}: {first.target}"
        if not first.by_user:
            said = f"{first.brought_by}: flan-jax {command} takes nothing from this file; {first.target}"
        why = _why(command, first, statements, reached, classes)
        if not takers:
            raise ConfigurationError(f"{said} would have no effect: {why}")
        others = ", ".join(takers[:3]) + (", ..." if takers[3:] else "")
        reason = why.partition("\n")[0]
        logger.warning("%s has no effect on flan-jax %s, and is left to %s: %s", said, command, others, reason)


def tell_overridden(statements: Sequence[Statement]) -> None:
    """Later files win; but that a shipped one takes from a file of the user's, which he named before it, is told."""
    last = in_effect(statements)
    for statement in statements:
        instead = last[statement.target]
        if statement.by_user and not instead.by_user and instead.value != statement.value:
            logger.warning(
                "%s: %s = %r is overridden by %s; name your file after that one",
                statement.place, statement.target, statement.value, instead.place,
            )  # fmt: skip


def check_required(command: str, statements: Sequence[Statement], paths: Sequence[pathlib.Path]) -> None:
    """Every macro that is read has a value, and so has every setting: lists all that are missing at once."""
    last, reached = in_effect(statements), reach(command, statements)
    missing = sorted(name for name in reached.macros if name not in last or last[name].value == REQUIRED)
    missing += sorted(name for name in reached.settings if last[name].value == REQUIRED)
    if missing:
        flags = " ".join(f"--gin.{name}=..." for name in missing)
        headers = "\n".join(f"\n{path}:\n{_indented(file_header(path))}" for path in paths if file_header(path))
        raise ConfigurationError(f"flan-jax {command} needs {flags}\n{headers}".rstrip())


def _why(command: str, statement: Statement, statements: Sequence[Statement], reached: Reach, classes: Classes) -> str:
    """Why a statement has no effect, and from the second line on what to do about it."""
    if not statement.argument:
        return _why_macro(command, statement, statements, reached, classes)
    references = (leaf for s in statements for leaf in leaves(s.value) if isinstance(leaf, Reference))
    opened = sorted({scope for reference in references for scope in reference.name.split("/")[:-1]})
    for scope in filter(None, statement.scope.split("/")):
        if scope not in opened:
            return f"nothing is made in a scope {scope!r}{nearest(scope, opened)}"
    name, last = statement.selector, in_effect(statements)
    scopes = sorted(one.scope for one in reached.built if one.name == name)
    inside = [scope for scope in scopes if within(scope, statement.scope)]
    if inside:
        closer = [s for scope in inside for s in applying(Built(scope, name), last) if s.argument == statement.argument]
        shown = ", ".join(dict.fromkeys(f"{s.target} = {s.value!r}" for s in closer))
        return f"what it would set is set more closely\n  change that:   {shown}"
    if scopes:
        where = " and ".join(f"in {scope!r}" if scope else "outside scopes" for scope in scopes)
        return f"{name} is not built in the scope {statement.scope!r}, only {where}\n  set it there"
    takers = [
        f"{one.scope}/{one.name}.{parameter}".removeprefix("/")
        for one in sorted(reached.built)
        for parameter, hint in typing.get_type_hints(classes[one.name]).items()
        if classes[name] in (hint, *typing.get_args(hint))
    ]
    remedies = ["leave it out", *(f"have one built:   --gin.{taker}=@{name}()" for taker in takers)]
    return f"flan-jax {command} builds no {name} with these files\n  " + "\n  or ".join(remedies)


def _why_macro(
    command: str, statement: Statement, statements: Sequence[Statement], reached: Reach, classes: Classes
) -> str:
    name, last = statement.target, in_effect(statements)
    found = readers(name, statements)
    if not found:
        offered = sorted(reached.macros)
        close = closest(name, offered)
        meant = f"; did you mean {close!r}?" if close else ""
        remedy = "" if statement.brought_by is None else f"\n  use it, as %{name}, or leave it out"
        return f"no file given uses it{meant}\n  macros in use: {', '.join(offered) or 'none'}{remedy}"
    reader = found[-1]
    instead = last[reader.target]
    if instead is not reader:
        return f"{reader.target} would read it, and is set otherwise by {instead.place}\n  leave one of the two out"
    return f"only {reader.target} would read it: " + _why(command, reader, statements, reached, classes)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
