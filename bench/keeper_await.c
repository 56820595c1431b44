/* Waits until a ZooKeeper server answers.
 *
 *   keeper_await PORT
 *
 * Asks for a session over and over, a millisecond apart, for two minutes at most.
 */
#include "keeper_wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { try_count_max = 120000 };

static bool has_answer(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    /* From another address, or the socket could meet itself while nobody listens on the port. */
    const struct sockaddr_in source = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    const struct timeval patience = {.tv_sec = 1};
    uint8_t request[49] = {0};
    uint8_t reply[41];
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    store_u32(request, 45);
    store_u32(request + 16, 4000); /* The session goes by itself. */
    store_u32(request + 28, 16);
    setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const bool answered = bind(handle, (const struct sockaddr *)&source, sizeof source) == 0 &&
                          connect(handle, (const struct sockaddr *)&address, sizeof address) == 0 &&
                          send(handle, request, sizeof request, MSG_NOSIGNAL) == sizeof request &&
                          recv(handle, reply, sizeof reply, MSG_WAITALL) == sizeof reply;
    close(handle);
    return answered;
}

int main(int argc, char **argv)
{
    const uint16_t port = (uint16_t)strtoul(argc == 2 ? argv[1] : "0", NULL, 10);
    for (int count = 0; count < try_count_max; count++) {
        if (has_answer(port))
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fprintf(stderr, "nothing answers on port %u\n", port);
    return 1;
}
