"""Where TFDS data are looked for and what is there, told from the files: free of TensorFlow and of TFDS."""

import hashlib
import json
import os

from .dataset import Tfds


def data_directory(data_dir: str | None = None) -> str:
    """Where TFDS data are looked for: `data_dir`, else $TFDS_DATA_DIR, else TFDS's own default."""
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def found_name(source: Tfds, directory: str) -> str:
    """The name under which the source is read there: its own, or the first older one that is there instead of it."""
    names = (source.name, *source.also)
    return next((name for name in names if os.path.isdir(_folder(name, directory))), source.name)


def contents_digest(source: Tfds, directory: str) -> str:
    """Digest of the version and of the rows and bytes of every split of what is read there; "" where nothing is.

    A local directory only: what lies in a bucket is not looked at before it is read.
    """
    name = found_name(source, directory)
    try:
        with open(os.path.join(_folder(name, directory), "dataset_info.json"), encoding="utf-8") as file:
            info = json.load(file)
        splits = [[s["name"], sum(map(int, s["shardLengths"])), s.get("numBytes")] for s in info["splits"]]
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not to be read: reading says why
        return ""
    return hashlib.sha256(json.dumps([name, sorted(splits)]).encode()).hexdigest()


def _folder(name: str, directory: str) -> str:
    return os.path.join(directory, name.replace(":", "/"))
