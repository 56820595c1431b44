/* The operating system as both real worlds meet it: what is done at once and by plain system calls.
 *
 * Every function here gives 0 or a handle, or a negative errno. Sockets are non-blocking, closed on
 * exec, without Nagle's delay, and with keepalive.
 *
 * Memory: none. Shard: any; no state.
 */
#ifndef IO_IO_POSIX_H
#define IO_IO_POSIX_H

#include "base/diag.h"
#include "io/io.h"

#include <netinet/in.h>

/* The clocks and the dice of struct io_world. */
uint64_t io_posix_now_ns(void);
int64_t io_posix_wall_ms(struct io *io);
void io_posix_entropy(struct io *io, void *out, size_t size);

/* The at-once functions of struct io_world. */
int32_t io_posix_listen(struct io *io, struct io_address *address, uint32_t backlog);
void io_posix_shutdown(struct io *io, int32_t handle);
int io_posix_resolve(struct io *io, const char *host, uint16_t port, struct io_address *out);
int io_posix_list_directory(struct io *io, const char *path,
                            void (*entry)(void *context, const char *name), void *context);
int io_posix_file_info(struct io *io, const char *path, struct io_file_info *out);
int io_posix_lock(struct io *io, int32_t handle);
uint64_t io_posix_disk_free_bytes(struct io *io, const char *path);

/* Writes the line to diag and ends the process. */
_Noreturn void io_posix_fatal(struct diag *diag, const char *line);

/* A failed write to a socket is an errno for us, never a signal. */
void io_posix_ignore_sigpipe(void);

/* Room for either family, small enough for struct io_op's world. */
union io_posix_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* The size that the system wants with it. */
socklen_t io_posix_address_encode(const struct io_address *address, union io_posix_address *out);
void io_posix_address_decode(const union io_posix_address *address, struct io_address *out);

/* A socket to connect from. */
int io_posix_socket(const struct io_address *peer);

/* The flags of open(2) for enum io_open_flags. */
int io_posix_open_flags(uint32_t flags);

/* fsync for a directory, fdatasync for a file: only fsync promises the names in a directory. */
bool io_posix_is_directory(int32_t handle);

/* No descriptor is left (EMFILE): takes the connections that wait on a listening socket and closes
 * them, so that clients see an end instead of silence. Needs *spare, a descriptor that is kept for
 * this, and reopens it. */
void io_posix_shed(int32_t listener, int *spare);
int io_posix_spare_open(void);

/* Does op at once; from any thread, touching nothing else. False: it is none of a file's. */
bool io_posix_act(struct io_op *op, int64_t *result);

/* Drops the first `moved` bytes from the vectors of a WRITE, SEND or SEND_FILE; all gone: false. */
bool io_posix_skip_written(struct io_op *op, size_t moved);

#endif
