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

"""The samples of a stage on their way to the model, with names that a message can give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lego_ros.training.run.draws import Draw
import torch
from torch import Tensor
from torch.utils.data import Dataset


class TrainingData(Protocol):
    """The samples of a stage; the same draw always gives the same sample."""

    def __len__(self) -> int:
        """Give the number of samples."""
        ...

    def __getitem__(self, draw: Draw) -> Any:
        """Make a sample."""
        ...

    def name(self, index: int) -> str:
        """Name a sample for messages."""
        ...


class NamedSamples(Dataset):
    """
    Samples with their names, so that a message can say which one was bad.

    :param data: the samples.
    """

    def __init__(self, data: TrainingData) -> None:
        self._data = data

    def __len__(self) -> int:
        """Give the number of samples."""
        return len(self._data)

    def __getitem__(self, draw: Draw) -> tuple[str, Any]:
        """Give a sample's name and the sample."""
        return self._data.name(draw.index), self._data[draw]


class NamedCollate:
    """
    Collates samples beside their names; a class, since a closure cannot go to a loader.

    :param collate: makes a batch of samples.
    """

    def __init__(self, collate: Callable[[list], Any]) -> None:
        self._collate = collate

    def __call__(self, named: list[tuple[str, Any]]) -> tuple[list[str], Any]:
        """Give the names and the batch."""
        return [name for name, _ in named], self._collate([sample for _, sample in named])


def to_device(batch: Any, device: torch.device) -> Any:
    """
    Bring the tensors of a batch to a device.

    :param batch: tensors in dicts, lists and tuples; anything else stays as it is.
    :param device: where they are to be.
    :returns: the batch.
    """
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [to_device(value, device) for value in batch]
    return batch
