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

"""A finished training's network, with how it was shown clips."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Annotated

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
from lego_ros.leap.config import Task
from lego_ros.leap.network import CLASSES, CONFIG, LeapNetwork, WEIGHTS
from pydantic import BaseModel, ConfigDict, Field, ValidationError

RESULT, RECORD = 'result', 'training.json'
"""In the folder of a training: the network, and what it was trained with."""
_MAX_RECORD_BYTES = 1 << 20
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """
    A network, and what has to be known to use it.

    :param name: of its training's folder.
    :param sha256: of its files, hexadecimal.
    :param network: on the CPU, in evaluation mode.
    :param lead: tau_a, seconds: of anticipation; 0 for recognition.
    :param span: length of each of anticipation's clips, seconds; None = the training counted in
        frames of its videos, or it is recognition, which sees whole actions.
    :param span_frames: likewise, in frames.
    """

    name: str
    sha256: str
    network: LeapNetwork
    lead: float
    span: float | None
    span_frames: int

    @property
    def clips(self) -> int:
        """Give Q, how many clips one after the other it is shown."""
        config = self.network.config
        return max(1, config.aggregated_clips) if config.task == 'anticipation' else 1


def load_trained(folder: Path, task: Task) -> TrainedNetwork:
    """
    Load the network of a finished training.

    :param folder: given to the training, with ``training.json`` and ``result``.
    :param task: that the network must have.
    :returns: the network.
    :raises LegoError: SOURCE_UNREADABLE, it is no such folder, or a file is missing or damaged;
        INVALID_SETTING, the network is of another task, or its configuration is wrong.
    """
    anticipation = _read_record(folder / RECORD)
    result = folder / RESULT
    network = LeapNetwork.load(result)
    if network.config.task != task:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"the network in '{folder}' was trained for {network.config.task}, and "
                        f'{task} is wanted: name the folder of another training')
    ahead = task == 'anticipation'
    return TrainedNetwork(
        folder.resolve().name, sha256_of(*(result / name for name in (CONFIG, CLASSES, WEIGHTS))),
        network, anticipation.lead if ahead else 0.0,
        anticipation.span_seconds if ahead else None, anticipation.span_frames)


class _Anticipation(BaseModel):
    model_config = ConfigDict(extra='forbid')

    lead: _Seconds
    span_frames: Annotated[int, Field(ge=1)]
    span_seconds: _Seconds | None


class _Settings(BaseModel):
    anticipation: _Anticipation


class _Record(BaseModel):
    settings: _Settings


def _read_record(path: Path) -> _Anticipation:
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise ValueError(f'it has more than {_MAX_RECORD_BYTES:,} bytes')
        return _Record.model_validate(
            json.loads(path.read_text(encoding='utf-8'))).settings.anticipation
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f'{".".join(map(str, first["loc"])) or "the whole"}: {first["msg"]}'
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
    raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                    f"'{path.parent}' is no folder of a finished LEAP training: {path.name} "
                    f'cannot be used: {reason}')
