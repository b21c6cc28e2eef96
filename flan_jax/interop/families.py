"""The families by the `model_type` of their `config.json`."""

from collections.abc import Mapping

from . import gemma, gemma2, gemma3_text, gpt2, gpt_neox, gptj, llama, mistral, olmo2, opt, phi3, qwen2, qwen3
from .errors import UnsupportedModel
from .family import Family

_MODULES = (gemma, gemma2, gemma3_text, gpt2, gpt_neox, gptj, llama, mistral, olmo2, opt, phi3, qwen2, qwen3)
FAMILIES: Mapping[str, Family] = {module.FAMILY.model_type: module.FAMILY for module in _MODULES}


def family(model_type: object, where: str = "--family") -> Family:
    """The family of that `model_type`.  Raises UnsupportedModel, which lists those known, for any other."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModel(
            f"{where}: model_type={model_type!r} is not supported; known: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[model_type]
