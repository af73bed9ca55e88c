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
From the tokens of a clip to its program.

LEAP says that UniFormerV2 has a head that predicts the program, and no more; this one is ours.
"""

from __future__ import annotations

from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.config import LeapConfig
from lego_ros.leap.prediction import ProgramLogits, VideoFeatures
import torch
from torch import nn


class ProgramHead(nn.Module):
    """
    A query for each step, one for what holds before and one for what holds after.

    The queries see each other and the clip (its pooled feature and the class token of each frame
    with a learned encoding of its time) in some decoder layers; each step's gives a sub-verb and
    two objects, the last two give the conditions. All steps are predicted at once: there is no
    order in which errors could grow, and no loop at run time.

    :param config: sizes.
    :param classes: how many outputs.
    """

    def __init__(self, config: LeapConfig, classes: ProgramClasses) -> None:
        super().__init__()
        width, frames = config.backbone.width, config.backbone.steps_in_time
        self.steps = config.max_steps
        self.queries = nn.Parameter(width ** -0.5 * torch.randn(config.max_steps + 2, width))
        # The last is the pooled feature's.
        self.times = nn.Parameter(width ** -0.5 * torch.randn(frames + 1, width))
        self.memory_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                width, config.head_heads, 2 * width, config.head_dropout, 'gelu',
                batch_first=True, norm_first=True)
            for _ in range(config.head_layers))
        self.norm = nn.LayerNorm(width)
        self.sub_verb = nn.Linear(width, len(classes.sub_verbs) + 1)
        self.object_a = nn.Linear(width, len(classes.objects) + 1)
        self.object_b = nn.Linear(width, len(classes.objects) + 1)
        self.pre = nn.Linear(width, len(classes.predicates))
        self.post = nn.Linear(width, len(classes.predicates))

    def forward(self, features: VideoFeatures) -> ProgramLogits:
        """
        Predict the program.

        :param features: of the backbone.
        :returns: logits.
        """
        clip = torch.cat([features.tokens, features.pooled[:, None]], dim=1)
        memory = self.memory_norm(clip) + self.times
        queries = self.queries.expand(len(clip), -1, -1)
        for layer in self.layers:
            queries = layer(queries, memory)
        queries = self.norm(queries)
        steps = queries[:, :self.steps]
        return ProgramLogits(
            self.sub_verb(steps), self.object_a(steps), self.object_b(steps),
            self.pre(queries[:, -2]), self.post(queries[:, -1]))
