#define _GNU_SOURCE
#include "io/io_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    shed_count_max =
        64, /* Connections closed by one io_posix_shed: a flood cannot hold the loop. */
    /* A peer that vanished without a word is noticed after two minutes of silence. */
    keepalive_idle_s = 60,
    keepalive_interval_s = 15,
    keepalive_count = 4,
};

static uint64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    const int failed = clock_gettime(clock, &now);
    assert(failed == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t io_posix_now_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t io_posix_wall_ms(struct io *io)
{
    (void)io;
    return (int64_t)(read_clock_ns(CLOCK_REALTIME) / 1000000);
}

void io_posix_entropy(struct io *io, void *out, size_t size)
{
    (void)io;
    for (size_t filled = 0; filled < size;) {
        const ssize_t taken = getrandom((uint8_t *)out + filled, size - filled, 0);
        assert(taken > 0 || errno == EINTR);
        filled += taken > 0 ? (size_t)taken : 0;
    }
}

/* Addresses. */

socklen_t io_posix_address_encode(const struct io_address *address, union io_posix_address *out)
{
    memset(out, 0, sizeof *out);
    if (io_address_is_ipv4(address)) {
        out->ipv4.sin_family = AF_INET;
        out->ipv4.sin_port = htons(address->port);
        memcpy(&out->ipv4.sin_addr, address->bytes + 12, 4);
        return sizeof out->ipv4;
    }
    out->ipv6.sin6_family = AF_INET6;
    out->ipv6.sin6_port = htons(address->port);
    memcpy(&out->ipv6.sin6_addr, address->bytes, 16);
    return sizeof out->ipv6;
}

void io_posix_address_decode(const union io_posix_address *address, struct io_address *out)
{
    if (address->any.sa_family == AF_INET) {
        *out = (struct io_address){.bytes = {[10] = 0xff, [11] = 0xff}};
        out->port = ntohs(address->ipv4.sin_port);
        memcpy(out->bytes + 12, &address->ipv4.sin_addr, 4);
        return;
    }
    out->port = ntohs(address->ipv6.sin6_port);
    memcpy(out->bytes, &address->ipv6.sin6_addr, 16);
}

/* IPv4 first where a name has both, as Java's clients and servers do. */
static const struct addrinfo *preferred(const struct addrinfo *found)
{
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        if (each->ai_family == AF_INET)
            return each;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        if (each->ai_family == AF_INET6)
            return each;
    return NULL;
}

static int errno_of_resolver(int code)
{
    switch (code) {
    case EAI_SYSTEM: return -errno;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_AGAIN: return -EAGAIN;
    default: return -ENOENT;
    }
}

int io_posix_resolve(struct io *io, const char *host, uint16_t port, struct io_address *out)
{
    (void)io;
    if (host == NULL || host[0] == '\0') {
        *out = (struct io_address){.port = port};
        return 0;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int code = getaddrinfo(host, NULL, &hints, &found);
    if (code != 0)
        return errno_of_resolver(code);

    const struct addrinfo *best = preferred(found);
    if (best != NULL) {
        union io_posix_address address;
        memcpy(&address, best->ai_addr, min_size(best->ai_addrlen, sizeof address));
        io_posix_address_decode(&address, out);
        out->port = port;
    }
    freeaddrinfo(found);
    return best == NULL ? -ENOENT : 0;
}

/* Sockets. */

static int set_option(int handle, int level, int option, int value)
{
    return setsockopt(handle, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

static int set_options(int handle)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s},
        {IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_s},
        {IPPROTO_TCP, TCP_KEEPCNT, keepalive_count},
    };
    int result = 0;
    for (size_t index = 0; index < ARRAY_COUNT(options) && result == 0; index++)
        result =
            set_option(handle, options[index].level, options[index].option, options[index].value);
    return result;
}

static int open_socket(int family)
{
    const int handle = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return -errno;
    const int result = set_options(handle);
    if (result == 0)
        return handle;
    close(handle);
    return result;
}

int io_posix_socket(const struct io_address *peer)
{
    return open_socket(io_address_is_ipv4(peer) ? AF_INET : AF_INET6);
}

static bool is_wildcard(const struct io_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->bytes, zeros, sizeof zeros) == 0;
}

