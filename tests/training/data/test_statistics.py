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

"""The statistics page: its numbers, its escaping, and what a browser makes of it."""

import base64
from collections import Counter
import hashlib
from html.parser import HTMLParser
import io
import json
import os
import re
import shutil
import subprocess

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.manifest import read_manifest
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.statistics import read_statistics
from lego_ros.training.data.statistics_page import statistics_page
import numpy as np
from PIL import Image
import pytest

VOID = {'meta', 'img', 'br', 'rect', 'line'}
EVIL = '<script>alert("1")</script> & "tea"'
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


@pytest.fixture(scope='module')
def jpeg():
    pictures = {}
    for role, grey in (('input', 60), ('target', 180)):
        ramp = np.linspace(0, 60, 64).astype(np.uint8)
        picture = np.repeat((np.tile(ramp, (64, 1)) + np.uint8(grey))[..., None], 3, axis=2)
        pictures[role] = cv2.imencode('.jpg', picture)[1].tobytes()
    return pictures


@pytest.fixture
def manifest(tmp_path, record, jpeg):
    """Forty pairs of three verdicts in two splits, and three problems."""
    folder = tmp_path / 'manifest'
    records = []
    for index in range(40):
        reason = ('kept', 'kept', 'too_similar', 'too_different')[index % 4]
        changes = {
            'action_id': str(index), 'video_id': f'video {index % 5}', 'reason': reason,
            'split': 'train' if index < 30 else 'validation', 'kept': reason == 'kept',
            'similarity': {'kept': 0.9, 'too_similar': 0.9991, 'too_different': 0.31}[reason],
            'verb': EVIL if index % 3 else 'open', 'label': EVIL, 'noun': f'noun {index}'}
        one = record(**changes)
        pictures = {}
        for role, content in jpeg.items():
            path = folder / f'pictures/{index}_{role}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            pictures[role] = getattr(one, role).model_copy(update={
                'path': f'pictures/{index}_{role}.jpg',
                'sha256': hashlib.sha256(content).hexdigest(), 'width': 64, 'height': 64})
        records.append(one.model_copy(update=pictures))
    writer = ManifestWriter(
        folder / 'pairs.jsonl', [f'video {index}' for index in range(5)],
        {'lowest': 0.5, 'highest': 0.99, 'similarity_by': 'gist_cosine',
         'source': {'format': 'epic'}})
    for index in range(5):
        log = ProblemLog()
        if index < 3:
            log.add(Reason.MISSING_VIDEO, EVIL, f'row {index}', EVIL)
        writer.add(f'video {index}',
                   [one for one in records if one.video_id == f'video {index}'], log)
    writer.finish()
    return folder / 'pairs.jsonl'


