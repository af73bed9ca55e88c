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

"""``lego-ros data prepare``: a dataset made into pictures and a manifest."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

from lego_ros.cli.interrupts import EXIT_INTERRUPTED, interrupts
from lego_ros.cli.text import CommandError, printable, real, whole
from tqdm import tqdm

if TYPE_CHECKING:
    from lego_ros.training.data.prepare import Plan, Progress

EXIT_NOTHING = 2


def add_prepare(actions: argparse._SubParsersAction) -> None:
    """
    Add the action to ``lego-ros data``.

    :param actions: of its parser.
    """
    parser = actions.add_parser(
        'prepare', help='make action pairs out of a dataset',
        description='Make action pairs out of a dataset: pictures, and a manifest pairs.jsonl. '
                    'Given again after it was broken off, the same command goes on.')
    parser.add_argument('folder', type=Path, nargs='?', metavar='DIR',
                        help="the dataset's folder, as its download tool makes it")
    parser.add_argument('--format', choices=('ego4d', 'epic'), required=True)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder for the manifest and the pictures')
    parser.add_argument('--annotations', type=Path, metavar='PATH',
                        help='file or folder of the annotations (default DIR)')
    parser.add_argument('--videos', type=Path, metavar='DIR',
                        help='folder of the videos or their extracted frames (default DIR)')
    parser.add_argument('--hand-objects', type=Path, metavar='DIR',
                        help='EPIC-KITCHENS: hand-object detections (default: beside the videos)')
    parser.add_argument('--visor', type=Path, metavar='DIR',
                        help="EPIC-KITCHENS: VISOR's masks and frame_mapping.json "
                             '(default: VISOR in the folder of the videos)')
    parser.add_argument('--splits', type=Path, metavar='FILE',
                        help='Ego4D: JSON object with the split by video_uid (default: split_fho '
                             'of ego4d.json above fho_main.json, else by hash)')
    _add_settings(parser)
    parser.set_defaults(run=run_prepare)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--workers', type=whole(1, 256), metavar='N',
                        default=len(os.sched_getaffinity(0)),
                        help='processes (default: one for each processor, %(default)s)')
    parser.add_argument('--neighbours', type=whole(0, 30), default=3, metavar='N',
                        help='frames on each side of a moment among which the best is taken '
                             '(default 3: best of 7)')
    parser.add_argument('--similarity', type=real(-1, 1), nargs=2, metavar=('LOW', 'HIGH'),
                        help='cosines from LOW to HIGH are kept (default: 0.81 0.97 for CLIP, '
                             'else those of the embedded descriptor)')
    parser.add_argument('--size', type=whole(16, 4096), default=256, metavar='N',
                        help='side of the square, or the shorter side, in pixels (default 256)')
    parser.add_argument('--shape', choices=('square', 'native'), default='square',
                        help="squash to a square, or keep the frame's aspect ratio")
    parser.add_argument('--clip-model', type=Path, metavar='DIR',
                        help='CLIP model that compares the pictures (default: gist_cosine, which '
                             'needs no weights)')
    parser.add_argument('--aesthetic-model', type=Path, metavar='FILE',
                        help="LAION's predictor that chooses the frames; needs --clip-model "
                             '(default: sharpness)')
    parser.add_argument('--device', default='cpu', help='of torch, for these two (default cpu)')


def run_prepare(args: argparse.Namespace) -> int:
    """
    Prepare a dataset.

    :param args: of the command line.
    :returns: exit status: 0, 2 if nothing could be prepared, 130 after Ctrl-C.
    :raises LegoError: SOURCE_UNREADABLE or INVALID_SETTING.
    :raises CommandError: something cannot be written, or a folder is not named.
    """
    from lego_ros.training.data.prepare import prepare

    with interrupts() as stop:
        try:
            plan = _plan(args)
            summary = None
            if not stop.is_set():
                with _Bar(plan) as bar:
                    summary = prepare(plan, args.workers, bar.show, stop)
        except OSError as error:
            raise CommandError(
                f"'{args.out}' cannot be written: {error.strerror or error}. Make room or choose "
                'another folder; the same command goes on where this one stopped', 2) from error
    if summary is None:
        print('stopped; the same command goes on with the videos that are not done',
              file=sys.stderr)
        return EXIT_INTERRUPTED
    return _report(plan, summary)


def _plan(args: argparse.Namespace) -> Plan:
    from lego_ros.training.data.prepare import make_plan
    from lego_ros.training.data.scorer_choice import ScorerChoice
    from lego_ros.training.data.sources import Places, read_source

    annotations, videos = args.annotations or args.folder, args.videos or args.folder
    if annotations is None or videos is None:
        raise CommandError(
            "name the dataset's folder DIR, or both --annotations and --videos", 2)
    scorers = ScorerChoice(args.clip_model, args.aesthetic_model, args.device)
    places = Places(args.format, annotations, videos, args.hand_objects, args.visor, args.splits)
    print(f'reading the annotations in {printable(str(annotations))}', file=sys.stderr)
    return make_plan(
        read_source(places), args.out, scorers, args.neighbours, args.size, args.shape,
        tuple(args.similarity) if args.similarity else None)


class _Bar:
    """Actions prepared, with the time left."""

    def __init__(self, plan: Plan) -> None:
        self._videos = len(plan.source.jobs)
        self._actions = plan.source.actions
        self._bar: tqdm | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        if self._bar is None:
            if progress.resumed:
                print(f'{progress.resumed} of {self._actions} actions were done before',
                      file=sys.stderr)
            # disable=None: no bar where the stream is no terminal.
            self._bar = tqdm(desc='actions', total=self._actions, initial=progress.resumed,
                             unit='', dynamic_ncols=True, disable=None)
        self._bar.set_postfix_str(f'{progress.videos} of {self._videos} videos', refresh=False)
        self._bar.update(progress.actions - self._bar.n)


def _report(plan: Plan, summary: dict[str, Any]) -> int:
    verdicts = summary['verdicts']
    counts = summary['problems']
    kept = verdicts.get('kept', 0)
    out = printable(str(plan.folder))
    if summary['pairs']:
        print(f'{out}/pairs.jsonl: {summary["pairs"]} pairs of {plan.source.actions} actions, '
              f'{kept} kept by the filter')
        for name, count in verdicts.items():
            print(f'  {name.replace("_", " "):<24}{count:>8,}')
    if counts:
        print(f'{out}/pairs.problems.jsonl: {sum(counts.values())} problems, each with file, row '
              'and reason')
        for reason, count in counts.items():
            print(f'  {reason.replace("_", " "):<24}{count:>8,}')
    if not summary['pairs']:
        print(f'nothing could be prepared of {len(plan.source.jobs)} videos with '
              f'{plan.source.actions} actions', file=sys.stderr)
        return EXIT_NOTHING
    return 0
