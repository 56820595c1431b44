"""Compressed batches by hand: what is checked inside them, and what is found by time."""


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper)
    t.drive(t.python_program("broker/packed/client.py", broker.address, t.target), "client")
    broker.check_alive()
    broker.stop()
    keeper.stop()
