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

"""``lego-ros demo``: real nodes, one question, and everything that came of it in a folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import tempfile
import threading
import time
from typing import Any, TYPE_CHECKING

from lego_ros.cli import ask, demo_files, demo_program, engine
from lego_ros.cli.environment import free_domain, require_ros
from lego_ros.cli.interrupts import EXIT_INTERRUPTED, interrupts
from lego_ros.cli.nodes_process import NodesProcess
from lego_ros.cli.progress import Progress
from lego_ros.cli.text import CommandError, printable, whole
from lego_ros.runtime.model import ENGINE_BACKENDS, MODES

if TYPE_CHECKING:
    from lego_ros.cli.demo_scene import Scene
    from lego_ros.ros.asking import Asker

# Of any source but the simulated kitchen, which asks about itself.
DEFAULT_QUERY = 'How do I pick up the cup?'
# How long the nodes may take to end with all that they were told, and when nothing depends on it.
_PATIENCE, _SHORT_PATIENCE = 30.0, 3.0
# Diagnostics come once a second.
_FIGURES_TIMEOUT = 5.0
_SERVER_TIMEOUT = 10.0
# The answer is about a frame that the bag holds bit by bit: a JPEG stream, a few per cent of the
# size of raw images.
_PARAMETERS = ('/**:\n  ros__parameters:\n    image_transport: compressed\n    backend: {}\n'
               '    mode: {}\n')


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'demo', help='start the nodes, ask one question and show what comes of it',
        description='Start camera, lego_node, program_node and recorder as real ROS 2 nodes, ask '
        'one question and write the answers, a report and the recorded bag to a folder.')
    parser.add_argument(
        '--source', default='sim', metavar='SOURCE',
        help='a simulated kitchen (sim, sim:SEED, sim:SEED:VERB), photo, webcam:N, or the path of '
        'a video, picture, folder of pictures or rosbag2 (default: sim)')
    parser.add_argument('--query', dest='text', metavar='TEXT',
                        help='default: how to do what is about to happen in the kitchen, or '
                        f'"{DEFAULT_QUERY}"')
    parser.add_argument('--out', type=Path, default=Path('out/demo'), metavar='DIR',
                        help='where the results go (default out/demo)')
    parser.add_argument('--bundle', type=Path, metavar='DIR',
                        help='model bundle (default: the one of the package)')
    parser.add_argument('--backend', choices=('torch', *ENGINE_BACKENDS), default='torch',
                        help='what runs the networks; engines that are missing are built first '
                        '(default torch)')
    parser.add_argument('--mode', choices=MODES, default='exact',
                        help='fast: draw nearly the exact picture of the same seed by 20 '
                        'denoising steps at most (default exact)')
    parser.add_argument('--steps', type=whole(0, 1000), default=0, metavar='N',
                        help="denoising steps (default: the bundle's)")
    parser.add_argument('--seed', type=whole(0, 2**63 - 1), default=0, metavar='N',
                        help='the same seed and frame give the same answer (default: random)')
    parser.set_defaults(run=run, image=None, image_scale=0.0, text_scale=0.0)


def run(args: argparse.Namespace) -> int:
    """
    Run the demo.

    :param args: of the command line.
    :returns: exit status: 1 when the question was not answered, 130 after Ctrl-C.
    :raises CommandError: the nodes or the results failed.
    """
    require_ros()
    from lego_ros.ros.middleware import prepare_middleware

    prepare_middleware()
    scene = _scene(args.source)
    if args.text is None:
        args.text = DEFAULT_QUERY if scene is None else scene.question
    if 'ROS_DOMAIN_ID' not in os.environ:
        # A domain of its own: the demo must not talk to a robot on the network.
        try:
            os.environ['ROS_DOMAIN_ID'] = str(free_domain())
        except OSError as error:
            raise CommandError(str(error)) from error
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    from lego_ros.ros.asking import Interrupted, NoAnswer

    try:
        with interrupts() as stop, _work_folder(args.out) as work:
            return _run_in(work, args, scene, stop)
    except Interrupted:
        return EXIT_INTERRUPTED
    except NoAnswer as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"the results cannot be written to '{args.out}': {error}") from error


def _scene(source: str) -> Scene | None:
    """
    Find what happens before the camera, where that is known.

    :raises LegoError: SOURCE_UNREADABLE, INVALID_SETTING: there is no such kitchen.
    """
    from lego_ros.camera.opening import is_kitchen

    if not is_kitchen(source):
        return None
    from lego_ros.cli.demo_scene import Scene

    return Scene.of(source)


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Make a folder for what is not yet whole, on the file system of the results."""
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix='.demo-', dir=out))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_in(work: Path, args: argparse.Namespace, scene: Scene | None, stop: threading.Event
            ) -> int:
    """Start the nodes, ask, end the nodes and write what came of it."""
    parameters = work / 'parameters.yaml'
    parameters.write_text(_PARAMETERS.format(args.backend, args.mode), 'utf-8')
    arguments = ['--params', str(parameters), f'--camera={args.source}',
                 '--record', str(work / 'bag')]
    if args.bundle is not None:
        arguments += ['--bundle', str(args.bundle)]
    log = args.out / 'nodes.log'
    with Progress() as progress:
        if args.backend != 'torch':
            from lego_ros.engines.cache import EngineCache

            engine.build(args.bundle, args.backend, 'float32', EngineCache(), (), stop, progress)
        progress.show(f'starting the nodes in ROS domain {os.environ["ROS_DOMAIN_ID"]}')
        nodes = NodesProcess(arguments, log)
        try:
            reply, told = _ask(nodes, args, scene, stop, progress)
            progress.show('closing the bag')
            nodes.stop(_PATIENCE)
        except BaseException:
            nodes.end(_SHORT_PATIENCE)
            raise
        if reply.canceled:
            return EXIT_INTERRUPTED
        progress.show('writing the results')
        report = demo_files.write(work, args.text, reply.result, told)
    demo_files.publish(work, args.out)
    return _tell(args.out, report)


