/* A server under test as a real process: started, killed, awaited by its port.
 *
 * Memory: none. Not for the simulator.
 */
#ifndef TEST_CRASH_PROCESS_H
#define TEST_CRASH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A free port of the loopback interface, chosen by the system. */
uint16_t process_free_port(void);

/* Runs the command (ended by NULL) with its output appended to output_path. */
pid_t process_start(char *const command[], const char *output_path);

/* kill -9, and waits until it is gone. */
void process_kill(pid_t pid);

/* SIGTERM, waits; the exit status, or -1 if a signal ended it. */
int process_stop(pid_t pid);

/* Connects to the port, trying until it answers or deadline_ms is over or the process has ended: a
 * socket, or -1. */
int process_connect(pid_t pid, uint16_t port, unsigned deadline_ms);

/* Everything or death of the test. */
void process_send(int handle, const void *bytes, size_t size);

/* False: the other side is gone before size bytes came. */
bool process_receive(int handle, void *bytes, size_t size);

/* Ends the test, saying why. */
_Noreturn void process_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
