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

"""What lego_node answers: a description and an action frame."""

from __future__ import annotations

from typing import Any

from lego_ros.action import GenerateActionFrame
from lego_ros.msg import ActionDescription, ActionFrame
from lego_ros.nodes.parameters import LEGO_PARAMETERS
from lego_ros.nodes.queries import Ask, Engine, Queries
from lego_ros.ros import messages
from lego_ros.ros.image_messages import encode_compressed
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS
from lego_ros.runtime.answering import answer, Frame, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import AnswerSettings, Description, ModelInfo
from lego_ros.runtime.queries import Query, Wishes
from lego_ros.runtime.timings import StageTimer
from sensor_msgs.msg import CompressedImage, Image


class LegoQueries(Queries[Ask]):
    """See :class:`lego_ros.nodes.queries.Queries`."""

    parameters = LEGO_PARAMETERS
    action = GenerateActionFrame
    action_name = 'generate_action_frame'
    outcome_topic = 'query_outcome'
    frame_of_arrival = False

    def __init__(self, node: ManagedNode, report: LegoDiagnostics) -> None:
        super().__init__(node, report)
        self._descriptions = self.lifecycle_publisher(ActionDescription, 'action_description')
        self._frames = self.lifecycle_publisher(ActionFrame, 'action_frame')
        self._images = self.lifecycle_publisher(Image, 'action_frame/image', IMAGE_PUBLISHER_QOS)
        self._compressed_images = self.lifecycle_publisher(
            CompressedImage, 'action_frame/image/compressed', IMAGE_PUBLISHER_QOS)

    def asked(self, query: Query) -> Ask:
        """See :meth:`Queries.asked`."""
        return Ask(query)

    def read_goal(self, query: Query, goal: Any, image: Image | None) -> Ask:
        """See :meth:`Queries.read_goal`."""
        return Ask(query, image, Wishes(
            goal.seed, goal.steps, goal.image_scale, goal.text_scale))

    def settle(self, wishes: Wishes, values: dict[str, Any], info: ModelInfo) -> AnswerSettings:
        """See :meth:`Queries.settle`."""
        defaults = Wishes(
            values['seed'], values['steps'], values['image_scale'], values['text_scale'])
        return wishes.settle(defaults, values['temperature'], values['mode'], info)

    def answer(self, ask: Ask, engine: Engine, settings: AnswerSettings, token: CancelToken
               ) -> ActionFrame:
        """See :meth:`Queries.answer`."""
        query, info = ask.query, engine.model.info

        def described(frame: Frame, description: Description, timer: StageTimer) -> None:
            self._descriptions.publish(messages.action_description(
                frame.source, query, description.text,
                messages.provenance(info, settings, frame.age, timer.durations)))
            self.tell(ask, 'described', description=messages.bounded(
                description.text, messages.MAX_TEXT_BYTES))

        result = answer(
            engine.model, query.action, lambda: self.frame(ask, engine.camera), settings, token,
            Progress(lambda *progress: self.tell(ask, *progress), described))
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

    def result(self, answered: ActionFrame) -> Any:
        """See :meth:`Queries.result`."""
        return GenerateActionFrame.Result(action_frame=answered)
