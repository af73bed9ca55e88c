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
lego_node: asks, describes, depicts.

Questions come on topics or as goals, pictures from a camera; out come a description and an action
frame. Everything here is quick: the models run in the worker's thread (lego_ros.runtime).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
import threading
import time
import traceback
from typing import Any

from lego_ros.action import GenerateActionFrame
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.raw import decode_image
from lego_ros.msg import ActionDescription, ActionFrame, ActionQuery, EngineInfo, QueryOutcome
from lego_ros.nodes.lego_parameters import PARAMETERS
from lego_ros.ros import messages
from lego_ros.ros.goal_server import GoalServer
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.image_messages import encode_compressed
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.parameters import declare, read
from lego_ros.ros.process import run_node
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS, LATCHED_QOS, overridable, QUERY_QOS, RESULT_QOS
from lego_ros.runtime.answering import answer, classify, Frame, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import ActionModel, AnswerSettings, Check, Description
from lego_ros.runtime.queries import admit, Query, QueryIds, Wishes
from lego_ros.runtime.timings import StageTimer
from lego_ros.runtime.worker import Job, Worker
from rclpy.action.server import ServerGoalHandle
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

_SUCCESS = TransitionCallbackReturn.SUCCESS

LoadModel = Callable[[str, str, str, Check], ActionModel]


def load_bundle(folder: str, device: str, precision: str, check: Check) -> ActionModel:
    """
    Load a model bundle.

    :param folder: the bundle; empty = the default one.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param precision: float32, bfloat16 or float16.
    :param check: called between the parts; raises LegoError to stop.
    :returns: the model.
    :raises LegoError: a BUNDLE code or INVALID_SETTING.
    """
    # torch and diffusers take seconds to import: not before they are needed.
    from lego_ros.bundle.making import default_bundle
    from lego_ros.runtime.lego_model import LegoModel

    check()
    path = Path(folder).expanduser() if folder else default_bundle()
    return LegoModel(path, device, precision, check)


@dataclass
class Ask:
    """
    One query on its way through the node.

    :param query: what was asked.
    :param image: the picture it is about; None = the latest camera frame.
    :param wishes: what its goal asks for.
    :param feedback: tells the asker how it is coming along.
    :param header: of the source image, once it is known.
    """

    query: Query
    image: Image | None = None
    wishes: Wishes = field(default_factory=Wishes)
    feedback: Callable[[GenerateActionFrame.Feedback], None] | None = None
    header: Header | None = None


