"""Batches of matrix products are right whichever way they take, and take the one that was measured as the fastest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from studies import environment
from studies.training.compilation import matmul
from studies.training.compilation.compiled_step import load_program, save_program

#: (batch, rows, inner), columns.
SHAPES = {
    "of few terms": ((3, 10, 6), 1000),
    "small": ((300, 4, 16), 16),
    "few results": ((3, 6, 1000), 6),
    "ordinary": ((3, 64, 100), 10),
    "large": ((3, 64, 784), 300),
    "large, of one lane": ((1, 300, 64), 784),
}

#: Where torch has no oneDNN, it has none of its operations.
pytestmark = [
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here"),
    pytest.mark.heavy,
]


def operands(name: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    (batch, rows, inner), columns = SHAPES[name]
    return (
        torch.randn(batch, rows, inner, generator=generator, dtype=dtype),
        torch.randn(batch, inner, columns, generator=generator, dtype=dtype),
    )


def traced(left: Tensor, right: Tensor) -> GraphModule:
    return make_fx(torch.bmm, {torch.ops.aten.bmm.default: matmul.batched_matmul})(left, right)


def library(left: Tensor, right: Tensor) -> str:
    """Return which library a traced batch of products is left to, `loops` for none."""
    called = {str(node.target) for node in traced(left, right).graph.nodes}
    if "mkldnn._linear_pointwise.default" in called:
        return "onednn"
    return "mkl" if "aten.bmm.default" in called else "loops"


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Return what pretends that somebody made this processor, and how wide it is."""

    def pretend(maker: str, capability: str) -> None:
        monkeypatch.setattr(environment, "cpu_info", {"vendor_id": maker}.get)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
        matmul.mkl_lacks_avx512.cache_clear()

    yield pretend
    matmul.mkl_lacks_avx512.cache_clear()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SHAPES)
def test_is_the_product(name: str, dtype: torch.dtype, transposed: bool, made_by: Callable[[str, str], None]) -> None:
    made_by("AuthenticAMD", "AVX512")
    left, right = operands(name, dtype)
    if transposed:
        left, right = left.mT.contiguous().mT, right.mT.contiguous().mT
    torch.testing.assert_close(traced(left, right)(left, right), torch.bmm(left, right), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("of few terms", "loops"),
        ("small", "loops"),
        ("few results", "loops"),
        ("ordinary", "mkl"),
        ("large", "onednn"),
        ("large, of one lane", "onednn"),
    ],
)
def test_takes_what_is_fastest_for_the_shape(name: str, expected: str, made_by: Callable[[str, str], None]) -> None:
    made_by("AuthenticAMD", "AVX512")
    assert library(*operands(name)) == expected


def test_small_ones_that_are_transposed_are_left_to_the_library() -> None:
    left, right = operands("small")
    assert library(left, right.mT) == "mkl"


@pytest.mark.parametrize(("maker", "capability"), [("GenuineIntel", "AVX512"), ("AuthenticAMD", "AVX2")])
def test_large_ones_are_mkls_where_it_uses_the_whole_processor(
    maker: str, capability: str, made_by: Callable[[str, str], None]
) -> None:
    made_by(maker, capability)
    assert library(*operands("large")) == "mkl"


def test_large_ones_of_other_numbers_are_mkls(made_by: Callable[[str, str], None]) -> None:
    made_by("AuthenticAMD", "AVX512")
    assert library(*operands("large", torch.float64)) == "mkl"


def test_what_is_onednns_is_right_in_a_compiled_program(made_by: Callable[[str, str], None], tmp_path: Path) -> None:
    made_by("AuthenticAMD", "AVX512")
    left, right = operands("large")

    def of_both(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return torch.bmm(left, right), left.sum()

    graph = make_fx(of_both, matmul.DECOMPOSITIONS, tracing_mode="fake")(left, right)
    matmul.call_onednn_eagerly(graph)
    file = tmp_path / "product.program"
    save_program(graph, file)
    found, _ = load_program(file)(left, right)
    torch.testing.assert_close(found, torch.bmm(left, right), rtol=1e-4, atol=1e-4)
