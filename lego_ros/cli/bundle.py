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

"""``lego-ros bundle``: make, verify and show model bundles; it needs no ROS."""

from __future__ import annotations

import argparse
from pathlib import Path

from lego_ros.cli.text import printable, whole
from lego_ros.errors import ErrorCode, LegoError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser('bundle', help='make, verify or show a model bundle',
                                 description='Make, verify or show a model bundle.')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    make = actions.add_parser('make', help='make a bundle with random weights',
                              description='Make a bundle with random weights.')
    make.add_argument('--size', choices=('tiny',), default='tiny')
    make.add_argument('--seed', type=whole(0, 2**63 - 1), default=0, metavar='N',
                      help='the same seed gives the same weights (default 0)')
    make.add_argument('--out', type=Path, required=True, metavar='DIR',
                      help='folder to create')
    make.set_defaults(run=run_make)
    for name, function, text in (
            ('verify', run_verify, 'check every file of a bundle against its hash'),
            ('info', run_info, 'show what a bundle says of itself')):
        action = actions.add_parser(name, help=text, description=f'{text.capitalize()}.')
        action.add_argument('folder', type=Path, metavar='DIR')
        action.set_defaults(run=function)


def run_make(args: argparse.Namespace) -> int:
    """
    Make a bundle.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: BUNDLE_INVALID, it cannot be written there.
    """
    from lego_ros.bundle.making import make_tiny

    try:
        manifest = make_tiny(args.out, args.seed)
    except OSError as error:
        raise LegoError(ErrorCode.BUNDLE_INVALID,
                        f"'{args.out}' cannot be written: {error}") from error
    print(f'{args.out}: {manifest.name} {manifest.version}, seed {args.seed}, '
          f'{len(manifest.files)} files; untrained, its answers mean nothing')
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """
    Check a bundle.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: a BUNDLE code.
    """
    from lego_ros.bundle.integrity import verify
    from tqdm import tqdm

    # disable=None: no bar where the stream is no terminal.
    with tqdm(desc='verify', unit='B', unit_scale=True, leave=False, disable=None) as bar:
        def on_bytes(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        manifest, digest = verify(args.folder, on_bytes)
    size = sum(entry.size for entry in manifest.files.values())
    print(f'{args.folder}: {manifest.name} {printable(manifest.version)} is whole: '
          f'{len(manifest.files)} files, {readable_bytes(size)}, SHA-256 {digest}')
    return 0


def run_info(args: argparse.Namespace) -> int:
    """
    Show the manifest of a bundle.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: a BUNDLE code.
    """
    from lego_ros.bundle.manifest import read_manifest

    manifest, digest = read_manifest(args.folder)
    weights = sum(entry.size for name, entry in manifest.files.items()
                  if name.endswith('.safetensors'))
    rows = {
        'name': f'{manifest.name} {manifest.version}',
        'trained': 'yes' if manifest.trained else 'no: its answers mean nothing',
        'training data': manifest.training_data,
        'licence': manifest.license,
        'picture': f'{manifest.resolution} x {manifest.resolution} pixels, '
                   f'{manifest.view} of the camera frame',
        'image tokens M': manifest.image_tokens,
        'text tokens N': manifest.text_tokens,
        'channels D': manifest.conditioning_channels,
        'hidden of the VLLM': manifest.vllm_hidden,
        'sampler': f'{manifest.sampler}, {manifest.steps} steps, image scale '
                   f'{manifest.image_scale:g}, text scale {manifest.text_scale:g}',
        'parameters': f'{readable_bytes(weights)} of safetensors',
        'files': f"{len(manifest.files)}, not checked here ('lego-ros bundle verify' does)",
        'SHA-256': digest,
    }
    for name, value in rows.items():
        print(f'{name:<20}{printable(str(value))}')
    return 0


def readable_bytes(size: float) -> str:
    """
    Write a number of bytes for people.

    :param size: in bytes.
    :returns: such as ``3.4 MB``.
    """
    for unit in ('bytes', 'kB', 'MB'):
        if size < 1000:
            return f'{size:.0f} {unit}' if unit == 'bytes' else f'{size:.1f} {unit}'
        size /= 1000
    return f'{size:.1f} GB'
