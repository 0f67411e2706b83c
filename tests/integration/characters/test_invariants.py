"""Each invariant finds what was broken on purpose, and finds nothing in a database that was played on."""

import io
import json
import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.services import record_audit
from characters.invariants import INVARIANTS, check_invariants
from characters.leases import release_lease
from characters.lines import Entry, append_version
from characters.models import Letter, Line, ThinnedVersions, Valuable, Version
from characters.retention import thin_batch
from characters.services import create_character
from worlds.models import StoredReceipt, World
from worlds.uplink.messages import Release
from zonecluster.protocol.character import Item, decode_state, encode_state

CROWN, RING = UUID(int=1), UUID(int=2)
HOUR = timedelta(hours=1)


def broken(*invariants) -> set[str]:
    """Return the names of the invariants, of these or of all, that do not hold now."""
    with connection.cursor() as cursor:
        return {finding.invariant.name for finding in check_invariants(cursor, invariants or INVARIANTS)}


def state_with(line, *, money=None, items=None):
    """Return the canonical bytes of a line's state with other goods."""
    state = decode_state(bytes(line.state))
    changes = {}
    if money is not None:
        changes["money"] = money
    if items is not None:
        changes["bags"] = {"inventory": items}
    return encode_state(msgspec.structs.replace(state, **changes))


def write(line, world, now, *, kind="periodic", exchange=None, letter=None, **goods):
    """Append a version as a world would, whatever the rules say of it; name and own its valuables."""
    line.refresh_from_db()
    entry = Entry(kind, state_with(line, **goods), world, epoch=line.epoch, exchange=exchange, letter=letter)
    version = append_version(line=line, entry=entry, now=now)
    items = [item for bag in decode_state(entry.state).bags.values() for item in bag if item.id]
    Line.objects.filter(pk=line.pk).update(
        valuables=b"".join(sorted(item.id.bytes for item in items if item.id))
    )
    Valuable.objects.filter(line=line).exclude(thing__in=[item.id for item in items]).update(line=None)
    for item in items:
        Valuable.objects.update_or_create(
            thing=item.id, world=line.world, defaults={"kind": item.kind, "line": line, "letter": None}
        )
    return version


@pytest.fixture
def played(aurora, wilds, alice, mallory, hero, now):
    """Main lines of Alice and Bob with a past that was thinned, a fork, a trade, two letters.

    Alice's main is held by an official world, her fork by an open one.
    """
    long_ago = now - timedelta(days=60)
    other = create_character(account=mallory, name="Bob", by=mallory, now=long_ago)
    lease = aurora.acquire(hero, aurora.admit(alice, long_ago), long_ago)
    for number in range(12):
        saved = aurora.save(lease, long_ago + timedelta(minutes=10 * number), money=100 + number)
        lease = msgspec.structs.replace(lease, version=saved.version, chain=saved.chain)
    release_lease(world=aurora.world, request=Release(lease.line, lease.epoch), now=long_ago)
    assert thin_batch(after=None, now=now).thinned > 2
    wilds.save(wilds.acquire(hero, wilds.admit(alice, now), now), now, money=7)
    aurora.acquire(hero, aurora.admit(alice, now), now)
    hers, his = Line.objects.get(character=hero, world=None), Line.objects.get(character=other)
    write(his, aurora.world, now, money=50, items=[Item("crown", id=CROWN)])
    write(hers, aurora.world, now, money=100, items=[Item("moss", 5)])
    trade = {"kind": "trade", "exchange": uuid4()}
    write(his, aurora.world, now, **trade, money=60, items=[Item("moss", 2)])
    write(hers, aurora.world, now, **trade, money=90, items=[Item("moss", 3), Item("crown", id=CROWN)])
    for minutes, is_taken in ((1, True), (2, False)):
        send_letter(hers, his, aurora.world, now + timedelta(minutes=minutes), is_taken=is_taken)
    return hers


def send_letter(sender, recipient, world, at, *, is_taken):
    """Post five coins and one moss; the recipient takes them half a minute later, or never."""
    letter = Letter.objects.create(
        id=uuid4(), sender=sender.character, recipient=recipient.character, posted_by=world, exchange=uuid4(),
        subject="Moss", items=[{"kind": "moss", "count": 1}], money=5, posted_at=at, digest=bytes(32),
    )  # fmt: skip
    move_by_letter(sender, world, letter, -1, letter.posted_at, letter.exchange)
    if is_taken:
        letter.taken_at, letter.taken_exchange = at + timedelta(seconds=30), uuid4()
        letter.save()
        move_by_letter(recipient, world, letter, 1, letter.taken_at, letter.taken_exchange)


def move_by_letter(line, world, letter, sign, at, exchange):
    state = decode_state(bytes(Line.objects.get(pk=line.pk).state))
    moss, rest = state.bags["inventory"][0], state.bags["inventory"][1:]
    items = [msgspec.structs.replace(moss, count=moss.count + sign), *rest]
    money = state.money + sign * letter.money
    write(line, world, at, kind="mail", exchange=exchange, letter=letter.pk, money=money, items=items)


def test_all_hold_in_a_database_that_was_only_played_on(played):
    assert broken() == set()


def versions(line):
    return Version.objects.filter(line=line)


def without_constraint(table, name):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        cursor.execute(f"DROP INDEX IF EXISTS {name}")


def another(line):
    return Line.objects.exclude(character=line.character_id).get()


def fork_of(line):
    return Line.objects.get(character=line.character_id, world__isnull=False)


def a_state_is_changed(line):
    versions(line).filter(version=line.version - 1).update(state=b"{}")


def an_op_id_is_changed(line):
    versions(line).filter(version=line.version - 1).update(op_id=uuid4())


def a_version_is_missing(line):
    versions(line).filter(version=line.version - 1).delete()


def a_run_of_thinned_versions_is_missing(line):
    line.thinned.first().delete()


def a_version_continues_another(line):
    versions(line).filter(version=line.version).update(prev_chain=bytes(32))


def a_link_of_a_thinned_version_is_changed(line):
    run = line.thinned.first()
    ThinnedVersions.objects.filter(pk=run.pk).update(links=bytes(run.links)[:-1] + b"\0")


def a_thinned_run_is_cut(line):
    run = line.thinned.first()
    ThinnedVersions.objects.filter(pk=run.pk).update(links=bytes(run.links)[:-48])


def main_begins_from_something(line):
    versions(line).filter(version=1).update(prev_chain=b"\1" * 32)


def a_fork_begins_from_nothing(line):
    versions(fork_of(line)).filter(version=1).update(prev_chain=bytes(32))


def a_fork_begins_from_another_character(line):
    source = versions(another(line)).get(version=1)
    versions(fork_of(line)).filter(version=1).update(source=source)


def a_valuable_is_something_else(line):
    Valuable.objects.filter(line=line).update(kind="pebble")


def a_head_is_older_than_its_newest_version(line):
    older = versions(line).get(version=line.version - 1)
    Line.objects.filter(pk=line.pk).update(version=older.version, chain=older.chain)


def a_head_has_another_state(line):
    Line.objects.filter(pk=line.pk).update(state=state_with(line, money=10**6))


def a_thinned_op_id_is_used_again(line):
    link = bytes(line.thinned.first().links)[:16]
    versions(line).filter(version=line.version).update(op_id=UUID(bytes=link))


def a_character_has_no_main_line(line):
    Line.objects.filter(pk=line.pk).update(world=World.objects.get(slug="aurora"))


def a_world_has_two_lines(line):
    without_constraint("characters_line", "one_line_for_character_and_world")
    Line.objects.filter(pk=fork_of(line).pk).update(world=None)


def another_world_writes_a_fork(line):
    newest = fork_of(line).version
    versions(fork_of(line)).filter(version=newest).update(world=World.objects.get(slug="aurora"))


def an_open_world_writes_main(line):
    versions(line).filter(version=line.version).update(world=World.objects.get(slug="wilds"))


def nobody_writes_main(line):
    versions(line).filter(version=line.version).update(world=None)


def an_acknowledged_write_is_gone(line):
    StoredReceipt.objects.create(
        world=World.objects.get(slug="aurora"), op_id=uuid4(), line=line.pk, version=line.version,
        receipt="", state=b"", at=versions(line).latest("at").at,
    )  # fmt: skip


def an_acknowledged_write_is_elsewhere(line):
    write = versions(line).get(version=line.version)
    StoredReceipt.objects.create(
        world=write.world, op_id=write.op_id, line=line.pk, version=line.version - 1, receipt="", state=b"",
        at=write.at,
    )  # fmt: skip


def an_epoch_goes_back(line):
    versions(line).filter(version=line.version).update(epoch=1)


def a_version_is_of_an_epoch_that_is_not_granted(line):
    versions(line).filter(version=line.version).update(epoch=line.epoch + 1)


def an_epoch_is_of_an_incarnation_to_come(line):
    Line.objects.filter(pk=line.pk).update(epoch=9_000_001)


def a_lease_has_no_end(line):
    Line.objects.filter(pk=line.pk).update(lease_until=None)


def a_fork_is_held_by_another_world(line):
    Line.objects.filter(pk=fork_of(line).pk).update(holder=World.objects.get(slug="aurora"))


def rewrite_head(line, change):
    """Change the head's document where the schema would not let it."""
    document = json.loads(bytes(line.state))
    change(document)
    Line.objects.filter(pk=line.pk).update(state=json.dumps(document).encode())


def a_document_has_negative_money(line):
    rewrite_head(line, lambda document: document.update(money=-1))


def a_document_has_an_empty_stack(line):
    rewrite_head(line, lambda document: document["bags"]["inventory"][0].update(count=0))


def a_document_has_an_id_twice(line):
    rewrite_head(line, lambda document: document["bags"].update(bank=document["bags"]["inventory"]))


def a_document_is_none(line):
    Line.objects.filter(pk=line.pk).update(state=b"\xff{")


def a_valuable_is_not_named(line):
    Line.objects.filter(pk=line.pk).update(valuables=b"")


def a_valuable_is_named_that_is_not_there(line):
    Line.objects.filter(pk=line.pk).update(valuables=CROWN.bytes + RING.bytes)


def a_valuable_has_two_owners(line):
    other = another(line)
    write(other, None, versions(line).latest("at").at, items=[Item("moss", 3), Item("crown", id=CROWN)])


def a_valuable_is_in_a_letter_as_well(line):
    Letter.objects.filter(taken_at=None).update(items=[{"kind": "crown", "count": 1, "id": str(CROWN)}])


def an_owner_has_it_no_more(line):
    Valuable.objects.filter(thing=CROWN).update(line=another(line))


def a_letter_owns_what_is_not_in_it(line):
    Valuable.objects.filter(thing=CROWN).update(line=None, letter=Letter.objects.get(taken_at=None))


def a_valuable_has_no_row(line):
    Valuable.objects.filter(thing=CROWN).delete()


def a_valuable_in_a_letter_has_no_row(line):
    Letter.objects.filter(taken_at=None).update(items=[{"kind": "ring", "count": 1, "id": str(RING)}])


def a_trade_has_one_side(line):
    versions(line).filter(kind="trade").update(kind="item")


def a_side_of_a_trade_is_another_worlds(line):
    versions(line).filter(kind="trade").update(world=World.objects.get(slug="wilds"))


def a_trade_is_of_two_moments(line):
    versions(line).filter(kind="trade").update(at=versions(line).latest("at").at + HOUR)


def a_trade_has_no_name(line):
    versions(line).filter(kind="trade").update(exchange=None)


def a_line_names_an_older_exchange(line):
    Line.objects.filter(pk=line.pk).update(exchange=versions(line).get(kind="trade").exchange)


def a_line_names_no_exchange(line):
    Line.objects.filter(pk=line.pk).update(exchange=None)


def mail_was_for_somebody_else(line):
    letter = Letter.objects.get(taken_at__isnull=False)
    Letter.objects.filter(pk=letter.pk).update(recipient=letter.sender)


def a_trade_makes_coins(line):
    trade = versions(line).get(kind="trade")
    versions(line).filter(pk=trade.pk).update(state=trade.state.replace(b'"money":90', b'"money":91'))


def a_trade_doubles_an_item(line):
    trade = versions(line).get(kind="trade")
    versions(line).filter(pk=trade.pk).update(state=trade.state.replace(b'"count":3', b'"count":4'))


def mail_makes_coins(line):
    mail = versions(line).filter(kind="mail").first()
    changed = mail.state.replace(f'"money":{json.loads(mail.state)["money"]}'.encode(), b'"money":5000')
    versions(line).filter(pk=mail.pk).update(state=changed)


def a_letter_has_more_than_was_posted(line):
    Letter.objects.filter(taken_at=None).update(money=500)


def a_letter_was_lost(line):
    Letter.objects.filter(taken_at=None).delete()


def a_letter_was_taken_without_a_write(line):
    Letter.objects.filter(taken_at=None).update(
        taken_at=versions(line).latest("at").at + HOUR, taken_exchange=uuid4()
    )


def a_letter_comes_out_of_nothing(line):
    Letter.objects.create(
        id=uuid4(), sender=line.character, recipient=another(line).character, subject="Gold", money=1000,
        posted_by=World.objects.get(slug="aurora"), posted_at=versions(line).latest("at").at + HOUR,
        digest=bytes(32),
    )  # fmt: skip


def a_letter_has_negative_money(line):
    without_constraint("characters_letter", "no_negative_money_in_a_letter")
    Letter.objects.filter(taken_at=None).update(money=-5)


def a_letter_was_taken_by_no_exchange(line):
    Letter.objects.filter(taken_at__isnull=False).update(taken_exchange=None)


def goods_are_thrown_away(line):
    Letter.objects.filter(taken_at=None).update(discarded_at=versions(line).latest("at").at)


FAULTS = {
    a_state_is_changed: "state_hashes",
    an_op_id_is_changed: "chain_values",
    a_version_is_missing: "gapless",
    a_run_of_thinned_versions_is_missing: "gapless",
    a_version_continues_another: "gapless",
    a_link_of_a_thinned_version_is_changed: "thinned_links",
    a_thinned_run_is_cut: "thinned_links",
    main_begins_from_something: "beginnings",
    a_fork_begins_from_nothing: "beginnings",
    a_fork_begins_from_another_character: "beginnings",
    a_head_is_older_than_its_newest_version: "heads",
    a_head_has_another_state: "heads",
    a_thinned_op_id_is_used_again: "op_ids",
    a_character_has_no_main_line: "main_lines",
    a_world_has_two_lines: "main_lines",
    another_world_writes_a_fork: "fork_writers",
    an_open_world_writes_main: "main_writers",
    nobody_writes_main: "main_writers",
    an_acknowledged_write_is_gone: "receipts",
    an_acknowledged_write_is_elsewhere: "receipts",
    an_epoch_goes_back: "epochs_rise",
    a_version_is_of_an_epoch_that_is_not_granted: "epoch_of_head",
    an_epoch_is_of_an_incarnation_to_come: "epoch_of_head",
    a_lease_has_no_end: "holders",
    a_fork_is_held_by_another_world: "holders",
    a_document_has_negative_money: "documents",
    a_document_has_an_empty_stack: "documents",
    a_document_has_an_id_twice: "documents",
    a_document_is_none: "documents",
    a_valuable_is_not_named: "valuables_of_heads",
    a_valuable_is_named_that_is_not_there: "valuables_of_heads",
    a_valuable_has_two_owners: "one_owner",
    a_valuable_is_in_a_letter_as_well: "one_owner",
    an_owner_has_it_no_more: "owners",
    a_letter_owns_what_is_not_in_it: "owners",
    a_valuable_has_no_row: "known_valuables",
    a_valuable_in_a_letter_has_no_row: "known_valuables",
    a_trade_has_one_side: "trades_have_two_sides",
    a_side_of_a_trade_is_another_worlds: "trades_have_two_sides",
    a_trade_is_of_two_moments: "trades_have_two_sides",
    a_trade_has_no_name: "trades_have_two_sides",
    a_line_names_an_older_exchange: "newest_exchange",
    a_line_names_no_exchange: "newest_exchange",
    mail_was_for_somebody_else: "mail_conserves",
    a_trade_makes_coins: "trades_conserve",
    a_trade_doubles_an_item: "trades_conserve",
    mail_makes_coins: "mail_conserves",
    a_letter_has_more_than_was_posted: "mail_conserves",
    a_letter_was_lost: "mail_conserves",
    a_letter_was_taken_without_a_write: "letters_were_paid_for",
    a_letter_comes_out_of_nothing: "letters_were_paid_for",
    a_letter_has_negative_money: "letters",
    a_letter_was_taken_by_no_exchange: "letters",
    goods_are_thrown_away: "letters",
    a_valuable_is_something_else: "kinds_of_valuables",
}


def test_what_is_broken_is_found(played):
    """One past for all faults, each undone after it was found."""
    named = {invariant.name: invariant for invariant in INVARIANTS}
    not_found = []
    for fault, name in FAULTS.items():
        with transaction.atomic():
            played.refresh_from_db()
            fault(played)
            if broken(named[name]) != {name}:
                not_found.append(fault.__name__)
            transaction.set_rollback(True)
    assert not_found == [] and broken() == set()


def test_each_invariant_is_broken_by_some_fault():
    assert {invariant.name for invariant in INVARIANTS} == set(FAULTS.values())


def test_a_world_that_was_official_then_wrote_main_by_right(played, aurora, now):
    World.objects.filter(pk=aurora.world.pk).update(tier="open")
    assert broken() == {"main_writers"}
    at = now + HOUR
    record_audit(action="world_changed_by_staff", target="Aurora", detail={"tier": "open"}, now=at)
    assert broken() == set()
    write(played, aurora.world, at + HOUR, money=80)
    assert broken() == {"main_writers"}


def test_a_hostile_name_in_a_document_does_not_stop_the_checks(played, now):
    document = state_with(played, items=[Item("moss\0\\u0000")])
    append_version(line=played, entry=Entry("restore", document, None), now=now)
    assert not broken() & {"documents", "heads", "trades_conserve"}


def run_command(*options):
    """Return exit code and output of the command."""
    output = io.StringIO()
    try:
        call_command("checkinvariants", *options, stdout=output)
    except CommandError as error:
        return error.returncode, output.getvalue()
    return 0, output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_command_says_what_holds_and_what_does_not(hero):
    code, told = run_command()
    assert code == 0 and f"All {len(INVARIANTS)} invariants hold." in told
    Line.objects.filter(character=hero).update(version=2)
    code, told = run_command()
    line = Line.objects.get(character=hero)
    assert code == 1 and "heads does not hold (1 times)" in told and str(line.pk) in told
    code, told = run_command("--json")
    rows = {row["invariant"]: row for row in map(json.loads, told.splitlines())}
    assert code == 1 and len(rows) == len(INVARIANTS)
    assert [name for name, row in rows.items() if not row["holds"]] == ["heads"]
    assert rows["heads"]["broken"] == 1 and str(line.pk) in rows["heads"]["rows"][0]


@pytest.mark.django_db(transaction=True)
def test_the_command_checks_another_database_and_writes_nothing(hero):
    parameters = connection.get_connection_params()
    known = {key: parameters[key] for key in ("dbname", "user", "password", "host", "port")}
    url = psycopg.conninfo.make_conninfo(**known)
    code, told = run_command("--database-url", url)
    assert code == 0 and "invariants hold" in told
    assert run_command("--database-url", "postgresql://nobody@127.0.0.1:1/none")[0] == 1


def test_the_docs_say_what_each_invariant_says():
    page = (Path(__file__).resolve().parents[3] / "docs" / "proofs.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(invariant.name, invariant.sentence) for invariant in INVARIANTS]
