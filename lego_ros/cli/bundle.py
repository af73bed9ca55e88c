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

"""``lego-ros bundle``: make, import, verify and show model bundles; it needs no ROS."""

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
    parser = commands.add_parser('bundle', help='make, import, verify or show a model bundle',
                                 description='Make, import, verify or show a model bundle.')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    make = actions.add_parser('make', help='make a bundle with random weights',
                              description='Make a bundle with random weights.')
    make.add_argument('--size', choices=('tiny',), default='tiny')
    make.add_argument('--seed', type=whole(0, 2**63 - 1), default=0, metavar='N',
                      help='the same seed gives the same weights (default 0)')
    make.add_argument('--out', type=Path, required=True, metavar='DIR',
                      help='folder to create')
    make.set_defaults(run=run_make)
    _add_import(actions)
    for name, function, text in (
            ('verify', run_verify, 'check every file of a bundle against its hash'),
            ('info', run_info, 'show what a bundle says of itself')):
        action = actions.add_parser(name, help=text, description=f'{text.capitalize()}.')
        action.add_argument('folder', type=Path, metavar='DIR')
        action.set_defaults(run=function)


def _add_import(actions: argparse._SubParsersAction) -> None:
    text = 'make a bundle of released weights'
    parser = actions.add_parser(
        'import', help=text,
        description='Make a bundle of Stable Diffusion 1.5, InstructPix2Pix or LEGO, and a '
                    'LLaVA. Everything is read from this machine; docs/import.md tells more.')
    parser.add_argument('--ldm', type=Path, required=True, metavar='PATH',
                        help='a diffusers folder, or a .safetensors or .ckpt file by the names '
                             "of CompVis (the authors' LEGO checkpoints are such files)")
    parser.add_argument('--vllm', type=Path, required=True, metavar='DIR',
                        help="a LLaVA in transformers' layout or in LLaVA's own")
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder to create')
    parser.add_argument('--clip-tokenizer', type=Path, metavar='DIR',
                        help="tokenizer of CLIP's text encoder, for a single file")
    parser.add_argument('--vision-tower', type=Path, metavar='DIR',
                        help='CLIP, for a LLaVA that does not hold its own')
    parser.add_argument('--vllm-tokenizer', type=Path, metavar='DIR',
                        help='tokenizer of the VLLM, when its folder has no tokenizer.json')
    parser.add_argument('--conversation', metavar='NAME',
                        help='format that the VLLM was tuned with: llava_llama_2, vicuna_v1 or '
                             "lego_ros (default: by the folder's template or name)")
    parser.add_argument('--dtype', choices=('float16', 'bfloat16', 'float32'), default='float16',
                        help='of the weights in the bundle (default float16)')
    parser.add_argument('--resolution', type=whole(8, 4096), default=256, metavar='PIXELS',
                        help='side of the pictures (default 256, as LEGO was trained)')
    parser.add_argument('--view', choices=('whole', 'center_crop', 'released'),
                        help='part of the camera frame that the networks see (default: released '
                             'for LEGO checkpoints, whole for others)')
    parser.add_argument('--seed', type=whole(0, 2**63 - 1), default=0, metavar='N',
                        help='of sigma, mu and pi, where they are new (default 0)')
    parser.add_argument('--name', help='of the bundle (default: that of the folder)')
    parser.add_argument('--license', default='NOASSERTION', metavar='SPDX',
                        help='of the weights (default NOASSERTION: not stated)')
    parser.add_argument('--training-data', metavar='TEXT',
                        help='what the weights were trained on, in a sentence')
    parser.set_defaults(run=run_import)


def run_import(args: argparse.Namespace) -> int:
    """
    Make a bundle of released weights.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: what :func:`lego_ros.bundle.importing.importer.import_bundle` raises.
    """
    from lego_ros.bundle.environment import offline_and_quiet

    # Before the libraries that read it are imported.
    offline_and_quiet()
    from lego_ros.bundle.importing.importer import import_bundle, ImportRequest
    from tqdm import tqdm

    request = ImportRequest(
        ldm=args.ldm, vllm=args.vllm, name=args.name or args.out.name,
        clip_tokenizer=args.clip_tokenizer, vision_tower=args.vision_tower,
        vllm_tokenizer=args.vllm_tokenizer, conversation=args.conversation,
        license=args.license, training_data=args.training_data, view=args.view,
        resolution=args.resolution, dtype=args.dtype, seed=args.seed)
    try:
        with tqdm(desc='import', unit='B', unit_scale=True, leave=False, disable=None) as bar:
            def on_bytes(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            manifest, origins = import_bundle(args.out, request, on_bytes=on_bytes)
    except OSError as error:
        raise LegoError(ErrorCode.BUNDLE_INVALID,
                        f"'{args.out}' cannot be written: {error}") from error
    for part, origin in origins.items():
        print(f'{part:<20}{printable(origin)}')
    size = sum(entry.size for entry in manifest.files.values())
    print(f'{args.out}: {manifest.name}, {len(manifest.files)} files, {readable_bytes(size)}, '
          f"{args.dtype}; {'' if manifest.trained else 'not '}trained as a whole")
    return 0


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
