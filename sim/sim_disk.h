/* A node's disk: what its process sees (the page cache), and what would be there after a power
 * loss.
 *
 * Each file and directory holds its durable content and the list of changes since: writes, new
 * sizes, entries added, removed and renamed. A sync makes those durable that were complete when it
 * was submitted. A power loss keeps some of the rest:
 *
 *   durable:  [########]                      after a loss: [########== =?]
 *   changes:  write, write, grow, write  --->  any part of them, in the ways of enum sim_loss
 *
 * A new or renamed file's entry is durable only after a sync of its directory, whatever was synced
 * in the file; a rename can survive without the bytes of its source.
 *
 * Memory: the world's heap. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_DISK_H
#define SIM_SIM_DISK_H

#include "base/heap.h"
#include "base/list.h"
#include "base/prng.h"
#include "io/io.h"

struct sim_node;
struct sim_pending;

/* What a power loss does to changes that were not synced. */
enum sim_loss {
    SIM_LOSS_ALL,     /* All are lost. */
    SIM_LOSS_NONE,    /* All are kept. */
    SIM_LOSS_PREFIX,  /* The first ones of each file, or of all files, are kept. */
    SIM_LOSS_TORN,    /* The same, and the last one kept is cut at any byte. */
    SIM_LOSS_SUBSET,  /* Any pages or sectors of any of them; names independently. */
    SIM_LOSS_GARBAGE, /* The same; what is lost within the new size reads as garbage. */
    SIM_LOSS_RANDOM,  /* One of the above. */
};

enum { sim_loss_count = SIM_LOSS_RANDOM };

struct sim_bytes {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
};

enum sim_change_kind { SIM_CHANGE_WRITE, SIM_CHANGE_RESIZE, SIM_CHANGE_GROW, SIM_CHANGE_NAMES };

struct sim_inode;

/* One step since the last sync. */
struct sim_change {
    struct list link;
    uint64_t sequence;
    enum sim_change_kind kind;
    uint64_t offset; /* WRITE; RESIZE and GROW: the new size. */
    uint64_t size;
    uint8_t *data;
    char *name_removed; /* NAMES: removed, then added; either may be NULL. */
    char *name_added;
    struct sim_inode *inode; /* Behind name_added. */
};

struct sim_entry {
    struct list link;
    struct sim_inode *inode;
    char name[256];
};

struct sim_inode {
    struct list link; /* In disk->inodes. */
    uint32_t number;
    bool is_directory;
    bool is_broken; /* Whatever is tried there fails with EIO. */
    bool is_marked;
    struct sim_bytes cache;
    struct sim_bytes durable;
    struct list entries; /* Of a directory, as the process sees it. */
    struct list durable_entries;
    struct list changes;
};

struct sim_disk {
    struct sim_node *node;
    struct heap *heap;
    struct prng prng;
    struct sim_inode *root;
    struct list inodes;
    uint32_t inode_number;
    uint64_t sequence;       /* Of the latest change. */
    uint64_t boundary_count; /* Mutating operations done, over all processes. */
    uint64_t crash_boundary; /* Power goes there; 0: nowhere. */
    enum sim_loss crash_loss;
    uint64_t error_boundary; /* The operation there fails; 0: none. */
    int error;
    uint64_t delay_ns_extra; /* Set by tests: so much longer everything takes. */
    uint64_t quota_bytes;    /* 0: no limit. */
    uint64_t used_bytes;
};

void sim_disk_init(struct sim_disk *disk, struct sim_node *node, uint64_t seed);

/* Takes over an operation on files or names. */
void sim_disk_submit(struct sim_disk *disk, struct sim_pending *pending);

/* The process is gone: operations in flight may or may not have happened. */
void sim_disk_settle(struct sim_disk *disk, struct sim_pending *pending);

void sim_disk_lose_power(struct sim_disk *disk, enum sim_loss loss);

/* For the io functions that answer at once. */
int sim_disk_list(struct sim_disk *disk, const char *path,
                  void (*entry)(void *context, const char *name), void *context);
int sim_disk_info(struct sim_disk *disk, const char *path, struct io_file_info *out);
uint64_t sim_disk_free_bytes(const struct sim_disk *disk);

/* For checkers and tests: the bytes as the process would read them, or those a total loss would
 * leave. Null: no such file. */
struct slice sim_disk_peek(struct sim_disk *disk, const char *path);
struct slice sim_disk_peek_durable(struct sim_disk *disk, const char *path);

/* For tests: flips bits of a file, in cache and durable bytes. */
bool sim_disk_corrupt(struct sim_disk *disk, const char *path, uint64_t offset, uint8_t bits);

/* For tests: all that lies at path and below it is on a disk that has failed, or works again. */
void sim_disk_break(struct sim_disk *disk, const char *path, bool is_broken);

/* For sim_net: bytes of a file for a send; fewer at its end. */
struct slice sim_inode_bytes(const struct sim_inode *inode, uint64_t offset, uint64_t size);

#endif
