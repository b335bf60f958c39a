"""Adam (Kingma and Ba, 2015), in torch.optim.Adam's form."""

import torch
from torch import Tensor

from studies.optimizers._base import Moments, Optimizer, Setting, Tensors
from studies.optimizers._clipping import CLIP_NORM, clip_gradients
from studies.spec.parameters import Hyperparameter


def init(params: Tensors) -> Moments:
    """Return zero moments."""
    zeros = tuple(torch.zeros_like(p) for p in params)
    return Moments(t=torch.zeros((), dtype=torch.float64, device=params[0].device), m=zeros, s=zeros)


def step(
    params: Tensors, grads: Tensors, loss: Tensor, state: Moments, setting: Setting
) -> tuple[Tensors, Moments, Tensor]:
    """Take theta - lr m' / (sqrt(s') + eps), where m' and s' are the bias-corrected averages of g and g^2."""
    lr, beta1, beta2, eps = setting["lr"], setting["beta1"], setting["beta2"], setting["eps"]
    grads = clip_gradients(grads, setting["clip_norm"])
    t = state.t + 1
    m = tuple(m + (g - m) * (1 - beta1) for m, g in zip(state.m, grads, strict=True))
    s = tuple(beta2 * s + (1 - beta2) * (g * g) for s, g in zip(state.s, grads, strict=True))
    rate, root = lr / (1 - beta1**t), (1 - beta2**t).sqrt()
    new_params = tuple(p - rate * (a / (b.sqrt() / root + eps)) for p, a, b in zip(params, m, s, strict=True))
    return new_params, Moments(t=t, m=m, s=s), lr


OPTIMIZER = Optimizer(
    summary="Adam, in PyTorch's form; the paper's baseline has eps 1e-4 (torch.optim.Adam).",
    hyperparameters=(
        Hyperparameter(
            name="lr", default=1e-3, summary="Learning rate.", at_least=0.0, search_low=1e-5, search_high=1.0
        ),
        Hyperparameter(
            name="beta1",
            default=0.9,
            summary="Decay of the average of gradients.",
            at_least=0.0,
            at_most=0.9999,
            search_low=0.5,
            search_high=0.99,
            log=False,
        ),
        Hyperparameter(
            name="beta2",
            default=0.999,
            summary="Decay of the average of squared gradients.",
            at_least=0.0,
            at_most=0.999999,
            search_low=0.9,
            search_high=0.9999,
            log=False,
        ),
        Hyperparameter(
            name="eps",
            default=1e-8,
            summary="Added to the root: 1e-8 is PyTorch's, 1e-4 the paper's.",
            at_least=0.0,
            search_low=1e-10,
            search_high=1e-2,
        ),
        CLIP_NORM,
    ),
    init=init,
    step=step,
)
