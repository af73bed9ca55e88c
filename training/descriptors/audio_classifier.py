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

"""Sounds as a classifier from a local folder hears them in a video's sound track."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math
from pathlib import Path

import av
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.descriptors.clip import Clip, Part, Span
from lego_ros.training.descriptors.local_models import load_local
from lego_ros.training.descriptors.sampling import Find
import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

SECONDS = 2.0
"""Of sound that is judged at once."""
LEAST_SECONDS = 0.2
"""Less sound than this, at a clip's end, is not judged."""
THRESHOLD = 0.3
"""Least probability of a sound that is told."""
MOST_AT_ONCE = 3
NO_SOUND = 'the video has no sound track'
NO_VIDEO = 'there is no such video'


class AudioClassifier:
    """
    Sounds in a video's sound track.

    :param folder: of a model for ``AutoModelForAudioClassification``.
    :param find: says where a video is; folders of frames have no sound.
    :param log: where sound tracks that cannot be decoded to their end are reported.
    :raises LegoError: SOURCE_UNREADABLE: the model cannot be loaded.
    """

    def __init__(self, folder: Path, find: Find, log: ProblemLog) -> None:
        self._model, self._extractor = load_local(
            AutoModelForAudioClassification, AutoFeatureExtractor, folder)
        self._find = find
        self._log = log

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`; a video without sound is said to be without."""
        path = self._find(video_id).path
        if not path.is_file():
            return [Part(note=NO_SOUND if path.is_dir() else NO_VIDEO) for _ in clips]
        windows = [(index, start) for index, clip in enumerate(clips)
                   for start in _starts(clip)]
        asked = [(clips[index].start + start,
                  min(clips[index].start + start + SECONDS, clips[index].end))
                 for index, start in windows]
        rate = self._extractor.sampling_rate
        spans: list[list[Span]] = [[] for _ in clips]
        heard = [0] * len(clips)
        try:
            for place, sound in read_sound(path, asked, rate):
                index, start = windows[place]
                heard[index] += 1
                end = start + len(sound) / rate
                spans[index] += [Span(start, end, name) for name in self.names(sound)]
        except NoSoundTrack:
            return [Part(note=NO_SOUND) for _ in clips]
        except (av.FFmpegError, OSError, ValueError) as error:
            self._log.add(Reason.TRUNCATED, path, video_id, f'its sound cannot be read: {error}')
        return [Part(_joined(found), '' if count == len(_starts(clip)) else
                     f'{count} of {len(_starts(clip))} pieces of sound could be read')
                for clip, found, count in zip(clips, spans, heard, strict=True)]

    @torch.inference_mode()
    def names(self, sound: np.ndarray) -> list[str]:
        """
        Name what is heard.

        :param sound: (N,) float32, mono, at the model's rate.
        :returns: the likeliest of the model's names that are likely enough.
        """
        inputs = self._extractor(sound, sampling_rate=self._extractor.sampling_rate,
                                 return_tensors='pt')
        logits = self._model(**inputs).logits[0]
        several = self._model.config.problem_type == 'multi_label_classification'
        chances = logits.sigmoid() if several else logits.softmax(-1)
        best = chances.topk(min(MOST_AT_ONCE, len(chances)))
        return [self._model.config.id2label[int(label)]
                for chance, label in zip(best.values, best.indices, strict=True)
                if chance >= THRESHOLD]


def _starts(clip: Clip) -> list[float]:
    """Tell where the pieces of a clip begin, from its beginning."""
    count = max(math.ceil((clip.duration - LEAST_SECONDS) / SECONDS), 1)
    return [SECONDS * number for number in range(count)]


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Put what is heard in pieces that follow on each other together."""
    running: dict[str, Span] = {}
    found = []
    for span in sorted(spans, key=lambda span: span.start):
        last = running.get(span.text)
        if last is not None and span.start - last.end < 1e-3:
            running[span.text] = Span(last.start, span.end, span.text)
            continue
        if last is not None:
            found.append(last)
        running[span.text] = span
    return tuple(sorted([*found, *running.values()], key=lambda span: span.start))


class NoSoundTrack(Exception):
    """A video without sound."""


def read_sound(path: Path, windows: Sequence[tuple[float, float]], rate: int
               ) -> Iterator[tuple[int, np.ndarray]]:
    """
    Decode a sound track once, forwards, and yield pieces of it.

    :param path: of a file that FFmpeg reads.
    :param windows: (start, end) in seconds from the file's beginning.
    :param rate: samples per second that the pieces shall have.
    :returns: an iterator over a piece's index and its (N,) float32 samples, mono, in the order of
        their ends; pieces that the track's end cuts off come short, those after it do not come.
    :raises NoSoundTrack: there is no sound.
    :raises av.FFmpegError: it cannot be decoded to its end.
    """
    waiting = sorted(((round(start * rate), round(end * rate), place)
                      for place, (start, end) in enumerate(windows)), reverse=True)
    opened: list[tuple[int, int, int]] = []
    pieces: dict[int, list[np.ndarray]] = {}
    for position, samples in _blocks(path, rate):
        stop = position + len(samples)
        while waiting and waiting[-1][0] < stop:
            opened.append(waiting.pop())
        for start, end, place in opened:
            pieces.setdefault(place, []).append(
                samples[max(start - position, 0):max(end - position, 0)])
        for _, _, place in [window for window in opened if window[1] <= stop]:
            yield from _whole(place, pieces.pop(place), rate)
        opened = [window for window in opened if window[1] > stop]
        if not waiting and not opened:
            return
    for _, _, place in opened:
        yield from _whole(place, pieces.pop(place), rate)


def _whole(place: int, pieces: list[np.ndarray], rate: int
           ) -> Iterator[tuple[int, np.ndarray]]:
    sound = np.concatenate(pieces)
    if len(sound) >= LEAST_SECONDS * rate / 2:
        yield place, sound


def _blocks(path: Path, rate: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield samples as they are decoded, with their place in the file's time."""
    # Absolute: a name cannot be taken for an address on a network.
    with av.open(str(path.absolute())) as container:
        if not container.streams.audio:
            raise NoSoundTrack
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format='fltp', rate=rate)
        position = None
        for frame in container.decode(stream):
            if position is None:
                # The track may begin later than the picture.
                position = round((frame.time or 0.0) * rate)
            for block in resampler.resample(frame):
                samples = _mono(block)
                yield position, samples
                position += len(samples)
        for block in resampler.resample(None):
            yield position or 0, _mono(block)


def _mono(block: av.AudioFrame) -> np.ndarray:
    # The mean: FFmpeg's own mixing makes what both channels have louder.
    return block.to_ndarray().mean(axis=0)
