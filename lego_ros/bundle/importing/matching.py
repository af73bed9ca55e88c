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

"""Putting weights into a network, every one of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lego_ros.errors import ErrorCode, LegoError
import torch

Network = TypeVar('Network', bound=torch.nn.Module)
_SHOWN = 12


def fill(network: Network, weights: Mapping[str, torch.Tensor], source: str) -> Network:
    """
    Give a network its weights, without copying them.

    :param network: on the meta device: names and shapes, no memory.
    :param weights: by the network's own names, any float type.
    :param source: what the weights are and where they come from, for the error.
    :returns: the network, in evaluation mode; its weights are the tensors given.
    :raises LegoError: BUNDLE_MISMATCH with the weights that are missing, unknown or of another
        shape or type.
    """
    wanted = network.state_dict()
    both = sorted(wanted.keys() & weights.keys())
    check(source, {
        'missing': sorted(wanted.keys() - weights.keys()),
        'unknown': sorted(weights.keys() - wanted.keys()),
        'of another shape': [
            f'{name} {tuple(weights[name].shape)} instead of {tuple(wanted[name].shape)}'
            for name in both if weights[name].shape != wanted[name].shape],
        'no floating-point numbers': [
            name for name in both if not weights[name].is_floating_point()],
    })
    network.load_state_dict(dict(weights), assign=True)
    return network.eval()


def check(source: str, faults: Mapping[str, list[str]]) -> None:
    """
    Refuse weights with faults.

    :param source: what the weights are and where they come from.
    :param faults: names of weights by what is wrong with them.
    :raises LegoError: BUNDLE_MISMATCH when there is any; it names them.
    """
    told = [
        f'{len(names)} {fault}: {", ".join(name[:160] for name in names[:_SHOWN])}'
        f'{", ..." if len(names) > _SHOWN else ""}'
        for fault, names in faults.items() if names]
    if told:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f'The weights of {source} are of another architecture or damaged; {"; ".join(told)}')
