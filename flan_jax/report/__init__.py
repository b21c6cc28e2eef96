"""Tables, plots and the self-contained page."""

import os
import pathlib


def write_report(directory: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Write the report of the sweep in `directory`, by default as report.html in it; returns the file's path.

    Raises ReportError if no cell of the sweep is finished.
    """
    from flan_jax.data.atomic import atomic_file
    from flan_jax.report.gather import gather
    from flan_jax.report.page import render

    path = pathlib.Path(output) if output else pathlib.Path(directory) / "report.html"
    page = render(gather(directory))
    with atomic_file(path) as file:
        file.write(page.encode())
    return path
