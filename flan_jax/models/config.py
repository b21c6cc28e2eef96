"""What a decoder is: orthogonal switches and a few sizes.  Imports nothing heavy: the command line reads it at once."""

from dataclasses import dataclass

from ..errors import FlanJaxError

NORMS = ("rms", "layer")
ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu")
POSITIONS = ("rotary", "learned")
REMATS = ("none", "full")
DTYPES = ("float32", "bfloat16")


class InvalidDecoderConfig(FlanJaxError, ValueError):
    """A value that no decoder can be built from; names the field, the value and what it may be."""


@dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder, by default LLaMA's (Touvron et al. 2023).  Hashable: a static argument of `jax.jit`.

    Sizes: `mlp_dim` is the width of one MLP branch, `num_kv_heads` (None: as many as `num_heads`) the heads of
    grouped-query attention (Ainslie et al. 2023), `head_dim` (None: `embed_dim / num_heads`).  `max_length` is the
    longest document in tokens: the rows of the table of learned positions, a statement for planners with rotary ones.
    `layer` norms carry a bias, `rms` norms do not.  `gelu` is the exact one, `gelu_tanh` the approximation GPT-2 uses.

    How it is run, with the same parameters: `dtype` is what activations and products are computed in (norms, softmax
    and logits are always float32), `param_dtype` what parameters are stored in; `scan_layers` compiles one layer and
    loops (short compiles on many layers) where False unrolls (faster steps on CPU); `remat="full"` keeps only each
    layer's input for the backward pass; `attention` names a backend of `flan_jax.models.attention`.
    """

    vocab_size: int
    num_layers: int
    embed_dim: int
    num_heads: int
    mlp_dim: int
    num_kv_heads: int | None = None
    head_dim: int | None = None
    max_length: int = 2048
    norm: str = "rms"
    norm_epsilon: float = 1e-6
    activation: str = "silu"
    gated_mlp: bool = True
    position: str = "rotary"
    rope_theta: float = 10_000.0
    qkv_bias: bool = False
    attention_output_bias: bool = False
    mlp_bias: bool = False
    tied_embeddings: bool = False
    dtype: str = "float32"
    param_dtype: str = "float32"
    scan_layers: bool = False
    remat: str = "none"
    attention: str = "xla"

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "num_layers", "embed_dim", "num_heads", "mlp_dim", "kv_heads", "head_size", "max_length")
        for field in sizes:
            if getattr(self, field) < 1:
                raise InvalidDecoderConfig(f"DecoderConfig.{field}={getattr(self, field)} must be at least 1")
        for field, allowed in (
            ("norm", NORMS),
            ("activation", ACTIVATIONS),
            ("position", POSITIONS),
            ("remat", REMATS),
            ("dtype", DTYPES),
            ("param_dtype", DTYPES),
        ):
            if getattr(self, field) not in allowed:
                raise InvalidDecoderConfig(
                    f"DecoderConfig.{field}={getattr(self, field)!r} is not one of {', '.join(allowed)}"
                )
        if self.num_heads % self.kv_heads:
            raise InvalidDecoderConfig(
                f"DecoderConfig.num_kv_heads={self.num_kv_heads} must divide num_heads={self.num_heads}"
            )
        if self.head_dim is None and self.embed_dim % self.num_heads:
            raise InvalidDecoderConfig(
                f"DecoderConfig.embed_dim={self.embed_dim} is not a multiple of num_heads={self.num_heads}; "
                "set head_dim"
            )
        if self.position == "rotary" and self.head_size % 2:
            raise InvalidDecoderConfig(f"DecoderConfig.head_dim={self.head_size} must be even for position='rotary'")

    @property
    def kv_heads(self) -> int:
        return self.num_heads if self.num_kv_heads is None else self.num_kv_heads

    @property
    def head_size(self) -> int:
        return self.embed_dim // self.num_heads if self.head_dim is None else self.head_dim
