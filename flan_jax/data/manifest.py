"""Manifests: what a store file was made from, what was kept of it, and the checksum that proves it whole."""

import dataclasses
import json
import pathlib
from typing import Any, TypeVar

import xxhash

import flan_jax
from flan_jax.data.atomic import atomic_file
from flan_jax.errors import FlanJaxError

FORMAT = 2  # of both layers; a change makes `prepare` write them anew


class CorruptStore(FlanJaxError):
    """A store file does not hold what was written; names the file and how to make it again."""


def corrupt(path: pathlib.Path, why: str) -> CorruptStore:
    return CorruptStore(
        f"{path} is corrupt: {why}\n"
        f"  run flan-jax prepare again: it makes this file anew and leaves the others (or delete it first)"
    )


@dataclasses.dataclass(frozen=True)
class DataFile:
    """Name, size in bytes and xxh3-128 checksum of the Arrow file beside the manifest."""

    file: str
    size: int
    xxh3: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What the manifests of both layers share.  Holds no time and no path, so that equal stores are equal files."""

    task: str
    split: str
    rows: int
    data: DataFile

    def write(self, path: pathlib.Path) -> None:
        body = dataclasses.asdict(self) | {"code_version": flan_jax.__version__, "format": FORMAT}
        with atomic_file(path) as out:
            out.write(json.dumps(body | {"manifest_xxh3": _checksum(body)}, indent=1, ensure_ascii=False).encode())


def _checksum(body: dict) -> str:
    return xxhash.xxh3_128(json.dumps(body, sort_keys=True).encode()).hexdigest()


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


@dataclasses.dataclass(frozen=True)
class TextManifest(Manifest):
    """Of a text layer file.  Counts are of source examples unless they say rows: an example seen is kept or dropped.

    `templates` is "hashed" (one template an example, chosen by `seed`) or "forward" (every forward template; `seed`
    is None, and `eval_examples` is the cap).  `template_digest` is the sha256 of the template file, "" without one;
    `source_digest` the task's.
    """

    cluster: str
    benchmark: str
    kind: str
    metrics: tuple[str, ...]
    source: str
    licence: str
    citation: str
    template_file: str
    template_digest: str
    fingerprint: str
    templates: str
    seed: int | None
    eval_examples: int | None
    seen: int
    kept: int
    dropped: dict[str, int]
    rows_dropped: dict[str, int]
    source_digest: str = ""


@dataclasses.dataclass(frozen=True)
class TokenManifest(Manifest):
    """Of a token layer file, row for row that of the text file with checksum `text_xxh3`.

    `length_histogram` counts rows by tokens of inputs and targets together: key "64" is 33 to 64 tokens.
    `boundary_differs` counts rows whose parts tokenise otherwise when joined.
    """

    text_xxh3: str
    vocabulary_kind: str
    vocabulary_size: int
    vocabulary_digest: str
    input_tokens: int
    target_tokens: int
    longest: int
    length_histogram: dict[str, int]
    boundary_differs: int


def read_manifest(kind: type[AnyManifest], path: pathlib.Path) -> AnyManifest | None:
    """None if there is no manifest, or one of another format.  Raises CorruptStore."""
    try:
        body: dict[str, Any] = json.loads(path.read_bytes())
        checksum = body.pop("manifest_xxh3")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, AttributeError) as error:
        raise corrupt(path, f"not a whole manifest ({error})") from error
    if checksum != _checksum(body):
        raise corrupt(path, "it was changed after it was written")
    if body.pop("format") != FORMAT:
        return None
    body.pop("code_version")
    body["data"] = DataFile(**body["data"])
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in body.items()}
    return kind(**values)
