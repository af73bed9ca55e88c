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

"""The training samples: latents, psi and the VLLM's features of each pair, joined."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.latents import INPUT, Latents, MEAN, STD
from lego_ros.training.ldm.texts import TextEncodings
from lego_ros.training.ldm.variants import Variant
from lego_ros.training.run.draws import Draw
import numpy as np
import torch


def is_flipped(draw: Draw) -> bool:
    """
    Tell whether a draw asks for the mirror image; one in two does.

    :param draw: of a sample.
    """
    return bool(draw.seed & 1)


class Words:
    """
    What psi encodes for each pair.

    :param pairs: of the dataset.
    :param enrichment: the VLLM's; None for a variant that needs none.
    :param variant: label or description.
    :param flip: whether the mirror images are wanted too.
    :raises LegoError: INVALID_SETTING: the enrichment lacks a pair, or all mirror images.
    """

    def __init__(self, pairs: PairDataset, enrichment: Enrichment | None,
                 variant: Variant, flip: bool) -> None:
        self._pairs, self._enrichment, self._variant = pairs, enrichment, variant
        self._sides = (False, True)[:1 + flip]
        if not variant.enriched:
            return
        if enrichment is None:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'this variant is conditioned on descriptions: name an enrichment')
        if flip and not enrichment.index.flipped:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                'the enrichment has no mirror images: make it with them, or set flip to false')
        for pair in pairs:
            for flipped in self._sides:
                if (pair.pair_id, flipped) not in enrichment:
                    raise LegoError(
                        ErrorCode.INVALID_SETTING,
                        f"the enrichment lacks {'the mirror image of ' * flipped}{pair.pair_id}: "
                        'it was made of other pairs')

    def of(self, index: int, flipped: bool) -> str:
        """
        Give a pair's text.

        :param index: of the pair.
        :param flipped: whether of its mirror image.
        :returns: label or description; of a mirror image, with left and right swapped.
        """
        pair = self._pairs[index]
        if self._variant.enriched:
            assert self._enrichment is not None
            return self._enrichment.words(pair.pair_id, flipped).description
        return swap_sides(pair.label) if flipped else pair.label

    def all(self) -> list[str]:
        """Give the texts of all pairs, each once."""
        return list(dict.fromkeys(
            self.of(index, flipped) for flipped in self._sides
            for index in range(len(self._pairs))))


class LdmData:
    """
    The samples of one split, for ``training.run``.

    A sample is a dict of tensors, float16: ``input`` (C, h, w), ``mean`` and ``std`` of the
    target likewise, ``psi`` (N, D), and as the variant needs them ``vision`` (M, vision_hidden)
    and ``states`` (N, hidden): H_t cut or zero-padded to N rows.

    :param pairs: of the split.
    :param words: their texts.
    :param latents: of the same pairs, filled.
    :param texts: with all those texts, filled.
    :param enrichment: the VLLM's features; None for a variant without them.
    :param variant: what the samples are to hold.
    :param flip: whether half of the draws give the mirror image.
    """

    def __init__(self, pairs: PairDataset, words: Words, latents: Latents,
                 texts: TextEncodings, enrichment: Enrichment | None, variant: Variant,
                 flip: bool) -> None:
        self.pairs, self._words, self._latents, self._texts = pairs, words, latents, texts
        self._enrichment, self._variant, self._flip = enrichment, variant, flip

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self.pairs)

    def name(self, index: int) -> str:
        """
        Name a sample.

        :param index: of the pair.
        """
        return self.pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> dict[str, torch.Tensor]:
        """
        Make a sample.

        :param draw: which pair; its seed decides on the mirror image.
        :returns: as the class says.
        :raises LegoError: SOURCE_UNREADABLE: a cache or a shard is damaged.
        """
        return self.sample(draw.index, self._flip and is_flipped(draw))

    def words(self, index: int, flipped: bool = False) -> str:
        """
        Give what psi encodes.

        :param index: of the pair.
        :param flipped: whether of its mirror image.
        """
        return self._words.of(index, flipped)

    def sample(self, index: int, flipped: bool) -> dict[str, torch.Tensor]:
        """
        Make the sample of a pair or of its mirror image.

        :param index: of the pair.
        :param flipped: whether of its mirror image.
        :returns: as the class says.
        """
        latents = self._latents.read(index, flipped)
        psi = self._texts.read(self._words.of(index, flipped))
        arrays = {'input': latents[INPUT], 'mean': latents[MEAN], 'std': latents[STD],
                  'psi': psi}
        if self._variant.image or self._variant.text:
            assert self._enrichment is not None
            vision, states = self._enrichment.features(self.pairs[index].pair_id, flipped)
            if self._variant.image:
                arrays['vision'] = vision
            if self._variant.text:
                arrays['states'] = _padded(states, len(psi))
        # Mapped files are read-only; torch wants its own.
        return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _padded(states: np.ndarray, rows: int) -> np.ndarray:
    full = np.zeros((rows, states.shape[1]), states.dtype)
    full[:len(states)] = states[:rows]
    return full
