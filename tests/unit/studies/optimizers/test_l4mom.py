"""l4mom takes the steps of the paper's algorithm, lane by lane."""

from l4.reference import Reference
from tests.support.training.optimizer_trajectory import SHAPES, assert_same, function_trajectory, stacked_trajectory

SETTINGS: tuple[dict[str, float], ...] = (
    {},
    {"alpha": 0.25},
    {"alpha": 0.2, "gamma": 0.8, "gamma0": 0.5, "tau": 50, "eps": 1e-6, "tau_m": 4},
)
SIZE = sum(a * (rest[0] if rest else 1) for a, *rest in SHAPES)


def test_takes_the_papers_steps() -> None:
    for found, setting in zip(stacked_trajectory("l4mom", SETTINGS), SETTINGS, strict=True):
        assert_same(found, function_trajectory(Reference(size=SIZE, direction="momentum", **setting).step))
