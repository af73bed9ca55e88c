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

"""What recognition_node tells /diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
import threading
from typing import TYPE_CHECKING

from lego_ros.errors import LegoError
from lego_ros.leap.stream import Stream
from lego_ros.ros.camera_diagnostics import CameraStatus
from lego_ros.ros.diagnostics import Diagnostics, ERROR, Status, WARN
from lego_ros.ros.image_input import ImageInput
from lego_ros.runtime.timings import StageHistory
from rclpy.node import Node

if TYPE_CHECKING:
    from lego_ros.leap.live import Watcher


@dataclass
class WindowCounts:
    """How the windows that were due have ended."""

    published: int = 0
    skipped: int = 0
    """Because the one before was still being computed."""
    failed: int = 0
    undecodable: int = 0
    """Frames, not windows."""


class RecognitionDiagnostics:
    """
    Figures of the node's three parts: networks, camera, recognition. Thread-safe.

    :param node: the node that reports.
    """

    def __init__(self, node: Node) -> None:
        self._watchers: tuple[Watcher, ...] = ()
        self._refusal: LegoError | None = None
        self._camera = CameraStatus(node)
        self._stream: Stream | None = None
        self._lock = threading.Lock()
        self._counts = WindowCounts()
        self._stages = StageHistory()
        self._quiet = ''
        self._problem: LegoError | None = None
        self._frame_problem: LegoError | None = None
        diagnostics = Diagnostics(node)
        diagnostics.add('networks', self._networks_status)
        diagnostics.add('camera', self._camera)
        diagnostics.add('recognition', self._recognition_status)

    def configured(self, watchers: tuple[Watcher, ...]) -> None:
        """
        Note what is loaded.

        :param watchers: the networks; none = nothing.
        """
        self._watchers, self._refusal = watchers, None

    def activated(self, camera: ImageInput | None, stream: Stream | None) -> None:
        """
        Note what is listened to.

        :param camera: None = nothing, the node is not active.
        :param stream: what comes of it.
        """
        self._camera.camera, self._stream, self._refusal = camera, stream, None
        with self._lock:
            self._quiet = ''
            self._problem = self._frame_problem = None

    def refused(self, failure: LegoError) -> None:
        """
        Note why the node could not be configured or activated; the next success ends it.

        :param failure: the reason.
        """
        self._refusal = LegoError(failure.code, failure.message)

    def quiet(self, reason: str) -> None:
        """
        Note why nothing is told at present.

        :param reason: empty = something is.
        """
        with self._lock:
            self._quiet = reason

    def skipped(self) -> None:
        """Count a window that was due while another one was computed."""
        with self._lock:
            self._counts.skipped += 1

    def published(self, durations: dict[str, float]) -> None:
        """
        Count a window that was told.

        :param durations: seconds for each stage.
        """
        self._stages.add(durations)
        with self._lock:
            self._counts.published += 1
            self._problem = self._frame_problem = None

    def failed(self, problem: LegoError) -> None:
        """
        Count a window that failed.

        :param problem: why; told until a window succeeds.
        """
        with self._lock:
            self._counts.failed += 1
            # Without its traceback, which would keep the window's frames alive.
            self._problem = LegoError(problem.code, problem.message)

    def undecodable(self, problem: LegoError) -> None:
        """
        Count a frame that cannot be used.

        :param problem: why; told until a window succeeds.
        """
        with self._lock:
            self._counts.undecodable += 1
            self._frame_problem = LegoError(problem.code, problem.message)

    def counts(self) -> WindowCounts:
        """
        Tell how the windows have ended.

        :returns: a copy.
        """
        with self._lock:
            return WindowCounts(**vars(self._counts))

    def _networks_status(self, status: Status) -> None:
        refusal, watchers = self._refusal, self._watchers
        if refusal is not None:
            status.raise_to(ERROR, str(refusal))
            status.values['error_code'] = refusal.code.name
            return
        if not watchers:
            status.message = 'not configured'
            return
        status.message = ', '.join(
            f'{watcher.task} by {watcher.name} on {watcher.device}' for watcher in watchers)
        for watcher in watchers:
            sight = watcher.sight
            status.values.update({
                f'{watcher.task}_sha256': watcher.sha256,
                f'{watcher.task}_sees': f'{sight.clips} x {sight.frames} frames of {sight.side} '
                                        f'pixels in {sight.clips * sight.span / 1e9:.2f} s'})

    def _recognition_status(self, status: Status) -> None:
        stream, counts = self._stream, self.counts()
        with self._lock:
            quiet, problem, frame_problem = self._quiet, self._problem, self._frame_problem
        status.values.update({
            'windows_published': counts.published, 'windows_skipped': counts.skipped,
            'windows_failed': counts.failed, 'frames_undecodable': counts.undecodable})
        for stage, (last, median, slow) in self._stages.summary().items():
            status.values[f'{stage}_last_ms'] = f'{last * 1e3:.1f}'
            status.values[f'{stage}_p50_ms'] = f'{median * 1e3:.1f}'
            status.values[f'{stage}_p99_ms'] = f'{slow * 1e3:.1f}'
        if stream is None:
            status.message = 'not active'
            return
        figures = stream.figures()
        status.values.update({
            'frames_kept': figures.kept, 'frames_late': figures.late,
            'stream_breaks': figures.breaks, 'stream_bytes': stream.nbytes})
        if problem is not None:
            status.values['last_error_code'] = problem.code.name
            status.raise_to(ERROR, f'the last window ended with {problem}')
        if frame_problem is not None:
            status.raise_to(WARN, f'the last frame that cannot be used: {frame_problem}')
        if quiet:
            status.raise_to(WARN, f'nothing is told: {quiet}')
