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

"""The UNet's context: CLIP text, VLLM image and VLLM text tokens in one sequence (LEGO, Eq. 1)."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import nn
from torch.nn import functional

# The dropout of pi in the authors' released code; it acts only in training.
DROPOUT = 0.1


class LegoConditioning(ModelMixin, ConfigMixin):
    """
    The projections sigma and mu and the self-attention pi (LEGO, Sec. 3.2).

    ``C = [psi(R), sigma(H_i), pi(mu(H_t))]``, of ``2N + M`` tokens with ``D`` channels. pi has no
    positional encoding, no mask and no norm after its last layer, as the released code has it.
    Where the VLLM's image or text tokens are left out (the ablations of Table 3), C is shorter.

    :param vllm_hidden: channels of the VLLM's embeddings; 5120 for LLaVA-13B.
    :param cross_attention_dim: ``D``, channels of the UNet's context and of psi.
    :param image_tokens: ``M``, the number of VLLM image tokens.
    :param text_tokens: ``N``, the fixed number of tokens of psi(R) and of H_t.
    :param layers: self-attention layers in pi.
    :param heads: attention heads in each of them.
    :param ffn: hidden channels of their feed-forward parts.
    """

    @register_to_config
    def __init__(
        self,
        vllm_hidden: int = 5120,
        cross_attention_dim: int = 768,
        image_tokens: int = 256,
        text_tokens: int = 77,
        layers: int = 2,
        heads: int = 8,
        ffn: int = 2048,
    ) -> None:
        super().__init__()
        self.sigma = nn.Linear(vllm_hidden, cross_attention_dim)
        self.mu = nn.Linear(vllm_hidden, cross_attention_dim)
        layer = nn.TransformerEncoderLayer(
            cross_attention_dim, heads, dim_feedforward=ffn, dropout=DROPOUT,
            activation='relu', batch_first=True, norm_first=True)
        # Nested tensors serve padding masks, which pi does not have; pre-norm rules them out too.
        self.pi = nn.TransformerEncoder(layer, layers, norm=None, enable_nested_tensor=False)
        self.apply(_xavier)

    def forward(
        self,
        psi: torch.Tensor,
        image_embeds: torch.Tensor | None = None,
        text_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Build the context C (Eq. 1).

        :param psi: (B, N, D), the CLIP text encoder's last hidden state of the description.
        :param image_embeds: H_i (B, M, vllm_hidden), or None to leave these tokens out.
        :param text_embeds: H_t (B, any length, vllm_hidden), cut or zero-padded to N rows before
            mu; or None to leave these tokens out.
        :returns: (B, N [+ M] [+ N], D): psi, then the image tokens, then the text tokens.
        :raises LegoError: BUNDLE_MISMATCH when a size is not the one this module was made for.
        :raises ValueError: when the inputs differ in their batch size.
        """
        size = self.config
        self._check('the CLIP text encoding', psi, size.text_tokens, size.cross_attention_dim)
        parts = [psi]
        if image_embeds is not None:
            self._check(
                'the VLLM image embedding', image_embeds, size.image_tokens, size.vllm_hidden)
            parts.append(self.sigma(image_embeds))
        if text_embeds is not None:
            self._check('the VLLM text embedding', text_embeds, None, size.vllm_hidden)
            parts.append(self.pi(self.mu(fit_rows(text_embeds, size.text_tokens))))
        batches = [part.shape[0] for part in parts]
        if len(set(batches)) != 1:
            raise ValueError(
                f'The parts of the context hold different numbers of samples: {batches}.')
        return torch.cat(parts, dim=1)

    def null_context(
        self, psi_null: torch.Tensor, with_image: bool, with_text: bool,
    ) -> torch.Tensor:
        """
        Build the null context: psi("") and exact zeros in the place of the VLLM's tokens.

        The zeros stand after the projections; sigma and mu have a bias, so that zeros put before
        them would not be zeros in C.

        :param psi_null: (B, N, D), the CLIP text encoder's last hidden state of "".
        :param with_image: whether the context to be guided against has image tokens.
        :param with_text: whether it has VLLM text tokens.
        :returns: (B, N [+ M] [+ N], D), the length of the matching :meth:`forward`.
        :raises LegoError: BUNDLE_MISMATCH when psi_null has another size.
        """
        size = self.config
        self._check('the CLIP text encoding', psi_null, size.text_tokens,
                    size.cross_attention_dim)
        zeros = with_image * size.image_tokens + with_text * size.text_tokens
        return functional.pad(psi_null, (0, 0, 0, zeros))

    def _check(
        self, name: str, tokens: torch.Tensor, rows: int | None, channels: int,
    ) -> None:
        if tokens.ndim != 3:
            raise ValueError(f'Expected {name} as (batch, tokens, channels), '
                             f'got shape {tuple(tokens.shape)}.')
        if tokens.shape[2] != channels or (rows is not None and tokens.shape[1] != rows):
            wanted = f'{"any number of" if rows is None else rows} tokens of {channels} channels'
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f'The conditioning was made for {name} with {wanted}, got '
                f'{tokens.shape[1]} tokens of {tokens.shape[2]} channels. Use the VLLM and the '
                'text encoder of the same bundle.')


def fit_rows(tokens: torch.Tensor, rows: int) -> torch.Tensor:
    """
    Cut a token sequence to a fixed length, or fill it up with zeros (LEGO, Sec. 3.2).

    :param tokens: (B, L, channels).
    :param rows: the wanted length.
    :returns: (B, rows, channels); the first ``min(L, rows)`` rows are those given.
    """
    # A negative amount in pad() cuts.
    return functional.pad(tokens, (0, 0, 0, rows - tokens.shape[1]))


def _xavier(module: nn.Module) -> None:
    """
    Initialise one module by the Xavier algorithm (Glorot and Bengio 2010), biases with zero.

    nn.TransformerEncoder copies its first layer, so that without this all layers start equal.
    """
    if isinstance(module, nn.MultiheadAttention):
        # The three projections share one matrix; each has the fan of a D x D one.
        for projection in module.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(projection)
        nn.init.zeros_(module.in_proj_bias)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
