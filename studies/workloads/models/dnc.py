"""The Differential Neural Computer (Graves et al., 2016), equations as there, details as in DeepMind's own program."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from studies.workloads.models.layers import truncated_normal_

#: Keeps norms, and the usage that allocation sorts by, away from zero.
EPSILON = 1e-6


class Memory(NamedTuple):
    """The memory between two steps of a sequence; N rows of W numbers, R read heads, one write head.

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
        strengths: Before the softplus, (batch, heads).
    """
    norms = _norm(keys) * _norm(rows).transpose(-1, -2)
    similarity = keys @ rows.transpose(-1, -2) / (norms + EPSILON)
    return (similarity * softplus(strengths)[..., None]).softmax(-1)


def _norm(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(-1, keepdim=True) + EPSILON).sqrt()


def next_usage(usage: Tensor, write: Tensor, read: Tensor, free: Tensor) -> Tensor:
    """Return u_t = (u + w^w - u w^w) prod_i (1 - f_i w^r_i), of the weightings of the step before.

    Args:
        usage: u_{t-1}.
        write: w^w_{t-1}; no gradient flows through it, as in DeepMind's program.
        read: w^r_{t-1}.
        free: The free gates f, (batch, R).
    """
    write = write.detach()
    retention = (1 - free[..., None] * read).prod(-2)
    return (usage + write - usage * write) * retention


def allocation_weights(usage: Tensor) -> Tensor:
    """Return a, (batch, N): rows in order of rising usage get what the freer ones before them left.

    Args:
        usage: u_t.
    """
    usage = EPSILON + (1 - EPSILON) * usage
    rising, order = usage.sort(stable=True, dim=-1)
    before = torch.cat([torch.ones_like(rising[..., :1]), rising.cumprod(-1)[..., :-1]], -1)
    return ((1 - rising) * before).gather(-1, order.argsort(-1))


def next_link(link: Tensor, precedence: Tensor, write: Tensor) -> Tensor:
    """Return L_t, L[i, j] = (1 - w_i - w_j) L[i, j] + w_i p_j off the diagonal: how far i was written right after j.

    Args:
        link: L_{t-1}.
        precedence: p_{t-1}.
        write: w^w_t.
    """
    of_i, of_j = write[..., :, None], write[..., None, :]
    moved = (1 - of_i - of_j) * link + of_i * precedence[..., None, :]
    return moved * (1 - torch.eye(link.shape[-1], dtype=link.dtype, device=link.device))


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
        inputs: Numbers of an input.
        outputs: Logits of an output.
        hidden: Units of the LSTM.
        rows: N.
        width: W.
        reads: R.
        clip: Largest size of the controller's output and state, and of the outputs.
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
        """Make the layers; `initialise_dnc` draws their weights."""
        super().__init__()
        self.hidden, self.rows, self.width, self.reads, self.clip = hidden, rows, width, reads, clip
        #: The interface's parts: write vector, erase vector, free gates, allocation gate, write gate, read modes, write
        #: key and strength, read keys and strengths.
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
        found: list[Tensor] = []
        for now in x.unbind(1):
            output, cell = self._control(torch.cat([now, words, output], -1), cell)
            memory = self._access(memory, self.interface(output))
            words = (memory.read @ memory.rows).flatten(1)
            found.append(self._clipped(self.output(torch.cat([output, words], -1))))
        return torch.stack(found, 1)

    def _clipped(self, x: Tensor) -> Tensor:
        return x.clamp(-self.clip, self.clip)

    def _control(self, inputs: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's output and cell; 1 is added to its forget gate."""
        i, j, f, o = self.controller(inputs).chunk(4, -1)
        cell = (f + 1).sigmoid() * cell + i.sigmoid() * j.tanh()
        return self._clipped(o.sigmoid() * cell.tanh()), self._clipped(cell)

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
        found = content_weights(rows, keys.reshape(batch, self.reads, self.width), strengths)
        modes = modes.reshape(batch, self.reads, 3).softmax(-1)
        return Memory(
            rows=rows,
            usage=usage,
            precedence=next_precedence(memory.precedence, write),
            link=link,
            write=write,
            read=read_weights(link, memory.read, found, modes),
        )


def initialise_dnc(module: nn.Module, generator: torch.Generator) -> None:
    """Draw truncated-normal weights of variance 1 / fan-in, the controller's biases likewise; all others are zero.

    Both are the defaults of Sonnet, the library of DeepMind's program, for an LSTM and for a linear layer.

    Args:
        module: A `DNC`.
        generator: Where to draw from.
    """
    assert isinstance(module, DNC)
    for layer in (module.controller, module.interface, module.output):
        truncated_normal_(layer.weight, layer.in_features, generator)
        nn.init.zeros_(layer.bias)
    truncated_normal_(module.controller.bias, module.controller.in_features, generator)
