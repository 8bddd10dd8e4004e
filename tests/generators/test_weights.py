"""Averages of weights, the learning rate's course, and tensors that are kept and read back."""

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from fer_data.errors import FerError
from generators.weights import (
    average_into,
    averaged_copy,
    decay,
    network_tensors,
    optimiser_tensors,
    os_errors,
    read_tensors,
    restore_network,
    restore_optimiser,
    write_tensors,
)


def test_an_average_follows_the_stated_rule_and_forgets_fast_at_first():
    network = nn.Linear(2, 2)
    average = averaged_copy(network)
    expected = average.weight.clone()
    random = torch.Generator().manual_seed(0)
    for step in range(1, 200):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 2, generator=random))
        average_into(average, network, 0.9, step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * network.weight.detach()
    torch.testing.assert_close(average.weight, expected)
    assert not average.weight.requires_grad


def test_buffers_are_copied_not_averaged():
    network = nn.BatchNorm1d(3)
    average = averaged_copy(network)
    network(torch.full((4, 3), 2.0))
    average_into(average, network, 0.999, 1)
    assert torch.equal(average.running_mean, network.running_mean)
    assert torch.equal(average.num_batches_tracked, network.num_batches_tracked)


def test_the_learning_rate_stays_and_then_falls_evenly():
    assert [decay(progress) for progress in (0, 0.3, 0.6)] == [1, 1, pytest.approx(1)]
    assert np.diff([decay(progress) for progress in (0.7, 0.8, 0.9, 1.0)]) == pytest.approx([-0.245] * 3)
    assert decay(1) == pytest.approx(0.02)


def test_networks_optimisers_and_notes_survive_a_file(tmp_path):
    def learn(network, optimiser, steps):
        for step in steps:
            optimiser.zero_grad()
            network(torch.full((1, 3), 0.1 * step)).square().sum().backward()
            optimiser.step()

    def fresh():
        network = nn.Linear(3, 2)
        return network, torch.optim.AdamW(network.parameters(), lr=0.1)

    network, optimiser = fresh()
    learn(network, optimiser, range(3))
    path = tmp_path / "kept.safetensors"
    tensors = {**network_tensors("net", network), **optimiser_tensors("adam", optimiser)}
    write_tensors(path, {**tensors, "turned": torch.arange(6.0).view(2, 3).T}, {"steps": 3, "names": ["a"]})
    read, note = read_tensors(path)
    assert note == {"steps": 3, "names": ["a"]}
    assert read["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    again, other = fresh()
    restore_network("net", again, read)
    restore_optimiser("adam", other, read)
    learn(network, optimiser, range(3, 6))
    learn(again, other, range(3, 6))
    assert torch.equal(again.weight, network.weight)


def test_what_is_no_kept_state_is_told(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(FerError, match=r"state\.safetensors: expected tensors .*; delete it to begin anew"):
        read_tensors(path)
    save_file({"w": torch.zeros(2)}, path)  # of another program: without our note
    with pytest.raises(FerError, match="expected tensors that fer-data-studio wrote"):
        read_tensors(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(FerError, match="expected tensors that fer-data-studio wrote"):
        read_tensors(path)


def test_what_the_system_refuses_is_an_os_error_and_nothing_else_is():
    with pytest.raises(OSError, match="No space") as caught, os_errors():
        raise SafetensorError("I/O error: No space left on device (os error 28)")
    assert caught.value.errno == 28
    with pytest.raises(SafetensorError, match="another trouble"), os_errors():
        raise SafetensorError("another trouble")
