"""bfloat16 is chosen where the machine computes in it, and nowhere else."""

import pytest
import torch
from pydantic import BaseModel, ValidationError

from learning.precision import GPUPrecision, Precision, computes_in_bf16


class Keys(BaseModel):
    ours: Precision = "no"
    theirs: GPUPrecision = "no"


@pytest.fixture
def cpu(monkeypatch):
    def having(**found: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)

    return having


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_auto_is_bf16_on_a_processor_with_instructions_for_it(cpu, name):
    cpu(**{"avx2": True, name: True})
    assert computes_in_bf16()
    assert Keys(ours="auto", theirs="auto") == Keys(ours="bf16", theirs="bf16")


def test_auto_is_float32_on_a_processor_without(cpu):
    cpu(avx2=True, avx512_bf16=False)
    assert not computes_in_bf16()
    assert Keys(ours="auto", theirs="auto") == Keys(ours="no", theirs="no")


@pytest.mark.parametrize("ampere", [True, False])
def test_auto_asks_the_gpu_where_there_is_one(monkeypatch, ampere):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: ampere)
    assert Keys(ours="auto").ours == ("bf16" if ampere else "no")


def test_auto_asks_the_processor_where_the_gpu_is_not_to_be_used(monkeypatch, cpu):
    cpu(avx2=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert Keys(ours="auto").ours == "bf16"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert Keys(ours="auto").ours == "no"


def test_what_is_asked_for_by_name_stays(cpu):
    cpu()
    assert Keys(ours="bf16", theirs="fp16") == Keys(ours="bf16", theirs="fp16")
    assert Keys(ours=False).ours == "no"  # a bare `no` in YAML
    with pytest.raises(ValidationError):
        Keys(ours="fp16")
