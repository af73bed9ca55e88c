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

"""What a node tells about itself, as another process hears it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lego_ros.msg import EngineInfo
from lego_ros.ros.qos import LATCHED_QOS
from rclpy.node import Node


class NodeWatch:
    """
    Hear what a lego_node has loaded, and its diagnostics.

    :param node: the listener; it must be spun.
    :param name: of the lego_node, in the listener's namespace.
    """

    def __init__(self, node: Node, name: str = 'lego_node') -> None:
        self.info: EngineInfo | None = None
        """What is loaded; None = nothing yet."""
        self._name = node.get_namespace().rstrip('/') + f'/{name}'
        self._parts: dict[str, DiagnosticStatus] = {}
        node.create_subscription(
            EngineInfo, f'{self._name}/engine_info', self._on_info, LATCHED_QOS)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_info(self, message: EngineInfo) -> None:
        self.info = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, _, part = status.name.partition(': ')
            if node == self._name:
                self._parts[part] = status

    @property
    def failure(self) -> str | None:
        """Why the models could not be loaded; None = they could, or it is not known yet."""
        models = self._parts.get('models')
        if models is None or models.level != DiagnosticStatus.ERROR:
            return None
        return models.message

    def figures(self, part: str) -> dict[str, str]:
        """
        Give the newest figures of a part.

        :param part: ``models``, ``camera`` or ``answers``.
        :returns: by name; empty when nothing was heard yet.
        """
        status = self._parts.get(part)
        return {} if status is None else {pair.key: pair.value for pair in status.values}
