# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""Text for a terminal. Nothing that an application says about itself reaches it as a control character."""

from __future__ import annotations

import os
import typing as t

# A table is never asked to be narrower than this, nor made wider than that.
_MIN_WIDTH, _MAX_WIDTH = 80, 120
_MIN_COLUMN = 8
_GAP = "  "

Row = t.Sequence[str]


def printable(text: str) -> str:
    """The text with everything that is not printable ASCII written out: ``\\x1b``, ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one.isascii() and one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")


def width() -> int:
    """How many columns a table may take."""
    try:
        columns = int(os.environ.get("COLUMNS", "")) or _MAX_WIDTH
    except ValueError:
        try:
            columns = os.get_terminal_size(1).columns or _MAX_WIDTH
        except OSError:
            columns = _MAX_WIDTH
    return min(max(columns, _MIN_WIDTH), _MAX_WIDTH)


def table(header: Row, rows: t.Sequence[Row], columns: int) -> list[str]:
    """Aligned lines, no longer than ``columns`` where that can be: what does not fit goes on in the next line."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > columns and max(widths) > _MIN_COLUMN:
        widths[widths.index(max(widths))] -= 1
    return [line for row in cells for line in _lines(row, widths)]


def _lines(row: Row, widths: t.Sequence[int]) -> list[str]:
    pieces = [_pieces(cell, size) for cell, size in zip(row, widths)]
    lines = []
    for index in range(max(map(len, pieces))):
        parts = [(piece[index] if index < len(piece) else "").ljust(size) for piece, size in zip(pieces, widths)]
        lines.append(_GAP.join(parts).rstrip())
    return lines


def _pieces(cell: str, size: int) -> list[str]:
    """The cell in pieces of at most ``size``, cut after a comma or a blank where there is one."""
    pieces = []
    while len(cell) > size:
        cut = max(cell.rfind(",", 0, size), cell.rfind(" ", 0, size)) + 1
        cut = cut if cut > size // 2 else size
        pieces.append(cell[:cut].rstrip(" "))
        cell = cell[cut:]
    return [*pieces, cell]


def paragraph(text: str, columns: int, indent: str = "") -> list[str]:
    """The text in lines, each begun with ``indent``, those after the first a little further in."""
    import textwrap

    return textwrap.wrap(
        printable(text), columns, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
