"""What the catalogue page holds, as plain data: gathered by `gather.py`, written by `page.py`."""

import dataclasses
from collections.abc import Mapping

from flan_jax.data.catalogue import Catalogue
from flan_jax.data.manifest import TextManifest, TokenManifest


@dataclasses.dataclass(frozen=True)
class Run:
    """A stretch of a text; `lengths` has the UTF-16 units of each of its tokens, None where they are not known."""

    text: str
    lengths: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True)
class Gap:
    """A stretch left out of the page: so many tokens (0 where they are not known) and characters."""

    tokens: int
    characters: int


@dataclasses.dataclass(frozen=True)
class Part:
    """Inputs, targets or an option as the model reads it; `tokens` counts all of its tokens, None if not tokenised.

    `changed` says that the vocabulary does not give back the text it was given.
    """

    stretches: tuple[Run | Gap, ...]
    tokens: int | None
    changed: bool = False


@dataclasses.dataclass(frozen=True)
class Example:
    """A row of the store, with `joined_differs` where its parts tokenise otherwise when they are joined."""

    template: int
    split: str
    example_id: str
    inputs: Part
    targets: Part
    options: tuple[Part, ...]
    answer: int
    references: tuple[str, ...]
    joined_differs: bool


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """What the manifests say of a split; `tokens` is None where the vocabulary was not used on it."""

    text: TextManifest
    tokens: TokenManifest | None


@dataclasses.dataclass(frozen=True)
class PreparedTask:
    """What the store holds of a task.  `stale` names what has changed since it was made, if anything."""

    splits: tuple[PreparedSplit, ...]
    examples: tuple[Example, ...]
    stale: str = ""


@dataclasses.dataclass(frozen=True)
class VocabularyFacts:
    """The vocabulary whose tokens are shown; `directory` is what to name as VOCABULARY."""

    directory: str
    kind: str
    size: int
    digest: str
    has_bos: bool


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything on the page.  `prepared` is by task; `module` and `store` are what the user named."""

    title: str
    module: str
    store: str
    vocabulary: VocabularyFacts | None
    catalogue: Catalogue
    prepared: Mapping[str, PreparedTask]
