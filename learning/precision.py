"""In which numbers layers compute: float32, or bfloat16 where the machine has instructions for it."""

from typing import Annotated, Literal

import torch
from accelerate.utils import parse_flag_from_env
from pydantic import BeforeValidator

_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def computes_in_bf16() -> bool:
    """Whether what trains here, a GPU or else the CPU, computes in bfloat16 rather than emulates it.

    GPUs since Ampere do, and processors with AVX-512 BF16, AMX or Arm's BF16. A processor with AVX2 alone took 11
    times as long in bfloat16 as in float32. Of Apple's GPUs we do not know and say no.
    """
    if not parse_flag_from_env("ACCELERATE_USE_CPU"):  # as `accelerate launch --cpu` sets it
        if torch.cuda.is_available():
            return torch.cuda.is_bf16_supported(including_emulation=False)
        if torch.backends.mps.is_available():
            return False
    found = getattr(torch.cpu, "get_capabilities", dict)()  # not in the oldest PyTorch that we take
    return any(found.get(name, False) for name in _CPU_INSTRUCTIONS)


def resolve_precision(asked: object) -> object:
    """`auto` as what this machine computes fastest in; a bare `no`, which is false in YAML, as "no"."""
    if asked == "auto":
        return "bf16" if computes_in_bf16() else "no"
    return "no" if asked is False else asked


# Keys of configurations. They hold what `auto` came to, so that a run never changes its numbers on another machine.
Precision = Annotated[Literal["no", "bf16"], BeforeValidator(resolve_precision)]
GPUPrecision = Annotated[Literal["no", "bf16", "fp16"], BeforeValidator(resolve_precision)]
