"""Instruction tuning of decoder language models, and the study of how it generalises.

Importing this loads nothing heavy.
"""

__version__ = "0.1.0"
