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

"""The blocks of UniFormerV2 (arXiv 2211.09552), see :mod:`lego_ros.leap.uniformerv2`."""

from __future__ import annotations

from lego_ros.leap.config import UniFormerV2Config
import torch
from torch import nn


class LocalUniBlock(nn.Module):
    """
    X = X + LT_MHRA(X); X = X + GS_MHRA(LN(X)); X = X + FFN(LN(X)).

    The second and the third are the ViT's block, within each frame. As in the authors'
    configurations for Something-Something, a second LT_MHRA may stand before the FFN. Without
    LT_MHRA it is the ViT's block alone.

    :param config: sizes.
    :param drop_path: stochastic depth of every branch.
    """

    def __init__(self, config: UniFormerV2Config, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.grid = config.grid
        self.lmhra1 = None if config.no_lmhra else LocalMHRA(config)
        self.lmhra2 = LocalMHRA(config) if not config.no_lmhra and config.double_lmhra else None
        self.attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width)
        self.ln_2 = nn.LayerNorm(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """
        Run the block.

        :param tokens: (B, T, L, D).
        :returns: (B, T, L, D).
        """
        tokens = self._local(self.lmhra1, tokens)
        each = self.ln_1(tokens).flatten(0, 1)
        seen = self.attn(each, each, each, need_weights=False)[0]
        tokens = tokens + self.drop_path(seen.view_as(tokens))
        tokens = self._local(self.lmhra2, tokens)
        return tokens + self.drop_path(self.mlp(self.ln_2(tokens)))

    def _local(self, mhra: LocalMHRA | None, tokens: torch.Tensor) -> torch.Tensor:
        """Add a local MHRA of the patches' tokens; the class token has no place in the frame."""
        if mhra is None:
            return tokens
        patches = tokens[:, :, 1:]
        mixed = from_volume(mhra(to_volume(patches, self.grid)))
        return torch.cat([tokens[:, :, :1], patches + self.drop_path(mixed)], dim=2)


class LocalMHRA(nn.Module):
    """
    Local temporal multi-head relation aggregator.

    Its affinity is a learned number for each distance in a t x 1 x 1 tube, one head for each
    channel: a depth-wise convolution over three frames, between two point-wise ones (V and U of
    MHRA) with fewer channels between them, after batch normalisation. The last is 0 at first, so
    that training begins with the image network.

    :param config: sizes.
    """

    def __init__(self, config: UniFormerV2Config) -> None:
        super().__init__()
        width = config.width
        reduced = int(width // config.dw_reduction)
        last = nn.Conv3d(reduced, width, 1)
        _to_zero(last)
        self.pos_embed = nn.Sequential(
            nn.BatchNorm3d(width), nn.Conv3d(width, reduced, 1),
            nn.Conv3d(reduced, reduced, (3, 1, 1), padding=(1, 0, 0), groups=reduced), last)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """
        Mix neighbouring frames.

        :param volume: (B, D, T, H, W).
        :returns: (B, D, T, H, W).
        """
        return self.pos_embed(volume)


class GlobalUniBlock(nn.Module):
    """
    q = q + C_MHRA(LN(q), LN(X)); q = q + FFN(LN(q)).

    C_MHRA is cross-attention of the one query over the tokens of all frames: T * L instead of
    (T * L)^2 similarities. Both branches give 0 at first.

    :param config: sizes.
    :param drop_path: stochastic depth of both branches.
    """

    def __init__(self, config: UniFormerV2Config, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.attn = nn.MultiheadAttention(width, config.n_head, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, round(config.mlp_factor * width), config.mlp_dropout)
        self.ln_2 = nn.LayerNorm(width)
        self.ln_3 = nn.LayerNorm(width)
        self.drop_path = DropPath(drop_path)
        nn.init.xavier_uniform_(self.mlp.c_fc.weight)
        _to_zero(self.attn.out_proj)
        _to_zero(self.mlp.c_proj)

    def forward(self, query: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """
        Run the block.

        :param query: (B, 1, D).
        :param tokens: (B, T * L, D), with their position encodings.
        :returns: (B, 1, D).
        """
        tokens = self.ln_3(tokens)
        seen = self.attn(self.ln_1(query), tokens, tokens, need_weights=False)[0]
        query = query + self.drop_path(seen)
        return query + self.drop_path(self.mlp(self.ln_2(query)))


class FeedForward(nn.Module):
    """
    FFN of two layers.

    :param width: of the tokens.
    :param hidden: channels between the layers.
    :param dropout: of the hidden channels.
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.gelu = QuickGELU()
        self.dropout = nn.Dropout(dropout)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """
        Apply it to each token.

        :param tokens: (..., D).
        :returns: (..., D).
        """
        return self.c_proj(self.dropout(self.gelu(self.c_fc(tokens))))


class QuickGELU(nn.Module):
    """CLIP's approximation of GELU: x sigmoid(1.702 x)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """
        Apply it to each value.

        :param values: any shape.
        :returns: the same shape.
        """
        return values * torch.sigmoid(1.702 * values)


class DropPath(nn.Module):
    """
    Stochastic depth (Huang et al., arXiv 1603.09382): in training a branch is left out.

    :param rate: of how many clips, 0 to 1; of the others it is made larger accordingly.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """
        Leave out the branch of some clips.

        :param branch: (B, ...).
        :returns: (B, ...).
        """
        if self.rate == 0 or not self.training:
            return branch
        kept = branch.new_empty((len(branch), *[1] * (branch.ndim - 1))).bernoulli_(1 - self.rate)
        return branch * kept / (1 - self.rate)


def to_volume(patches: torch.Tensor, grid: int) -> torch.Tensor:
    """
    Put patches' tokens back to their places.

    :param patches: (B, T, H * W, D).
    :param grid: H = W.
    :returns: (B, D, T, H, W).
    """
    return patches.permute(0, 3, 1, 2).unflatten(3, (grid, grid))


def from_volume(volume: torch.Tensor) -> torch.Tensor:
    """
    Undo :func:`to_volume`.

    :param volume: (B, D, T, H, W).
    :returns: (B, T, H * W, D).
    """
    return volume.flatten(3).permute(0, 2, 3, 1)


def _to_zero(layer: nn.Module) -> None:
    """Let a layer give 0 at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
