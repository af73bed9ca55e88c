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

"""What networks say of a camera's last seconds, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lego_ros import __version__
from lego_ros.msg import (
    ActionPrediction,
    ActionProgram,
    ActionRecognition,
    ActionScore,
    Provenance,
    StageTiming,
)
from lego_ros.programs.checking import check
from lego_ros.ros.messages import bounded, duration
from lego_ros.ros.program_messages import fact_messages, to_message
from rclpy.time import Time
from std_msgs.msg import Header

if TYPE_CHECKING:
    from lego_ros.leap.decoding import DecodedProgram
    from lego_ros.leap.live import Watcher
    from lego_ros.leap.recogniser import Recognition

MAX_LABEL_BYTES = 256
MAX_AFTER = 64


def action_recognition(header: Header, said: Sequence[tuple[Watcher, Recognition, float]],
                       age: int) -> ActionRecognition:
    """
    Put what was recognised into a message.

    :param header: of the newest frame.
    :param said: by each network, with the seconds that it took; recognition first.
    :param age: of the newest frame when it was looked at, nanoseconds.
    :returns: the message; its program is that of the last of the networks.
    """
    message = ActionRecognition(header=header)
    for watcher, recognition, seconds in said:
        source = _provenance(watcher, age, seconds)
        prediction = _prediction(header, watcher, recognition, source)
        if watcher.task == 'recognition':
            message.current = [prediction]
        else:
            message.next = [prediction]
        message.program = _program(header, recognition.program, source)
        message.after = fact_messages(recognition.program.after[:MAX_AFTER])
    return message


def _prediction(header: Header, watcher: Watcher, recognition: Recognition, source: Provenance
                ) -> ActionPrediction:
    sight = watcher.sight
    begin = Time.from_msg(header.stamp).nanoseconds - sight.clips * sight.span
    return ActionPrediction(
        # A message knows no time before 1970; a camera's clock may count from its start.
        begin=Time(nanoseconds=max(0, begin)).to_msg(), lead=duration(watcher.lead),
        actions=[_score(*watcher.words(each.name), each.score) for each in recognition.actions],
        verbs=[_score(each.name, '', each.score) for each in recognition.verbs],
        nouns=[_score('', each.name, each.score) for each in recognition.nouns],
        provenance=source)


def _score(verb: str, noun: str, score: float) -> ActionScore:
    return ActionScore(verb=bounded(verb, MAX_LABEL_BYTES), noun=bounded(noun, MAX_LABEL_BYTES),
                       score=score)


def _program(header: Header, decoded: DecodedProgram, source: Provenance) -> list[ActionProgram]:
    if decoded.program is None:
        return []
    message = to_message(decoded.program, check(decoded.program))
    message.header = header
    message.confidence = decoded.confidence
    message.provenance = source
    return [message]


def _provenance(watcher: Watcher, age: int, seconds: float) -> Provenance:
    return Provenance(
        software_version=__version__, bundle=bounded(watcher.name, 128),
        bundle_sha256=watcher.sha256, trained=True, backend='torch', precision='float32',
        fingerprint=watcher.fingerprint, frame_age=duration(age * 1e-9),
        stages=[StageTiming(stage=watcher.task, duration=duration(seconds))])
