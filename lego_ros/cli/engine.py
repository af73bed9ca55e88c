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

"""``lego-ros engine``: build, list, verify and prune a bundle's engines; it needs no ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import threading
from typing import TYPE_CHECKING

from lego_ros.cli.interrupts import EXIT_INTERRUPTED, interrupts
from lego_ros.cli.progress import Progress
from lego_ros.cli.text import CommandError, printable
from lego_ros.errors import LegoError
from lego_ros.runtime.model import ENGINE_BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from lego_ros.engines.builder import Progress as Built
    from lego_ros.engines.cache import EngineCache
    from lego_ros.engines.cache_record import Entry


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'engine', help="build, list, verify or prune a bundle's engines",
        description="Build, list, verify or prune engines: a bundle's networks as a backend other "
                    'than PyTorch runs them.')
    parser.add_argument('--cache', type=Path, metavar='DIR',
                        help='folder of the engines (default ~/.cache/lego_ros/engines)')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    build = actions.add_parser('build', help='build what is missing',
                               description='Build what is missing; broken off, it goes on.')
    build.add_argument('--bundle', type=Path, metavar='DIR', help='default: that of the package')
    build.add_argument('--backend', choices=ENGINE_BACKENDS, required=True)
    build.add_argument('--precision', choices=PRECISIONS, default='float32',
                       help='number format to compute in (default float32)')
    build.add_argument('--target', action='append', default=[], metavar='X.Y',
                       help='compute capability to build for, with tensorrt_rtx; may be given '
                            'several times (default: the GPU that is there)')
    build.set_defaults(run=run_build)
    show = actions.add_parser('list', help='show what is there')
    show.set_defaults(run=run_list)
    verify = actions.add_parser('verify', help='check every file against its hash')
    verify.set_defaults(run=run_verify)
    prune = actions.add_parser('prune', help='remove what is no longer of use')
    which = prune.add_mutually_exclusive_group(required=True)
    which.add_argument('--all', action='store_true', help='everything')
    which.add_argument('--outdated', action='store_true',
                       help='engines of other versions of TensorRT than the installed one')
    which.add_argument('--keep', type=Path, action='append', metavar='BUNDLE',
                       help='all but what was built from this bundle; may be given several times')
    prune.set_defaults(run=run_prune)


def run_build(args: argparse.Namespace) -> int:
    """
    Build a bundle's engines.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: what :func:`lego_ros.runtime.networks.build_bundle` raises.
    """
    from lego_ros.engines.cache import EngineCache

    cache = EngineCache(args.cache)
    with interrupts() as stop, Progress() as progress:
        entries = build(args.bundle, args.backend, args.precision, cache, args.target, stop,
                        progress)
    for entry in entries:
        print(f'{entry.key.description.name:16} {_megabytes(entry.size)}')
    print(f'{len(entries)} networks for {args.backend} in {args.precision}: {cache.folder}')
    return 0


def build(bundle: Path | None, backend: str, precision: str, cache: EngineCache,
          targets: Sequence[str], stop: threading.Event, progress: Progress) -> list[Entry]:
    """
    Build a bundle's engines, and show how it comes along.

    :param bundle: its folder; None = the one of the package.
    :param backend: other than ``torch``.
    :param precision: number format to compute in.
    :param cache: where the engines go.
    :param targets: compute capabilities, for ``tensorrt_rtx``.
    :param stop: breaks it off.
    :param progress: is shown.
    :returns: an entry for each network.
    :raises CommandError: it was broken off.
    :raises LegoError: what :func:`lego_ros.runtime.networks.build_bundle` raises.
    """
    from lego_ros.bundle.environment import offline_and_quiet

    # Before the libraries that read it are imported.
    offline_and_quiet()
    from lego_ros.bundle.making import default_bundle
    from lego_ros.runtime.networks import build_bundle

    def check() -> None:
        if stop.is_set():
            raise CommandError('stopped; the same command goes on', EXIT_INTERRUPTED)

    def show(built: Built) -> None:
        progress.show(f'engine {built.network}: {built.phase}', built.index, built.count)

    return build_bundle(bundle or default_bundle(), backend, precision, cache, targets, show,
                        check)


def run_list(args: argparse.Namespace) -> int:
    """
    Show what is in the cache.

    :param args: of the command line.
    :returns: exit status, 1 when an entry is damaged.
    """
    from lego_ros.engines.cache import EngineCache

    cache = EngineCache(args.cache)
    entries, problems = cache.entries()
    for entry in sorted(entries, key=lambda each: (each.key.backend, each.key.description.name)):
        key = entry.key
        where = ', '.join(key.architectures)
        print(f'{key.backend:12} {key.version:10} {key.description.name:16} '
              f'{key.description.number_format:8} {_megabytes(entry.size)} '
              f'{entry.build_seconds:6.1f} s  {entry.created}  {where}'.rstrip())
    print(f'{len(entries)} entries, {_megabytes(sum(entry.size for entry in entries))} in '
          f'{cache.folder}')
    return _tell(problems)


def run_verify(args: argparse.Namespace) -> int:
    """
    Check every file of the cache.

    :param args: of the command line.
    :returns: exit status, 1 when something is damaged.
    """
    from lego_ros.engines.cache import EngineCache

    cache = EngineCache(args.cache)
    entries, problems = cache.entries()
    good = 0
    for entry in entries:
        try:
            cache.verify(entry)
            good += 1
        except LegoError as error:
            problems.append(error)
    print(f'{good} of {len(entries)} entries are as they were built: {cache.folder}')
    return _tell(problems)


def run_prune(args: argparse.Namespace) -> int:
    """
    Remove what is no longer of use.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: RECORDING_FAILED; a BUNDLE code for a bundle to keep that is none.
    """
    from lego_ros.bundle.integrity import verify
    from lego_ros.engines.cache import EngineCache
    from lego_ros.engines.cache_pruning import prune_all, prune_outdated, prune_unused

    cache = EngineCache(args.cache)
    if args.all:
        gone = prune_all(cache)
    elif args.outdated:
        gone = prune_outdated(cache)
    else:
        gone = prune_unused(cache, [verify(folder)[1] for folder in args.keep])
    print(f'{len(gone)} entries removed from {cache.folder}')
    return 0


def _tell(problems: list[LegoError]) -> int:
    for problem in problems:
        print(printable(str(problem)))
    return 1 if problems else 0


def _megabytes(size: int) -> str:
    return f'{size / 1e6:8.1f} MB'
