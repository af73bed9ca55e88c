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

"""Playback of a source: decoded ahead in a thread, handed out when due, late frames skipped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
import threading

from lego_ros.camera.frames import Frame, FrameSource, unreadable
from lego_ros.errors import LegoError

_DEPTH = 4


class Playback:
    """
    Read a source ahead of its playing, and keep its frames until their time comes.

    Offsets run on when the source is looped. A live source is not waited for: its newest frame
    replaces the older ones.

    :param source: what to play; closed by :meth:`close`.
    :param loop: whether to begin anew at its end.
    :param prepare: called in the reading thread with each frame and whether it is still in time,
        in which case slow work such as decoding is well done there; returns the frame to keep.
    :param arrived: called in the reading thread after a frame, the end or a failure came in;
        None = nobody waits.
    """

    def __init__(self, source: FrameSource, loop: bool,
                 prepare: Callable[[Frame, bool], Frame] = lambda frame, in_time: frame,
                 arrived: Callable[[], None] | None = None) -> None:
        self.source = source
        self.skipped = 0
        """Frames that were never handed out: late, or more of them than asked for."""
        self.failure: LegoError | None = None
        """Why the source broke off; None = it did not."""
        self._loop = loop and not source.live
        self._prepare = prepare
        self._arrived = arrived or (lambda: None)
        self._changed = threading.Condition()
        self._waiting: deque[Frame] = deque()
        self._position = 0.0
        self._finished = False
        self._closed = False
        self._thread = threading.Thread(target=self._read, name='camera playback', daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether a frame waits."""
        with self._changed:
            return bool(self._waiting)

    @property
    def ended(self) -> bool:
        """Whether every frame was handed out and none will come."""
        with self._changed:
            return self._finished and not self._waiting

    def take(self, position: float) -> tuple[Frame | None, float | None]:
        """
        Take the newest frame that is due.

        :param position: seconds since the first frame.
        :returns: the frame, None when no new one is due; and the offset of the next one in
            seconds, None when it is not known yet.
        """
        due = None
        with self._changed:
            self._position = position
            while self._waiting and self._waiting[0].offset <= position:
                self.skipped += due is not None
                due = self._waiting.popleft()
            self._changed.notify_all()
            return due, self._waiting[0].offset if self._waiting else None

    def close(self) -> None:
        """End the reading and release the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.source.close()

    def _read(self) -> None:
        """Fill the queue until the source ends or the playback is closed."""
        try:
            for frame in self._rounds():
                in_time = self.source.live or frame.offset >= self._position
                if not self._put(self._prepare(frame, in_time)):
                    break
                self._arrived()
        except LegoError as error:
            self.failure = error
        # The thread's boundary: an unforeseen error of a codec must not end as a silent camera.
        except Exception as error:  # noqa: BLE001
            self.failure = unreadable(self.source.name, f'it broke off: {error!r}.')
        with self._changed:
            self._finished = True
        self._arrived()

    def _rounds(self) -> Iterator[Frame]:
        """Chain the rounds of a looped source into one line of time."""
        shift = 0.0
        while True:
            frame = None
            for frame in self.source.frames():
                yield replace(
                    frame, offset=frame.offset + shift,
                    stamp=None if frame.stamp is None else frame.stamp + round(shift * 1e9))
            if frame is None or not self._loop:
                return
            shift += frame.offset + frame.duration

    def _put(self, frame: Frame) -> bool:
        """Queue a frame, waiting for room; False when the playback was closed."""
        with self._changed:
            # Behind a late frame nothing waits but older ones: where these filled the queue, a
            # reader that fell behind would skip no more than a queue a step, and stay behind.
            if self.source.live or frame.offset <= self._position:
                self.skipped += len(self._waiting)
                self._waiting.clear()
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < _DEPTH)
            if not self._closed:
                self._waiting.append(frame)
            return not self._closed
