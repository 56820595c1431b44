/* What the keeper's load generators share: connections and sessions, and requests written by hand.
 *
 * By hand on purpose: a load generator that shares code with the server would share its bugs and
 * its speed. Every failure ends the program with a reason.
 */
#ifndef BENCH_KEEPER_WIRE_H
#define BENCH_KEEPER_WIRE_H

#include "base/bytes.h"
#include "latency.h"

#include <stdbool.h>
#include <stdint.h>

enum keeper_wire_type {
    KEEPER_WIRE_CREATE = 1,
    KEEPER_WIRE_GET_DATA = 4,
    KEEPER_WIRE_SET_DATA = 5,
    KEEPER_WIRE_PING = 11,
    KEEPER_WIRE_MULTI = 14,
    KEEPER_WIRE_SET_WATCHES = 101,
};

enum {
    keeper_wire_frame_bytes_max = 1 << 20,
    keeper_wire_xid_event = -1,
    keeper_wire_xid_ping = -2,
    keeper_wire_xid_set_watches = -8,
    keeper_wire_error_exists = -110,
    keeper_wire_connects_per_source = 20000, /* Fewer than a source address has ports. */
};

_Noreturn void keeper_wire_die(const char *what);
_Noreturn void keeper_wire_refuse(const char *what, long number);

/* A connected socket with a session of the longest time that the server grants, 300 s at most. The
 * index-th connection of a program: every keeper_wire_connects_per_source of them have a source
 * address of their own, from 127.0.0.1 up. */
int keeper_wire_open_session(uint16_t port, unsigned index);

/* The same in two parts, so that many sessions are opened at once. */
int keeper_wire_ask_session(uint16_t port, unsigned index);
void keeper_wire_take_session(int handle, unsigned index);

void keeper_wire_send(int handle, const uint8_t *bytes, size_t size);

/* A whole frame without its length, into keeper_wire_frame_bytes_max bytes; its size. */
size_t keeper_wire_receive(int handle, uint8_t *frame);

/* --- one frame: begin, put.., end --- */

/* Room for the length, xid and type; where the body goes. */
uint8_t *keeper_wire_begin(uint8_t *frame, int32_t xid, enum keeper_wire_type type);
uint8_t *keeper_wire_put_text(uint8_t *at, const char *text);
uint8_t *keeper_wire_put_data(uint8_t *at, uint32_t size); /* Made up. */
uint8_t *keeper_wire_put_create(uint8_t *at, const char *path, uint32_t data_bytes);
uint8_t *keeper_wire_put_set(uint8_t *at, const char *path, uint32_t data_bytes);
size_t keeper_wire_end(uint8_t *frame, const uint8_t *end);

#endif
