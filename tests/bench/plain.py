"""Plain code for comparison, as in a typical tutorial: files are opened, converted and augmented one by one, memory is
contiguous, the loss is read after every update, test images are predicted one after another. The network and the batch
are those of colorlib.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

WORKERS = min(8, os.cpu_count() or 1)


class ColorizationDataset(Dataset[tuple[Tensor, Tensor]]):
    """One image file per item: a random crop, flipped and turned, as L / 100 and RGB."""

    def __init__(self, files: list[Path], crop_size: int) -> None:
        self.files, self.crop_size = files, crop_size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = np.asarray(Image.open(self.files[index]).convert("RGB"))
        light = rgb2lab(image)[..., :1]
        top = random.randint(0, image.shape[0] - self.crop_size)
        left = random.randint(0, image.shape[1] - self.crop_size)
        square = np.s_[top : top + self.crop_size, left : left + self.crop_size]
        light, image = light[square], image[square]
        if random.random() < 0.5:
            light, image = light[:, ::-1], image[:, ::-1]
        turns = random.randrange(4)
        light, image = np.rot90(light, turns), np.rot90(image, turns)
        gray = torch.from_numpy(light.copy()).permute(2, 0, 1).float() / 100
        return gray, torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def train(network: nn.Module, files: list[Path], *, crop_size: int, batch_size: int, updates: int) -> Iterator[None]:
    """Train the network on its device; yield at the end of each update."""
    # One file per crop, repeated as often as the updates need.
    several = (files * (updates * batch_size // len(files) + 1))[: updates * batch_size]
    loader = DataLoader(
        ColorizationDataset(several, crop_size), batch_size=batch_size, shuffle=True, num_workers=WORKERS
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    network.train()
    device = next(network.parameters()).device
    running = 0.0
    for gray, color in loader:
        optimizer.zero_grad()
        loss = criterion(network(gray.to(device)), color.to(device))
        loss.backward()
        optimizer.step()
        running += loss.item()
        yield


def evaluate(network: nn.Module, files: list[Path]) -> Iterator[np.ndarray]:
    """Yield the prediction of each image, `(H, W, 3)` uint8."""
    network.eval()
    device = next(network.parameters()).device
    for file in files:
        image = np.asarray(Image.open(file).convert("RGB"))
        gray = torch.from_numpy(rgb2lab(image)[..., :1] / 100).permute(2, 0, 1).float().unsqueeze(0)
        with torch.no_grad():
            predicted = network(gray.to(device)).cpu()
        yield (predicted[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
