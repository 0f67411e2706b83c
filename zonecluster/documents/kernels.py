"""Compiled code that walks over a character document and says whether it is canonical: bytes in, ids out.

It knows one form only, that in which worlds write nearly all documents: names of plain ASCII, whole numbers
as they are encoded, fields and keys in order. Whatever else it meets, it is not sure of; who called
compiled_check.py then asks zonecluster/protocol/canonical.py, which decides. Nothing here allocates, raises
or keeps anything; importing it compiles nothing.

Each function that reads takes the place where it begins and returns the one after what it has read. UNSURE is
a place behind all documents from which nothing can be read: so one reader after the other is asked, and only
the last one's answer counts. Places are u64: with signed numbers each access would first look whether it
counts from the end.
"""

from typing import Any, get_args

import numpy as np

from zonecluster.compiled import compiled
from zonecluster.protocol.canonical import ID_CHARS, MAX_VALUABLES
from zonecluster.protocol.character import Attribute, Count, Name, Stack

UNSURE = np.uint64(2**64 - 1)
# What is told of a document: how many ids it has, where its places begin and end, then two words for each id.
IDS, PLACES, PLACES_END, FIRST_ID = 0, 1, 2, 3
FOUND_WORDS = FIRST_ID + 2 * MAX_VALUABLES


def _limits(kind: Any) -> Any:
    """Return what a number or text may be."""
    return get_args(kind)[1]


_0, _1, _2, _3, _4, _8, _9, _12, _13 = (np.uint64(each) for each in (0, 1, 2, 3, 4, 8, 9, 12, 13))
_14, _16, _18, _19, _23, _24 = (np.uint64(each) for each in (14, 16, 18, 19, 23, 24))
_28, _32, _48 = (np.uint64(each) for each in (28, 32, 48))
_TEN, _BYTE = np.uint64(10), np.uint64(0xFF)
_IDS, _PLACES, _PLACES_END, _FIRST_ID = (np.uint64(each) for each in (IDS, PLACES, PLACES_END, FIRST_ID))
_MOST_IDS, _ID_CHARS = np.uint64(MAX_VALUABLES), np.uint64(ID_CHARS)
_NAME_CHARS = np.uint64(_limits(Name).max_length)
_COUNT_MOST, _STACK_MOST = np.uint64(_limits(Count).le), np.uint64(_limits(Stack).le)
_ATTRIBUTE_MOST = np.uint64(_limits(Attribute).le)
_DIGITS = np.uint64(len(str(_COUNT_MOST)))  # of the longest number that is read: none overflows
_QUOTE, _COMMA, _COLON, _DASH, _ZERO, _NINE = (np.uint8(ord(each)) for each in '",:-09')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (np.uint8(ord(each)) for each in "{}[]")
_NO_DIGIT = np.uint64(2**16)  # larger than all numbers of four digits
_ARE_ATTRIBUTES, _ARE_COUNTS, _ARE_NAMES, _ARE_BAGS = range(4)  # what values an object has
_GAPS = np.array([57, 23, 10, 4, 1], np.uint64)  # of a Shell sort. Source: Ciura, 2001


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


_TO_ATTRIBUTES, _TO_BAGS, _TO_MONEY = _text('{"attributes":'), _text(',"bags":'), _text(',"money":')
_TO_PLACES, _TO_QUESTS = _text(',"places":'), _text(',"quests":')
_TO_SKILLS = _text(',"schema":1,"skills":')
_TO_ID, _TO_COUNT, _NO_ID = _text('{"count":1,"id":"'), _text('{"count":'), _text(',"id":null')
_TO_KIND = _text(',"kind":')

# What stands in a name as it is: no quotes, backslashes or control signs, and nothing but ASCII.
_PLAIN = np.array([0x20 <= sign < 0x7F and sign not in b'"\\' for sign in range(256)])
_HEX = np.full(256, _NO_DIGIT)
_HEX[list(b"0123456789abcdef")] = np.arange(16)  # capitals are not canonical


@compiled
def _after(data, at, text):
    """Read this very text."""
    size, length = np.uint64(data.size), np.uint64(text.size)
    if at > size or size - at < length:
        return UNSURE
    different = np.uint8(0)
    for number in range(length):
        different |= data[at + number] ^ text[number]
    return at + length if different == 0 else UNSURE


