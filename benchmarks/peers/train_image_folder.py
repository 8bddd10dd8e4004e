"""The plain way to train a classifier on pictures in folders: `ImageFolder`, transforms, `DataLoader`, one loop.

As PyTorch's own ImageNet example (pytorch/examples, imagenet/main.py) reads and trains, with the augmentation that this
project does: the same operations, as torchvision does them on PIL pictures. Optimiser and loss have their defaults.

    python benchmarks/peers/train_image_folder.py FOLDER MODEL BATCH WARM_UP STEPS THREADS WORKERS
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from classifier.models import build_model

SIZE_PX = 48


def main() -> None:
    folder, name, *numbers = sys.argv[1:]
    batch, warm_up, steps, threads, workers = map(int, numbers)
    torch.set_num_threads(threads)
    losses = train(folder, name, batch, workers)
    for _ in range(warm_up):
        next(losses)
    started = time.perf_counter()
    for _ in range(steps):
        next(losses)
    print(json.dumps({"faces_per_second": steps * batch / (time.perf_counter() - started)}))


def train(folder: str, name: str, batch: int, workers: int) -> Iterator[float]:
    """Steps of training without end; gives the loss of each."""
    dataset = ImageFolder(folder, transform())
    loader = DataLoader(
        dataset, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    model = build_model(name, len(dataset.classes), 1, SIZE_PX)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), 0.001)
    model.train()
    while True:
        for images, targets in loader:
            loss = criterion(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def transform() -> transforms.Compose:
    """What `classifier.augmentation` does by default, one picture at a time."""
    return transforms.Compose(
        [
            transforms.Grayscale(),
            transforms.RandomHorizontalFlip(),
            transforms.RandomAffine(
                10, translate=(0.06, 0.06), scale=(0.92, 1.08), interpolation=transforms.InterpolationMode.BILINEAR
            ),
            transforms.ColorJitter(brightness=0.1, contrast=0.2),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.25]),
            transforms.RandomErasing(0.1, scale=(0.01, 0.16)),
        ]
    )


if __name__ == "__main__":
    main()
