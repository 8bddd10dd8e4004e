"""One training run: the loop, what changes in it, and how it goes on after a `kill -9`."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from classifier.averaging import WeightAverage
from classifier.batches import Batches
from classifier.checkpoints import load_state, save_state
from classifier.data import Faces, step_seed
from classifier.dynamics import Dynamics
from classifier.lifting import lifted, rare_lift
from classifier.losses import class_prior, mean_loss
from classifier.metrics import evaluate
from classifier.models import FaceClassifier, build_model, require_any_size
from classifier.optimisers import build_optimisers, set_learning_rate
from classifier.processes import judge_together, mean_over_processes
from classifier.recipe import TrainConfig
from classifier.schedules import learning_rate_at
from fer_data.errors import FerError
from fer_data.files import write_json
from fer_data.progress import Stage

_READ_EVERY = 32  # steps: reading a loss makes a GPU wait for all that it was told to do


class DivergedError(FerError):
    """The loss of a run is not finite any more."""


class Run:
    """What changes while a run goes on, and the loop that changes it."""

    def __init__(
        self,
        accelerator: Accelerator,
        train: Faces,
        val: Faces | None,
        labels: Sequence[str],
        config: TrainConfig,
        run_dir: Path,
    ) -> None:
        self.accelerator, self.config, self.labels, self.run_dir, self.val = accelerator, config, labels, run_dir, val
        self.steps = config.steps or math.ceil(config.epochs * len(train) / config.batch_size)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        device, rank, ranks = accelerator.device, accelerator.process_index, accelerator.num_processes
        self.batches = Batches(train, config, self.steps, device, rank, ranks)
        weights = Path(config.weights) if config.weights else None
        model = build_model(
            config.model, len(labels), config.channels, config.size_px, seed=config.seed, weights=weights
        )
        if config.start_px is not None:
            require_any_size(model, config.model, config.channels, config.start_px)
        self.model: nn.Module = accelerator.prepare_model(model.to(memory_format=torch.channels_last))
        self.plain: FaceClassifier = accelerator.unwrap_model(self.model)
        self.average = WeightAverage(self.plain) if config.ema else None
        self.optimisers = build_optimisers(self.plain, config)
        self.dynamics = Dynamics(train.classes, config.dynamics, device) if config.dynamics else None
        self._likelihood = config.targets == "likelihood"
        prior = class_prior(train, likelihood=self._likelihood)
        self.offsets = (config.logit_adjustment * prior.log()).to(device)
        self._lift = rare_lift(train, likelihood=self._likelihood) if config.lift_rare else None
        self._unread: list[Tensor] = []  # losses since they were last looked at
        self._losses: list[float] = []  # losses since the last evaluation

    @property
    def kept(self) -> FaceClassifier:
        """The network whose weights are judged and handed over."""
        return self.average.network if self.average is not None else self.plain

    def go(self, stage: Stage, log: Callable[[Mapping[str, Any]], None]) -> None:
        """From the step where it is to the last one, or until validation stops getting better.

        Args:
            log: is given every new entry of the history.
        """
        stage.advance(self.step)
        count = self.config.evaluations
        stops = {round(self.steps * (number + 1) / count) for number in range(count)}
        note, started = "", time.perf_counter() - self.seconds
        self.model.train()
        while self.step < self.steps and not self._exhausted():
            rate = self.learning_rate
            self._unread.append(self.advance(rate))
            if self.step % _READ_EVERY == 0 or self.step in stops:
                self._read_losses()
            if self.step in stops:
                self.seconds = time.perf_counter() - started
                entry = self._evaluate(rate)
                log(entry)
                note = f"{self.config.choose_by} {entry['val'][self.config.choose_by]:.3f}" if self.val else ""
            stage.advance(1, f"loss {self._losses[-1]:.3f} {note}" if self._losses else note)

    @property
    def learning_rate(self) -> float:
        """Of the step that comes next."""
        config = self.config
        return learning_rate_at(self.step, self.steps, config.learning_rate, config.warmup, config.schedule)

    def advance(self, rate: float) -> Tensor:
        """One optimiser step at a learning rate; returns its loss, a scalar that has not been waited for."""
        config, device = self.config, self.accelerator.device
        rows, images, targets, weights = self.batches(self.step)
        _seed_dropout(device, step_seed(config.seed, f"dropout {self.accelerator.process_index}", self.step))
        set_learning_rate(self.optimisers, rate)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
            logits = self.model(images)
        if self.dynamics is not None:
            seen = self.accelerator.gather((rows, logits.detach().float()))
            self.dynamics.record(*seen, self.step / self.steps)
        adjusted = logits.float() + self.offsets
        loss = mean_loss(adjusted, targets, weights, focal=config.focal, likelihood=self._likelihood)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        self.accelerator.backward(loss)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.average is not None:
            self.average.update(min(config.ema, (1 + self.step) / (10 + self.step)))
        return loss.detach()

    def chosen(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The weights that the run hands over, and what is known about their choice."""
        by = self.config.choose_by if self.best is not None else "last step"
        entry = self._best_entry() if self.best is not None else self.history[-1]
        state = self.best if self.best is not None else self.kept.state_dict()
        if self._lift is not None:
            state = lifted(state, self._lift)
        return state, {"chosen_by": by, "chosen": entry, "steps": self.steps, "stopped_at": self.step}

    def resume(self) -> None:
        """Go on from the saved state, where there is one."""
        saved = load_state(self.run_dir, self.optimisers)
        if saved is None:
            return
        networks, progress = saved
        self.plain.load_state_dict(networks["model"])
        if self.average is not None:
            self.average.network.load_state_dict(networks["averaged"])
        self.best = networks.get("best")
        if self.dynamics is not None:
            self.dynamics.load_state_dict(networks["dynamics"])
        self.step, self.seconds, self.history = progress["step"], progress["seconds"], progress["history"]

    def _read_losses(self) -> None:
        losses = mean_over_processes(self.accelerator, torch.stack(self._unread)).tolist()
        first = self.step - len(losses)
        self._unread = []
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"{self.run_dir}: expected a finite loss, found {loss} at step {first + number + 1} of "
                    f"{self.steps}; lower learning_rate (now {self.config.learning_rate:g})"
                )
        self._losses += losses

    def _evaluate(self, rate: float) -> dict[str, Any]:
        """Score validation, keep the weights if they are the best so far, save everything."""
        entry: dict[str, Any] = {
            "step": self.step,
            "train_loss": sum(self._losses) / len(self._losses),
            "learning_rate": rate,
            "seconds": round(self.seconds, 2),
        }
        self._losses = []
        if self.val is not None:
            judged = judge_together(self.accelerator, self.kept, self.val.images, mirror=self.config.mirror_average)
            entry["val"] = evaluate(self.val.classes, judged.numpy(), self.labels)
        self.history.append(entry)
        if self.val is not None and self._best_entry() is entry:
            self.best = {key: value.clone() for key, value in self.kept.state_dict().items()}
        if self.accelerator.is_main_process:
            self._save()
        self.accelerator.wait_for_everyone()
        return entry

    def _save(self) -> None:
        networks = {"model": self.plain.state_dict()}
        if self.average is not None:
            networks["averaged"] = self.average.network.state_dict()
        if self.best is not None:
            networks["best"] = self.best
        if self.dynamics is not None:
            networks["dynamics"] = self.dynamics.state_dict()
        progress = {"step": self.step, "seconds": self.seconds, "history": self.history}
        save_state(self.run_dir, networks, self.optimisers, progress)
        write_json(self.run_dir / "history.json", self.history)

    def _best_entry(self) -> dict[str, Any]:
        """The evaluation with the best validation score, the later of equals."""
        return max(reversed(self.history), key=lambda entry: entry["val"][self.config.choose_by])

    def _exhausted(self) -> bool:
        """Whether validation has had no better score for as many evaluations as patience lasts."""
        if self.config.patience is None or not self.history:
            return False
        return len(self.history) - 1 - self.history.index(self._best_entry()) >= self.config.patience


def _seed_dropout(device: torch.device, seed: int) -> None:
    """As `torch.manual_seed` does for every device there might be, in a tenth of its time."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
