"""The directions of L4Mom and L4Adam: pure functions of their averages."""

from torch import Tensor

from l4.averages import Scalar, correction

#: Timescale of the gradient estimate g, whatever the direction's own is, and defaults of the directions' (section 4).
TAU_G, TAU_M, TAU_S, ADAM_EPS = 10.0, 10.0, 1000.0, 1e-4


def momentum(m: tuple[Tensor, ...], tau: Scalar, t: Tensor) -> tuple[Tensor, ...]:
    """Return the corrected average of gradients, both the estimate g and L4Mom's direction.

    Args:
        m: Averages of the gradients.
        tau: Their timescale in steps.
        t: The number of this step, counting from 1; 0-dim float64.
    """
    scale = correction(tau, t)
    return tuple(each / scale for each in m)


def adam(
    m: tuple[Tensor, ...], s: tuple[Tensor, ...], tau_m: Scalar, tau_s: Scalar, eps: Scalar, t: Tensor
) -> tuple[Tensor, ...]:
    """Return L4Adam's direction, m / (sqrt(s) + eps): eps is outside the root, both averages are corrected.

    Args:
        m: Averages of the gradients.
        s: Averages of the squared gradients.
        tau_m: Timescale of m in steps.
        tau_s: Timescale of s in steps.
        eps: Added to the root.
        t: The number of this step, counting from 1; 0-dim float64.
    """
    scale_m, scale_s = correction(tau_m, t), correction(tau_s, t)
    return tuple((a / scale_m) / ((b / scale_s).sqrt() + eps) for a, b in zip(m, s, strict=True))
