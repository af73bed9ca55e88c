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

"""lego_node over real rclpy and Fast DDS, spun as its process spins it, and a client beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
from pathlib import Path
import threading
import time
from typing import Any
import uuid

from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lego_ros.errors import ErrorCode
from lego_ros.msg import (
    ActionDescription,
    ActionFrame,
    ActionProgram,
    ActionQuery,
    QueryOutcome,
)
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.ros.messages import bounded
from lego_ros.ros.process import Spinner
from lego_ros.runtime.instant_model import InstantModel, PROGRAM
from lego_ros.vllm.written import WrittenProgram
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

DEADLINE = 20.
_numbers = itertools.count()
CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE


class ProbeModel(InstantModel):
    """
    Counts its calls, and stops or fails in a stage when it is told to.

    ``hold`` names the stage whose steps wait for ``step()``; ``reached`` is set when one waits.
    ``failure`` is raised in the first step of ``fail_in``.
    """

    def __init__(self) -> None:
        self.steps = {'describe': 0, 'depict': 0, 'write': 0}
        self.answers: list[str] = []
        self.hold = ''
        self.reached = threading.Event()
        self.permits = threading.Semaphore(0)
        self.fail_in = ''
        self.failure: BaseException | None = None
        self.picture: Any = None
        self.program = WrittenProgram(PROGRAM, True, 0.5)
        self.written_from: list[str] = []
        self.closed = 0

    def describe(self, rgb, action, settings, check, on_token):
        self.answers.append(action)
        self._run('describe', 3, check, on_token)
        return super().describe(rgb, action, settings, check, on_token)

    def depict(self, rgb, description, settings, check, on_step):
        self._run('depict', settings.steps_taken, check, on_step)
        if self.picture is not None:
            return self.picture
        return super().depict(rgb, description, settings, check, lambda step, steps: None)

    def write_program(self, rgb, action, description, settings, check, on_text):
        self.written_from.append(description)
        self._run('write', 3, check,
                  lambda step, steps: on_text(step, self.program.text[:10 * step]))
        return self.program

    def close(self) -> None:
        self.closed += 1

    def step(self) -> None:
        """Let one held step go on."""
        self.permits.release()

    def free(self) -> None:
        """Hold nothing any more."""
        self.hold = ''
        self.permits.release()

    def _run(self, stage, steps, check, on_step):
        for step in range(steps):
            check()
            self.steps[stage] += 1
            if stage == self.fail_in:
                raise self.failure
            if stage == self.hold:
                self.reached.set()
                assert self.permits.acquire(timeout=DEADLINE), 'nobody let the step go on'
            on_step(step + 1, steps)


class Goal:
    """A goal as its caller sees it."""

    def __init__(self, lego: Lego, query_id: str, **fields: Any) -> None:
        self.query_id = query_id
        self.feedback: list[Any] = []
        self._lego = lego
        self.outcomes_before = len(lego.outcomes)
        sent = lego.actions.send_goal_async(
            lego.node._queries.action.Goal(**fields),
            feedback_callback=lambda message: self.feedback.append(message.feedback))
        self.handle = lego.result_of(sent)
        assert self.handle.accepted
        self._result = self.handle.get_result_async()

    def cancel(self) -> Any:
        """Cancel it; the answer of the server."""
        return self._lego.result_of(self.handle.cancel_goal_async())

    def end(self) -> tuple[int, Any]:
        """Wait for the end, its outcome on the topic included: status and result."""
        response = self._lego.result_of(self._result)
        self._lego.outcome_of(self.query_id, self.outcomes_before)
        return response.status, response.result

    def stages(self) -> list[str]:
        """List the stages that feedback named, each once."""
        return list(dict.fromkeys(message.stage for message in self.feedback))


class Lego:
    """
    One node and its client, each in a context of its own.

    :param model: what the node loads; None = real bundles.
    """

    def __init__(self, model: Any = None, namespace: str = '', make: Callable = LegoNode,
                 parameters: dict[str, Any] | None = None, up: bool = True,
                 **arguments: Any) -> None:
        self.model = model
        # Of its own, so that no two tests' nodes hear each other.
        namespace = self.namespace = namespace or f'/robot{next(_numbers)}'
        self._context, self._client_context = rclpy.Context(), rclpy.Context()
        rclpy.init(context=self._context)
        rclpy.init(context=self._client_context)
        if model is not None:
            arguments.setdefault('load_model', lambda *_: model)
        self.node = make(
            context=self._context, namespace=namespace, **arguments,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in (parameters or {}).items()])
        for timer in self.node.timers:
            # Diagnostics once a second would make the tests slow.
            if timer.timer_period_ns == 1_000_000_000:
                timer.timer_period_ns = 50_000_000
                timer.reset()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._spinner = Spinner(self._executor)
        self._make_client(namespace)
        if up:
            assert self.change(CONFIGURE)
            assert self.change(ACTIVATE)

    def _make_client(self, namespace: str) -> None:
        client = self.client = Node('client', context=self._client_context, namespace=namespace)
        self._client_executor = SingleThreadedExecutor(context=self._client_context)
        self._client_executor.add_node(client)
        name = self.node.get_name()
        self.descriptions: list[ActionDescription] = []
        self.frames: list[ActionFrame] = []
        self.programs: list[ActionProgram] = []
        self.outcomes: list[QueryOutcome] = []
        self.diagnostics: list[DiagnosticArray] = []
        subscriptions = [
            client.create_subscription(kind, topic, store.append, 10) for kind, topic, store in (
                (ActionDescription, 'action_description', self.descriptions),
                (ActionFrame, 'action_frame', self.frames),
                (ActionProgram, 'action_program', self.programs),
                (QueryOutcome, self.node._queries.outcome_topic, self.outcomes),
                (DiagnosticArray, '/diagnostics', self.diagnostics))]
        self.queries = client.create_publisher(ActionQuery, 'action_query', 10)
        self.speech = client.create_publisher(String, 'speech_text', 10)
        self.camera = client.create_publisher(Image, 'image', 1)
        self.compressed_camera = client.create_publisher(CompressedImage, 'image/compressed', 1)
        self.actions = ActionClient(
            client, self.node._queries.action, self.node._queries.action_name,
            # A stand-in's steps come in a burst, which the default depth of 10 does not hold.
            feedback_sub_qos_profile=QoSProfile(depth=100))
        self._change = client.create_client(ChangeState, f'{name}/change_state')
        self._state = client.create_client(GetState, f'{name}/get_state')
        self._parameters = AsyncParameterClient(client, name)
        topics = {subscription.topic_name for subscription in subscriptions}
        self.wait(lambda: (
            self.actions.server_is_ready() and self._change.service_is_ready()
            and self._state.service_is_ready() and self._parameters.services_are_ready()
            and self.queries.get_subscription_count() and self.speech.get_subscription_count()
            and all(publisher.get_subscription_count() for publisher in self.node.publishers
                    if publisher.topic_name in topics)), 'node and client never met')

    def wait(self, condition: Callable[[], Any], what: str = 'it never came true',
             seconds: float = DEADLINE) -> Any:
        """Receive until a condition holds; its value."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert self._spinner.crash is None, self._spinner.crash
            assert time.monotonic() < deadline, what
            self._client_executor.spin_once(timeout_sec=0.01)
        return value

    def result_of(self, future: Any) -> Any:
        """Wait for a future of the client."""
        self.wait(future.done, 'no response')
        return future.result()

    # --- Lifecycle and parameters

    def change(self, transition: int) -> bool:
        """Ask for a transition; whether it succeeded."""
        return self.result_of(self.change_later(transition)).success

    def change_later(self, transition: int) -> Any:
        """Ask for a transition; the future of the response."""
        return self._change.call_async(ChangeState.Request(transition=Transition(id=transition)))

    @property
    def state(self) -> str:
        """Ask for the label of the state."""
        return self.result_of(self._state.call_async(GetState.Request())).current_state.label

    def set_parameters(self, **values: Any) -> list[Any]:
        """Set parameters as ros2 param does; the results."""
        return self.result_of(self._parameters.set_parameters(
            [Parameter(name, value=value) for name, value in values.items()])).results

    def get(self, name: str) -> Any:
        """Read one parameter."""
        values = self.result_of(self._parameters.get_parameters([name])).values
        return rclpy.parameter.parameter_value_to_python(values[0])

    # --- Camera and questions

    def show(self, image: Image | None = None, **fields: Any) -> Image:
        """Publish a frame, stamped now, and wait until the node has it."""
        image = image or self.picture(**fields)
        publisher = self.camera if isinstance(image, Image) else self.compressed_camera
        if not (image.header.stamp.sec or image.header.stamp.nanosec):
            image.header.stamp = self.client.get_clock().now().to_msg()
        image.header.frame_id = image.header.frame_id or 'camera_optical_frame'
        self.wait(publisher.get_subscription_count, 'the node does not listen to the camera')
        publisher.publish(image)
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        self.wait(lambda: (newest := self.node._camera.slot.refresh()) and newest.stamp == stamp,
                  'the frame never arrived')
        return image

    @staticmethod
    def picture(width: int = 64, height: int = 48, encoding: str = 'rgb8', channels: int = 3,
                depth: int = 1, value: int | None = None) -> Image:
        """Make an image message of a gradient, or of one value."""
        row = width * channels * depth
        data = np.arange(row * height, dtype=np.uint32).astype(np.uint8)
        if value is not None:
            data[:] = value
        message = Image(width=width, height=height, encoding=encoding, step=row)
        message.data = data.tobytes()
        return message

    def ask(self, text: str = 'open the drawer', query_id: str | None = None, **fields: Any
            ) -> Goal:
        """Send a goal; without an id it gets one here."""
        query_id = uuid.uuid4().hex if query_id is None else query_id
        return Goal(self, query_id, query=ActionQuery(text=text, query_id=query_id), **fields)

    def ask_by_topic(self, text: str = 'open the drawer', query_id: str | None = None
                     ) -> QueryOutcome:
        """Publish a query and wait for its outcome; without an id it gets one here."""
        query_id = uuid.uuid4().hex if query_id is None else query_id
        count = len(self.outcomes)
        self.queries.publish(ActionQuery(text=text, query_id=query_id))
        return self.outcome_of(query_id, count)

    def outcome_of(self, query_id: str, start: int = 0) -> QueryOutcome:
        """Wait for the outcome of a query; with an empty id the next one."""
        wanted = bounded(query_id, 64)
        return self.wait(lambda: next(
            (outcome for outcome in self.outcomes[start:]
             if not wanted or outcome.query_id == wanted), None), 'no outcome')

    # --- What tests hold it against

    def status(self, part: str, condition: Callable[[DiagnosticStatus, dict], Any]
               ) -> DiagnosticStatus:
        """Wait for a report of /diagnostics, from now on, that fulfils a condition."""
        del self.diagnostics[:]
        name = f'{self.node.get_fully_qualified_name()}: {part}'
        last = None

        def find() -> DiagnosticStatus | None:
            nonlocal last
            for array in self.diagnostics:
                for status in array.status:
                    if status.name == name:
                        last = status
                        if condition(status, {pair.key: pair.value for pair in status.values}):
                            return status
            return None
        try:
            return self.wait(find)
        except AssertionError:
            raise AssertionError(f'/diagnostics never said so, but {last}') from None

    def expect_refused(self, goal: Goal, code: ErrorCode, *words: str) -> None:
        """Check that a goal ends ABORTED; result, outcome and diagnostics name code and reason."""
        status, result = goal.end()
        assert status == GoalStatus.STATUS_ABORTED
        assert ErrorCode(result.error_code) == code, result.error_msg
        assert all(word in result.error_msg for word in words), result.error_msg
        assert result == type(result)(error_code=result.error_code, error_msg=result.error_msg)
        outcome = self.outcome_of(goal.query_id, goal.outcomes_before)
        assert (outcome.error_code, outcome.error_msg) == (code, result.error_msg)
        self.expect_reported(code, *words)

    def expect_outcome(self, outcome: QueryOutcome, code: ErrorCode, *words: str) -> None:
        """Check that a query by topic failed; outcome and diagnostics name code and reason."""
        assert ErrorCode(outcome.error_code) == code, outcome.error_msg
        assert all(word in outcome.error_msg for word in words), outcome.error_msg
        self.expect_reported(code, *words)

    def expect_reported(self, code: ErrorCode, *words: str) -> None:
        """Check that the report of the last query in /diagnostics names code and reason."""
        status = self.status(
            'answers', lambda status, values: values.get('last_error_code') == code.name)
        assert status.level == DiagnosticStatus.WARN
        assert all(word in status.message for word in words), status.message

    def expect_answered(self, **fields: Any) -> ActionFrame:
        """Check that the next good query is answered, and diagnostics are content again."""
        if 'image' not in fields:
            self.show()
        status, result = self.ask(**fields).end()
        assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0), result.error_msg
        assert result.action_frame.image.width
        self.status('answers', lambda status, values: (
            status.level == DiagnosticStatus.OK and 'last_error_code' not in values))
        return result.action_frame

    def close(self) -> None:
        """End it as its process does."""
        if isinstance(self.model, ProbeModel):
            self.model.free()
        self.node.close()
        self._client_executor.shutdown()
        self.client.destroy_node()
        self._client_context.try_shutdown()
        self._spinner.stop()
        self.node.destroy_node()
        self._context.try_shutdown()
        assert self._spinner.crash is None, self._spinner.crash


@pytest.fixture
def start() -> Iterator[Callable[..., Lego]]:
    """Start a node of its own for a test."""
    running: list[Lego] = []

    def start(model: Any = None, real: bool = False, **options: Any) -> Lego:
        running.append(Lego(None if real else model or ProbeModel(), **options))
        return running[-1]
    yield start
    for lego in running:
        lego.close()


@pytest.fixture(scope='module')
def shared() -> Iterator[Lego]:
    """Share one node among the tests of a module: each leaves it ready for the next."""
    lego = Lego(ProbeModel())
    yield lego
    lego.close()


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the real tiny bundle once."""
    from lego_ros.bundle.making import make_tiny

    folder = tmp_path_factory.mktemp('bundles') / 'tiny'
    make_tiny(folder)
    return folder
