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

"""Asking sources about clips, one video after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lego_ros.training.descriptors.clip import Clip, Descriptors, Part, Source
from lego_ros.training.descriptors.rendering import PARTS


def describe(clips: Sequence[Clip], sources: Mapping[str, Source]) -> list[Descriptors]:
    """
    Describe clips by all sources that there are.

    Clips of one video are asked about together, so that a video's files are read once.

    :param clips: in any order.
    :param sources: by the part that they know, see ``rendering.PARTS``; parts without a source
        stay None.
    :returns: the descriptors, in the clips' order.
    :raises LegoError: SOURCE_UNREADABLE: a source's file is no such file.
    :raises ValueError: there is no such part.
    """
    unknown = set(sources) - set(PARTS)
    if unknown:
        raise ValueError(f'no part {", ".join(sorted(unknown))}; there are {", ".join(PARTS)}')
    places: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        places.setdefault(clip.video_id, []).append(place)
    found: list[dict[str, Part]] = [{} for _ in clips]
    for video_id, where in places.items():
        asked = [clips[place] for place in where]
        for name, source in sources.items():
            for place, part in zip(where, source.parts(video_id, asked), strict=True):
                found[place][name] = part
    return [Descriptors(clip.duration, **parts) for clip, parts in zip(clips, found, strict=True)]
