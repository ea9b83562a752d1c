"""Small drawings in rows, one for each question, both axes logarithmic.

In:  {question: {size: {tool: value}}}.  Out: SVG text.
"""
import html
import math

COLOURS = ("#0a6e4f", "#b5541c", "#4a5fa5", "#888888")
WIDTH, HEIGHT, EDGE = 280, 200, 48                     # of one drawing; pixels
COLUMNS = 5


def chart(questions):
    tools = list(dict.fromkeys(tool for sizes in questions.values() for values in sizes.values() for tool in values))
    columns, rows = min(COLUMNS, len(questions)), -(-len(questions) // COLUMNS)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * columns}" height="{HEIGHT * rows + 28}" '
             'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for number, (question, sizes) in enumerate(questions.items()):
        parts.append(f'<g transform="translate({number % COLUMNS * WIDTH} {number // COLUMNS * HEIGHT})">')
        parts += drawing(question, sizes, tools)
        parts.append("</g>")
    for number, tool in enumerate(tools):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<text x="{EDGE + number * 110}" y="{HEIGHT * rows + 14}" fill="{colour}">● {html.escape(tool)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def drawing(question, sizes, tools):
    """Whole powers of ten bound the upright axis, so that equal steps are equal factors."""
    values = [value for by_tool in sizes.values() for value in by_tool.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right = math.log10(min(sizes)), math.log10(max(sizes))

    def x(size):
        return EDGE + (math.log10(size) - left) / ((right - left) or 1) * (WIDTH - EDGE - 12)

    def y(value):
        return HEIGHT - EDGE + 16 - (math.log10(value) - low) / ((high - low) or 1) * (HEIGHT - EDGE - 16)

    yield f'<text x="{EDGE}" y="14" font-weight="bold">{html.escape(question)}</text>'
    for power in range(low, high + 1):
        yield f'<path d="M{EDGE} {y(10 ** power):.1f}H{WIDTH - 12}" stroke="#dddddd"/>'
        yield f'<text x="{EDGE - 6}" y="{y(10 ** power) + 4:.1f}" text-anchor="end">{10 ** power:g}</text>'
    for size in sizes:
        yield f'<text x="{x(size):.1f}" y="{HEIGHT - 12}" text-anchor="{"end" if size == max(sizes) else "middle"}">{size:,}</text>'
    for number, tool in enumerate(tools):
        points = " ".join(f"{x(size):.1f},{y(by_tool[tool]):.1f}" for size, by_tool in sizes.items() if tool in by_tool)
        yield f'<polyline points="{points}" fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"/>'
