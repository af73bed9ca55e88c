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

"""What program_node answers: an action program."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from lego_ros.action import GenerateActionProgram
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.msg import ActionProgram, ActionRecognition
from lego_ros.nodes.parameters import PROGRAM_PARAMETERS
from lego_ros.nodes.queries import Ask, Engine, Queries
from lego_ros.programs.checking import check
from lego_ros.programs.context import begun_from
from lego_ros.ros import messages
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.program_messages import action_program, read_facts
from lego_ros.ros.qos import overridable, RESULT_QOS
from lego_ros.runtime.answering import answer_by_program, ProgramAnswer, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import AnswerSettings, ModelInfo
from lego_ros.runtime.queries import Query, Wishes
from rclpy.time import Time
from sensor_msgs.msg import Image


@dataclass
class ProgramAsk(Ask):
    """
    A query for a program.

    :param description: R, where the asker has it.
    :param context: what was recognised when it was asked; None = nothing that counts.
    """

    description: str = ''
    context: ActionRecognition | None = None


class ProgramQueries(Queries[ProgramAsk]):
    """See :class:`lego_ros.nodes.queries.Queries`."""

    parameters = PROGRAM_PARAMETERS
    action = GenerateActionProgram
    action_name = 'generate_action_program'
    outcome_topic = 'program_outcome'
    # An action frame of the same question may be drawn first, and a program is about what the
    # asker saw, not about what the scene has become since.
    frame_of_arrival = True

    def __init__(self, node: ManagedNode, report: LegoDiagnostics) -> None:
        super().__init__(node, report)
        self._programs = self.lifecycle_publisher(ActionProgram, 'action_program')
        self._recognition: ActionRecognition | None = None
        node.create_subscription(
            ActionRecognition, 'action_recognition', self._on_recognition, copy(RESULT_QOS),
            qos_overriding_options=overridable())

    def asked(self, query: Query) -> ProgramAsk:
        """See :meth:`Queries.asked`."""
        return ProgramAsk(query, context=self._context())

    def read_goal(self, query: Query, goal: Any, image: Image | None) -> ProgramAsk:
        """See :meth:`Queries.read_goal`."""
        # What the camera shows says nothing of a picture that the asker brings.
        return ProgramAsk(query, image, Wishes(goal.seed), description=goal.description,
                          context=self._context() if image is None else None)

    def settle(self, wishes: Wishes, values: dict[str, Any], info: ModelInfo) -> AnswerSettings:
        """See :meth:`Queries.settle`."""
        return wishes.settle(Wishes(values['seed']), values['temperature'], 'exact', info)

    def answer(self, ask: ProgramAsk, engine: Engine, settings: AnswerSettings,
               token: CancelToken) -> ActionProgram:
        """See :meth:`Queries.answer`."""
        result = answer_by_program(
            engine.model, ask.query.action, lambda: self.frame(ask, engine.camera),
            ask.description, settings, token,
            Progress(lambda *progress: self.tell(ask, *progress),
                     written=lambda count, text: self.tell(ask, 'write', count, text=text)))
        facts = () if ask.context is None else read_facts(ask.context.after)
        program, recognised = begun_from(result.program, facts)
        if recognised:
            result = replace(result, program=program, violations=check(program))
        if result.violations and not self._node.get_parameter('publish_unsound').value:
            raise _unsound(result)
        source = messages.provenance(engine.model.info, settings, result.frame.age,
                                     result.timer.durations)
        if ask.context is not None and recognised:
            source.recognition = ask.context.header.stamp
        message = action_program(result, ask.query, source, recognised)
        self._programs.publish(message)
        self._report.answered(result.timer.durations)
        return message

    def result(self, answered: ActionProgram) -> Any:
        """See :meth:`Queries.result`."""
        return GenerateActionProgram.Result(action_program=answered)

    def _on_recognition(self, message: ActionRecognition) -> None:
        self._recognition = message

    def _context(self) -> ActionRecognition | None:
        """Give the newest recognition, unless it is too old; or too new, after a jump in time."""
        newest = self._recognition
        oldest = self._node.get_parameter('max_recognition_age').value
        if newest is None or not oldest:
            return None
        age = self._node.get_clock().now().nanoseconds - Time.from_msg(
            newest.header.stamp).nanoseconds
        return newest if abs(age) <= oldest * 1e9 else None


def _unsound(result: ProgramAnswer) -> LegoError:
    count = len(result.violations)
    return LegoError(
        ErrorCode.PROGRAM_UNMET,
        f'the program that was written cannot be done ({count} '
        f'violation{"s" * (count != 1)}): {"; ".join(map(str, result.violations[:3]))}. Ask again '
        'with another seed, or set publish_unsound to have such programs published')
