"""How far painted neighbours are apart along their motion: what networks that paint stable films are trained with."""

from torch import Tensor

from impasto.motion.warp import warp


def temporal_loss(painted: Tensor, backward: Tensor, traced: Tensor) -> Tensor:
    """|M (N_S(x_t) - W(N_S(x_(t-1))))|^2 of neighbours, the mean over pairs, channels and pixels.

    backward: (K-1, 2, H, W), flow from each frame to the one before. traced: (K-1, 1, H, W).
    """
    warped, inside = warp(painted[:-1], backward)
    return (traced * inside * (painted[1:] - warped)).square().mean()
