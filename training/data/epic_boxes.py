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

"""The boxes that VISOR and the hand-object detections have for EPIC-KITCHENS' pictures."""

from __future__ import annotations

from lego_ros.errors import LegoError
from lego_ros.training.data.actions import Action, Box, Picture
from lego_ros.training.data.epic import frame_rate, shown_frame, with_boxes
from lego_ros.training.data.hand_objects import FrameDetections, read_hand_objects
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.sources import VideoJob
from lego_ros.training.data.visor import read_visor, VisorFrame

MASK_REACH = 3
"""
How many frames a mask may be away from the moment of its picture.

VISOR annotates about two frames of an action; three frames are what the choice of the best frame
moves a picture by.
"""


def boxed_actions(job: VideoJob, log: ProblemLog) -> tuple[Action, ...]:
    """
    Add the boxes of an EPIC-KITCHENS video's other files to its actions.

    A picture has VISOR's boxes, drawn by people, where there is a mask near enough, else those of
    the detector.

    :param job: of the video.
    :param log: where unusable files and entries are reported.
    :returns: its actions, with boxes where there are some.
    """
    if job.hand_objects is None and job.visor is None:
        return job.actions
    wanted = {shown_frame(moment.time, frame_rate(action.video_id))
              for action in job.actions for moment in (action.before, action.after)}
    masks = _masks(job, log)
    detections = _detections(job, wanted, log)

    def boxes_at(number: int, picture: Picture) -> tuple[Box, ...]:
        for distance in range(MASK_REACH + 1):
            for near in (number - distance, number + distance):
                if near in masks:
                    return masks[near].boxes(picture)
        return detections[number].boxes(picture) if number in detections else ()

    return tuple(with_boxes(action, boxes_at) for action in job.actions)


def _masks(job: VideoJob, log: ProblemLog) -> dict[int, VisorFrame]:
    masks: dict[int, VisorFrame] = {}
    if job.visor is None:
        return masks
    try:
        for frame in read_visor(job.visor, log):
            number = job.visor_numbers.get(frame.name)
            if number is None:
                log.add(Reason.MALFORMED, job.visor, frame.name, 'frame_mapping.json lacks it')
            else:
                masks[number] = frame
    except LegoError as error:
        log.add(Reason.MISSING_BOXES, job.visor, job.video_id, error.message)
    return masks


def _detections(job: VideoJob, wanted: set[int], log: ProblemLog
                ) -> dict[int, FrameDetections]:
    if job.hand_objects is None:
        return {}
    try:
        return {frame.frame: frame.above()
                for frame in read_hand_objects(job.hand_objects, log) if frame.frame in wanted}
    except LegoError as error:
        log.add(Reason.MISSING_BOXES, job.hand_objects, job.video_id, error.message)
        return {}
