"""Gradient clipping by global norm, a hyperparameter of torch's optimizers."""

import torch
from torch import Tensor

from l4.step_size import inner_product
from studies.optimizers._base import Tensors
from studies.spec.parameters import Hyperparameter

CLIP_NORM = Hyperparameter(
    name="clip_norm",
    default=0.0,
    summary="Largest norm of the whole gradient, which is scaled down to it; 0 for no limit.",
    at_least=0.0,
    search_low=0.1,
    search_high=1000.0,
)


def clip_gradients(grads: Tensors, clip_norm: Tensor) -> Tensors:
    """Return the gradients, scaled by min(1, clip_norm / (norm + 1e-6)) as torch.nn.utils.clip_grad_norm_ does.

    Args:
        grads: One tensor a parameter.
        clip_norm: The largest norm, 0 for no limit; 0-dim.
    """
    norm = inner_product(grads, grads).sqrt()
    factor = torch.where(clip_norm > 0, (clip_norm / (norm + 1e-6)).clamp(max=1.0), 1.0)
    return tuple(grad * factor.to(grad.dtype) for grad in grads)
