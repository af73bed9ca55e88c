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
The questions that are put to the VLLM.

The paper draws one of ten templates for each training sample (Sec. 3.3) but prints none. These
are our own wording around one ``{action}`` slot; at run time the first is used.
"""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError

QUESTION_TEMPLATES: tuple[str, ...] = (
    'How does the person properly {action} in the scene that the first-person view shows?',
    'Seen through the eyes of the person, what is the proper way to {action} in this frame?',
    'The frame shows what the person sees. How should the person properly {action}?',
    'Describe how the person wearing the camera would properly {action} in this situation.',
    'Looking at this first-person frame, explain how the person can properly {action}.',
    'What do the hands of the person do to properly {action}, given this first-person view?',
    'Given the objects in view, how does the camera wearer {action} in the right way?',
    'In this first-person picture, which movements let the person properly {action}?',
    'The person is about to {action}. How is this done properly with what the frame shows?',
    'From the viewpoint in the frame, tell in detail how the person is to {action} properly.',
)
DEFAULT_TEMPLATE = 0


def question(action: str, template: int = DEFAULT_TEMPLATE) -> str:
    """
    Put an action into a question template.

    :param action: the action phrase, such as "open the drawer"; braces in it mean nothing.
    :param template: index into :data:`QUESTION_TEMPLATES`.
    :returns: the question about the frame.
    :raises LegoError: INVALID_SETTING when there is no such template.
    """
    check_template(template)
    return QUESTION_TEMPLATES[template].replace('{action}', action)


def program_question(action: str, description: str) -> str:
    """
    Ask for an action program; the words are ours, LEAP prints none.

    :param action: the action phrase.
    :param description: R, how the action is done in the frame.
    :returns: the question about the frame.
    """
    return f'Write the action program: how does the person properly {action}? {description}'


def check_template(template: int) -> None:
    """
    Check the index of a question template.

    :param template: the index.
    :raises LegoError: INVALID_SETTING when there is no such template.
    """
    if not 0 <= template < len(QUESTION_TEMPLATES):
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'there is no question template {template}; give 0 to {len(QUESTION_TEMPLATES) - 1}',
        )
