/* The world as one small interface: submit an operation, be told when it is done, read the clock,
 * get entropy.
 *
 * Three worlds implement it: io_uring (io/io_uring.c), the portable one on libuv (io/io_uv.c), and
 * the simulator (sim/). Everything above this header is the same code in all three.
 *
 *      submitter                        world
 *      fills op, io_submit(io, op) ---> in flight (op is the world's: do not touch it)
 *                                       io_run completes it
 *      op->done(op, result)       <---  result: bytes or a handle, or a negative errno
 *
 * An op is a field of whoever waits, so submitting never allocates and never fails. `done` never
 * runs inside io_submit. Operations that are in flight together complete in any order: whoever
 * needs an order waits for one before submitting the next. A socket has at most one operation in
 * flight that takes bytes or connections from it, and at most one that puts bytes into it.
 *
 * Memory: the backend's rings, taken at start. Shard: each shard has its own io.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

#include <sys/uio.h>

struct io;
struct io_op;

/* A network end: IPv4 (also as ::ffff:a.b.c.d here) or IPv6. */
struct io_address {
    uint8_t bytes[16]; /* Network order; IPv4 as an IPv4-mapped IPv6 address. */
    uint16_t port;     /* Host order. */
};

/* "127.0.0.1:2181" or "[0:0:0:0:0:0:0:1]:2181", as clients of Apache's servers see addresses; text
 * of at least io_address_text_max bytes, lends it back. */
enum { io_address_text_max = 56 };
const char *io_address_print(const struct io_address *address, char *text, size_t capacity);

/* Without the port. */
const char *io_address_print_host(const struct io_address *address, char *text, size_t capacity);

bool io_address_is_ipv4(const struct io_address *address);

/* Files and sockets are small numbers that the world hands out. */
enum { io_handle_none = -1 };

enum io_open_flags {
    IO_OPEN_READ = 1,
    IO_OPEN_WRITE = 2,
    IO_OPEN_CREATE = 4,    /* Regular file, mode 0644, if missing. */
    IO_OPEN_EXCLUSIVE = 8, /* With IO_OPEN_CREATE: -EEXIST if it is there. */
    IO_OPEN_TRUNCATE = 16,
    IO_OPEN_DIRECTORY = 32, /* For IO_SYNC of a directory, and to hold a lock. */
};

enum io_kind {
    IO_OPEN,  /* Result: a handle. */
    IO_READ,  /* From offset; result: bytes read, 0 at the end. May be short. */
    IO_WRITE, /* All vectors at offset; result: bytes written. The world repeats short writes, so it
                 is all of them or an error. */
    IO_SYNC,  /* fdatasync of a file, or fsync of a directory handle. Covers writes that completed
                 before it was submitted. */
    IO_ALLOCATE,  /* Extends the file with zeros to offset + size (posix_fallocate). -EOPNOTSUPP:
                     the file system cannot; writing works all the same. */
    IO_TRUNCATE,  /* To offset bytes. */
    IO_RENAME,    /* path to path_to, replacing it. Durable after an IO_SYNC of the directory. */
    IO_UNLINK,    /* A file, or with IO_OPEN_DIRECTORY in flags an empty directory. */
    IO_MKDIR,     /* Mode 0755. */
    IO_CLOSE,     /* A file or a socket. */
    IO_ACCEPT,    /* On a listening socket; result: a handle; address is filled in. -EMFILE: no
                     handle is left; connections that waited were closed. Wait before trying again. */
    IO_CONNECT,   /* To address; result: a handle. */
    IO_RECV,      /* Result: bytes, 0 when the other side has closed. */
    IO_SEND,      /* All vectors; result: bytes sent, all of them or an error. */
    IO_SEND_FILE, /* All vectors, if any, and then size bytes of file from offset without copying
                     them through us; result: bytes sent, all of them or an error. Never blocks the
                     loop, cold pages included. */
    IO_TIMER,     /* Result 0 at or after deadline_ns of io_now_ns. */
};

struct io_op {
    enum io_kind kind;
    int32_t handle; /* All but OPEN, RENAME, UNLINK, MKDIR, CONNECT, TIMER. */
    void (*done)(struct io_op *op, int64_t result);
    union {
        struct {
            const char *path; /* Keeps: until done. */
            const char *path_to;
            uint32_t flags;
        } path; /* OPEN RENAME UNLINK MKDIR */
        struct {
            void *data; /* Keeps: until done. */
            size_t size;
            uint64_t offset;
        } read; /* READ RECV */
        struct {
            struct iovec *vectors; /* Keeps: until done; the world may change them. */
            uint32_t vector_count; /* At most io_vector_count_max. */
            bool is_patient; /* WRITE: nobody waits for it, so the loop need not make it itself. */
            uint64_t offset;
        } write; /* WRITE SEND */
        struct {
            bool is_brief; /* Of a file to which little was written since the last one, and
                              somebody waits for it: an idle loop may make it itself. */
        } sync;            /* SYNC */
        struct {
            uint64_t offset;
            uint64_t size;
        } range; /* ALLOCATE TRUNCATE */
        struct {
            struct iovec *vectors; /* As in `write`, but there may be none. */
            uint32_t vector_count;
            int32_t file;
            uint64_t offset;
            uint64_t size;
        } send_file;
        struct {
            struct io_address address;
        } peer; /* ACCEPT (out) CONNECT (in) */
        struct {
            uint64_t deadline_ns;
        } timer;
    };
    uint64_t moved;    /* SEND and SEND_FILE in flight: bytes taken so far, at least. */
    struct list link;  /* The world's while in flight. */
    uint64_t world[8]; /* The world's while in flight. */
};

enum { io_vector_count_max = 64 };

