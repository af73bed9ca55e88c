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
From actions to pairs of pictures: the best frame near each of two moments, and the filter.

Each picture is the best of seven frames, three before and three after its moment; pairs that are
too different or too similar are marked (LEGO, supplement A).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
import hashlib
from pathlib import Path
from typing import Literal

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.training.data.actions import Action, Moment
from lego_ros.training.data.frames import FrameReader, Shot, Window
from lego_ros.training.data.manifest import BoxRecord, CandidateRecord, PairRecord, PictureRecord
from lego_ros.training.data.problems import Problem, ProblemLog, Reason
from lego_ros.training.data.scorers import FrameQuality, ImageEmbedder
import numpy as np


@dataclass(frozen=True)
class PairSettings:
    """
    What the pairs depend on, besides the scorers.

    :param neighbours: frames on each side of a moment that are candidates too.
    :param lowest: pairs less similar than this are too different.
    :param highest: pairs more similar than this are too similar.
    :param size: side of the square, or the shorter side [px].
    :param shape: ``square``: the whole frame squashed, as LEGO's image model takes it;
        ``native``: the frame's own aspect ratio.
    :param jpeg_quality: 1..100; colour is not subsampled.
    :raises LegoError: INVALID_SETTING.
    """

    neighbours: int = 3
    lowest: float = 0.81
    highest: float = 0.97
    size: int = 256
    shape: Literal['square', 'native'] = 'square'
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        if not (0 <= self.neighbours <= 30 and -1 <= self.lowest <= self.highest <= 1
                and 16 <= self.size <= 4096 and 1 <= self.jpeg_quality <= 100
                and self.shape in ('square', 'native')):
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'{self}: neighbours lie in 0..30, lowest <= highest in -1..1, size in '
                '16..4096, jpeg_quality in 1..100, shape is square or native')

    def plan(self, quality: FrameQuality, embedder: ImageEmbedder) -> dict:
        """
        Say all that the records depend on, for ``ManifestWriter``.

        :param quality: the scorer in use.
        :param embedder: the embedder in use.
        :returns: JSON values.
        """
        return {**asdict(self), 'quality_by': quality.name, 'similarity_by': embedder.name}


@dataclass(frozen=True)
class PreparedPair:
    """
    A record and the pictures that it names.

    :param record: the line for the manifest.
    :param input_jpeg: the input picture's file.
    :param target_jpeg: the target picture's file.
    """

    record: PairRecord
    input_jpeg: bytes
    target_jpeg: bytes

    def write_pictures(self, folder: Path) -> None:
        """
        Put the pictures where the record says.

        :param folder: the manifest's.
        :raises OSError: they cannot be written.
        """
        for picture, content in (
                (self.record.input, self.input_jpeg), (self.record.target, self.target_jpeg)):
            path = folder / picture.path
            path.parent.mkdir(parents=True, exist_ok=True)
            # The manifest's hashes tell whether a power cut took one.
            write_whole(path, content, durable=False)


@dataclass(frozen=True)
class _Choice:
    """The best of a window's frames, as it will be stored."""

    jpeg: bytes
    rgb: np.ndarray
    shot: Shot
    candidates: tuple[CandidateRecord, ...]


def prepare_video(reader: FrameReader, actions: Sequence[Action], settings: PairSettings,
                  quality: FrameQuality, embedder: ImageEmbedder, log: ProblemLog
                  ) -> Iterator[PreparedPair]:
    """
    Make the pairs of one video. Nothing is written, and equal arguments give equal pairs.

    In memory: the stored pictures of the actions that are under way, not the video.

    :param reader: the video's frames.
    :param actions: of this video.
    :param settings: see there.
    :param quality: chooses among the candidates.
    :param embedder: compares the two pictures.
    :param log: where actions without a pair are reported, one problem each.
    :returns: an iterator over the pairs in the order of completion.
    """
    wanted = []
    by_key: dict[str, tuple[Action, str]] = {}
    for action in actions:
        for role, moment in (('input', action.before), ('target', action.after)):
            key = f'{action.action_id} {role}'
            by_key[key] = (action, role)
            wanted.append(Window(key, moment, settings.neighbours, settings.neighbours))
    waiting: dict[str, dict[str, _Choice]] = {}
    failed = ProblemLog()
    for window, shots in reader.windows(wanted, failed):
        action, role = by_key[window.key]
        choices = waiting.setdefault(action.action_id, {})
        choices[role] = _best(shots, settings, quality)
        if len(choices) < 2:
            continue
        del waiting[action.action_id]
        if choices['input'].shot.time >= choices['target'].shot.time:
            log.add(Reason.WRONG_ORDER, reader.name, action.action_id,
                    f'the best input lies at {choices["input"].shot.time:.3f} s, the best target '
                    f'at {choices["target"].shot.time:.3f} s')
            continue
        yield _pair(action, choices['input'], choices['target'], reader, settings, quality,
                    embedder)
    log.extend(_by_action(failed))


def _by_action(failed: ProblemLog) -> Iterator[Problem]:
    """Turn lost windows into lost actions, so that the counts are those of actions."""
    seen: set[str] = set()
    for problem in failed:
        action_id, role = problem.row.rsplit(' ', 1)
        if action_id not in seen:
            seen.add(action_id)
            yield Problem(problem.file, action_id, problem.reason, f'{role} at {problem.detail}')


