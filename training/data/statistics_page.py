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

"""
The statistics of a manifest as one HTML file that needs nothing beside it and no network.

Every figure stands in the page as text; the bars only repeat it. Words from the dataset are
escaped, and the page's policy forbids scripts and anything from elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
import io
from pathlib import Path

from lego_ros.training.data.manifest import PairRecord
from lego_ros.training.data.pair_pictures import pair_picture
from lego_ros.training.data.statistics import Histogram, Statistics, VERDICTS
from lego_ros.training.data.statistics_style import STYLE

_WORDS = 25
"""How many verbs and nouns are listed."""
_HEIGHT = 160
_QUALITY = 80
_NAMES = {'kept': 'kept', 'too_different': 'too different', 'too_similar': 'too similar'}
_CHART = (640, 180)


def statistics_page(statistics: Statistics, folder: Path) -> str:
    """
    Write the page.

    :param statistics: of the manifest.
    :param folder: the manifest's, where the pictures are.
    :returns: HTML.
    :raises LegoError: SOURCE_UNREADABLE: a picture is not there or was changed.
    """
    bounds = (float(statistics.settings['lowest']), float(statistics.settings['highest']))
    sections = (
        ('Overview', _overview(statistics)),
        ('Splits', _splits(statistics)),
        ('Filter', _filter(statistics, bounds)),
        ('Time from input to target', _gaps(statistics)),
        ('Verbs', _words(statistics.verbs, 'verb')),
        ('Nouns', _words(statistics.nouns, 'noun')),
        ('Hands and boxes', _hands(statistics)),
        ('Left out', _problems(statistics)),
        ('Pictures', _samples(statistics, folder)),
        ('Settings', _settings(statistics)))
    body = ''.join(
        f'<section aria-labelledby="s{number}"><h2 id="s{number}">{title}</h2>{content}</section>'
        for number, (title, content) in enumerate(sections))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        'img-src data:; style-src \'unsafe-inline\'">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Action pairs: statistics</title><style>{STYLE}</style></head>'
        f'<body><header><h1>Action pairs</h1><p>Statistics of a manifest of lego_ros</p></header>'
        f'<main>{body}</main></body></html>\n')


def _overview(statistics: Statistics) -> str:
    kept = statistics.verdicts['kept']
    videos = sum(len(split.videos) for split in statistics.splits.values())
    facts = {
        'pairs prepared': statistics.pairs, 'kept by the filter': kept,
        'dropped by the filter': statistics.pairs - kept, 'videos': videos,
        'problems reported': sum(statistics.problems.values())}
    return '<dl class="tiles">' + ''.join(
        f'<div><dt>{name}</dt><dd>{count:,}</dd></div>' for name, count in facts.items()) + '</dl>'


def _splits(statistics: Statistics) -> str:
    return _table(('Split', 'Pairs', 'Kept', 'Dropped', 'Videos'), (
        (name, split.pairs, split.kept, split.pairs - split.kept, len(split.videos))
        for name, split in statistics.splits.items()))


def _filter(statistics: Statistics, bounds: tuple[float, float]) -> str:
    total = max(statistics.pairs, 1)
    embedder = escape(str(statistics.settings['similarity_by']))
    table = _table(('Verdict', 'Pairs', 'Share'), (
        (_NAMES[verdict], count, f'{100 * count / total:.1f} %')
        for verdict, count in statistics.verdicts.items()))
    return (
        f'<p>A pair is kept if the cosine of its two pictures, by <code>{embedder}</code>, lies '
        f'from {bounds[0]:g} to {bounds[1]:g}.</p>' + table
        + _histogram(statistics.similarity, 'Cosine of input and target', '{:.2f}', bounds))


def _gaps(statistics: Statistics) -> str:
    return _histogram(statistics.gaps, 'Seconds from input to target', '{:.2f}')


def _words(words: Mapping[str, tuple[int, int]], kind: str) -> str:
    if not words:
        return f'<p>No pair has a {kind}.</p>'
    most = max(count for _, count in words.values())
    rows = ''.join(
        f'<tr><th scope="row">{escape(word)}</th><td>{count:,}</td><td>{kept:,}</td>'
        f'<td class="bar" aria-hidden="true">{_bar("kept", kept / most)}'
        f'{_bar("dropped", (count - kept) / most)}</td></tr>'
        for word, (kept, count) in list(words.items())[:_WORDS])
    rest = list(words.values())[_WORDS:]
    more = (f'<p>{len(rest):,} more {kind}s have {sum(count for _, count in rest):,} pairs.</p>'
            if rest else '')
    return (
        f'<div class="scroll"><table class="words"><thead><tr><th scope="col">'
        f'{kind.capitalize()}</th><th scope="col">Pairs</th><th scope="col">Kept</th>'
        f'<td aria-hidden="true">{_legend(("kept", "dropped"))}</td></tr></thead>'
        f'<tbody>{rows}</tbody></table></div>{more}')


def _bar(name: str, share: float) -> str:
    return f'<i class="{name}" style="width:{100 * share:.2f}%"></i>'


def _hands(statistics: Statistics) -> str:
    table = _table(('Hand in the target picture', 'Pairs'), statistics.hands.items())
    return f'{table}<p>{statistics.boxed:,} pairs have boxes.</p>'


def _problems(statistics: Statistics) -> str:
    if not statistics.problems:
        return '<p>Nothing: every action of the dataset is a pair.</p>'
    parts = ['<p>The whole list, with file, row and reason, is in '
             '<code>pairs.problems.jsonl</code>.</p>',
             _table(('Reason', 'Times'), ((reason.replace('_', ' '), count)
                                          for reason, count in statistics.problems.items()))]
    for reason, examples in statistics.examples.items():
        entries = ''.join(
            f'<li><code>{escape(problem.file)}</code>, {escape(problem.row)}: '
            f'{escape(problem.detail)}</li>' for problem in examples)
        parts.append(f'<details><summary>{reason.replace("_", " ")}: {len(examples)} of '
                     f'{statistics.problems[reason]:,}</summary><ul>{entries}</ul></details>')
    return ''.join(parts)


def _samples(statistics: Statistics, folder: Path) -> str:
    parts = ['<p>Input left, target right; chosen by the hash of their ids.</p>']
    for verdict, records in statistics.samples.items():
        if records:
            figures = ''.join(_figure(record, folder) for record in records)
            parts.append(f'<h3>{_NAMES[verdict].capitalize()}</h3><div class="pairs">'
                         f'{figures}</div>')
    return ''.join(parts)


def _figure(record: PairRecord, folder: Path) -> str:
    image = pair_picture(record, folder, _HEIGHT)
    content = io.BytesIO()
    image.save(content, format='JPEG', quality=_QUALITY)
    data = base64.b64encode(content.getvalue()).decode()
    label = escape(record.label)
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" width="{image.width}" '
        f'height="{image.height}" alt="Before and during: {label}"><figcaption>'
        f'<strong>{label}</strong><br>{record.similarity:.3f}, {escape(record.split)}, '
        f'<code>{escape(record.pair_id)}</code></figcaption></figure>')


def _settings(statistics: Statistics) -> str:
    rows: list[tuple[str, object]] = []
    for name, value in statistics.settings.items():
        if isinstance(value, dict):
            rows += [(f'{name}: {key}', part) for key, part in value.items()]
        else:
            rows.append((name, value))
    return _table(('Setting', 'Value'), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    def cell(value: object) -> str:
        text = f'{value:,}' if type(value) is int else escape(str(value))
        return f'<td>{text}</td>'

    return (
        '<div class="scroll"><table><thead><tr>'
        + ''.join(f'<th scope="col">{escape(name)}</th>' for name in head)
        + '</tr></thead><tbody>'
        + ''.join(f'<tr><th scope="row">{escape(str(row[0]))}</th>{"".join(map(cell, row[1:]))}'
                  '</tr>' for row in rows)
        + '</tbody></table></div>')


def _legend(names: Iterable[str]) -> str:
    return ''.join(f'<span class="key"><i class="{name}"></i> {_NAMES.get(name, name)}</span>'
                   for name in names)


def _histogram(histogram: Histogram, title: str, form: str,
               bounds: tuple[float, float] | None = None) -> str:
    """Draw a histogram as SVG; its numbers follow as a table for those who want or need them."""
    if not histogram.counts:
        return '<p>There are no pairs.</p>'
    width, height = _CHART
    count = len(histogram.counts)
    end = histogram.start + count * histogram.step
    most = max(sum(interval.values()) for interval in histogram.counts)
    shapes = []
    for index, interval in enumerate(histogram.counts):
        top = float(height)
        for verdict in VERDICTS:
            size = height * interval[verdict] / most
            top -= size
            if size:
                shapes.append(
                    f'<rect class="{verdict}" x="{index * width / count:.2f}" y="{top:.2f}" '
                    f'width="{max(width / count - 1, 1):.2f}" height="{size:.2f}"/>')
    for bound in bounds or ():
        x = (bound - histogram.start) / (end - histogram.start) * width
        if -1 <= x <= width + 1:
            shapes.append(f'<line x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{height}"/>'
                          f'<text x="{x:.2f}" y="-4" text-anchor="middle">{bound:g}</text>')
    ticks = ''.join(
        f'<text x="{share * width:.0f}" y="{height + 16}" text-anchor="'
        f'{("start", "middle", "end")[round(share * 2)]}">'
        f'{form.format(histogram.start + share * (end - histogram.start))}</text>'
        for share in (0.0, 0.5, 1.0))
    rows = ((f'{form.format(histogram.start + index * histogram.step)} to '
             f'{form.format(histogram.start + (index + 1) * histogram.step)}',
             *(interval[verdict] for verdict in VERDICTS))
            for index, interval in enumerate(histogram.counts) if sum(interval.values()))
    return (
        f'<figure class="chart"><svg viewBox="-24 -18 {width + 48} {height + 40}" role="img" '
        f'aria-label="{escape(title)}: histogram of {histogram.total:,} pairs, the highest bar '
        f'{most:,}">{"".join(shapes)}{ticks}</svg><figcaption>{escape(title)}; the highest bar '
        f'is {most:,} pairs. {_legend(VERDICTS)}</figcaption></figure>'
        f'<details><summary>As numbers</summary>'
        f'{_table((title, *map(str, _NAMES.values())), rows)}</details>')
