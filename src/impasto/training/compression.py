"""A narrow encoder started from a wide one: channels chosen by pivoted Cholesky, filters by least squares.

Layer by layer the channels of the wide network that hold most of the energy left over by the earlier choices are
kept, and their filters are solved anew on the narrow network's own features, in closed form. It is the start of the
distillation in `training.encoder`, far better than random filters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception.encoder import Encoder

TAUGHT = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
"""Layers by which pictures are compared: the narrow network has them too."""


def choose_channels(features: Tensor, count: int) -> Tensor:
    """Indices of `count` channels of (B, C, H, W) that explain the most energy of all: pivoted Cholesky of F F^T."""
    flat = features.float().transpose(0, 1).flatten(1)
    left = (flat @ flat.T / flat.shape[1]).double()
    total = left.diagonal().clone()
    chosen: list[int] = []
    for _ in range(count):
        gain = left.square().sum(1) / left.diagonal().clamp_min(1e-9 * total.max())
        gain[chosen] = -1
        pivot = int(gain.argmax())
        chosen.append(pivot)
        column = left[:, pivot] / left[pivot, pivot].clamp_min(1e-12).sqrt()
        left = left - column[:, None] * column[None]
    return torch.tensor(sorted(chosen))


def least_squares(inputs: Tensor, targets: Tensor, *, ridge: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Weight (O, I) and bias (O) with the least squared error of inputs (N, I) -> targets (N, O), slightly damped."""
    ones = torch.ones(len(inputs), 1, dtype=inputs.dtype)
    design = torch.cat([inputs, ones], 1)
    normal = (design.T @ design).double() / len(inputs)
    normal.diagonal()[:-1].add_(ridge * normal.diagonal()[:-1].mean())
    solution = torch.linalg.solve(normal, (design.T @ targets).double() / len(inputs)).float()
    return solution[:-1].T, solution[-1]


def teacher_layer(name: str, student: Encoder, teacher: Encoder) -> str:
    """The layer of the teacher that a layer of the student stands for.

    It is the one of the same name. In a block with fewer convolutions the last one stands for the teacher's last, unless the layer is one
    that pictures are compared by (TAUGHT).
    """
    block = int(name[0]) - 1
    is_last = name == f"{block + 1}_{student.depths[block]}"
    return f"{block + 1}_{teacher.depths[block]}" if is_last and f"relu{name}" not in TAUGHT else name


@torch.no_grad()
def compress(teacher: Encoder, student: Encoder, pictures: Tensor, *, samples: int = 60_000, seed: int = 0) -> None:
    """Fill the filters of `student` from those of `teacher`, judged on pictures (B, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    wide = narrow = pictures.contiguous(memory_format=torch.channels_last)
    models = {teacher_layer(name, student, teacher): name for name in student.names}
    for above in teacher.names:
        first = above.endswith("_1") and above != "1_1"
        wide = F.max_pool2d(wide, 2) if first else wide
        before = torch.cat([teacher.convolution(above)(part) for part in torch.split(wide, 8)])
        wide = before.relu()
        if above not in models:
            continue
        narrow = F.max_pool2d(narrow, 2) if first else narrow
        layer = student.convolution(models[above])
        kept = choose_channels(wide, layer.out_channels)
        patches, targets = _sample(narrow, before[:, kept], samples, generator)
        weight, bias = least_squares(patches, targets)
        layer.weight.copy_(weight.view_as(layer.weight))
        assert layer.bias is not None
        layer.bias.copy_(bias)
        narrow = layer(narrow).relu()


def _sample(inputs: Tensor, targets: Tensor, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random positions: 3x3 patches of the inputs (N, 9 C) and the targets there (N, O)."""
    batch, _, height, width = inputs.shape
    index = torch.randperm(batch * height * width, generator=generator)[:samples]
    picture, row, column = index // (height * width), index // width % height, index % width
    padded = F.pad(inputs.float(), (1, 1, 1, 1), mode="reflect")
    shifts = [padded[picture, :, row + i, column + j] for i in range(3) for j in range(3)]
    return torch.stack(shifts, 2).flatten(1), targets[picture, :, row, column].float()
