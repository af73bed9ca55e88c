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

"""The command ``lego-ros``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
import sys

from lego_ros import __version__
from lego_ros.cli import (
    ask,
    bundle,
    curate,
    data,
    demo,
    engine,
    evaluate,
    program,
    programs,
    sim,
    train,
    up,
)
from lego_ros.cli.environment import RosMissing
from lego_ros.cli.text import CommandError, printable
from lego_ros.errors import LegoError

EXIT_BAD_INPUT = 2
EXIT_NO_ROS = 3
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param argv: what follows ``lego-ros``; None = the process's own.
    :returns: exit status: 0, 1 for a question that was not answered, 2 for bad input, 3 where
        ROS is missing, 130 after Ctrl-C, 141 where nobody reads the output any more.
    """
    args = make_parser().parse_args(argv)
    try:
        status = args.run(args)
        # Here, where it is caught, not when Python ends.
        sys.stdout.flush()
        return status
    except RosMissing as error:
        print(error, file=sys.stderr)
        return EXIT_NO_ROS
    except LegoError as error:
        print(printable(str(error)), file=sys.stderr)
        return EXIT_BAD_INPUT
    except CommandError as error:
        print(printable(str(error)), file=sys.stderr)
        return error.status
    except BrokenPipeError:
        # Who read the output has seen enough (`| head`). Python would write what is left once
        # more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


def make_parser() -> argparse.ArgumentParser:
    """
    Make the parser of the command line.

    :returns: a parser whose result has ``run``, the function of the command.
    """
    parser = argparse.ArgumentParser(
        prog='lego-ros',
        description='Ask how an action is done in the scene in view, and see it drawn.')
    parser.add_argument('--version', action='version', version=f'lego_ros {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for command in (demo, ask, up, sim, data, curate, train, evaluate, bundle, engine,
                    program, programs):
        command.add_parser(commands)
    return parser
