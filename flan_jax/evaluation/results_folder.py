"""Where the results of an evaluation lie: a folder named for people, and for all that decides what they come to.

    <run>/evaluations/<step>-<mixture>-<split>[-<k>-shot]-<digest>

So an evaluation with other settings, tasks or data stands beside an earlier one, and the same one in its place.
"""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.results import SUMMARY_FILE

LONGEST_NAME = 48  # characters of the mixture's part; a file system takes 255 bytes for all


class ResultsFolderError(FlanJaxError, ValueError):
    """Results cannot be written where they were to be; found out before anything is scored."""


def decisive_digest(decisive: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for everything that decides a result, which is plain JSON data."""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def folder_name(step: int, names: Sequence[str], split: str, shots: int | str, digest: str) -> str:
    """At most about 100 characters that any file system takes, however many names there are."""
    parts = (str(step), short_name(names), split[:LONGEST_NAME], *([f"{shots}-shot"] if shots else []), digest[:8])
    return plain("-".join(parts))


def short_name(names: Sequence[str]) -> str:
    """The names in at most LONGEST_NAME characters: the first, and how many more, where all are too long."""
    named = "+".join(names)
    if len(named) > LONGEST_NAME:
        more = f"+{len(names) - 1}_more" if len(names) > 1 else ""
        named = names[0][: LONGEST_NAME - len(more)] + more
    return named


def plain(name: str) -> str:
    """With only those characters that any file system takes."""
    return re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII)


def claim_folder(folder: str | os.PathLike[str], digest: str) -> None:
    """Make the folder, and see that no results of another evaluation are in it.

    Raises ResultsFolderError if they are, or nothing can be written there.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise ResultsFolderError(
            f"results cannot be written to {folder}: {error.strerror or error}; set --gin.OUTPUT"
        ) from error
    try:
        there = json.loads((folder / SUMMARY_FILE).read_text())["provenance"].get("digest")
    except (OSError, ValueError, KeyError):
        return  # nothing, or nothing whole
    if there != digest:
        raise ResultsFolderError(
            f"{folder} holds results of another evaluation (digest {there}, of this one {digest}): other settings, "
            "checkpoint, tasks or data\n"
            f"  keep both:   another --gin.OUTPUT, or --gin.OUTPUT=\"''\" for a folder of its own in the run's\n"
            f"  or delete {folder / SUMMARY_FILE}"
        )