@compiled
def _is(data, at, sign):
    """Return whether this sign stands here."""
    return at < np.uint64(data.size) and data[at] == sign


@compiled
def _name(data, at):
    """Read a text of 1 to 64 signs in quotes."""
    if not _is(data, at, _QUOTE):
        return UNSURE
    first = at + _1
    end = min(np.uint64(data.size), first + _NAME_CHARS + _1)
    at = first
    while at < end and _PLAIN[data[at]]:
        at += _1
    is_name = first < at < end and data[at] == _QUOTE
    return at + _1 if is_name else UNSURE


@compiled
def _number(data, at, least, most):
    """Read a whole number without a sign; one with a zero before another digit is none."""
    if at >= np.uint64(data.size):
        return UNSURE
    end = min(np.uint64(data.size), at + _DIGITS)
    first, value = at, _0
    while at < end and _ZERO <= data[at] <= _NINE:
        value = value * _TEN + np.uint64(data[at] - _ZERO)
        at += _1
    if at == first or (data[first] == _ZERO and at != first + _1) or value < least or value > most:
        return UNSURE
    return at  # where one digit more stood, what is to stand after a number is missed


@compiled
def _attribute(data, at):
    """Read a whole number, which may be negative."""
    if _is(data, at, _DASH):
        return _number(data, at + _1, _1, _ATTRIBUTE_MOST)
    return _number(data, at, _0, _ATTRIBUTE_MOST)


@compiled
def _key(data, at, before):
    """Read a key and its colon. Args: before: where the one before it stands; UNSURE: it is the first."""
    end = _name(data, at)
    if not _is(data, end, _COLON):
        return UNSURE
    if before == UNSURE:
        return end + _1
    left, right = before + _1, at + _1
    while data[left] == data[right] and data[left] != _QUOTE:
        left += _1
        right += _1
    # Quotes stand after a whole key, and no sign of a key is one.
    is_larger = data[right] != _QUOTE and (data[left] == _QUOTE or data[left] < data[right])
    return end + _1 if is_larger else UNSURE


@compiled
def _next(data, at, close):
    """Read the comma between two, or what closes. Returns: the place after it, and whether there is more."""
    if _is(data, at, _COMMA):
        return at + _1, True
    return (at + _1 if _is(data, at, close) else UNSURE), False


@compiled
def _object(data, at, values, found):
    """Read an object. Args: values: what it consists of."""
    if not _is(data, at, _OPEN):
        return UNSURE
    at += _1
    if _is(data, at, _CLOSE):
        return at + _1
    before, is_more = UNSURE, True
    while is_more:
        here, at = at, _key(data, at, before)
        if values == _ARE_BAGS:
            at = _bag(data, at, found)
        elif values == _ARE_NAMES:
            at = _name(data, at)
        elif values == _ARE_COUNTS:
            at = _number(data, at, _0, _COUNT_MOST)
        else:
            at = _attribute(data, at)
        before = here
        at, is_more = _next(data, at, _CLOSE)
    return at


@compiled
def _bag(data, at, found):
    """Read a list of items."""
    if not _is(data, at, _OPEN_LIST):
        return UNSURE
    at += _1
    if _is(data, at, _CLOSE_LIST):
        return at + _1
    is_more = True
    while is_more:
        at = _item(data, at, found)
        at, is_more = _next(data, at, _CLOSE_LIST)
    return at


@compiled
def _item(data, at, found):
    """Read an item."""
    after = _after(data, at, _TO_ID)
    if after != UNSURE:  # a thing with an id is one thing
        at = _id(data, after, found)
    else:
        at = _number(data, _after(data, at, _TO_COUNT), _1, _STACK_MOST)
        at = _after(data, at, _NO_ID)
    at = _name(data, _after(data, at, _TO_KIND))
    return at + _1 if _is(data, at, _CLOSE) else UNSURE


@compiled
def _four(data, at):
    """Return the number that four digits are; what is none is larger."""
    first, second, third, fourth = data[at], data[at + _1], data[at + _2], data[at + _3]
    return _HEX[first] << _12 | _HEX[second] << _8 | _HEX[third] << _4 | _HEX[fourth]


