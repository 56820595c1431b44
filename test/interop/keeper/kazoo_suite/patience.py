"""A plugin of pytest's: what the suite's own lines wait for gets ten times as long, so that a machine may stand still for a while.

A wait that is met ends at once. Waits inside the client stay as they are.
"""

import sys
import threading

import gevent.event
from eventlet.green import threading as green_threading
from kazoo.handlers.gevent import SequentialGeventHandler
from kazoo.tests import util

FACTOR = 10


def _patient(wait):
    def longer(self, timeout=None):
        if timeout is not None and "/kazoo/tests/" in sys._getframe(1).f_code.co_filename:
            timeout *= FACTOR
        return wait(self, timeout)

    return longer


class _Event(gevent.event.Event):
    wait = _patient(gevent.event.Event.wait)


for module in (threading, green_threading):
    module.Event.wait = _patient(module.Event.wait)
    module.Condition.wait = _patient(module.Condition.wait)
SequentialGeventHandler.event_object = lambda handler: _Event()
util.Wait.timeout *= FACTOR
