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
UniFormerV2 (Li et al., arXiv 2211.09552), written from the paper.

A ViT of CLIP's kind works on each frame. Local UniBlocks (Sec. 3.2) mix neighbouring frames before
its attention; global UniBlocks (Sec. 3.3) let one query read the tokens of all frames after some
of its blocks; the queries are chained (Sec. 3.4, the sequential fusion). The result is a video
token, which is fused with the ViT's class token.

Parameters have the names of the authors' files, so that
:mod:`lego_ros.leap.official_weights` can load those. Tokens are (B, T, L, D) here, L = 1 + H * W
with the class token first.
"""

from __future__ import annotations

from lego_ros.leap.config import UniFormerV2Config
from lego_ros.leap.prediction import VideoFeatures
from lego_ros.leap.uniblocks import from_volume, GlobalUniBlock, LocalUniBlock, to_volume
import torch
from torch import nn


class UniFormerV2(nn.Module):
    """
    Clip to features.

    :param config: sizes.
    """

    def __init__(self, config: UniFormerV2Config) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch
        span, stride = (3, 2) if config.temporal_downsample else (1, 1)
        self.conv1 = nn.Conv3d(3, width, (span, patch, patch), (stride, patch, patch),
                               (span // 2, 0, 0), bias=False)
        scale = width ** -0.5
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(1 + config.grid ** 2, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = VideoTransformer(config)

    def forward(self, frames: torch.Tensor) -> VideoFeatures:
        """
        Compute the features of clips.

        :param frames: (B, 3, T, H, W) float, as of :func:`lego_ros.leap.frames.prepare`.
        :returns: of each clip and of each of its frames.
        """
        patches = self.conv1(frames).flatten(3).permute(0, 2, 3, 1)
        classes = self.class_embedding.expand(*patches.shape[:2], 1, -1)
        tokens = torch.cat([classes, patches], dim=2) + self.positional_embedding
        return self.transformer(self.ln_pre(tokens))


class VideoTransformer(nn.Module):
    """
    The ViT's blocks, armed with local MHRA, and the global UniBlocks beside them.

    :param config: sizes.
    """

    def __init__(self, config: UniFormerV2Config) -> None:
        super().__init__()
        width, stages = config.width, len(config.return_list)
        self.grid = config.grid
        self.return_list = config.return_list
        self.resblocks = nn.ModuleList(
            LocalUniBlock(config, rate)
            for rate in _growing(config.backbone_drop_path_rate, config.layers))
        self.temporal_cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dpe = nn.ModuleList(
            nn.Conv3d(width, width, 3, padding=1, groups=width) for _ in range(stages))
        for name, parameter in self.dpe.named_parameters():
            if name.endswith('bias'):
                nn.init.zeros_(parameter)
        self.dec = nn.ModuleList(
            GlobalUniBlock(config, rate) for rate in _growing(config.drop_path_rate, stages))
        # The authors' classifier stands third here; LEAP's heads take its place.
        self.proj = nn.Sequential(nn.LayerNorm(width), nn.Dropout(config.cls_dropout))
        self.balance = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: torch.Tensor) -> VideoFeatures:
        """
        Run all blocks.

        :param tokens: (B, T', L, D).
        :returns: the features.
        """
        query = self.temporal_cls_token.expand(len(tokens), -1, -1)
        stage = 0
        for number, block in enumerate(self.resblocks):
            tokens = block(tokens)
            if number in self.return_list:
                query = self.dec[stage](query, self._placed(tokens, stage).flatten(1, 2))
                stage += 1
        classes = tokens[:, :, 0]
        weight = self.balance.sigmoid()
        fused = (1 - weight) * query[:, 0] + weight * classes.mean(1)
        return VideoFeatures(self.proj(fused), classes)

    def _placed(self, tokens: torch.Tensor, stage: int) -> torch.Tensor:
        """Add the dynamic position encoding, DPE(X) = DWConv(X), to the patches' tokens."""
        volume = to_volume(tokens[:, :, 1:], self.grid)
        patches = from_volume(volume + self.dpe[stage](volume))
        return torch.cat([tokens[:, :, :1], patches], dim=2)


def _growing(last: float, count: int) -> list[float]:
    """Rates of stochastic depth, which grow evenly from 0 over the blocks."""
    return [last * number / max(count - 1, 1) for number in range(count)]
