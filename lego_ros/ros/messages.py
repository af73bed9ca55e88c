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

"""From what the runtime knows to the messages that say it."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from lego_ros import __version__
from lego_ros.errors import LegoError
from lego_ros.msg import (
    ActionDescription,
    ActionFrame,
    EngineInfo,
    Provenance,
    QueryOutcome,
    StageTiming,
)
from lego_ros.ros.image_messages import encode_image
from lego_ros.runtime.model import AnswerSettings, ModelInfo
from lego_ros.runtime.queries import Query
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

MAX_QUERY_BYTES = 4096
MAX_TEXT_BYTES = 16384
MAX_ERROR_BYTES = 1024
MAX_STAGES = 32


def bounded(text: str, size: int) -> str:
    """
    Cut a text to the bound of a message's field.

    :param text: any text.
    :param size: bytes of UTF-8 at most.
    :returns: the text, cut between two characters where it is longer.
    """
    data = text.encode('utf-8', 'replace')
    return text if len(data) <= size and data.isascii() else data[:size].decode('utf-8', 'ignore')


def duration(seconds: float) -> Duration:
    """
    Convert.

    :param seconds: any sign.
    :returns: the message; its nanosec counts upwards from sec, also below zero.
    """
    sec, nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(sec=sec, nanosec=nanosec)


def provenance(info: ModelInfo, settings: AnswerSettings, age: int,
               stages: dict[str, float]) -> Provenance:
    """
    Say where an answer comes from.

    :param info: the model.
    :param settings: of the answer.
    :param age: of the source image when it was taken, in nanoseconds.
    :param stages: seconds for each stage.
    :returns: the message.
    """
    return Provenance(
        software_version=__version__,
        bundle=info.bundle, bundle_sha256=info.bundle_sha256, trained=info.trained,
        backend=info.backend, precision=info.precision, fingerprint=info.fingerprint,
        seed=settings.seed, steps=settings.steps, mode=settings.mode,
        image_scale=settings.image_scale, text_scale=settings.text_scale,
        temperature=settings.temperature,
        frame_age=duration(age * 1e-9),
        stages=[StageTiming(stage=name, duration=duration(seconds))
                for name, seconds in list(stages.items())[:MAX_STAGES]])


def action_description(header: Header, query: Query, text: str,
                       source: Provenance) -> ActionDescription:
    """
    Put the description into a message.

    :param header: of the source image.
    :param query: what was asked.
    :param text: R.
    :param source: where it comes from.
    :returns: the message.
    """
    return ActionDescription(
        header=header, query_id=query.query_id, query=bounded(query.text, MAX_QUERY_BYTES),
        action=bounded(query.action, MAX_QUERY_BYTES), text=bounded(text, MAX_TEXT_BYTES),
        provenance=source)


def action_frame(header: Header, query: Query, text: str, picture: np.ndarray,
                 source: Provenance) -> ActionFrame:
    """
    Put the action frame into a message.

    :param header: of the source image.
    :param query: what was asked.
    :param text: R.
    :param picture: (h, w, 3) uint8.
    :param source: where it comes from.
    :returns: the message.
    """
    return ActionFrame(
        header=header, query_id=query.query_id, query=bounded(query.text, MAX_QUERY_BYTES),
        action=bounded(query.action, MAX_QUERY_BYTES), description=bounded(text, MAX_TEXT_BYTES),
        image=encode_image(picture, header), provenance=source)


def query_outcome(header: Header, query_id: str, text: str, seconds: float,
                  error: LegoError | None) -> QueryOutcome:
    """
    Say how a query ended.

    :param header: of the source image, or of the moment.
    :param query_id: of the query.
    :param text: the question as it was asked.
    :param seconds: from its arrival to its end.
    :param error: why it failed; None = answered.
    :returns: the message.
    """
    return QueryOutcome(
        header=header, query_id=query_id, query=bounded(text, MAX_QUERY_BYTES),
        error_code=int(error.code) if error else 0,
        error_msg=bounded(error.message, MAX_ERROR_BYTES) if error else '',
        duration=duration(seconds))


def engine_info(stamp: Time, info: ModelInfo, load_seconds: float) -> EngineInfo:
    """
    Say what is loaded.

    :param stamp: when it was ready.
    :param info: the model.
    :param load_seconds: how long it took.
    :returns: the message.
    """
    return EngineInfo(
        header=Header(stamp=stamp),
        load_time=duration(load_seconds),
        **vars(info))


def is_given(image: Image) -> bool:
    """
    Tell whether a goal brings its own image.

    :param image: of the goal.
    :returns: False for the empty image that stands for "the latest camera frame".
    """
    return bool(image.width or image.height or image.step or image.encoding or len(image.data))