class Page(HTMLParser):
    """Elements, text and tables; fails where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images, self.cells, self.ids = [], Counter(), [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        attributes = dict(attrs)
        self.ids += [attributes['id']] if 'id' in attributes else []
        assert not any(name.startswith('on') for name in attributes)
        if tag == 'img':
            self.images.append(attributes)
        if tag == 'tr':
            self.cells.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1

    def handle_endtag(self, tag):
        # A browser writes <rect></rect> for <rect/>.
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data):
        if 'tr' in self.open and self.open[-1] in {'th', 'td'}:
            self.cells[-1].append(data)

    def row(self, name):
        return next(cells[1:] for cells in self.cells if cells and cells[0] == name)


def page_of(manifest):
    return statistics_page(read_statistics(manifest), manifest.parent)


def test_its_numbers_are_the_manifests(manifest):
    page = Page(page_of(manifest))
    records = list(read_manifest(manifest))
    verdicts = Counter(record.reason for record in records)
    for verdict, count in verdicts.items():
        assert page.row(verdict.replace('_', ' '))[0] == str(count)
    for split in ('train', 'validation'):
        of_split = [record for record in records if record.split == split]
        kept = sum(record.kept for record in of_split)
        assert page.row(split) == [
            str(len(of_split)), str(kept), str(len(of_split) - kept),
            str(len({record.video_id for record in of_split}))]
    for verb in ('open', EVIL):
        found = [record.kept for record in records if record.verb == verb]
        assert page.row(verb)[:2] == [str(len(found)), str(sum(found))]
    assert page.row('missing video') == ['3']
    assert page.row('left') == ['40']
    # 25 nouns are listed, the rest is counted.
    assert '15 more nouns have 15 pairs' in page_of(manifest)


def test_histograms_lose_nothing(manifest):
    statistics = read_statistics(manifest)
    records = list(read_manifest(manifest))
    similarity = statistics.similarity
    assert (similarity.total, statistics.gaps.total) == (40, 40)
    for verdict in ('kept', 'too_similar', 'too_different'):
        values = [record.similarity for record in records if record.reason == verdict]
        low = np.floor((values[0] - similarity.start) / similarity.step + 1e-9)
        assert similarity.counts[int(low)][verdict] == len(values)
    gap = records[0].target.time - records[0].input.time
    assert statistics.gaps.start <= gap < statistics.gaps.start + statistics.gaps.step


def test_both_bounds_of_the_filter_are_drawn(manifest):
    text = page_of(manifest)
    for bound in ('0.5', '0.99'):
        assert re.search(rf'<line [^>]*/><text [^>]*>{bound}</text>', text)


def test_it_is_one_safe_file(manifest):
    text = page_of(manifest)
    page = Page(text)
    assert not set(page.tags) & {'script', 'link', 'iframe', 'object', 'form'}
    assert EVIL not in text
    # No address but the pictures' own, and none that a browser would follow.
    assert not re.search(r'(?:src|href|url\()\s*=?\s*["\']?(?!data:)\w+:', text)
    assert "default-src 'none'" in text
    assert len(set(page.ids)) == len(page.ids)
    assert all(image['alt'] and int(image['width']) > 0 for image in page.images)
    assert len(page.images) == 12 + 10 + 10
    for image in page.images:
        content = base64.b64decode(image['src'].removeprefix('data:image/jpeg;base64,'))
        with Image.open(io.BytesIO(content)) as opened:
            assert opened.size == (int(image['width']), int(image['height']))


def test_the_same_manifest_gives_the_same_page(manifest):
    assert page_of(manifest) == page_of(manifest)


def test_an_unfinished_or_changed_manifest_is_refused(manifest):
    lines = manifest.read_bytes()
    manifest.write_bytes(lines[:-1])
    with pytest.raises(LegoError, match='changed or cut off') as caught:
        read_statistics(manifest)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    manifest.write_bytes(lines)
    summary = manifest.with_suffix('.summary.json')
    summary.write_text(json.dumps({'plan': {}}))
    with pytest.raises(LegoError, match='no summary'):
        read_statistics(manifest)
    summary.unlink()
    with pytest.raises(LegoError, match='no finished manifest') as caught:
        read_statistics(manifest)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_a_missing_picture_is_named(manifest):
    shutil.rmtree(manifest.parent / 'pictures')
    with pytest.raises(LegoError, match=r"pictures/\d+_input.jpg': a picture of the manifest"):
        page_of(manifest)


def test_a_real_browser_draws_it(manifest, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f'no browser: none of {", ".join(BROWSERS)} is installed')
    page = tmp_path / 'index.html'
    page.write_text(page_of(manifest))
    flags = [
        '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync',
        '--disable-background-networking', '--disable-component-update', '--hide-scrollbars',
        '--disable-dev-shm-usage', '--window-size=1000,1500', f'--user-data-dir={tmp_path}/user']
    environment = {**os.environ, 'HOME': str(tmp_path)}
    shot = tmp_path / 'shot.png'
    dumped = subprocess.run(
        [browser, *flags, f'--screenshot={shot}', '--dump-dom', page.as_uri()], check=True,
        capture_output=True, text=True, timeout=120, env=environment).stdout
    with Image.open(shot) as image:
        drawn = np.asarray(image.convert('RGB')).astype(int)
    assert drawn.shape == (1500, 1000, 3)
    # The bars of the kept (#0072b2) and of the dropped (#d55e00) are seen.
    for colour in ((0, 0x72, 0xb2), (0xd5, 0x5e, 0)):
        assert (np.abs(drawn - colour).max(axis=2) < 8).sum() > 500
    # What the browser understood is what was written: nothing was lost or closed in its own way.
    assert Page(dumped.removeprefix('<!DOCTYPE html>')).cells == Page(page.read_text()).cells
