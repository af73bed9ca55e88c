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
The questions of lego_node: admitted here, answered in the worker's thread, told to everyone.

They come on topics or as goals. Everything in the callbacks is quick: they submit and return.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
import threading
import time
import traceback
from typing import Any

from lego_ros.action import GenerateActionFrame
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.raw import decode_image
from lego_ros.msg import ActionDescription, ActionFrame, ActionQuery, QueryOutcome
from lego_ros.nodes.lego_parameters import PARAMETERS
from lego_ros.ros import messages
from lego_ros.ros.goal_server import GoalServer
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.image_messages import encode_compressed
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.parameters import read
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS, overridable, QUERY_QOS, RESULT_QOS
from lego_ros.runtime.answering import answer, classify, Frame, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import ActionModel, AnswerSettings, Description
from lego_ros.runtime.queries import admit, Query, QueryIds, Wishes
from lego_ros.runtime.timings import StageTimer
from lego_ros.runtime.worker import Job, Worker
from rclpy.action.server import ServerGoalHandle
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String


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


@dataclass(frozen=True, eq=False)
class Engine:
    """
    What answers, while the node is active.

    :param worker: the thread that owns the model.
    :param model: describes and depicts.
    :param camera: where frames come from.
    """

    worker: Worker
    model: ActionModel
    camera: ImageInput


class Queries:
    """
    The query topics, the action server and the topics of the answers.

    All of them exist whatever the state, so that a caller of an inactive node gets an answer.

    :param node: the node that has them; its parameters are ``PARAMETERS``.
    :param report: is told the outcomes.
    """

    def __init__(self, node: ManagedNode, report: LegoDiagnostics) -> None:
        self._node = node
        self._report = report
        self._engine: Engine | None = None
        # Held while a query is handed to the worker, so that none slips in behind a stop.
        self._admission = threading.Lock()
        self._ids = QueryIds()
        self._make_publishers()
        node.create_subscription(
            ActionQuery, 'action_query', self._on_query, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        node.create_subscription(
            String, 'speech_text', self._on_speech, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        self._server = GoalServer(
            node, GenerateActionFrame, 'generate_action_frame', self._on_goal, self._cancel,
            lambda message: GenerateActionFrame.Result(action_frame=message))

    def _make_publishers(self) -> None:
        def lifecycle(kind: type, topic: str, qos: Any) -> Any:
            # A copy: rclpy writes overrides into the profile it is given.
            return self._node.create_lifecycle_publisher(
                kind, topic, copy(qos), qos_overriding_options=overridable())

        self._descriptions = lifecycle(ActionDescription, 'action_description', RESULT_QOS)
        self._frames = lifecycle(ActionFrame, 'action_frame', RESULT_QOS)
        self._images = lifecycle(Image, 'action_frame/image', IMAGE_PUBLISHER_QOS)
        self._compressed_images = lifecycle(
            CompressedImage, 'action_frame/image/compressed', IMAGE_PUBLISHER_QOS)
        # A query that is refused because the node is inactive gets its outcome all the same.
        self._outcomes = self._node.create_publisher(QueryOutcome, 'query_outcome', RESULT_QOS)

    def start(self, engine: Engine) -> None:
        """
        Answer from now on.

        :param engine: what answers.
        """
        self._engine = engine

    def stop(self, reason: str) -> None:
        """
        Refuse from now on, and return when what runs has ended with NOT_ACTIVE.

        :param reason: told to the askers.
        """
        with self._admission:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.worker.cancel_all(ErrorCode.NOT_ACTIVE, reason, self)

    def destroy(self) -> None:
        """Leave the graph; a caller would otherwise wait for the server of a node that is gone."""
        self._server.destroy()

    # --- In the executor's thread

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
        # Without an engine it has ended, or is about to.
        engine = self._engine
        if engine is not None:
            engine.worker.cancel(job, ErrorCode.CANCELED, 'the caller cancelled the goal')

    def _begin(self, ask: Ask) -> Job:
        """Admit a query and hand it to the worker; a refused one comes back as an ended job."""
        try:
            ask.query = replace(ask.query, query_id=self._ids.admit(ask.query.query_id))
            with self._admission:
                job = self._submit(ask)
        except LegoError as error:
            job = Job(lambda _: None)
            job.done.set_exception(error)
        job.done.add_done_callback(lambda done: self._conclude(ask, done.exception()))
        return job

    def _submit(self, ask: Ask) -> Job:
        engine = self._engine
        if engine is None:
            raise LegoError(
                ErrorCode.NOT_ACTIVE,
                'the node is not active; configure and activate it (ros2 lifecycle set), or '
                'start it with autostart:=true')
        values = read(self._node, PARAMETERS)
        ask.query = admit(ask.query, values['max_query_length'])
        defaults = Wishes(
            values['seed'], values['steps'], values['image_scale'], values['text_scale'])
        settings = ask.wishes.settle(
            defaults, values['temperature'], values['mode'], engine.model.info)
        self._tell(ask, 'waiting', 0, 0)
        return engine.worker.submit(
            lambda token: self._answer(ask, engine, settings, token), self)

    def _conclude(self, ask: Ask, error: BaseException | None) -> None:
        """Say how a query ended; in the worker's thread or, where it was refused, at once."""
        problem = None
        if error is not None:
            problem = classify(error)
            text = f'query {ask.query.query_id!r} ended with {problem}'
            if not isinstance(error, LegoError) or error.__cause__ is not None:
                text += '\n' + ''.join(traceback.format_exception(error))
            self._node.get_logger().warning(text)
        self._report.conclude(problem)
        header = ask.header or Header(stamp=self._node.get_clock().now().to_msg())
        self._outcomes.publish(messages.query_outcome(
            header, messages.bounded(ask.query.query_id, 64), ask.query.text,
            time.monotonic() - ask.query.arrived, problem))

    # --- In the worker's thread

    def _answer(self, ask: Ask, engine: Engine, settings: AnswerSettings,
                token: CancelToken) -> ActionFrame:
        query, info = ask.query, engine.model.info

        def take_frame() -> Frame:
            frame = self._take_frame(ask, engine.camera)
            ask.header = frame.source
            return frame

        def described(frame: Frame, description: Description, timer: StageTimer) -> None:
            self._descriptions.publish(messages.action_description(
                frame.source, query, description.text,
                messages.provenance(info, settings, frame.age, timer.durations)))
            self._tell(ask, 'described', 0, 0, description.text)

        result = answer(
            engine.model, query.action, take_frame, settings, token,
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

    def _take_frame(self, ask: Ask, camera: ImageInput) -> Frame:
        if ask.image is not None:
            return Frame(decode_image(ask.image), ask.image.header)
        raw, age = camera.slot.take(
            lambda: self._node.get_clock().now().nanoseconds,
            self._node.get_parameter('max_frame_age').value)
        return camera.decode(raw, age)

    def _tell(self, ask: Ask, stage: str, step: int, steps: int, description: str = '') -> None:
        if ask.feedback is not None:
            ask.feedback(GenerateActionFrame.Feedback(
                stage=stage, step=step, steps=steps,
                description=messages.bounded(description, messages.MAX_TEXT_BYTES)))
