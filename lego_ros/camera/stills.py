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

"""Photographs as frames: one repeated, or a folder of them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
import itertools
from pathlib import Path
import re

from lego_ros.camera.frames import Frame, FrameSource, Picture, unreadable
from lego_ros.errors import LegoError
from lego_ros.images.image_encodings import require_size
import numpy as np
from PIL import Image, ImageOps

PICTURE_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp'})
_FORMATS = ('JPEG', 'PNG', 'BMP', 'WEBP')


class StillSource(FrameSource):
    """
    One photograph, again and again.

    :param name: for log lines.
    :param picture: the photograph, already decoded once so that it is known to be good.
    :param fps: how often it is repeated in a second.
    """

    def __init__(self, name: str, picture: Picture, fps: float) -> None:
        super().__init__(name, picture.size, fps)
        self._picture = picture

    def frames(self) -> Iterator[Frame]:
        """Repeat the photograph without end."""
        for index in itertools.count():
            yield Frame(self._picture, index / self.fps, 1 / self.fps)


class FolderSource(FrameSource):
    """
    The photographs of a folder in natural order: 2.jpg before 10.jpg.

    :param folder: with .jpg, .jpeg, .png, .bmp or .webp files; others are ignored.
    :param fps: how many a second.
    :raises LegoError: SOURCE_UNREADABLE when there is none or the first cannot be read.
    """

    def __init__(self, folder: Path, fps: float) -> None:
        self._paths = sorted(
            (path for path in folder.iterdir()
             if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()),
            key=lambda path: [(0, int(part), '') if part.isdecimal() else (1, 0, part)
                              for part in re.split(r'([0-9]+)', path.name.casefold()) if part])
        if not self._paths:
            raise unreadable(folder, 'the folder holds no pictures '
                             f'({", ".join(sorted(PICTURE_SUFFIXES))}) and no bag.')
        super().__init__(str(folder), Picture(partial(read_picture, self._paths[0])).size, fps)

    def frames(self) -> Iterator[Frame]:
        """Hand out each photograph once."""
        for index, path in enumerate(self._paths):
            yield Frame(Picture(partial(read_picture, path)), index / self.fps, 1 / self.fps)


def open_picture(path: Path, fps: float) -> StillSource:
    """
    Open one photograph.

    :param path: the file.
    :param fps: how often it is repeated in a second.
    :returns: the source.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    return StillSource(str(path), Picture(partial(read_picture, path)), fps)


def open_photo(fps: float) -> StillSource:
    """
    Open the photograph that scikit-image carries: a cup of coffee on a kitchen table.

    :param fps: how often it is repeated in a second.
    :returns: the source, 600 x 400 pixels (CC0, by Rachel Michetti).
    """
    from skimage import data

    decode: Callable[[], np.ndarray] = data.coffee
    return StillSource('photo', Picture(decode), fps)


def read_picture(path: Path) -> np.ndarray:
    """
    Read a photograph upright, as people see it.

    The size is checked before the pixels are decoded. Unlike a camera's stream a photograph is
    turned as its EXIF note says: there is no calibration that belongs to it.

    :param path: a JPEG, PNG, BMP or WebP file.
    :returns: uint8 RGB array (height, width, 3).
    :raises LegoError: SOURCE_UNREADABLE.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            require_size(*image.size)
            # Pillow clips 16-bit and float pixels to 8 bits without scaling them.
            if image.mode[0] in 'IF':
                raise unreadable(path, 'the picture has one channel of more than 8 bits, like a '
                                 'depth image. Give a colour picture.')
            return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
    except LegoError as error:
        raise unreadable(path, error.message) from error
    # Pillow's decoders raise whatever a broken file makes them stumble over: OSError, SyntaxError,
    # ValueError, DecompressionBombError and struct.error at least.
    except Exception as error:
        raise unreadable(path, f'the picture cannot be read: {error}.') from error
