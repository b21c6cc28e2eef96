"""The subcommands of `flan-jax`, in the order of its help.  Nothing heavy is imported before one runs."""

from . import asking, configured, telling, weights
from .command import Command as Command

ORDER = (
    "prepare", "train", "evaluate", "contamination", "lm-eval", "generate", "serve", "sweep", "import-hf", "export-hf",
    "plan", "report", "browse",
)  # fmt: skip
_ALL = {command.name: command for module in (configured, asking, weights, telling) for command in module.COMMANDS}
COMMANDS = {name: _ALL[name] for name in ORDER}
