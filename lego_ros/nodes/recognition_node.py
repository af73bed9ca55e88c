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

"""recognition_node: tells the present action, the next one and their program, live (LEAP)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from functools import partial
import threading
import time
import traceback
from typing import Any, TYPE_CHECKING

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.stream import Stream
from lego_ros.msg import ActionRecognition
from lego_ros.nodes.model_node import model_parser, own_arguments
from lego_ros.nodes.parameters import RECOGNITION_PARAMETERS
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.parameters import declare, read
from lego_ros.ros.process import run_nodes
from lego_ros.ros.qos import overridable, RESULT_QOS
from lego_ros.ros.recognition_diagnostics import RecognitionDiagnostics
from lego_ros.ros.recognition_messages import action_recognition
from lego_ros.ros.stream_input import StreamInput
from lego_ros.runtime.allocation import give_back_freed_memory
from lego_ros.runtime.answering import classify
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.worker import Worker
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header

if TYPE_CHECKING:
    from lego_ros.leap.live import Watcher

_SUCCESS = TransitionCallbackReturn.SUCCESS

LoadWatchers = Callable[[dict[str, Any], Callable[[], None]], tuple['Watcher', ...]]


def load(values: dict[str, Any], check: Callable[[], None]) -> tuple[Watcher, ...]:
    """
    Load the networks.

    :param values: of the parameters.
    :param check: called between the parts; raises LegoError to stop.
    :returns: one or two, recognition first.
    :raises LegoError: SOURCE_UNREADABLE or INVALID_SETTING.
    """
    # torch takes seconds to import: not before it is needed.
    from lego_ros.leap.live import load_watchers
    from lego_ros.runtime.devices import choose_device

    check()
    return load_watchers(
        values['recognition'], values['anticipation'], values['window'], values['span'],
        str(choose_device(values['device'])), check)


@dataclass(frozen=True, eq=False)
class _Running:
    """What there is while the node is active."""

    camera: ImageInput
    stream: Stream[Header]
    intake: StreamInput


class RecognitionNode(ManagedNode):
    """
    The lifecycle node.

    Three threads: the executor's only looks whether a window is due and can be computed, one takes
    frames from the camera, one has the networks.

    :param load_watchers: loads the networks; calls the second argument between its parts, which
        raises when the node shuts down.
    :param kwargs: for rclpy's node: ``namespace``, ``parameter_overrides``, ``context`` ...
    """

    def __init__(self, load_watchers: LoadWatchers = load, **kwargs: Any) -> None:
        super().__init__('recognition_node', **kwargs)
        declare(self, RECOGNITION_PARAMETERS)
        values = read(self, RECOGNITION_PARAMETERS)
        self._load_watchers = load_watchers
        self._max_age = round(values['max_frame_age'] * 1e9)
        self._worker: Worker | None = None
        self._watchers: tuple[Watcher, ...] = ()
        self._running: _Running | None = None
        self._looked_at: int | None = None
        # Held while a window is handed to the worker, so that none slips in behind a stop.
        self._admission = threading.Lock()
        self._report = RecognitionDiagnostics(self)
        self._publisher = self.create_lifecycle_publisher(
            # A copy: rclpy writes overrides into the profile it is given.
            ActionRecognition, 'action_recognition', copy(RESULT_QOS),
            qos_overriding_options=overridable())
        self._timer = self.create_timer(1 / values['rate'], self._tick)
        self._timer.cancel()
        if values['autostart']:
            self.autostart()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up the networks; a failure leaves the node unconfigured."""
        return self._guard('configured', self._configure, self._report.refused)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera, and tell what it shows."""
        return self._guard(
            'activated', lambda: self._activate(state), self._report.refused)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening: what is being computed ends before this returns, and the frames go."""
        with self._transition:
            self._stop('the node was deactivated')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the networks."""
        with self._transition:
            self._free()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and free the networks."""
        return self._end('the node shuts down')

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free all, so that the node can be configured again."""
        return self._end('the node met an error')

    def close(self) -> None:
        """End all before the process ends, whatever the state."""
        self._closing = True
        self._end('the node shuts down')

    # --- Transitions

    def _end(self, reason: str) -> TransitionCallbackReturn:
        with self._transition:
            self._stop(reason)
            self._free()
        return _SUCCESS

    def _configure(self) -> None:
        start = time.monotonic()
        values = read(self, RECOGNITION_PARAMETERS)
        worker = Worker('networks')
        try:
            self._watchers = worker.call(partial(self._load, values))
        # Whatever it is, the thread must not outlive it.
        except BaseException:
            worker.close()
            raise
        self._worker = worker
        self._report.configured(self._watchers)
        names = ' and '.join(f'{each.task} by {each.name}' for each in self._watchers)
        self.get_logger().info(f'{names} ready after {time.monotonic() - start:.1f} s')

    def _load(self, values: dict[str, Any]) -> tuple[Watcher, ...]:
        watchers = self._load_watchers(values, self._check_open)
        for watcher in watchers:
            watcher.warm_up()
        return watchers

    def _activate(self, state: LifecycleState) -> None:
        from lego_ros.leap.live import square

        stream: Stream[Header] = Stream(
            [watcher.sight for watcher in self._watchers], self._max_age)
        camera = ImageInput(self, self.get_parameter('image_transport').value)
        self._report.activated(camera, stream)
        # The publisher first, so that the first window finds it open.
        super().on_activate(state)
        self._looked_at = None
        self._running = _Running(
            camera, stream, StreamInput(camera, stream, square, self._undecodable))
        self._timer.reset()

    def _stop(self, reason: str) -> None:
        self._timer.cancel()
        with self._admission:
            running, self._running = self._running, None
        if running is None:
            return
        assert self._worker is not None
        self._worker.cancel_all(ErrorCode.NOT_ACTIVE, reason)
        running.intake.stop()
        self._report.activated(None, None)
        running.camera.destroy()

    def _free(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        self._watchers = ()
        self._report.configured(())
        worker.close()
        give_back_freed_memory()

    # --- In the executor's thread

    def _tick(self) -> None:
        """Have the last seconds looked at, where there is something new."""
        with self._admission:
            if self._running is not None and self._worker is not None:
                self._look(self._running, self._worker)

    def _look(self, running: _Running, worker: Worker) -> None:
        newest = running.stream.newest
        if newest is None:
            self._report.quiet('no camera frame has come yet')
            return
        age = self.get_clock().now().nanoseconds - newest
        if age > self._max_age:
            self._report.quiet(f'the newest camera frame is {age / 1e9:.1f} s old, and '
                               f'max_frame_age is {self._max_age / 1e9:g} s')
            return
        self._report.quiet('')
        if newest == self._looked_at:
            return
        if not worker.idle:
            self._report.skipped()
            return
        self._looked_at = newest
        job = worker.submit(partial(self._recognise, running.stream, self._watchers))
        job.done.add_done_callback(self._conclude)

    # --- In the networks' thread

    def _recognise(self, stream: Stream[Header], watchers: tuple[Watcher, ...],
                   token: CancelToken) -> None:
        look = stream.look()
        if look is None:
            # The stream began anew since the tick.
            return
        age = self.get_clock().now().nanoseconds - look.stamp
        said = []
        durations: dict[str, float] = {}
        for watcher, clips in zip(watchers, look.clips, strict=True):
            token.check()
            start = time.monotonic()
            recognition = watcher.recognise(clips, token.check)
            durations[watcher.task] = time.monotonic() - start
            said.append((watcher, recognition, durations[watcher.task]))
        token.check()
        self._publisher.publish(action_recognition(look.source, said, age))
        self._report.published(durations)

    def _conclude(self, done: Future) -> None:
        """Tell of a window that failed; the next one is tried all the same."""
        error = done.exception()
        if error is None:
            return
        problem = classify(error)
        if problem.code == ErrorCode.NOT_ACTIVE:
            return
        self._report.failed(problem)
        detail = '' if isinstance(error, LegoError) else '\n' + ''.join(
            traceback.format_exception(error))
        self.get_logger().error(f'a window failed: {problem}{detail}', throttle_duration_sec=5.0)

    # --- In the camera's thread

    def _undecodable(self, problem: LegoError) -> None:
        self._report.undecodable(problem)
        self.get_logger().warning(f'a frame is left out: {problem}', throttle_duration_sec=5.0)


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node until it is stopped; with ``--namespaces``, one in each.

    :param args: command line with ``--ros-args``; None = the process's own.
    :returns: exit status.
    """
    given = own_arguments(
        model_parser('recognition_node', 'Tell which action a camera sees, and which comes next.'),
        args)
    return run_nodes([partial(RecognitionNode, namespace=name or None)
                      for name in given.namespaces], args)


if __name__ == '__main__':
    raise SystemExit(main())
