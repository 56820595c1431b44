"""The part of keeper/zookeeper_suite that is about watches."""

import importlib.util

from harness import places


def case(t):
    spec = importlib.util.spec_from_file_location("suite", places.HERE / "keeper/zookeeper_suite/case.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.case(t, module.is_about_watches)
