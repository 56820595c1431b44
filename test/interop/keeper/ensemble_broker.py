"""Our broker on an ensemble whose leader is killed again and again."""

from harness import across


def case(t):
    across.on_ensemble(t, t.target)
