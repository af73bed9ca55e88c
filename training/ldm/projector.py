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

"""tau, the projector of a VLLM, without the rest of it."""

from __future__ import annotations

import json
from pathlib import Path

from lego_ros.errors import ErrorCode, telling
from lego_ros.vllm.llava import LegoLlava
from safetensors import safe_open
import torch
from torch import nn
from transformers import LlavaConfig

_NAME = 'multi_modal_projector.'


def load_projector(folder: Path) -> nn.Module:
    """
    Load the projector of a saved VLLM; of LLaVA-13B's 26 GB these are 10 MB.

    :param folder: what ``LegoLlava.save_pretrained`` wrote.
    :returns: the module from (B, M, vision hidden) to (B, M, hidden): float32, frozen, in
        evaluation mode.
    :raises LegoError: BUNDLE_INVALID: a file is missing or unreadable, or holds no projector.
    """
    with telling(ErrorCode.BUNDLE_INVALID,
                 f'the projector of the VLLM in {folder} cannot be loaded'):
        config = LlavaConfig.from_pretrained(folder, local_files_only=True)
        with torch.device('meta'):
            projector = LegoLlava(config).model.multi_modal_projector
        state: dict[str, torch.Tensor] = {}
        for file in _files(folder):
            with safe_open(file, framework='pt') as weights:
                # safe_open has no iterator, only keys().
                names = [name for name in weights.keys() if _NAME in name]  # noqa: SIM118
                state.update({
                    name.split(_NAME)[1]: weights.get_tensor(name).float() for name in names})
        projector.load_state_dict(state, assign=True)
    return projector.requires_grad_(False).eval()


def _files(folder: Path) -> list[Path]:
    index = folder / 'model.safetensors.index.json'
    if not index.is_file():
        return [folder / 'model.safetensors']
    names = json.loads(index.read_text(encoding='utf-8'))['weight_map']
    # Only the name counts: the index must not lead out of the folder.
    return sorted({folder / Path(file).name for name, file in names.items() if _NAME in name})
