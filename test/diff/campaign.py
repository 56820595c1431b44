"""The two ways to look for differences: directed cases and random operations."""

import directed as directed_cases
import random_operations
import servers

# How many per cent of the random operations each variant of the settings gets.
SHARES = {"all": 60, "default": 9, "open": 9, "small": 9, "super": 9, "quota": 4}


def _stop(pair):
    for server in pair:
        server.check_alive()
        server.stop()


def directed(case, names=(), variants=()):
    """Every chosen case, on one pair of servers for each variant."""
    rows = directed_cases.chosen(names, variants)
    for variant in servers.VARIANTS:
        of_variant = [row for row in rows if row.variant == variant]
        if not of_variant:
            continue
        pair = servers.start(case, variant, "directed")
        failed = directed_cases.run(of_variant, pair, case.say)
        for row in of_variant:
            case.check(row.name not in failed, f"{variant}: {row.name}")
        case.say(f"{variant}: {len(of_variant) - len(failed)} of {len(of_variant)} cases are the same")
        _stop(pair)


def random(case, seed, count, variants=()):
    """`count` operations for each chosen variant; if none is chosen, shared by those that have a share."""
    for variant in variants or SHARES:
        wanted = count if variants else count * SHARES[variant] // 100
        pair = servers.start(case, variant, "random")
        player = random_operations.run(servers.addresses(pair), seed, wanted, variant, case.say)
        case.check(player.problem is None, f"{variant}: seed {seed}", player.problem or "")
        case.say(f"{variant}: {player.count} operations of {wanted} were the same ({player.summary()})")
        _stop(pair)
