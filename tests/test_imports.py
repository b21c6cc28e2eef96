"""What importing loads, and who may import what.  Times are measured in scripts/benchmarks, not asserted."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
HEAVY = ("jax", "tensorflow", "seqio", "numpy", "torch", "gin", "pyarrow")
FORBIDDEN = ("tensorflow", "tensorflow_datasets", "seqio", "tasks", "flan_jax_tasks")


@pytest.mark.parametrize("module", ["flan_jax", "flan_jax.cli", "flan_jax.configuration", "tasks"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_importing_the_programs_loads_no_tensorflow():
    code = (
        "import sys, flan_jax.sweep, flan_jax.report.gather, flan_jax.data.prepare, flan_jax.generate\n"
        "import flan_jax.report.browse.gather\n"
        "print(*(m for m in ('tensorflow', 'seqio', 'torch') if m in sys.modules))\n"
        "from jax._src import xla_bridge\n"
        "print(*xla_bridge._backends)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [], "importing loads TensorFlow or starts JAX devices"


@pytest.mark.parametrize(
    "command", ["", "prepare", "train", "evaluate", "generate", "serve", "sweep", "report", "browse"]
)
def test_help_loads_nothing_heavy(command):
    code = (
        "import sys\nfrom flan_jax.cli import main\n"
        f"try: main({[*command.split(), '--help']!r})\nexcept SystemExit as end: assert end.code == 0\n"
        f"print('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[0].startswith("usage: flan-jax")
    assert ran.stdout.splitlines()[-1] == "loaded:"


def imported(path: pathlib.Path) -> set[str]:
    """First names of the modules that a file imports anywhere, relative imports left out."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


def modules(folder: str) -> list[pathlib.Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_flan_jax_imports_no_tensorflow_and_no_tasks_by_name():
    assert len(modules("flan_jax")) > 20
    offenders = {
        str(path.relative_to(ROOT)): found
        for path in modules("flan_jax")
        if (found := imported(path) & set(FORBIDDEN)) and not path.name.startswith("prepare")
    }
    assert offenders == {}


def test_tasks_knows_nothing_of_models_or_training():
    for path in modules("tasks"):
        source = path.read_text()
        for part in ("flan_jax.models", "flan_jax.training", "flan_jax.sweep", "flan_jax.report"):
            assert part not in source, f"{path} speaks of {part}"


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("flan_jax/models", ("data", "training", "evaluation", "report", "sweep", "cli", "configuration")),
        ("flan_jax/data", ("models", "training", "evaluation", "report", "sweep", "cli", "configuration")),
        ("flan_jax/training", ("evaluation", "report", "sweep", "cli", "configuration")),
        ("flan_jax/decoding", ("data", "training", "evaluation", "report", "sweep", "cli", "configuration")),
        ("flan_jax/evaluation", ("sweep", "cli", "configuration")),
    ],
)
def test_imports_run_one_way(folder, forbidden):
    """cli -> training, evaluation, report -> models, data; models and data know nothing of each other."""
    for path in modules(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = node.module or ""
            if node.level:
                inside = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
                module = ".".join([*inside, *module.split(".")]).rstrip(".")
            for part in forbidden:
                assert not (module + ".").startswith(f"flan_jax.{part}."), f"{path.relative_to(ROOT)} imports {module}"


def test_gin_stays_at_the_edge():
    """Nothing but the two modules of the configuration knows of gin."""
    assert [path.name for path in modules("flan_jax") if "gin" in imported(path)] == [
        "configuration.py",
        "gin_files.py",
    ]


def test_installed_names_can_neither_shadow_nor_be_shadowed():
    """`tasks` imports itself by relative names only, since it is installed as `flan_jax_tasks`."""
    for path in modules("tasks"):
        assert not {"tasks", "flan_jax_tasks"} & imported(path), f"{path} imports its own package by name"
