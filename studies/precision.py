"""What a process computes matrix products and convolutions of float32 in."""

import torch

from studies.parameters import Precision


def products_in(precision: Precision) -> None:
    """Have CUDA's products computed so from now on; torch's own default differs between products and convolutions.

    Args:
        precision: As the study says; what `bfloat16` does not reach is computed in float32.
    """
    chosen = "tf32" if precision is Precision.TF32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = chosen
    # torch's own modules do not declare these two
    torch.backends.cudnn.conv.fp32_precision = chosen  # pyright: ignore[reportAttributeAccessIssue]
    torch.backends.cudnn.rnn.fp32_precision = chosen  # pyright: ignore[reportAttributeAccessIssue]
