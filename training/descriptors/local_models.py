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

"""Classifiers and detectors from a folder of this machine: safetensors only, nothing missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, telling
from lego_ros.training.data.files import unusable


def load_local(model_class: Any, processor_class: Any, folder: Path) -> tuple[Any, Any]:
    """
    Load a model with what prepares its input.

    :param model_class: one of transformers' ``AutoModelFor...``.
    :param processor_class: ``AutoFeatureExtractor`` or ``AutoImageProcessor``.
    :param folder: what their ``save_pretrained`` wrote, together.
    :returns: the model in evaluation mode on the CPU, and its processor.
    :raises LegoError: SOURCE_UNREADABLE: something is missing, unreadable or incomplete.
    """
    if not folder.is_dir():
        raise unusable(folder, 'no such folder of a model')
    with telling(ErrorCode.SOURCE_UNREADABLE, f"'{folder}': the model cannot be loaded"):
        processor = processor_class.from_pretrained(folder, local_files_only=True)
        model, report = model_class.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
    wrong = sorted(str(key) for fault in ('missing_keys', 'mismatched_keys')
                   for key in report[fault])
    if wrong:
        raise unusable(folder, f'weights are missing or of another size: {", ".join(wrong[:4])}')
    return model.eval(), processor
