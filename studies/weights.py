"""Final parameters of confirm runs, as files that wait for MLflow to take them."""

import os
from dataclasses import dataclass
from pathlib import Path

from studies.rows import Run


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A folder of one study's final parameters.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def path(self, run: Run) -> Path:
        """Return where a run's parameters are, whether or not they are there.

        Args:
            run: A confirm run.
        """
        return self.folder / run.workload / run.arm / str(run.seed) / "parameters.pt"

    def save(self, run: Run, parameters: bytes) -> None:
        """Write a run's parameters, whole or not at all.

        Args:
            run: A confirm run.
            parameters: As `torch.save` writes them.
        """
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(parameters)
        os.replace(partial, path)

    def drop(self, run: Run) -> None:
        """Remove a run's parameters, where they are.

        Args:
            run: A confirm run.
        """
        self.path(run).unlink(missing_ok=True)
