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
What network a LLaVA folder holds.

There are two layouts. *transformers'* has ``vision_config`` and ``text_config`` in its
configuration. The *original* one, of LLaVA's own code and of LEGO's released VLLM, has the
language model's settings at the top and the vision tower's by name (``mm_vision_tower``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego_ros.bundle.importing.weights import read_json, understanding
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.llava import llava_config, paper_llava_config
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

_TEXT_KEYS = (
    'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads',
    'num_key_value_heads', 'head_dim', 'hidden_act', 'max_position_embeddings', 'rms_norm_eps',
    'rope_theta', 'rope_scaling', 'attention_bias', 'mlp_bias', 'initializer_range',
    'bos_token_id', 'eos_token_id', 'tie_word_embeddings',
)
# The towers that LLaVA was trained with: ViT-L/14 at these sides in pixels.
_KNOWN_TOWERS = {
    'openai/clip-vit-large-patch14': 224,
    'openai/clip-vit-large-patch14-336': 336,
}
_PROJECTORS = {'linear': 'linear', 'mlp2x_gelu': 'mlp'}


def is_original_layout(config: dict[str, Any], folder: Path) -> bool:
    """
    Tell the layouts apart.

    :param config: of the folder.
    :param folder: for the error.
    :returns: True for LLaVA's own, False for transformers'.
    :raises LegoError: BUNDLE_MISMATCH when it is neither.
    """
    if config.get('model_type') == 'llava' and 'vision_config' in config:
        return False
    if config.get('model_type') in ('llava', 'llava_llama') and 'mm_vision_tower' in config:
        return True
    raise LegoError(
        ErrorCode.BUNDLE_MISMATCH,
        f"'{folder}' holds {str(config.get('model_type'))[:60]!r}; a LLaVA on Llama or Vicuna can "
        'be imported, as transformers or as its authors save it')


def transformers_config(config: dict[str, Any], projector: str, folder: Path) -> LlavaConfig:
    """
    Make the configuration of a folder in transformers' layout.

    :param config: of the folder.
    :param projector: linear or mlp, as the weights have it.
    :param folder: for the error.
    :returns: of a LegoLlava; the number of image tokens follows from the vision tower.
    :raises LegoError: BUNDLE_MISMATCH for another vision tower or language model,
        SOURCE_UNREADABLE for a faulty configuration.
    """
    if 'quantization_config' in config:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' holds quantised weights; take the ones that they were made from")
    # What names code to fetch has no place in a bundle.
    kept = {key: value for key, value in config.items() if key != 'auto_map'}
    with understanding(folder / 'config.json'):
        made = LlavaConfig.from_dict({**kept, 'projector': projector})
        _check_parts(made, folder)
        made.image_seq_length = _image_tokens(made)
    return made


def original_config(
    config: dict[str, Any], tower: Path | None, rows: int, image_token_id: int, pad_token_id: int,
    folder: Path,
) -> LlavaConfig:
    """
    Make the configuration of a folder in LLaVA's own layout.

    :param config: of the folder.
    :param tower: a folder with the vision tower, or None where LLaVA's name for it tells all.
    :param rows: tokens that the language model knows, with those that were added.
    :param image_token_id: of the image placeholder.
    :param pad_token_id: of the padding.
    :param folder: for the error.
    :returns: of a LegoLlava.
    :raises LegoError: BUNDLE_MISMATCH for parts that are not known, INVALID_SETTING for a vision
        tower that must be given, SOURCE_UNREADABLE for a faulty configuration.
    """
    kind = str(config.get('mm_projector_type', 'linear'))[:60]
    wanted = {'patch': 'default', 'cls_patch': 'full'}
    feature = str(config.get('mm_vision_select_feature', 'patch'))[:60]
    for name, found, known in (('mm_projector_type', kind, _PROJECTORS),
                               ('mm_vision_select_feature', feature, wanted)):
        if found not in known:
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"'{folder}' has the {name} {found!r}; {', '.join(known)} can be imported")
    if config.get('mm_use_im_start_end'):
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' was trained with marks around the image (mm_use_im_start_end), which the "
            'prompt here does not have')
    text = {key: config[key] for key in _TEXT_KEYS if config.get(key) is not None}
    with understanding(folder / 'config.json'):
        made = llava_config(
            _tower_config(config, tower, folder),
            LlamaConfig(**{**text, 'vocab_size': rows, 'pad_token_id': pad_token_id}),
            image_token_id, _PROJECTORS[kind])
        made.vision_feature_layer = config.get('mm_vision_select_layer', -2)
        made.vision_feature_select_strategy = wanted[feature]
        _check_parts(made, folder)
        made.image_seq_length = _image_tokens(made)
    return made


def _tower_config(config: dict[str, Any], tower: Path | None, folder: Path) -> CLIPVisionConfig:
    if tower is not None:
        found = read_json(tower / 'config.json')
        return CLIPVisionConfig.from_dict(found.get('vision_config', found))
    name = str(config['mm_vision_tower'])[:100]
    side = _KNOWN_TOWERS.get(name)
    if side is None:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{folder}' names the vision tower {name!r}; give its folder by --vision-tower")
    vision = paper_llava_config().vision_config
    vision.image_size = side
    return vision


def _check_parts(config: LlavaConfig, folder: Path) -> None:
    found = (config.vision_config.model_type, config.text_config.model_type)
    if found != ('clip_vision_model', 'llama'):
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' combines {found[0]!r} and {found[1]!r}; 'clip_vision_model' and 'llama' "
            'can be imported')
    if type(config.vision_feature_layer) is not int or config.text_config.tie_word_embeddings:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' takes features of several vision layers or ties its word embeddings, "
            'which no LLaVA of LEGO does')


def _image_tokens(config: LlavaConfig) -> int:
    vision = config.vision_config
    side, rest = divmod(vision.image_size, vision.patch_size)
    if rest:
        raise ValueError(
            f'{vision.patch_size} px patches do not tile a square of {vision.image_size} px')
    return side ** 2 + (config.vision_feature_select_strategy == 'full')
