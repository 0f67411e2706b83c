"""Letters when what worlds hold is taken back after a restore: the backup may not know of them.

A receipt of a write by mail names the letter, and what changed in the document is what lay in it. Its words
and its recipient are not known: goods that nobody is known to have taken go back to who sent them.
"""

from datetime import datetime

import msgspec
import structlog

from characters.conservation import NOTHING, goods_between
from characters.exchange_rules import REPLAYED
from characters.models import Letter, Line
from worlds.models import World
from worlds.uplink.messages import Goods
from worlds.uplink.receipt import Receipt
from zonecluster.protocol.character import decode_state

log = structlog.get_logger(__name__)

POSTED = "Goods that you had sent", "The platform was restored from a backup, and your letter was lost."
TAKEN = "A letter that you had emptied", "The platform was restored from a backup, and this letter was lost."


def replay_letter(*, line: Line, before: bytes, receipt: Receipt, world: World, now: datetime) -> None:
    """Do to the letter what a version did that was just taken back. Repeats do not come here.

    Args: line: locked, with the version; before: the state that it had before.
    """
    if receipt.letter is None:
        return
    lost, gained = goods_between(decode_state(before), decode_state(bytes(line.state)))
    letter = Letter.objects.select_for_update(no_key=True).filter(id=receipt.letter).first()
    if gained != NOTHING:
        _taken(letter or _made(line, receipt, world, gained, TAKEN), line, receipt)
    elif letter is None:
        letter = _made(line, receipt, world, lost, POSTED)
        letter.exchange, letter.returned_at = receipt.exchange, now
        letter.save(force_insert=True)
        log.warning("letter_lost", letter=str(letter.id), line=str(line.id))
    elif letter.exchange is None:  # its taking came first
        letter.exchange, letter.sender_id, letter.posted_by = receipt.exchange, line.character_id, world
        letter.posted_at = receipt.at
        letter.save(update_fields=["exchange", "sender", "posted_by", "posted_at"])


def _made(line: Line, receipt: Receipt, world: World, goods: Goods, words: tuple[str, str]) -> Letter:
    """Return a letter to oneself, not saved yet."""
    assert receipt.letter is not None  # the caller looked
    return Letter(
        id=receipt.letter,
        world_id=line.world_id,
        sender_id=line.character_id,
        recipient_id=line.character_id,
        posted_by=world,
        subject=words[0],
        text=words[1],
        items=msgspec.to_builtins(goods.items),
        money=goods.money,
        posted_at=receipt.at,
        digest=REPLAYED,
    )


def _taken(letter: Letter, line: Line, receipt: Receipt) -> None:
    if letter.recipient_id != line.character_id:
        if letter.sender_id == letter.recipient_id:  # made again as lost: it had come to its recipient
            letter.returned_at = None
        else:  # it went back to its sender since the backup
            letter.sender_id, letter.returned_at = letter.recipient_id, receipt.at
        letter.recipient_id = line.character_id
    letter.taken_at, letter.taken_exchange = receipt.at, receipt.exchange
    letter.read_at = letter.read_at or receipt.at
    letter.save()
