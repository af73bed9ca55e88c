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

"""What a demo leaves behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import json
import os
from pathlib import Path
import platform
import shutil
from typing import Any, TYPE_CHECKING

from lego_ros.cli import demo_program
from lego_ros.cli.ask import code_name
from lego_ros.cli.text import CommandError
from lego_ros.runtime.versions import versions
import numpy as np

if TYPE_CHECKING:
    from lego_ros.cli.demo_scene import Scene

NAMES = {
    'action_frame.png': 'question, frame and answer side by side',
    'input.png': 'the camera frame that was asked about',
    'output.png': 'the action frame',
    'description.txt': 'the description',
    'program.txt': 'the action program',
    'program.json': 'the same for machines',
    'program.png': 'the same as a flow chart',
    'report.json': 'times, provenance, frames, versions',
    'bag': 'everything that was said, a rosbag2 (MCAP)',
}
"""Files and what they hold. All of them are replaced together; some are missing after an error."""

_IMAGE_TOPIC = '/image/compressed'
_CAMERA_FIGURES = (
    'frames_published', 'frames_fetched', 'frames_used', 'frames_skipped',
    'frames_refused_stale', 'frames_lost_in_transport')
_PACKAGES = ('numpy', 'torch', 'transformers', 'diffusers', 'opencv-python-headless', 'rosbags')


@dataclass(frozen=True)
class Told:
    """
    What the nodes told besides the answer.

    :param info: the EngineInfo.
    :param camera: figures of the camera in the node's diagnostics.
    :param startup: seconds until the node could answer.
    :param answer: seconds from the goal to its result.
    :param program: the result of the question for a program.
    :param scene: what happened before the camera; None = not known.
    :param begun: when the camera began to play it, in seconds of its stamps.
    """

    info: Any
    camera: dict[str, str]
    startup: float
    answer: float
    program: Any
    scene: Scene | None = None
    begun: float | None = None


def write(work: Path, query: str, result: Any, told: Told) -> dict[str, Any]:
    """
    Write the files of a demo beside its closed bag.

    :param work: holds ``bag``.
    :param query: as it was asked.
    :param result: of the action.
    :param told: what else is known.
    :returns: the content of report.json.
    :raises CommandError: the bag cannot be read, or lacks the frame.
    """
    answered = not result.error_code
    stamp = result.action_frame.header.stamp
    counts, frame = read_bag(
        work / 'bag', stamp.sec * 10**9 + stamp.nanosec if answered else None)
    report = make_report(query, result, told, counts)
    if answered:
        from lego_ros.cli.figure import Answered, draw
        from lego_ros.cli.pictures import save_png
        from lego_ros.images.raw import decode_image

        if frame is None:
            raise CommandError('the bag does not hold the frame that was asked about')
        report['frame'].update(height=frame.shape[0], width=frame.shape[1])
        picture = decode_image(result.action_frame.image)
        save_png(frame, work / 'input.png')
        save_png(picture, work / 'output.png')
        warning = ('' if report['provenance']['trained']
                   else 'UNTRAINED bundle: the picture means nothing')
        save_png(draw(Answered(query, frame, picture, report['description'], facts(report),
                               warning)), work / 'action_frame.png')
        (work / 'description.txt').write_text(report['description'] + '\n', 'utf-8')
    if not told.program.error_code:
        demo_program.write(work, told.program.action_program)
    (work / 'report.json').write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + '\n', 'utf-8')
    return report


def publish(work: Path, out: Path) -> None:
    """
    Move the files of a demo to their place, and remove those of the one before.

    :param work: where they were made, on the same file system.
    :param out: where they shall be.
    """
    old = work / 'old'
    old.mkdir()
    for name in NAMES:
        if (out / name).exists():
            os.rename(out / name, old / name)
        if (work / name).exists():
            os.rename(work / name, out / name)
    shutil.rmtree(old)


def read_bag(path: Path, stamp: int | None) -> tuple[dict[str, int], np.ndarray | None]:
    """
    Read a bag back.

    :param path: of the bag.
    :param stamp: of the frame to look for, in ns; None = none.
    :returns: the number of messages of each topic, and the frame, (H, W, 3) uint8.
    :raises CommandError: the bag cannot be read.
    """
    from lego_ros.images.compressed import decode_compressed
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.rosbag2 import ReaderError

    counts: Counter[str] = Counter()
    frame = None
    try:
        with AnyReader([path]) as reader:
            counts.update(dict.fromkeys(reader.topics, 0))
            for connection, _, data in reader.messages():
                counts[connection.topic] += 1
                if connection.topic != _IMAGE_TOPIC or stamp is None or frame is not None:
                    continue
                message: Any = reader.deserialize(data, connection.msgtype)
                if message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp:
                    frame = decode_compressed(message)
    except (AnyReaderError, ReaderError, OSError) as error:
        raise CommandError(f"the recorded bag '{path}' cannot be read back: {error}") from error
    return dict(sorted(counts.items())), frame


def make_report(query: str, result: Any, told: Told, counts: dict[str, int]) -> dict[str, Any]:
    """
    Make the content of report.json.

    :param query: as it was asked.
    :param result: of the action.
    :param told: what else is known.
    :param counts: messages of each topic in the bag.
    :returns: plain data; durations in seconds.
    """
    action_frame = result.action_frame
    source = action_frame.provenance
    camera = told.camera
    stamp = action_frame.header.stamp
    scene = {}
    if told.scene is not None and told.begun is not None and not result.error_code:
        scene['scene'] = told.scene.report(
            told.scene.frame_at(told.begun, stamp.sec + stamp.nanosec * 1e-9))
    return {
        'query': query,
        'query_id': action_frame.query_id,
        'action': action_frame.action,
        'description': action_frame.description,
        'error': {'code': result.error_code, 'name': code_name(result.error_code),
                  'message': result.error_msg},
        **scene,
        'frame': {'stamp': f'{stamp.sec}.{stamp.nanosec:09d}',
                  'frame_id': action_frame.header.frame_id,
                  'age_s': seconds(source.frame_age)},
        'camera': {name: int(camera[name]) for name in _CAMERA_FIGURES if name in camera},
        'startup_s': round(told.startup, 3),
        'load_s': seconds(told.info.load_time),
        'answer_s': round(told.answer, 4),
        'stages_s': {timing.stage: seconds(timing.duration) for timing in source.stages},
        'provenance': plain(source, without={'stages', 'frame_age', 'recognition'}),
        'engine': plain(told.info, without={'header', 'load_time'}),
        'program': demo_program.report(told.program),
        'bag_messages': counts,
        'versions': {**versions(_PACKAGES), 'system': platform.platform()},
    }


def facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """
    Choose what the figure's small print says.

    :param report: the content of report.json.
    :returns: names and values.
    """
    source, engine = report['provenance'], report['engine']
    stages = ', '.join(f'{name} {value:.2f}' for name, value in report['stages_s'].items())
    scene = [('scene', scene_line(report['scene']))] if 'scene' in report else []
    return [
        *scene,
        ('action', report['action']),
        ('bundle', f'{source["bundle"]} {engine["bundle_version"]}, '
                   f'{source["bundle_sha256"][:12]}'),
        ('engine', f'{source["backend"]} {source["precision"]} on {engine["device"]}'),
        ('sampling', f'{source["steps"]} steps, {source["mode"]} mode, '
                     f'image scale {source["image_scale"]:.3g}, '
                     f'text scale {source["text_scale"]:.3g}'),
        ('seed', str(source['seed'])),
        ('frame age', f'{report["frame"]["age_s"] * 1e3:.0f} ms'),
        ('time', f'{report["answer_s"]:.2f} s'),
        ('stages', f'{stages} s'),
    ]


def scene_line(scene: dict[str, Any]) -> str:
    """
    Say which scene was asked about.

    :param scene: of report.json.
    :returns: e.g. ``sim:9:open, frame 41 of 416; action from frame 56``.
    """
    return (f'{scene["source"]}, frame {scene["frame"]} of {scene["frames"]}; action from frame '
            f'{scene["action_begins_at_frame"]}')


def plain(message: Any, without: set[str]) -> dict[str, Any]:
    """
    Turn a flat message into plain data.

    :param message: of numbers, strings and booleans.
    :param without: fields to leave out.
    :returns: its fields; 32-bit floats rounded to the 7 digits that they hold.
    """
    values = {name: getattr(message, name) for name in message.get_fields_and_field_types()
              if name not in without}
    return {name: float(f'{value:.7g}') if isinstance(value, float) else value
            for name, value in values.items()}


def seconds(duration: Any) -> float:
    """
    Convert.

    :param duration: a builtin_interfaces/Duration.
    :returns: seconds.
    """
    return round(duration.sec + duration.nanosec * 1e-9, 6)
