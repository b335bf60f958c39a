"""What studies are trained on, as plans and budgets need to know it."""

from studies import cluster
from studies.catalogue import Machines
from studies.environment import hardware
from studies.programs import sources


def machines(gpus_per_pack: float | None) -> Machines:
    """Return what studies are trained on, on the Ray cluster that this process is in.

    Args:
        gpus_per_pack: As the settings have it.
    """
    workers, gpus = cluster.size(gpus_per_pack)
    # what was measured on a processor says nothing of a GPU
    where = hardware() + (f", {gpus:g} GPU a pack" if gpus else "")
    return Machines(hardware=where, code=sources(), workers=workers, gpus=gpus)