def prepare_part(reader: FrameReader, actions: Sequence[Action], settings: PairSettings,
                 quality: FrameQuality, embedder: ImageEmbedder, folder: Path,
                 on_pair: Callable[[], None] = lambda: None
                 ) -> tuple[list[PairRecord], ProblemLog]:
    """
    Make the pairs of one video and write their pictures: the unit of parallel work.

    :param reader: the video's frames.
    :param actions: of this video.
    :param settings: see there.
    :param quality: chooses among the candidates.
    :param embedder: compares the two pictures.
    :param folder: the manifest's.
    :param on_pair: called after each pair.
    :returns: the records in the order of the actions, and what went wrong.
    :raises OSError: a picture cannot be written.
    """
    log = ProblemLog()
    order = {action.action_id: index for index, action in enumerate(actions)}
    records = []
    for pair in prepare_video(reader, actions, settings, quality, embedder, log):
        pair.write_pictures(folder)
        records.append(pair.record)
        on_pair()
    records.sort(key=lambda record: order[record.action_id])
    return records, log


def resized(rgb: np.ndarray, settings: PairSettings) -> np.ndarray:
    """
    Bring a frame to its stored size.

    :param rgb: (H, W, 3) uint8.
    :param settings: size and shape.
    :returns: (h, w, 3) uint8.
    """
    height, width = rgb.shape[:2]
    if settings.shape == 'square':
        size = (settings.size, settings.size)
    else:
        scale = settings.size / min(height, width)
        size = (round(width * scale), round(height * scale))
    if size == (width, height):
        return rgb
    shrinks = size[0] <= width and size[1] <= height
    return cv2.resize(
        rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def verdict(similarity: float, settings: PairSettings
            ) -> Literal['kept', 'too_different', 'too_similar']:
    """
    Apply the filter; its bounds themselves are kept.

    :param similarity: cosine of the two pictures.
    :param settings: the bounds.
    :returns: the reason for the manifest.
    """
    if similarity < settings.lowest:
        return 'too_different'
    return 'too_similar' if similarity > settings.highest else 'kept'


def _best(shots: list[Shot], settings: PairSettings, quality: FrameQuality) -> _Choice:
    pictures = [resized(shot.rgb, settings) for shot in shots]
    scores = [float(score) for score in quality.scores(pictures)]
    # Of equals the one nearest to the moment, then the earlier: no chance in it.
    best = max(range(len(shots)), key=lambda index: (
        scores[index], -abs(shots[index].offset), -shots[index].offset))
    return _Choice(
        _jpeg(pictures[best], settings.jpeg_quality), pictures[best], shots[best],
        tuple(CandidateRecord(frame=shot.number, time=shot.time, quality=score)
              for shot, score in zip(shots, scores, strict=True)))


def _jpeg(rgb: np.ndarray, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _pair(action: Action, before: _Choice, after: _Choice, reader: FrameReader,
          settings: PairSettings, quality: FrameQuality, embedder: ImageEmbedder
          ) -> PreparedPair:
    embeds = np.asarray(embedder.embed([before.rgb, after.rgb]), np.float64)
    similarity = float(embeds[0] @ embeds[1])
    reason = verdict(similarity, settings)
    hands = {box.role.split('_')[0] for box in action.boxes
             if box.picture == 'target' and box.role in ('left_hand', 'right_hand')}
    record = PairRecord(
        pair_id=f'{action.dataset}/{action.action_id}', dataset=action.dataset,
        action_id=action.action_id, video_id=action.video_id, video=reader.name,
        split=action.split, label=action.label, narration=action.narration, verb=action.verb,
        verb_class=action.verb_class, noun=action.noun, noun_class=action.noun_class,
        hand='both' if len(hands) == 2 else next(iter(hands), None),
        boxes=tuple(BoxRecord.of(box) for box in action.boxes),
        input=_picture(action, 'input', action.before, before, reader),
        target=_picture(action, 'target', action.after, after, reader),
        quality_by=quality.name, similarity=similarity, similarity_by=embedder.name,
        kept=reason == 'kept', reason=reason)
    return PreparedPair(record, before.jpeg, after.jpeg)


def _picture(action: Action, role: str, moment: Moment, choice: _Choice, reader: FrameReader
             ) -> PictureRecord:
    digest = hashlib.sha256(choice.jpeg).hexdigest()
    # Ids may hold anything; their hash is a good name, and spreads a large set over folders.
    name = hashlib.sha256(f'{action.dataset}/{action.action_id}'.encode()).hexdigest()[:24]
    height, width = choice.rgb.shape[:2]
    return PictureRecord(
        asked_time=moment.time, asked_frame=moment.number, asked_base=moment.base,
        asked_fps=moment.fps, asked_source=moment.source, frame=choice.shot.number,
        base=reader.base, fps=reader.fps, numbering=reader.numbering, time=choice.shot.time,
        candidates=choice.candidates, path=f'pictures/{name[:2]}/{name}_{role}.jpg',
        sha256=digest, width=width, height=height)
