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
Pairs without videos: the manifest that ``lego-ros data prepare`` would make, drawn at once.

Each episode is annotated as Ego4D would, the real reader reads that, and where a video would be
decoded the kitchen draws the two frames that are asked for. What differs from preparing the
export in Ego4D's format are the names of the dataset and of the source, and that nothing was lost
in coding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lego_ros.sim.motion import FPS
from lego_ros.training.data.actions import Action
from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.frames import Shot, Window
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.pairs import PairSettings, prepare_part
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.scorers import GistCosine, Sharpness
from lego_ros.training.export.ego4d_annotations import video_element
from lego_ros.training.export.ego4d_format import fho_main
from lego_ros.training.export.episodes import Scene
from lego_ros.training.export.ids import action_uid, clip_uid
from lego_ros.training.export.parts import Made, Part
from lego_ros.training.export.settings import ExportSettings

DATASET = 'kitchen'
MANIFEST = 'pairs.jsonl'
_BOXED = ('pre_15', 'pnr_frame')


def pair_settings(settings: ExportSettings) -> PairSettings:
    """
    Return how the pairs are made.

    :param settings: of the export.
    :returns: no neighbours, as every drawn picture is sharp; the embedder's own bounds.
    """
    lowest, highest = GistCosine.bounds
    return PairSettings(neighbours=0, lowest=lowest, highest=highest, size=settings.size)


class DrawnFrames:
    """
    The frames of an episode, drawn when they are asked for; see ``frames.FrameReader``.

    :param scene: the episode.
    """

    base = 0
    fps = float(FPS)
    numbering = 'frames of the episode'

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.name = f'kitchen seed {scene.episode.seed}'

    def windows(self, wanted: Sequence[Window], log: ProblemLog
                ) -> Iterator[tuple[Window, list[Shot]]]:
        """
        Draw the windows in the order of their centres.

        :param wanted: in any order; their moments have numbers.
        :param log: where windows whose centre is not in the episode are reported.
        :returns: an iterator: window and its frames.
        """
        for window in sorted(wanted, key=_centre):
            centre = _centre(window)
            if not 0 <= centre < self._scene.frames:
                log.add(Reason.OUT_OF_VIDEO, self.name, window.key,
                        f'frame {centre} of {self._scene.frames}')
                continue
            numbers = range(max(0, centre - window.before),
                            min(self._scene.frames, centre + window.after + 1))
            yield window, [Shot(self._scene.observer.picture(number), number, number / FPS,
                                number - centre) for number in numbers]


def make(scene: Scene, folder: Path, settings: ExportSettings) -> Made:
    """
    Draw an episode's pairs.

    :param scene: the episode.
    :param folder: of the manifest.
    :param settings: of the export.
    :returns: its part and records.
    :raises OSError: a picture cannot be written.
    """
    log = ProblemLog()
    actions = _actions(scene, log)
    records, problems = prepare_part(
        DrawnFrames(scene), actions, pair_settings(settings), Sharpness(), GistCosine(), folder)
    log.extend(problems)
    seed = scene.episode.seed
    part = Part(seed, scene.split, scene.frames, truth=scene.truth(
        lambda number: action_uid(seed, number), clip_uid(seed)))
    return Made(part, tuple(records), log)


def manifest_writer(settings: ExportSettings, folder: Path) -> ManifestWriter:
    """
    Begin or go on with the manifest.

    :param settings: of the export.
    :param folder: where it is.
    :returns: its writer; the videos are the episodes' clips.
    """
    return ManifestWriter(
        folder / MANIFEST, [clip_uid(seed) for seed in settings.seeds],
        {**pair_settings(settings).plan(Sharpness(), GistCosine()), **settings.plan()})


def _centre(window: Window) -> int:
    assert window.moment.number is not None, 'Ego4D gives frame numbers'
    return window.moment.number


def _actions(scene: Scene, log: ProblemLog) -> list[Action]:
    """Let the real reader read the episode's annotation, so that both ways stay one."""
    element = video_element(scene.observer, scene.frames, _BOXED)
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'fho_main.json'
        path.write_bytes(b''.join(fho_main(iter([element]))))
        found = list(read_ego4d(path, lambda _: scene.split, log, 'clip'))
    return [replace(action, dataset=DATASET) for action in found]
