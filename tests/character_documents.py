"""Character documents of all kinds, and what the thorough check says: what quicker checks are held to."""

from uuid import UUID

from hypothesis import strategies as st

from zonecluster.protocol.canonical import Checked
from zonecluster.protocol.character import (
    CharacterState,
    InvalidState,
    Item,
    Place,
    decode_state,
    encode_state,
)

CROWN, RING = UUID(int=2**127 + 0xABCDEF), UUID(int=8)

names = st.sampled_from(["", "a", "b", "zz", "\u00e9", "x" * 64, "x" * 65])
numbers = st.sampled_from([-1, 0, 1, 2, 360, 2**31, 2**53, 1.5, "1", None, True])
ids = st.sampled_from(
    [
        *(str(CROWN), str(RING), str(CROWN).upper(), CROWN.hex, f" {str(CROWN)[1:]}", "x" * 36, "", None, 7),
        *("-" * 36, f"{CROWN.hex}----", "0000 000-0000-0000-0000-000000000008", "\u0661" * 36),
    ]
)
items = st.lists(
    st.fixed_dictionaries({"kind": names}, optional={"count": numbers, "id": ids, "more": numbers}),
    max_size=4,
)
places = st.fixed_dictionaries(
    {"zone": names, "position": st.lists(numbers, min_size=2, max_size=4)}, optional={"heading_deg": numbers}
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "schema": numbers,
        "attributes": st.dictionaries(names, numbers, max_size=3),
        "skills": st.dictionaries(names, numbers, max_size=2),
        "bags": st.dictionaries(names, items, max_size=3),
        "money": numbers,
        "quests": st.dictionaries(names, names, max_size=2),
        "places": st.dictionaries(names, places, max_size=2),
        "unknown": numbers,
    },
)


def thorough(data: bytes) -> Checked | str:
    try:
        state = decode_state(data)
    except InvalidState as error:
        return str(error)
    found = [item.id.bytes for bag in state.bags.values() for item in bag if item.id is not None]
    return Checked(encode_state(state), b"".join(sorted(found)))


valid_items = st.builds(Item, kind=st.sampled_from(["crown", "ring"]), count=st.integers(1, 3)) | st.builds(
    Item, kind=st.just("crown"), id=st.uuids()
)
valid = st.builds(
    CharacterState,
    attributes=st.dictionaries(st.sampled_from(["hp", "xp"]), st.integers(-9, 9)),
    bags=st.dictionaries(st.sampled_from(["bank", "pocket"]), st.lists(valid_items, max_size=5)),
    money=st.integers(0, 2**53 - 1),
    places=st.dictionaries(
        st.just("w"),
        st.builds(
            Place,
            zone=st.just("meadow"),
            position=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3),
            heading_deg=st.floats(0, 359),
        ),
    ),
)
