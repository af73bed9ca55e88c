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

"""Loading the VLLM from a folder that one may not trust: fixed classes, safetensors only."""

from __future__ import annotations

from pathlib import Path

from lego_ros.errors import ErrorCode, telling
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.prompt import check_chat_template
import torch
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase, PreTrainedTokenizerFast


def load_processors(folder: Path) -> tuple[PreTrainedTokenizerBase, CLIPImageProcessorPil]:
    """
    Load what goes with the VLLM, but not the VLLM.

    :param folder: what ``save_pretrained`` wrote.
    :returns: its tokenizer, its image processor.
    :raises LegoError: BUNDLE_INVALID when a file is missing or unreadable, or when the VLLM
        cannot be asked by its chat template.
    """
    with telling(ErrorCode.BUNDLE_INVALID, _cannot(folder)):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    check_chat_template(tokenizer, folder)
    return tokenizer, processor


def load_vllm(folder: Path, dtype: torch.dtype
              ) -> tuple[LegoLlava, PreTrainedTokenizerBase, CLIPImageProcessorPil]:
    """
    Load the VLLM with its tokenizer and image processor.

    :param folder: what their ``save_pretrained`` wrote, together.
    :param dtype: of the weights.
    :returns: the model in evaluation mode on the CPU, its tokenizer, its image processor.
    :raises LegoError: BUNDLE_INVALID when a file is missing, unreadable or incomplete.
    """
    tokenizer, processor = load_processors(folder)
    with telling(ErrorCode.BUNDLE_INVALID, _cannot(folder)):
        model, report = LegoLlava.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True,
            dtype=dtype)
        wrong = sorted(str(key) for fault in ('missing_keys', 'mismatched_keys', 'unexpected_keys')
                       for key in report[fault])
        if wrong:
            raise ValueError(
                f'weights are missing, of another size or unknown: {", ".join(wrong[:4])}')
    return model.eval(), tokenizer, processor


def _cannot(folder: Path) -> str:
    return f'The vllm in {folder} cannot be loaded'
