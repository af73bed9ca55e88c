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

"""What stands in the README.md of a trained bundle, from what was really done."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from lego_ros import __version__
from lego_ros.bundle.manifest import Manifest
from lego_ros.training.data.files import unusable
from lego_ros.training.evaluation.report import SCHEMA, to_markdown
from lego_ros.training.recipe import Recipe
from lego_ros.training.run.journal import read_metrics
import yaml

_MAX_EVALUATION = 1 << 24


def read_evaluation(path: Path, record: dict[str, Any] | None) -> dict[str, Any] | None:
    """
    Read what ``lego-ros eval`` found out about the very networks of a bundle.

    :param path: its ``evaluation.json``; it may be missing.
    :param record: ``training.json`` of the networks.
    :returns: the report; None where there is none, or only one of other networks.
    :raises LegoError: SOURCE_UNREADABLE: the file is not what ``lego-ros eval`` writes.
    """
    if not path.is_file():
        return None
    try:
        with path.open('rb') as file:
            report = json.loads(file.read(_MAX_EVALUATION))
        if report['schema'] != SCHEMA:
            raise ValueError(f"its schema is {report['schema']!r}")
        known = record in report['networks'].values()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unusable(path, f'it is not of {SCHEMA}: {error}; run lego-ros eval again') from error
    return report if known else None


def model_card(manifest: Manifest, recipe: Recipe, runs: Mapping[str, Path], curves: str,
               report: dict[str, Any] | None) -> str:
    """
    Write the card.

    :param manifest: of the bundle.
    :param recipe: that it was trained by.
    :param runs: folders of the trainings by name.
    :param curves: file name of the picture of their losses.
    :param report: what its evaluation found; None where it was not evaluated.
    :returns: Markdown.
    """
    rows = ''
    for name, run in runs.items():
        metrics = read_metrics(run)
        steps = metrics[-1]['step'] if metrics else 0
        held_out = [row['validation/loss'] for row in metrics if 'validation/loss' in row]
        loss = f'{held_out[-1]:.4g}' if held_out else 'not measured'
        rows += f'| {name} | {steps} | {loss} |\n'
    settings = yaml.safe_dump(recipe.model_dump(mode='json', exclude_defaults=True),
                              sort_keys=False)
    note = f'{recipe.bundle.note}\n\n' if recipe.bundle.note else ''
    figures = to_markdown(report).replace('## ', '### ') if report else (
        'These networks were not evaluated yet: `lego-ros eval` does it.\n')
    return (
        f'# {manifest.name}\n\nTrained by lego_ros {__version__}. Data: '
        f'{manifest.training_data}. Licence of the weights: {manifest.license}.\n\n'
        f'Draws at {manifest.resolution} px. Weights are {recipe.bundle.dtype}.\n\n'
        f'## Limits\n\nIt knows what it was trained on ({manifest.training_data}) and nothing '
        'else. What it says and draws of other pictures means nothing. A picture that it draws '
        'is a guess and no instruction: do not let a machine act on it unchecked.\n\n'
        f'## Figures\n\n{figures}\n'
        f'## Training\n\n| Training | Steps | Loss on held-out data |\n| --- | --- | --- |\n{rows}'
        f'\n![Losses]({curves})\n\n{note}The recipe, where it is not the default:\n\n'
        f'```yaml\n{settings}```\n')
