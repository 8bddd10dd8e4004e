"""One training run: the loop, what changes in it, and how it goes on after a `kill -9`."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from classifier.augmentation import augment
from classifier.checkpoints import load_state, save_state
from classifier.data import BalancedOrder, Faces, ShuffledOrder, step_seed, to_input
from classifier.dynamics import Dynamics
from classifier.inference import probabilities
from classifier.metrics import evaluate
from classifier.models import FaceClassifier, build_model
from classifier.recipe import TrainConfig, average_into, build_optimizer, class_prior, learning_rate_at
from fer_data.errors import FerError
from fer_data.files import write_json
from fer_data.progress import Stage


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
        self.accelerator, self.config, self.labels, self.run_dir = accelerator, config, labels, run_dir
        self.train, self.val = train, val
        self.steps = config.steps or math.ceil(config.epochs * len(train) / config.batch_size)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        weights = Path(config.weights) if config.weights else None
        model = build_model(
            config.model, len(labels), config.channels, config.size_px, seed=config.seed, weights=weights
        )
        self.model: nn.Module = accelerator.prepare_model(model.to(memory_format=torch.channels_last))
        self.plain: FaceClassifier = accelerator.unwrap_model(self.model)
        self.averaged = deepcopy(self.plain) if config.ema else self.plain
        self.optimizer = build_optimizer(self.plain, config)
        self.order = (
            BalancedOrder(train.classes, config.batch_size, config.seed)
            if config.balanced_sampling
            else ShuffledOrder(len(train), config.batch_size, config.seed)
        )
        self.dynamics = Dynamics(train.classes, config.dynamics) if config.dynamics else None
        self.offsets = (config.logit_adjustment * class_prior(train).log()).to(accelerator.device)

    def go(self, stage: Stage) -> None:
        """From the saved state, or from the start, to the last step."""
        self._resume()
        stage.advance(self.step)
        stops = {
            round(self.steps * (number + 1) / self.config.evaluations) for number in range(self.config.evaluations)
        }
        note, losses, started = "", [], time.perf_counter() - self.seconds
        self.model.train()
        with _events(self.run_dir, self.step, enabled=self.config.tensorboard) as log:
            while self.step < self.steps:
                losses.append(self._advance())
                if self.step in stops:
                    self.seconds = time.perf_counter() - started
                    entry = self._evaluate(sum(losses) / len(losses))
                    log(entry)
                    losses = []
                    note = f"{self.config.choose_by} {entry['val'][self.config.choose_by]:.3f}" if self.val else ""
                stage.advance(1, f"loss {losses[-1]:.3f} {note}" if losses else note)

    def chosen(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The weights that the run hands over, and what is known about their choice."""
        by = self.config.choose_by if self.best is not None else "last step"
        entry = self._best_entry() if self.best is not None else self.history[-1]
        state = self.best if self.best is not None else self.averaged.state_dict()
        return state, {"chosen_by": by, "chosen": entry, "steps": self.steps}

    def _advance(self) -> float:
        """One optimiser step; returns its loss."""
        config, device = self.config, self.accelerator.device
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        rows = self.order(self.step)[rank::ranks]
        generator = torch.Generator().manual_seed(step_seed(config.seed, f"augmentation {rank}", self.step))
        torch.manual_seed(step_seed(config.seed, f"dropout {rank}", self.step))
        images = to_input(augment(self.train.images[rows].to(device), config.augmentation, generator))
        targets, weights = self.train.targets[rows].to(device), self.train.weights[rows].to(device)
        targets = targets * (1 - config.label_smoothing) + config.label_smoothing / targets.shape[1]
        rate = learning_rate_at(self.step, self.steps, config.learning_rate, config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
            logits = self.model(images)
        if self.dynamics is not None:
            seen = self.accelerator.gather((rows.to(device), logits.detach().float()))
            self.dynamics.record(seen[0].cpu(), seen[1], self.step / self.steps)
        loss = (weights * F.cross_entropy(logits.float() + self.offsets, targets, reduction="none")).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise FerError(
                f"{self.run_dir}: expected a finite loss, found {value} at step {self.step + 1} of {self.steps}; "
                f"lower learning_rate (now {config.learning_rate:g})"
            )
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.step += 1
        if config.ema:
            average_into(self.averaged, self.plain, min(config.ema, (1 + self.step) / (10 + self.step)))
        return value

    def _evaluate(self, train_loss: float) -> dict[str, Any]:
        """Score validation, keep the weights if they are the best so far, save everything."""
        entry: dict[str, Any] = {"step": self.step, "train_loss": train_loss, "seconds": round(self.seconds, 2)}
        if self.val is not None:
            judged = probabilities(self.averaged, self.val.images, mirror=self.config.mirror_average)
            entry["val"] = evaluate(self.val.classes, judged.numpy(), self.labels)
        self.history.append(entry)
        if self.val is not None and self._best_entry() is entry:
            self.best = {key: value.clone() for key, value in self.averaged.state_dict().items()}
        if self.accelerator.is_main_process:
            networks = {"model": self.plain.state_dict()}
            if self.config.ema:
                networks["averaged"] = self.averaged.state_dict()
            if self.best is not None:
                networks["best"] = self.best
            if self.dynamics is not None:
                networks["dynamics"] = self.dynamics.state_dict()
            progress = {"step": self.step, "seconds": self.seconds, "history": self.history}
            save_state(self.run_dir, networks, self.optimizer, progress)
            write_json(self.run_dir / "history.json", self.history)
        self.accelerator.wait_for_everyone()
        return entry

    def _best_entry(self) -> dict[str, Any]:
        """The evaluation with the best validation score, the later of equals."""
        return max(reversed(self.history), key=lambda entry: entry["val"][self.config.choose_by])

    def _resume(self) -> None:
        saved = load_state(self.run_dir, self.optimizer)
        if saved is None:
            return
        networks, progress = saved
        self.plain.load_state_dict(networks["model"])
        if self.config.ema:
            self.averaged.load_state_dict(networks["averaged"])
        self.best = networks.get("best")
        if self.dynamics is not None:
            self.dynamics.load_state_dict(networks["dynamics"])
        self.step, self.seconds, self.history = progress["step"], progress["seconds"], progress["history"]


@contextlib.contextmanager
def _events(run_dir: Path, step: int, *, enabled: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """TensorBoard's events in `run_dir/tensorboard`, or nowhere."""
    if not enabled:
        yield lambda entry: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(run_dir / "tensorboard", purge_step=step) as writer:

        def log(entry: Mapping[str, Any]) -> None:
            writer.add_scalar("train/loss", entry["train_loss"], entry["step"])
            for name in ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy"):
                if "val" in entry:
                    writer.add_scalar(f"val/{name}", entry["val"][name], entry["step"])

        yield log