/* Binds and listens; accepted sockets inherit the options of the listening one. */
static int start_listening(int handle, struct io_address *address, uint32_t backlog)
{
    int result = set_option(handle, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && !io_address_is_ipv4(address))
        result = set_option(handle, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (result != 0)
        return result;

    union io_posix_address bound;
    socklen_t size = io_posix_address_encode(address, &bound);
    if (bind(handle, &bound.any, size) != 0 || listen(handle, (int)backlog) != 0)
        return -errno;
    size = sizeof bound;
    if (getsockname(handle, &bound.any, &size) != 0)
        return -errno;
    io_posix_address_decode(&bound, address);
    return 0;
}

int32_t io_posix_listen(struct io *io, struct io_address *address, uint32_t backlog)
{
    (void)io;
    int handle = open_socket(io_address_is_ipv4(address) ? AF_INET : AF_INET6);
    if (handle == -EAFNOSUPPORT && is_wildcard(address)) {
        /* A system without IPv6: its wildcard is that of IPv4. */
        address->bytes[10] = address->bytes[11] = 0xff;
        handle = open_socket(AF_INET);
    }
    if (handle < 0)
        return handle;
    const int result = start_listening(handle, address, backlog);
    if (result == 0)
        return handle;
    close(handle);
    return result;
}

void io_posix_shutdown(struct io *io, int32_t handle)
{
    (void)io;
    /* It fails when the peer is gone already, which is what we want anyway. */
    const int ignored = shutdown(handle, SHUT_RDWR);
    (void)ignored;
}

void io_posix_ignore_sigpipe(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const int failed = sigaction(SIGPIPE, &ignore, NULL);
    assert(failed == 0);
}

int io_posix_spare_open(void)
{
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void io_posix_shed(int32_t listener, int *spare)
{
    if (*spare < 0)
        return;
    close(*spare);
    for (uint32_t count = 0; count < shed_count_max; count++) {
        const int handle = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (handle < 0)
            break;
        close(handle);
    }
    *spare = io_posix_spare_open();
}

/* Files. */

int io_posix_open_flags(uint32_t flags)
{
    int result = O_CLOEXEC | O_NOCTTY;
    if ((flags & IO_OPEN_WRITE) != 0)
        result |= (flags & IO_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    if ((flags & IO_OPEN_CREATE) != 0)
        result |= O_CREAT;
    if ((flags & IO_OPEN_EXCLUSIVE) != 0)
        result |= O_EXCL;
    if ((flags & IO_OPEN_TRUNCATE) != 0)
        result |= O_TRUNC;
    if ((flags & IO_OPEN_DIRECTORY) != 0)
        result |= O_DIRECTORY;
    return result;
}

bool io_posix_is_directory(int32_t handle)
{
    struct stat info;
    return fstat(handle, &info) == 0 && S_ISDIR(info.st_mode);
}

int io_posix_list_directory(struct io *io, const char *path,
                            void (*entry)(void *context, const char *name), void *context)
{
    (void)io;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return -errno;
    for (;;) {
        errno = 0;
        const struct dirent *found = readdir(directory);
        if (found == NULL)
            break;
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            entry(context, found->d_name);
    }
    const int result = -errno;
    closedir(directory);
    return result;
}

int io_posix_file_info(struct io *io, const char *path, struct io_file_info *out)
{
    (void)io;
    struct stat info;
    if (stat(path, &info) != 0)
        return -errno;
    *out = (struct io_file_info){.size_bytes = (uint64_t)info.st_size,
                                 .is_directory = S_ISDIR(info.st_mode),
                                 .is_regular = S_ISREG(info.st_mode)};
    return 0;
}

/* A file: the lock that a JVM's FileChannel takes, so that an Apache server and we exclude each
 * other; bound to the open file, not to the process, so that two services in one process do too. A
 * directory cannot carry that lock. */
static int try_lock(int32_t handle)
{
    if (io_posix_is_directory(handle))
        return flock(handle, LOCK_EX | LOCK_NB);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(handle, F_OFD_SETLK, &whole);
}

int io_posix_lock(struct io *io, int32_t handle)
{
    (void)io;
    if (try_lock(handle) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

uint64_t io_posix_disk_free_bytes(struct io *io, const char *path)
{
    (void)io;
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return 0;
    return (uint64_t)info.f_bavail * info.f_frsize;
}

_Noreturn void io_posix_fatal(struct diag *diag, const char *line)
{
    diag_error(diag, "fatal: %s", line);
    _exit(EXIT_FAILURE);
}

bool io_posix_skip_written(struct io_op *op, size_t moved)
{
    while (op->write.vector_count > 0 && moved >= op->write.vectors->iov_len) {
        moved -= op->write.vectors->iov_len;
        op->write.vectors++;
        op->write.vector_count--;
    }
    if (op->write.vector_count == 0)
        return false;
    op->write.vectors->iov_base = (uint8_t *)op->write.vectors->iov_base + moved;
    op->write.vectors->iov_len -= moved;
    return true;
}

/* Actions. */

static int64_t result_of(ssize_t returned)
{
    return returned < 0 ? -errno : returned;
}

static int64_t read_some(const struct io_op *op)
{
    for (;;) {
        const ssize_t size =
            pread(op->handle, op->read.data, op->read.size, (off_t)op->read.offset);
        if (size >= 0 || errno != EINTR)
            return result_of(size);
    }
}

static int64_t write_all(struct io_op *op)
{
    uint64_t moved = 0;
    while (io_posix_skip_written(op, 0)) {
        const ssize_t size = pwritev(op->handle, op->write.vectors, (int)op->write.vector_count,
                                     (off_t)(op->write.offset + moved));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return size < 0 ? -errno : -EIO;
        moved += (uint64_t)size;
        io_posix_skip_written(op, (size_t)size);
    }
    return (int64_t)moved;
}

static int64_t act_on_path(const struct io_op *op)
{
    const char *path = op->path.path;
    const bool is_directory = (op->path.flags & IO_OPEN_DIRECTORY) != 0;
    if (op->kind == IO_OPEN)
        return result_of(open(path, io_posix_open_flags(op->path.flags), 0644));
    if (op->kind == IO_RENAME)
        return result_of(rename(path, op->path.path_to));
    if (op->kind == IO_UNLINK)
        return result_of(is_directory ? rmdir(path) : unlink(path));
    return result_of(mkdir(path, 0755));
}

bool io_posix_act(struct io_op *op, int64_t *result)
{
    switch (op->kind) {
    case IO_OPEN:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR: *result = act_on_path(op); return true;
    case IO_READ: *result = read_some(op); return true;
    case IO_WRITE: *result = write_all(op); return true;
    case IO_SYNC:
        *result = result_of(io_posix_is_directory(op->handle) ? fsync(op->handle)
                                                              : fdatasync(op->handle));
        return true;
    case IO_ALLOCATE:
        *result = -posix_fallocate(op->handle, (off_t)op->range.offset, (off_t)op->range.size);
        return true;
    case IO_TRUNCATE:
        *result = result_of(ftruncate(op->handle, (off_t)op->range.offset));
        return true;
    case IO_CLOSE: *result = result_of(close(op->handle)); return true;
    case IO_SEND_FILE:
    case IO_ACCEPT:
    case IO_CONNECT:
    case IO_RECV:
    case IO_SEND:
    case IO_TIMER: break;
    }
    return false;
}
