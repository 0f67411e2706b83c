"""Which exchange is accepted, where it goes, and the order in which others are refused."""

from uuid import UUID, uuid4

import msgspec
import pytest

from characters.exchange_rules import (
    MAILBOX_GOODS,
    MAILBOX_LETTERS,
    MAILBOX_OF_ONE,
    Addressee,
    Lying,
    No,
    Part,
    Target,
    decide_addressee,
    decide_budget,
    decide_goods,
    decide_id,
    decide_lease,
    decide_writes,
    digest_of,
    is_same_letter,
    shape_fault,
)
from characters.rules import EarlierWrite, Head, Write, Writer
from worlds.uplink import messages
from worlds.uplink.messages import Goods, LeaseRef
from zonecluster.protocol.character import CharacterState, Item

OURS, EXCHANGE = "aurora", uuid4()
OFFICIAL = Writer(OURS, is_official=True, is_suspended=False)
LIMITED = Writer(OURS, is_official=True, is_suspended=False, is_limited=True)
VERIFIED = Writer(OURS, is_official=False, is_suspended=False, is_budgeted=True)
MAIN = Head(epoch=5, holder=OURS, version=3, chain=bytes(32))
FORK = Head(owner=OURS, epoch=5, holder=OURS, version=3, chain=bytes(32))
FALLEN = Head(epoch=5, holder=OURS, version=3, chain=bytes(32), is_fallen=True)
NOBODYS = Head(epoch=5, version=3, chain=bytes(32))


def part(head, *, before=None, after=None, **changes):
    write = Write(
        uuid4(), 5, 3, bytes(32), uuid4(), "trade", bytes(32), b"", parsed=after or CharacterState()
    )
    return Part(write, head, before or CharacterState(), **changes)


def repeated(one, **changes):
    write = one.write
    earlier = EarlierWrite(
        OURS, write.line, write.epoch, write.version + 1, write.prev_chain, write.kind, write.state_hash
    )
    fields = {"earlier": earlier, "belonged_to": (EXCHANGE, None)} | changes
    return Part(write, one.head, one.before, **fields)


def decide(*parts, writer=OFFICIAL):
    return decide_writes(parts, writer=writer, exchange=EXCHANGE, letter=None)


def code(decision):
    assert isinstance(decision, No)
    return decision.refusal.code


@pytest.mark.parametrize(
    ("heads", "writer", "target"),
    [
        ((MAIN, MAIN), OFFICIAL, Target(None)),
        ((FORK, FORK), OFFICIAL, Target(OURS)),
        ((MAIN, MAIN), LIMITED, Target(OURS, "limited")),
        ((MAIN, FALLEN), LIMITED, Target(OURS, "limited")),
        ((FALLEN, FALLEN), OFFICIAL, Target(OURS, "budget")),  # the reason of the first that fell counts
        ((FORK, FALLEN), OFFICIAL, Target(OURS, "budget")),
        ((FALLEN, FALLEN), LIMITED, Target(OURS, "limited")),
        ((FORK, FALLEN), LIMITED, Target(OURS, "limited")),
    ],
)
def test_where_a_good_exchange_goes(heads, writer, target):
    assert decide(*[part(head) for head in heads], writer=writer) == target


def test_a_trade_over_the_budget_is_refused_and_nobody_falls():
    one, other = part(MAIN), part(MAIN)
    assert decide(one, other, writer=VERIFIED) == Target(None)
    decision = decide_budget([one, other], [other.write.op_id])
    assert (code(decision), decision.line) == ("over_budget", other.write.line)
    assert decide_budget([one, other], []) is None
    assert decide_budget([], [uuid4()]) is None


def test_main_and_a_fork_do_not_meet():
    assert code(decide(part(MAIN), part(FORK))) == "other_line"


@pytest.mark.parametrize("writer", [OFFICIAL, VERIFIED])
def test_whose_lease_fell_takes_nobody_off_main(writer):
    assert code(decide(part(MAIN), part(FALLEN), writer=writer)) == "other_line"


def test_an_id_that_another_exchange_had_is_refused():
    assert decide_id(is_used=False) is None
    assert code(decide_id(is_used=True)) == "op_id_reused"


def test_the_line_that_is_refused_is_named():
    good, bad = part(MAIN), part(NOBODYS)
    decision = decide(good, bad)
    assert (code(decision), decision.line) == ("stale", bad.write.line)


def test_a_repeat_is_one_of_all_writes_in_that_exchange():
    one, other = repeated(part(None)), repeated(part(None))
    assert decide(one, other) == "repeated"
    assert code(decide(one, part(MAIN))) == "op_id_reused"
    assert code(decide(one, repeated(part(None), belonged_to=(uuid4(), None)))) == "op_id_reused"
    assert code(decide(one, repeated(part(None), belonged_to=(EXCHANGE, uuid4())))) == "op_id_reused"


def test_a_suspended_world_gets_its_repeats_and_nothing_else():
    suspended = changed(OFFICIAL, is_suspended=True)
    assert decide(repeated(part(None)), repeated(part(None)), writer=suspended) == "repeated"
    assert code(decide(part(MAIN), part(MAIN), writer=suspended)) == "world_suspended"
    lease = LeaseRef(uuid4(), 5)
    assert code(decide_lease(lease, head=MAIN, writer=suspended)) == "world_suspended"


def changed(writer, **changes):
    return Writer(**(vars(writer) | changes))


@pytest.mark.parametrize(
    ("head", "target"),
    [(MAIN, Target(None)), (FORK, Target(OURS)), (FALLEN, Target(OURS)), (NOBODYS, "stale"), (None, "stale")],
)
def test_what_needs_a_lease_alone(head, target):
    decision = decide_lease(LeaseRef(uuid4(), 5), head=head, writer=OFFICIAL)
    assert (decision if isinstance(target, Target) else code(decision)) == target


