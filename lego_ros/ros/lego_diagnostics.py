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

"""What lego_node tells /diagnostics."""

from __future__ import annotations

from collections import Counter
import threading

from lego_ros.errors import LegoError
from lego_ros.ros.camera_diagnostics import CameraStatus
from lego_ros.ros.diagnostics import Diagnostics, ERROR, Status, WARN
from lego_ros.ros.image_input import ImageInput
from lego_ros.runtime.model import ModelInfo
from lego_ros.runtime.timings import StageHistory
from rclpy.node import Node


class LegoDiagnostics:
    """
    Figures of the node's three parts: models, camera, answers. Thread-safe.

    :param node: the node that reports.
    """

    def __init__(self, node: Node) -> None:
        self._info: ModelInfo | None = None
        self._camera = CameraStatus(node)
        self._failure: LegoError | None = None
        self._missed: LegoError | None = None
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._last_problem: LegoError | None = None
        self._stages = StageHistory()
        diagnostics = Diagnostics(node)
        diagnostics.add('models', self._models)
        diagnostics.add('camera', self._camera)
        diagnostics.add('answers', self._answers)

    def configured(self, info: ModelInfo | None, missed: LegoError | None = None) -> None:
        """
        Note what is loaded.

        :param info: the model; None = none.
        :param missed: why another backend than the one asked for runs it; None = it does not.
        """
        self._info, self._failure, self._missed = info, None, _bare(missed)

    def activated(self, camera: ImageInput | None) -> None:
        """
        Note which camera is listened to.

        :param camera: None = none, the node is not active.
        """
        self._camera.camera, self._failure = camera, None

    def refused(self, failure: LegoError) -> None:
        """
        Note why the node could not be configured or activated; the next success ends it.

        :param failure: the reason.
        """
        self._failure = _bare(failure)

    def answered(self, durations: dict[str, float]) -> None:
        """
        Note the stage times of an answer.

        :param durations: seconds for each stage.
        """
        self._stages.add(durations)

    def conclude(self, problem: LegoError | None) -> None:
        """
        Note how a query ended.

        :param problem: why it failed; None = answered.
        """
        with self._lock:
            self._outcomes[problem.code.name if problem else 'NONE'] += 1
            self._last_problem = _bare(problem)

    def _models(self, status: Status) -> None:
        failure, info = self._failure, self._info
        if failure is not None:
            status.raise_to(ERROR, str(failure))
            status.values['error_code'] = failure.code.name
            return
        if info is None:
            status.message = 'not configured'
            return
        status.message = f'bundle {info.bundle} {info.bundle_version} on {info.device}'
        status.values.update(vars(info))
        if self._missed is not None:
            status.raise_to(WARN, f'{info.backend} runs the bundle instead: {self._missed}')
        if not info.trained:
            status.raise_to(WARN, f"bundle '{info.bundle}' is untrained: answers mean nothing")

    def _answers(self, status: Status) -> None:
        with self._lock:
            outcomes, problem = dict(self._outcomes), self._last_problem
        status.values['answered'] = outcomes.pop('NONE', 0)
        status.values.update({f'failed_{name}': count for name, count in outcomes.items()})
        for stage, (last, median, slow) in self._stages.summary().items():
            status.values[f'{stage}_last_ms'] = f'{last * 1e3:.1f}'
            status.values[f'{stage}_p50_ms'] = f'{median * 1e3:.1f}'
            status.values[f'{stage}_p99_ms'] = f'{slow * 1e3:.1f}'
        if problem is not None:
            status.values['last_error_code'] = problem.code.name
            status.raise_to(WARN, f'the last query ended with {problem}')


def _bare(error: LegoError | None) -> LegoError | None:
    """Copy a problem without its traceback, which keeps the frames it went through alive."""
    return None if error is None else LegoError(error.code, error.message)
