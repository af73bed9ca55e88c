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

"""``lego-ros programs``: action programs for a dataset's clips, by a language model; no ROS."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lego_ros.cli.language_model import (
    add_request_options,
    keeping_answers,
    Meter,
    read_server,
)
from lego_ros.cli.text import CommandError, printable, real, whole
from lego_ros.errors import ErrorCode, LegoError

if TYPE_CHECKING:
    from lego_ros.training.data.problems import ProblemLog
    from lego_ros.training.descriptors.clip import Clip, Source
    from lego_ros.training.descriptors.sampling import Find
    from lego_ros.training.programs.generate import Step

# As lego_ros.training has them, whose import takes seconds; a test holds them together.
CONSTRAINTS = ('none', 'llama.cpp', 'vllm', 'vllm-guided')


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to a command line.

    :param commands: of the parser that it belongs to.
    """
    parser = commands.add_parser(
        'programs', help='have a language model write action programs',
        description="Action programs for a dataset's clips, and what came of it.")
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    generate = actions.add_parser(
        'generate', help='write programs',
        description='Write an action program for each clip, by a language model behind an '
        "OpenAI-compatible server: parsed, checked, and mended by the model. The server's key "
        'comes from the variable LEGO_LLM_API_KEY. Broken off, the same command goes on where '
        'it was.')
    _add_clips(generate)
    _add_descriptors(generate)
    _add_server(generate)
    generate.set_defaults(run=run_generate)
    report = actions.add_parser(
        'report', help='tell what came of it',
        description='Print what came of a run, and draw it as report.png in its folder.')
    report.add_argument('folder', type=Path, metavar='DIR', help='of lego-ros programs generate')
    report.set_defaults(run=run_report)


def _add_clips(parser: argparse.ArgumentParser) -> None:
    clips = parser.add_mutually_exclusive_group(required=True)
    clips.add_argument('--epic', type=Path, metavar='CSV',
                       help='EPIC_100_train.csv or another file of EPIC-KITCHENS-100 with labels')
    clips.add_argument('--ego4d', type=Path, metavar='JSON', help='fho_main.json')
    clips.add_argument('--kitchen', type=Path, metavar='TRUTH',
                       help="the simulated kitchen's truth.jsonl, which has all descriptors")
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='for programs.jsonl, rejects.jsonl, problems.jsonl, summary.json, '
                        'report.png and journal.jsonl')
    parser.add_argument('--limit', type=whole(1, 10**9), metavar='N',
                        help='only the first N clips (default all)')


