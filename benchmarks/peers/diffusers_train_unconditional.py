"""The plain way to train a diffusion model on pictures of a folder with `diffusers`.

After `examples/unconditional_image_generation/train_unconditional.py` of huggingface/diffusers at commit
00769f612d6b6a537bf35c7becd2b00c67af4aa4: its transforms (resize, crop, flip, to tensor, normalise), its DataLoader
(over pictures that are held decoded, where the example decodes their files), `UNet2DModel` at full resolution,
`DDPMScheduler` noise predicted under a mean squared error, AdamW with its defaults, gradients clipped at 1, `EMAModel`
and its `accelerate` loop. What its arguments leave open is given: resolution, batch size, channels of the network.
Labels condition it through `UNet2DModel`'s own class embedding.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset):
    """Grey pictures and their labels, transformed one by one as the example does."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, resolution: int) -> None:
        self.pictures, self.labels = pictures, labels
        self.augmentations = transforms.Compose(
            [
                transforms.Resize(resolution, interpolation=transforms.InterpolationMode.BILINEAR),
                transforms.CenterCrop(resolution),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5], [0.5]),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.augmentations(Image.fromarray(self.pictures[index])), int(self.labels[index])


def build(widths: Sequence[int], layers: int, resolution: int, classes: int) -> UNet2DModel:
    """The example's kind of network: attention in the last but one block."""
    downs = ["DownBlock2D"] * len(widths)
    downs[-2] = "AttnDownBlock2D"
    return UNet2DModel(
        sample_size=resolution,
        in_channels=1,
        out_channels=1,
        layers_per_block=layers,
        block_out_channels=tuple(widths),
        down_block_types=tuple(downs),
        up_block_types=tuple(down.replace("Down", "Up") for down in reversed(downs)),
        norm_num_groups=8,
        num_class_embeds=classes,
    )


def train(model: UNet2DModel, dataset: Pictures, batch_size: int, steps: int) -> Iterator[float]:
    """Yields the loss after each step of the example's loop."""
    accelerator = Accelerator()
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True)
    rate = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=500, num_training_steps=10 * steps)
    ema = EMAModel(model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=3 / 4)
    model, optimizer, loader, rate = accelerator.prepare(model, optimizer, loader, rate)
    done = 0
    while True:
        for clean_images, labels in loader:
            noise = torch.randn_like(clean_images)
            timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(clean_images),)).long()
            noisy_images = scheduler.add_noise(clean_images, noise, timesteps)
            with accelerator.accumulate(model):
                model_output = model(noisy_images, timesteps, class_labels=labels).sample
                loss = F.mse_loss(model_output.float(), noise.float())
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                rate.step()
                optimizer.zero_grad()
            ema.step(model.parameters())
            yield loss.detach().item()
            done += 1
            if done == steps:
                return
