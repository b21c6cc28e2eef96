"""Gin files as statements with their places: found by short names, read once, used by `configuration.py`."""

import difflib
import enum
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flan_jax.errors import FlanJaxError


class ConfigurationError(FlanJaxError):
    """A file or flag that cannot be read, names nothing, or leaves something required unset."""


class Reference(NamedTuple):
    """`@scope/name` or, called, `@scope/name()`.  Its repr is gin's notation: statements can be written back."""

    name: str
    called: bool

    def __repr__(self) -> str:
        return f"@{self.name}()" if self.called else f"@{self.name}"


class Macro(NamedTuple):
    """`%NAME`."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


REQUIRED = Macro("gin.REQUIRED")


class Standing(enum.IntEnum):
    """Which of two statements for the same thing wins, wherever they stand; within one standing the later.

    What a shipped file includes are defaults: they never win over a file that the user named, in whatever order.
    """

    DEFAULT = 0  # in a file that a shipped one includes
    INCLUDED = 1  # in a file that one of the user's includes
    GIVEN = 2  # in a file named on the command line
    FLAG = 3


class Statement(NamedTuple):
    """`scope/selector.argument = value`; a macro has an empty argument.  `place` is file:line, or the flag itself.

    `brought_by` is the file that the user chose to have it from: his own, or the shipped one he named; None for a flag.
    """

    scope: str
    selector: str
    argument: str
    value: Any
    place: str
    standing: Standing = Standing.FLAG
    brought_by: pathlib.Path | None = None

    @property
    def target(self) -> str:
        return (f"{self.scope}/" if self.scope else "") + self.selector + (f".{self.argument}" if self.argument else "")

    @property
    def strength(self) -> tuple[bool, Standing]:
        """Of two for one target the stronger holds, of equals the later; asking for a value takes none away."""
        return self.value != REQUIRED, self.standing

    @property
    def by_user(self) -> bool:
        """Whether the user wrote it: on the command line, or in a file of his own."""
        return self.brought_by is None or not is_shipped(self.brought_by)


def gin_configs_directory() -> pathlib.Path:
    """The folder of shipped gin files: inside the installed package, or beside it in a checkout."""
    package = pathlib.Path(__file__).parent
    installed = package / "gin_configs"
    return installed if installed.is_dir() else package.parent / "gin_configs"


def is_shipped(path: pathlib.Path) -> bool:
    return path.resolve().is_relative_to(gin_configs_directory().resolve())


def shipped_files() -> list[pathlib.Path]:
    return sorted(gin_configs_directory().rglob("*.gin"))


def search_directories(extra: Iterable[str] = ()) -> list[pathlib.Path]:
    """Where gin files are looked for: `--gin_search_paths`, here, the shipped folder, the folder around it."""
    shipped = gin_configs_directory()
    return [*map(pathlib.Path, extra), pathlib.Path.cwd(), shipped, shipped.parent]


def find_gin_file(name: str, directories: Sequence[pathlib.Path], place: str) -> pathlib.Path:
    """The first `directory / name` that is a file.  Raises ConfigurationError: where it looked, and the nearest."""
    for directory in directories:
        if (directory / name).is_file():
            return (directory / name).absolute()
    shipped = gin_configs_directory()
    there = [str(path.relative_to(shipped)) for path in shipped_files()]
    looked = ", ".join(dict.fromkeys(str(directory) for directory in directories))
    raise ConfigurationError(
        f"{place}: there is no gin file {name!r}{nearest(name.removeprefix('gin_configs/'), there)}\n"
        f"  looked in {looked}\n  add a folder with --gin_search_paths=FOLDER,..."
    )


def file_header(path: pathlib.Path) -> str:
    """The comment a run file opens with (what it does, usage, required macros), without the comment signs."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def read_file(
    path: pathlib.Path,
    directories: Sequence[pathlib.Path],
    within: tuple[str, ...] = (),
    standing: Standing = Standing.GIVEN,
    brought_by: pathlib.Path | None = None,
) -> Iterator[Statement]:
    """The statements of a file and of those it includes, in order; `standing` and `brought_by`: see `Statement`."""
    from gin import config_parser

    shipped = is_shipped(path)
    brought_by = brought_by if shipped and brought_by else path
    if str(path) in within:
        raise ConfigurationError(f"{path} includes itself, by way of {' -> '.join(within)}")
    with path.open() as file:
        try:
            for statement in config_parser.ConfigParser(file, _names()):
                place = f"{path}:{statement.location.line_num}"
                if isinstance(statement, config_parser.IncludeStatement):
                    looked = [gin_configs_directory(), *directories] if shipped else directories
                    included = find_gin_file(statement.filename, looked, place)
                    inside = Standing.DEFAULT if shipped else min(standing, Standing.INCLUDED)
                    chosen = brought_by if shipped else None
                    yield from read_file(included, directories, (*within, str(path)), inside, chosen)
                elif isinstance(statement, config_parser.ImportStatement):
                    raise ConfigurationError(
                        f"{place}: gin files import no code; a module of tasks is named by --gin.TASKS=\"'module'\""
                    )
                elif isinstance(statement, config_parser.BindingStatement):
                    yield Statement(
                        statement.scope, statement.selector, statement.arg_name, statement.value, place, standing,
                        brought_by,
                    )  # fmt: skip
        except SyntaxError as error:
            raise ConfigurationError(
                f"{path}:{error.lineno}: gin cannot read this: {(error.text or '').strip()}"
            ) from error


def read_binding(binding: str) -> Iterator[Statement]:
    from gin import config_parser

    name, _, value = (part.strip() for part in binding.partition("="))
    flag = f"--gin.{name}={value}"
    try:
        for statement in config_parser.ConfigParser(binding, _names()):
            if not isinstance(statement, config_parser.BindingStatement):
                raise SyntaxError
            yield Statement(statement.scope, statement.selector, statement.arg_name, statement.value, flag)
    except SyntaxError as error:
        quoted = value.strip("'\"")
        number = "numbers are written out, as 3000 or 3e-4; " if value[:1].isdigit() else ""
        raise ConfigurationError(
            f"{flag}: not a gin value; {number}text needs quotes that the shell leaves alone: "
            f"--gin.{name}=\"'{quoted}'\""
        ) from error


def _names() -> Any:
    from gin import config_parser

    class Names(config_parser.ParserDelegate):
        """Leaves references and macros as names, so that reading needs no configurable to exist."""

        def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
            return Reference(scoped_configurable_name, evaluate)

        def macro(self, macro_name: str) -> Macro:
            return Macro(macro_name)

    return Names()


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Reference | Macro):
        yield value
    elif isinstance(value, Mapping):
        yield from (leaf for pair in value.items() for part in pair for leaf in leaves(part))
    elif isinstance(value, list | tuple):
        yield from (leaf for part in value for leaf in leaves(part))


def nearest(name: str, names: Iterable[str]) -> str:
    names = list(names)
    if close := closest(name, names):
        return f"; did you mean {close!r}?"
    return f"; there is {', '.join(names)}" if names else ""


def closest(name: str, names: Iterable[str]) -> str | None:
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None
