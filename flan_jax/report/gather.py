"""From a sweep's directory to the contents of its report.  Reads what the runs wrote; scores nothing anew."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.evaluation.results import Results
from flan_jax.report.clusters import cluster_results
from flan_jax.report.contents import KINDS, Contents, Curve, Kind, MixtureShares, Option, Prompt, Share, name_of
from flan_jax.report.contents import ReportError as ReportError
from flan_jax.sweep import Cell, read_cells
from flan_jax.training.metrics_log import read_metrics

PROMPTS = 5
"""Rendered prompts shown for each cluster."""


def gather(directory: str | os.PathLike[str]) -> Contents:
    """Everything the page shows.  Raises ReportError if the directory holds no finished cell of a sweep."""
    root = pathlib.Path(directory)
    cells = read_cells(root)
    if not cells:
        if not root.is_dir():
            raise ReportError(f"there is no folder {root}; name one that a sweep or an evaluation wrote, or a run")
        if (root / "checkpoints").is_dir():
            raise ReportError(
                f"{root} is a run that was not evaluated\n"
                f"  score it:   flan-jax evaluate --gin.CHECKPOINT=\"'{root}'\" --gin.MIXTURE=\"'...'\""
            )
        raise ReportError(
            f"{root} holds neither results of an evaluation nor a finished cell of a sweep (cells/*/summary.json);\n"
            f"  a sweep goes on where it stopped:   flan-jax sweep --gin_file=... --gin.SWEEP_DIR=\"'{root}'\""
        )
    order = sorted(cells, key=lambda cell: (cell.seed, KINDS.index(cell.kind)))
    cells = {cell: cells[cell] for cell in order}
    sweep = json.loads((root / "sweep.json").read_text())
    clusters = cluster_results(cells)
    runs = {cell.run: (cell, results.provenance) for cell, results in cells.items()}
    return Contents(
        title=_title(sweep["settings"]["tune"]["mixture"], [result.cluster for result in clusters]),
        clusters=clusters,
        curves=tuple(_curves(root, runs)),
        mixtures=tuple(_mixtures(root, runs)),
        prompts={result.cluster: _prompts(result.cluster, cells) for result in clusters},
        facts=tuple(_facts(root, cells)),
        operative=sweep["operative"],
    )


def _title(benchmark: str, clusters: Sequence[str]) -> str:
    if len(clusters) == 1:
        return f"{name_of(benchmark).capitalize()}: {name_of(clusters[0])} held out"
    return f"{name_of(benchmark).capitalize()}: one cluster held out at a time"


def _curves(root: pathlib.Path, runs: Mapping[str, tuple[Cell, Any]]) -> list[Curve]:
    curves = []
    for run, (cell, provenance) in runs.items():
        metrics = read_metrics(root / "runs" / run) or read_metrics(provenance["checkpoint"]["directory"])
        lines = [line for line in metrics if line.get("loss") is not None]
        curves.append(
            Curve(run, cell.kind, tuple(line["step"] for line in lines), tuple(line["loss"] for line in lines))
        )
    return curves


def _mixtures(root: pathlib.Path, runs: Mapping[str, tuple[Cell, Any]]) -> list[MixtureShares]:
    """The plan of one run of each mixture, tuning before pretraining: seeds change the order, hardly the shares."""
    found: dict[str, MixtureShares] = {}
    for run, (cell, provenance) in runs.items():
        path = root / "cells" / cell.name / "plan.json"
        mixture = provenance["mixture"]
        if mixture in found or not path.exists():
            continue
        tasks = json.loads(path.read_text())["tasks"]
        shares = [Share(task["task"], task["share_of_examples"], task["share_of_target_tokens"]) for task in tasks]
        found[mixture] = MixtureShares(run, mixture, tuple(shares))
    return sorted(found.values(), key=lambda mixture: KINDS.index("tuned") != KINDS.index(_kind(mixture.run)))


def _kind(run: str) -> Kind:
    return next(kind for kind in KINDS if run.startswith(kind))


def _prompts(cluster: str, cells: Mapping[Cell, Results]) -> tuple[Prompt, ...]:
    """A few questions, spread over the cluster's tasks and templates, with what each kind of model made of them."""
    seed = min(cell.seed for cell in cells if cell.cluster == cluster)
    results = {cell.kind: one for cell, one in cells.items() if (cell.cluster, cell.seed) == (cluster, seed)}
    rows = {kind: {row["id"]: row for row in _reported(one)} for kind, one in results.items()}
    first = next(iter(rows.values()))
    by_task: dict[str, list[dict]] = {}
    for row in first.values():
        by_task.setdefault(row["task"], []).append(row)
    chosen = []
    for number in range(PROMPTS):
        own = by_task[list(by_task)[number % len(by_task)]]
        chosen.append(own[(number * len(own)) // PROMPTS])
    return tuple(
        _prompt(row, {kind: ids[row["id"]] for kind, ids in rows.items() if row["id"] in ids}) for row in chosen
    )


def _reported(results: Results) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    return results.rows.filter(pc.field("split") == results.split).to_pylist()


def _prompt(row: Mapping[str, Any], answers: Mapping[Kind, Mapping[str, Any]]) -> Prompt:
    options = tuple(
        Option(text, index == row["answer"], {kind: answer["scores"][index] for kind, answer in answers.items()})
        for index, text in enumerate(row["options"])
    )
    wrote = {} if options else {kind: answer["prediction"] for kind, answer in answers.items()}
    return Prompt(
        row["task"], row["template"], row["example_id"], row["inputs"], options, tuple(row["references"]), wrote
    )


def _facts(root: pathlib.Path, cells: Mapping[Cell, Results]) -> list[tuple[str, str]]:
    provenance = [results.provenance for results in cells.values()]
    model = provenance[0]["model"]
    seeds = sorted({cell.seed for cell in cells})
    steps = {cell.kind: one["checkpoint"]["step"] for cell, one in zip(cells, provenance, strict=True)}
    seconds = [json.loads(line)["seconds"] for line in (root / "timings.jsonl").read_text().splitlines()]
    libraries = provenance[0]["libraries"]
    return [
        ("code", ", ".join(dict.fromkeys(one["code"] for one in provenance))),
        (
            "model",
            f"{model['num_layers']} layers, width {model['embed_dim']}, {model['num_heads']} heads, "
            f"vocabulary {model['vocab_size']}",
        ),
        ("steps", ", ".join(f"{kind} {count:,}" for kind, count in steps.items())),
        ("seeds", ", ".join(map(str, seeds))),
        ("split", ", ".join(dict.fromkeys(results.split for results in cells.values()))),
        ("ran on", ", ".join(dict.fromkeys(one["backend"] for one in provenance))),
        ("wall time", f"{sum(seconds) / 60:.1f} minutes, preparation, training and evaluation together"),
        ("versions", ", ".join(f"{name} {version}" for name, version in libraries.items())),
        ("directory", str(root.absolute())),
    ]
