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

"""What commands have in common that ask a language model thousands of times."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lego_ros.cli.interrupts import EXIT_INTERRUPTED
from lego_ros.cli.text import CommandError, real, whole
from lego_ros.errors import ErrorCode, LegoError

if TYPE_CHECKING:
    from lego_ros.training.llm.client import Server
    from lego_ros.training.llm.journal import Answer
    from lego_ros.training.llm.prices import Prices
    from tqdm import tqdm


def add_request_options(options: argparse._ArgumentGroup, max_tokens: int, timeout: float) -> None:
    """
    Add how the server is asked.

    :param options: the command's options about the server.
    :param max_tokens: of an answer, by default.
    :param timeout: of a request in seconds, by default.
    """
    options.add_argument('--temperature', type=real(0, 2), default=0.2, metavar='T',
                         help='default 0.2')
    options.add_argument('--max-tokens', type=whole(16, 8192), default=max_tokens, metavar='N',
                         help=f'of an answer (default {max_tokens})')
    options.add_argument('--concurrency', type=whole(1, 1024), default=8, metavar='N',
                         help='requests at once (default 8)')
    options.add_argument('--timeout', type=real(0.1, 3600), default=timeout, metavar='S',
                         help=f'of one request in seconds (default {timeout:g})')
    options.add_argument('--tries', type=whole(1, 20), default=6, metavar='N',
                         help='for one request at most (default 6)')
    options.add_argument('--prices', type=real(0, 1e6), nargs=2, metavar=('IN', 'OUT'),
                         help='for a million tokens of prompt and of answer, to tell the cost')


def read_server(args: argparse.Namespace) -> tuple[Server, Prices | None]:
    """
    Make of the options what they say.

    :param args: of the command line, with ``server`` and ``model``.
    :returns: the server and how it is asked, and what it takes, where that is known.
    :raises LegoError: INVALID_SETTING: no such address.
    """
    from lego_ros.training.llm.client import Server
    from lego_ros.training.llm.prices import Prices

    return (Server(args.server, args.model, args.temperature, args.max_tokens, args.concurrency,
                   args.timeout, args.tries),
            Prices(*args.prices) if args.prices else None)


@contextmanager
def keeping_answers(out: Path) -> Iterator[None]:
    """
    Say what becomes of the answers where a run ends before its time.

    :param out: where the results go.
    :raises LegoError: RECORDING_FAILED: they cannot be written.
    :raises CommandError: broken off by Ctrl-C.
    """
    try:
        yield
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED,
                        f"'{out}': the results cannot be written: {error}; all answers so far "
                        'are kept, the same command goes on from there') from error
    except KeyboardInterrupt:
        raise CommandError('broken off; all answers so far are kept, the same command goes on '
                           'from there', EXIT_INTERRUPTED) from None


class Meter:
    """
    Rate and time left are the bar's own; tokens, what becomes of them and cost stand beside.

    :param bar: on the terminal.
    :param prices: for the cost; None = it is not shown.
    """

    def __init__(self, bar: tqdm, prices: Prices | None) -> None:
        self._bar, self._prices = bar, prices
        self._tokens = 0
        self._cost = 0.0
        self._counts: dict[str, int] = {}

    def begin(self, done: int, total: int) -> None:
        """
        Show where a run begins.

        :param done: by earlier runs, which must not count in this one's rate.
        :param total: all there is to do.
        """
        self._bar.reset(total)
        self._bar.initial = self._bar.n = done
        self._bar.refresh()

    def answered(self, done: int, answer: Answer, retries: int, **counts: bool) -> None:
        """
        Show the newest answer.

        :param done: all there is with it.
        :param answer: it.
        :param retries: how often it had to be asked again.
        :param counts: what it is, by the name that this is counted under.
        """
        self._tokens += (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
        self._cost += self._prices.cost([answer]) if self._prices else 0.0
        for name, count in {**counts, 'retries': retries}.items():
            self._counts[name] = self._counts.get(name, 0) + count
        parts = [f'{self._tokens} tokens']
        parts += [f'{count} {name}' for name, count in self._counts.items()
                  if count or name != 'retries']
        parts += [f'cost {self._cost:.4f}'] if self._prices else []
        self._bar.set_postfix_str(', '.join(parts), refresh=False)
        self._bar.update(done - self._bar.n)