class LegoNode(ManagedNode):
    """
    The lifecycle node.

    :param load_model: makes the model from bundle folder, device and precision; calls the fourth
        argument between its parts, which raises when the node shuts down.
    :param kwargs: for rclpy's node: ``namespace``, ``parameter_overrides``, ``context`` ...
    """

    def __init__(self, load_model: LoadModel = load_bundle, **kwargs: Any) -> None:
        super().__init__('lego_node', **kwargs)
        declare(self, PARAMETERS)
        self._load_model = load_model
        self._worker: Worker | None = None
        self._model: ActionModel | None = None
        self._camera: ImageInput | None = None
        self._active = False
        self._closing = False
        # Held while a query is handed to the worker, so that none slips in behind a stop.
        self._admission = threading.Lock()
        # Held during transitions, which another thread than the executor's may ask for (close).
        self._transition = threading.Lock()
        self._ids = QueryIds()

        self._make_publishers()
        self.create_subscription(
            ActionQuery, 'action_query', self._on_query, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        self.create_subscription(
            String, 'speech_text', self._on_speech, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        self._server = GoalServer(
            self, GenerateActionFrame, 'generate_action_frame', self._on_goal, self._cancel,
            lambda message: GenerateActionFrame.Result(action_frame=message))
        self._report = LegoDiagnostics(self)
        if self.get_parameter('autostart').value:
            self.autostart()

    def _make_publishers(self) -> None:
        def lifecycle(kind: type, topic: str, qos: Any) -> Any:
            # A copy: rclpy writes overrides into the profile it is given.
            return self.create_lifecycle_publisher(
                kind, topic, copy(qos), qos_overriding_options=overridable())

        self._descriptions = lifecycle(ActionDescription, 'action_description', RESULT_QOS)
        self._frames = lifecycle(ActionFrame, 'action_frame', RESULT_QOS)
        self._images = lifecycle(Image, 'action_frame/image', IMAGE_PUBLISHER_QOS)
        self._compressed_images = lifecycle(
            CompressedImage, 'action_frame/image/compressed', IMAGE_PUBLISHER_QOS)
        # A query that is refused because the node is inactive gets its outcome all the same.
        self._outcomes = self.create_publisher(QueryOutcome, 'query_outcome', RESULT_QOS)
        self._engine_info = self.create_publisher(EngineInfo, '~/engine_info', LATCHED_QOS)

    # --- Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up the bundle; a failure leaves the node unconfigured."""
        return self._guard('configured', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera and answer."""
        return self._guard('activated', lambda: self._activate(state))

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering: what runs ends with NOT_ACTIVE before this returns."""
        with self._transition:
            self._stop('the node was deactivated')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        with self._transition:
            self._free()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering and free the models."""
        with self._transition:
            self._stop('the node shuts down')
            self._free()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models, so that the node can be configured again."""
        with self._transition:
            self._stop('the node met an error')
            self._free()
        return _SUCCESS

    def close(self) -> None:
        """
        Stop answering and free the models before the process ends, whatever the state.

        A transition that runs in the executor is waited for; loading stops between two parts.
        """
        self._closing = True
        with self._transition:
            self._stop('the node shuts down')
            self._free()

    def destroy_node(self) -> None:
        """Leave the graph; a caller would otherwise wait for the server of a node that is gone."""
        self._server.destroy()
        super().destroy_node()

    def _guard(self, what: str, change: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            with self._transition:
                self._check_open()
                change()
        # rclpy would swallow it; nothing may leave a half-changed node behind.
        except Exception as error:  # noqa: BLE001
            problem = classify(error)
            self._report.refused(problem)
            if self._closing:
                self.get_logger().info(f'the node is not {what}: it shuts down')
            else:
                detail = '' if isinstance(error, LegoError) else '\n' + traceback.format_exc()
                self.get_logger().error(f'the node cannot be {what}: {problem}{detail}')
            return TransitionCallbackReturn.FAILURE
        return _SUCCESS

    def _check_open(self) -> None:
        if self._closing:
            raise LegoError(ErrorCode.NOT_ACTIVE, 'the node shuts down')

    def _configure(self) -> None:
        values = read(self, PARAMETERS)
        start = time.monotonic()
        worker = Worker()
        try:
            model = worker.call(lambda: self._load(values))
        except BaseException:
            worker.close()
            raise
        self._worker, self._model, info = worker, model, model.info
        self._report.configured(info)
        seconds = time.monotonic() - start
        self._engine_info.publish(messages.engine_info(
            self.get_clock().now().to_msg(), info, seconds))
        self.get_logger().info(
            f'bundle {info.bundle} {info.bundle_version} ready on {info.device} '
            f'({info.backend}, {info.precision}) after {seconds:.1f} s')
        if not info.trained:
            self.get_logger().warning(
                f"bundle '{info.bundle}' is untrained: its answers mean nothing")

    def _load(self, values: dict[str, Any]) -> ActionModel:
        model = self._load_model(
            values['bundle'], values['device'], values['precision'], self._check_open)
        model.warm_up()
        return model

    def _activate(self, state: LifecycleState) -> None:
        self._camera = ImageInput(self, self.get_parameter('image_transport').value)
        self._report.activated(self._camera)
        # The publishers first, so that the first answer finds them open.
        super().on_activate(state)
        self._active = True

    def _stop(self, reason: str) -> None:
        with self._admission:
            self._active = False
        if self._worker is not None:
            self._worker.cancel_all(ErrorCode.NOT_ACTIVE, reason)
        if self._camera is not None:
            self._report.activated(None)
            self._camera.destroy()
            self._camera = None

    def _free(self) -> None:
        if self._worker is None:
            return
        worker, self._worker = self._worker, None
        model, self._model = self._model, None
        self._report.configured(None)
        try:
            if model is not None:
                worker.call(model.close)
        finally:
            worker.close()

    # --- Queries

    def _on_query(self, message: ActionQuery) -> None:
        self._begin(Ask(Query(message.query_id, message.text)))

    def _on_speech(self, message: String) -> None:
        self._begin(Ask(Query('', message.data)))

    def _on_goal(self, goal_handle: ServerGoalHandle) -> Job:
        goal = goal_handle.request
        return self._begin(Ask(
            Query(goal.query.query_id, goal.query.text),
            goal.image if messages.is_given(goal.image) else None,
            Wishes(goal.seed, goal.steps, goal.image_scale, goal.text_scale),
            goal_handle.publish_feedback))

    def _cancel(self, job: Job) -> None:
        worker = self._worker
        if worker is not None:
            worker.cancel(job, ErrorCode.CANCELED, 'the caller cancelled the goal')

    def _begin(self, ask: Ask) -> Job:
        """Admit a query and hand it to the worker; a refused one comes back as an ended job."""
        try:
            ask.query = Query(
                self._ids.admit(ask.query.query_id), ask.query.text, '', ask.query.arrived)
            with self._admission:
                job = self._submit(ask)
        except LegoError as error:
            job = Job(lambda _: None)
            job.done.set_exception(error)
        job.done.add_done_callback(lambda done: self._conclude(ask, done.exception()))
        return job

    def _submit(self, ask: Ask) -> Job:
        model, worker = self._model, self._worker
        if not self._active or model is None or worker is None:
            raise LegoError(
                ErrorCode.NOT_ACTIVE,
                'the node is not active; configure and activate it (ros2 lifecycle set), or '
                'start it with autostart:=true')
        values = read(self, PARAMETERS)
        ask.query = admit(ask.query, values['max_query_length'])
        defaults = Wishes(
            values['seed'], values['steps'], values['image_scale'], values['text_scale'])
        settings = ask.wishes.settle(defaults, values['temperature'], model.info)
        self._tell(ask, 'waiting', 0, 0)
        return worker.submit(lambda token: self._answer(ask, model, settings, token))

    def _conclude(self, ask: Ask, error: BaseException | None) -> None:
        """Say how a query ended; in the worker's thread or, where it was refused, at once."""
        problem = None
        if error is not None:
            problem = classify(error)
            text = f'query {ask.query.query_id!r} ended with {problem}'
            if not isinstance(error, LegoError) or error.__cause__ is not None:
                text += '\n' + ''.join(traceback.format_exception(error))
            self.get_logger().warning(text)
        self._report.conclude(problem)
        header = ask.header or Header(stamp=self.get_clock().now().to_msg())
        self._outcomes.publish(messages.query_outcome(
            header, messages.bounded(ask.query.query_id, 64), ask.query.text,
            time.monotonic() - ask.query.arrived, problem))

    # --- In the worker's thread

    def _answer(self, ask: Ask, model: ActionModel, settings: AnswerSettings,
                token: CancelToken) -> ActionFrame:
        query, info = ask.query, model.info

        def take_frame() -> Frame:
            frame = self._take_frame(ask)
            ask.header = frame.source
            return frame

        def described(frame: Frame, description: Description, timer: StageTimer) -> None:
            self._descriptions.publish(messages.action_description(
                frame.source, query, description.text,
                messages.provenance(info, settings, frame.age, timer.durations)))
            self._tell(ask, 'described', 0, 0, description.text)

        result = answer(
            model, query.action, take_frame, settings, token,
            Progress(lambda *progress: self._tell(ask, *progress), described))
        message = messages.action_frame(
            result.frame.source, query, result.description.text, result.picture,
            messages.provenance(info, settings, result.frame.age, result.timer.durations))
        self._frames.publish(message)
        if self._images.get_subscription_count():
            self._images.publish(message.image)
        if self._compressed_images.get_subscription_count():
            self._compressed_images.publish(encode_compressed(result.picture, message.header))
        self._report.answered(result.timer.durations)
        return message

    def _take_frame(self, ask: Ask) -> Frame:
        if ask.image is not None:
            return Frame(decode_image(ask.image), ask.image.header)
        camera = self._camera
        if camera is None:
            raise LegoError(ErrorCode.NOT_ACTIVE, 'the node was deactivated')
        raw, age = camera.slot.take(
            lambda: self.get_clock().now().nanoseconds, self.get_parameter('max_frame_age').value)
        return camera.decode(raw, age)

    def _tell(self, ask: Ask, stage: str, step: int, steps: int, description: str = '') -> None:
        if ask.feedback is not None:
            ask.feedback(GenerateActionFrame.Feedback(
                stage=stage, step=step, steps=steps,
                description=messages.bounded(description, messages.MAX_TEXT_BYTES)))


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node until it is stopped.

    :param args: command line with ``--ros-args``; None = the process's own.
    :returns: exit status.
    """
    return run_node(LegoNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
