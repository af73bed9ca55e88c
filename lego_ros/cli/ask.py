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

"""``lego-ros ask``: one question to a running lego_node."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
from typing import Any
import uuid

from lego_ros.cli.environment import require_ros
from lego_ros.cli.interrupts import EXIT_INTERRUPTED, interrupts
from lego_ros.cli.progress import Progress
from lego_ros.cli.text import CommandError, namespace, printable, real, whole
from lego_ros.errors import ErrorCode

EXIT_NO_ANSWER = 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'ask', help='ask a running lego_node how an action is done',
        description='Ask a running lego_node how an action is done in the scene in view. '
        'Ctrl-C cancels the question.')
    parser.add_argument('text', metavar='TEXT', help='"How do I open the drawer?"')
    parser.add_argument('--image', type=Path, metavar='FILE',
                        help='ask about this picture (default: what the camera sees)')
    parser.add_argument('--out', type=Path, metavar='PNG', help='write the action frame here')
    add_settings(parser)
    parser.add_argument('--timeout', type=real(0.1, 86400), default=10.0, metavar='S',
                        help='how long to wait for the node, in seconds (default 10)')
    parser.add_argument('--namespace', type=namespace, default='', metavar='NS',
                        help='of the node')
    parser.set_defaults(run=run)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """
    Add what a goal can ask for; 0 = the node's parameter.

    :param parser: of a command.
    """
    parser.add_argument('--seed', type=whole(0, 2**63 - 1), default=0, metavar='N',
                        help="the same seed and frame give the same answer (default: the node's)")
    parser.add_argument('--steps', type=whole(0, 1000), default=0, metavar='N',
                        help="denoising steps (default: the node's)")
    parser.add_argument('--image-scale', type=real(0, 50), default=0.0, metavar='X',
                        help="guidance scale of the frame (default: the node's)")
    parser.add_argument('--text-scale', type=real(0, 50), default=0.0, metavar='X',
                        help="guidance scale of the description (default: the node's)")


def run(args: argparse.Namespace) -> int:
    """
    Ask.

    :param args: of the command line.
    :returns: exit status: 1 when the question was not answered, 130 after Ctrl-C.
    :raises CommandError: no node, or the picture cannot be written.
    :raises LegoError: SOURCE_UNREADABLE, the picture to ask about cannot be read.
    """
    require_ros()
    from lego_ros.ros.middleware import prepare_middleware

    prepare_middleware()
    from lego_ros.ros.asking import Asker, Interrupted, NoAnswer

    goal = make_goal(args)
    with interrupts() as stop, Asker(f'lego_ask_{os.getpid()}', args.namespace, stop) as asker:
        try:
            with Progress() as progress:
                progress.show('waiting for lego_node')
                reply = asker.ask(goal, lambda feedback: show(progress, feedback), args.timeout)
        except NoAnswer as error:
            raise CommandError(str(error)) from error
        except Interrupted:
            return EXIT_INTERRUPTED
    result = reply.result
    if result.error_code:
        print(printable(f'{code_name(result.error_code)}: {result.error_msg}'), file=sys.stderr)
        return EXIT_INTERRUPTED if reply.canceled else EXIT_NO_ANSWER
    tell(result.action_frame, args.out)
    return 0


def make_goal(args: argparse.Namespace) -> Any:
    """
    Turn the command line into a goal.

    :param args: ``text``, ``image`` and what :func:`add_settings` adds.
    :returns: the GenerateActionFrame.Goal.
    :raises LegoError: SOURCE_UNREADABLE, the picture cannot be read.
    """
    from lego_ros.action import GenerateActionFrame
    from lego_ros.msg import ActionQuery
    from lego_ros.ros.image_messages import encode_image
    from lego_ros.ros.messages import bounded, MAX_QUERY_BYTES

    goal = GenerateActionFrame.Goal(
        query=ActionQuery(
            # Any longer text is refused by the node: it takes fewer characters than this bytes.
            query_id=uuid.uuid4().hex, text=bounded(args.text, MAX_QUERY_BYTES),
            source=ActionQuery.TYPED, confidence=1.0),
        seed=args.seed, steps=args.steps, image_scale=args.image_scale,
        text_scale=args.text_scale)
    if args.image is not None:
        from lego_ros.camera.stills import read_picture

        goal.image = encode_image(read_picture(args.image), goal.image.header)
    return goal


def program_goal(goal: Any) -> Any:
    """
    Ask for the program of what an action frame is asked for.

    :param goal: the GenerateActionFrame.Goal.
    :returns: the GenerateActionProgram.Goal.
    """
    from lego_ros.action import GenerateActionProgram

    return GenerateActionProgram.Goal(query=goal.query, image=goal.image, seed=goal.seed)


def show(progress: Progress, feedback: Any) -> None:
    """
    Show the feedback of a goal.

    :param progress: where.
    :param feedback: of either action.
    """
    progress.show(printable(feedback.stage), feedback.step, feedback.steps)


def tell(action_frame: Any, out: Path | None) -> None:
    """
    Print an answer.

    :param action_frame: the ActionFrame.
    :param out: where to write its picture; None = nowhere.
    :raises CommandError: the picture cannot be written.
    """
    print(printable(action_frame.description))
    if out is not None:
        from lego_ros.cli.pictures import save_png
        from lego_ros.images.raw import decode_image

        try:
            save_png(decode_image(action_frame.image), out)
        except OSError as error:
            raise CommandError(f"'{out}' cannot be written: {error}") from error
        print(f'the action frame is in {out}', file=sys.stderr)
    if not action_frame.provenance.trained:
        print(f"the bundle '{printable(action_frame.provenance.bundle)}' is untrained: this "
              'answer means nothing', file=sys.stderr)


def code_name(code: int) -> str:
    """
    Name an error code.

    :param code: of the wire.
    :returns: its name in ErrorCode, or the number of one that this version does not know.
    """
    try:
        return ErrorCode(code).name
    except ValueError:
        return f'ERROR_{code}'
