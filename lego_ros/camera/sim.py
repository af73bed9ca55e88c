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

"""The simulated kitchen as frames: one episode, drawn as it is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
import math
import re
import threading

from lego_ros.camera.calibration import pinhole
from lego_ros.camera.frames import Frame, FrameSource, Picture, unreadable
from lego_ros.sim.episode import Episode, sample_episode
from lego_ros.sim.motion import FPS
from lego_ros.sim.render import Renderer
import numpy as np

FORMS = 'sim, sim:SEED or sim:SEED:VERB'
WIDTH, HEIGHT = 480, 360
"""Drawn in about 15 ms on one core by Mesa's software rendering, without multisampling."""
# More digits than any seed needs, fewer than int() refuses.
_SOURCE = re.compile(r'sim(?::(?P<seed>[0-9]{1,18})(?::(?P<verb>[a-z]+(?: [a-z]+)*))?)?')


@dataclass(frozen=True)
class Kitchen:
    """
    Which episode is played.

    :param seed: of the episode.
    :param verb: what is done in it among other things; None = drawn by the seed.
    """

    seed: int
    verb: str | None

    @staticmethod
    def read(source: str) -> Kitchen:
        """
        Read what a user writes.

        :param source: ``sim``, ``sim:SEED`` or ``sim:SEED:VERB``, e.g. ``sim:7:turn on``.
        :returns: what it means.
        :raises LegoError: SOURCE_UNREADABLE for another form.
        """
        match = _SOURCE.fullmatch(source)
        if match is None:
            raise unreadable(repr(source), f'that is no kitchen. Give {FORMS}, e.g. sim:7:pour.')
        if match['seed'] is None:
            return _DEFAULT
        return Kitchen(int(match['seed']), match['verb'])

    @property
    def name(self) -> str:
        """Name the source in full, e.g. ``sim:9:open``."""
        return f'sim:{self.seed}' + (f':{self.verb}' if self.verb else '')

    def episode(self) -> Episode:
        """
        Make the episode.

        :returns: always the same one.
        :raises LegoError: INVALID_SETTING for a verb that is not known.
        """
        return sample_episode(self.seed, self.verb)


# Opens a cupboard, takes a pot and puts it on the hob, in 14 s.
_DEFAULT = Kitchen(9, 'open')


class SimSource(FrameSource):
    """
    An episode of the kitchen, with the camera's true calibration.

    A frame is drawn when it is looked at, by any thread.

    :param kitchen: which one.
    :raises LegoError: INVALID_SETTING for a verb that is not known, SOURCE_UNREADABLE where OpenGL
        is missing.
    """

    def __init__(self, kitchen: Kitchen) -> None:
        self._episode = kitchen.episode()
        self._renderer = Renderer(self._episode, WIDTH, HEIGHT, samples=0)
        # The playback's thread draws ahead; whoever looks at a late frame draws it himself.
        self._lock = threading.Lock()
        super().__init__(kitchen.name, (WIDTH, HEIGHT), float(FPS))
        focal = self._renderer.intrinsics.focal
        self.calibration = pinhole(WIDTH, HEIGHT,
                                   math.degrees(2 * math.atan(WIDTH / 2 / focal)))
        # The first picture takes several times as long as the others.
        self._draw(0)

    def frames(self) -> Iterator[Frame]:
        """Play the episode once."""
        for number in range(self._episode.frame_count):
            yield Frame(Picture(partial(self._draw, number)), number / FPS, 1 / FPS)

    def close(self) -> None:
        """Give the renderer back."""
        with self._lock:
            self._renderer.close()

    def _draw(self, number: int) -> np.ndarray:
        with self._lock:
            return self._renderer.rgb(number)
