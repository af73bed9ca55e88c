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

"""How large LEAP's networks are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from lego_ros.errors import ErrorCode, LegoError
from pydantic import ConfigDict, Field, model_validator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

_CLOSED = ConfigDict(extra='forbid')

Size = Annotated[int, Field(ge=1, le=65536)]
Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


@dataclass(frozen=True, config=_CLOSED)
class UniFormerV2Config:
    """
    Sizes of the video backbone; the names are those of the authors' configuration files.

    :param frames: T, that the network sees at once.
    :param resolution: side of the square frames, pixels; a multiple of ``patch``.
    :param patch: side of a patch, pixels.
    :param width: D, channels of every token.
    :param layers: blocks of the ViT.
    :param heads: of its attention; they divide ``width``.
    :param temporal_downsample: patches span 3 frames and step 2, so that T' = T / 2; else T' = T.
    :param backbone_drop_path_rate: stochastic depth of the last block; it grows from 0.
    :param no_lmhra: no local temporal MHRA: blocks are the ViT's alone.
    :param double_lmhra: a second local MHRA stands between attention and FFN.
    :param dw_reduction: channels of local MHRA are ``width`` over this.
    :param return_list: after which blocks, from 0, a global UniBlock reads the tokens.
    :param n_head: heads of the global blocks; they divide ``width``.
    :param mlp_factor: hidden channels of a global block's FFN are ``width`` times this.
    :param drop_path_rate: stochastic depth of the last global block; it grows from 0.
    :param mlp_dropout: in the FFN of the global blocks.
    :param cls_dropout: of the pooled feature.
    """

    frames: Annotated[int, Field(ge=1, le=256)] = 8
    resolution: Annotated[int, Field(ge=8, le=1024)] = 224
    patch: Annotated[int, Field(ge=2, le=64)] = 16
    width: Annotated[int, Field(ge=8, le=4096)] = 768
    layers: Annotated[int, Field(ge=1, le=64)] = 12
    heads: Annotated[int, Field(ge=1, le=64)] = 12
    temporal_downsample: bool = False
    backbone_drop_path_rate: Rate = 0.0
    no_lmhra: bool = True
    double_lmhra: bool = True
    dw_reduction: Annotated[float, Field(ge=1, le=64)] = 1.5
    return_list: Annotated[tuple[int, ...], Field(min_length=1, max_length=64)] = (8, 9, 10, 11)
    n_head: Annotated[int, Field(ge=1, le=64)] = 12
    mlp_factor: Annotated[float, Field(gt=0, le=16)] = 4.0
    drop_path_rate: Rate = 0.0
    mlp_dropout: Rate = 0.5
    cls_dropout: Rate = 0.5

    @model_validator(mode='after')
    def _fits(self) -> Any:
        if self.resolution % self.patch:
            raise ValueError('resolution must be a multiple of patch')
        if self.width % self.heads or self.width % self.n_head:
            raise ValueError('heads and n_head must divide width')
        if self.width < self.dw_reduction:
            raise ValueError('dw_reduction leaves no channel')
        if list(self.return_list) != sorted(set(self.return_list)) \
                or not 0 <= self.return_list[0] <= self.return_list[-1] < self.layers:
            raise ValueError('return_list must name blocks once, from 0, in their order')
        if self.temporal_downsample and self.frames % 2:
            raise ValueError('frames must be even where temporal_downsample is on')
        return self

    @property
    def grid(self) -> int:
        """Give the number of patches along a side."""
        return self.resolution // self.patch

    @property
    def steps_in_time(self) -> int:
        """Give T', the number of frames after the patches are made."""
        return self.frames // 2 if self.temporal_downsample else self.frames

    @classmethod
    def base(cls) -> UniFormerV2Config:
        """
        Give the base size: ViT-B/16, 8 frames of 224 x 224.

        It is the authors' for Kinetics-400 (exp/k400/k400_b16_f8x224). LEAP names the base size
        and no more.

        :returns: the configuration.
        """
        return cls()

    @classmethod
    def kitchen(cls) -> UniFormerV2Config:
        """
        Give a small size of our own: 8 frames of 112 x 112, trained from nothing on two cores.

        Local MHRA is on, as in the authors' configurations for Something-Something, where what
        happens shows in the motion.

        :returns: the configuration.
        """
        return cls(resolution=112, width=128, layers=6, heads=4, no_lmhra=False,
                   return_list=(3, 4, 5), n_head=4, backbone_drop_path_rate=0.1,
                   drop_path_rate=0.1, mlp_dropout=0.1, cls_dropout=0.1)


Task = Literal['recognition', 'anticipation']


@dataclass(frozen=True, config=_CLOSED)
class LeapConfig:
    """
    Sizes of the whole network. All but the backbone's are ours: LEAP does not tell them.

    :param backbone: of the video backbone.
    :param task: what the action heads tell: the action that is seen, or the next one.
    :param max_steps: S, steps of a program that are predicted.
    :param head_layers: decoder layers of the program head.
    :param head_heads: heads of its attention; they divide the backbone's width.
    :param head_dropout: in the program head.
    :param aggregated_clips: Q, of how many clips, the seen one with them, the programs go into
        the action heads; 0 = none do. LEAP's anticipation has 3, its recognition none.
    """

    backbone: UniFormerV2Config = Field(default_factory=UniFormerV2Config.kitchen)
    task: Task = 'recognition'
    max_steps: Annotated[int, Field(ge=1, le=64)] = 16
    head_layers: Annotated[int, Field(ge=1, le=12)] = 2
    head_heads: Annotated[int, Field(ge=1, le=64)] = 4
    head_dropout: Rate = 0.1
    aggregated_clips: Annotated[int, Field(ge=0, le=16)] = 0

    @model_validator(mode='after')
    def _fits(self) -> Any:
        if self.backbone.width % self.head_heads:
            raise ValueError("head_heads must divide the backbone's width")
        return self

    def to_dict(self) -> dict[str, Any]:
        """
        Give the configuration as JSON values.

        :returns: what :meth:`from_dict` takes.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> LeapConfig:
        """
        Read a configuration.

        :param data: JSON values; what is left out has its default.
        :returns: the configuration.
        :raises LegoError: INVALID_SETTING, a name or a value that there cannot be.
        """
        try:
            return _ADAPTER.validate_python(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = '.'.join(map(str, first['loc'])) or 'the whole'
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'LEAP network configuration, {where}: {first["msg"]}') from error


_ADAPTER = TypeAdapter(LeapConfig)
