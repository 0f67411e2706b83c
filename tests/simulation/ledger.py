"""What must be true of characters, whatever happens: looked at by somebody who sees everything.

The ledger believes neither the repository nor the worlds. It counts what the game gives out: each entity of
a cluster is a *source*, and a state says for each source how much of it the character has. So a state is
older than another if it has less of some source, and two states that each have something the other lacks
are a split history.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from characters.core import Repository, Version
from tests.simulation.conservation import Conservation
from tests.simulation.promises import Violation
from worlds.uplink import messages as uplink
from zonecluster.protocol.character import CharacterState, decode_state, encode_state, next_chain, state_hash

Gains = Mapping[str, int]
Life = tuple[str, int]  # a world's slug, and which of its daemon's processes


Named = tuple[UUID, int]  # line and epoch


@dataclass
class Grant:
    """The newest lease of a line, as the ledger saw it granted."""

    epoch: int
    life: Life | None
    until: float
    is_over: bool = False


def gains_of(state: CharacterState) -> Gains:
    """Return how much of each source a state has."""
    return state.skills


def has_all(state: Gains, other: Gains) -> bool:
    """Return whether nothing of the other is missing."""
    return all(state.get(source, 0) >= number for source, number in other.items())


class Ledger:
    """Watches the repository's answers and what players are told."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.minted: dict[str, int] = defaultdict(int)
        self.newest: dict[UUID, Version] = {}
        self.gains: dict[UUID, Gains] = {}  # of each line's head
        self.chains: dict[tuple[UUID, int], bytes] = {}
        self.written: dict[tuple[UUID, int], tuple[int, bytes]] = {}  # line, version → epoch, state
        self.grants: dict[UUID, Grant] = {}
        self.acknowledged: dict[tuple[UUID, int], bytes] = {}
        self.promised: dict[UUID, Gains] = {}
        self.offered: dict[UUID, Life] = {}  # op_id → the process that had it journaled first
        self.shown: dict[tuple[str, UUID, int], dict[str, int]] = {}  # world, line, epoch → what was shown
        self.set_aside: set[tuple[str, UUID]] = set()  # world, line
        self.given_up: set[UUID] = set()  # op_ids
        self.lost: dict[UUID, Version] = {}  # op_id → what the master had accepted before it was restored
        self.excused: set[str] = set()  # worlds whose machine went back to a snapshot
        self.gone_back: set[Life] = set()  # which of their processes go on from that
        self.fallen: dict[
            Named, Named
        ] = {}  # a lease of main, as its world names it → of the fork it fell to
        self.goods = Conservation(self.excused)
        self.writes = 0
        self._seen = 0

    # ---------------------------------------------------------------- the master's side

    def after(self, life: Life | None, answer: object, now: float) -> None:
        """Look at what a request has changed. `life`: of the process that sent it."""
        self._take_versions(life)
        match answer:
            case uplink.Lease():
                self._take_grant(life, answer, now)
            case uplink.Renewed(_, held):
                for ref in held:
                    line, _ = self.named(ref.line, ref.epoch)
                    self.grants[line].until = now + uplink_lease_s(answer)

    def is_granted(self, line: UUID) -> bool:
        """Whether some world's process has the lease of a line."""
        grant = self.grants.get(line)
        return grant is not None and grant.life is not None and not grant.is_over

    def note_release(self, request: uplink.Release, answer: object) -> None:
        """A lease was given back."""
        if isinstance(answer, uplink.Released) and answer.was_held:
            self.grants[self.named(request.line, request.epoch)[0]].is_over = True

    def named(self, line: UUID, epoch: int) -> Named:
        """Return the lease that a world means: of its fork, once its writes have fallen to that."""
        return self.fallen.get((line, epoch), (line, epoch))

    def _take_fall(self, version: Version) -> None:
        """The first write of a lease that fell took the lease along, from main to the fork."""
        fall = self.repository.falls.get(version.op_id)
        if fall is None or (fall.line, fall.epoch) in self.fallen:
            return
        grant = self.grants.get(fall.line)
        if grant is None or grant.is_over or grant.epoch != fall.epoch:
            raise Violation("fenced", f"a write of epoch {fall.epoch} fell; the lease: {grant}")
        self.fallen[(fall.line, fall.epoch)] = (version.line, version.epoch)
        self.grants[version.line] = Grant(version.epoch, grant.life, grant.until)
        grant.is_over = True

    def _take_grant(self, life: Life | None, lease: uplink.Lease, now: float) -> None:
        known = self.grants.get(lease.line)
        is_repeat = known is not None and (known.epoch, known.life, known.is_over) == (
            lease.epoch,
            life,
            False,
        )
        if known is not None and not is_repeat:
            if lease.epoch <= known.epoch:
                raise Violation("epoch", f"{lease.epoch} to {life} after {known.epoch} to {known.life}")
            is_others = known.life is None or life is None or known.life[0] != life[0]
            if is_others and not known.is_over and now < known.until:
                raise Violation("taken", f"from {known.life} by {life}, {known.until - now:.0f} s too early")
        self.grants[lease.line] = Grant(lease.epoch, life, now + lease.lease_s)

    def _take_versions(self, life: Life | None) -> None:
        journal = self.repository.journal
        new = len(journal) - self._seen
        self._seen = len(journal)
        for version in reversed(list(islice(reversed(journal.values()), new))):
            state = decode_state(version.state)
            self._check_chain(version)
            self._take_fall(version)
            if version.kind not in ("create", "fork", "restore") and version.op_id not in self.lost:
                self.writes += 1
                self._check_writer(version, life)
            if version.kind not in ("create", "fork"):
                self._check_content(version, state, self.offered.get(version.op_id, life))
            self.goods.take(version, state, self.repository.lines[version.line].head.owner)
            self.newest[version.line], self.gains[version.line] = version, gains_of(state)
            self.chains[(version.line, version.version)] = version.chain
            self.written[(version.line, version.version)] = (version.epoch, version.state)
        if new and self.repository.collects_since is None and not self.goods.is_collecting:
            self.goods.check(self.repository.letters.values())

    def _check_chain(self, version: Version) -> None:
        last = self.newest.get(version.line)
        if last is not None and (version.version, version.prev_chain) != (last.version + 1, last.chain):
            raise Violation("chain", f"version {version.version} after {last.version}, by {version.world}")
        hashed = state_hash(version.state)
        if version.chain != next_chain(version.prev_chain, version.version, version.op_id, hashed):
            raise Violation("chain", f"version {version.version} has another hash, by {version.world}")

    def _check_writer(self, version: Version, life: Life | None) -> None:
        line = self.repository.lines[version.line]
        world = self.repository.worlds[version.world or ""]
        if line.head.owner is None and (world.tier != "official" or world.is_limited):
            raise Violation("main", f"version {version.version} by {version.world}")
        grant = self.grants.get(version.line)
        if grant is None or grant.life is None or version.world != grant.life[0] or grant.is_over:
            raise Violation("writer", f"version {version.version} by {version.world}; the lease: {grant}")
        is_replay = life is not None and grant.life == self.offered.get(version.op_id)
        is_successor = is_replay and life[0] == grant.life[0] and life[1] > grant.life[1]
        if version.epoch != grant.epoch or not (life == grant.life or is_successor):
            raise Violation("fenced", f"by {life} of epoch {version.epoch}; the lease: {grant}")

    def _check_content(self, version: Version, state: CharacterState, writer: Life | None) -> None:
        before, after = self.gains[version.line], gains_of(state)
        if writer in self.gone_back:  # what it gave after the snapshot may be lost
            before = {source: n for source, n in before.items() if f"{writer[0]}-" not in source}
        if not has_all(after, before):
            lost = {source: (n, after.get(source, 0)) for source, n in before.items()
                    if after.get(source, 0) < n}  # fmt: skip
            raise Violation("rolled back", f"version {version.version} ({version.kind}): {lost}")
        too_many = {source: n for source, n in after.items() if n > self.minted[source]}
        if too_many:
            raise Violation("doubled", f"version {version.version}: {too_many}")

    def go_back(self, life: Life, exchanges: set[UUID]) -> None:
        """A world's machine goes back to a snapshot, in which these exchanges are under way."""
        self.excused.add(life[0])
        self.gone_back.add(life)
        self.goods.denied -= exchanges

    # ---------------------------------------------------------------- a restore of the master

    def begin_again(self, repository: Repository) -> None:
        """The master is a backup's: remember what it has lost, and look at what comes back."""
        self.lost = {
            op_id: each for op_id, each in self.repository.journal.items() if op_id not in repository.journal
        }
        self.repository, self._seen = repository, 0
        for known in (self.newest, self.gains, self.chains, self.written, self.acknowledged):
            known.clear()
        self.goods.begin_again()
        for version in repository.journal.values():
            state = decode_state(version.state)
            self.newest[version.line], self.gains[version.line] = version, gains_of(state)
            self.goods.take(version, state, repository.lines[version.line].head.owner)
            self.chains[(version.line, version.version)] = version.chain
            self.written[(version.line, version.version)] = (version.epoch, version.state)
        self._seen = len(repository.journal)
        self.goods.collect()
        # Forks begun after the backup are gone (docs/restore.md, "What does not come back").
        self.shown = {key: gains for key, gains in self.shown.items() if key[1] in repository.lines}

    def end_unproved_grants(self) -> None:
        """Leases of which no receipt tells are over."""
        for line, grant in self.grants.items():
            head = self.repository.lines[line].head if line in self.repository.lines else None
            holder = grant.life[0] if grant.life is not None else None
            if head is None or (head.epoch, head.holder) != (grant.epoch, holder):
                grant.is_over = True

    # ---------------------------------------------------------------- the world's side

    def acknowledge(self, line: UUID, saved: uplink.Saved) -> None:
        """A world's daemon was told that a write is accepted."""
        version, chain = saved.version, saved.chain
        if saved.forked is not None:
            line, version, chain = saved.forked.line, saved.forked.version, saved.forked.chain
        self.acknowledged[(line, version)] = chain
        if self.chains.get((line, version)) != chain:
            raise Violation("forgotten", f"version {version}")

    def check_put_out(self, life: Life, line: UUID, epoch: int, cause: str) -> None:
        """A world drops a player because the master refused it: was the lease really gone?"""
        line, epoch = self.named(line, epoch)
        grant = self.grants.get(line)
        if grant is not None and grant.life == life and not grant.is_over:
            whose = "its own" if grant.epoch == epoch else f"its own newer epoch {grant.epoch}"
            raise Violation("refused", f"{life} of epoch {epoch}, while the lease is {whose}: {cause}")

    def show(self, world: str, line: UUID, epoch: int, gains: Gains, on_disk: Gains) -> None:
        """A player is shown gains. Args: on_disk: what the world's disk has of the line."""
        if not has_all(on_disk, gains) and not has_all(self.gains[self.named(line, epoch)[0]], gains):
            raise Violation("shown", f"{world}: {dict(gains)}; on disk {dict(on_disk)}")
        shown = self.shown.setdefault((world, line, epoch), {})
        for source, number in gains.items():
            shown[source] = max(shown.get(source, 0), number)

    def check_set_aside(self, world: str, save: uplink.Save, reason: str) -> None:
        """A world gives up a write: was it really refused, and another world's right to refuse it?"""
        self.set_aside.add((world, save.line))
        is_again = save.op_id in self.given_up  # the disk has it twice: the note that it is done was lost
        self.given_up.add(save.op_id)
        if world in self.excused or is_again:
            return
        version = self.repository.journal.get(save.op_id)
        line, _ = self.named(save.line, save.epoch)
        grant = self.grants.get(line)
        # one that it journaled, and replaced by another with the same content before it was sent, is no loss
        has_content = self.written.get((save.line, save.version + 1)) == (
            save.epoch,
            encode_state(save.state),
        )
        is_same = has_content and save.op_id not in self.offered
        is_own = grant is not None and not grant.is_over and grant.life is not None and grant.life[0] == world
        is_missed = is_own and not has_all(self.gains[line], gains_of(save.state))
        if version is not None or is_same or is_missed:
            whose = "the master has it" if version or is_same else f"the lease is its own: {grant}"
            raise Violation(
                "aside", f"{world}, version {save.version}, epoch {save.epoch}, {whose}: {reason}"
            )

    def check_shown(self) -> None:
        """What was shown is in the head; a world that lost its lease before it could hand in has said so."""
        for (world, line, epoch), shown in self.shown.items():
            if world in self.excused or (world, line) in self.set_aside:
                continue
            head = self.gains[self.named(line, epoch)[0]]
            if not has_all(head, shown):
                lacking = {source: (n, head.get(source, 0)) for source, n in shown.items()
                           if head.get(source, 0) < n}  # fmt: skip
                raise Violation("kept", f"{world} under epoch {epoch}: (shown, saved) {lacking}")

    def head_of(self, line: UUID) -> Gains:
        """Return what the newest version has."""
        return self.gains[line]

    def promise(self, line: UUID, seen: Gains) -> None:
        """A player, who has seen these gains, is told that everything is saved."""
        head = self.gains[line]
        if not has_all(head, seen):
            lacking = {source: (n, head.get(source, 0)) for source, n in seen.items()
                       if head.get(source, 0) < n}  # fmt: skip
            raise Violation("told saved", f"of (seen, saved) {lacking}")
        self.promised[line] = seen

    def check_entry(self, line: UUID, state: CharacterState) -> None:
        """A player comes in with this state."""
        if not has_all(gains_of(state), self.promised.get(line, {})):
            raise Violation("told saved", "the next entry lacks what had been saved")

    def check_end(self, *, is_harmless: bool) -> None:
        """Compare all at the end. `is_harmless`: messages went wrong, but no process stopped."""
        for (line, version), chain in self.acknowledged.items():
            if self.chains.get((line, version)) != chain:
                raise Violation("forgotten", f"version {version}")
        self.check_shown()
        if is_harmless:
            saved: dict[str, int] = defaultdict(int)
            for gains in self.gains.values():
                for source, number in gains.items():
                    saved[source] = max(saved[source], number)
            lost = {source: (n, saved[source]) for source, n in self.minted.items() if saved[source] < n}
            if lost:
                raise Violation("vanished", f"{lost}")


def uplink_lease_s(answer: uplink.Renewed) -> float:
    """Return how long renewed leases run."""
    return answer.lease_s
