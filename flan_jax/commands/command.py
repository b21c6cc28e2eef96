"""What a subcommand of `flan-jax` is."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand.  `runs` are the shipped run files its help shows; `default` is used when none is given.

    `example` ends its help.  `again` says what the same command does after it was stopped.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace, Sequence[str]], int]
    runs: tuple[str, ...] = ()
    default: str | None = None
    arguments: Callable[[argparse.ArgumentParser], None] | None = None
    example: str = ""
    again: str = "starts anew"
