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

"""The picture of a program: where its parts stand, and that they are drawn."""

from lego_ros.palette import WARNING
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.programs.picture.drawing import draw, MAX_PIXELS
from lego_ros.programs.picture.page import lay_out, SIDE
from lego_ros.programs.picture.shapes import Arrow, Box, Text
from lego_ros.programs.picture.text import shortened, width, wrapped
from lego_ros.programs.tree import Hand, If, walk
from lego_ros.programs.vocabulary import default_vocabulary
import numpy as np
import pytest

STEPS = """reach(mug, right)
grasp(mug, right)
lift(mug, right)
carry(mug, shelf, left)
place(mug, shelf, both)
"""
PROGRAMS = {
    'steps': f'objects mug, shelf\ninitially on(mug, shelf)\n{STEPS}',
    'nested': f"""objects mug, shelf, lid
if open(lid), not full(mug) {{ {STEPS} while open(lid) {{ repeat 3 {{ find(mug) find(lid) }} }} }}
else {{ find(lid) if full(mug) {{ find(shelf) }} }}
find(mug)
""",
    'routines': f"""objects mug, shelf
routine first {{ {STEPS} }}
routine second_one {{ find(mug) call first }}
call first
call second_one
""",
    'many': f'objects mug, shelf\n{STEPS * 12}',
    'names': f'objects {"m" * 64}\nreach({"m" * 64}, right)\nfind({"m" * 64})\n',
}


def pages(text):
    program = parse(text)
    return program, lay_out(program, default_vocabulary(), check(program))


def kinds(page, *wanted):
    return [shape for shape in page.shapes if isinstance(shape, Box) and shape.kind in wanted]


