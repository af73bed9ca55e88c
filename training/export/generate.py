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

"""Making an export: what is missing is made side by side, then joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import shutil
import threading
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.export import ego4d_format, epic_format, pairs_format
from lego_ros.training.export.episodes import Scene
from lego_ros.training.export.ids import clip_uid
from lego_ros.training.export.parts import Made, Part, PartStore
from lego_ros.training.export.processes import check, run_all
from lego_ros.training.export.settings import ExportSettings
from lego_ros.training.export.truth_lines import TRUTH

_SPARE = 64 << 20
"""Room that is left to others [bytes]."""


@dataclass(frozen=True)
class Progress:
    """
    How far an export has come.

    :param done: episodes that are there.
    :param total: all episodes.
    :param frames: drawn since it was begun or taken up again; pairs of the format ``pairs``.
    """

    done: int
    total: int
    frames: int


def generate(settings: ExportSettings, folder: Path, workers: int, stop: threading.Event,
             on_progress: Callable[[Progress], None]) -> dict[str, Any] | None:
    """
    Make an export, or go on with one.

    :param settings: what is made.
    :param folder: where; new, empty, or with an export of the same settings.
    :param workers: how many processes draw.
    :param stop: ends the work in order when it is set.
    :param on_progress: called when an episode is done.
    :returns: the summary, see docs/datasets.md; None = it was stopped.
    :raises LegoError: INVALID_SETTING: the folder holds something else, or there is no room;
        SOURCE_UNREADABLE: it cannot be written, is damaged, or the kitchen cannot be drawn.
    """
    store = None
    try:
        _check_room(settings, folder)
        store = PartStore(folder, settings.plan(), settings.seeds)
        if store.summary is not None:
            return store.summary
        return _go_on(settings, store, workers, stop, on_progress)
    except OSError as error:
        raise unusable(folder, f'it cannot be written: {error}; the same command goes on where '
                       'it was') from error
    finally:
        if store is not None:
            store.close()


def _go_on(settings: ExportSettings, store: PartStore, workers: int, stop: threading.Event,
           on_progress: Callable[[Progress], None]) -> dict[str, Any] | None:
    missing = store.missing()
    manifest = None
    if settings.format == 'pairs':
        manifest = pairs_format.manifest_writer(settings, store.folder)
    done, drawn = len(settings.seeds) - len(missing), 0

    def add(made: Made) -> None:
        nonlocal done, drawn
        if manifest is not None:
            manifest.add(clip_uid(made.part.seed), made.records, made.problems)
        # Last: it is what says that the episode is done.
        store.add(made.part)
        done += 1
        drawn += len(made.records) if manifest is not None else made.part.frames
        on_progress(Progress(done, len(settings.seeds), drawn))

    on_progress(Progress(done, len(settings.seeds), drawn))
    task = partial(make_episode, settings, store.folder)
    if not run_all(task, missing, workers, stop, add):
        return None
    return _join(settings, store, manifest)


def _join(settings: ExportSettings, store: PartStore, manifest: ManifestWriter | None
          ) -> dict[str, Any]:
    if manifest is not None:
        manifest.finish()
        names = [manifest.path.name, manifest.problems_path.name, manifest.summary_path.name]
    elif settings.format == 'ego4d':
        names = ego4d_format.join(store)
    else:
        names = epic_format.join(store)
    store.write_joined(TRUTH, (f'{line}\n'.encode() for part in store.parts()
                               for line in part.truth))
    return store.finish([*names, TRUTH])


def make_episode(settings: ExportSettings, folder: Path, seed: int) -> Made:
    """
    Make one episode, in a process of its own.

    :param settings: of the export.
    :param folder: of the export.
    :param seed: of the episode.
    :returns: its part; its pictures are written.
    :raises LegoError: SOURCE_UNREADABLE, the kitchen cannot be drawn.
    :raises OSError: it cannot be written.
    :raises Stopped: the work is to end.
    """
    check()
    try:
        episode = sample_episode(seed)
    except LegoError as error:
        if error.code is not ErrorCode.INVALID_SETTING:
            raise
        # No scene came of this seed; the summary counts it, and the others go on.
        return Made(Part(seed, skipped=str(error)))
    with Renderer(episode, settings.size, settings.size) as renderer:
        scene = Scene.of(episode, renderer, settings.size)
        if settings.format == 'ego4d':
            return ego4d_format.make(scene, folder)
        if settings.format == 'epic':
            return epic_format.make(scene, folder, settings.media)
        return pairs_format.make(scene, folder, settings)


def _check_room(settings: ExportSettings, folder: Path) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise LegoError(ErrorCode.INVALID_SETTING, f"'{there}' is a file; choose a folder")
    used = settings.bytes_per_episode() * settings.episodes
    # What is there already needs no more room; a few left over cost nothing to count.
    parts = folder / '.parts'
    if parts.is_dir():
        used *= 1 - min(1.0, sum(1 for _ in parts.glob('[0-9]*.json')) / settings.episodes)
    free = shutil.disk_usage(there).free
    if used + _SPARE > free and not (folder / 'generate.json').is_file():
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{folder}': some {used / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")
