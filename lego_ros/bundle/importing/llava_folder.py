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

"""LLaVA from a folder of transformers or of LLaVA's own code, its weights left on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego_ros.bundle.importing.llava_chat import set_conversation
from lego_ros.bundle.importing.llava_config import (
    is_original_layout,
    original_config,
    transformers_config,
)
from lego_ros.bundle.importing.llava_tokenizer import load_tokenizer, with_image_token
from lego_ros.bundle.importing.matching import fill
from lego_ros.bundle.importing.parts import VllmParts
from lego_ros.bundle.importing.weights import read_folder, read_json, understanding
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.prompt import IMAGE_PLACEHOLDER
import torch
from transformers import CLIPImageProcessorPil, LlavaConfig

Weights = dict[str, torch.Tensor]

_TOWER = 'model.vision_tower.'
_EMBEDDINGS = ('model.language_model.embed_tokens.weight', 'lm_head.weight')
# Constants that the networks compute themselves; older versions saved them.
_BUFFERS = ('.position_ids', '.rotary_emb.inv_freq')


def read_llava(
    folder: Path, vision_tower: Path | None = None, tokenizer_folder: Path | None = None,
    conversation: str | None = None,
) -> VllmParts:
    """
    Read a LLaVA on Llama or Vicuna with a CLIP vision tower.

    :param folder: in transformers' layout (LlavaForConditionalGeneration, or the ``vllm`` of a
        bundle) or in LLaVA's own.
    :param vision_tower: a folder of CLIP, for a folder in LLaVA's own layout that names a tower
        without holding it.
    :param tokenizer_folder: where the tokenizer is, when not in the folder.
    :param conversation: that it was tuned with, a name of ``llava_chat.CONVERSATIONS``; None =
        find out by the folder.
    :returns: the VLLM with LLaVA's own projector, one layer or two.
    :raises LegoError: SOURCE_UNREADABLE, BUNDLE_UNSAFE, BUNDLE_MISMATCH with the weights that are
        missing, unknown or of another shape, INVALID_SETTING for something that must be given,
        BUNDLE_INVALID for a chat template that it cannot be asked by.
    """
    raw = read_json(folder / 'config.json')
    tokenizer = load_tokenizer(tokenizer_folder or folder)
    original = is_original_layout(raw, folder)
    origins = {'VLLM': folder.resolve().name, 'conversation': set_conversation(
        tokenizer, conversation, raw, folder, original, tokenizer_folder is None)}
    if original:
        weights = _from_original(read_folder(folder))
        if not any(name.startswith(_TOWER) for name in weights):
            weights.update(_tower_weights(vision_tower, folder))
            origins['vision tower'] = vision_tower.resolve().name if vision_tower else ''
        image_token_id = with_image_token(tokenizer)
        rows = _extend(weights, len(tokenizer))
        config = original_config(
            raw, vision_tower, rows, image_token_id, tokenizer.pad_token_id, folder)
    else:
        weights = _from_transformers(read_folder(folder))
        linear = 'model.multi_modal_projector.weight' in weights
        config = transformers_config(raw, 'linear' if linear else 'mlp', folder)
        _check_image_token(tokenizer.convert_tokens_to_ids(IMAGE_PLACEHOLDER), config, folder)
    if len(tokenizer) > config.text_config.vocab_size:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"The tokenizer of '{folder}' has {len(tokenizer)} words and the language model "
            f'{config.text_config.vocab_size}; give the right one by --vllm-tokenizer')
    with understanding(folder / 'config.json'), torch.device('meta'):
        model = LegoLlava(config)
    layers = 'one linear layer' if config.projector == 'linear' else "LLaVA's two layers"
    return VllmParts(
        model=fill(model, weights, f"'{folder}'"), tokenizer=tokenizer,
        processor=_processor(config, folder, vision_tower),
        origins={**origins, 'projector': f'{folder.resolve().name}, {layers}'})


def _from_transformers(weights: Weights) -> Weights:
    """
    Give the weights the names that the modules have now.

    transformers moved the parts twice (4.52 and 5), and writes names of its own besides.
    """
    renamed = {}
    for name, tensor in weights.items():
        short = name.removeprefix('model.')
        if short.startswith('language_model.'):
            short = short.removeprefix('language_model.')
            if not short.startswith('lm_head.'):
                short = f'model.language_model.{short.removeprefix("model.")}'
        elif short.startswith('vision_tower.'):
            short = _TOWER + short.removeprefix('vision_tower.').removeprefix('vision_model.')
        elif short.startswith('multi_modal_projector.'):
            short = f'model.{short}'
        renamed[short] = tensor
    return _without_buffers(renamed)


def _from_original(weights: Weights) -> Weights:
    renamed = {}
    projector = {'0.': 'linear_1.', '2.': 'linear_2.'}
    for name, tensor in weights.items():
        if name.startswith('model.mm_projector.'):
            rest = name.removeprefix('model.mm_projector.')
            new = 'model.multi_modal_projector.' + projector.get(rest[:2], rest[:2]) + rest[2:]
        elif name.startswith('model.vision_tower.'):
            new = _TOWER + name.removeprefix('model.vision_tower.').removeprefix(
                'vision_tower.').removeprefix('vision_model.')
        elif name.startswith('model.'):
            new = f'model.language_model.{name.removeprefix("model.")}'
        else:
            new = name
        renamed[new] = tensor
    return _without_buffers(renamed)


def _without_buffers(weights: Weights) -> Weights:
    return {name: tensor for name, tensor in weights.items() if not name.endswith(_BUFFERS)}


def _tower_weights(folder: Path | None, llava: Path) -> Weights:
    if folder is None:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{llava}' holds no vision tower; give its folder by --vision-tower")
    # A whole CLIP has a text encoder beside it.
    return _without_buffers({
        _TOWER + name.removeprefix('vision_model.'): tensor
        for name, tensor in read_folder(folder).items() if name.startswith('vision_model.')})


def _extend(weights: Weights, words: int) -> int:
    """
    Make room for tokens that were added to the tokenizer.

    A new row is the mean of the others: as an output it is never the likeliest, where zeros
    could be, and as an input it is never looked up.

    :param weights: changed in place.
    :param words: of the tokenizer.
    :returns: the rows afterwards.
    """
    rows = words
    for name in _EMBEDDINGS:
        old = weights.get(name)
        if old is None or old.ndim != 2 or not old.is_floating_point():
            # matching.fill says what is wrong.
            continue
        rows = max(words, len(old))
        if rows > len(old):
            mean = old.mean(dim=0, keepdim=True, dtype=torch.float64).to(old.dtype)
            weights[name] = torch.cat([old, mean.expand(rows - len(old), -1)])
    return rows


def _check_image_token(found: Any, config: LlavaConfig, folder: Path) -> None:
    if found != config.image_token_id:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' says that its image token is {config.image_token_id}; its tokenizer has "
            f'{IMAGE_PLACEHOLDER!r} at {found}')


def _processor(
    config: LlavaConfig, folder: Path, vision_tower: Path | None,
) -> CLIPImageProcessorPil:
    """Take the mean and the standard deviation; the view and the resizing are lego_ros'."""
    side = config.vision_config.image_size
    known: dict[str, Any] = {}
    for place in (folder, vision_tower):
        path = place / 'preprocessor_config.json' if place else None
        if path is not None and path.is_file():
            known = read_json(path)
            break
    stated = {key: known[key] for key in ('image_mean', 'image_std') if key in known}
    return CLIPImageProcessorPil(
        size={'height': side, 'width': side}, do_center_crop=False, **stated)
