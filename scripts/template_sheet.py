"""A sheet to read: one example under every template of FLAN 2021, in every form.

    python scripts/template_sheet.py [--data_dir ~/tensorflow_datasets] [--only rte,squad_v1] > sheet.txt

Of a dataset that is in the data directory the first row that is kept is shown, of others one of the made-up rows of the
tests.  Datasets that share their templates are shown once.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "tasks" / "flan2021"))

from made_up_rows import ROWS
from tfds_directory import source_splits, write_dataset

from flan_jax.data.task import Rendered
from tasks import catalog
from tasks.data_directory import contents_digest, data_directory
from tasks.dataset import Dataset, Tfds
from tasks.forms import FORMS
from tasks.registry import make_task

LONGEST = 400  # characters of a line


def directory_with(source: Tfds, data_dir: str, made_up: str) -> str:
    """Where the source's rows are read: `data_dir` if it has them, else `made_up`, to which they are written."""
    if contents_digest(source, data_dir):
        return data_dir
    if not contents_digest(source, made_up):
        write_dataset(source.name, ROWS[source.name], source_splits()[source.name], pathlib.Path(made_up))
    return made_up


def shortened(text: str) -> str:
    """Long lines without their middles, indented."""
    half = LONGEST // 2
    lines = (line if len(line) <= LONGEST else f"{line[:half]} [...] {line[-half:]}" for line in text.split("\n"))
    return "\n".join(f"    | {line}" for line in lines)


def print_form(dataset: Dataset, data_dir: str) -> None:
    task = make_task(dataset, data_dir=data_dir)
    indexes = tuple(info.index for info in task.templates)
    rows = task.render(task.splits[0], indexes, 0)
    kept: list[Rendered] = []
    while len(kept) < len(indexes):
        row = next(rows)
        kept = [*kept, row] if isinstance(row, Rendered) else []
    for info, row in zip(task.templates, kept, strict=True):
        kind = "" if info.forward else "  (unconditional)" if info.unconditional else "  (turned around)"
        print(f"\n== {task.name}, template {info.index}{kind}\n{shortened(row.inputs)}")
        print(f"    ->{shortened(row.targets)[6:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default=None, help="default: $TFDS_DATA_DIR")
    parser.add_argument("--only", default="", help="names of datasets, with commas between")
    parser.add_argument("--forms", default=",".join(("instructions", *FORMS)), help="%(default)s")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if name]
    groups: dict[str, Dataset] = {}
    for dataset in catalog.datasets().values():
        if isinstance(dataset.source, Tfds) and (dataset.name in wanted or not wanted):
            groups.setdefault(dataset.template_group, dataset)
    with tempfile.TemporaryDirectory() as made_up:
        for dataset in groups.values():
            assert isinstance(dataset.source, Tfds)
            directory = directory_with(dataset.source, data_directory(arguments.data_dir), made_up)
            for form in arguments.forms.split(","):
                print_form(dataset if form == "instructions" else catalog.find(f"{dataset.name}_{form}"), directory)


if __name__ == "__main__":
    main()
