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

"""``lego-ros curate``: detailed descriptions for the actions of a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TYPE_CHECKING

from lego_ros.cli.language_model import (
    add_request_options,
    keeping_answers,
    Meter,
    read_server,
)
from lego_ros.cli.text import printable, whole
from lego_ros.errors import ErrorCode, LegoError

if TYPE_CHECKING:
    from lego_ros.training.curation.curate import Step

_SEED_END = 2**63 - 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to a command line.

    :param commands: of the parser that it belongs to.
    """
    parser = commands.add_parser(
        'curate', help='describe the actions of a manifest in detail',
        description='Describe the actions of a manifest in one detailed sentence each, by a '
        "language model behind an OpenAI-compatible server or by the simulated kitchen's "
        "annotator. The server's key comes from the variable LEGO_LLM_API_KEY. Broken off, the "
        'same command goes on where it was.')
    parser.add_argument('manifest', type=Path, metavar='MANIFEST',
                        help='pairs.jsonl or its folder')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE',
                        help='of the descriptions, such as descriptions.jsonl; .rejects.jsonl, '
                        '.summary.json and .journal.jsonl stand beside it')
    writer = parser.add_mutually_exclusive_group(required=True)
    writer.add_argument('--server', metavar='URL',
                        help='of the server, up to /v1: http://localhost:8000/v1')
    writer.add_argument('--annotator', type=Path, metavar='TRUTH',
                        help="the kitchen's truth.jsonl")
    chosen = parser.add_argument_group('which actions')
    chosen.add_argument('--split', nargs='+', default=['train'], metavar='NAME',
                        help='splits of the manifest (default train)')
    chosen.add_argument('--count', type=whole(1, 10**9), metavar='N',
                        help='how many, drawn at random (default all); the paper has 20891 of '
                        'Ego4D and 17922 of EPIC-KITCHENS')
    chosen.add_argument('--seed', type=whole(0, _SEED_END), default=0, metavar='N',
                        help='of the draw (default 0)')
    _add_server_options(parser)
    parser.set_defaults(run=run)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group('with --server')
    options.add_argument('--model', metavar='NAME', help="the server's name of the model")
    options.add_argument('--examples', metavar='NAME',
                         help="ego4d, epic-kitchens-100, kitchen or a YAML file (default: by each "
                         "action's dataset)")
    options.add_argument('--nouns', type=Path, metavar='CSV',
                         help='EPIC_100_noun_classes_v2.csv: more names of things, and which '
                         'mean the same, to find invented ones')
    add_request_options(options, max_tokens=200, timeout=60.0)


def run(args: argparse.Namespace) -> int:
    """
    Curate.

    :param args: of the command line.
    :returns: exit status: 0; 1 where no description passed the checks.
    :raises LegoError: INVALID_SETTING, SOURCE_UNREADABLE, INFERENCE_FAILED or RECORDING_FAILED.
    :raises CommandError: broken off by Ctrl-C.
    """
    from lego_ros.training.curation.queries import Selection
    from lego_ros.training.data.statistics import manifest_of

    args.manifest = manifest_of(args.manifest)
    selection = Selection(tuple(args.split), args.count, args.seed)
    with keeping_answers(args.out):
        summary = (_with_annotator if args.annotator else _with_model)(args, selection)
    print(printable(_summarise(args.out, summary)))
    return 0 if summary['descriptions'] else 1


def _with_annotator(args: argparse.Namespace, selection: Any) -> dict[str, Any]:
    from lego_ros.training.curation.annotator import read_annotator
    from lego_ros.training.curation.curate import curate_with_annotator

    return curate_with_annotator(
        args.manifest, args.out, selection, read_annotator(args.annotator))


def _with_model(args: argparse.Namespace, selection: Any) -> dict[str, Any]:
    from lego_ros.training.curation.curate import curate_with_model
    from lego_ros.training.data.epic_classes import read_classes, spoken
    from lego_ros.training.llm.client import read_key
    from tqdm import tqdm

    if not args.model:
        raise LegoError(ErrorCode.INVALID_SETTING, '--server needs --model')
    server, prices = read_server(args)
    synonyms = [[spoken(name) for name in (noun.key, *noun.instances)]
                for noun in read_classes(args.nouns).values()] if args.nouns else []
    # disable=None: no bar where the stream is no terminal.
    with tqdm(desc='curate', unit=' actions', dynamic_ncols=True, disable=None) as bar:
        meter = Meter(bar, prices)

        def show(step: Step) -> None:
            if step.answer is None:
                meter.begin(step.done, step.total)
            else:
                meter.answered(step.done, step.answer, step.retries, rejected=step.rejected)

        return curate_with_model(
            args.manifest, args.out, selection, server, read_key(), args.examples, synonyms,
            prices, show)


def _summarise(out: Path, summary: dict[str, Any]) -> str:
    text = (f"{out}: {summary['descriptions']} descriptions by {summary['source']}, "
            f"{summary['rejected']} rejected")
    if summary['reasons']:
        text += f" ({', '.join(f'{name} {n}' for name, n in summary['reasons'].items())})"
    if 'prompt_tokens' in summary:
        text += (f"; {summary['prompt_tokens']} tokens in, "
                 f"{summary['completion_tokens']} out")
    if summary.get('cost') is not None:
        text += f", cost {summary['cost']:.4f}"
    if summary.get('answers_without_token_counts'):
        text += f" ({summary['answers_without_token_counts']} answers came without counts)"
    return text
