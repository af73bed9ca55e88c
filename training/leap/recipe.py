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

"""LEAP's recipes: a YAML file that says what is trained on what, and what is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault
from lego_ros.training.leap.experiment import Experiment
from lego_ros.training.leap.kitchen import KitchenClips
from lego_ros.training.leap.settings import LeapSettings
from lego_ros.training.recipe import FOLDER
from pydantic import BaseModel, ConfigDict, ValidationError
import yaml

_LONGEST = 1 << 20


class LeapRecipe(BaseModel):
    """Its sections."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    kitchen: KitchenClips | None = None
    """The clips to draw; null = they are given."""
    leap: LeapSettings
    """The training; of an experiment, what all trainings have in common."""
    experiment: Experiment | None = None
    """What ``lego-ros eval leap`` compares; null = nothing."""


def is_leap(name: str) -> bool:
    """
    Tell LEAP's recipes from others: they have a section ``leap``.

    :param name: of a recipe that comes with the package, or the path of a YAML file.
    :returns: whether it is one; False, too, for what cannot be read at all.
    """
    try:
        content = _content(_path(name))
    except LegoError:
        # Whoever reads it as another recipe says what is wrong with it.
        return False
    return isinstance(content, dict) and 'leap' in content


def read_leap_recipe(name: str) -> LeapRecipe:
    """
    Read a recipe.

    :param name: see :func:`is_leap`.
    :returns: the recipe, checked.
    :raises LegoError: SOURCE_UNREADABLE: there is none, or it is no YAML; INVALID_SETTING: a value
        is out of range or a key unknown; the message names it.
    """
    path = _path(name)
    try:
        return LeapRecipe.model_validate(_content(path))
    except ValidationError as error:
        raise LegoError(ErrorCode.INVALID_SETTING, f"recipe '{path}': {first_fault(error)}"
                        ) from error


def _path(name: str) -> Path:
    return Path(name) if name.endswith(('.yaml', '.yml')) else FOLDER / f'{name}.yaml'


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > _LONGEST:
            raise unusable(path, f'a recipe has at most {_LONGEST} bytes')
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        known = ', '.join(sorted(file.stem for file in FOLDER.glob('leap_*.yaml')))
        raise unusable(path, f'there is no such recipe; of LEAP there are {known}, or give the '
                       'path of a YAML file') from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise unusable(path, f'it cannot be read as YAML: {error}') from error
