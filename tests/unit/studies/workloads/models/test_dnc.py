"""The DNC's addressing against cases worked out by hand, its size, and its gradients."""

import math

import pytest
import torch
from torch import Tensor

from studies.workloads.models.dnc import (
    DNC,
    allocation_weights,
    content_weights,
    initialise_dnc,
    next_link,
    next_precedence,
    next_usage,
    read_weights,
)

pytestmark = pytest.mark.heavy


def of(*values: object) -> Tensor:
    """Return a batch of one, in float64."""
    return torch.tensor([values], dtype=torch.float64)


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_has_the_parameters_of_its_layers() -> None:
    reads = 4 * 16
    controller = (6 + reads + 64) * 4 * 64 + 4 * 64
    # write and erase vector, 4 free gates, 2 gates, 3 modes a head, write key and strength, read keys and strengths
    numbers = 16 + 16 + 4 + 1 + 1 + 12 + 16 + 1 + 64 + 4
    interface = 64 * numbers + numbers
    output = (64 + reads) * 5 + 5
    assert controller + interface + output == 43_980
    assert sum(each.numel() for each in DNC(6, 5).parameters()) == 43_980


def test_allocation_prefers_the_freest_row() -> None:
    # sorted usage 0.2, 0.5, 0.9: (1 - 0.2), 0.2 (1 - 0.5), 0.2 0.5 (1 - 0.9)
    assert_close(allocation_weights(of(0.5, 0.2, 0.9)), of(0.1, 0.8, 0.01))
    assert_close(allocation_weights(of(1.0, 1.0, 1.0)), of(0.0, 0.0, 0.0))
    assert_close(allocation_weights(of(1.0, 0.0, 1.0)), of(0.0, 1.0, 0.0))


def test_usage_grows_by_writing_and_falls_by_freed_reading() -> None:
    usage, write = of(0.5, 0.0, 1.0), of(0.5, 1.0, 0.0)
    read = of([1.0, 0.0, 0.0], [0.0, 0.5, 0.5])
    # after the write 0.75, 1, 1; head 0 frees its row wholly, head 1 frees half of its halves
    assert_close(next_usage(usage, write, read, of(1.0, 0.5)), of(0.0, 0.75, 0.75))
    assert_close(next_usage(usage, write, read, of(0.0, 0.0)), of(0.75, 1.0, 1.0))


def test_no_gradient_flows_into_usage_through_what_was_written() -> None:
    write = of(0.5, 0.5).requires_grad_()
    usage = of(0.1, 0.2).requires_grad_()
    next_usage(usage, write, of([0.5, 0.5]), of(0.5)).sum().backward()
    assert write.grad is None
    assert usage.grad is not None


def test_links_follow_the_order_of_writing() -> None:
    link, precedence = torch.zeros(1, 3, 3, dtype=torch.float64), of(0.0, 0.0, 0.0)
    for write in (of(1.0, 0.0, 0.0), of(0.0, 0.0, 1.0), of(0.0, 1.0, 0.0)):
        link, precedence = next_link(link, precedence, write), next_precedence(precedence, write)
    # rows were written in the order 0, 2, 1: link[i, j] is 1 where i was written right after j
    assert torch.equal(link, of([0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]))
    assert torch.equal(precedence, of(0.0, 1.0, 0.0))


def test_a_soft_write_makes_soft_links() -> None:
    link = next_link(of([0.0, 0.4], [0.2, 0.0]), of(0.5, 0.25), of(0.3, 0.1))
    # (1 - 0.3 - 0.1) 0.4 + 0.3 0.25 and (1 - 0.1 - 0.3) 0.2 + 0.1 0.5
    assert_close(link, of([0.0, 0.315], [0.17, 0.0]), 1e-12)
    assert_close(next_precedence(of(0.5, 0.25), of(0.3, 0.1)), of(0.6, 0.25), 1e-12)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), ((0.0, 1.0, 0.0), (0.0, 1.0, 0.0)), ((0.0, 0.0, 1.0), (0.1, 0.2, 0.7))],
    ids=["backward", "forward", "content"],
)
def test_read_modes_go_back_forth_and_by_content(mode: tuple[float, ...], expected: tuple[float, ...]) -> None:
    link = of([0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])  # written in the order 0, 2, 1
    read, content = of([0.0, 0.0, 1.0]), of([0.1, 0.2, 0.7])
    assert_close(read_weights(link, read, content, of(list(mode))), of(list(expected)), 1e-12)


def test_content_is_a_softmax_of_cosines() -> None:
    rows = of([2.0, 0.0], [0.0, 3.0], [1.0, 1.0])
    strength = math.log(math.e**2 - 1)  # its softplus is 2
    found = content_weights(rows, of([5.0, 0.0]), of(strength))
    powers = [math.exp(2 * cosine) for cosine in (1.0, 0.0, 0.5**0.5)]
    assert_close(found, of([each / sum(powers) for each in powers]), 1e-4)


def usage_with_every_gradient(usage: Tensor, write: Tensor, read: Tensor, free: Tensor) -> Tensor:
    return (usage + write - usage * write) * (1 - free[..., None] * read).prod(-2)


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    # the gradient that DeepMind's program stops is let through, for differences see it
    monkeypatch.setattr("studies.workloads.models.dnc.next_usage", usage_with_every_gradient)
    module = DNC(3, 2, hidden=4, rows=4, width=3, reads=2).double()
    initialise_dnc(module, torch.Generator().manual_seed(0))
    for parameter in module.parameters():
        parameter.data.mul_(2)  # away from where all rows are alike
    names = [name for name, _ in module.named_parameters()]
    inputs = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def outputs(*params: Tensor) -> Tensor:
        called = torch.func.functional_call(module, dict(zip(names, params, strict=True)), (inputs,))
        assert isinstance(called, Tensor)
        return called

    given = tuple(each.detach().clone().requires_grad_() for each in module.parameters())
    assert torch.autograd.gradcheck(outputs, given, atol=1e-7, rtol=1e-5)


def test_outputs_are_clipped() -> None:
    module = DNC(3, 2, clip=0.5)
    initialise_dnc(module, torch.Generator().manual_seed(0))
    for parameter in module.parameters():
        parameter.data.mul_(100)
    found = module(torch.ones(1, 4, 3))
    assert float(found.detach().abs().max()) == 0.5


def test_starts_as_sonnets_layers_do() -> None:
    module = DNC(6, 5)
    initialise_dnc(module, torch.Generator().manual_seed(0))
    deviation = (6 + 4 * 16 + 64) ** -0.5
    for parameter in (module.controller.weight, module.controller.bias):
        assert float(parameter.detach().abs().max()) <= 2 * deviation
        assert float(parameter.detach().std()) == pytest.approx(0.88 * deviation, rel=0.1)  # the truncation's part
    assert not module.interface.bias.any()
    assert not module.output.bias.any()
