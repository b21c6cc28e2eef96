"""Before anything is read: what of the sources is there, how much of it, and how long it will take."""

import collections
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flan_jax.data.atomic import atomic_file
from flan_jax.data.store import Store
from flan_jax.data.task import SourceSize, SourceUnavailable, Task
from flan_jax.errors import FlanJaxError

ROW_SECONDS, BYTE_SECONDS = 70e-6, 200e-9
"""Of one core, text and tokens together, as scripts/benchmarks/prepare_flan.py measures them."""
MOST_BYTES = 16_000  # a row; some sources carry pages along that no template shows

Split = tuple[str, str]


class SourcesUnavailable(FlanJaxError):
    """Some of the data asked for are not there: lists all of them, with what to do about each."""


class Sources(NamedTuple):
    """`sizes` of the splits that can be read, None where that cannot be told; `missing`: why others cannot, and how
    to `build` those that can be had (see `SourceUnavailable`)."""

    sizes: dict[Split, SourceSize | None]
    missing: dict[Split, str]
    build: list[tuple[str, str]]


def look(tasks: Mapping[Split, Task]) -> Sources:
    """What of these splits' sources is there.  Reads none of it."""
    found: dict[str, Mapping[str, SourceSize] | None] = {}
    reasons: dict[str, str] = {}
    build: list[tuple[str, str]] = []
    for name, task in {name: task for (name, _), task in tasks.items()}.items():
        try:
            found[name] = task.sizes() if task.sizes else None
        except SourceUnavailable as error:
            reasons[name] = str(error)
            build += [error.build] if error.build else []
        except FlanJaxError:  # reading it will fail and say why; the others go on
            found[name] = None
    sources = Sources({}, {}, build)
    for (name, split), task in tasks.items():
        sizes = found.get(name)
        if name in reasons:
            sources.missing[name, split] = reasons[name]
        elif sizes is not None and (split not in sizes or not sizes[split].rows):
            sources.missing[name, split] = f"{task.source} is there, but has no rows for the {split} split of {name}"
        else:
            sources.sizes[name, split] = sizes[split] if sizes else None
    return sources


def refuse(missing: Mapping[Split, str], build: Sequence[tuple[str, str]] = ()) -> None:
    """Raises SourcesUnavailable if anything is missing."""
    if missing:
        raise SourcesUnavailable(
            f"{listing(missing)}\n{_in_one_line(build)}"
            f"  nothing was prepared.  Get them, or go on without:   --gin.prepare.unavailable=\"'skip'\"\n"
            f"  (what is left out is recorded, and runs over the mixture refuse or say so)"
        )


def _in_one_line(build: Sequence[tuple[str, str]]) -> str:
    """The commands that get several datasets, to be pasted at once; one that fails does not keep back the next."""
    names: dict[str, dict[str, None]] = {}
    for command, name in build:
        names.setdefault(command, {})[name] = None
    loops = [
        f"for name in {' '.join(its)}; do {command.replace('{}', '$name')}; done" for command, its in names.items()
    ]
    several = len({name for _, name in build}) > 1
    return f"  all that can be built, in one line:\n{chr(10).join(loops)}\n" if several else ""


def listing(missing: Mapping[Split, str]) -> str:
    """Every reason with the splits it keeps back; a line that several reasons share comes once, at the end."""
    splits: dict[str, dict[str, list[str]]] = {}
    for (name, split), reason in missing.items():
        splits.setdefault(reason, {}).setdefault(name, []).append(split)
    shared = [line for line, count in collections.Counter(_lines("\n".join(splits))).items() if count > 1]
    lines = [headline(missing)]
    for reason, held in splits.items():
        what = "; ".join(f"{name} ({', '.join(its)})" for name, its in held.items())
        lines += [f"{what}:", *(f"  {line}" for line in _lines(reason) if line not in shared)]
    return "\n".join([*lines, *(["for all of them:", *(f"  {line}" for line in shared)] if shared else [])])


def headline(missing: Mapping[Split, str]) -> str:
    return f"not available: {len(missing)} splits of {len({name for name, _ in missing})} tasks"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def record(store: Store, missing: Mapping[Split, str], prepared: Sequence[Split]) -> None:
    """Note what was left out of the store, and forget it of what is there now."""
    for (name, split), reason in missing.items():
        with atomic_file(store.left_out_path(name, split)) as out:
            note = {"task": name, "split": split, "reason": reason}
            out.write(json.dumps(note, indent=1, ensure_ascii=False).encode())
    for name, split in prepared:
        store.left_out_path(name, split).unlink(missing_ok=True)


def estimate(sizes: Mapping[Split, SourceSize | None], processes: int) -> str:
    """A line for every task that is to be made, and the time all of it may take; "" if no size is known."""
    known = {key: size for key, size in sizes.items() if size is not None}
    if not known:
        return ""
    lines = [f"{'to make':34} {'splits':>7} {'source rows':>12} {'MB':>9} {'core s':>7}"]
    names = list(dict.fromkeys(name for name, _ in known))
    for name in [*names, ""]:
        mine = [size for (task, _), size in known.items() if name in (task, "")]
        rows, size = sum(s.rows for s in mine), sum(s.bytes for s in mine)
        title = name or f"{len(names)} tasks"
        lines.append(f"{title:34} {len(mine):7} {rows:12,} {size / 1e6:9.1f} {_seconds(mine):7.0f}")
    minutes = _seconds(list(known.values())) / processes / 60
    unknown = f"; {len(sizes) - len(known)} splits of unknown size besides" if len(known) < len(sizes) else ""
    lines.append(
        f"about {max(minutes, 0.1):.1f} min in {processes} processes, by the rates of a cloud machine{unknown}"
    )
    return "\n".join(lines)


def _seconds(sizes: Sequence[SourceSize]) -> float:
    shown = (min(size.bytes, size.rows * MOST_BYTES) for size in sizes)
    return sum(size.rows for size in sizes) * ROW_SECONDS + sum(shown) * BYTE_SECONDS
