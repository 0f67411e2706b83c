from zonecluster.rules.slowness import HALT_NS, HALTS, REMEMBERED_RUNS, SLOW_NS, SLOW_RUNS, Handler, Handlers

QUICK_NS = 50_000


def test_p99_over_five_milliseconds_is_too_slow_and_one_per_cent_is_not() -> None:
    handlers = Handlers()
    for run in range(REMEMBERED_RUNS):
        handlers.note("look", SLOW_NS + 1 if run % (REMEMBERED_RUNS // (SLOW_RUNS - 1)) == 0 else QUICK_NS)
    assert handlers.too_slow() == [] and handlers.by_kind["look"].p99_ns == QUICK_NS
    handlers.note("look", SLOW_NS + 1)
    handlers.note("look", SLOW_NS + 1)
    assert handlers.too_slow() == ["look"]
    assert handlers.by_kind["look"].p99_ns == SLOW_NS + 1


def test_a_command_that_stops_a_whole_tick_may_do_so_twice() -> None:
    handlers = Handlers()
    for _ in range(HALTS - 1):
        handlers.note("cast", HALT_NS + 1)
    assert handlers.too_slow() == []
    handlers.note("cast", HALT_NS + 1)
    assert handlers.too_slow() == ["cast"]


def test_what_is_long_past_does_not_count() -> None:
    handler = Handler()
    for _ in range(HALTS - 1):
        handler.add(HALT_NS + 1)
    for _ in range(REMEMBERED_RUNS):
        handler.add(QUICK_NS)
    assert (handler.slow, handler.halts, handler.is_slow) == (0, 0, False)


def test_what_is_off_is_not_reported_again_and_what_is_on_again_is_judged_anew() -> None:
    handlers = Handlers()
    for _ in range(HALTS):
        handlers.note("cast", HALT_NS + 1)
    handlers.switch(frozenset({"cast", "say"}))
    assert handlers.too_slow() == []
    handlers.switch(frozenset({"say"}))
    assert handlers.too_slow() == [] and "cast" not in handlers.by_kind


def test_without_runs_nothing_is_slow() -> None:
    assert Handler().p99_ns == 0 and not Handler().is_slow