# ---------------------------------------------------------------- the goods

ROPE = Item("rope", 2)
HAS, HAS_NOT = CharacterState(bags={"inventory": [ROPE]}), CharacterState()
TAKER = uuid4()


def take(lying, *, after=HAS, taker=TAKER, target=None, **changes):
    one = part(MAIN, before=HAS_NOT, after=after, **{k: v for k, v in changes.items() if k == "fault"})
    stops = changes.get("stops", ())
    return decide_goods(
        [one], target=target or Target(None), emptied=lying, is_taking=True, taker=taker, stops=stops
    )


FULL = Lying(None, TAKER, Goods([ROPE]))


def test_what_lies_in_a_letter_is_taken_by_its_recipient_on_that_kind_of_line():
    assert take(FULL) is None
    assert code(take(None)) == "unknown_letter"
    assert code(take(FULL, taker=uuid4())) == "unknown_letter"
    assert code(take(Lying(None, TAKER, Goods()))) == "unknown_letter"
    assert code(take(FULL, target=Target(OURS, "limited"))) == "other_line"
    assert code(take(Lying(OURS, TAKER, Goods([ROPE])))) == "other_line"
    assert code(take(FULL, after=HAS_NOT)) == "not_conserved"


def test_the_first_thing_that_is_wrong_is_told():
    assert code(take(None, stops=[""], fault="x")) == "unknown_letter"
    assert code(take(FULL, stops=[""], fault="x")) == "trade_off"
    assert code(take(FULL, stops=["gem"], fault="x")) == "invalid_state"


def test_a_stop_is_of_what_changes_hands_and_names_it():
    assert "'rope'" in take(FULL, stops=["rope"]).refusal.detail
    assert take(FULL, stops=["gem"]) is None
    keeps = part(MAIN, before=HAS, after=HAS), part(MAIN, before=HAS_NOT, after=HAS_NOT)
    assert decide_goods(keeps, target=Target(None), stops=["rope"]) is None
    gives = part(MAIN, before=HAS, after=HAS_NOT), part(MAIN, before=HAS_NOT, after=HAS)
    assert code(decide_goods(gives, target=Target(None), stops=["rope"])) == "trade_off"


def test_a_mailbox_has_its_limits_one_for_goods_and_one_for_words():
    me, you = uuid4(), uuid4()
    assert decide_addressee(Addressee(you), sender=me, has_goods=True) is None
    assert code(decide_addressee(None, sender=me, has_goods=False)) == "unknown_recipient"
    assert code(decide_addressee(Addressee(me), sender=me, has_goods=False)) == "unknown_recipient"
    full, wordy = Addressee(you, MAILBOX_GOODS, 0), Addressee(you, 0, MAILBOX_LETTERS)
    assert code(decide_addressee(full, sender=me, has_goods=True)) == "mailbox_full"
    assert decide_addressee(full, sender=me, has_goods=False) is None
    assert code(decide_addressee(wordy, sender=me, has_goods=False)) == "mailbox_full"
    assert decide_addressee(wordy, sender=me, has_goods=True) is None


def test_one_sender_alone_does_not_fill_a_mailbox():
    me, you = uuid4(), uuid4()
    for has_goods in (True, False):
        nearly = Addressee(you, of_sender=MAILBOX_OF_ONE - 1)
        assert decide_addressee(nearly, sender=me, has_goods=has_goods) is None
        full = Addressee(you, of_sender=MAILBOX_OF_ONE)
        assert code(decide_addressee(full, sender=me, has_goods=has_goods)) == "mailbox_full"


# ---------------------------------------------------------------- the shape


def test_a_letter_is_known_again_by_its_exchange_and_its_content():
    letter = messages.Letter(UUID(int=1), LeaseRef(uuid4(), 5), "Sorrel", "Hello")
    asked = messages.Exchange(uuid4(), [], post=letter)
    digest = digest_of(asked)
    assert shape_fault(asked) == ""
    assert is_same_letter(asked, exchange=asked.id, digest=digest)
    for other in (
        messages.Exchange(uuid4(), [], post=letter),
        messages.Exchange(asked.id, [], post=msgspec.structs.replace(letter, text="More.")),
        messages.Exchange(asked.id, [], post=msgspec.structs.replace(letter, goods=Goods(money=1))),
    ):
        assert not is_same_letter(other, exchange=asked.id, digest=digest)


@pytest.mark.parametrize("field", ["recipient", "subject", "text"])
@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x7f", "\x85", "\r"])
def test_no_control_characters_in_letters(field, sign):
    letter = messages.Letter(uuid4(), LeaseRef(uuid4(), 5), "Sorrel", "Hello", "a\nb\tc")
    assert shape_fault(messages.Exchange(uuid4(), [], post=letter)) == ""
    bad = msgspec.structs.replace(letter, **{field: f"a{sign}b"})
    assert shape_fault(messages.Exchange(uuid4(), [], post=bad))


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\n", "\x85"])
def test_no_control_characters_in_what_lies_in_letters(sign):
    lease, write = LeaseRef(uuid4(), 5), part(MAIN).write
    write = Write(**(vars(write) | {"kind": "mail", "line": lease.line}))
    letter = messages.Letter(uuid4(), lease, "Sorrel", "Hello", goods=Goods([Item("rope", 2)]))
    assert shape_fault(messages.Exchange(uuid4(), [write], post=letter)) == ""
    bad = msgspec.structs.replace(letter, goods=Goods([Item("rope", 1), Item(f"ro{sign}pe", 2)]))
    assert "control characters" in shape_fault(messages.Exchange(uuid4(), [write], post=bad))