@compiled
def _sixteen(data, first, second, third, fourth):
    """Return the word that four times four digits are, and whether they are digits."""
    a, b, c, d = _four(data, first), _four(data, second), _four(data, third), _four(data, fourth)
    return a << _48 | b << _32 | c << _16 | d, (a | b | c | d) < _NO_DIGIT


@compiled
def _id(data, at, found):
    """Read an id and the quote after it, and keep it."""
    if not _is(data, at + _ID_CHARS, _QUOTE) or found[_IDS] == _MOST_IDS:
        return UNSURE
    # As text: 8 digits, 4, 4, 4 and 12, dashes between them.
    high, is_high = _sixteen(data, at, at + _4, at + _9, at + _14)
    low, is_low = _sixteen(data, at + _19, at + _24, at + _28, at + _32)
    wrong = (
        (data[at + _8] ^ _DASH)
        | (data[at + _13] ^ _DASH)
        | (data[at + _18] ^ _DASH)
        | (data[at + _23] ^ _DASH)
    )
    if wrong != 0 or not is_high or not is_low:
        return UNSURE
    place = _FIRST_ID + _2 * found[_IDS]
    found[place], found[place + _1] = high, low
    found[_IDS] += _1
    return at + _ID_CHARS + _1


@compiled
def _anything(data, at):
    """Find the end of an object; what is in it is not looked at."""
    if not _is(data, at, _OPEN):
        return UNSURE
    depth, is_text = 0, False
    while at < np.uint64(data.size):
        sign = data[at]
        at += _1
        if sign == _QUOTE:
            is_text = not is_text
        elif is_text and not _PLAIN[sign]:
            return UNSURE
        elif sign == _OPEN and not is_text:
            depth += 1
        elif sign == _CLOSE and not is_text:
            depth -= 1
            if depth == 0:
                return at
    return UNSURE


@compiled
def _is_before(found, here, first, second):
    return found[here] < first or (found[here] == first and found[here + _1] < second)


@compiled
def _sort(found):
    """Sort the ids, as their bytes sort; return whether none is there twice."""
    end = _FIRST_ID + _2 * found[_IDS]
    for number in range(_GAPS.size):
        step = _2 * _GAPS[number]
        start = _FIRST_ID + step
        while start < end:
            first, second, at = found[start], found[start + _1], start
            while at >= _FIRST_ID + step and not _is_before(found, at - step, first, second):
                found[at], found[at + _1] = found[at - step], found[at - step + _1]
                at -= step
            found[at], found[at + _1] = first, second
            start += _2
    at = _FIRST_ID + _2
    while at < end:
        if not _is_before(found, at - _2, found[at], found[at + _1]):
            return False
        at += _2
    return True


@compiled
def _to_bytes(found):
    """Turn the ids' words into what has their bytes in order, on a little-endian machine."""
    at, end = _FIRST_ID, _FIRST_ID + _2 * found[_IDS]
    while at < end:
        word, turned = found[at], _0
        for _ in range(8):
            turned = turned << _8 | word & _BYTE
            word >>= _8
        found[at] = turned
        at += _1


@compiled
def walk(data, found):
    """Say whether a document is canonical and as the schema wants it; its places are only found.

    Args: data: (n,) u1.
    Returns: False: not sure. Writes: found: (FOUND_WORDS,) u8, the ids sorted, their bytes in order.
    """
    found[_IDS] = _0
    at = _object(data, _after(data, _0, _TO_ATTRIBUTES), _ARE_ATTRIBUTES, found)
    at = _object(data, _after(data, at, _TO_BAGS), _ARE_BAGS, found)
    at = _number(data, _after(data, at, _TO_MONEY), _0, _COUNT_MOST)
    at = found[_PLACES] = _after(data, at, _TO_PLACES)
    at = found[_PLACES_END] = _anything(data, at)
    at = _object(data, _after(data, at, _TO_QUESTS), _ARE_NAMES, found)
    at = _object(data, _after(data, at, _TO_SKILLS), _ARE_COUNTS, found)
    if not _is(data, at, _CLOSE) or at + _1 != np.uint64(data.size) or not _sort(found):
        return False
    _to_bytes(found)
    return True
