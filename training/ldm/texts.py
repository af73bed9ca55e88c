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

"""psi of every text, encoded once; as the pipeline encodes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lego_ros.training.run.identity import module_sha256, values_sha256
from lego_ros.training.run.rows import ALL, Rows, Share
import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTokenizer


class TextEncodings:
    """
    psi (N, D) float16 of every text.

    :param folder: for the caches of all sets of texts; each gets a sub-folder of its own.
    :param texts: those to encode; each once.
    :param text_encoder: psi, on the device that is to encode.
    :param tokenizer: its tokenizer.
    :param tokens: N, to which texts are cut and padded.
    """

    def __init__(self, folder: Path, texts: Sequence[str], text_encoder: CLIPTextModel,
                 tokenizer: CLIPTokenizer, tokens: int) -> None:
        self._texts = list(dict.fromkeys(texts))
        self._index = {text: index for index, text in enumerate(self._texts)}
        self._tokens = tokens
        identity = {
            'text_encoder': module_sha256(text_encoder),
            'tokenizer': values_sha256(tokenizer.get_vocab()),
            'texts': values_sha256(self._texts)}
        self._rows = Rows(
            folder / values_sha256(identity)[:16], identity, len(self._texts),
            (tokens, text_encoder.config.hidden_size))
        self.identity = identity

    def fill(self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, batch: int = 64,
             stop: Callable[[], bool] = lambda: False, share: Share = ALL) -> None:
        """
        Encode what is not there yet.

        :param text_encoder: that this was made for.
        :param tokenizer: its tokenizer.
        :param batch: texts per forward pass.
        :param stop: asked now and then; True ends it, and a next call goes on.
        :param share: of the work that is this process's.
        :raises Interrupted: ``stop`` said so.
        :raises LegoError: RECORDING_FAILED: no room; INFERENCE_FAILED: psi is not finite.
        """
        def encode(span: range) -> np.ndarray:
            return np.concatenate([
                encode_texts(self._texts[first:min(first + batch, span.stop)], text_encoder,
                             tokenizer, self._tokens).float().cpu().numpy()
                for first in range(span.start, span.stop, batch)])

        self._rows.fill(encode, 'texts', stop, share)

    def read(self, text: str) -> np.ndarray:
        """
        Read psi of a text.

        :param text: one of those given.
        :returns: (N, D) float16.
        :raises LegoError: SOURCE_UNREADABLE: the cache is damaged.
        """
        return self._rows[self._index[text]]


@torch.no_grad()
def encode_texts(texts: list[str], text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer,
                 tokens: int) -> torch.Tensor:
    """
    Encode texts as psi does in the released code: cut and padded to N, no attention mask.

    :param texts: B of them.
    :param text_encoder: psi.
    :param tokenizer: its tokenizer.
    :param tokens: N.
    :returns: (B, N, D), the last hidden state.
    """
    words = tokenizer(
        texts, padding='max_length', truncation=True, max_length=tokens, return_tensors='pt')
    return text_encoder(words.input_ids.to(text_encoder.device)).last_hidden_state
