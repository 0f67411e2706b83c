from uuid import uuid4

from zonecluster.daemon.orders import KEEP_S, Orders


def test_only_lower_orders_are_outdated() -> None:
    orders, session = Orders(), uuid4()
    assert [orders.is_outdated(session, order, 0.0) for order in (5, 5, 4, 0, 6, 5)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    assert not orders.is_outdated(uuid4(), 1, 0.0)


def test_sessions_are_forgotten_after_a_while_but_not_before() -> None:
    orders, old, young = Orders(), uuid4(), uuid4()
    orders.is_outdated(old, 9, 0.0)
    orders.is_outdated(young, 9, 100.0)
    orders.forget_old(KEEP_S)
    assert orders.is_outdated(old, 8, KEEP_S)
    orders.forget_old(KEEP_S + 101)
    assert not orders.is_outdated(young, 8, KEEP_S + 101)
    assert orders.is_outdated(old, 8, KEEP_S + 101)
