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

"""Pairs as pictures for people: input and target side by side, with boxes, words and verdict."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
from pathlib import Path
import textwrap

import cv2
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import PairRecord, PictureRecord
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLOURS = {'left_hand': '#0072b2', 'right_hand': '#d55e00', 'object': '#009e73',
            'tool': '#cc79a7'}
"""By role; told apart by those who see fewer colours too (Okabe and Ito, 2008)."""
_TEXT = 52
_MARGIN = 10


def read_picture(folder: Path, picture: PictureRecord) -> np.ndarray:
    """
    Read a picture and check that it is the one that the manifest means.

    :param folder: the manifest's.
    :param picture: its record.
    :returns: (H, W, 3) uint8 RGB.
    :raises LegoError: SOURCE_UNREADABLE: it is not there, was changed, or is no picture.
    """
    path = folder / picture.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unusable(path, f'a picture of the manifest cannot be read: {error}') from error
    if hashlib.sha256(content).hexdigest() != picture.sha256:
        raise unusable(path, 'a picture of the manifest was changed; its SHA-256 is another')
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise unusable(path, 'no picture')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def pair_picture(record: PairRecord, folder: Path, height: int) -> Image.Image:
    """
    Put the two pictures side by side, with their boxes.

    :param record: of the pair.
    :param folder: the manifest's.
    :param height: of the picture [px].
    :returns: the picture.
    :raises LegoError: SOURCE_UNREADABLE, see :func:`read_picture`.
    """
    halves = []
    for role, picture in (('input', record.input), ('target', record.target)):
        image = Image.fromarray(read_picture(folder, picture))
        image = image.resize((round(image.width * height / image.height), height),
                             Image.Resampling.LANCZOS)
        draw = ImageDraw.Draw(image)
        for box in record.boxes:
            if box.picture == role:
                x1, y1, x2, y2 = box.box
                draw.rectangle(
                    (x1 * (image.width - 1), y1 * (height - 1), x2 * (image.width - 1),
                     y2 * (height - 1)), outline=_COLOURS[box.role], width=max(2, height // 128))
        halves.append(image)
    both = Image.new('RGB', (sum(half.width for half in halves) + 2, height), 'white')
    both.paste(halves[0], (0, 0))
    both.paste(halves[1], (halves[0].width + 2, 0))
    return both


def pair_grid(records: Sequence[PairRecord], folder: Path, height: int = 256) -> Image.Image:
    """
    Draw pairs with their words beneath, some beside each other.

    :param records: at least one.
    :param folder: the manifest's.
    :param height: of a pair's pictures [px].
    :returns: the picture.
    :raises LegoError: SOURCE_UNREADABLE, see :func:`read_picture`.
    """
    tiles = [_tile(record, folder, height) for record in records]
    columns = 1 if len(tiles) == 1 else 2 if len(tiles) <= 8 else 3
    rows = -(-len(tiles) // columns)
    width = max(tile.width for tile in tiles) + _MARGIN
    grid = Image.new('RGB', (columns * width + _MARGIN, rows * (height + _TEXT) + _MARGIN),
                     'white')
    for index, tile in enumerate(tiles):
        grid.paste(tile, (_MARGIN + index % columns * width,
                          _MARGIN + index // columns * (height + _TEXT)))
    return grid


def _tile(record: PairRecord, folder: Path, height: int) -> Image.Image:
    pair = pair_picture(record, folder, height)
    tile = Image.new('RGB', (pair.width, height + _TEXT), 'white')
    tile.paste(pair, (0, 0))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default()
    verdict = record.reason.replace('_', ' ')
    lines = [textwrap.shorten(_drawable(record.label), 78, placeholder=' ...'),
             f'{verdict}: {record.similarity:.3f} ({record.similarity_by}), '
             f'{record.input.time:.2f} s and {record.target.time:.2f} s',
             textwrap.shorten(_drawable(record.pair_id), 78, placeholder=' ...')]
    for number, line in enumerate(lines):
        draw.text((2, height + 2 + 15 * number), line, font=font,
                  fill='black' if record.kept or number != 1 else '#b00020')
    return tile


def _drawable(text: str) -> str:
    # The embedded font has no more letters than these.
    return text.encode('latin-1', 'replace').decode('latin-1')
