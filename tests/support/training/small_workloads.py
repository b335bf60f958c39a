"""Workloads with few validation and test examples, for tests that train large networks for a few steps."""

from dataclasses import replace
from pathlib import Path

from torch import Generator

from studies.workloads._base import Data, Examples, Options, Workload

FEW = 200


def with_small_splits(workload: Workload) -> Workload:
    """Return a workload with 200 examples to validate and to test.

    Args:
        workload: The original workload.
    """

    def few(part: Examples | None) -> Examples | None:
        return None if part is None else Examples(inputs=part.inputs[:FEW], targets=part.targets[:FEW])

    def data(options: Options, data_dir: Path, generator: Generator) -> Data:
        whole = workload.data(options, data_dir, generator)
        return replace(whole, validation=few(whole.validation), test=few(whole.test))

    return replace(workload, data=data)
