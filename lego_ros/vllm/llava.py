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
The VLLM: LLaVA with LEGO's linear projector, or with the one of LLaVA 1.5.

LEGO maps the CLIP features to the language model's space by one linear layer tau (Sec. 3.1:
``H_i = tau(phi(X))``), as the first LLaVA does. LLaVA since 1.5, and LLaVA in transformers, has
two layers with an activation between them; such a model keeps them, because one layer cannot
stand for two.
"""

from __future__ import annotations

from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

PROJECTORS = ('linear', 'mlp')


class LegoLlava(LlavaForConditionalGeneration):
    """
    LLaVA whose ``multi_modal_projector`` is one ``nn.Linear(vision hidden, text hidden)``.

    :param config: any CLIP vision tower and Llama, as :func:`llava_config` makes it. Its
        ``projector`` is one of :data:`PROJECTORS`: ``mlp`` is LLaVA's with two layers; without
        the entry it is ``linear``.
    :raises ValueError: for a projector that is not known.
    """

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__(config)
        projector = getattr(config, 'projector', 'linear')
        if projector not in PROJECTORS:
            raise ValueError(f'the projector must be one of {PROJECTORS}, not {projector!r}')
        if projector == 'linear':
            self.model.multi_modal_projector = nn.Linear(
                self.model.vision_tower.config.hidden_size,
                self.model.language_model.config.hidden_size,
                bias=config.multimodal_projector_bias,
            )
            # Initialises what is new (the projector) and leaves the rest as it is.
            self.post_init()

    @property
    def image_tokens(self) -> int:
        """M, the number of image tokens: the patches of the vision tower's square input."""
        return int(self.config.image_seq_length)


def llava_config(
    vision: CLIPVisionConfig, text: LlamaConfig, image_token_id: int, projector: str = 'linear'
) -> LlavaConfig:
    """
    Combine a vision tower and a language model as LEGO does.

    :param vision: the vision tower phi; its layer -2 without the CLS token is used.
    :param text: the language model.
    :param image_token_id: id of the image placeholder token, below ``text.vocab_size``.
    :param projector: one of :data:`PROJECTORS`.
    :returns: the configuration of a :class:`LegoLlava`.
    :raises ValueError: when the vision tower's input is not a square of whole patches.
    """
    side, patch = vision.image_size, vision.patch_size
    if not isinstance(side, int) or not isinstance(patch, int) or side % patch:
        raise ValueError(f'{patch} px patches do not tile a square of {side} px')
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=image_token_id,
        image_seq_length=(side // patch) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy='default',
        tie_word_embeddings=text.tie_word_embeddings,
        projector=projector,
    )


def paper_llava_config() -> LlavaConfig:
    """
    Give the paper's size: CLIP ViT-L/14 at 224 px and Llama-2-13B, 13.3 G parameters.

    :returns: M = 256 image tokens, vision hidden 1024, text hidden 5120, 40 layers. Llama-2's
        32,000 tokens are followed by "<image>" (32000) and padding (32001).
    """
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        projection_dim=768,
    )
    text = LlamaConfig(
        vocab_size=32002,
        hidden_size=5120,
        intermediate_size=13824,
        num_hidden_layers=40,
        num_attention_heads=40,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=32001,
    )
    return llava_config(vision, text, image_token_id=32000)


def kitchen_llava_config(vocab_size: int) -> LlavaConfig:
    """
    Give the size that is trained from scratch in the simulated kitchen, 8.5 M parameters.

    :param vocab_size: tokens of a tokenizer of
        :func:`lego_ros.vllm.tokenizers.make_llava_tokenizer`, whose special tokens' ids are used.
    :returns: M = 64 image tokens (128 px, patches of 16), vision hidden 192, text hidden 256,
        6 layers each.
    """
    vision = CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        image_size=128,
        patch_size=16,
        projection_dim=256,
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=8,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return llava_config(vision, text, image_token_id=3)


def tiny_llava_config(
    vocab_size: int,
    *,
    image_token_id: int = 3,
    bos_token_id: int = 1,
    eos_token_id: int = 2,
    pad_token_id: int = 0,
) -> LlavaConfig:
    """
    Give a size that runs in milliseconds on a CPU, for tests and untrained bundles.

    The default ids are those of :func:`lego_ros.vllm.tokenizers.make_llava_tokenizer`.

    :param vocab_size: number of tokens of the tokenizer, with its special tokens.
    :param image_token_id: id of the image placeholder token.
    :param bos_token_id: id of the beginning-of-sequence token.
    :param eos_token_id: id of the end-of-sequence token.
    :param pad_token_id: id of the padding token.
    :returns: M = 16 image tokens (64 px, patches of 16), vision hidden 32, text hidden 64.
    """
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=64,
        patch_size=16,
        projection_dim=32,
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=2048,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
    )
    return llava_config(vision, text, image_token_id)