def _add_descriptors(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group('descriptors beside the narrations')
    audio = options.add_mutually_exclusive_group()
    audio.add_argument('--sounds', type=Path, metavar='CSV',
                       help='EPIC_Sounds_train.csv or _validation.csv')
    audio.add_argument('--audio-model', type=Path, metavar='DIR',
                       help="classifier of the videos' sound tracks")
    camera = options.add_mutually_exclusive_group()
    camera.add_argument('--fields', type=Path, metavar='DIR',
                        help='EPIC-Fields: a JSON file of camera poses for each video')
    camera.add_argument('--focal', type=real(0.1, 10), metavar='F',
                        help='visual odometry on the videos, of this focal length as a share of '
                        "the picture's width")
    objects = options.add_mutually_exclusive_group()
    objects.add_argument('--detections', type=Path, metavar='FILE',
                         help='objects in frames, JSON Lines (docs/program_generation.md)')
    objects.add_argument('--object-model', type=Path, metavar='DIR',
                         help="detector for the videos' frames")
    contact = options.add_mutually_exclusive_group()
    contact.add_argument('--hand-objects', type=Path, metavar='DIR',
                         help="EPIC-KITCHENS' hand-object detections; --detections names what "
                         'the hands touch')
    contact.add_argument('--visor', type=Path, metavar='DIR',
                         help='VISOR with its frame_mapping.json')
    options.add_argument('--videos', type=Path, metavar='DIR',
                         help='for --audio-model, --focal and --object-model')


def _add_server(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group('the language model')
    options.add_argument('--server', required=True, metavar='URL',
                         help='of the server, up to /v1: http://localhost:8000/v1')
    options.add_argument('--model', required=True, metavar='NAME',
                         help="the server's name of the model")
    options.add_argument('--constraint', choices=CONSTRAINTS, default='none',
                         help='how the server is held to the grammar (default none)')
    options.add_argument('--exemplars', type=whole(1, 16), default=4, metavar='N',
                         help='shown in a prompt, the most similar ones (default 4)')
    options.add_argument('--rounds', type=whole(1, 10), default=3, metavar='N',
                         help='answers at most for one clip: the first and repairs (default 3)')
    options.add_argument('--vocabulary', type=Path, metavar='FILE',
                         help='YAML with words beyond those of the package')
    add_request_options(options, max_tokens=1200, timeout=120.0)


def run_generate(args: argparse.Namespace) -> int:
    """
    Generate programs.

    :param args: of the command line.
    :returns: exit status: 0; 1 where no clip has a program.
    :raises LegoError: INVALID_SETTING, SOURCE_UNREADABLE, INFERENCE_FAILED, RECORDING_FAILED.
    :raises CommandError: broken off by Ctrl-C.
    """
    from lego_ros.programs.vocabulary import default_vocabulary, read_vocabulary
    from lego_ros.training.data.problems import ProblemLog
    from lego_ros.training.llm.client import read_key
    from lego_ros.training.programs.constraint import Constraint
    from lego_ros.training.programs.generate import generate, Plan
    from lego_ros.training.programs.report import draw_report, report_text
    from lego_ros.training.programs.results import ResultFiles
    from tqdm import tqdm

    server, prices = read_server(args)
    files = ResultFiles(args.out)
    log = ProblemLog()
    clips, sources = _inputs(args, log)
    plan = Plan(clips, sources, read_vocabulary(args.vocabulary) if args.vocabulary
                else default_vocabulary(), args.limit, args.exemplars, args.rounds,
                Constraint(args.constraint), prices)
    # disable=None: no bar where the stream is no terminal.
    with keeping_answers(args.out), tqdm(
            desc='programs', unit=' clips', dynamic_ncols=True, disable=None) as bar:
        meter = Meter(bar, prices)
        summary = generate(plan, files, server, read_key(), log, lambda step: _show(meter, step))
        draw_report(files, summary)
    print(printable(f'{args.out}: {report_text(summary)}'))
    return 0 if summary.programs else 1


def run_report(args: argparse.Namespace) -> int:
    """
    Tell what came of a run.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE: there is no finished run.
    :raises CommandError: the picture cannot be written.
    """
    from lego_ros.training.programs.report import draw_report, report_text
    from lego_ros.training.programs.results import read_summary, ResultFiles

    files = ResultFiles(args.folder)
    summary = read_summary(files)
    print(printable(report_text(summary)))
    try:
        draw_report(files, summary)
    except OSError as error:
        raise CommandError(f"'{files.picture}' cannot be written: {error}", 2) from error
    return 0


def _inputs(args: argparse.Namespace, log: ProblemLog) -> tuple[list[Clip], dict[str, Source]]:
    """Read the clips, and make the sources of their descriptors."""
    from lego_ros.training.descriptors.narrations import ego4d_clips, epic_clips, Narrations

    _require_fitting(args)
    sources: dict[str, Source] = {}
    if args.kitchen:
        from lego_ros.training.descriptors.kitchen import Kitchen

        kitchen = Kitchen(args.kitchen)
        clips, sources = kitchen.clips, kitchen.sources()
    else:
        clips = epic_clips(args.epic, log) if args.epic else ego4d_clips(args.ego4d, log)
    return clips, {**sources, 'narrations': Narrations(clips), **_file_sources(args, log),
                   **_video_sources(args, log)}


def _require_fitting(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything large is read."""
    of_epic = ('sounds', 'fields', 'hand_objects', 'visor')
    foreign = [name for name in of_epic if getattr(args, name)]
    if foreign and not args.epic:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'--{foreign[0].replace("_", "-")} is of EPIC-KITCHENS: it needs --epic')
    looked_at = args.audio_model or args.focal or args.object_model
    if bool(looked_at) != bool(args.videos):
        raise LegoError(ErrorCode.INVALID_SETTING, '--videos goes with --audio-model, --focal or '
                        '--object-model, and each of them with --videos')


def _file_sources(args: argparse.Namespace, log: ProblemLog) -> dict[str, Source]:
    """Make the sources that are files."""
    from lego_ros.training.descriptors.contact import HandObjects, VisorContacts
    from lego_ros.training.descriptors.detections import Detections
    from lego_ros.training.descriptors.poses import PosesFolder
    from lego_ros.training.descriptors.sounds import SoundTags

    sources: dict[str, Source] = {}
    name = None
    if args.detections:
        sources['objects'] = detections = Detections(args.detections)
        name = detections.name_at
    if args.sounds:
        sources['audio'] = SoundTags(args.sounds, log)
    if args.fields:
        sources['camera'] = PosesFolder(args.fields, log)
    if args.hand_objects:
        sources['contact'] = HandObjects(args.hand_objects, log, name)
    if args.visor:
        sources['contact'] = VisorContacts(args.visor, log)
    return sources


def _video_sources(args: argparse.Namespace, log: ProblemLog) -> dict[str, Source]:
    """Make the sources that look at or listen to the videos."""
    if not args.videos:
        return {}
    from lego_ros.training.descriptors.odometry import Odometry

    find = _footage(args)
    sources: dict[str, Source] = {}
    if args.focal:
        sources['camera'] = Odometry(find, args.focal, log)
    if args.audio_model:
        from lego_ros.training.descriptors.audio_classifier import AudioClassifier

        sources['audio'] = AudioClassifier(args.audio_model, find, log)
    if args.object_model:
        from lego_ros.training.descriptors.object_detector import ObjectDetector

        sources['objects'] = ObjectDetector(args.object_model, find, log)
    return sources


def _footage(args: argparse.Namespace) -> Find:
    """Say where the dataset's videos are."""
    from functools import partial

    from lego_ros.training.data.files import unusable
    from lego_ros.training.data.layout import ego4d_footage, ego4d_media, epic_footage

    if not args.videos.is_dir():
        raise unusable(args.videos, 'no such folder of videos')
    if args.ego4d:
        media, folder = ego4d_media(args.videos)
        if media == 'clip':
            raise LegoError(ErrorCode.INVALID_SETTING, f"'{args.videos}' holds Ego4D's clips; "
                            'programs are written of the full-scale videos')
        return partial(ego4d_footage, args.videos, folder)
    return partial(epic_footage, args.videos)


def _show(meter: Meter, step: Step) -> None:
    """Show how far a run has come."""
    conversation = step.conversation
    if conversation is None:
        meter.begin(step.done, step.total)
        return
    over = conversation.done
    meter.answered(
        step.done, conversation.answers[-1], step.retries, repairs=not over,
        rejected=over and conversation.verdicts[-1].reason is not None)
