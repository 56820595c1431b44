"""The part of keeper/zookeeper_suite that is about watches."""

from harness import places


def case(t):
    module = places.load_case("keeper/zookeeper_suite")
    module.case(t, module.is_about_watches)
