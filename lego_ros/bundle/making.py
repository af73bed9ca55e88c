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

"""Writing bundles, the tiny one for tests, and where the trained one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import tempfile
from typing import TYPE_CHECKING

from lego_ros import __version__
from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.manifest import Manifest, MANIFEST_NAME
from lego_ros.errors import ErrorCode, LegoError

if TYPE_CHECKING:
    from lego_ros.ldm.pipeline import LegoPipeline
    from lego_ros.vllm.llava import LegoLlava
    from transformers import PreTrainedTokenizerBase

SHIPPED = Path('models', 'kitchen')
# <prefix>/lib/python3.N/site-packages/lego_ros/bundle/making.py; Debian has a "local" more.
_DEEPEST = 7
_TINY_TEXTS = (
    'The person opens the drawer with the right hand and pulls the handle towards the body.',
    'The person takes the mug from the counter with the left hand.',
    'The person cuts the onion on the board, holding the knife in the right hand.',
    'The person pours water from the kettle into the bowl next to the sink.',
    'How does the person properly close the cupboard door in the video frame?',
)


def save_networks(folder: Path, vllm: LegoLlava, vllm_tokenizer: PreTrainedTokenizerBase,
                  pipeline: LegoPipeline) -> None:
    """
    Write the networks of a bundle in the formats of transformers and diffusers.

    :param folder: the bundle.
    :param vllm: goes to ``vllm/``, with its tokenizer and image processor.
    :param vllm_tokenizer: of the VLLM.
    :param pipeline: its parts go to ``unet/``, ``vae/``, ``text_encoder/`` and so on.
    """
    from transformers import CLIPImageProcessorPil

    vllm.save_pretrained(folder / 'vllm', safe_serialization=True)
    vllm_tokenizer.save_pretrained(folder / 'vllm')
    side = vllm.config.vision_config.image_size
    CLIPImageProcessorPil(
        size={'height': side, 'width': side}, do_center_crop=False,
    ).save_pretrained(folder / 'vllm')
    pipeline.save_pretrained(folder, safe_serialization=True)


@contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """
    Make a bundle that is either there whole or not at all.

    :param folder: where it shall be; must not exist.
    :returns: a folder to fill; it is renamed when the block ends well, and removed when not.
    :raises LegoError: BUNDLE_INVALID when something is there already.
    """
    if folder.exists():
        raise LegoError(
            ErrorCode.BUNDLE_INVALID, f"'{folder}' exists already; remove it or name another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f'.{folder.name}-', dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_tiny(folder: Path, seed: int = 0) -> Manifest:
    """
    Make the tiny bundle: every network in its place, with random weights.

    It shows that everything works together. Its descriptions and pictures mean nothing.

    :param folder: where it shall be; must not exist.
    :param seed: the same seed gives the same weights.
    :returns: its manifest.
    """
    from lego_ros.bundle.environment import offline_and_quiet
    from lego_ros.ldm.config import build_pipeline, tiny_size
    from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
    from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
    import torch

    offline_and_quiet()
    tokenizer = make_llava_tokenizer(_TINY_TEXTS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vllm = LegoLlava(tiny_llava_config(len(tokenizer))).eval()
    pipeline = build_pipeline(
        tiny_size(vllm.config.text_config.hidden_size, vllm.image_tokens),
        make_clip_tokenizer(_TINY_TEXTS), seed)
    size = pipeline.conditioning.config
    with new_bundle(folder) as part:
        save_networks(part, vllm, tokenizer, pipeline)
        (part / 'README.md').write_text(
            f'# tiny\n\nRandom weights (seed {seed}), made by lego_ros {__version__}. For tests '
            'and for a first look at the interfaces: its answers mean nothing.\n',
            encoding='utf-8')
        manifest = Manifest(
            name='tiny', version=__version__, trained=False,
            training_data=f'none: random weights (seed {seed})', license='Apache-2.0',
            resolution=pipeline.resolution, view='whole',
            image_tokens=size.image_tokens, text_tokens=size.text_tokens,
            conditioning_channels=size.cross_attention_dim, vllm_hidden=size.vllm_hidden,
            steps=100, image_scale=1.5, text_scale=7.5,
            sampler=type(pipeline.scheduler).__name__, files=hash_files(part))
        manifest.save(part)
    return manifest


def shipped_bundle() -> Path | None:
    """
    Find the trained bundle that comes with the package.

    :returns: ``models/kitchen`` of the source tree, or ``share/lego_ros/models/kitchen`` of where
        the package is installed; None = an installation without it.
    """
    return next((folder for parent in Path(__file__).resolve().parents[:_DEEPEST]
                 for folder in (parent / SHIPPED, parent / 'share' / 'lego_ros' / SHIPPED)
                 if (folder / MANIFEST_NAME).is_file()), None)


def default_bundle() -> Path:
    """
    Give the bundle that is used when none is named.

    :returns: the shipped one; where there is none, the tiny one, made when first asked for, below
        ``$XDG_CACHE_HOME/lego_ros`` (``~/.cache/lego_ros``).
    """
    return shipped_bundle() or tiny_bundle()


def tiny_bundle() -> Path:
    """
    Give the tiny bundle, made when first asked for.

    :returns: its folder, below ``$XDG_CACHE_HOME/lego_ros`` (``~/.cache/lego_ros``).
    """
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    folder = cache / 'lego_ros' / f'tiny-{__version__}'
    if not folder.exists():
        try:
            make_tiny(folder)
        except OSError:
            # Two nodes that start together both make it; the rename of the second finds the
            # first one's in its place.
            if not folder.exists():
                raise
    return folder
