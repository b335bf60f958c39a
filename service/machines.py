"""What studies are trained on, as plans and budgets need to know it."""

from studies import cluster
from studies.catalogue import Machines
from studies.environment import environment
from studies.programs import sources


def machines_at(ray_address: str) -> Machines:
    """Return what studies are trained on.

    Args:
        ray_address: The Ray cluster.

    Raises:
        ConnectionError: It does not answer.
    """
    workers, on_gpus = cluster.size(ray_address)
    return Machines(hardware=environment().hardware, code=sources(), workers=workers, on_gpus=on_gpus)
