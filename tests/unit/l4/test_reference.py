"""The literal transcription against numbers worked out by hand."""

import math

import pytest

from l4.reference import Reference


def test_two_steps_of_l4mom_by_hand() -> None:
    # L = theta^2 / 2 from theta = 2: L = 2, gradient 2
    reference = Reference(size=1)
    (first,) = reference.step([2.0], [2.0], loss=2.0)
    assert reference.eta == pytest.approx(0.15 * (2 - 0.9 * 1.5) / 4)
    assert reference.l_min == pytest.approx(1.5 * 1.001)
    assert first == pytest.approx(2 - 0.15 * 0.65 / 4 * 2)

    loss = first**2 / 2
    (second,) = reference.step([first], [first], loss=loss)
    v = (0.9 * 0.1 * 2 + 0.1 * first) / (1 - 0.9**2)
    eta = 0.15 * (loss - 0.9 * 1.5015) / v**2
    assert second == pytest.approx(first - eta * v)
    assert reference.l_min == pytest.approx(1.5015 * 1.001)


def test_the_first_step_of_l4adam_by_hand() -> None:
    reference = Reference(size=2, direction="adam")
    found = reference.step([1.0, 1.0], [3.0, -4.0], loss=5.0)
    v = [3 / 3.0001, -4 / 4.0001]
    eta = 0.15 * (5 - 0.9 * 3.75) / (3 * v[0] - 4 * v[1])
    assert found == pytest.approx([1 - eta * v[0], 1 - eta * v[1]])


def test_the_estimate_of_the_gradient_keeps_its_own_timescale() -> None:
    reference = Reference(size=1, tau_m=2.0)
    reference.step([0.0], [1.0], loss=1.0)
    (moved,) = reference.step([0.0], [0.0], loss=1.0)
    g, v = 0.9 * 0.1 / (1 - 0.9**2), 0.5 * 0.5 / (1 - 0.5**2)
    assert moved == pytest.approx(-0.15 * (1 - 0.9 * 0.75 * 1.001) / (g * v) * v)


@pytest.mark.parametrize("direction", ["momentum", "adam"])
def test_it_solves_a_badly_scaled_bowl_at_its_defaults(direction: str) -> None:
    reference = Reference(size=2, direction="adam" if direction == "adam" else "momentum")
    theta = [1.0, 1.0]
    scales = (1.0, 100.0)
    losses: list[float] = []
    for _ in range(400):
        losses.append(sum(s * x**2 for s, x in zip(scales, theta, strict=True)) / 2)
        theta = reference.step(theta, [s * x for s, x in zip(scales, theta, strict=True)], losses[-1])
    assert all(math.isfinite(loss) for loss in losses)
    # each step aims at alpha (1 - gamma) = 1.5 % below the best loss so far, however badly the bowl is scaled
    assert losses[-1] < 4 * 0.985**400 * losses[0]
