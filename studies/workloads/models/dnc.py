"""The Differentiable Neural Computer (Graves et al., 2016), with the details of DeepMind's implementation."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from studies.workloads.models.layers import truncated_normal_

#: Keeps norms, and the usage that allocation sorts by, away from zero.
EPSILON = 1e-6


class Memory(NamedTuple):
    """The memory's state: N rows of W numbers, R read heads, one write head.

    Args:
        rows: M, (batch, N, W).
        usage: u, (batch, N).
        precedence: p, (batch, N).
        link: L, (batch, N, N).
        write: The write weighting w^w, (batch, N).
        read: The read weightings w^r, (batch, R, N).
    """

    rows: Tensor
    usage: Tensor
    precedence: Tensor
    link: Tensor
    write: Tensor
    read: Tensor


def content_weights(rows: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """Return C(M, k, beta), (batch, heads, N): a softmax over the rows of strength times cosine similarity.

    Args:
        rows: M.
        keys: k, (batch, heads, W).
        strengths: beta before the softplus, (batch, heads).
    """
    norms = _norm(keys) * _norm(rows).transpose(-1, -2)
    similarity = keys @ rows.transpose(-1, -2) / (norms + EPSILON)
    return (similarity * softplus(strengths)[..., None]).softmax(-1)


def _norm(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(-1, keepdim=True) + EPSILON).sqrt()


def next_usage(usage: Tensor, write: Tensor, read: Tensor, free: Tensor) -> Tensor:
    """Return u_t = (u + w^w - u w^w) prod_i (1 - f_i w^r_i), from the weightings of the previous step.

    Args:
        usage: u_{t-1}.
        write: w^w_{t-1}; no gradient flows through it, as in DeepMind's implementation.
        read: w^r_{t-1}.
        free: The free gates f, (batch, R).
    """
    write = write.detach()
    retention = (1 - free[..., None] * read).prod(-2)
    return (usage + write - usage * write) * retention


def allocation_weights(usage: Tensor) -> Tensor:
    """Return a, (batch, N): in order of rising usage, each row takes its free share of the remaining weight.

    Args:
        usage: u_t.
    """
    usage = EPSILON + (1 - EPSILON) * usage
    ascending, order = usage.sort(stable=True, dim=-1)
    remaining = torch.cat([torch.ones_like(ascending[..., :1]), ascending.cumprod(-1)[..., :-1]], -1)
    return ((1 - ascending) * remaining).gather(-1, order.argsort(-1))


def next_link(link: Tensor, precedence: Tensor, write: Tensor) -> Tensor:
    """Return L_t, L[i, j] = (1 - w_i - w_j) L[i, j] + w_i p_j off the diagonal: how much i was written after j.

    Args:
        link: L_{t-1}.
        precedence: p_{t-1}.
        write: w^w_t.
    """
    write_i, write_j = write[..., :, None], write[..., None, :]
    new_link = (1 - write_i - write_j) * link + write_i * precedence[..., None, :]
    return new_link * (1 - torch.eye(link.shape[-1], dtype=link.dtype, device=link.device))


def next_precedence(precedence: Tensor, write: Tensor) -> Tensor:
    """Return p_t = (1 - sum_i w_i) p_{t-1} + w_t.

    Args:
        precedence: p_{t-1}.
        write: w^w_t.
    """
    return (1 - write.sum(-1, keepdim=True)) * precedence + write


def read_weights(link: Tensor, read: Tensor, content: Tensor, modes: Tensor) -> Tensor:
    """Return w^r_t: backward along the links, forward along them, and by content, mixed by the read modes.

    Args:
        link: L_t.
        read: w^r_{t-1}.
        content: c^r_t, (batch, R, N).
        modes: pi, (batch, R, 3), summing to 1: backward, forward, content.
    """
    backward, forward = read @ link, read @ link.transpose(-1, -2)
    return modes[..., 0:1] * backward + modes[..., 1:2] * forward + modes[..., 2:3] * content


class DNC(nn.Module):
    """An LSTM controller with a memory.

    Args:
        inputs: Width of the inputs.
        outputs: Number of logits.
        hidden: Units of the LSTM.
        rows: N.
        width: W.
        reads: R.
        clip: Largest absolute value of the controller's output and state, and of the logits.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        hidden: int = 64,
        rows: int = 16,
        width: int = 16,
        reads: int = 4,
        clip: float = 20.0,
    ) -> None:
        """Create the layers; `initialise_dnc` draws their weights."""
        super().__init__()
        self.hidden, self.rows, self.width, self.reads, self.clip = hidden, rows, width, reads, clip
        #: Widths of the interface's parts: write vector, erase vector, free gates, allocation gate, write gate, read
        #: modes, write key and strength, read keys and strengths.
        self.parts = (width, width, reads, 1, 1, 3 * reads, width, 1, reads * width, reads)
        self.controller = nn.Linear(inputs + reads * width + hidden, 4 * hidden)
        self.interface = nn.Linear(hidden, sum(self.parts))
        self.output = nn.Linear(hidden + reads * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences, (batch, time, inputs), to logits, (batch, time, outputs)."""
        batch = len(x)
        output, cell = (x.new_zeros(batch, self.hidden) for _ in range(2))
        words = x.new_zeros(batch, self.reads * self.width)
        usage, precedence, write = (x.new_zeros(batch, self.rows) for _ in range(3))
        memory = Memory(
            rows=x.new_zeros(batch, self.rows, self.width),
            usage=usage,
            precedence=precedence,
            link=x.new_zeros(batch, self.rows, self.rows),
            write=write,
            read=x.new_zeros(batch, self.reads, self.rows),
        )
        outputs: list[Tensor] = []
        for step_inputs in x.unbind(1):
            output, cell = self._control(torch.cat([step_inputs, words, output], -1), cell)
            memory = self._access(memory, self.interface(output))
            words = (memory.read @ memory.rows).flatten(1)
            outputs.append(self._clip_values(self.output(torch.cat([output, words], -1))))
        return torch.stack(outputs, 1)

    def _clip_values(self, x: Tensor) -> Tensor:
        return x.clamp(-self.clip, self.clip)

    def _control(self, inputs: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's output and cell; 1 is added to its forget gate."""
        i, j, f, o = self.controller(inputs).chunk(4, -1)
        cell = (f + 1).sigmoid() * cell + i.sigmoid() * j.tanh()
        return self._clip_values(o.sigmoid() * cell.tanh()), self._clip_values(cell)

    def _access(self, memory: Memory, interface: Tensor) -> Memory:
        """Return the memory after one write and the reads that follow it."""
        batch = len(interface)
        vector, erase, free, allocate, gate, modes, key, strength, keys, strengths = interface.split(self.parts, -1)
        usage = next_usage(memory.usage, memory.write, memory.read, free.sigmoid())
        allocation = allocation_weights(usage)
        content = content_weights(memory.rows, key[:, None], strength)[:, 0]
        allocate = allocate.sigmoid()
        write = gate.sigmoid() * (allocate * allocation + (1 - allocate) * content)
        rows = memory.rows * (1 - write[..., None] * erase.sigmoid()[:, None]) + write[..., None] * vector[:, None]
        link = next_link(memory.link, memory.precedence, write)
        read_content = content_weights(rows, keys.reshape(batch, self.reads, self.width), strengths)
        modes = modes.reshape(batch, self.reads, 3).softmax(-1)
        return Memory(
            rows=rows,
            usage=usage,
            precedence=next_precedence(memory.precedence, write),
            link=link,
            write=write,
            read=read_weights(link, memory.read, read_content, modes),
        )


def initialise_dnc(module: nn.Module, generator: torch.Generator) -> None:
    """Draw truncated-normal weights of variance 1 / fan-in, for the controller's biases too; all other biases are zero.

    These are the defaults for an LSTM and a linear layer of Sonnet, the library of DeepMind's implementation.

    Args:
        module: A `DNC`.
        generator: Random number generator.
    """
    assert isinstance(module, DNC)
    for layer in (module.controller, module.interface, module.output):
        truncated_normal_(layer.weight, layer.in_features, generator)
        nn.init.zeros_(layer.bias)
    truncated_normal_(module.controller.bias, module.controller.in_features, generator)
