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

"""From what a user writes to a source of frames."""

from __future__ import annotations

from pathlib import Path
import re

from lego_ros.camera.frames import FrameSource, unreadable

DEFAULT_STILL_FPS = 10.0
"""How often a photograph is shown in a second unless a rate is asked for."""

_BAG_SUFFIXES = frozenset({'.mcap', '.db3'})


def is_kitchen(source: str) -> bool:
    """
    Tell whether a source is the simulated kitchen.

    :param source: as a user writes it.
    :returns: True for ``sim`` and whatever begins with ``sim:``.
    """
    return source == 'sim' or source.startswith('sim:')


def open_source(source: str, *, topic: str = '', rate: float = 0.0,
                size: tuple[int, int] = (0, 0)) -> FrameSource:
    """
    Open a source of frames.

    :param source: ``sim`` (a simulated kitchen; ``sim:SEED`` for another, ``sim:SEED:VERB`` for
        what is done there), ``photo`` (a kitchen-table photograph), ``webcam:0`` or /dev/video0,
        or a path: a video, a picture, a folder of pictures, a rosbag2 folder, a .mcap or .db3
        file.
    :param topic: which image topic of a bag; empty = the first.
    :param rate: frames per second for sources without a time of their own: pictures are shown
        at it, webcams asked for it; 0 = 10 for pictures, the webcam's own.
    :param size: width and height that a webcam is asked for; 0 = its own.
    :returns: the source; its first frame has been read.
    :raises LegoError: SOURCE_UNREADABLE, with the name of the source and the reason;
        INVALID_SETTING for a verb that the kitchen does not know.
    """
    still_fps = rate or DEFAULT_STILL_FPS
    # Each kind brings a library of its own; only the one that is used is loaded.
    if source == 'photo':
        from lego_ros.camera.stills import open_photo
        return open_photo(still_fps)
    if is_kitchen(source):
        from lego_ros.camera.sim import Kitchen, SimSource
        return SimSource(Kitchen.read(source))
    webcam = re.fullmatch(r'webcam:([0-9]{1,3})', source)
    if webcam or re.fullmatch(r'/dev/video[0-9]{1,3}', source):
        from lego_ros.camera.webcam import open_webcam
        return open_webcam(source, int(webcam[1]) if webcam else source, size, rate)

    path = Path(source).expanduser()
    if not source or not path.exists():
        raise unreadable(
            repr(source), 'there is no such file or folder. Give sim, photo, webcam:0, or the '
            'path of a video, a picture, a folder of pictures or a rosbag2.')
    if (path / 'metadata.yaml').exists() or path.suffix in _BAG_SUFFIXES:
        from lego_ros.camera.bag import BagSource
        return BagSource(path, topic)
    from lego_ros.camera import stills
    try:
        if path.is_dir():
            return stills.FolderSource(path, still_fps)
    except OSError as error:
        raise unreadable(path, f'the folder cannot be read: {error}.') from error
    if path.suffix.lower() in stills.PICTURE_SUFFIXES:
        return stills.open_picture(path, still_fps)
    from lego_ros.camera.video import VideoSource
    return VideoSource(path)
