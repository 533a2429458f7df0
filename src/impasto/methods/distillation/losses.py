"""The losses of optical flow distillation, and of ReCoNet: pure functions of painted frames.

Frames are (K, 3, H, W), RGB in [0, 1], in order of time. `output_loss` and `feature_loss` are those of
Gao et al. 2018 (ReCoNet), the others those of Chen et al. 2020.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.methods.distillation.training_settings import RANK_MODES
from impasto.motion.warp import warp

LUMINANCE = (0.2126, 0.7152, 0.0722)


def residual_loss(painted: Tensor, vanilla: Tensor, taught: Tensor, untaught: Tensor, *, centred: bool = False) -> Tensor:
    """Residual distillation: |(N_T - N~_T) - (N_S - N~_S)|^2, the mean over frames, channels and pixels.

    painted, vanilla: of the student and of the vanilla student. taught, untaught: of the teacher and of the vanilla teacher. What is
    learned is what the flow changes, not how the teacher paints. Where the vanilla student is the vanilla teacher, this is `vanilla_loss`.
    centred: less the mean over the frames of what the flow changes, so that only what changes in time is learned.
    """
    change = taught - untaught
    if centred:
        change = change - change.mean(0, keepdim=True)
    return (change - (painted - vanilla)).square().mean()


def vanilla_loss(painted: Tensor, taught: Tensor) -> Tensor:
    """Plain distillation, |N_T - N_S|^2: the ablation, which blurs where the two paint with other strokes."""
    return (taught - painted).square().mean()


def output_loss(painted: Tensor, frames: Tensor, backward: Tensor, traced: Tensor) -> Tensor:
    """ReCoNet's temporal loss of outputs: every channel may change as the luminance of the input does.

    1 / (H W) sum_c M |(O_t - W(O_(t-1)))_c - (I_t - W(I_(t-1)))_Y|^2, the mean over pairs.
    """
    before, inside = warp(painted[:-1], backward)
    seen, _ = warp(frames[:-1], backward)
    luma = torch.tensor(LUMINANCE, dtype=frames.dtype, device=frames.device).view(1, 3, 1, 1)
    change = ((frames[1:] - seen) * luma).sum(1, keepdim=True)
    return (traced * inside * (painted[1:] - before - change)).square().sum(1).mean()


def feature_loss(features: Tensor, backward: Tensor, traced: Tensor) -> Tensor:
    """ReCoNet's temporal loss of the feature map (K, C, h, w): 1 / (C h w) M |F_t - W(F_(t-1))|^2, the mean over pairs.

    The flow is brought to the size of the features, its vectors scaled likewise; the mask by nearest neighbours.
    """
    size = (features.shape[-2], features.shape[-1])
    scale = torch.tensor([size[1] / backward.shape[-1], size[0] / backward.shape[-2]], dtype=backward.dtype, device=backward.device)
    flow = F.interpolate(backward, size=size, mode="bilinear", align_corners=False) * scale.view(1, 2, 1, 1)
    warped, inside = warp(features[:-1], flow)
    return (F.interpolate(traced, size=size, mode="nearest") * inside * (features[1:] - warped)).square().mean()


def aligned(frames: Tensor, flows: Tensor, masks: Tensor, *, intersected: bool = True) -> Tensor:
    """The matrix X of low-rank distillation: every frame on the grid of one of them, as a row, (K, 3 H W).

    flows, masks: (K, 2, H, W) and (K, 1, H, W), from that frame to every frame. intersected: only places that can be traced in all frames;
    masks of their own, as published, raise the rank of a film that stands perfectly still from 1 to K.
    """
    warped, inside = warp(frames, flows)
    seen = masks * inside
    if intersected:
        seen = seen.amin(0, keepdim=True)
    return (seen * warped).flatten(1)


def singular_values(rows: Tensor, *, eps: float = 1e-6) -> Tensor:
    """Singular values of (K, P), largest first, in float64: sqrt(eig(X X^T) + eps), eps times the mean squared norm of the rows.

    Exact up to eps, a problem of K x K only; and where the rank is one, the gradient is the clean one, where that of a singular value
    decomposition goes in arbitrary directions.
    """
    product = rows.double() @ rows.double().T
    floor = eps * product.diagonal().mean().clamp_min(1e-30)
    energies = torch.linalg.eigvalsh(product.cpu()).clamp_min(0).flip(0).to(product.device)
    values: Tensor = (energies + floor).sqrt()
    return values


def rank_measure(rows: Tensor, *, mode: str = "nuclear") -> Tensor:
    """How far the rows (K, P) are from one picture that stands still, in float64.

    "nuclear": the nuclear norm, as published; its first value is brightness, which has nothing to do with stability. "tail": all values
    but the first. "centred": the nuclear norm after the mean picture over time was taken away. "relative": the tail by the first.
    """
    if mode not in RANK_MODES:
        raise ValueError(f"mode is {', '.join(RANK_MODES)}, not {mode!r}")
    if mode == "centred":
        return singular_values(rows - rows.mean(0, keepdim=True)).sum()
    first, *others = singular_values(rows)
    tail = torch.stack(others).sum()
    return first + tail if mode == "nuclear" else tail / first if mode == "relative" else tail


def low_rank_loss(rows: Tensor, reference: Tensor, *, mode: str = "nuclear") -> Tensor:
    """(|X_ref|_* - |X_S|_*)^2: the film is to move as much as its input (or its teacher), and no more.

    rows, reference: (K, P) from `aligned` with the same flows and masks.
    """
    return (rank_measure(reference, mode=mode).detach() - rank_measure(rows, mode=mode)).square()
