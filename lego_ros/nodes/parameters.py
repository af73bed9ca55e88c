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

"""What the nodes can be told; the README's tables are made from these."""

from __future__ import annotations

from lego_ros.ros.parameters import Parameter
from lego_ros.runtime.model import ENGINE_BACKENDS, MODES, PRECISIONS

MODEL_PARAMETERS = (
    Parameter(
        'bundle', '', 'Folder of the model bundle; empty = the one that comes with the package.',
        read_only=True),
    Parameter(
        'device', 'auto', 'Where the models run: auto (a GPU where there is one), cpu, cuda or '
        'cuda:N.', read_only=True),
    Parameter(
        'precision', 'float32', 'Number format of weights and activations.',
        choices=PRECISIONS, read_only=True),
    Parameter(
        'backend', 'torch', 'What runs the networks: torch as they are, the others by engines '
        'that lego-ros engine build has built.', choices=('torch', *ENGINE_BACKENDS),
        read_only=True),
    Parameter(
        'engine_cache', '', "Folder of the engines; empty = the user's.", read_only=True),
    Parameter(
        'fallback', 'error', 'What runs the networks where their engines are missing, foreign or '
        'damaged: error = nothing, the node is not configured.',
        choices=('error', 'torch', *ENGINE_BACKENDS), read_only=True),
    Parameter(
        'image_transport', 'raw', 'Which camera topic to listen to: raw = image, compressed = '
        'image/compressed.', choices=('raw', 'compressed'), read_only=True),
    Parameter(
        'autostart', False, 'Configure and activate at start, without a lifecycle manager.',
        read_only=True),
)
"""Of every node that answers by a model."""

QUERY_PARAMETERS = (
    Parameter(
        'seed', 0, 'Seed of the answers; 0 = another one for each query.',
        minimum=0, maximum=2**63 - 1),
    Parameter(
        'temperature', 0.2, "Temperature of the VLLM's sampling; 0 = greedy.",
        minimum=0, maximum=2),
    Parameter(
        'max_frame_age', 1.0, 'Oldest camera frame that a query is answered from; 0 = any.',
        unit='s', minimum=0, maximum=3600),
    Parameter(
        'max_query_length', 512, 'Longest question.', unit='characters',
        minimum=1, maximum=1000),
)
"""Likewise, of how it answers."""

LEGO_PARAMETERS = (
    *MODEL_PARAMETERS,
    Parameter('steps', 0, "Denoising steps; 0 = the bundle's.", minimum=0, maximum=1000),
    Parameter(
        'mode', 'exact', 'How the action frame is drawn: exact = by all denoising steps; fast = '
        'by 20 of them at most, two thirds of them guided: nearly the exact picture of the same '
        'seed, not quite.', choices=MODES),
    Parameter(
        'image_scale', 0.0, "Guidance scale s_x of the input frame; 0 = the bundle's (1.5 in the "
        'paper). Higher stays closer to the frame.', minimum=0, maximum=50),
    Parameter(
        'text_scale', 0.0, 'Guidance scale s_c of description and VLLM embeddings; 0 = the '
        "bundle's (7.5 in the paper). Higher follows the description more.",
        minimum=0, maximum=50),
    *QUERY_PARAMETERS,
)
"""Of lego_node."""

PROGRAM_PARAMETERS = (
    *MODEL_PARAMETERS,
    Parameter(
        'publish_unsound', False, 'Whether a program that the checker has found unsound is '
        'published, with what was found; false = its query ends with PROGRAM_UNMET.'),
    Parameter(
        'max_recognition_age', 0.0, 'Oldest message of recognition_node from which a program may '
        'have facts of its initial state; 0 = it has what it states itself.', unit='s', minimum=0,
        maximum=3600),
    *QUERY_PARAMETERS,
)
"""Of program_node."""

RECOGNITION_PARAMETERS = (
    Parameter(
        'recognition', '', 'Folder of a finished LEAP training for recognition; empty = the '
        'present action is not told.', read_only=True),
    Parameter(
        'anticipation', '', 'Folder of a finished LEAP training for anticipation; empty = the '
        'next action is not told.', read_only=True),
    Parameter(
        'rate', 2.0, 'How often the last seconds are looked at; what comes while the networks are '
        'busy is left out.', unit='Hz', minimum=0.05, maximum=60, read_only=True),
    Parameter(
        'window', 3.0, 'How much of the last seconds recognition sees.', unit='s', minimum=0.1,
        maximum=600, read_only=True),
    Parameter(
        'span', 0.0, "Length of each of anticipation's clips; 0 = as it was trained.", unit='s',
        minimum=0, maximum=600, read_only=True),
    Parameter(
        'max_frame_age', 1.0, 'Oldest newest frame of which anything is told. A longer break '
        'between two frames is the beginning of another stream.', unit='s', minimum=0.05,
        maximum=3600, read_only=True),
    *(entry for entry in MODEL_PARAMETERS
      if entry.name in ('device', 'image_transport', 'autostart')),
)
"""Of recognition_node."""
