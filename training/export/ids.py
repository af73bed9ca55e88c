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

"""The names of videos and actions; each hangs on the seed alone."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID('0f6c1c5e-2c0b-5d0a-9a35-6d3d5a8e4b11')
EPIC_VIDEOS = 10_000
"""How many videos P00_00 to P99_99 can be named; each counts its frames at 60 per second."""


def video_uid(seed: int) -> str:
    """
    Name an episode's video as Ego4D does.

    :param seed: of the episode.
    :returns: a UUID.
    """
    return str(uuid.uuid5(_NAMESPACE, f'video {seed}'))


def clip_uid(seed: int) -> str:
    """
    Name an episode's clip as Ego4D does.

    :param seed: of the episode.
    :returns: a UUID, other than the video's.
    """
    return str(uuid.uuid5(_NAMESPACE, f'clip {seed}'))


def action_uid(seed: int, number: int) -> str:
    """
    Name an action as Ego4D does.

    :param seed: of the episode.
    :param number: of the action in it, from 0.
    :returns: a UUID.
    """
    return str(uuid.uuid5(_NAMESPACE, f'action {seed} {number}'))


def epic_video(seed: int) -> str:
    """
    Name an episode's video as EPIC-KITCHENS does.

    :param seed: of the episode; only EPIC_VIDEOS consecutive ones have names of their own.
    :returns: PXX_YY.
    """
    kitchen, video = divmod(seed % EPIC_VIDEOS, 100)
    return f'P{kitchen:02d}_{video:02d}'


def epic_action(seed: int, number: int) -> str:
    """
    Name an action as EPIC-KITCHENS does.

    :param seed: of the episode.
    :param number: of the action in it, from 0.
    :returns: PXX_YY_Z.
    """
    return f'{epic_video(seed)}_{number}'
