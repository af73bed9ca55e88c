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

"""The lifecycle of the nodes that answer by a model, and the model with it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, replace
from pathlib import Path
import time
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.msg import EngineInfo
from lego_ros.nodes.queries import Engine, Queries
from lego_ros.ros import messages
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.lego_diagnostics import LegoDiagnostics
from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.parameters import declare, read
from lego_ros.ros.qos import LATCHED_QOS
from lego_ros.runtime.model import ActionModel, Check, ModelChoice
from lego_ros.runtime.sharing import PROCESS_MODELS, SharedModels
from lego_ros.runtime.worker import Worker
from rclpy.exceptions import InvalidNamespaceException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.utilities import remove_ros_args
from rclpy.validate_namespace import validate_namespace

_SUCCESS = TransitionCallbackReturn.SUCCESS

_NO_ENGINE = (ErrorCode.BUNDLE_NOT_FOUND, ErrorCode.BUNDLE_MISMATCH, ErrorCode.BUNDLE_TAMPERED,
              ErrorCode.INVALID_SETTING)

LoadModel = Callable[[ModelChoice, Check], ActionModel]


def load_bundle(choice: ModelChoice, check: Check) -> ActionModel:
    """
    Load a model bundle.

    :param choice: of the model.
    :param check: called between the parts; raises LegoError to stop.
    :returns: the model.
    :raises LegoError: a BUNDLE code or INVALID_SETTING.
    """
    # torch and diffusers take seconds to import: not before they are needed.
    from lego_ros.bundle.making import default_bundle
    from lego_ros.runtime.lego_model import LegoModel

    check()
    path = Path(choice.bundle).expanduser() if choice.bundle else default_bundle()
    cache = Path(choice.engine_cache).expanduser() if choice.engine_cache else None
    return LegoModel(path, choice.device, choice.precision, check, choice.backend, cache)


class ModelNode(ManagedNode):
    """
    A lifecycle node that answers questions by a model.

    :param name: of the node.
    :param queries: the questions that it answers; their parameters, those of
        :data:`lego_ros.nodes.parameters.MODEL_PARAMETERS` among them, are the node's.
    :param load_model: makes the model; calls the second argument between its parts, which raises
        when the node shuts down.
    :param models: where the model is shared with the other nodes of the process.
    :param kwargs: for rclpy's node: ``namespace``, ``parameter_overrides``, ``context`` ...
    """

    def __init__(self, name: str, queries: type[Queries], load_model: LoadModel = load_bundle,
                 models: SharedModels = PROCESS_MODELS, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        declare(self, queries.parameters)
        self._load_model = load_model
        self._models = models
        self._key: Hashable = None
        self._worker: Worker | None = None
        self._model: ActionModel | None = None
        self._camera: ImageInput | None = None
        self._report = LegoDiagnostics(self)
        self._queries = queries(self, self._report)
        self._engine_info = self.create_publisher(EngineInfo, '~/engine_info', LATCHED_QOS)
        if self.get_parameter('autostart').value:
            self.autostart()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up the bundle; a failure leaves the node unconfigured."""
        return self._guard('configured', self._configure, self._report.refused)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera and answer."""
        return self._guard(
            'activated', lambda: self._activate(state), self._report.refused)

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

        A transition that runs in its thread is waited for; loading stops between two parts.
        """
        self._closing = True
        with self._transition:
            self._stop('the node shuts down')
            self._free()

    def destroy_node(self) -> None:
        """Leave the graph, the action server included."""
        self._queries.destroy()
        super().destroy_node()

    def _configure(self) -> None:
        values = read(self, self._queries.parameters)
        start = time.monotonic()
        choice = ModelChoice(**{field.name: values[field.name] for field in fields(ModelChoice)})
        key = (self._load_model, choice, values['fallback'])
        self._worker, (self._model, missed) = self._models.take(
            key, lambda: self._load(choice, values['fallback']), lambda loaded: loaded[0].close())
        self._key, info = key, self._model.info
        self._report.configured(info, missed)
        seconds = time.monotonic() - start
        self._engine_info.publish(messages.engine_info(
            self.get_clock().now().to_msg(), info, seconds))
        self.get_logger().info(
            f'bundle {info.bundle} {info.bundle_version} ready on {info.device} '
            f'({info.backend}, {info.precision}) after {seconds:.1f} s')
        if not info.trained:
            self.get_logger().warning(
                f"bundle '{info.bundle}' is untrained: its answers mean nothing")

    def _load(self, choice: ModelChoice, other: str) -> tuple[ActionModel, LegoError | None]:
        """Give the model, and why it is not run by the backend that was asked for, if so."""
        missed = None
        try:
            model = self._load_model(choice, self._check_open)
        except LegoError as error:
            if error.code not in _NO_ENGINE or other in ('error', choice.backend):
                raise
            self.get_logger().warning(f'{other} runs the bundle, not {choice.backend}: {error}')
            missed = error
            model = self._load_model(replace(choice, backend=other), self._check_open)
        model.warm_up()
        return model, missed

    def _activate(self, state: LifecycleState) -> None:
        assert self._worker is not None
        assert self._model is not None
        self._camera = ImageInput(self, self.get_parameter('image_transport').value)
        self._report.activated(self._camera)
        # The publishers first, so that the first answer finds them open.
        super().on_activate(state)
        self._queries.start(Engine(self._worker, self._model, self._camera))

    def _stop(self, reason: str) -> None:
        self._queries.stop(reason)
        if self._camera is not None:
            self._report.activated(None)
            self._camera.destroy()
            self._camera = None

    def _free(self) -> None:
        if self._worker is None:
            return
        self._worker = self._model = None
        self._report.configured(None)
        self._models.give_back(self._key)


def model_parser(name: str, description: str) -> argparse.ArgumentParser:
    """
    Make the parser of a node's own command line.

    :param name: of the executable.
    :param description: for its help.
    :returns: the parser; ``namespaces`` are those of the nodes.
    """
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument(
        '--namespaces', nargs='+', type=_namespace, default=[''], metavar='NS',
        help='of the nodes, one for each camera; models of the same settings are loaded once')
    return parser


def own_arguments(parser: argparse.ArgumentParser, args: Sequence[str] | None
                  ) -> argparse.Namespace:
    """
    Read what is not ROS's of a command line.

    :param parser: of it.
    :param args: command line with ``--ros-args``; None = the process's own.
    :returns: what is given.
    """
    return parser.parse_args(
        remove_ros_args(None if args is None else [parser.prog, *args])[1:])


def _namespace(text: str) -> str:
    try:
        validate_namespace(text if text.startswith('/') else f'/{text}')
    except InvalidNamespaceException as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
