#define _GNU_SOURCE
#include "shard/thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

struct thread {
    struct thread_options options;
    struct heap *heap;
    struct shard shard;
    pthread_t id;
    sem_t started;
    sem_t joined;       /* All stays until then: others may still post to it or wake it. */
    enum err start_err; /* Of the shard and the service; valid once `started` is posted. */
    atomic_bool is_stop_asked;
};

static void run_until_stopped(struct thread *thread)
{
    struct shard *shard = &thread->shard;
    bool is_told = false;
    while (!shard->stopping) {
        if (!is_told && atomic_load(&thread->is_stop_asked)) {
            is_told = true;
            thread->options.stop(shard, thread->options.context);
        } else {
            shard_step(shard, UINT64_MAX);
        }
    }
    if (!is_told)
        kill(getpid(), SIGTERM); /* See thread_wait_for_signal. */
}

static enum err start_service(struct thread *thread)
{
    enum err err = shard_init(&thread->shard, thread->options.shard);
    if (err != ERR_OK)
        return err;
    err = thread->options.start(&thread->shard, thread->options.context);
    if (err != ERR_OK)
        shard_deinit(&thread->shard);
    return err;
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        assert(errno == EINTR);
}

static void *run_thread(void *context)
{
    struct thread *thread = context;
    thread->start_err = start_service(thread);
    const bool is_running = thread->start_err == ERR_OK;
    sem_post(&thread->started);
    if (!is_running)
        return NULL;
    run_until_stopped(thread);
    wait_for(&thread->joined);
    if (thread->options.end != NULL)
        thread->options.end(&thread->shard, thread->options.context);
    shard_deinit(&thread->shard);
    return NULL;
}

static void give_back(struct thread *thread)
{
    sem_destroy(&thread->started);
    sem_destroy(&thread->joined);
    heap_give(thread->heap, thread);
}

enum err thread_start(struct thread **out, struct heap *heap, struct thread_options options)
{
    struct thread *thread = heap_take_zeroed(heap, sizeof *thread);
    if (thread == NULL)
        return ERR_NO_MEMORY;
    thread->heap = heap;
    thread->options = options;
    sem_init(&thread->started, 0, 0);
    sem_init(&thread->joined, 0, 0);
    if (pthread_create(&thread->id, NULL, run_thread, thread) != 0) {
        give_back(thread);
        return ERR_LIMIT;
    }
    wait_for(&thread->started);
    if (thread->start_err == ERR_OK) {
        *out = thread;
        return ERR_OK;
    }
    const enum err err = thread->start_err;
    thread_join(thread);
    return err;
}

void thread_ask_stop(struct thread *thread)
{
    atomic_store(&thread->is_stop_asked, true);
    io_wake(thread->shard.io);
}

void thread_join(struct thread *thread)
{
    sem_post(&thread->joined);
    const int failed = pthread_join(thread->id, NULL);
    assert(failed == 0);
    give_back(thread);
}

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void thread_block_signals(void)
{
    const sigset_t set = ending_signals();
    const int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert(failed == 0);
}

int thread_wait_for_signal(void)
{
    const sigset_t set = ending_signals();
    int number = 0;
    while (sigwait(&set, &number) != 0)
        continue;
    return number;
}