def extent(shape):
    """Left, top, right, bottom."""
    if isinstance(shape, Box):
        return shape.left, shape.top, shape.right, shape.bottom
    if isinstance(shape, Text):
        long = width(shape.text, shape.size, shape.bold)
        left = shape.x - long * {'left': 0, 'center': 0.5, 'right': 1}[shape.align]
        return left, shape.y - 0.75 * shape.size, left + long, shape.y + 0.2 * shape.size
    xs, ys = zip(*shape.points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def overlap(one, other):
    (a, b, c, d), (e, f, g, h) = extent(one), extent(other)
    return min(c, g) - max(a, e) > 0.01 and min(d, h) - max(b, f) > 0.01


def inside(inner, outer):
    (a, b, c, d), (e, f, g, h) = extent(inner), extent(outer)
    return e <= a + 0.01 and f <= b + 0.01 and c <= g + 0.01 and d <= h + 0.01


@pytest.mark.parametrize('name', PROGRAMS)
def test_nothing_overlaps_and_all_is_on_the_page(name):
    _, page = pages(PROGRAMS[name])
    solid = kinds(page, 'action', 'call', 'test', 'stub', 'start', 'end', 'link', 'swatch')
    frames = kinds(page, 'frame', 'routine')
    texts = [shape for shape in page.shapes if isinstance(shape, Text)]
    for number, one in enumerate(solid):
        assert not any(overlap(one, other) for other in solid[:number])
        assert all(inside(one, frame) or not overlap(one, frame) for frame in frames)
    for number, one in enumerate(frames):
        assert all(inside(one, other) or not overlap(one, other) for other in frames[:number])
    for number, text in enumerate(texts):
        assert not any(overlap(text, other) for other in texts[:number]), text
        assert all(inside(text, box) or not overlap(text, box) for box in solid), text
    for shape in page.shapes:
        left, top, right, bottom = extent(shape)
        assert left > 20
        assert top > 20
        assert right < page.width - 20
        assert bottom < page.height - 20


@pytest.mark.parametrize('name', PROGRAMS)
def test_each_statement_has_one_box_in_the_order_of_the_text(name):
    program, page = pages(PROGRAMS[name])
    shown = [box.statement for box in kinds(page, 'action', 'call', 'test')]
    body = list(walk(program.body))
    # By identity, since equal statements may stand at several places.
    assert [id(one) for one in shown[:len(body)]] == [id(one) for one in body]
    assert len(shown) == len(body) + sum(
        len(list(walk(routine.body))) for routine in program.routines)
    boxes = {id(box.statement): box for box in kinds(page, 'action', 'call', 'test')}
    for one, after in zip(program.body, program.body[1:], strict=False):
        lower, upper = boxes[id(after)], boxes[id(one)]
        assert lower.top > upper.bottom or lower.left > upper.right
    assert page.hidden == 0


def test_then_and_else_stand_side_by_side():
    program, page = pages(PROGRAMS['nested'])
    branch = program.body[0]
    assert isinstance(branch, If)
    boxes = {id(box.statement): box for box in kinds(page, 'action', 'call', 'test')}
    then = [boxes[id(one)] for one in walk(branch.then)]
    other = [boxes[id(one)] for one in walk(branch.otherwise)]
    assert max(box.right for box in then) < min(box.left for box in other)
    assert abs(then[0].top - other[0].top) < 30
    assert boxes[id(branch)].bottom < min(box.top for box in (*then, *other))


def test_a_loop_has_an_arrow_back_to_its_head():
    program, page = pages('objects mug\nrepeat 2 { find(mug) }\n')
    boxes = {id(box.statement): box for box in kinds(page, 'action', 'test')}
    head, body = boxes[id(program.body[0])], boxes[id(program.body[0].body[0])]
    ways = [arrow.points for arrow in page.shapes if isinstance(arrow, Arrow) and arrow.head]
    assert any(way[0][1] == pytest.approx(body.bottom) and way[-1] == pytest.approx(
        (head.left, (head.top + head.bottom) / 2)) for way in ways)


def test_conditions_of_the_contract_are_muted_and_written_ones_are_not():
    _, page = pages('objects mug, lid\ninitially near(mug, right), open(lid)\n'
                    'grasp(mug, right) pre open(lid) post not open(lid)\n')
    roles = {shape.text: shape.role for shape in page.shapes if isinstance(shape, Text)}
    assert roles['near(mug, right)'] == 'muted'
    assert roles['+ contact(mug, right)'] == 'muted'
    assert roles['open(lid)'] == 'ink'
    assert roles['− open(lid)'] == 'ink'


def test_hands_are_named_in_the_boxes():
    _, page = pages(PROGRAMS['steps'])
    words = [shape.text for shape in page.shapes
             if isinstance(shape, Text) and shape.role == 'hand']
    assert words == ['right', 'right', 'right', 'left', 'both']
    assert [box.hand for box in kinds(page, 'action')][3:] == [Hand.LEFT, Hand.BOTH]


def test_a_violation_stands_in_its_box_and_one_of_the_program_in_the_head():
    program = parse('objects mug, mug\nfind(mug)\nlift(mug, right)\nwhile open(mug) {find(mug)}\n')
    violations = check(program)
    page = lay_out(program, default_vocabulary(), violations)
    assert [box.statement for box in kinds(page, 'action', 'test') if box.wrong] == [
        program.body[1], program.body[2]]
    told = [shape for shape in page.shapes if isinstance(shape, Text) and shape.role == 'wrong']
    assert f'{len(violations)} violations' in [text.text for text in told]
    box = next(box for box in kinds(page, 'action') if box.wrong)
    assert 'needs contact(mug, right)' in ' '.join(
        text.text for text in told if inside(text, box))
    assert any(text.text == 'declared twice: mug' and text.y < box.top for text in told)
    assert not any(box.wrong for box in kinds(lay_out(program, default_vocabulary()), 'action'))


@pytest.mark.parametrize('text', [
    'objects mug\n' + 'find(mug)\n' * 4000,
    'objects mug\nrepeat 2 {' + 'find(mug)\n' * 4000 + '}\nfind(mug)\n',
    'objects mug\n' + ''.join(f'routine r{n} {{ {"find(mug) " * 60} }}\n' for n in range(60))
    + 'find(mug)\n',
    'objects mug, lid\n' + 'if open(lid) {' * 31 + 'find(mug)' + '} else { find(lid) }' * 31])
def test_what_is_too_large_is_cut_and_counted(text):
    program, page = pages(text)
    assert page.width <= SIDE
    assert page.height <= SIDE
    shown = len(kinds(page, 'action', 'call', 'test'))
    total = sum(1 for block in (program.body, *(one.body for one in program.routines))
                for _ in walk(block))
    assert page.hidden == total - shown > 0
    assert any(isinstance(shape, Text) and shape.role == 'wrong'
               and f'{page.hidden:,} statement' in shape.text for shape in page.shapes)
    for shape in page.shapes:
        left, top, right, bottom = extent(shape)
        assert left > 0
        assert top > 0
        assert right < page.width
        assert bottom < page.height


def test_the_picture_is_drawn_with_its_violations_in_red():
    program = parse(PROGRAMS['nested'])
    reds = []
    for violations in ((), check(program)):
        canvas = draw(program, violations=violations).canvas
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        assert max(pixels.shape) <= MAX_PIXELS
        assert (pixels[:40] == 255).all()
        assert (pixels[:, :40] == 255).all()
        reds.append((pixels == tuple(bytes.fromhex(WARNING[1:]))).all(-1).sum())
    assert reds[0] == 0
    assert reds[1] > 500


def test_lines_are_broken_and_cut_to_their_room():
    text = 'on(mug, table), in(spoon, drawer), closed(drawer), near(bowl, left)'
    lines = wrapped(text, 100, 10, 99)
    assert ' '.join(lines) == text
    assert all(width(line, 10) <= 100 for line in lines)
    cut = wrapped(text, 100, 10, 2)
    assert len(cut) == 2
    assert cut[-1].endswith('…')
    assert width(cut[-1], 10) <= 100
    assert shortened('short', 100, 10) == 'short'
