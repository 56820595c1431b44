/* What is measured, under Apache ZooKeeper's names: one table, which `mntr`, the admin server's
 * `monitor` and the Prometheus page are printed from.
 *
 * As in Apache's server there are two ways to print it. The default: whole numbers, a summary as
 * avg_, min_, max_, cnt_, sum_ (and p50_ to p999_) of its name. With the Prometheus provider: every
 * number with a fraction, a summary as quantiles of the last minutes, _count and _sum.
 *
 * Every name that Apache's servers have is there, alone and in each role of an ensemble. Those that
 * count what cannot happen here (a thread's queue, TLS) stay zero or empty; the table says why.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_KEEPER_METRICS_H
#define SERVER_KEEPER_METRICS_H

#include "server/keeper/counted_text.h"
#include "server/keeper/keeper_server.h"

enum metric_kind {
    METRIC_GAUGE,
    METRIC_DECIMAL, /* A gauge with a fraction. */
    METRIC_COUNTER,
    METRIC_SUMMARY,
    METRIC_PERCENTILES, /* A summary with more than the median. */
    METRIC_GAUGE_SET,   /* One for each of many keys. */
    METRIC_COUNTER_SET,
    METRIC_SUMMARY_SET,
};

/* Who has it. */
enum metric_scope {
    METRIC_OF_ALL,
    METRIC_OF_MEMBERS, /* Of ensembles. */
    METRIC_OF_LEADERS,
    METRIC_OF_MASTERS,      /* Leaders, and followers from which observers learn. */
    METRIC_OF_LINEARIZABLE, /* With sync.linearizable; ours. */
};

/* Who wants to know the numbers of a set. */
struct metric_keys {
    void (*on_key)(struct metric_keys *keys, struct slice key, int64_t value);
};

struct metric {
    const char *name;
    enum metric_kind kind;
    /* Where it comes from: one of these, or none. */
    double (*read)(const struct keeper_server *server);
    void (*each)(const struct keeper_server *server, struct metric_keys *keys); /* Of a set. */
    size_t offset;      /* In struct keeper_stats: of an uint64_t, or of a struct metric_summary. */
    const char *absent; /* Why it stays zero or empty; NULL: it is measured. */
    enum metric_scope scope;
};

/* The table; count gets how many. */
const struct metric *metrics_table(size_t *count);

/* One number to print: name with its labels, value. */
struct metric_sample {
    const char *name;
    double value;
    bool is_whole; /* Printed without a fraction. */
};

struct metric_visitor {
    void (*on_sample)(struct metric_visitor *visitor, const struct metric_sample *sample);
};

/* All samples as the configured provider has them, for `mntr` and `monitor`. */
void metrics_visit(const struct keeper_server *server, struct metric_visitor *visitor);

/* The value as those two print it. Lends out, of at least counted_text_double_bytes. */
const char *metrics_print_value(const struct metric_sample *sample, char *out);

/* sum / count, rounded to four decimals; of nothing: zero. */
double metrics_average(uint64_t sum, uint64_t count);

/* The page that Prometheus reads, format 0.0.4. */
void metrics_put_page(const struct keeper_server *server, struct counted_text *text);

#endif
