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
Writing a manifest so that a kill at any moment costs at most the video it was busy with.

Each video's records and problems are one file, written whole. When all are there, they are joined
in the order of the videos. So the bytes depend on neither the number of processes nor on how often
the work was broken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import hashlib
import json
import os
from pathlib import Path
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import commit, sha256_of, write_whole
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import PairRecord, read_manifest, to_line
from lego_ros.training.data.problems import ProblemLog


class ManifestWriter:
    """
    A manifest that is being written.

    Several processes may each have one upon the same manifest and add different videos; one of
    them joins the parts at the end. Beside ``pairs.jsonl`` come ``pairs.problems.jsonl`` and, at
    last, ``pairs.summary.json``, which says that the manifest is complete.

    :param path: of the manifest.
    :param videos: ids of all videos, in the order in which they are to stand in it.
    :param settings: everything that the records depend on besides the data; JSON values.
    :raises LegoError: INVALID_SETTING: what is there was made with other settings or videos;
        SOURCE_UNREADABLE: what is there is damaged.
    :raises OSError: it cannot be written.
    """

    def __init__(self, path: Path, videos: Sequence[str], settings: dict) -> None:
        if len(set(videos)) != len(videos):
            raise LegoError(ErrorCode.INVALID_SETTING, 'a video is in the list twice')
        self.path = path
        self.problems_path = path.with_suffix('.problems.jsonl')
        self.summary_path = path.with_suffix('.summary.json')
        self._videos = list(videos)
        self._parts = path.with_suffix('.parts')
        self._plan = {'settings': settings, 'videos': list(videos)}
        self._trash = path.with_suffix('.parts.done')
        path.parent.mkdir(parents=True, exist_ok=True)
        self.complete = self._is_complete()
        """Whether the manifest is finished."""
        if self.complete:
            self._clear()
        else:
            self._parts.mkdir(exist_ok=True)
            self._claim(self._parts / 'plan.json')

    def _is_complete(self) -> bool:
        if not self.summary_path.is_file():
            return False
        summary = _load(self.summary_path)
        self._compare(self.summary_path, summary.get('plan'))
        if not self.path.is_file() or summary.get('sha256') != sha256_of(self.path):
            raise unusable(self.path, 'it was changed or cut off after it was finished; remove '
                           f"it and '{self.summary_path.name}' to make it anew")
        return True

    def is_done(self, video_id: str) -> bool:
        """
        Tell whether a video's part is there, from this run or one before.

        :param video_id: one of the videos.
        :returns: whether it need not be prepared again.
        """
        return self.complete or self._part(video_id).is_file()

    def add(self, video_id: str, records: Iterable[PairRecord], problems: ProblemLog) -> None:
        """
        Add all of a video's records and problems at once.

        Their pictures must be on the disk before.

        :param video_id: one of the videos.
        :param records: of this video only, in their final order.
        :param problems: of this video.
        :raises ValueError: a record of another video.
        :raises OSError: it cannot be written.
        """
        lines = []
        for record in records:
            if record.video_id != video_id:
                raise ValueError(f'{record.pair_id} is of {record.video_id}, not of {video_id}')
            lines.append(to_line(record))
        problems.write(self._part(video_id).with_suffix('.problems.jsonl'))
        # Last: it is what says that the part is done.
        write_whole(self._part(video_id), b''.join(lines))

    def finish(self, reading: ProblemLog | None = None) -> dict:
        """
        Join the parts.

        :param reading: the problems of reading the annotations, which no video has.
        :returns: the summary: plan, number of pairs, counts of verdicts and of problems, and the
            manifest's SHA-256.
        :raises LegoError: INVALID_SETTING: parts are missing; SOURCE_UNREADABLE: a part is
            damaged, or a pair is there twice.
        :raises OSError: it cannot be written.
        """
        if self.complete:
            return _load(self.summary_path)
        missing = [video for video in self._videos if not self._part(video).is_file()]
        if missing:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{self.path}': {len(missing)} videos are not prepared yet: "
                f'{", ".join(missing[:5])}')
        problems = ProblemLog(reading or ())
        for video in self._videos:
            problems.extend(ProblemLog.read(self._part(video).with_suffix('.problems.jsonl')))
        problems.write(self.problems_path)
        self._join()
        verdicts: dict[str, int] = {}
        for record in read_manifest(self.path):
            verdicts[record.reason] = verdicts.get(record.reason, 0) + 1
        summary = {
            'plan': self._plan, 'pairs': sum(verdicts.values()),
            'verdicts': dict(sorted(verdicts.items())), 'problems': problems.counts,
            'sha256': sha256_of(self.path)}
        write_whole(self.summary_path, json.dumps(summary, indent=1).encode() + b'\n')
        self.complete = True
        self._clear()
        return summary

    def _clear(self) -> None:
        """Remove the parts, all or none of them being there under their name."""
        shutil.rmtree(self._trash, ignore_errors=True)
        if self._parts.is_dir():
            os.replace(self._parts, self._trash)
            shutil.rmtree(self._trash)

    def _join(self) -> None:
        part = self.path.with_suffix('.joined')
        with open(part, 'wb') as joined:
            for video in self._videos:
                with open(self._part(video), 'rb') as file:
                    shutil.copyfileobj(file, joined)
        commit(part, self.path)

    def _part(self, video_id: str) -> Path:
        # Ids are the datasets' and may hold anything; their hash is always a good name.
        name = hashlib.sha256(video_id.encode()).hexdigest()[:32]
        return self._parts / f'{name}.jsonl'

    def _claim(self, plan: Path) -> None:
        if plan.is_file():
            self._compare(plan, _load(plan))
        else:
            write_whole(plan, json.dumps(self._plan).encode())

    def _compare(self, path: Path, found: object) -> None:
        if found != json.loads(json.dumps(self._plan)):
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{path}' belongs to other settings or other videos; go on with the same, or "
                'choose another folder')


def _load(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    if not isinstance(value, dict):
        raise unusable(path, 'expected an object')
    return value
