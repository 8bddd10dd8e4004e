"""Where a learner computes: on which device, in which precision, shared among how many processes.

Every process makes the same batch and the same randomness from seed and step, takes its rows of them, and averages
its gradients with the others'. So two processes learn what one would, but for rounding. The networks are not wrapped:
a GAN with spectral norms learns the same way as a UNet.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fer_data.errors import FerError

if TYPE_CHECKING:
    from accelerate import Accelerator


class Devices:
    """One device, or one of several processes that share each step; without an accelerator, the CPU alone.

    Attributes:
        device: where networks and batches lie.
        processes: how many share a step.
        is_main: whether this process is the one that writes files.
    """

    def __init__(self, accelerator: "Accelerator | None" = None) -> None:
        self._accelerator = accelerator
        self._scaler = accelerator.scaler if accelerator else None
        self._rank = accelerator.process_index if accelerator else 0
        self.device = accelerator.device if accelerator else torch.device("cpu")
        self.processes = accelerator.num_processes if accelerator else 1
        self.is_main = self._rank == 0

    def share(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """This process's rows of tensors that hold a whole batch, on its device.

        Raises:
            FerError: the batch does not divide among the processes.
        """
        rows = len(tensors[0])
        if rows % self.processes:
            raise FerError(
                f"training on {self.processes} processes: expected a batch_size that they share evenly, found {rows}; "
                f"set batch_size to {(rows // self.processes + 1) * self.processes}"
            )
        own = slice(self._rank * rows // self.processes, (self._rank + 1) * rows // self.processes)
        return tuple(tensor[own].to(self.device, non_blocking=True) for tensor in tensors)

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, layers compute in the configured precision; weights and their gradients stay float32."""
        return self._accelerator.autocast() if self._accelerator else nullcontext()

    def descend(self, loss: Tensor, *optimisers: torch.optim.Optimizer, clip: float | None = None) -> None:
        """Move the parameters of optimisers down the gradient of a loss, averaged over the processes.

        Where fp16 overflowed in any gradient, nothing moves, and the next loss is scaled less.

        Args:
            loss: of this process's rows, a mean over them.
            clip: the largest norm that all gradients together may have.
        """
        together = _Together(optimisers)
        together.zero_grad()
        (self._scaler.scale(loss) if self._scaler else loss).backward()
        self._average_gradients(together.parameters)
        if self._scaler:
            self._scaler.unscale_(together)
        if clip is not None:
            nn.utils.clip_grad_norm_(together.parameters, clip)
        if self._scaler:
            self._scaler.step(together)
            self._scaler.update()
        else:
            together.step()

    def average(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each number over the processes: the same on all of them, to the last bit."""
        if self.processes == 1:
            return dict(values)
        means = self._reduce(torch.tensor(list(values.values()), dtype=torch.float64))
        return dict(zip(values, means.tolist(), strict=True))

    def wait(self) -> None:
        """Until every process has come this far."""
        if self._accelerator:
            self._accelerator.wait_for_everyone()

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs: how fp16 scales its losses; nothing in other precisions."""
        if self._scaler is None:
            return {}
        kept = self._scaler.state_dict()
        return {f"scaler.{name}": torch.tensor(value, dtype=torch.float64) for name, value in kept.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue where `state` was taken."""
        if self._scaler is not None:
            kept = {
                name: type(old)(tensors[f"scaler.{name}"].item()) for name, old in self._scaler.state_dict().items()
            }
            self._scaler.load_state_dict(kept)

    def _average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        if self.processes == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        mean = self._reduce(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _reduce(self, tensor: Tensor) -> Tensor:
        if self._accelerator is None:
            return tensor
        mean: Tensor = self._accelerator.reduce(tensor.to(self.device), reduction="mean")
        return mean


class _Together:
    """Optimisers as one, as far as a gradient scaler asks: all of them move, or none.

    One by one, a scaler would hold back only the optimiser whose own gradients overflowed, while clipping by the norm
    of all has by then spread that overflow to the others.
    """

    def __init__(self, optimisers: Sequence[torch.optim.Optimizer]) -> None:
        self._optimisers = optimisers
        self.param_groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        self.parameters: list[nn.Parameter] = [each for group in self.param_groups for each in group["params"]]

    def zero_grad(self) -> None:
        for optimiser in self._optimisers:
            optimiser.zero_grad()

    def step(self) -> None:
        for optimiser in self._optimisers:
            optimiser.step()


def open_devices(mixed_precision: str) -> Devices:
    """What `accelerate launch` gave this process, or else this machine's GPU, or else its CPU.

    Args:
        mixed_precision: "no", "bf16" or "fp16".

    Raises:
        FerError: fp16 without a GPU, or a precision that the device does not compute in.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # another training in this process may have had another precision
    try:
        accelerator = Accelerator(mixed_precision=mixed_precision)
    except ValueError as error:  # GPUs before Ampere have no bf16
        raise FerError(
            f"mixed_precision {mixed_precision}: expected a device that computes in it, found another ({error}); "
            "set it to no"
        ) from None
    if mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise FerError("mixed_precision fp16: expected a GPU, found none; set it to bf16 or no")
    return Devices(accelerator)


def drawing_device() -> torch.device:
    """Where a trained generator draws: this machine's GPU, or else its CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def computing(threads: int) -> Iterator[None]:
    """Inside, PyTorch computes with so many threads (0: as it chose) and takes numbers below 1e-38 for 0.

    Processors are many times slower on such numbers than on others, and moments of optimisers are full of them.
    """
    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    if threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
