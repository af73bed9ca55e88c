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

"""Enriching many pairs with one VLLM: what it says of each, and what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.loading import load_component
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.enrichment.settings import EnrichSettings, EnrichSources
from lego_ros.training.enrichment.shards import EnrichedSample
from lego_ros.training.vllm.decoding import answer
from lego_ros.training.vllm.features import vision_features
from lego_ros.vllm.answer_text import AnswerText
from lego_ros.vllm.decoding import Decoded
from lego_ros.vllm.loading import load_vllm
from lego_ros.vllm.templates import question
import numpy as np
import torch
from torch import Tensor

BATCH = 32
"""Frames that go through the vision tower together."""


@dataclass(frozen=True)
class Request:
    """
    A frame to be described.

    :param index: of the pair.
    :param flipped: whether the mirrored frame is meant, with left and right swapped in the label.
    """

    index: int
    flipped: bool


class Describer:
    """
    A VLLM at work: bfloat16 on a GPU where there is one, else float32.

    :param sources: where VLLM and tokenizer are.
    :param settings: see there.
    :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_INVALID.
    """

    def __init__(self, sources: EnrichSources, settings: EnrichSettings) -> None:
        gpu = torch.cuda.is_available()
        model, self._tokenizer, self._processor = load_vllm(
            sources.vllm, torch.bfloat16 if gpu else torch.float32)
        self._model = model.to('cuda') if gpu else model
        self._read = AnswerText(self._tokenizer, load_component(sources.text, 'tokenizer', None),
                                settings.text_tokens)
        self._settings = settings

    def samples(self, pairs: PairDataset, requests: Sequence[Request]) -> list[EnrichedSample]:
        """
        Describe frames.

        :param pairs: where they are.
        :param requests: which.
        :returns: a sample for each request, in order.
        :raises LegoError: SOURCE_UNREADABLE: a picture cannot be read; INFERENCE_FAILED: the
            model's output is not finite; INVALID_QUERY, QUERY_TOO_LONG: a label that cannot be
            asked about.
        """
        labels = [swap_sides(pairs[request.index].label) if request.flipped
                  else pairs[request.index].label for request in requests]
        vision = torch.cat([self._see(pairs, requests[first:first + BATCH])
                            for first in range(0, len(requests), BATCH)])
        responses = answer(
            self._model, self._tokenizer, [question(label) for label in labels], vision,
            self._settings.max_new_tokens, self._is_full)
        return [self._sample(pairs[request.index].pair_id, request.flipped, *rest)
                for request, *rest in zip(requests, labels, vision, responses, strict=True)]

    def _see(self, pairs: PairDataset, requests: Sequence[Request]) -> Tensor:
        view = self._settings.view
        return vision_features(self._model, self._processor, [
            view.vllm_view(pairs.picture(request.index, 'input', mirrored=request.flipped))
            for request in requests])

    def _is_full(self, token_ids: Sequence[int]) -> bool:
        # As at run time: beyond this no token can reach the picture.
        return len(token_ids) >= self._settings.text_tokens and self._read.fills_clip(token_ids)

    def _sample(self, pair_id: str, flipped: bool, label: str, vision: Tensor,
                response: Decoded) -> EnrichedSample:
        read = self._read.settled if response.stop == 'conditioning_full' else self._read.whole
        return EnrichedSample(
            pair_id=pair_id, flipped=flipped, label=label,
            description=read(response.token_ids) or label, token_ids=response.token_ids,
            stop=response.stop, vision=_half(vision, pair_id),
            states=_half(response.states[:self._settings.text_tokens], pair_id))


def _half(rows: Tensor, pair_id: str) -> np.ndarray:
    half = rows.half().cpu().numpy()
    if not np.isfinite(half).all():
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            f'what the VLLM made of {pair_id} is not finite or beyond 65504; its weights are '
            'damaged or not trained for this')
    return half
