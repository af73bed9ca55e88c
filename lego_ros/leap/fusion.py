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
Predicted programs of the last clips as what the action heads know of the past.

LEAP aggregates the program predictions s_q of the clips i-2 <= q <= i for anticipation and does
not say how; this is ours.
"""

from __future__ import annotations

from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.config import LeapConfig
from lego_ros.leap.prediction import ProgramContext, ProgramPrediction
import torch
from torch import nn


class ProgramFusion(nn.Module):
    """
    The clip's feature looks at the predicted steps and conditions of the last Q clips.

    A step is the sum of embeddings of sub-verb, object A and object B, each weighted by the
    predicted probabilities, of its number and of its clip's age; the conditions of a clip are one
    more token. One cross-attention reads them. Its output is 0 at first, so that training begins
    with a network without it. Clips that are not present are masked.

    :param config: sizes.
    :param classes: how many inputs.
    """

    def __init__(self, config: LeapConfig, classes: ProgramClasses) -> None:
        super().__init__()
        width, objects = config.backbone.width, len(classes.objects) + 1
        self.clips = config.aggregated_clips
        self.sub_verb = nn.Linear(len(classes.sub_verbs) + 1, width, bias=False)
        self.object_a = nn.Linear(objects, width, bias=False)
        self.object_b = nn.Linear(objects, width, bias=False)
        self.conditions = nn.Linear(2 * len(classes.predicates), width)
        self.number = nn.Parameter(width ** -0.5 * torch.randn(config.max_steps, width))
        # The last is the present clip's.
        self.age = nn.Parameter(width ** -0.5 * torch.randn(self.clips, width))
        self.norm = nn.LayerNorm(width)
        self.token_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.head_heads, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)
        nn.init.zeros_(self.attention.out_proj.bias)

    def forward(self, pooled: torch.Tensor, own: ProgramPrediction,
                earlier: ProgramContext | None) -> torch.Tensor:
        """
        Add what the programs tell.

        :param pooled: (B, D) of the present clip.
        :param own: its predicted program.
        :param earlier: those of at most Q - 1 clips before it, the oldest first; None = none.
            Of more, the newest count.
        :returns: (B, D).
        """
        present = torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device)
        programs = ProgramContext._make([*(each[:, None] for each in own), present])
        kept = self.clips - 1
        if earlier is not None and kept:
            programs = ProgramContext._make(
                torch.cat([before[:, -kept:], now], dim=1)
                for before, now in zip(earlier, programs, strict=True))
        tokens, seen = self._tokens(programs)
        read = self.attention(self.norm(pooled)[:, None], tokens, tokens, ~seen,
                              need_weights=False)[0]
        return pooled + read[:, 0]

    def _tokens(self, programs: ProgramContext) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed (B, Q, S + 1) steps and conditions as one sequence, and say which are present."""
        # What is absent may hold anything, also what is not a number.
        here = programs.present
        sub_verb, object_a, object_b, pre, post = (
            each.masked_fill(~here.view(*here.shape, *[1] * (each.ndim - 2)), 0)
            for each in programs[:-1])
        steps = (self.sub_verb(sub_verb) + self.object_a(object_a) + self.object_b(object_b)
                 + self.number)
        conditions = self.conditions(torch.cat([pre, post], dim=-1))
        tokens = torch.cat([steps, conditions[:, :, None]], dim=2)
        tokens = tokens + self.age[-tokens.shape[1]:, None]
        seen = here[:, :, None].expand(tokens.shape[:3])
        return self.token_norm(tokens).flatten(1, 2), seen.flatten(1, 2)
