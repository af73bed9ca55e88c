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

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.llava import LegoLlava
from safetensors import SafetensorError
import torch
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase, PreTrainedTokenizerFast

_FAULTS = (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError, SafetensorError)


def load_processors(folder: Path) -> tuple[PreTrainedTokenizerBase, CLIPImageProcessorPil]:
    """
    Load what goes with the VLLM, but not the VLLM.

    :param folder: what ``save_pretrained`` wrote.
    :returns: its tokenizer, its image processor.
    :raises LegoError: BUNDLE_INVALID when a file is missing or unreadable.
    """
    try:
        return (PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True),
                CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True))
    except _FAULTS as error:
        raise _invalid(folder, error) from error


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
    try:
        model, report = LegoLlava.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True,
            dtype=dtype)
        wrong = sorted(str(key) for fault in ('missing_keys', 'mismatched_keys', 'unexpected_keys')
                       for key in report[fault])
        if wrong:
            raise ValueError(
                f'weights are missing, of another size or unknown: {", ".join(wrong[:4])}')
    except _FAULTS as error:
        raise _invalid(folder, error) from error
    return model.eval(), tokenizer, processor


def _invalid(folder: Path, error: Exception) -> LegoError:
    return LegoError(
        ErrorCode.BUNDLE_INVALID, f'The vllm in {folder} cannot be loaded: {error}')
