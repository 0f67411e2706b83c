"""Orders of the world's keepers: they come with answers to reports, are carried out, and told as ended.

The master repeats an order until a report names it as ended; this world repeats that until an answer does not
bring the order any more. Orders are absolute (worlds.uplink.orders), so a daemon that dies in between is
followed by one that does no harm by doing it again.
"""

from uuid import UUID

from worlds.daemon.core import departure, saying
from worlds.daemon.core.ordering import CarriedOut, CarryOut
from worlds.daemon.core.session import Leave
from worlds.daemon.core.state import World
from worlds.uplink.orders import MAX_ORDERS, Announce, Kick, Order, OrderEnded, UnknownOrder, deed_of
from zonecluster.protocol.to_client import Notice

KICKED = "The people who run this world have put you out{why}. You may come in again."


def ended(w: World) -> list[OrderEnded]:
    """Return what the next report tells."""
    return list(w.orders.ended.values())[:MAX_ORDERS]


def on_orders(w: World, orders: list[Order]) -> None:
    """The master named the orders that it has not heard the end of."""
    named = {order.id for order in orders}
    w.orders.ended = {order: end for order, end in w.orders.ended.items() if order in named}
    for order in orders:
        if order.id not in w.orders.ended and order.id not in w.orders.under_way:
            _begin(w, order)


def on_carried_out(w: World, event: CarriedOut) -> None:
    """The shell has written the rows, or could not."""
    w.orders.under_way.discard(event.order)
    if event.is_known:
        _end(w, event.order, event.is_done, event.told)


def _begin(w: World, order: Order) -> None:
    try:
        deed = deed_of(order)
    except UnknownOrder as error:
        _end(w, order.id, False, str(error))
        return
    match deed:
        case Kick():
            _end(w, order.id, True, _kick(w, deed))
        case Announce(text):
            heard = saying.to_everybody(w, Notice(text, "warning"))
            _end(w, order.id, True, f"{heard} player{'' if heard == 1 else 's'} heard it.")
        case _:
            w.orders.under_way.add(order.id)
            w.emit(CarryOut(order.id, deed))


def _end(w: World, order: UUID, is_done: bool, told: str) -> None:
    w.log("order_ended", "info" if is_done else "warning", order=str(order), is_done=is_done, told=told)
    w.orders.ended[order] = OrderEnded(order, is_done, told[:200])
    w.report_at = w.now  # the keeper waits to hear of it


def _kick(w: World, kick: Kick) -> str:
    s = w.who_plays(kick.character)
    if s is None:
        return "They were not in the world any more."
    if s.leave is None:
        why = f": {kick.reason}" if kick.reason else ""
        departure.begin(w, s, Leave("kicked", KICKED.format(why=why)))
    return "They have been put out."