def _ask(nodes: NodesProcess, args: argparse.Namespace, scene: Scene | None,
         stop: threading.Event, progress: Progress) -> tuple[Any, demo_files.Told]:
    """Wait until the node answers, and ask it."""
    from lego_ros.ros.asking import Asker
    from lego_ros.ros.watching import NodeWatch

    with Asker('lego_demo', stop=stop) as asker:
        watch = NodeWatch(asker.node)
        begin = time.monotonic()

        def ready() -> bool:
            nodes.check()
            if watch.failure:
                raise CommandError(watch.failure)
            if watch.info is None:
                progress.show('loading the models (the first time takes longest)')
                return False
            progress.show('waiting for the camera')
            return int(watch.figures('camera').get('frames_published', 0)) > 0

        asker.wait(ready)
        startup = time.monotonic() - begin
        begun = None if scene is None else _await_moment(nodes, asker, scene, progress)
        started = time.monotonic()

        def show(feedback: Any) -> None:
            ask.show(progress, feedback)

        goal = ask.make_goal(args)
        asked = asker.send(goal, show, _SERVER_TIMEOUT)
        # At once: it is about the frame that its node has when the question comes.
        program = asker.send(ask.program_goal(goal), show, _SERVER_TIMEOUT)
        reply = asker.finish(asked)
        ended = time.monotonic()

        def counted() -> bool:
            return any(int(value) for name, value in watch.figures('answers').items()
                       if name == 'answered' or name.startswith('failed_'))

        if not reply.canceled:
            asker.wait(counted, _FIGURES_TIMEOUT)
        assert watch.info is not None
        return reply, demo_files.Told(
            watch.info, watch.figures('camera'), startup, ended - started,
            asker.finish(program).result, scene, begun)


def _await_moment(nodes: NodesProcess, asker: Asker, scene: Scene, progress: Progress) -> float:
    """
    Wait until the action of the scene is about to begin.

    :returns: when the camera began to play, in seconds of the clock of its stamps.
    """
    from lego_ros.camera.pacing import PLAYED_SINCE
    from lego_ros.ros.watching import NodeWatch

    camera = NodeWatch(asker.node, 'camera_node')

    def played() -> bool:
        nodes.check()
        return PLAYED_SINCE in camera.figures('source')

    asker.wait(played)
    begun = float(camera.figures('source')[PLAYED_SINCE])
    moment = scene.next_moment(begun, time.time())

    def come() -> bool:
        nodes.check()
        left = moment - time.time()
        progress.show(f'waiting for "{scene.action}" in the kitchen, {max(left, 0.0):.0f} s')
        return left <= 0

    asker.wait(come)
    return begun


def _tell(out: Path, report: dict[str, Any]) -> int:
    """Print what came of it, and where it is."""
    error = report['error']
    if error['code']:
        print(printable(f'{error["name"]}: {error["message"]}'))
    else:
        if 'scene' in report:
            print(f'scene        {demo_files.scene_line(report["scene"])}')
        print(f'question     {printable(report["query"])}')
        print(f'description  {printable(report["description"])}')
        if not report['provenance']['trained']:
            print(f'             (the bundle \'{report["provenance"]["bundle"]}\' is untrained: '
                  'text and picture mean nothing)')
        print(f'program      {printable(demo_program.line(report["program"]))}')
        print(f'time         {report["answer_s"]:.2f} s, {report["startup_s"]:.1f} s to start')
    for name, text in demo_files.NAMES.items():
        if (out / name).exists():
            print(f'{out / name}{"/" if name == "bag" else ""}  {text}')
    return 1 if error['code'] else 0
