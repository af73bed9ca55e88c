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

"""
A picture of every verb: before the action, at the point of no return, and after it.

Run ``python -m lego_ros.sim.contact_sheet --out docs/kitchen_contact_sheet.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import textwrap

from lego_ros.sim.episode import ActionTruth, Episode, sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.sim.vocabulary import VERBS
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_TILE = 176
_TEXT = 46
_COLUMNS = 2
_COLORS = 224


def _moments(action: ActionTruth) -> tuple[int, int, int]:
    """Half a second before the action, its point of no return, and shortly after it."""
    return action.pre - 15, action.pnr, action.end - 1


def _strip(episode: Episode, action: ActionTruth) -> Image.Image:
    with Renderer(episode, _TILE, _TILE) as renderer:
        pictures = np.hstack([renderer.rgb(t) for t in _moments(action)])
    strip = Image.new('RGB', (pictures.shape[1], _TILE + _TEXT), 'white')
    strip.paste(Image.fromarray(pictures), (0, 0))
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default()
    lines = [f'{action.label}   [{action.choice.hand} hand]',
             *textwrap.wrap(action.description, 90)]
    for k, line in enumerate(lines[:3]):
        draw.text((4, _TILE + 1 + 14 * k), line, fill='black', font=font)
    return strip


def contact_sheet(seed: int) -> Image.Image:
    """
    Draw the sheet: one row for each verb, two examples in each.

    :param seed: of the first example.
    :returns: the picture, in a palette to keep it small.
    """
    rows = []
    for k, verb in enumerate(VERBS):
        strips: list[Image.Image] = []
        labels: set[str] = set()
        number = seed + 100 * k
        while len(strips) < _COLUMNS:
            episode = sample_episode(number, verb)
            number += 1
            action = next(a for a in episode.actions if a.choice.verb == verb)
            what = action.label.split()[-1]
            if what not in labels or number > seed + 100 * k + 9:
                labels.add(what)
                strips.append(_strip(episode, action))
        rows.append(np.hstack([np.asarray(strip) for strip in strips]))
    return Image.fromarray(np.vstack(rows)).quantize(_COLORS)


def main() -> None:
    """Write the sheet to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--out', type=Path, required=True, help='the PNG file to write')
    parser.add_argument('--seed', type=int, default=0, help='of the first example')
    arguments = parser.parse_args()
    contact_sheet(arguments.seed).save(arguments.out, optimize=True)


if __name__ == '__main__':
    main()
