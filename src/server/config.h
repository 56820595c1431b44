/* Configuration files as one table of rows: each row says a key's name, type, limits, default, unit
 * and meaning; the parser, the error messages and docs/config.md all come from it.
 *
 * The file format is Java's .properties, which both zoo.cfg and server.properties are. A wrong
 * value is an error that names file, line, key, what was expected and what to do; a key that no row
 * knows is a warning. A later line wins over an earlier one with the same key, as in Java.
 *
 * Memory: texts from the heap given to config_load; they live as long as the heap. Shard: none.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/diag.h"
#include "base/err.h"
#include "base/heap.h"

enum config_type {
    CONFIG_BOOL,   /* bool: true or false. */
    CONFIG_YES_NO, /* bool: yes or no, which ZooKeeper's older keys have instead. */
    CONFIG_INT,    /* int64_t, decimal or with 0x in front. */
    CONFIG_RATIO,  /* double: from min to max; max 0: to 1. */
    CONFIG_TEXT,   /* const char *, NULL when absent and without default. */
    CONFIG_CHOICE, /* int64_t: the index in choices; case does not matter. */
    CONFIG_GROUP,  /* struct config_entry *: every key with this prefix, e.g. "server.". */
    CONFIG_NOTHING /* Accepted; does nothing here, and doc says why. */
};

/* One line of a CONFIG_GROUP, in file order. */
struct config_entry {
    struct config_entry *next;
    const char *key; /* Without the group's prefix. */
    const char *value;
    uint32_t line;
};

struct config_row {
    const char *key; /* One that ends in '.' stands for every key with this prefix. */
    enum config_type type;
    uint16_t offset; /* Of the field in the config struct. */
    int64_t min;     /* CONFIG_INT, CONFIG_RATIO: both ends allowed. */
    int64_t max;
    const char *value_default;  /* Parsed like a line of the file; NULL: the field stays zero. */
    const char *unit;           /* "ms", "bytes", ...; NULL: none. */
    const char *const *choices; /* CONFIG_CHOICE, ended by NULL. */
    const char *doc;            /* One or two sentences. */
};

struct config_table {
    const char *name;       /* "zoo.cfg" */
    const char *key_prefix; /* May stand before any key: "zookeeper."; NULL: none. */
    const struct config_row *rows;
    uint32_t row_count;
    bool is_closed; /* A key that no row knows is an error, instead of a warning. */
};

/* Fills config, which the rows' offsets point into, with the defaults. ERR_NO_MEMORY. */
MUST_CHECK enum err config_defaults(const struct config_table *table, void *config,
                                    struct heap *heap);

struct config_source {
    const char *file_name; /* For messages. */
    struct slice text;
};

/* Overlays what the file says. Every error and warning is a line of diag. ERR_CONFIG: at least one
 * error; ERR_NO_MEMORY. */
MUST_CHECK enum err config_load(const struct config_table *table, void *config, struct heap *heap,
                                struct diag *diag, struct config_source source);

/* Gives the entries of a CONFIG_GROUP back to the heap that they are from. */
void config_give_group(struct config_entry *first, struct heap *heap);

/* The row of a key, prefix allowed, or NULL. */
const struct config_row *config_find(const struct config_table *table, struct slice key);

/* The table as Markdown, line by line. */
void config_print_docs(const struct config_table *table,
                       void (*line)(void *context, const char *text), void *context);

#endif
