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
A whole dataset made into a manifest: videos in parallel, taken up again where it stopped.

The bytes of everything that is written depend neither on the number of processes nor on how often
the work was broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import fcntl
from functools import partial
from pathlib import Path
import threading
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.epic_boxes import boxed_actions
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.pairs import PairSettings, prepare_part
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.data.scorer_choice import ScorerChoice
from lego_ros.training.data.sources import Source, VideoJob
from lego_ros.training.data.workers import run_tasks, Worker

MANIFEST = 'pairs.jsonl'


@dataclass(frozen=True)
class Progress:
    """
    How far it has come.

    :param videos: that are done.
    :param actions: that are done.
    :param resumed: of these actions, how many were done before this run.
    """

    videos: int
    actions: int
    resumed: int


@dataclass(frozen=True)
class Plan:
    """
    What is to be prepared, and how; the same plan always gives the same manifest.

    :param source: the dataset.
    :param folder: of the manifest.
    :param pairs: how a pair is made.
    :param scorers: what chooses and compares.
    :param settings: everything that the records depend on, as JSON values.
    """

    source: Source
    folder: Path
    pairs: PairSettings
    scorers: ScorerChoice
    settings: dict[str, Any]

    def writer(self) -> ManifestWriter:
        """Open the manifest; see ``ManifestWriter`` for what it raises."""
        return ManifestWriter(
            self.folder / MANIFEST, [job.video_id for job in self.source.jobs], self.settings)


def make_plan(source: Source, folder: Path, scorers: ScorerChoice, neighbours: int, size: int,
              shape: Any, similarity: tuple[float, float] | None) -> Plan:
    """
    Settle what a preparation depends on.

    :param source: the dataset.
    :param folder: of the manifest.
    :param scorers: loaded here once, so that a wrong one is known before the work begins.
    :param neighbours: see ``PairSettings``.
    :param size: see ``PairSettings``.
    :param shape: see ``PairSettings``.
    :param similarity: bounds of the filter; None = the embedder's own.
    :returns: the plan.
    :raises LegoError: INVALID_SETTING or SOURCE_UNREADABLE.
    """
    quality, embedder = scorers.open()
    lowest, highest = similarity or embedder.bounds
    pairs = PairSettings(
        neighbours=neighbours, lowest=lowest, highest=highest, size=size, shape=shape)
    return Plan(source, folder, pairs, scorers,
                {**pairs.plan(quality, embedder), 'source': source.identity})


def prepare(plan: Plan, workers: int, on_progress: Callable[[Progress], None],
            stop: threading.Event) -> dict[str, Any] | None:
    """
    Prepare a dataset.

    :param plan: what and how.
    :param workers: number of processes.
    :param on_progress: called with the state now and then.
    :param stop: set it to break off; the next call goes on from there.
    :returns: the manifest's summary; None = broken off.
    :raises LegoError: INVALID_SETTING: the folder belongs to another plan, or another process is
        at work in it; SOURCE_UNREADABLE: what is there is damaged.
    :raises OSError: something cannot be written.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    with _alone(plan.folder):
        writer = plan.writer()
        done = [job for job in plan.source.jobs if writer.is_done(job.video_id)]
        left = [job for job in plan.source.jobs if not writer.is_done(job.video_id)]
        resumed = sum(len(job.actions) for job in done)
        counter = _Counter(len(done), resumed, on_progress)
        # Longest first: the last process to end has little left to do.
        tasks = sorted((_Task(job) for job in left), key=lambda task: -len(task.job.actions))
        # The workers need the list of videos, but not the actions of all of them.
        shared = _Shared(plan.folder, [job.video_id for job in plan.source.jobs], plan.pairs,
                         plan.scorers, plan.settings)
        if not run_tasks(tasks, workers, partial(_start, shared), counter.add, stop):
            return None
        summary = writer.finish(plan.source.reading)
        if not summary['pairs']:
            # Nothing under a final name but the reasons: the folder can be used again.
            writer.path.unlink()
            writer.summary_path.unlink()
        return summary


@dataclass(frozen=True)
class _Task:
    job: VideoJob

    def __str__(self) -> str:
        return f'{self.job.video_id} ({self.job.footage.name})'


@dataclass(frozen=True)
class _Shared:
    folder: Path
    videos: list[str]
    pairs: PairSettings
    scorers: ScorerChoice
    settings: dict[str, Any]


def _start(shared: _Shared) -> Worker:
    """Load the scorers and return what prepares one video after the other."""
    writer = ManifestWriter(shared.folder / MANIFEST, shared.videos, shared.settings)
    quality, embedder = shared.scorers.open()

    def work(task: _Task, progress: Callable[[int], None]) -> None:
        job, seen = task.job, 0

        def on_pair() -> None:
            nonlocal seen
            seen += 1
            progress(1)

        log = ProblemLog()
        actions = boxed_actions(job, log)
        records, problems = prepare_part(
            job.footage.open(), actions, shared.pairs, quality, embedder, shared.folder, on_pair)
        log.extend(problems)
        writer.add(job.video_id, records, log)
        progress(len(actions) - seen)
    return work


class _Counter:
    """Add up what the processes report."""

    def __init__(self, videos: int, resumed: int, on_progress: Callable[[Progress], None]) -> None:
        self._videos, self._actions, self._resumed = videos, resumed, resumed
        self._on_progress = on_progress
        self.add(0, False)

    def add(self, actions: int, video_done: bool) -> None:
        self._actions += actions
        self._videos += video_done
        self._on_progress(Progress(self._videos, self._actions, self._resumed))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the lock goes with its process."""
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{folder}': another process is preparing data in it; wait for its end"
            ) from error
        yield
