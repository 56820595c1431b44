"""The part of keeper/kazoo_suite that is about its handlers for gevent and eventlet."""

from harness import places


def case(t):
    module = places.load_case("keeper/kazoo_suite")
    module.case(t, module.is_about_handlers)
