/* A thread that runs one shard and the service on it, from start to stop.
 *
 * The main thread of a program blocks the signals that end it, starts the threads, waits for a
 * signal, asks the threads to stop, and joins them.
 *
 * Memory: the thread's struct from the starter's heap; the shard's own. Shard: owned by whoever
 * starts it.
 */
#ifndef SHARD_THREAD_H
#define SHARD_THREAD_H

#include "shard/shard.h"

struct thread_options {
    struct shard_options shard;
    /* Starts the service, on the thread. An error ends the thread. */
    enum err (*start)(struct shard *shard, void *context);
    /* Somebody asked the thread to stop: ends the service in its own time, and then calls
     * shard_stop. Runs at most once. */
    void (*stop)(struct shard *shard, void *context);
    /* After the last round and thread_join, when no other thread uses the service's mailboxes any
     * more: gives back what start took. Not after a failed start. May be NULL. */
    void (*end)(struct shard *shard, void *context);
    void *context;
};

struct thread;

/* Waits until `start` has returned, and returns its result; after an error nothing is left of the
 * thread. Keeps heap until thread_join. ERR_NO_MEMORY, ERR_LIMIT; the errors of shard_init. */
MUST_CHECK enum err thread_start(struct thread **thread, struct heap *heap,
                                 struct thread_options options);

/* From any thread or signal handler, any number of times before thread_join. */
void thread_ask_stop(struct thread *thread);

/* Waits for the end of the thread. */
void thread_join(struct thread *thread);

/* Keeps SIGINT and SIGTERM from ending the process, in this thread and in those that it starts. */
void thread_block_signals(void);

/* Waits for SIGINT or SIGTERM, blocked before. A thread whose service ends by itself raises
 * SIGTERM, so that this returns then too. */
int thread_wait_for_signal(void);

#endif
