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

"""Video files as frames, with the exact presentation times."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
from lego_ros.camera.frames import Frame, FrameSource, Picture, unreadable
from lego_ros.errors import LegoError
from lego_ros.images.image_encodings import require_size
import numpy as np

_DEFAULT_FPS = 30.0


class VideoSource(FrameSource):
    """
    The first video stream of a file.

    The times are the file's own, so a variable frame rate plays right.

    :param path: anything that FFmpeg reads.
    :raises LegoError: SOURCE_UNREADABLE.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        with self._open() as container:
            if not container.streams.video:
                raise unreadable(path, 'the file has no video stream.')
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise unreadable(path, 'it is no readable video: FFmpeg has no decoder for it.')
            require_video_size(path, stream.codec_context.width, stream.codec_context.height)
            rate = stream.average_rate or stream.guessed_rate
        super().__init__(str(path), (0, 0), float(rate) if rate else _DEFAULT_FPS)
        first = next(self.frames(), None)
        if first is None:
            raise unreadable(path, 'the video holds no frame; it may be cut off.')
        # After a turn the picture is not of the size that the stream tells.
        self.size = first.picture.size

    def frames(self) -> Iterator[Frame]:
        """Decode the video from its beginning."""
        first = 0.0
        offset = -1 / self.fps
        try:
            with self._open() as container:
                stream = container.streams.video[0]
                stream.thread_type = 'AUTO'
                for index, frame in enumerate(container.decode(stream)):
                    require_video_size(self._path, frame.width, frame.height)
                    time = frame.time if frame.pts is not None else None
                    if index == 0:
                        first = time or 0.0
                    # Streams without times, such as raw H.264, run at their nominal rate.
                    following = offset + 1 / self.fps
                    offset = max(offset, time - first) if time is not None else following
                    ticks = frame.duration if frame.duration and frame.time_base else 0
                    duration = float(ticks * frame.time_base) if ticks else 1 / self.fps
                    yield Frame(Picture(partial(_to_rgb, frame)), max(offset, 0.0), duration)
        except (av.FFmpegError, OSError) as error:
            raise unreadable(self._path, f'the video breaks off: {error}.') from error

    def _open(self) -> av.container.InputContainer:
        """Open the file; absolute, its name cannot be taken for an address on a network."""
        try:
            return av.open(str(self._path))
        except (av.FFmpegError, OSError) as error:
            raise unreadable(
                self._path, f'it is no readable video: {error}. A cut-off file has lost its index.'
            ) from error


def require_video_size(name: object, width: int, height: int) -> None:
    """
    Refuse a video of an absurd size.

    :param name: of the source, for the message.
    :param width: in pixels.
    :param height: in pixels.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    try:
        require_size(width, height)
    except LegoError as error:
        raise unreadable(name, error.message) from error


def _to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Convert a decoded frame and turn it upright, as telephones record it."""
    rgb = frame.to_ndarray(format='rgb24')
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb
