"""What a rollback undoes of one line: decided on plain facts, for any history."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from characters.undoing import Step, Undo, living, undo_of

START = datetime(2026, 11, 23, tzinfo=UTC)


def at(minute):
    return START + timedelta(minutes=minute)


def line(*entries):
    """Make a line: each entry is the world that wrote, `fork` (begun anew), or the version brought back."""
    steps = {1: Step(1, None, at(1), is_written=False, is_begin=True)}
    for version, entry in enumerate(entries, start=2):
        if isinstance(entry, int):
            step = Step(version, None, at(version), is_written=False, source=entry)
        elif entry == "fork":
            step = Step(version, "aurora", at(version), is_written=False, is_begin=True)
        else:
            step = Step(version, entry, at(version), is_written=True)
        steps[version] = step
    return steps


def undo(steps, world="aurora", since=0):
    return undo_of(steps, head=max(steps), world=world, since=at(since))


def test_what_the_world_wrote_goes_from_its_first_write_on():
    assert undo(line("borealis", "aurora", "aurora")) == Undo(3, (3, 4), ())


def test_what_it_wrote_before_stays():
    assert undo(line("aurora", "aurora", "aurora"), since=4) == Undo(4, (4,), ())


def test_nothing_of_it_is_nothing_to_do():
    assert undo(line("borealis", "borealis")) is None
    assert undo(line("aurora"), since=3) is None


def test_what_others_built_on_it_is_named():
    assert undo(line("aurora", "borealis", "wilds")) == Undo(2, (2,), (3, 4))


def test_what_others_wrote_before_is_not():
    assert undo(line("borealis", "aurora", "aurora")).built_on == ()


def test_a_rollback_leaves_nothing_to_do():
    steps = line("borealis", "aurora", "aurora")
    back = steps | {5: Step(5, None, at(5), is_written=False, source=2)}
    assert undo(back) is None


def test_what_came_back_by_a_restore_counts_again():
    assert undo(line("aurora", 1, 2)) == Undo(2, (2,), ())


def test_what_is_written_after_a_rollback_goes_alone():
    assert undo(line("aurora", 1, "aurora")) == Undo(4, (4,), ())


def test_a_fork_begun_anew_builds_on_nothing_before():
    assert undo(line("aurora", "fork", "borealis")) is None


@st.composite
def histories(draw):
    entries = []
    for version in range(2, draw(st.integers(2, 14))):
        entries.append(draw(st.sampled_from(["aurora", "borealis", "fork"]) | st.integers(1, version - 1)))
    return line(*entries)


@given(histories(), st.integers(0, 15))
def test_afterwards_the_head_has_nothing_of_the_world_and_all_before_is_kept(steps, since):
    found = undo(steps, since=since)
    if found is None:
        return
    head = max(steps)
    after = steps | {head + 1: Step(head + 1, None, at(head + 1), is_written=False, source=found.first - 1)}
    assert undo(after, since=since) is None, "idempotent"
    kept = set(living(after, head + 1)) - {head + 1}
    before = {version for version in living(steps, head) if version < found.first}
    assert kept == before
    assert set(found.built_on).isdisjoint(found.undone)


@given(histories(), st.integers(0, 15))
def test_versions_before_the_worlds_first_need_not_be_known(steps, since):
    wrote = [n for n, s in steps.items() if s.world == "aurora" and s.is_written and s.at >= at(since)]
    if wrote:
        known = {version: step for version, step in steps.items() if version >= min(wrote)}
        assert undo_of(known, head=max(steps), world="aurora", since=at(since)) == undo(steps, since=since)
