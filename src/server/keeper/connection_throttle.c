#include "server/keeper/connection_throttle.h"

#include "base/macros.h"

enum { weight_new_default = 3, weight_renewed_default = 2, weight_local_default = 1 };

/* A weight of nothing is a mistake, and no session is lighter than a local one. */
static int64_t sane_weight(int64_t weight, int64_t weight_default, int64_t weight_local)
{
    return weight <= 0 ? weight_default : max_i64(weight, weight_local);
}

static int64_t weight_opened(const struct keeper_config *config, int64_t weight_global)
{
    return keeper_config_opens_local_sessions(config)
               ? sane_weight(config->connection_weight_local, weight_local_default, 1)
               : weight_global;
}

void connection_throttle_init(struct connection_throttle *throttle,
                              const struct keeper_config *config, int64_t now_ms)
{
    const int64_t local = config->connection_weight_local;
    const int64_t weight_new =
        sane_weight(config->connection_weight_new, weight_new_default, local);
    const int64_t weight_renewed =
        sane_weight(config->connection_weight_renewed, weight_renewed_default, local);
    const int64_t scale = config->connection_has_weights ? weight_new : 1;
    *throttle = (struct connection_throttle){
        .token_count_max = config->connection_tokens * scale,
        .token_count = config->connection_tokens * scale,
        .fill_ms = config->connection_fill_ms,
        .fill_count = config->connection_fill_count * scale,
        .filled_at_ms = now_ms,
        .freeze_ms = config->connection_freeze_ms,
        .frozen_at_ms = now_ms,
        .drop_increase = config->connection_drop_increase,
        .drop_decrease = config->connection_drop_decrease,
        .decrease_ratio = config->connection_decrease_ratio,
        .weight_new = config->connection_has_weights ? weight_opened(config, weight_new) : 1,
        .weight_renewed = config->connection_has_weights ? weight_renewed : 1,
    };
}

static void fill(struct connection_throttle *throttle, int64_t now_ms)
{
    const int64_t passed_ms = now_ms - throttle->filled_at_ms;
    if (passed_ms <= throttle->fill_ms)
        return;
    int64_t refill;
    if (__builtin_mul_overflow(passed_ms, throttle->fill_count, &refill))
        refill = INT64_MAX;
    refill /= throttle->fill_ms;
    throttle->token_count += min_i64(refill, throttle->token_count_max - throttle->token_count);
    throttle->filled_at_ms = now_ms;
}

static void adapt_drop(struct connection_throttle *throttle, int64_t now_ms)
{
    const int64_t used = throttle->token_count_max - throttle->token_count;
    const double few = (double)throttle->token_count_max * throttle->decrease_ratio;
    if (now_ms - throttle->frozen_at_ms <= throttle->freeze_ms)
        return;
    if (used == throttle->token_count_max) {
        const double more = throttle->drop + throttle->drop_increase;
        throttle->drop = more > 1 ? 1 : more;
    } else if (used <= (int64_t)(few + 0.5)) {
        const double less = throttle->drop - throttle->drop_decrease;
        throttle->drop = less < 0 ? 0 : less;
    }
    throttle->frozen_at_ms = now_ms;
}

bool connection_throttle_take(struct connection_throttle *throttle, bool is_new, int64_t now_ms,
                              double chance)
{
    if (throttle->token_count_max == 0)
        return true;
    fill(throttle, now_ms);
    if (throttle->freeze_ms != -1) {
        adapt_drop(throttle, now_ms);
        if (chance < throttle->drop)
            return false;
    }
    const int64_t needed = is_new ? throttle->weight_new : throttle->weight_renewed;
    if (throttle->token_count < needed)
        return false;
    throttle->token_count -= needed;
    return true;
}
