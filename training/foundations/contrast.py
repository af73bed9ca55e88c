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

"""Pictures with texts, and the loss that tells which belong together."""

from __future__ import annotations

from collections.abc import Sequence
import math

from lego_ros.training.data.dataset import Which
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.foundations.captions import caption
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.pictures import normalised, stacked
from lego_ros.training.run.draws import Draw
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

_MAX_SCALE = math.log(100)
"""CLIP's bound of the logarithm of 1 / temperature."""


class PicturesWithTexts:
    """
    A picture of each pair with a text that is true of it.

    Of the input that is a caption; of the target a caption or the action's description. Half of
    all are mirrored.

    :param split: of the kitchen.
    :param facts: in a caption, at most.
    """

    def __init__(self, split: KitchenSplit, facts: int) -> None:
        self._split, self._facts = split, facts

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._split.pairs)

    def name(self, index: int) -> str:
        """Give a pair's id."""
        return self._split.pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> tuple[np.ndarray, str]:
        """Give a picture (side, side, 3) uint8 and a text."""
        rng = np.random.default_rng(draw.seed)
        mirrored = bool(rng.random() < 0.5)
        if rng.random() < 0.25:
            return self.described(draw.index, mirrored)
        which: Which = 'input' if rng.random() < 0.5 else 'target'
        return self.captioned(draw.index, rng, which, mirrored)

    def described(self, index: int, mirrored: bool = False) -> tuple[np.ndarray, str]:
        """Give the target picture and the action's description."""
        text = self._split.pairs[index].description
        return (self._split.pictures.get(index, 'target', mirrored),
                swap_sides(text) if mirrored else text)

    def captioned(self, index: int, rng: np.random.Generator, which: Which = 'input',
                  mirrored: bool = False) -> tuple[np.ndarray, str]:
        """Give a picture and a caption."""
        state = self._split.scenes.state(self._split.pairs[index], which, mirrored)
        return (self._split.pictures.get(index, which, mirrored),
                caption(state, rng, self._facts))


class ContrastCollate:
    """
    Makes a batch of pictures and texts.

    :param tokenizer: of the text encoder; texts are cut to its N tokens.
    """

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, samples: Sequence[tuple[np.ndarray, str]]) -> dict[str, Tensor]:
        """Give pictures (B, side, side, 3) uint8, token ids and mask (B, L), and text numbers."""
        texts = [text for _, text in samples]
        tokens = self._tokenizer(texts, padding='longest', truncation=True, return_tensors='pt')
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        return {
            'pictures': stacked([picture for picture, _ in samples]),
            'input_ids': tokens['input_ids'], 'attention_mask': tokens['attention_mask'],
            'texts': torch.tensor([numbers[text] for text in texts])}


class ContrastObjective(nn.Module):
    """
    Both ways of matching within a batch; equal texts all count as right.

    :param clip: is trained, with its temperature.
    :param processor: gives mean and standard deviation of its pictures.
    """

    def __init__(self, clip: CLIPModel, processor: CLIPImageProcessorPil) -> None:
        super().__init__()
        self.clip = clip
        self._processor = processor

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss.

        :param batch: of :class:`ContrastCollate`.
        :returns: mean of both directions' cross-entropy [nat]; ``matched``, the part of pictures
            that find a right text in the batch; ``temperature``.
        """
        pictures, texts = self.embed(batch)
        scale = self.clip.logit_scale.clamp(max=_MAX_SCALE).exp()
        logits = scale * pictures.float() @ texts.float().T
        loss, matched = contrast(logits, batch['texts'])
        return loss, {'matched': matched, 'temperature': 1 / scale.detach()}

    def embed(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """
        Embed pictures and texts.

        :param batch: of :class:`ContrastCollate`.
        :returns: (B, d) each, rows of length 1.
        """
        output = self.clip(
            input_ids=batch['input_ids'], attention_mask=batch['attention_mask'],
            pixel_values=normalised(batch['pictures'], self._processor))
        return output.image_embeds, output.text_embeds


def contrast(logits: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """
    Compare pictures with texts.

    :param logits: (B, B); row = picture, column = text, sample k's on the diagonal.
    :param texts: (B,) equal numbers for equal texts.
    :returns: the loss, and the part of pictures whose likeliest text is right.
    """
    same = texts[:, None] == texts[None, :]
    # Equal texts share their picture's probability; the matrix is symmetric.
    wanted = same.float() / same.sum(1, keepdim=True)
    loss = (functional.cross_entropy(logits, wanted)
            + functional.cross_entropy(logits.T, wanted)) / 2
    best = logits.detach().argmax(1, keepdim=True)
    return loss, same.gather(1, best).float().mean()
