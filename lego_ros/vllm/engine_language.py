# Copyright 2026 The lego_ros Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
The VLLM over engines: a buffer that stays, one engine call a token.

A cache row is written where it belongs and nothing is moved. The only wait for the device in a
token is the decode's own, when it reads the logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lego_ros.engines.engine import Engine
from lego_ros.vllm.language import VisionLanguage
import torch
from torch import Tensor


@dataclass(eq=False)
class _Buffer:
    """
    Keys and values (2 x layers, kv_heads, L, d).

    Rows from ``used`` on are zero: the step masks rows beyond its length, but a weight of zero
    does not undo a value that is not finite.
    """

    cache: Tensor
    used: int = 0

    @property
    def rows(self) -> int:
        """L."""
        return self.cache.shape[2]

    def fill(self, rows: Tensor) -> None:
        """Hold these rows (2 x layers, kv_heads, n, d) and no others."""
        count = rows.shape[2]
        self.cache[:, :, :count] = rows
        self.cache[:, :, count:max(count, self.used)] = 0
        self.used = count

    def append(self, row: Tensor) -> None:
        """Hold one row more, (2 x layers, kv_heads, 1, d)."""
        self.cache[:, :, self.used:self.used + 1] = row
        self.used += 1


class EngineLanguage:
    """
    A language model that engines run; see :class:`lego_ros.vllm.language.LanguageModel`.

    The buffer is as small as the text allows, since a step reads all of it; where the capacity is
    one number it has that size always, as a captured graph wants it.

    :param embed: of the graph ``embed`` of :func:`lego_ros.vllm.graphs.vllm_graphs`.
    :param prefill: of the graph ``prefill``.
    :param step: of the graph ``step``; all on one device.
    """

    def __init__(self, embed: Engine, prefill: Engine, step: Engine) -> None:
        self._embed, self._prefill, self._step = embed, prefill, step
        self._capacity = step.sizes['capacity']
        self._device = step.device
        self._kept: dict[int, _Buffer] = {}
        self._buffer: _Buffer | None = None
        self._token, self._length = (
            torch.zeros(1, dtype=torch.int64, device=self._device) for _ in range(2))
        # What a step gives is written to the same memory each time.
        self._given = {spec.name: torch.zeros(cast('tuple[int, ...]', spec.shape),
                                              dtype=spec.dtype, device=self._device)
                       for spec in step.outputs if spec.name != 'state'}

    @property
    def positions(self) -> int:
        """See :attr:`LanguageModel.positions`."""
        return self._capacity.most

    def embed(self, token_ids: Sequence[int]) -> Tensor:
        """See :meth:`LanguageModel.embed`."""
        ids = torch.tensor(token_ids, dtype=torch.int64, device=self._device)
        return self._embed.run({'ids': ids})['embeds']

    @torch.no_grad()
    def start(self, prompt_embeds: Tensor, state: Tensor) -> Tensor:
        """See :meth:`LanguageModel.start`."""
        given = self._prefill.run({'inputs_embeds': prompt_embeds}, {'state': state})
        self._buffer = self._of_rows(given['cache'].shape[2] + 1)
        self._buffer.fill(given['cache'])
        return given['logits'][0]

    @torch.no_grad()
    def advance(self, token_id: int, state: Tensor) -> Tensor:
        """See :meth:`LanguageModel.advance`."""
        buffer = self._buffer
        if buffer is None:
            raise RuntimeError('there is nothing to go on from: start() comes first')
        if buffer.used == buffer.rows:
            small, buffer = buffer, self._of_rows(buffer.used + 1)
            buffer.fill(small.cache)
            self._buffer = buffer
        self._token.fill_(token_id)
        self._length.fill_(buffer.used)
        given = self._step.run(
            {'token': self._token, 'length': self._length, 'cache': buffer.cache},
            {**self._given, 'state': state})
        buffer.append(given['row'])
        return given['logits'][0]

    def _of_rows(self, rows: int) -> _Buffer:
        """Give the smallest buffer that holds so many rows."""
        size = self._capacity.least
        while size < rows and size < self._capacity.most:
            size = min(2 * size, self._capacity.most)
        if size not in self._kept:
            row = self._given['row']
            self._kept[size] = _Buffer(row.new_zeros(*row.shape[:2], size, row.shape[3]))
        return self._kept[size]


def engine_vllm(engines: Mapping[str, Engine]) -> VisionLanguage:
    """
    Take a VLLM as engines run it.

    :param engines: of the graphs of :func:`lego_ros.vllm.graphs.vllm_graphs`, by name, on one
        device.
    :returns: its parts.
    """
    vision = engines['vision']

    def see(pixels: Tensor) -> Tensor:
        pixels = pixels.to(vision.device).contiguous()
        return vision.run({'pixel_values': pixels})['image_embeds'][0]

    side = vision.inputs[0].shape[-1]
    return VisionLanguage(engine_language(engines), see, cast(int, side))


def engine_language(engines: Mapping[str, Engine], prefix: str = '') -> EngineLanguage:
    """
    Take a language model as engines run it.

    :param engines: see :func:`engine_vllm`.
    :param prefix: of its graphs' names but for ``embed``, which all of a VLLM's share.
    :returns: the language model.
    """
    return EngineLanguage(
        engines['embed'], engines[f'{prefix}prefill'], engines[f'{prefix}step'])


def vocabulary_size(engines: Mapping[str, Engine]) -> int:
    """
    Count the logits that a VLLM gives.

    :param engines: see :func:`engine_vllm`.
    :returns: the rows of its head, which may be more than the words of its tokenizer.
    """
    return next(cast(int, spec.shape[-1]) for spec in engines['step'].outputs
                if spec.name == 'logits')
