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
The questions of a node: admitted here, answered in the worker's thread, told to everyone.

They come on topics or as goals. Everything in the callbacks is quick: they submit and return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
import threading
import time
import traceback
from typing import Any, ClassVar, Generic, TypeVar

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.raw import decode_image
from lego_ros.msg import ActionQuery, QueryOutcome
from lego_ros.ros import messages
from lego_ros.ros.goal_server import GoalServer
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.parameters import Parameter, read
from lego_ros.ros.qos import overridable, QUERY_QOS, RESULT_QOS
from lego_ros.runtime.answering import classify, Frame
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.frame_slot import RawFrame
from lego_ros.runtime.model import ActionModel, AnswerSettings, ModelInfo
from lego_ros.runtime.queries import admit, Query, QueryIds, Wishes
from lego_ros.runtime.worker import Job, Worker
from rclpy.action.server import ServerGoalHandle
from sensor_msgs.msg import Image
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
    :param taken: the camera frame that it is about, and its age in nanoseconds.
    """

    query: Query
    image: Image | None = None
    wishes: Wishes = field(default_factory=Wishes)
    feedback: Callable[[Any], None] | None = None
    header: Header | None = None
    taken: tuple[RawFrame, int] | None = None


Asked = TypeVar('Asked', bound=Ask)


@dataclass(frozen=True, eq=False)
class Engine:
    """
    What answers, while the node is active.

    :param worker: the thread that owns the model.
    :param model: describes, depicts and writes programs.
    :param camera: where frames come from.
    """

    worker: Worker
    model: ActionModel
    camera: ImageInput


class Queries(ABC, Generic[Asked]):
    """
    The query topics, the action server and the topics of the answers.

    All of them exist whatever the state, so that a caller of an inactive node gets an answer.

    :param node: the node that has them; its parameters are ``parameters``.
    :param report: is told the outcomes.
    """

    parameters: ClassVar[tuple[Parameter, ...]]
    action: ClassVar[Any]
    """Type of the action."""
    action_name: ClassVar[str]
    outcome_topic: ClassVar[str]
    frame_of_arrival: ClassVar[bool]
    """Whether a query is about what the camera saw when it came, or when its answer begins."""

    def __init__(self, node: ManagedNode, report: LegoDiagnostics) -> None:
        self._node = node
        self._report = report
        self._engine: Engine | None = None
        # Held while a query is handed to the worker, so that none slips in behind a stop.
        self._admission = threading.Lock()
        self._ids = QueryIds()
        # A query that is refused because the node is inactive gets its outcome all the same.
        self._outcomes = node.create_publisher(QueryOutcome, self.outcome_topic, RESULT_QOS)
        node.create_subscription(
            ActionQuery, 'action_query', self._on_query, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        node.create_subscription(
            String, 'speech_text', self._on_speech, copy(QUERY_QOS),
            qos_overriding_options=overridable())
        self._server = GoalServer(
            node, self.action, self.action_name, self._on_goal, self._cancel, self.result)

    @abstractmethod
    def asked(self, query: Query) -> Asked:
        """
        Make what goes through the node of a query that came on a topic.

        :param query: the query.
        """

    @abstractmethod
    def read_goal(self, query: Query, goal: Any, image: Image | None) -> Asked:
        """
        Make what goes through the node of a goal.

        :param query: the goal's query.
        :param goal: the whole goal.
        :param image: the goal's own picture; None = it is about what the camera sees.
        """

    @abstractmethod
    def settle(self, wishes: Wishes, values: dict[str, Any], info: ModelInfo) -> AnswerSettings:
        """
        Decide how a query is answered.

        :param wishes: of its goal.
        :param values: of the parameters.
        :param info: the model.
        :raises LegoError: INVALID_SETTING.
        """

    @abstractmethod
    def answer(self, ask: Asked, engine: Engine, settings: AnswerSettings,
               token: CancelToken) -> Any:
        """
        Answer and publish; in the worker's thread.

        :param ask: the query.
        :param engine: what answers.
        :param settings: how.
        :param token: ends the answer.
        :returns: what :meth:`result` takes.
        """

    @abstractmethod
    def result(self, answered: Any) -> Any:
        """
        Make a goal's result.

        :param answered: of :meth:`answer`.
        """

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

    def lifecycle_publisher(self, kind: type, topic: str, qos: Any = RESULT_QOS) -> Any:
        """
        Make a publisher of answers, which is open while the node is active.

        :param kind: of the messages.
        :param topic: relative to the namespace.
        :param qos: its profile.
        """
        # A copy: rclpy writes overrides into the profile it is given.
        return self._node.create_lifecycle_publisher(
            kind, topic, copy(qos), qos_overriding_options=overridable())

    def tell(self, ask: Asked, stage: str, step: int = 0, steps: int = 0, **more: Any) -> None:
        """
        Tell the asker of a goal how it is coming along.

        :param ask: the query.
        :param stage: what is being done.
        :param step: tokens or denoising steps done.
        :param steps: how many there will be; 0 = not known.
        :param more: further fields of the action's feedback.
        """
        if ask.feedback is not None:
            ask.feedback(self.action.Feedback(stage=stage, step=step, steps=steps, **more))

    # --- In the executor's thread

    def _on_query(self, message: ActionQuery) -> None:
        self._begin(self.asked(Query(message.query_id, message.text)))

    def _on_speech(self, message: String) -> None:
        self._begin(self.asked(Query('', message.data)))

    def _on_goal(self, goal_handle: ServerGoalHandle) -> Job:
        goal = goal_handle.request
        ask = self.read_goal(Query(goal.query.query_id, goal.query.text), goal,
                             goal.image if messages.is_given(goal.image) else None)
        ask.feedback = goal_handle.publish_feedback
        return self._begin(ask)

    def _cancel(self, job: Job) -> None:
        # Without an engine it has ended, or is about to.
        engine = self._engine
        if engine is not None:
            engine.worker.cancel(job, ErrorCode.CANCELED, 'the caller cancelled the goal')

    def _begin(self, ask: Asked) -> Job:
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

    def _submit(self, ask: Asked) -> Job:
        engine = self._engine
        if engine is None:
            raise LegoError(
                ErrorCode.NOT_ACTIVE,
                'the node is not active; configure and activate it (ros2 lifecycle set), or '
                'start it with autostart:=true')
        values = read(self._node, self.parameters)
        ask.query = admit(ask.query, values['max_query_length'])
        settings = self.settle(ask.wishes, values, engine.model.info)
        if self.frame_of_arrival:
            self._take(ask, engine.camera)
        self.tell(ask, 'waiting')
        return engine.worker.submit(
            lambda token: self.answer(ask, engine, settings, token), self)

    def _conclude(self, ask: Asked, error: BaseException | None) -> None:
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

    def _take(self, ask: Asked, camera: ImageInput) -> None:
        """Take the newest camera frame, unless the goal brought a picture of its own."""
        if ask.image is None:
            ask.taken = camera.slot.take(
                lambda: self._node.get_clock().now().nanoseconds,
                self._node.get_parameter('max_frame_age').value)

    # --- In the worker's thread

    def frame(self, ask: Asked, camera: ImageInput) -> Frame:
        """
        Decode the picture that a query is about, and note its header.

        :param ask: the query.
        :param camera: where frames come from.
        :returns: the frame.
        :raises LegoError: NO_FRAME, STALE_FRAME or a code of the picture (20 to 25).
        """
        if ask.image is not None:
            frame = Frame(decode_image(ask.image), ask.image.header)
        else:
            if ask.taken is None:
                self._take(ask, camera)
            assert ask.taken is not None
            frame = camera.decode(*ask.taken)
        ask.header = frame.source
        return frame