struct io_file_info {
    uint64_t size_bytes;
    bool is_directory;
    bool is_regular;
};

/* What a world must do. Callers use the functions below. */
struct io_world {
    const char *name; /* "io_uring", "libuv", "simulated": for diag. */
    void (*submit)(struct io *io, struct io_op *op);
    void (*cancel)(struct io *io, struct io_op *op);
    void (*run)(struct io *io, uint64_t wait_ns);
    void (*wake)(struct io *io);
    uint64_t (*now_ns)(struct io *io);
    int64_t (*wall_ms)(struct io *io);
    void (*entropy)(struct io *io, void *out, size_t size);
    int32_t (*listen)(struct io *io, struct io_address *address, uint32_t backlog);
    void (*shutdown)(struct io *io, int32_t handle);
    void (*disown)(struct io *io, int32_t handle); /* NULL: it knows no sockets. */
    int (*adopt)(struct io *io, int32_t handle);
    int (*resolve)(struct io *io, const char *host, uint16_t port, struct io_address *out);
    int (*list_directory)(struct io *io, const char *path,
                          void (*entry)(void *context, const char *name), void *context);
    int (*file_info)(struct io *io, const char *path, struct io_file_info *out);
    int (*lock)(struct io *io, int32_t handle);
    uint64_t (*disk_free_bytes)(struct io *io, const char *path);
    void (*fatal)(struct io *io, const char *line);
    /* For io_wait: does op at once, waiting for the disk. False: only submit can do it. NULL: it
     * can do all of them only. */
    bool (*act)(struct io *io, struct io_op *op, int64_t *result);
    void (*deinit)(struct io *io);
};

/* First field of each world's own struct. */
struct io {
    const struct io_world *world;
    uint64_t submitted_count;
    uint64_t completed_count;
};

/* Takes over op until op->done runs. */
static inline void io_submit(struct io *io, struct io_op *op)
{
    io->submitted_count++;
    io->world->submit(io, op);
}

/* Asks for an early end of a TIMER, ACCEPT, CONNECT or RECV in flight: its done still runs, later,
 * with -ECANCELED or with its result if that was faster. */
static inline void io_cancel(struct io *io, struct io_op *op)
{
    io->world->cancel(io, op);
}

/* Completes what is ready; waits at most wait_ns if nothing is. Runs done callbacks. */
static inline void io_run(struct io *io, uint64_t wait_ns)
{
    io->world->run(io, wait_ns);
}

/* Ends a wait in io_run, from any thread or signal handler: the only function they may call. */
static inline void io_wake(struct io *io)
{
    io->world->wake(io);
}

/* Monotonic; the only source of elapsed time. Constant within one callback round of io_run. */
static inline uint64_t io_now_ns(struct io *io)
{
    return io->world->now_ns(io);
}

/* The deadline of a timer for work that goes on in the next round, when what has come meanwhile has
 * had its turn. One that is due now runs in this round already. */
static inline uint64_t io_next_round_ns(struct io *io)
{
    return io_now_ns(io) + 1;
}

/* Milliseconds since 1970, for timestamps that people and protocols see; may jump. */
static inline int64_t io_wall_ms(struct io *io)
{
    return io->world->wall_ms(io);
}

/* Unpredictable bytes. */
static inline void io_entropy(struct io *io, void *out, size_t size)
{
    io->world->entropy(io, out, size);
}

/* A listening socket or a negative errno. Port 0 is replaced by the one the system chose. */
static inline int32_t io_listen(struct io *io, struct io_address *address, uint32_t backlog)
{
    return io->world->listen(io, address, backlog);
}

/* Ends both directions of a socket: operations in flight on it complete. Close it afterwards. */
static inline void io_shutdown(struct io *io, int32_t handle)
{
    io->world->shutdown(io, handle);
}

/* A socket goes over to another shard of this process: its world forgets it, while nothing of it is
 * in flight, and then the other one knows it. 0, or a negative errno: then it can only be closed.
 */
static inline void io_disown(struct io *io, int32_t handle)
{
    if (io->world->disown != NULL)
        io->world->disown(io, handle);
}

static inline int io_adopt(struct io *io, int32_t handle)
{
    return io->world->adopt == NULL ? 0 : io->world->adopt(io, handle);
}

/* The address of a host name or literal; waits for the resolver, so at start only. 0 or a negative
 * errno. A null or empty host: the wildcard address. */
static inline int io_resolve(struct io *io, const char *host, uint16_t port, struct io_address *out)
{
    return io->world->resolve(io, host, port, out);
}

/* The next four meet the disk at once, so they are for the start, for tools, and for rare events.
 * 0 or a negative errno. The order of entries is the world's; "." and ".." are left out. */
static inline int io_list_directory(struct io *io, const char *path,
                                    void (*entry)(void *context, const char *name), void *context)
{
    return io->world->list_directory(io, path, entry, context);
}

static inline int io_file_info(struct io *io, const char *path, struct io_file_info *out)
{
    return io->world->file_info(io, path, out);
}

/* An exclusive lock on an open file for as long as it is open; -EBUSY: another process has it. */
static inline int io_lock(struct io *io, int32_t handle)
{
    return io->world->lock(io, handle);
}

static inline uint64_t io_disk_free_bytes(struct io *io, const char *path)
{
    return io->world->disk_free_bytes(io, path);
}

/* Durability is in doubt, or going on is not safe: says why and ends the process (in the simulator:
 * the simulated one). Does not return. */
_Noreturn void io_fatal(struct io *io, const char *format, ...) PRINTF_LIKE(2, 3);

/* Does op and waits until it is done; others may be done meanwhile. At start and in tools only,
 * never from a done callback. Result as for done. */
int64_t io_wait(struct io *io, struct io_op *op);

#endif
