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

"""Real parts of small size: a tokenizer made here, random weights, one input frame."""

from __future__ import annotations

from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.ldm.pipeline import LegoPipeline
import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

torch.set_num_threads(1)


@pytest.fixture(scope='session')
def tokenizer() -> CLIPTokenizer:
    """Give a byte-level CLIP tokenizer for lower-case ASCII, without merges."""
    characters = [chr(code) for code in range(33, 127)]
    words = [*characters, *(f'{one}</w>' for one in characters),
             '<|startoftext|>', '<|endoftext|>']
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77)


@pytest.fixture(scope='session')
def pipeline(tokenizer: CLIPTokenizer) -> LegoPipeline:
    """Give one tiny pipeline; a test that changes it must make its own."""
    return build_pipeline(tiny_size(), tokenizer, seed=3)


@pytest.fixture
def frame() -> np.ndarray:
    """Give a 64 x 64 frame with structure at every scale."""
    return np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def embeds(pipeline: LegoPipeline) -> dict[str, torch.Tensor]:
    """Give VLLM embeddings for one frame, of the size of the pipeline's conditioning."""
    size = pipeline.conditioning.config
    noise = torch.Generator().manual_seed(11)
    return {
        'image_embeds': torch.randn(1, size.image_tokens, size.vllm_hidden, generator=noise),
        'text_embeds': torch.randn(1, size.text_tokens, size.vllm_hidden, generator=noise),
    }
