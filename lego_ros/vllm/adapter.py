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
A VLLM's second task: low-rank adapters (Hu et al., 2021), as PEFT writes them.

The VLLM itself stays what the LDM was trained with: its states condition the picture.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
import re

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.llava import LegoLlava
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch
from torch import Tensor

CONFIG, WEIGHTS = 'adapter_config.json', 'adapter_model.safetensors'
HEAD = 'lm_head.weight'
"""The head is replaced whole where the adapter holds one."""
_NAME = re.compile(r'base_model\.model\.(.+?)(?:\.lora_([AB]))?\.weight')


def adapted(model: LegoLlava, folder: Path) -> LegoLlava:
    """
    Give a VLLM with an adapter.

    :param model: in evaluation mode on the CPU; not changed.
    :param folder: of the adapter.
    :returns: W + alpha / r B A in the place of each weight W that it adapts (their Eq. 3), in the
        model's dtype; all other weights are the model's own, not copies.
    :raises LegoError: BUNDLE_INVALID: it cannot be read; BUNDLE_MISMATCH: it is another model's.
    """
    scale, tensors = _read(folder)
    weights = dict(model.named_parameters())
    try:
        changed = _merged(weights, tensors, scale)
    except (KeyError, RuntimeError) as error:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"the adapter in '{folder}' is not of the VLLM beside it: {error}") from error
    # What is in the memo is taken as it is.
    result = copy.deepcopy(model, {
        id(weight): weight for name, weight in weights.items() if name not in changed})
    result.load_state_dict(changed, strict=False, assign=True)
    return result.requires_grad_(False).eval()


def _read(folder: Path) -> tuple[float, dict[str, Tensor]]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
        if config['peft_type'] != 'LORA' or config.get('use_dora') or config.get('use_rslora'):
            raise ValueError('it is not a plain low-rank adapter')
        return float(config['lora_alpha']) / int(config['r']), load_file(folder / WEIGHTS)
    except (OSError, KeyError, TypeError, ValueError, ArithmeticError, SafetensorError) as error:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID, f"the adapter in '{folder}' cannot be read: {error}"
            ) from error


def _merged(weights: dict[str, torch.nn.Parameter], tensors: dict[str, Tensor], scale: float
            ) -> dict[str, Tensor]:
    """Add factors to the weights that they are of; a KeyError names what there is not."""
    changed: dict[str, Tensor] = {}
    alone = {name.replace('lora_B', 'lora_A') for name in tensors} - tensors.keys()
    if alone:
        raise KeyError(f'it lacks {min(alone)}')
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None or (match[2] is None and f'{match[1]}.weight' != HEAD):
            raise KeyError(f'it holds {name}')
        target = f'{match[1]}.weight'
        weight = weights[target]
        if match[2] is None:
            changed[target] = tensor.to(weight.dtype).reshape(weight.shape)
        elif match[2] == 'A':
            # In float32: the change is small beside the weight.
            change = tensors[name.replace('lora_A', 'lora_B')].float() @ tensor.float()
            changed[target] = (weight.float() + scale * change).to(weight.dtype)
    return changed
