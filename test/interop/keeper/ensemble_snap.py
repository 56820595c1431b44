"""How a member catches up by the leader's snapshot."""

from harness import catch_up


def case(t):
    catch_up.members_away(t, "SNAP")
