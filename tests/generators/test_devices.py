import pytest
import torch

from fer_data.errors import FerError
from generators.devices import Devices, computing, open_devices


class TwoProcesses:
    """What an accelerator tells its second of two processes."""

    device, num_processes, process_index, scaler = torch.device("cpu"), 2, 1, None


def test_each_process_takes_its_rows():
    one, two = Devices(TwoProcesses()).share(torch.arange(6), torch.arange(12).reshape(6, 2))
    assert one.tolist() == [3, 4, 5]
    assert two.tolist() == [[6, 7], [8, 9], [10, 11]]
    assert Devices().share(torch.arange(3))[0].tolist() == [0, 1, 2]


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(FerError, match="on 2 processes: expected a batch_size .* found 7; set batch_size to 8"):
        Devices(TwoProcesses()).share(torch.arange(7))


def test_descending_is_what_an_optimiser_does_with_clipped_gradients():
    weights = [torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.tensor([1.0]))]
    optimisers = [torch.optim.SGD([weight], lr=0.5) for weight in weights]
    loss = weights[0].square().sum() / 2 + 0 * weights[1].sum()
    Devices().descend(loss, *optimisers, clip=1.0)
    assert weights[0].tolist() == pytest.approx([3 - 0.5 * 0.6, 4 - 0.5 * 0.8])
    assert weights[1].tolist() == [1.0]


class HalfPrecision:
    """What an accelerator tells the only process, with the scaler of fp16."""

    device, num_processes, process_index = torch.device("cpu"), 1, 0

    def __init__(self) -> None:
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("clip", [1.0, None])
def test_where_one_gradient_overflows_no_optimiser_moves(bad, clip):
    sound, overflown = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimisers = [torch.optim.AdamW([sound], lr=0.1), torch.optim.SGD([overflown], lr=0.1)]
    devices = Devices(HalfPrecision())
    devices.descend(sound.sum() + (bad * overflown).sum(), *optimisers, clip=clip)
    assert sound.tolist() == overflown.tolist() == [1, 1]
    assert devices.state()["scaler.scale"].item() == 512


def test_a_scaled_descent_is_a_plain_one():
    """Clipping sees the gradients as they are, and powers of two scale without rounding."""
    moved = []
    for devices in (Devices(), Devices(HalfPrecision())):
        weights = [torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.tensor([1.0]))]
        optimisers = [torch.optim.AdamW([weights[0]], lr=0.1), torch.optim.SGD([weights[1]], lr=0.5)]
        for _ in range(3):
            devices.descend(weights[0].square().sum() + weights[1].sum(), *optimisers, clip=1.0)
        moved.append(torch.cat(weights).tolist())
    assert moved[0] == moved[1]


def test_how_losses_are_scaled_survives_a_kill():
    weight = torch.nn.Parameter(torch.ones(1))
    first, second = Devices(HalfPrecision()), Devices(HalfPrecision())
    first.descend(float("inf") * weight.sum(), torch.optim.SGD([weight], lr=0.1))
    second.load_state(first.state())
    assert second.state() == first.state() != Devices(HalfPrecision()).state()


def test_fp16_needs_a_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(FerError, match="fp16: expected a GPU, found none; set it to bf16 or no"):
        open_devices("fp16")


def test_a_device_without_the_precision_is_told(monkeypatch):
    def refusing(mixed_precision):
        raise ValueError(f"{mixed_precision} mixed precision requires a supported device.")

    monkeypatch.setattr("accelerate.Accelerator", refusing)
    with pytest.raises(FerError, match=r"mixed_precision bf16: expected a device .* requires .*; set it to no"):
        open_devices("bf16")


def test_another_precision_may_follow_in_the_same_process():
    product = {}
    for precision in ("no", "bf16", "no"):
        devices = open_devices(precision)
        with devices.autocast():
            product[precision] = (
                torch.ones(2, 2, device=devices.device) @ torch.ones(2, 2, device=devices.device)
            ).dtype
        assert devices.state() == {}
    assert product == {"no": torch.float32, "bf16": torch.bfloat16}


def test_threads_and_small_numbers_are_as_before_afterwards():
    before, tiny = torch.get_num_threads(), torch.tensor(1e-39)
    with computing(before + 1):
        assert torch.get_num_threads() == before + 1
        assert (tiny * 1).item() == 0
    assert torch.get_num_threads() == before
    assert (tiny * 1).item() > 0
