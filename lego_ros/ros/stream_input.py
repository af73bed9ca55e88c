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

"""A camera's frames into the stream that networks look at, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import threading

from lego_ros.errors import LegoError
from lego_ros.leap.stream import Stream
from lego_ros.ros.image_input import ImageInput
from lego_ros.runtime.answering import classify
from lego_ros.runtime.frame_slot import RawFrame
import numpy as np
from std_msgs.msg import Header

# Seconds between two looks at the camera, at least and at most.
_QUICKEST, _SLOWEST = 0.005, 0.1


class StreamInput:
    """
    Takes the camera's newest frame from the middleware as often as the stream wants one.

    Neither the camera nor the executor ever waits for it: the middleware keeps the newest frame,
    and a frame that is replaced before it is taken is one that no network would be shown.

    :param camera: where the frames come from.
    :param stream: where they go.
    :param shrink: makes a square of a side of a picture.
    :param failed: told of a frame that cannot be used, in the thread.
    """

    def __init__(self, camera: ImageInput, stream: Stream[Header],
                 shrink: Callable[[np.ndarray, int], np.ndarray],
                 failed: Callable[[LegoError], None]) -> None:
        self._camera, self._stream = camera, stream
        self._shrink, self._failed = shrink, failed
        # Two looks in the least time between two frames that stay: none is missed by much.
        self._period = min(_SLOWEST, max(_QUICKEST, stream.spacing / 2e9))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='stream', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more frames; the camera may be destroyed then."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last: RawFrame | None = None
        while not self._stop.wait(self._period):
            raw = self._camera.slot.refresh()
            if raw is None or raw is last:
                continue
            last = raw
            try:
                if self._stream.offer(raw.stamp, raw.message.header, self._squares(raw)):
                    self._camera.slot.note_used()
            # A boundary: whatever is wrong with a frame is told, and the next one is taken.
            except Exception as error:  # noqa: BLE001
                self._failed(classify(error))

    def _squares(self, raw: RawFrame) -> Callable[[Sequence[int]], list[np.ndarray]]:
        def squares(sides: Sequence[int]) -> list[np.ndarray]:
            rgb = self._camera.decode(raw, 0).rgb
            return [self._shrink(rgb, side) for side in sides]
        return squares
