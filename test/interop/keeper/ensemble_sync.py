"""How a member catches up by transactions: those that it lacks, from the leader's memory and disk, or by a cut of what it has too much."""

from harness import catch_up


def case(t):
    catch_up.members_away(t, "DIFF")
    catch_up.members_ahead(t)
